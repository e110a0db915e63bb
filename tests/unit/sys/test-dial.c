/*
 * dial: TLS connections to an echo in a thread of its own, directly and through proxies that behave
 * and misbehave (fake-proxy), and what the connection is good for in another thread.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fake-proxy.h"
#include "sys/dial/dial.h"
#include "sys/tls/tls.h"
#include "sys/x509/x509.h"

/* --- names --- */

static sem_t gate;
static _Atomic unsigned asked, answered;

int __real_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
/* Of our own library alone: libcurl knows none of these names. */
int __wrap_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	int r = EAI_NONAME;

	asked++;
	if (!strcmp(node, "slow.test"))
		(void) sem_wait(&gate);
	if (strcmp(node, "nowhere.test") != 0)
		r = __real_getaddrinfo("127.0.0.1", service, hints, ret);
	answered++;
	return r;
}

/* --- the server --- */

enum server_mode { SERVER_ECHO, SERVER_SILENT, SERVER_GARBAGE, SERVER_CLOSES };

static const uint8_t server_seed[TLS_SEED_LEN] = { 1 }, other_seed[TLS_SEED_LEN] = { 3 };

enum { ECHOES_MAX = 32 };

static struct {
	sd_event *event;
	enum server_mode mode;
	int fd;
	uint16_t port;
	_Atomic bool ends;
	pthread_t thread, echoes[ECHOES_MAX];
	size_t n_echoes;
	struct tls_party *party;
	char pin[X509_PIN_TEXT_LEN], other_pin[X509_PIN_TEXT_LEN];
	struct fake_proxy *proxy;
	char proxy_url[128];

	struct dial *dial;
	unsigned done;
	struct dial_conn *conn;
	struct err err;
	unsigned refused; /* addresses by may_use() */
} w;

static bool wait_fd(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	while (!w.ends)
		if (poll(&p, 1, 20) > 0)
			return true;
	return false;
}

static bool echo_once(struct tls_stream *tls, int fd)
{
	uint8_t data[TLS_RECORD_MAX];
	ssize_t n = tls_stream_read(tls, data, sizeof(data));
	int r;

	if (n == -EAGAIN)
		return wait_fd(fd, POLLIN);
	if (n <= 0)
		return false;
	for (r = tls_stream_write(tls, data, (size_t) n); tls_stream_keeps(tls);)
		if (!wait_fd(fd, POLLOUT) || (r = tls_stream_flush(tls), r != 0 && r != -EAGAIN))
			return false;
	return r == 0 || r == -EAGAIN;
}

static void *echo_main(void *arg)
{
	int fd = (int) (intptr_t) arg;
	struct tls_stream *tls = tls_stream_new(w.party, fd, NULL, 0);

	while (tls && echo_once(tls, fd))
		;
	(void) tls_stream_free(tls);
	return NULL;
}

static void serve(int fd)
{
	switch (w.mode) {
	case SERVER_ECHO:
		assert_true(w.n_echoes < ECHOES_MAX);
		assert_int_equal(pthread_create(&w.echoes[w.n_echoes++], NULL, echo_main,
					 (void *) (intptr_t) fd),
			0);
		return;
	case SERVER_SILENT:
		while (wait_fd(fd, POLLIN) && recv(fd, &(char){ 0 }, 1, 0) > 0)
			;
		break;
	case SERVER_GARBAGE:
		(void) send(fd, "HTTP/1.1 400 Bad\r\n\r\n", 20, MSG_NOSIGNAL);
		break;
	case SERVER_CLOSES:
		break;
	}
	(void) close(fd);
}

static void *server_main(void *arg)
{
	while (wait_fd(w.fd, POLLIN)) {
		int fd = accept4(w.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			serve(fd);
	}
	return NULL;
}

static void pin_of(const uint8_t *seed, char ret[static X509_PIN_TEXT_LEN])
{
	uint8_t key[X509_KEY_LEN];

	assert_int_equal(x509_public_key(seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, ret), 0);
}

static int set_up_as(enum server_mode mode)
{
	const struct tls_options options = { .seed = server_seed, .name = "server" };

	(void) signal(SIGPIPE, SIG_IGN);
	memset(&w, 0, sizeof(w));
	asked = answered = 0;
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	w.mode = mode;
	assert_true(sd_event_new(&w.event) >= 0);
	assert_int_equal(tls_party_new(&options, &w.party, NULL), 0);
	pin_of(server_seed, w.pin);
	pin_of(other_seed, w.other_pin);
	w.fd = fake_listen(&w.port);
	return pthread_create(&w.thread, NULL, server_main, NULL);
}

static int set_up(void **state)
{
	return set_up_as(SERVER_ECHO);
}

static int tear_down(void **state)
{
	(void) dial_conn_free(w.conn);
	(void) dial_cancel(w.dial);
	w.ends = true;
	(void) pthread_join(w.thread, NULL);
	for (size_t i = 0; i < w.n_echoes; i++)
		(void) pthread_join(w.echoes[i], NULL);
	fake_proxy_free(w.proxy);
	(void) tls_party_free(w.party);
	(void) close(w.fd);
	sd_event_unref(w.event);
	return 0;
}

static int restart(enum server_mode mode)
{
	(void) tear_down(NULL);
	return set_up_as(mode);
}

/* --- dialling --- */

static void on_done(void *ctx, struct dial_conn *conn, const struct err *err)
{
	assert_ptr_equal(ctx, &w);
	assert_true(conn ? !err : err->code < 0);
	w.dial = NULL;
	w.done++;
	w.conn = conn;
	w.err = err ? *err : (struct err){ 0 };
}

static struct dial_options to(const char *host)
{
	return (struct dial_options){
		.host = host, .port = w.port, .pin = w.pin, .timeout_us = 20 * USEC_PER_SEC
	};
}

static void begin(const struct dial_options *options)
{
	struct err err = { 0 };

	if (dial_start(w.event, options, on_done, &w, &w.dial, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(w.done, 0);
}

static void run_dial(const struct dial_options *options)
{
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;

	begin(options);
	while (!w.done && clock_now_us() < end)
		assert_true(sd_event_run(w.event, 100000) >= 0);
	assert_int_equal(w.done, 1);
	w.done = 0;
}

static void expect_error(const struct dial_options *options, int code, const char *says)
{
	run_dial(options);
	assert_null(w.conn);
	if (w.err.code != code || !strstr(w.err.text, says) || strstr(w.err.text, "p@ss") ||
		strstr(w.err.text, "p%40ss"))
		fail_msg("%d: %s", w.err.code, w.err.text);
}

/* Sends @text and waits for it to come back. */
static void echo(struct dial_conn *conn, const char *text)
{
	struct pollfd p = { .fd = dial_conn_fd(conn), .events = POLLIN };
	char back[64] = "";
	size_t have = 0;

	assert_int_equal(dial_conn_send(conn, text, strlen(text)), strlen(text));
	while (have < strlen(text)) {
		ssize_t n = dial_conn_receive(conn, back + have, sizeof(back) - 1 - have);

		if (n == -EAGAIN)
			assert_int_equal(poll(&p, 1, 20000), 1);
		else if (n <= 0)
			fail_msg("%zd", n);
		else
			have += (size_t) n;
	}
	assert_string_equal(back, text);
}

static void expect_echo(const struct dial_options *options)
{
	run_dial(options);
	if (!w.conn)
		fail_msg("%s", w.err.text);
	echo(w.conn, "hello");
	w.conn = dial_conn_free(w.conn);
}

/* The port may be any: the proxy leads to the server. */
static struct dial_options by_proxy(enum fake_proxy_mode mode, const char *user)
{
	struct dial_options options = to("relay.example.org");

	fake_proxy_free(w.proxy);
	w.proxy = fake_proxy_new(mode, w.port);
	(void) snprintf(w.proxy_url, sizeof(w.proxy_url), "http://%s%s127.0.0.1:%u", user,
		*user ? "@" : "", fake_proxy_port(w.proxy));
	options.port = 443;
	options.proxy = w.proxy_url;
	return options;
}

static uint16_t dead_port(void)
{
	uint16_t port;

	(void) close(fake_listen(&port));
	return port;
}

/* --- without a proxy --- */

static void test_direct(void **state)
{
	const struct ip_addr loopback = { AF_INET, { 127, 0, 0, 1 } };
	struct dial_options options = to("127.0.0.1"), known = to("Elsewhere.test");

	/* The environment's are nobody's business here. */
	assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
	expect_echo(&options);
	assert_int_equal(asked, 0);
	known.addrs = &loopback;
	known.n_addrs = 1;
	expect_echo(&known);
	assert_int_equal(asked, 0);
	assert_int_equal(unsetenv("https_proxy"), 0);
}

static void test_looked_up(void **state)
{
	struct dial_options options = to("relay.test"), nowhere = to("nowhere.test");

	expect_echo(&options);
	assert_int_equal(asked, 1);
	expect_error(&nowhere, -EHOSTUNREACH, "nowhere.test cannot be looked up: ");
}

static bool never(void *ctx, const struct ip_addr *addr)
{
	assert_ptr_equal(ctx, &w);
	w.refused++;
	return false;
}

static void test_may_use(void **state)
{
	struct dial_options options = to("relay.test");

	options.may_use = never;
	expect_error(&options, -EPERM, "relay.test is at 127.0.0.1, which is not used");
	assert_int_equal(w.refused, 1);
	options = by_proxy(FAKE_PROXY_OPEN, "");
	options.proxy = "http://proxy.test:3128";
	options.may_use = never;
	expect_error(&options, -EPERM, "proxy.test is at 127.0.0.1, which is not used");
}

static void test_other_key(void **state)
{
	struct dial_options options = to("127.0.0.1");
	char text[64];

	options.pin = w.other_pin;
	(void) snprintf(text, sizeof(text), "127.0.0.1:%u: that server's key is none", w.port);
	expect_error(&options, -EKEYREJECTED, text);
	options.pin = NULL; /* no CA vouches for it */
	expect_error(&options, -EPROTO, "certificate");
	options = by_proxy(FAKE_PROXY_OPEN, "");
	options.pin = w.other_pin;
	expect_error(&options, -EKEYREJECTED, "relay.example.org:443: that server's key");
}

static void test_no_server(void **state)
{
	struct dial_options options = to("127.0.0.1");

	options.port = dead_port();
	expect_error(&options, -ECONNREFUSED, "Connection refused");
	assert_int_equal(restart(SERVER_CLOSES), 0);
	options = to("127.0.0.1");
	expect_error(&options, -EPROTO, "127.0.0.1:");
	assert_int_equal(restart(SERVER_GARBAGE), 0);
	options = to("127.0.0.1");
	expect_error(&options, -EPROTO, "127.0.0.1:");
	options = by_proxy(FAKE_PROXY_OPEN, "");
	expect_error(&options, -EPROTO, "(by the proxy 127.0.0.1:");
}

static void test_in_time(void **state)
{
	struct dial_options options = to("slow.test");

	options.timeout_us = 100000;
	expect_error(&options, -ETIMEDOUT, "slow.test cannot be looked up: no answer in time");
	(void) sem_post(&gate);
	while (!answered)
		assert_int_equal(sched_yield(), 0);
	assert_int_equal(restart(SERVER_SILENT), 0);
	options = to("127.0.0.1");
	options.timeout_us = 100000;
	expect_error(&options, -ETIMEDOUT, "no answer in time");
	options = by_proxy(FAKE_PROXY_OPEN, "");
	options.timeout_us = 300000;
	expect_error(&options, -ETIMEDOUT, "no answer in time (by the proxy 127.0.0.1:");
	options = by_proxy(FAKE_PROXY_SILENT, "");
	options.timeout_us = 100000;
	expect_error(&options, -ETIMEDOUT, "the proxy 127.0.0.1:");
	options = by_proxy(FAKE_PROXY_HALF, "");
	options.timeout_us = 100000;
	expect_error(&options, -ETIMEDOUT, "the proxy 127.0.0.1:");
}

/* --- by a proxy --- */

static void test_open_proxy(void **state)
{
	struct dial_options options = by_proxy(FAKE_PROXY_OPEN, "");
	char text[64];

	expect_echo(&options);
	assert_string_equal(fake_proxy_target(w.proxy), "relay.example.org:443");
	options.host = "2001:db8::7";
	expect_echo(&options);
	assert_string_equal(fake_proxy_target(w.proxy), "[2001:db8::7]:443");
	assert_int_equal(asked, 0); /* the proxy looks names up */
	(void) snprintf(text, sizeof(text), "proxy.test:%u/", fake_proxy_port(w.proxy));
	options.proxy = text;
	expect_echo(&options);
	assert_int_equal(asked, 1);
}

static void test_password(void **state)
{
	struct dial_options options = by_proxy(FAKE_PROXY_BASIC, FAKE_PROXY_ENCODED);
	char text[64];

	expect_echo(&options);
	assert_int_equal(fake_proxy_connected(w.proxy), 1);
	options = by_proxy(FAKE_PROXY_BASIC, "us%20er:p%40ss");
	(void) snprintf(text, sizeof(text), "the proxy 127.0.0.1:%u wants another user or password",
		fake_proxy_port(w.proxy));
	expect_error(&options, -EACCES, text);
	assert_int_equal(fake_proxy_connected(w.proxy), 0);
	assert_int_equal(fake_proxy_asked(w.proxy), 2); /* and not again and again */
	options = by_proxy(FAKE_PROXY_BASIC, "");
	expect_error(&options, -EACCES, "wants a user and a password");
}

/* Who can do Digest is not told the password. */
static void test_digest(void **state)
{
	struct dial_options options = by_proxy(FAKE_PROXY_DIGEST, FAKE_PROXY_ENCODED);

	expect_echo(&options);
	assert_int_equal(fake_proxy_basic(w.proxy), 0);
	options = by_proxy(FAKE_PROXY_DIGEST, "us%20er:p%40ss");
	expect_error(&options, -EACCES, "wants another user or password");
	assert_int_equal(fake_proxy_basic(w.proxy), 0);
}

static void test_bad_proxies(void **state)
{
	static const struct {
		enum fake_proxy_mode mode;
		int code;
		const char *says;
	} cases[] = {
		{ FAKE_PROXY_DENIES, -EPERM,
			"does not let this through: it answers CONNECT with 403" },
		{ FAKE_PROXY_LOST, -EHOSTUNREACH, "it answers CONNECT with 502" },
		{ FAKE_PROXY_GARBAGE, -EIO, "the proxy 127.0.0.1:" },
		{ FAKE_PROXY_HEADS, -EFBIG, "answers without end" },
		{ FAKE_PROXY_LINE, -EIO, "the proxy 127.0.0.1:" },
		{ FAKE_PROXY_FLOOD, -EACCES, "wants another user or password" },
		{ FAKE_PROXY_CLOSES, -EIO, "the proxy 127.0.0.1:" },
	};
	struct dial_options options;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t begun = clock_now_us();

		options = by_proxy(cases[i].mode, FAKE_PROXY_ENCODED);
		expect_error(&options, cases[i].code, cases[i].says);
		assert_true(clock_now_us() - begun < 15 * USEC_PER_SEC);
	}
	options.proxy = "http://nowhere.test:3128";
	expect_error(&options, -EHOSTUNREACH, "nowhere.test cannot be looked up: ");
	(void) snprintf(w.proxy_url, sizeof(w.proxy_url), "http://127.0.0.1:%u", dead_port());
	options.proxy = w.proxy_url;
	expect_error(&options, -ECONNREFUSED, "the proxy 127.0.0.1:");
}

/* --- cancelling --- */

/* After @steps of the loop, or when it is over. */
static bool cancelled_after(const struct dial_options *options, unsigned steps)
{
	begin(options);
	for (unsigned i = 0; i < steps && !w.done; i++)
		assert_true(sd_event_run(w.event, 20000) >= 0);
	if (w.done) {
		w.conn = dial_conn_free(w.conn);
		w.done = 0;
		return false;
	}
	w.dial = dial_cancel(w.dial);
	while (sd_event_run(w.event, 0) > 0)
		;
	assert_int_equal(w.done, 0);
	return true;
}

static void test_cancel(void **state)
{
	struct dial_options options = to("relay.test"), slow = to("slow.test");

	assert_null(dial_cancel(NULL));
	assert_null(dial_conn_free(NULL));
	assert_true(cancelled_after(&slow, 3));
	(void) sem_post(&gate);
	assert_true(cancelled_after(&options, 0));
	for (unsigned steps = 1; cancelled_after(&options, steps); steps++)
		;
	options = by_proxy(FAKE_PROXY_BASIC, FAKE_PROXY_ENCODED);
	assert_true(cancelled_after(&options, 0));
	for (unsigned steps = 1; cancelled_after(&options, steps); steps++)
		;
	options = by_proxy(FAKE_PROXY_SILENT, "");
	assert_true(cancelled_after(&options, 20));
	assert_int_equal(restart(SERVER_SILENT), 0);
	options = by_proxy(FAKE_PROXY_OPEN, "");
	assert_true(cancelled_after(&options, 20));
}

static void test_options(void **state)
{
	const struct dial_options cases[] = {
		{ .host = "", .port = 1 },
		{ .host = "a/b", .port = 1 },
		{ .host = "a:1", .port = 1 },
		{ .host = "a@b", .port = 1 },
		{ .host = "relay.test" },
		{ .host = "relay.test", .port = 1, .pin = "x;sha256//y" },
		{ .host = "relay.test", .port = 1, .proxy = "ftp://user:secret@x" },
		{ .host = "relay.test", .port = 1, .proxy = "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dial *dial = NULL;
		struct err err = { 0 };

		assert_int_equal(dial_start(w.event, &cases[i], on_done, &w, &dial, &err), -EINVAL);
		assert_true(err.text[0] && !strstr(err.text, "secret"));
	}
}

/* --- the connection --- */

/* What a record holds beyond what was asked for is not in the socket any more. */
static void test_until_again(void **state)
{
	static char sent[10000], back[sizeof(sent)];
	struct dial_options options = to("127.0.0.1");
	struct pollfd p = { .events = POLLIN };
	size_t have = 0;
	ssize_t n;

	run_dial(&options);
	assert_non_null(w.conn);
	p.fd = dial_conn_fd(w.conn);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char) (i * 7);
	assert_int_equal(dial_conn_send(w.conn, sent, sizeof(sent)), sizeof(sent));
	while ((n = dial_conn_receive(w.conn, back, 10)) == -EAGAIN)
		assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(n, 10);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (have = 10; have < sizeof(sent); have += (size_t) n) {
		n = dial_conn_receive(w.conn, back + have, sizeof(back) - have);
		assert_true(n > 0);
	}
	assert_memory_equal(sent, back, sizeof(sent));
	assert_int_equal(dial_conn_receive(w.conn, back, 1), -EAGAIN);
}

/* The other end goes. */
static void test_end(void **state)
{
	struct dial_options options = to("127.0.0.1");
	struct pollfd p = { .events = POLLIN };
	char c;
	ssize_t n;

	run_dial(&options);
	assert_non_null(w.conn);
	echo(w.conn, "x");
	w.ends = true;
	p.fd = dial_conn_fd(w.conn);
	while ((n = dial_conn_receive(w.conn, &c, 1)) == -EAGAIN)
		assert_int_equal(poll(&p, 1, 20000), 1);
	assert_true(n <= 0);
	assert_true(dial_conn_receive(w.conn, &c, 1) <= 0);
}

enum { LOAD = 1 << 20 };

/* As the ferry's thread does it: both ways at once, never waiting in a call. */
static void *carry_main(void *arg)
{
	struct dial_conn *conn = arg;
	static _Thread_local char out[50000], in[8192];
	size_t sent = 0, got = 0, offset = 0;

	while (got < LOAD) {
		struct pollfd p = { .fd = dial_conn_fd(conn),
			.events = (short) (POLLIN | (sent < LOAD ? POLLOUT : 0)) };
		size_t left =
			LOAD - sent < sizeof(out) - offset ? LOAD - sent : sizeof(out) - offset;
		ssize_t n = left ? dial_conn_send(conn, out + offset, left) : 0;

		if (n < 0 && n != -EAGAIN)
			return (void *) "send";
		sent += n > 0 ? (size_t) n : 0;
		offset = n > 0 ? (offset + (size_t) n) % sizeof(out) : offset;
		while ((n = dial_conn_receive(conn, in, sizeof(in))) > 0)
			got += (size_t) n;
		if (n != -EAGAIN)
			return (void *) "receive";
		if (got < LOAD && poll(&p, 1, 20000) != 1)
			return (void *) "poll";
	}
	return NULL;
}

/* While the loop dials on, and frees what others used. */
static void test_other_threads(void **state)
{
	struct dial_options options = by_proxy(FAKE_PROXY_OPEN, ""), more = to("relay.test");
	struct dial_conn *conns[4];
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(conns); i++) {
		run_dial(i % 2 ? &options : &more);
		assert_non_null(w.conn);
		conns[i] = TAKE(w.conn);
		assert_int_equal(pthread_create(&threads[i], NULL, carry_main, conns[i]), 0);
	}
	expect_echo(&more);
	expect_echo(&options);
	for (size_t i = 0; i < ARRAY_LEN(conns); i++) {
		void *what;

		assert_int_equal(pthread_join(threads[i], &what), 0);
		if (what)
			fail_msg("%s", (const char *) what);
		assert_null(dial_conn_free(conns[i]));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(direct),
		TEST(looked_up),
		TEST(may_use),
		TEST(other_key),
		TEST(no_server),
		TEST(in_time),
		TEST(open_proxy),
		TEST(password),
		TEST(digest),
		TEST(bad_proxies),
		TEST(cancel),
		TEST(options),
		TEST(until_again),
		TEST(end),
		TEST(other_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
