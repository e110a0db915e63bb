/*
 * ipc client: see ipc.h. The blocking and the asynchronous call are one non-blocking machine: send
 * all, then receive one message. Descriptors that come along unasked for are closed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/json.h"
#include "sys/ipc/frame.h"
#include "sys/ipc/ipc.h"
#include "sys/ipc/tcp.h"

enum { FDS_MAX = 4 };

struct call {
	int fd;
	uint8_t *out;
	size_t out_len, out_pos;
	int refused; /* errno of sending, 0: none */
	struct ipc_reader reader;
	struct ipc_reply reply;
};

struct ipc_async {
	struct call call;
	char *path;
	sd_event_source *on_io, *on_timeout;
	ipc_done_fn done;
	void *ctx;
};

void ipc_reply_done(struct ipc_reply *reply)
{
	json_decref(reply->ok);
	reply->ok = NULL;
	close_p(&reply->fd);
	reply->fd = -1;
}

static void call_done(struct call *c)
{
	if (c->out)
		explicit_bzero(c->out, c->out_len);
	free(c->out);
	ipc_reader_done(&c->reader);
	ipc_reply_done(&c->reply);
	close_p(&c->fd);
}

static int explain(int r, const char *path, struct err *err)
{
	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
		return err_set(err, r, "nobody answers at %s: is the daemon running?", path);
	case -EACCES:
	case -EPERM:
		return err_set(err, r, "%s: no permission: run this as root", path);
	case -ETIMEDOUT:
		return err_set(err, r, "%s: no answer in time", path);
	case -EAGAIN:
		return err_set(err, r, "%s: the daemon is too busy to answer", path);
	case -ECONNRESET:
	case -EPIPE:
		return err_set(err, r, "%s: the daemon closed the connection", path);
	default:
		return err_set(err, r, "talk to %s: %s", path, strerror(-r));
	}
}

static int call_begin(struct call *c, const char *name, const json_t *args)
{
	CLEANUP_JSON json_t *empty = json_object();
	CLEANUP_JSON json_t *message = json_pack(
		"{s:s, s:O}", "call", name, "args", args ? (json_t *) (uintptr_t) args : empty);

	*c = (struct call){ .fd = -1, .reader = { .max = IPC_MESSAGE_MAX }, .reply = { .fd = -1 } };
	return message ? ipc_frame(message, &c->out, &c->out_len) : -ENOMEM;
}

static int call_connect(struct call *c, const char *path, uint64_t timeout_us)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	(void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	/* EAGAIN: the backlog is full. A blocking caller waits a little, in steps. */
	for (uint64_t waited = 0; connect(c->fd, (struct sockaddr *) &sa, sizeof(sa)) < 0;
		waited += 20 * USEC_PER_MSEC) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || waited >= timeout_us)
			return -errno;
		(void) poll(NULL, 0, 20);
	}
	return 0;
}

static void take_fds(struct call *c, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (c->reply.fd < 0)
				c->reply.fd = fd;
			else
				(void) close(fd);
		}
	}
}

static ssize_t receive(struct call *c, uint8_t *chunk, size_t len)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct iovec iov = { chunk, len };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);

	if (n >= 0)
		take_fds(c, &m);
	return n;
}

static int parse_reply(struct call *c, struct err *err)
{
	CLEANUP_JSON json_t *doc = json_parse(buf_str(&c->reader.body), c->reader.body.len, err);

	if (!doc)
		return err_set(err, -EPROTO, "the daemon's answer cannot be understood");
	return ipc_reply_parse(doc, &c->reply, err);
}

/*
 * Goes as far as it can. 1: the reply is there (*ret is its result), 0: wait for *ret_events,
 * negative: the connection failed.
 */
static int call_step(struct call *c, short *ret_events, int *ret, struct err *err)
{
	uint8_t chunk[65536];

	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			*ret_events = POLLOUT;
			return 0;
		}
		if (n < 0) { /* refused while we were writing: there may be an answer */
			c->refused = errno;
			c->out_pos = c->out_len;
			break;
		}
		c->out_pos += (size_t) n;
	}
	for (;;) {
		ssize_t n = receive(c, chunk, ipc_reader_wants(&c->reader));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			*ret_events = POLLIN;
			return 0;
		}
		if (n < 0)
			return -errno;
		if (n == 0) /* why may have been told before: there never was a connection */
			return c->refused ? -c->refused : -ECONNRESET;
		int r = ipc_reader_add(&c->reader, chunk, (size_t) n);

		if (r < 0)
			return r;
		if (r > 0) {
			*ret = parse_reply(c, err);
			return 1;
		}
	}
}

static int wait_for(int fd, short events, uint64_t deadline_us)
{
	struct pollfd p = { fd, events, 0 };

	for (;;) {
		int timeout = -1;

		if (deadline_us) {
			uint64_t now = clock_now_us();

			if (now >= deadline_us)
				return -ETIMEDOUT;
			uint64_t ms = (deadline_us - now + 999) / 1000;

			timeout = ms > 3600000 ? 3600000 : (int) ms;
		}
		int n = poll(&p, 1, timeout);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int ipc_call(const char *path, const char *call, const json_t *args, uint64_t timeout_us,
	struct ipc_reply *ret, struct err *err)
{
	CLEANUP(call_done) struct call c = { .fd = -1, .reply = { .fd = -1 } };
	uint64_t deadline = timeout_us ? clock_now_us() + timeout_us : 0;
	short events = 0;
	int result = 0;

	*ret = (struct ipc_reply){ .fd = -1 };
	int r = call_begin(&c, call, args);

	if (r == 0)
		r = call_connect(&c, path, timeout_us ? timeout_us : UINT64_MAX);
	while (r == 0) {
		r = call_step(&c, &events, &result, err);
		if (r == 0)
			r = wait_for(c.fd, events, deadline);
		else if (r > 0)
			break;
	}
	if (r < 0)
		return explain(r, path, err);
	*ret = c.reply;
	c.reply = (struct ipc_reply){ .fd = -1 };
	return result;
}

static struct ipc_async *async_free(struct ipc_async *a)
{
	if (!a)
		return NULL;
	sd_event_source_disable_unref(a->on_io);
	sd_event_source_disable_unref(a->on_timeout);
	call_done(&a->call);
	free(a->path);
	free(a);
	return NULL;
}

static void async_end(struct ipc_async *a, int r, const struct err *err)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = a->call.reply;
	ipc_done_fn done = a->done;
	void *ctx = a->ctx;

	a->call.reply = (struct ipc_reply){ .fd = -1 };
	(void) async_free(a);
	done(ctx, r, &reply, err);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct ipc_async *a = ctx;
	struct err err = { 0 };
	short events = 0;
	int result = 0;
	int r = call_step(&a->call, &events, &result, &err);

	if (r == 0) {
		(void) sd_event_source_set_io_events(
			source, events == POLLOUT ? EPOLLOUT : EPOLLIN);
		return 0;
	}
	if (r < 0)
		result = explain(r, a->path, &err);
	async_end(a, result, &err);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct ipc_async *a = ctx;
	struct err err = { 0 };

	async_end(a, explain(-ETIMEDOUT, a->path, &err), &err);
	return 0;
}

/* @path is what is called so in errors; @to NULL: it is a local socket. */
static int call_async(sd_event *event, const char *path, const struct endpoint *to,
	const char *call, const json_t *args, uint64_t timeout_us, ipc_done_fn done, void *ctx,
	struct ipc_async **ret, struct err *err)
{
	struct ipc_async *a = calloc(1, sizeof(*a));

	if (!a)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	a->done = done;
	a->ctx = ctx;
	int r = call_begin(&a->call, call, args);

	if (r == 0)
		r = to ? tcp_connect(to, &a->call.fd) : call_connect(&a->call, path, 0);
	if (r >= 0 && !(a->path = strdup(path)))
		r = -ENOMEM;
	if (r >= 0)
		r = sd_event_add_io(event, &a->on_io, a->call.fd, EPOLLOUT, on_io, a);
	if (r >= 0 && timeout_us)
		r = sd_event_add_time_relative(event, &a->on_timeout, CLOCK_BOOTTIME, timeout_us,
			USEC_PER_MSEC, on_timeout, a);
	if (r < 0) {
		(void) async_free(a);
		return explain(r, path, err);
	}
	if (ret)
		*ret = a;
	return 0;
}

int ipc_call_async(sd_event *event, const char *path, const char *call, const json_t *args,
	uint64_t timeout_us, ipc_done_fn done, void *ctx, struct ipc_async **ret, struct err *err)
{
	return call_async(event, path, NULL, call, args, timeout_us, done, ctx, ret, err);
}

int ipc_call_async_tcp(sd_event *event, const struct endpoint *to, const char *call,
	const json_t *args, uint64_t timeout_us, ipc_done_fn done, void *ctx,
	struct ipc_async **ret, struct err *err)
{
	char text[ENDPOINT_TEXT_MAX];

	return call_async(
		event, endpoint_format(to, text), to, call, args, timeout_us, done, ctx, ret, err);
}
struct ipc_async *ipc_async_cancel(struct ipc_async *async)
{
	return async_free(async);
}
