/* carry-link: see carry-link.h. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "coordinator/carry-link.h"

void link_end(struct link *l)
{
	*l->pprev = l->next;
	if (l->next)
		l->next->pprev = l->pprev;
	if (l->pump)
		l->target->core->n_carried--;
	sd_event_source_disable_unref(l->io);
	(void) pump_free(l->pump);
	(void) tls_stream_free(l->tls);
	close_p(&l->fd);
	free(l);
}

static void fail(struct link *l, const struct err *why)
{
	struct target *target = l->target;

	link_end(l);
	target->core->hooks->failed(target, why);
}

static void fail_with(struct link *l, int r, const char *text)
{
	struct err err = { 0 };

	(void) err_set(&err, r, "%s", text);
	fail(l, &err);
}

/* --- a client --- */

static bool send_frame(struct link *l, enum pass_type type)
{
	uint8_t data[PASS_FRAME_LEN];

	pass_frame_put(&(struct pass_frame){ .type = type }, data);
	return tls_stream_keeps(l->tls) || tls_stream_write(l->tls, data, sizeof(data)) == 0;
}

static void on_over(void *ctx, struct pump *pump)
{
	struct link *l = ctx;
	struct target *target = l->target;

	link_end(l);
	target->core->hooks->used(target);
}

/* Two ends of a stream in this process; the other one is the server's. */
static int take(struct link *l, const struct endpoint *client, int *ret_fd)
{
	const struct link_core *core = l->target->core;
	int pair[2];

	if (!core->hooks->may_take(l->target, client) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -EAGAIN;
	if (core->take(core->ctx, pair[1], client) < 0) {
		(void) close(pair[0]);
		return -EAGAIN;
	}
	*ret_fd = pair[0];
	return 0;
}

/* From now on it is the pump's: @more is what the client has said. */
static int carry_on(struct link *l, int fd, const uint8_t *more, size_t len)
{
	const struct pump_ends ends = { .tls = l->tls,
		.tls_fd = l->tls_fd,
		.fd = fd,
		.to_socket = more,
		.to_socket_len = len };
	int r;

	l->io = sd_event_source_disable_unref(l->io);
	r = pump_new(l->target->core->event, &ends, on_over, l, &l->pump);
	if (r < 0) {
		(void) close(fd);
		return r;
	}
	l->tls = NULL;
	l->state = LINK_CARRYING;
	l->target->core->n_carried++;
	return 0;
}

static void open_client(
	struct link *l, const struct pass_frame *frame, const uint8_t *more, size_t len)
{
	struct target *target = l->target;
	struct link_core *core = target->core;
	const struct endpoint client = { .addr = target->any_key ? l->addr : frame->client.addr,
		.port = frame->client.port };
	int fd = -1, r = take(l, &client, &fd);

	target->more = frame->waiting;
	if (frame->waiting)
		target->more_until_us = clock_now_us() + LINK_SILENT_US;
	if (r < 0)
		(void) send_frame(l, PASS_FULL);
	else if (!send_frame(l, PASS_TAKEN))
		close_p(&fd);
	if (fd < 0 || carry_on(l, fd, more, len) < 0) {
		core->refused++;
		link_end(l);
	} else {
		core->taken++;
	}
	target->core->hooks->used(target);
}

/* --- frames --- */

/* False: @l is gone, or carries a client. */
static bool take_frame(struct link *l, const uint8_t *more, size_t len)
{
	struct pass_frame frame;

	l->have = 0;
	if (!l->asked || pass_frame_parse(l->frame, &frame) < 0 ||
		(frame.type != PASS_PING && frame.type != PASS_OPEN)) {
		fail_with(l, -EPROTO, "it says what has no place there");
		return false;
	}
	l->heard_us = clock_now_us();
	if (l->state == LINK_SHAKING) { /* it knows our key */
		l->state = LINK_PARKED;
		l->target->core->hooks->up(l->target, l->pin);
	}
	if (frame.type == PASS_OPEN) {
		open_client(l, &frame, more, len);
		return false;
	}
	if (send_frame(l, PASS_PONG))
		return true;
	fail_with(l, -EPIPE, "the connection broke");
	return false;
}

/* The same. */
static bool take_bytes(struct link *l, const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = PASS_FRAME_LEN - l->have;

		n = n < len ? n : len;
		memcpy(l->frame + l->have, data, n);
		l->have += n;
		data += n;
		len -= n;
		if (l->have == PASS_FRAME_LEN && !take_frame(l, data, len))
			return false;
	}
	return true;
}

/* --- its socket --- */

static void watch(struct link *l)
{
	uint32_t events = EPOLLIN | (tls_stream_keeps(l->tls) ? EPOLLOUT : 0);

	if (events != l->events && sd_event_source_set_io_events(l->io, events) >= 0)
		l->events = events;
}

/* The key is the relay's, and it holds it: what it says may be believed. */
static bool prove(struct link *l)
{
	const struct target *t = l->target;

	if (l->asked || !tls_stream_is_open(l->tls))
		return true;
	if (tls_stream_peer_pin(l->tls, l->pin) < 0) {
		fail_with(l, -EKEYREJECTED, "what answers there is no relay");
		return false;
	}
	if (!t->any_key && memcmp(l->pin, t->relay.pin, sizeof(l->pin)) != 0) {
		fail_with(l, -EKEYREJECTED, "what answers there has another key than its record");
		return false;
	}
	if (!send_frame(l, PASS_PARK)) {
		fail_with(l, -EPIPE, "the connection broke");
		return false;
	}
	l->asked = true;
	return true;
}

/* Why a stream ends that should not. */
static const char *reason(const struct link *l, ssize_t r)
{
	if (l->asked && l->state == LINK_SHAKING)
		return "it knows no coordinator of this key, or not yet";
	return r == -EPROTO ? "no TLS is spoken there" : "it has closed the connection";
}

static void go_on(struct link *l)
{
	uint8_t data[TLS_RECORD_MAX];
	ssize_t n;
	int r;

	do {
		n = tls_stream_read(l->tls, data, sizeof(data));
		if (!prove(l) || (n > 0 && !take_bytes(l, data, (size_t) n)))
			return;
	} while (n > 0);
	r = tls_stream_flush(l->tls);
	if (n == -EAGAIN && (r == 0 || r == -EAGAIN))
		return watch(l);
	fail_with(l, l->asked ? -ECONNRESET : -EPROTO, reason(l, n));
}

/* TCP's answer is there. */
static void is_connected(struct link *l)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == ENETUNREACH)
		error = EHOSTUNREACH; /* a router says so: this machine has a way there */
	if (error)
		return fail_with(l, -error, strerror(error));
	l->tls = tls_stream_connect(l->target->core->tls, l->fd, PASS_PARK_NAME);
	if (!l->tls)
		return fail_with(l, -ENOMEM, "out of memory");
	l->tls_fd = take_fd(&l->fd);
	l->state = LINK_SHAKING;
	go_on(l);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct link *l = ctx;

	if (l->state == LINK_CONNECTING)
		is_connected(l);
	else
		go_on(l);
	return 0;
}

/* --- from outside --- */

/* Best effort: a relay that vanished is noticed sooner. */
static void set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void) setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			sizeof(options[i].value));
}

static int start(struct link *l, const struct ip_addr *addr)
{
	const struct endpoint to = { .addr = *addr, .port = l->target->relay.tcp };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&to, &sa);

	l->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	set_options(l->fd);
	if (connect(l->fd, (struct sockaddr *) &sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return sd_event_add_io(l->target->core->event, &l->io, l->fd, l->events, on_io, l);
}

void link_begin(struct target *target, const struct ip_addr *addr)
{
	struct link *l = calloc(1, sizeof(*l));
	struct err err = { 0 };
	int r;

	if (!l) {
		(void) err_set(&err, -ENOMEM, "out of memory");
		return target->core->hooks->failed(target, &err);
	}
	*l = (struct link){ .target = target, .fd = -1, .events = EPOLLOUT, .addr = *addr };
	l->since_us = l->heard_us = clock_now_us();
	l->next = target->links;
	l->pprev = &target->links;
	if (l->next)
		l->next->pprev = &l->next;
	target->links = l;
	r = start(l, addr);
	if (r < 0)
		fail_with(l, r, strerror(-r));
}

uint64_t link_due_us(const struct link *l)
{
	switch (l->state) {
	case LINK_CONNECTING:
	case LINK_SHAKING:
		return l->since_us + LINK_CONNECT_US;
	case LINK_PARKED:
		return l->heard_us + LINK_SILENT_US;
	case LINK_CARRYING:
		break;
	}
	return clock_now_us() + LINK_SILENT_US; /* a pump asks for nothing sooner */
}

void link_look(struct link *l, uint64_t now_us)
{
	if (l->state == LINK_CARRYING) {
		if (pump_is_stuck(l->pump, now_us))
			on_over(l, l->pump);
	} else if (now_us >= link_due_us(l)) {
		fail_with(l, -ETIMEDOUT,
			l->state == LINK_PARKED ? "it has been silent" : "no answer");
	}
}
