/* derp-conn: see derp-conn.h. */
#include "relay/derp-conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"

enum {
	FLUSH_MAX = 1 << 20, /* at once, before others have their turn */
	NOT_SENT_FIRST = 64 << 10,
	NOT_SENT_LEAST = 16 << 10,
	NOT_SENT_MOST = 512 << 10,
	RECORD_LEAST = 4096,
};

#define SPAN_US      (100 * USEC_PER_MSEC) /* to measure a line */
#define LINE_HOLD_US (10 * USEC_PER_MSEC)

/* Best effort: they fail on sockets other than TCP. A peer that vanished is noticed sooner. */
static void set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 30 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 10 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_FIRST },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void) setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			sizeof(options[i].value));
}

int derp_conn_new(sd_event *event, int fd, struct tls_stream *tls, sd_event_io_handler_t handler,
	struct derp_conn **ret)
{
	struct derp_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->events = EPOLLIN;
	r = sd_event_add_io(event, &c->io, fd, c->events, handler, c);
	if (r < 0) {
		free(c);
		return r;
	}
	set_options(fd);
	c->not_sent_max = NOT_SENT_FIRST;
	c->tls = tls;
	*ret = c;
	return 0;
}

struct derp_conn *derp_conn_free(struct derp_conn *c)
{
	if (!c)
		return NULL;
	sd_event_source_disable_unref(c->io);
	derp_client_done(&c->client);
	(void) tls_stream_free(c->tls);
	free(c);
	return NULL;
}

static bool is_ending(const struct derp_conn *c)
{
	return c->client.state == DERP_CLIENT_ENDING;
}

/* It is the end of the stream, or of our patience with it. */
static void cut_off(struct derp_conn *c, ssize_t why, uint64_t now_us)
{
	bool garbage = why == -EPROTO || why == -ENOBUFS;

	if (why < 0)
		c->broken = true;
	derp_client_end(&c->client, garbage ? DERP_END_TLS : DERP_END_CLOSED, NULL, now_us);
}

bool derp_conn_read(struct derp_conn *c, uint8_t *scratch, uint64_t now_us)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < DERP_CONN_READ_MAX && !is_ending(c)) {
		n = tls_stream_read(c->tls, scratch, DERP_CONN_READ_MAX);
		if (n <= 0)
			break;
		derp_client_input(&c->client, scratch, (size_t) n, now_us);
		len += (size_t) n;
	}
	if (is_ending(c))
		return false;
	if (n > 0)
		return true;
	if (n != -EAGAIN)
		cut_off(c, n, now_us);
	return false;
}

/* --- sending --- */

size_t derp_conn_not_sent(size_t bytes, uint64_t span_us)
{
	uint64_t n = (uint64_t) bytes * LINE_HOLD_US / span_us;

	return n < NOT_SENT_LEAST ? NOT_SENT_LEAST : n > NOT_SENT_MOST ? NOT_SENT_MOST : n;
}

/*
 * What the kernel holds waits unseen, behind CoDel's back: it should be as little as keeps the line
 * busy until we are woken. @sent went out, and if @full more waits for the line.
 */
static void measure(struct derp_conn *c, size_t sent, bool full, uint64_t now_us)
{
	size_t most;
	int value;

	c->span_bytes += sent;
	if (!full || !c->span_us) {
		c->span_us = full ? now_us : 0;
		c->span_bytes = 0;
		return;
	}
	if (now_us - c->span_us < SPAN_US)
		return;
	most = derp_conn_not_sent(c->span_bytes, now_us - c->span_us);
	c->span_us = now_us;
	c->span_bytes = 0;
	if (most < c->not_sent_max * 3 / 2 && most > c->not_sent_max * 2 / 3)
		return;
	value = (int) most;
	c->not_sent_max = most;
	(void) setsockopt(sd_event_source_get_io_fd(c->io), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value,
		sizeof(value));
}

/* On a slow line records are small, too: a whole one must have come before it can be read. */
static size_t record_max(const struct derp_conn *c)
{
	size_t n = c->not_sent_max / 4;

	return n < RECORD_LEAST ? RECORD_LEAST : n > TLS_RECORD_MAX ? TLS_RECORD_MAX : n;
}

void derp_conn_flush(struct derp_conn *c, uint64_t now_us)
{
	uint8_t out[TLS_RECORD_MAX];
	size_t sent = 0;
	int r = 0;

	while (sent < FLUSH_MAX && !c->broken) {
		size_t n;

		r = tls_stream_flush(c->tls);
		if (r < 0 || !tls_stream_is_open(c->tls))
			break;
		n = derp_client_output(&c->client, out, record_max(c), now_us);
		if (n == 0)
			break;
		r = tls_stream_write(c->tls, out, n);
		if (r < 0)
			break;
		sent += n;
	}
	measure(c, sent, r == -EAGAIN, now_us);
	if (r < 0 && r != -EAGAIN)
		cut_off(c, r, now_us);
}

void derp_conn_watch(struct derp_conn *c)
{
	bool writes = tls_stream_keeps(c->tls) ||
		      (tls_stream_is_open(c->tls) && derp_client_has_output(&c->client));
	bool reads = !is_ending(c) && (c->proved || !c->waits);
	uint32_t events = (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0);

	if (events != c->events && sd_event_source_set_io_events(c->io, events) >= 0)
		c->events = events;
}

bool derp_conn_is_over(const struct derp_conn *c, uint64_t now_us)
{
	if (c->broken)
		return true;
	if (!derp_client_is_over(&c->client, now_us))
		return false;
	return !tls_stream_keeps(c->tls) || now_us >= derp_client_due_us(&c->client);
}

void derp_conn_note(struct derp_conn *c, uint32_t node)
{
	size_t at = 0;

	while (at < DERP_CONN_PARTNERS - 1 && c->partners[at] != node)
		at++;
	memmove(c->partners + 1, c->partners, at * sizeof(c->partners[0]));
	c->partners[0] = node;
}
