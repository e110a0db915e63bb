/*
 * pump: see pump.h. Both sockets are watched for what is waited for now. What OpenSSL has read and
 * not handed out, the socket does not tell of: so the stream is read until it has no more, or until
 * the other side takes none; when that takes again, the stream is read again.
 */
#include "sys/tls/pump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

enum { ROUNDS = 8 /* of a record, before others have their turn */ };

struct way {
	struct buf wait; /* what the far end has not taken */
	size_t sent;
	bool ended; /* nothing more comes */
	bool deaf;  /* the far end is gone: what was for it is thrown away */
	uint64_t bytes;
};

struct pump {
	struct tls_stream *tls;
	int fd;
	sd_event_source *on_tls, *on_fd;
	uint32_t tls_events, fd_events;
	pump_over_fn over;
	void *ctx;
	struct way to_socket, to_tls;
	bool broken;
	bool again;         /* there was more than its turn */
	uint64_t moved_us;  /* the last byte */
	uint64_t ending_us; /* one of them has ended; 0: none */
};

static void note(struct pump *p, struct way *way, size_t n, uint64_t now_us)
{
	way->bytes += n;
	p->moved_us = now_us;
}

/* What the far end has said before it went is still to be read. */
static void turn_deaf(struct way *way)
{
	way->deaf = true;
	way->sent = 0;
	buf_done(&way->wait);
}

/* --- to the socket --- */

static bool flush_socket(struct pump *p)
{
	struct way *w = &p->to_socket;
	size_t left = w->wait.len - w->sent;
	ssize_t n;

	if (!left)
		return true;
	n = send(p->fd, w->wait.data + w->sent, left, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		turn_deaf(w);
		return true;
	}
	w->sent += n > 0 ? (size_t) n : 0;
	if (w->sent < w->wait.len)
		return false;
	buf_done(&w->wait);
	w->sent = 0;
	return true;
}

/* False: no more now. */
static bool from_tls(struct pump *p, uint64_t now_us)
{
	struct way *w = &p->to_socket;
	uint8_t data[TLS_RECORD_MAX];
	ssize_t n;

	if (p->broken || w->deaf || w->ended || !flush_socket(p))
		return false;
	n = tls_stream_read(p->tls, data, sizeof(data));
	if (n <= 0) {
		w->ended = n != -EAGAIN;
		return false;
	}
	note(p, w, (size_t) n, now_us);
	buf_add(&w->wait, data, (size_t) n);
	if (buf_failed(&w->wait))
		p->broken = true;
	return !p->broken && flush_socket(p);
}

/* --- from it --- */

static bool flush_tls(struct pump *p)
{
	struct way *w = &p->to_tls;
	int r = w->deaf ? 0 : tls_stream_flush(p->tls);

	while (r == 0 && w->sent < w->wait.len) {
		size_t left = w->wait.len - w->sent;
		size_t n = left < TLS_RECORD_MAX ? left : TLS_RECORD_MAX;

		r = tls_stream_write(p->tls, w->wait.data + w->sent, n);
		w->sent += n;
		if (r == 0)
			r = tls_stream_flush(p->tls);
	}
	if (r < 0 && r != -EAGAIN)
		p->broken = true;
	if (w->sent == w->wait.len) {
		buf_done(&w->wait);
		w->sent = 0;
	}
	return r == 0;
}

static bool from_socket(struct pump *p, uint64_t now_us)
{
	struct way *w = &p->to_tls;
	uint8_t data[TLS_RECORD_MAX];
	ssize_t n;

	if (p->broken || w->deaf || w->ended || !flush_tls(p))
		return false;
	n = recv(p->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0) {
		w->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		return false;
	}
	note(p, w, (size_t) n, now_us);
	if (tls_stream_write(p->tls, data, (size_t) n) < 0)
		p->broken = true;
	return !p->broken;
}

/* --- events --- */

static bool keeps_for_tls(const struct pump *p)
{
	return !p->to_tls.deaf && (p->to_tls.wait.len || tls_stream_keeps(p->tls));
}

static bool is_over(const struct pump *p)
{
	return p->broken || (p->to_socket.deaf && p->to_tls.deaf) ||
	       (p->to_socket.ended && !p->to_socket.wait.len) ||
	       (p->to_tls.ended && !keeps_for_tls(p));
}

static void watch(sd_event_source *source, uint32_t *events, uint32_t wanted)
{
	if (wanted != *events && sd_event_source_set_io_events(source, wanted) >= 0)
		*events = wanted;
}

/* A socket that can be written to wakes us at once: so does whoever has had his turn. */
static void watch_both(struct pump *p)
{
	bool socket_waits = p->to_socket.wait.len > 0, tls_waits = keeps_for_tls(p);

	watch(p->on_tls, &p->tls_events,
		(socket_waits || p->to_socket.deaf || p->to_socket.ended ? 0 : EPOLLIN) |
			(tls_waits || p->again ? EPOLLOUT : 0));
	watch(p->on_fd, &p->fd_events,
		(tls_waits || p->to_tls.deaf || p->to_tls.ended ? 0 : EPOLLIN) |
			(socket_waits || p->again ? EPOLLOUT : 0));
}

static void step(struct pump *p)
{
	uint64_t now_us = clock_now_us();
	int down = 0, up = 0;

	while (down < ROUNDS && from_tls(p, now_us))
		down++;
	while (up < ROUNDS && from_socket(p, now_us))
		up++;
	(void) flush_tls(p);
	p->again = down == ROUNDS || up == ROUNDS;
	if (!p->ending_us &&
		(p->to_socket.ended || p->to_tls.ended || p->to_socket.deaf || p->to_tls.deaf))
		p->ending_us = now_us;
	if (is_over(p))
		p->over(p->ctx, p);
	else
		watch_both(p);
}

/* Once it is gone, no event waits for what is still to be read: the other side's do. */
static void look_for_end(sd_event_source *source, uint32_t revents, struct way *way)
{
	if (!(revents & (EPOLLERR | EPOLLHUP)))
		return;
	turn_deaf(way);
	(void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_tls(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct pump *p = ctx;

	look_for_end(source, revents, &p->to_tls);
	step(p);
	return 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct pump *p = ctx;

	look_for_end(source, revents, &p->to_socket);
	step(p);
	return 0;
}

/* --- its life --- */

int pump_new(sd_event *event, const struct pump_ends *ends, pump_over_fn over, void *ctx,
	struct pump **ret)
{
	struct pump *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	if (!p)
		return r;
	p->fd = -1;
	p->over = over;
	p->ctx = ctx;
	p->moved_us = clock_now_us();
	if (ends->to_socket_len)
		buf_add(&p->to_socket.wait, ends->to_socket, ends->to_socket_len);
	if (ends->to_tls_len)
		buf_add(&p->to_tls.wait, ends->to_tls, ends->to_tls_len);
	if (!buf_failed(&p->to_socket.wait) && !buf_failed(&p->to_tls.wait))
		r = 0;
	p->to_socket.bytes = ends->to_socket_len;
	p->to_tls.bytes = ends->to_tls_len;
	p->tls_events = EPOLLIN;
	p->fd_events = EPOLLIN | EPOLLOUT; /* which wakes it, for its first turn */
	if (r == 0)
		r = sd_event_add_io(event, &p->on_tls, ends->tls_fd, p->tls_events, on_tls, p);
	if (r >= 0)
		r = sd_event_add_io(event, &p->on_fd, ends->fd, p->fd_events, on_socket, p);
	if (r < 0)
		return pump_free(p), r;
	p->tls = ends->tls;
	p->fd = ends->fd;
	*ret = p;
	return 0;
}

struct pump *pump_free(struct pump *p)
{
	if (!p)
		return NULL;
	sd_event_source_disable_unref(p->on_tls);
	sd_event_source_disable_unref(p->on_fd);
	(void) tls_stream_free(p->tls);
	close_p(&p->fd);
	buf_done(&p->to_socket.wait);
	buf_done(&p->to_tls.wait);
	free(p);
	return NULL;
}

bool pump_is_stuck(const struct pump *p, uint64_t now_us)
{
	return (p->ending_us && now_us - p->ending_us >= PUMP_ENDING_US) ||
	       now_us - p->moved_us >= PUMP_IDLE_US;
}

void pump_bytes(const struct pump *p, uint64_t *ret_to, uint64_t *ret_from)
{
	*ret_to = p->to_socket.bytes;
	*ret_from = p->to_tls.bytes;
}
