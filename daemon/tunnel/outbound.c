/*
 * From the device to the peers. A super-packet is split where it was read: heads are built in the
 * outbox, payload is sealed from the read area into it, so that there is no copy but that of the
 * kernel and the cipher's own. Small packets are collected in the read area and sealed together.
 * What has no session is copied into the engine's queue of its peer; apart from that nothing is
 * allocated.
 *
 * While a send buffer is full, the device is not read: its queue is what holds the senders back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tunnel/internal.h"
#include "packet/icmp.h"
#include "packet/segment.h"

enum {
	FRONT_UNIT = 64, /* of aead_packet.front */
	READS_MAX = 2 * BATCH,
	LATE_BATCH = 16,        /* staged packets sealed at once when a session comes up */
	ERROR_EVERY_US = 10000, /* ICMP, to this machine */
	ERRORS_AT_ONCE = 50,
	DST_AT_4 = 16, /* in an IP packet */
	DST_AT_6 = 24,
};

/*
 * Tells the sender of @packet that there is no way to its destination: not more often than Linux
 * does.
 */
static void tell_unreachable(struct lane *l, const uint8_t *packet, size_t len)
{
	struct tunnel *t = l->tunnel;
	uint8_t head[VNET_HEAD_LEN] = { 0 }, error[ICMP_ERROR_MAX];
	struct iovec iov[2] = { { head, sizeof(head) }, { error, 0 } };
	uint64_t more = (clock_now_us() - t->errors_us) / ERROR_EVERY_US;

	t->errors_us += more * ERROR_EVERY_US; /* what was counted here is not counted again */
	t->errors_left += more;
	if (t->errors_left > ERRORS_AT_ONCE)
		t->errors_left = ERRORS_AT_ONCE;
	if (t->errors_left == 0)
		return;
	iov[1].iov_len = icmp_unreachable(packet, len, error);
	if (iov[1].iov_len == 0)
		return;
	t->errors_left--;
	(void) (t->tun.header ? t->io->tun_write(l, iov, 2) : t->io->tun_write(l, iov + 1, 1));
}

static void stage(struct lane *l, struct wg_peer *peer, const uint8_t *data, size_t len)
{
	int r = wg_peer_stage(peer, data, len);

	if (r < 0)
		l->counters.tx_no_session++;
	if (r == -EDESTADDRREQ)
		tell_unreachable(l, data, len);
}

/* --- where packets go, with the lock --- */

/* As path_nested_hops(), for a packet to @peer. */
static int hops_to(struct tunnel *t, struct wg_peer *peer, const uint8_t *data, size_t len)
{
	const struct wg_endpoint *to = wg_peer_endpoint(peer);

	path_check(t, peer);
	return to && to->path.nested ? path_nested_hops(data, len) : 0;
}

static bool equals_last(const struct last_route *last, int family, const uint8_t *dst)
{
	return last->family == family && (family == AF_INET ? memcmp(last->dst, dst, 4) == 0
							    : memcmp(last->dst, dst, 16) == 0);
}

/* @packet is a whole IP packet. */
static struct wg_peer *route(struct lane *l, const uint8_t *packet)
{
	struct last_route *last = &l->last;
	int family = packet[0] >> 4 == 4 ? AF_INET : AF_INET6;
	const uint8_t *dst = packet + (family == AF_INET ? DST_AT_4 : DST_AT_6);

	if (equals_last(last, family, dst))
		return last->peer;
	last->family = family;
	if (family == AF_INET)
		memcpy(last->dst, dst, 4);
	else
		memcpy(last->dst, dst, 16);
	last->peer = wg_device_route(l->tunnel->device, family, dst);
	return last->peer;
}

/* While the lock was not held, prefixes may have become others'. */
static void begin_routing(struct lane *l)
{
	lane_lock(l);
	if (l->shares)
		l->last.family = 0;
}

/* The peer of @n packets that look like @packet, NULL if they cannot go anywhere. */
static struct wg_peer *find_way(
	struct lane *l, const uint8_t *packet, size_t len, size_t n, uint8_t *ret_hops)
{
	struct wg_peer *peer = route(l, packet);
	int hops;

	if (!peer) {
		l->counters.tx_no_peer += n;
		tell_unreachable(l, packet, len);
		return NULL;
	}
	hops = hops_to(l->tunnel, peer, packet, len);
	if (hops < 0) {
		l->counters.tx_errors += n;
		return NULL;
	}
	*ret_hops = (uint8_t) hops;
	return peer;
}

/* Makes room. False: a send buffer is full. */
static bool make_room(struct lane *l)
{
	bool ok;

	lane_unlock(l);
	ok = outbox_send(l, &l->outbox);
	lane_lock(l);
	return ok;
}

/* --- small packets --- */

/* Takes the packets from @first on that go to the same peer, as many as fit. Returns how many. */
static size_t take_alike(struct lane *l, size_t first, const struct outgoing *run[static BATCH])
{
	struct wg_peer *peer = l->outgoing[first].peer;
	uint8_t hops = l->outgoing[first].hops;
	size_t n = 0, bytes = 0;

	for (size_t i = first; i < l->n_outgoing; i++) {
		if (l->outgoing[i].peer != peer || l->outgoing[i].hops != hops)
			continue;
		if (!outbox_has_room(&l->outbox, n + 1, bytes + l->outgoing[i].len))
			break;
		run[n++] = &l->outgoing[i];
		bytes += l->outgoing[i].len;
		l->outgoing[i].peer = NULL;
	}
	return n;
}

/*
 * Seals the packets from @first on that go to the same peer, without the lock that is held before
 * and after.
 */
static void seal_peer(struct lane *l, size_t first)
{
	struct wg_peer *peer = l->outgoing[first].peer;
	uint8_t hops = l->outgoing[first].hops;
	const struct outgoing *run[BATCH];
	struct group g;
	size_t n;

	if (!outbox_has_room(&l->outbox, 1, l->outgoing[first].len) && !make_room(l)) {
		l->outgoing[first].peer = NULL;
		l->counters.tx_errors++;
		return;
	}
	n = take_alike(l, first, run);
	if (!outbox_begin(peer, n, &g)) {
		for (size_t i = 0; i < n; i++)
			stage(l, peer, run[i]->data, run[i]->len);
		return;
	}
	lane_unlock(l);
	g.hops = hops;
	for (size_t i = 0; i < n; i++)
		outbox_add(l, &l->outbox, &g, run[i]->len)->in = run[i]->data;
	outbox_seal(l, &l->outbox, &g);
	lane_lock(l);
}

static void seal_collected(struct lane *l)
{
	if (l->n_outgoing == 0)
		return;
	begin_routing(l);
	for (size_t i = 0; i < l->n_outgoing; i++) {
		struct outgoing *o = &l->outgoing[i];

		o->peer = find_way(l, o->data, o->len, 1, &o->hops);
	}
	for (size_t i = 0; i < l->n_outgoing;)
		if (l->outgoing[i].peer)
			seal_peer(l, i);
		else
			i++;
	lane_unlock(l);
	l->n_outgoing = 0;
	l->read_at = 0;
}

/* The packet stays where it was read until it is sealed with others. */
static void collect(struct lane *l, const uint8_t *data, size_t len)
{
	l->outgoing[l->n_outgoing++] = (struct outgoing){ .data = data, .len = len };
	l->read_at = (size_t) (data + len - l->read_area);
	if (l->n_outgoing == BATCH || l->read_at + READ_MAX > READ_AREA)
		seal_collected(l);
}

/* --- super-packets --- */

static void add_segment(struct lane *l, struct group *g, const struct segment_plan *plan, size_t i)
{
	size_t len = segment_len(plan, i), payload_len, front;
	struct aead_packet *p = outbox_add(l, &l->outbox, g, len);
	const uint8_t *payload;

	segment_head(plan, i, p->out, &payload, &payload_len);
	front = (plan->head_len + FRONT_UNIT - 1) & ~(size_t) (FRONT_UNIT - 1);
	if (front > len)
		front = len;
	memcpy(p->out + plan->head_len, payload, front - plan->head_len);
	p->in = payload - plan->head_len;
	p->front = front;
}

/* How many segments from @i on fit into the outbox and into a group. */
static size_t segments_that_fit(const struct lane *l, const struct segment_plan *plan, size_t i)
{
	size_t n = 0, len = segment_len(plan, i);

	while (n < GROUP_MAX && i + n < plan->n &&
		outbox_has_room(&l->outbox, n + 1, (n + 1) * len))
		n++;
	return n;
}

static void stage_segments(
	struct lane *l, struct wg_peer *peer, const struct segment_plan *plan, size_t i)
{
	uint8_t *packet = l->late.data; /* not in use: nobody sends to a peer meanwhile */

	for (size_t end = i + WG_STAGED_MAX; i < plan->n && i < end; i++) {
		const uint8_t *payload;
		size_t len;

		segment_head(plan, i, packet, &payload, &len);
		memcpy(packet + plan->head_len, payload, len);
		stage(l, peer, packet, plan->head_len + len);
	}
	l->counters.tx_no_session += plan->n - i;
}

/*
 * Segments from @i on, as many as go at once; 0: the others cannot be sent. With the lock, as
 * seal_peer().
 */
static size_t seal_segments(struct lane *l, struct wg_peer *peer, const struct segment_plan *plan,
	size_t i, uint8_t hops)
{
	struct group g;
	size_t n;

	if (!outbox_has_room(&l->outbox, 1, segment_len(plan, i)) && !make_room(l)) {
		/* Thousands of tiny segments, and a full socket: they are lost. */
		l->counters.tx_errors += plan->n - i;
		return 0;
	}
	n = segments_that_fit(l, plan, i);
	if (!outbox_begin(peer, n, &g)) {
		stage_segments(l, peer, plan, i);
		return 0;
	}
	lane_unlock(l);
	g.hops = hops;
	for (size_t k = 0; k < n; k++)
		add_segment(l, &g, plan, i + k);
	outbox_seal(l, &l->outbox, &g);
	lane_lock(l);
	return n;
}

static void seal_super(
	struct lane *l, const uint8_t *data, size_t len, const struct segment_plan *plan)
{
	struct wg_peer *peer;
	uint8_t hops;

	begin_routing(l);
	peer = find_way(l, data, len, plan->n, &hops);
	l->counters.tun_super_read += peer != NULL;
	for (size_t i = 0, n = 1; peer && n > 0 && i < plan->n; i += n)
		n = seal_segments(l, peer, plan, i, hops);
	lane_unlock(l);
}

/* --- reading --- */

static int take_packet(struct lane *l, uint8_t *data, size_t len)
{
	struct vnet_head head = { 0 };
	struct segment_plan plan;

	if (l->tunnel->tun.header) {
		if (len < VNET_HEAD_LEN || vnet_parse(data, &head) < 0)
			return -EBADMSG;
		data += VNET_HEAD_LEN;
		len -= VNET_HEAD_LEN;
	}
	if (segment_plan(&head, data, len, &plan) < 0)
		return -EBADMSG;
	l->counters.tx_packets += plan.n;
	if (plan.n == 1) {
		collect(l, data, segment_len(&plan, 0));
		return 0;
	}
	seal_collected(l); /* what was read before goes first */
	seal_super(l, data, len, &plan);
	return 0;
}

int outbound_run(struct lane *l)
{
	ssize_t n = 0;

	l->last.family = 0;
	if (outbox_waits(&l->outbox) && !outbox_send(l, &l->outbox))
		return 0;
	for (int reads = 0; reads < READS_MAX && l->outbox.used < OUTBOX_ENOUGH; reads++) {
		uint8_t *at = l->read_area + l->read_at;

		n = l->tunnel->io->tun_read(l, at, READ_MAX);
		if (n < 0)
			break;
		if (take_packet(l, at, (size_t) n) < 0) {
			l->counters.tx_packets++;
			l->counters.tx_no_peer++;
		}
	}
	seal_collected(l);
	(void) outbox_send(l, &l->outbox); /* if a send buffer is full, the rest waits */
	if (n == -EBADFD || n == -ENODEV)
		return (int) n;
	return n >= 0 && !outbox_waits(&l->outbox);
}

/* --- what does not come from the device --- */

/*
 * Up to LATE_BATCH staged packets. Returns how many, or -ENOKEY if there is no session after all.
 */
static int send_late(struct lane *l, struct wg_peer *peer)
{
	struct wg_staged *staged[LATE_BATCH];
	struct group g;
	size_t n = 0;
	bool ok;

	path_check(l->tunnel, peer);
	while (n < LATE_BATCH && (staged[n] = wg_peer_unstage(peer)))
		n++;
	ok = n == 0 || outbox_begin(peer, n, &g);
	for (size_t i = 0; i < n; i++) {
		if (ok && !outbox_has_room(&l->late, g.n + 1, staged[i]->len)) {
			outbox_seal(l, &l->late, &g);
			(void) outbox_send(l, &l->late);
			outbox_drop(l, &l->late); /* what the socket had no room for */
			g.counter += g.n;
			g.n = 0;
		}
		if (ok)
			outbox_add(l, &l->late, &g, staged[i]->len)->in = staged[i]->data;
	}
	if (ok && n > 0)
		outbox_seal(l, &l->late, &g);
	for (size_t i = 0; i < n; i++)
		free(staged[i]);
	(void) outbox_send(l, &l->late);
	outbox_drop(l, &l->late);
	if (!ok)
		l->counters.tx_no_session += n;
	return ok ? (int) n : -ENOKEY;
}

void outbound_flush_staged(struct lane *l, struct wg_peer *peer)
{
	while (send_late(l, peer) == LATE_BATCH)
		;
}

void outbound_refuse_staged(struct lane *l, struct wg_peer *peer)
{
	struct wg_staged *staged;

	while ((staged = wg_peer_unstage(peer))) {
		l->counters.tx_no_session++;
		tell_unreachable(l, staged->data, staged->len);
		free(staged);
	}
}

void outbound_send_one(struct lane *l, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	struct sock_msg msg = { .data = (uint8_t *) data, /* only read */
		.len = len,
		.remote = to->remote,
		.local = to->local,
		.ifindex = to->ifindex };

	if (peer && wg_peer_endpoint(peer) &&
		endpoint_equal(&wg_peer_endpoint(peer)->remote, &to->remote)) {
		path_check(l->tunnel, peer);
		msg.local = path_source(wg_peer_endpoint(peer));
	}
	if (wg_device_denies(l->tunnel->device, &to->remote) ||
		l->tunnel->io->udp_send(l, &msg, 1) == 0) {
		l->counters.tx_errors++;
		return;
	}
	if (msg.source_gone && peer)
		wg_peer_clear_source(peer);
	if (msg.failed)
		l->counters.tx_errors++;
	else
		l->counters.tx_datagrams++;
}
