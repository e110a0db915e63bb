/*
 * The calls of the control thread. What one needs (sockets, memory) is made, and what it leaves is
 * freed, by the caller; the ferry's thread only puts it in or takes it out, between two turns. The
 * lists change by these calls alone, so that the caller may read them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "tunnel/ferry-internal.h"

/* --- peers --- */

static int enter_peer(struct ferry *f, void *arg)
{
	struct passenger *p = arg;
	int r = ferry_listen_to(f, &p->source);

	if (r == 0)
		ferry_passenger_enter(f, p);
	return r;
}

int ferry_peer_add(struct ferry *f, uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	struct endpoint *ret)
{
	struct passenger *p = ferry_passenger_find(f, node);
	int r;

	if (p) {
		*ret = p->at;
		return 0;
	}
	if (node == 0)
		return -EINVAL;
	if (f->n_peers == FERRY_PEERS_MAX)
		return -ENOSPC;
	r = ferry_passenger_new(node, key, &f->tunnel, &p);
	if (r < 0)
		return r;
	r = ferry_call(f, enter_peer, p);
	if (r < 0) {
		ferry_passenger_free(p);
		return r;
	}
	*ret = p->at;
	return 0;
}

static int leave_peer(struct ferry *f, void *arg)
{
	struct passenger *p = arg;

	ferry_listen_no_more(f, &p->source);
	f->counters.to_relay_full += ferry_source_lost(&p->source);
	ferry_passenger_leave(f, p);
	return 0;
}

void ferry_peer_remove(struct ferry *f, uint32_t node)
{
	struct passenger *p = ferry_passenger_find(f, node);

	if (!p)
		return;
	(void) ferry_call(f, leave_peer, p);
	ferry_passenger_free(p);
}

struct choice {
	struct passenger *peer;
	uint32_t relay;
};

static int choose_relay(struct ferry *f, void *arg)
{
	const struct choice *choice = arg;

	choice->peer->relay = choice->relay;
	ferry_passenger_choose(f, choice->peer);
	return 0;
}

static struct carrier *find_carrier(const struct ferry *f, uint32_t relay, bool is_stream)
{
	struct carrier *c = f->carriers;

	while (c && (c->relay != relay || c->is_stream != is_stream))
		c = c->next;
	return c;
}

static bool is_full(const struct ferry *f, bool is_stream)
{
	unsigned n = 0;

	for (const struct carrier *c = f->carriers; c; c = c->next)
		n += c->is_stream == is_stream;
	return n == FERRY_RELAYS_MAX;
}

int ferry_peer_carrier(struct ferry *f, uint32_t node, uint32_t relay)
{
	struct choice choice = { .peer = ferry_passenger_find(f, node), .relay = relay };

	if (!choice.peer)
		return -ENOENT;
	if (relay != FERRY_NO_RELAY && !find_carrier(f, relay, false) &&
		!find_carrier(f, relay, true))
		return -ENOENT;
	return ferry_call(f, choose_relay, &choice);
}

static int move_tunnel(struct ferry *f, void *arg)
{
	f->tunnel.port = *(const uint16_t *) arg;
	for (size_t i = 0; i < FERRY_BUCKETS; i++)
		for (const struct passenger *p = f->buckets[i]; p; p = p->next)
			(void) ferry_passenger_connect(p, &f->tunnel); /* no reason to fail */
	return 0;
}

void ferry_set_tunnel_port(struct ferry *f, uint16_t port)
{
	if (port != f->tunnel.port)
		(void) ferry_call(f, move_tunnel, &port);
}

/* --- relays --- */

static void take_out(struct ferry *f, struct carrier *c)
{
	struct carrier **at = &f->carriers;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ferry_listen_no_more(f, &c->source);
	if (!c->is_stream)
		f->counters.from_relay_full += ferry_source_lost(&c->source);
}

/* Those by UDP before those by a stream, so that they are chosen first. */
static void put_in(struct ferry *f, struct carrier *c)
{
	struct carrier **at = &f->carriers;

	while (c->is_stream && *at && !(*at)->is_stream)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
	if (c->is_stream)
		f->wait_ms = 0; /* something may have come with the login */
}

struct change {
	struct carrier *old, *new; /* NULL: none */
};

static int change_carrier(struct ferry *f, void *arg)
{
	const struct change *change = arg;
	int r = change->new ? ferry_listen_to(f, &change->new->source) : 0;

	if (r < 0)
		return r;
	if (change->old)
		take_out(f, change->old);
	if (change->new)
		put_in(f, change->new);
	ferry_passengers_choose(f);
	return 0;
}

static void free_carrier(struct carrier *c)
{
	if (c)
		c->free(c);
}

static void close_carrier(struct ferry *f, struct carrier *c)
{
	struct change change = { .old = c };

	if (!c)
		return;
	(void) ferry_call(f, change_carrier, &change);
	free_carrier(c);
}

int ferry_relay_open(struct ferry *f, uint32_t relay, const struct endpoint *to, uint32_t fwmark,
	struct err *err)
{
	struct change change = { .old = find_carrier(f, relay, false) };
	int r;

	if (relay == FERRY_NO_RELAY || !to->port)
		return err_set(err, -EINVAL, "a relay without number or port");
	if (!change.old && is_full(f, false))
		return err_set(err, -ENOSPC, "more than %d relays at once", FERRY_RELAYS_MAX);
	r = ferry_udp_new(relay, to, fwmark, &change.new, err);
	if (r < 0)
		return r;
	r = ferry_call(f, change_carrier, &change);
	free_carrier(r < 0 ? change.new : change.old);
	return r < 0 ? err_set(err, r, "listen to a relay: %s", strerror(-r)) : 0;
}

void ferry_relay_close(struct ferry *f, uint32_t relay)
{
	close_carrier(f, find_carrier(f, relay, false));
}

struct binding {
	struct carrier *carrier;
	uint32_t session;
};

static int bind_carrier(struct ferry *f, void *arg)
{
	const struct binding *binding = arg;

	ferry_udp_set_session(binding->carrier, binding->session);
	ferry_passengers_choose(f);
	return 0;
}

int ferry_relay_session(struct ferry *f, uint32_t relay, uint32_t session)
{
	struct binding binding = { .carrier = find_carrier(f, relay, false), .session = session };

	return binding.carrier ? ferry_call(f, bind_carrier, &binding) : -ENOENT;
}

/* The carrier changes only by calls of this thread, which waits for their end. */
int ferry_send_control(struct ferry *f, uint32_t relay, const uint8_t *data, size_t len)
{
	const struct carrier *c = find_carrier(f, relay, false);

	if (!c)
		return -ENOENT;
	return send(c->source.sock.fd, data, len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* --- holes --- */

int ferry_hole_open(struct ferry *f, uint32_t node, int fd, int family)
{
	struct change change = { .old = find_carrier(f, node, false) };
	int r = 0;

	if (node == 0)
		r = -EINVAL;
	else if (!ferry_passenger_find(f, node))
		r = -ENOENT;
	else if (!change.old && is_full(f, false))
		r = -ENOSPC;
	if (r < 0) {
		close_p(&fd);
		return r;
	}
	r = ferry_hole_new(node, fd, family, &change.new);
	if (r < 0)
		return r;
	r = ferry_call(f, change_carrier, &change);
	free_carrier(r < 0 ? change.new : change.old);
	return r < 0 ? r : ferry_peer_carrier(f, node, node);
}

void ferry_hole_close(struct ferry *f, uint32_t node)
{
	close_carrier(f, find_carrier(f, node, false));
}

/* --- streams --- */

int ferry_stream_open(struct ferry *f, uint32_t relay, const struct ferry_stream *stream)
{
	struct change change = { 0 };
	int r;

	if (relay == FERRY_NO_RELAY || stream->fd < 0)
		return -EINVAL;
	if (find_carrier(f, relay, true))
		return -EEXIST;
	if (is_full(f, true))
		return -ENOSPC;
	r = ferry_derp_new(relay, stream, &change.new);
	if (r < 0)
		return r;
	r = ferry_call(f, change_carrier, &change);
	if (r < 0)
		free_carrier(change.new);
	return r;
}

void ferry_stream_close(struct ferry *f, uint32_t relay)
{
	close_carrier(f, find_carrier(f, relay, true));
}

struct letter {
	struct carrier *carrier;
	const uint8_t *frame;
	size_t len;
};

static int put_frame(struct ferry *f, void *arg)
{
	const struct letter *l = arg;

	return ferry_derp_put(f, l->carrier, l->frame, l->len) ? 0 : -EAGAIN;
}

int ferry_stream_send(struct ferry *f, uint32_t relay, const uint8_t *frame, size_t len)
{
	struct letter letter = {
		.carrier = find_carrier(f, relay, true), .frame = frame, .len = len
	};

	return letter.carrier ? ferry_call(f, put_frame, &letter) : -ENOENT;
}

uint64_t ferry_stream_heard_us(const struct ferry *f, uint32_t relay)
{
	const struct carrier *c = find_carrier(f, relay, true);

	return c ? ferry_derp_heard_us(c) : 0;
}

/* --- counters --- */

static int read_counters(struct ferry *f, void *arg)
{
	struct ferry_counters *ret = arg;

	*ret = f->counters;
	for (size_t i = 0; i < FERRY_BUCKETS; i++)
		for (const struct passenger *p = f->buckets[i]; p; p = p->next)
			ret->to_relay_full += ferry_source_lost(&p->source);
	for (const struct carrier *c = f->carriers; c; c = c->next)
		ret->from_relay_full += c->is_stream ? 0 : ferry_source_lost(&c->source);
	return 0;
}

int ferry_get_counters(struct ferry *f, struct ferry_counters *ret)
{
	return ferry_call(f, read_counters, ret);
}
