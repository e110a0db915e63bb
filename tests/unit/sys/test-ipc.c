/* ipc: a server in this process against clients in threads, good ones and hostile ones. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "sys/ipc/ipc.h"

static char dir[] = "/tmp/hearth-ipc.XXXXXX", path[64];

struct server {
	sd_event *event;
	struct ipc_server *ipc;
	struct ipc_request *held;
	int gone;
};

static void on_gone(void *ctx)
{
	struct server *s = ctx;

	s->gone++;
}

static int later(sd_event_source *source, uint64_t usec, void *ctx)
{
	ipc_request_reply(ctx, json_pack("{s:b}", "late", 1));
	return 0;
}

static void handle(void *ctx, struct ipc_request *request)
{
	struct server *s = ctx;
	const char *call = ipc_request_call(request);

	if (!strcmp(call, "echo")) {
		ipc_request_reply(request, json_deep_copy(ipc_request_args(request)));
	} else if (!strcmp(call, "who")) {
		const struct ipc_creds *c = ipc_request_creds(request);

		ipc_request_reply(
			request, json_pack("{s:i, s:i}", "uid", (int) c->uid, "pid", (int) c->pid));
	} else if (!strcmp(call, "fd")) {
		ipc_request_reply_fd(request, NULL, open("/dev/zero", O_RDONLY | O_CLOEXEC));
	} else if (!strcmp(call, "late")) {
		sd_event_add_time_relative(
			s->event, NULL, CLOCK_MONOTONIC, 20000, 1, later, request);
	} else if (!strcmp(call, "hold")) {
		s->held = request;
		ipc_request_on_gone(request, on_gone, s);
	} else if (!strcmp(call, "park")) { /* answered in the end, for the sanitizers */
		sd_event_add_time_relative(
			s->event, NULL, CLOCK_MONOTONIC, 500000, 1, later, request);
	} else if (!strcmp(call, "big")) {
		char *text = malloc(9 << 20);

		memset(text, 'a', 9 << 20);
		text[(9 << 20) - 1] = '\0';
		ipc_request_reply(request, json_pack("{s:s}", "text", text));
		free(text);
	} else if (!strcmp(call, "exit")) {
		ipc_request_reply(request, NULL);
		(void) sd_event_exit(s->event, 0);
	} else {
		ipc_request_fail(request, "unknown_call", "no call \"%s\"", "x");
	}
}

static struct err err;

static int call(const char *name, json_t *args, struct ipc_reply *ret)
{
	int r = ipc_call(path, name, args, 60 * USEC_PER_SEC, ret, &err);

	json_decref(args);
	return r;
}

static void *good_client(void *arg)
{
	CLEANUP_IPC_REPLY struct ipc_reply r = { .fd = -1 };
	char byte = 1;

	assert_int_equal(call("echo", json_pack("{s:i}", "n", 7), &r), 0);
	assert_int_equal(json_integer_value(json_object_get(r.ok, "n")), 7);
	ipc_reply_done(&r);
	assert_int_equal(call("who", NULL, &r), 0);
	assert_int_equal(json_integer_value(json_object_get(r.ok, "uid")), getuid());
	assert_int_equal(json_integer_value(json_object_get(r.ok, "pid")), getpid());
	ipc_reply_done(&r);
	assert_int_equal(call("fd", NULL, &r), 0);
	assert_true(r.fd >= 0);
	assert_true(fcntl(r.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(read(r.fd, &byte, 1), 1);
	assert_int_equal(byte, 0);
	ipc_reply_done(&r);
	assert_int_equal(call("late", NULL, &r), 0);
	assert_true(json_is_true(json_object_get(r.ok, "late")));
	ipc_reply_done(&r);
	assert_int_equal(call("nothing", NULL, &r), -EREMOTEIO);
	assert_string_equal(r.code, "unknown_call");
	assert_string_equal(err.text, "no call \"x\"");
	assert_int_equal(call("big", NULL, &r), -EREMOTEIO);
	assert_string_equal(r.code, "internal");
	assert_int_equal(ipc_call(path, "hold", NULL, 50000, &r, &err), -ETIMEDOUT);
	char *text = malloc(500000);

	memset(text, 'x', 499999);
	text[499999] = '\0';
	json_t *args = json_pack("{s:s}", "t", text);

	free(text);
	assert_int_equal(call("echo", args, &r), 0);
	assert_int_equal(json_string_length(json_object_get(r.ok, "t")), 499999);
	return arg;
}

static int raw(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	return fd;
}

/* Sends bytes, returns the error code in the answer, or "" if the connection just ends. */
static const char *raw_code(int fd, const void *bytes, size_t len, char code[64])
{
	char text[4096];

	code[0] = '\0';
	(void) !send(fd, bytes, len, MSG_NOSIGNAL);
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n > 4) {
		text[n] = '\0';
		CLEANUP_JSON json_t *json = json_parse(text + 4, (size_t) n - 4, NULL);
		const char *c =
			json_string_value(json_object_get(json_object_get(json, "error"), "code"));

		(void) snprintf(code, 64, "%s", c ? c : "");
	}
	close(fd);
	return code;
}

static void *hostile_client(void *arg)
{
	static const char *const bad[] = { "{", "[]", "null", "{\"call\":1}", "{\"args\":{}}",
		"{\"call\":\"echo\",\"args\":[]}", "{\"call\":\"echo\",\"call\":\"echo\"}",
		"\xff\xfe" };
	char code[64], message[512], deep[300];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t len = strlen(bad[i]);

		memcpy(message, "\0\0\0", 3);
		message[3] = (char) len;
		memcpy(message + 4, bad[i], len);
		assert_string_equal(raw_code(raw(), message, len + 4, code), "bad_request");
	}
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "\0\0\1\x28", 4);
	assert_string_equal(raw_code(raw(), deep, sizeof(deep), code), "bad_request");
	assert_string_equal(raw_code(raw(), "\xff\xff\xff\xff{}", 6, code), "too_large");
	assert_string_equal(raw_code(raw(), "\0\0\0\0", 4, code), "too_large");
	assert_string_equal(raw_code(raw(), "\0\x20\0\0{}", 6, code), "too_large");
	int half = raw(); /* a head and nothing more, then gone */

	assert_int_equal(send(half, "\0\0\1", 3, MSG_NOSIGNAL), 3);
	close(half);
	/* More connections than there is room for: idle ones are closed for newer ones, none hangs. */
	int fds[IPC_CLIENTS_MAX + 20];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = raw();
	CLEANUP_IPC_REPLY struct ipc_reply r = { .fd = -1 };

	assert_int_equal(call("who", NULL, &r), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	ipc_reply_done(&r);
	assert_int_equal(call("exit", NULL, &r), 0);
	return arg;
}

static void run(struct server *s, void *(*client)(void *) )
{
	pthread_t thread;

	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(
		ipc_server_new(s->event, path, 0640, (gid_t) -1, handle, s, &s->ipc, &err), 0);
	pthread_create(&thread, NULL, client, s);
	assert_true(sd_event_loop(s->event) >= 0);
	pthread_join(thread, NULL);
	s->ipc = ipc_server_free(s->ipc);
	sd_event_unref(s->event);
	assert_int_equal(access(path, F_OK), -1);
}

static void *both(void *arg)
{
	good_client(arg);
	return hostile_client(arg);
}

static void *last_call(void *arg)
{
	CLEANUP_IPC_REPLY struct ipc_reply r = { .fd = -1 };

	assert_int_equal(call("exit", NULL, &r), 0);
	return arg;
}

/* systemd hands over a listening socket that blocks: it must not hold up the loop after a client. */
static void test_handed_over(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct server s = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(sd_event_new(&s.event), 0);
	assert_int_equal(ipc_server_new_fd(s.event, fd, handle, &s, &s.ipc, &err), 0);
	pthread_t thread;

	pthread_create(&thread, NULL, last_call, &s);
	assert_true(sd_event_loop(s.event) >= 0);
	pthread_join(thread, NULL);
	s.ipc = ipc_server_free(s.ipc);
	sd_event_unref(s.event);
	(void) unlink(path);
}

static void test_calls(void **state)
{
	struct server s = { 0 };

	run(&s, both);
	assert_int_equal(s.gone, 1); /* the call that ran out of time hung up */
	assert_non_null(s.held);
	ipc_request_reply(s.held, NULL); /* after its server has gone: goes nowhere */
}

static void *stop(void *arg)
{
	CLEANUP_IPC_REPLY struct ipc_reply r = { .fd = -1 };
	struct stat st;
	struct server *s = arg;
	struct ipc_server *second = NULL;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	/* Another server does not take a living one's place. */
	assert_int_equal(ipc_server_new(s->event, path, 0600, (gid_t) -1, handle, s, &second, &err),
		-EADDRINUSE);
	assert_int_equal(call("exit", NULL, &r), 0);
	return arg;
}

static void test_path(void **state)
{
	struct server s = { 0 };
	CLEANUP_IPC_REPLY struct ipc_reply r = { .fd = -1 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	assert_int_equal(call("who", NULL, &r), -ENOENT);
	/* A socket that a dead process left behind is replaced. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(call("who", NULL, &r), -ECONNREFUSED);
	run(&s, stop);
	/* A file is not. */
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_true(sd_event_new(&s.event) >= 0);
	assert_int_equal(
		ipc_server_new(s.event, path, 0600, (gid_t) -1, handle, &s, &s.ipc, &err), -EEXIST);
	sd_event_unref(s.event);
	unlink(path);
}

/* Root's link to a directory of the daemon's: the socket lies there, clients find it through the link. */
static void test_place(void **state)
{
	struct server s = { 0 };
	struct stat st;
	char run[96], link[112], in[112], other[112];

	if (geteuid() != 0)
		skip();
	(void) snprintf(run, sizeof(run), "%s/run", dir);
	(void) snprintf(link, sizeof(link), "%s/d.sock", run);
	(void) snprintf(in, sizeof(in), "%s/d/d.sock", run);
	(void) snprintf(other, sizeof(other), "%s/d", run);
	for (int again = 0; again < 2; again++)
		assert_int_equal(ipc_make_place(run, "d", 65534, 65533, &err), 0);
	assert_int_equal(stat(run, &st), 0);
	assert_true(st.st_uid == 0 && (st.st_mode & 07777) == 0755);
	assert_int_equal(stat(other, &st), 0);
	assert_true(st.st_uid == 65534 && st.st_gid == 65533 && (st.st_mode & 07777) == 0755);

	assert_true(sd_event_new(&s.event) >= 0);
	assert_int_equal(
		ipc_server_new(s.event, link, 0600, (gid_t) -1, handle, &s, &s.ipc, &err), 0);
	assert_true(lstat(in, &st) == 0 && S_ISSOCK(st.st_mode));
	assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	assert_true(stat(link, &st) == 0 && S_ISSOCK(st.st_mode));
	s.ipc = ipc_server_free(s.ipc);
	assert_int_equal(access(in, F_OK), -1);
	assert_int_equal(lstat(link, &st), 0);
	/* Somebody else's link is nothing to follow. */
	assert_int_equal(lchown(link, 65533, 65533), 0);
	assert_int_equal(
		ipc_server_new(s.event, link, 0600, (gid_t) -1, handle, &s, &s.ipc, &err), -EEXIST);
	sd_event_unref(s.event);

	/* A link in the place of the daemon's directory: it does not get what that points to. */
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(symlink("/tmp", other), 0);
	assert_int_equal(ipc_make_place(run, "d", 65534, 65533, &err), -ENOTDIR);
	assert_int_equal(unlink(other), 0);
	/* A socket of an older version makes way for the link, a file does not. */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mknod(link, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(ipc_make_place(run, "d", 65534, 65533, &err), 0);
	assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mknod(link, S_IFREG | 0600, 0), 0);
	assert_int_equal(ipc_make_place(run, "d", 65534, 65533, &err), -EEXIST);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(rmdir(run), 0);
}

/* Two users hold as many calls open as they get; root is answered all the same. */
static void *crowd(void *arg)
{
	static const char hold[] = "\0\0\0\x0f{\"call\":\"park\"}";
	CLEANUP_IPC_REPLY struct ipc_reply r = { .fd = -1 };
	int fds[IPC_CLIENTS_MAX];

	assert_int_equal(chmod(dir, 0711), 0);
	assert_int_equal(chmod(path, 0666), 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		uid_t uid = i % 2 ? 65533 : 65534;

		/* Of this thread alone: the server is told who it is when it connects. */
		assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
		fds[i] = raw();
		assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
		(void) !send(fds[i], hold, sizeof(hold) - 1, MSG_NOSIGNAL);
	}
	(void) usleep(50000); /* all of them are being served */
	assert_int_equal(call("who", NULL, &r), 0);
	ipc_reply_done(&r);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	(void) usleep(600000);
	assert_int_equal(call("exit", NULL, &r), 0);
	return arg;
}

static void test_crowd(void **state)
{
	struct server s = { 0 };

	if (getuid() != 0)
		skip();
	run(&s, crowd);
}

/*
 * A request that waits in the backlog before a crowd that says nothing: whoever is closed to make room for the crowd, it
 * is not the one who has asked.
 */
static void test_asked_before_crowd(void **state)
{
	static const char who[] = "\0\0\0\x0e{\"call\":\"who\"}";
	struct server s = { 0 };
	struct rlimit limit, small;
	int asks, fds[40];
	char byte;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = 32; /* eight connections */
	assert_true(sd_event_new(&s.event) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_int_equal(
		ipc_server_new(s.event, path, 0640, (gid_t) -1, handle, &s, &s.ipc, &err), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	asks = raw();
	assert_int_equal(send(asks, who, sizeof(who) - 1, MSG_NOSIGNAL), sizeof(who) - 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = raw();
	while (sd_event_run(s.event, 100000) > 0)
		;
	assert_int_equal(recv(asks, &byte, 1, MSG_DONTWAIT), 1);
	close(asks);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	s.ipc = ipc_server_free(s.ipc);
	sd_event_unref(s.event);
}

struct async {
	struct server s;
	int n, results[8];
	bool fd;
	struct ipc_async *pending;
};

static void on_answer(void *ctx, int r, struct ipc_reply *reply, const struct err *e)
{
	struct async *a = ctx;

	a->fd |= reply->fd >= 0;
	a->results[a->n++] = r;
	if (r < 0)
		assert_true(e->text[0]);
	if (a->n == 5)
		(void) sd_event_exit(a->s.event, 0);
}

static void test_async(void **state)
{
	struct async a = { 0 };

	assert_true(sd_event_new(&a.s.event) >= 0);
	assert_int_equal(ipc_call_async(a.s.event, path, "who", NULL, 0, on_answer, &a, NULL, &err),
		-ENOENT);
	assert_int_equal(
		ipc_server_new(a.s.event, path, 0600, (gid_t) -1, handle, &a.s, &a.s.ipc, &err), 0);
	static const char *const calls[] = { "who", "late", "fd", "nothing", "hold" };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		uint64_t limit = !strcmp(calls[i], "hold") ? 200000 : 60 * USEC_PER_SEC;

		assert_int_equal(ipc_call_async(a.s.event, path, calls[i], NULL, limit, on_answer,
					 &a, NULL, &err),
			0);
	}
	assert_int_equal(
		ipc_call_async(a.s.event, path, "who", NULL, 0, on_answer, &a, &a.pending, &err),
		0);
	assert_null(ipc_async_cancel(a.pending));
	assert_true(sd_event_loop(a.s.event) >= 0);
	assert_int_equal(a.n, 5);
	assert_true(a.fd);
	int good = 0, refused = 0, late = 0;

	for (int i = 0; i < 5; i++) {
		good += a.results[i] == 0;
		refused += a.results[i] == -EREMOTEIO;
		late += a.results[i] == -ETIMEDOUT;
	}
	assert_int_equal(good, 3);
	assert_int_equal(refused, 1);
	assert_int_equal(late, 1);
	ipc_request_reply(a.s.held, NULL);
	a.s.ipc = ipc_server_free(a.s.ipc);
	sd_event_unref(a.s.event);
}

/* --- over TCP --- */

static int64_t known = 7;

static int64_t identify(void *ctx, const struct endpoint *peer)
{
	assert_int_equal(peer->addr.bytes[0], 127);
	return known;
}

struct outcome {
	bool done;
	int r;
	json_t *ok;
	char text[ERR_TEXT_MAX];
};

static void on_outcome(void *ctx, int r, struct ipc_reply *reply, const struct err *e)
{
	struct outcome *o = ctx;

	o->r = r;
	o->ok = TAKE(reply->ok);
	if (r < 0)
		(void) strcpy(o->text, e->text);
	o->done = true;
}

static struct outcome ask_tcp(sd_event *event, const struct endpoint *to, const char *name)
{
	struct outcome o = { 0 };
	CLEANUP_JSON json_t *args = json_pack("{s:i}", "n", 7);

	o.r = ipc_call_async_tcp(
		event, to, name, args, 10 * USEC_PER_SEC, on_outcome, &o, NULL, &err);
	assert_int_equal(o.r, 0);
	while (!o.done)
		assert_true(sd_event_run(event, UINT64_MAX) >= 0);
	return o;
}

/* A port of this machine that nobody has. */
static uint16_t free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	CLEANUP(close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	return ntohs(sa.sin_port);
}

static void test_tcp(void **state)
{
	struct endpoint on = { .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = free_port() };
	struct endpoint not_ours = { .addr = { AF_INET6, { 0xfd, 0x99, [15] = 1 } },
		.port = on.port };
	struct server s = { 0 };
	struct ipc_server *second = NULL;
	struct outcome o;

	assert_true(sd_event_new(&s.event) >= 0);
	o = ask_tcp(s.event, &on, "echo");
	assert_int_equal(o.r, -ECONNREFUSED);
	assert_non_null(strstr(o.text, "127.0.0.1:"));
	assert_int_equal(ipc_server_new_tcp(s.event, &on, identify, handle, &s, &s.ipc, &err), 0);
	assert_int_equal(
		ipc_server_new_tcp(s.event, &on, identify, handle, &s, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "listen on 127.0.0.1:"));
	/* Before an address is there. */
	assert_int_equal(
		ipc_server_new_tcp(s.event, &not_ours, identify, handle, &s, &second, &err), 0);
	second = ipc_server_free(second);
	o = ask_tcp(s.event, &on, "echo");
	assert_int_equal(o.r, 0);
	assert_int_equal(json_integer_value(json_object_get(o.ok, "n")), 7);
	json_decref(o.ok);
	o = ask_tcp(s.event, &on, "who");
	assert_int_equal(json_integer_value(json_object_get(o.ok, "uid")), 7);
	assert_int_equal(json_integer_value(json_object_get(o.ok, "pid")), 0);
	json_decref(o.ok);
	o = ask_tcp(s.event, &on, "nothing");
	assert_int_equal(o.r, -EREMOTEIO);
	/* Nobody that we know, and nobody is root. */
	for (known = -1; known <= 0; known++) {
		o = ask_tcp(s.event, &on, "echo");
		assert_true(o.r < 0 && o.r != -EREMOTEIO);
	}
	known = 7;
	s.ipc = ipc_server_free(s.ipc);
	sd_event_unref(s.event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_handed_over),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_async),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_asked_before_crowd),
	};

	if (!mkdtemp(dir))
		return 77;
	(void) snprintf(path, sizeof(path), "%s/s", dir);
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	(void) rmdir(dir);
	return r;
}
