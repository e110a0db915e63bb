/*
 * From the device to the peers. A super-packet is split where it was read: heads are built in the
 * outbox, payload is sealed from the read area into it, so that there is no copy but that of the kernel
 * and the cipher's own. Small packets are collected in the read area and sealed together. What has no
 * session is copied into the engine's queue of its peer; apart from that nothing is allocated.
 *
 * While a send buffer is full, the device is not read: its queue is what holds the senders back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "internal.h"
#include "wire/icmp.h"
#include "wire/segment.h"

enum {
	FRONT_UNIT = 64, /* of aead_packet.front */
	READS_MAX = 2 * BATCH,
	LATE_BATCH = 16,        /* staged packets sealed at once when a session comes up */
	ERROR_EVERY_US = 10000, /* ICMP, to this machine */
	ERRORS_AT_ONCE = 50,
};

/* Tells the sender of @packet that there is no way to its destination: not more often than Linux does. */
static void tell_unreachable(struct tunnel *t, const uint8_t *packet, size_t len)
{
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
	(void) (t->tun.header ? t->io->tun_write(t, iov, 2) : t->io->tun_write(t, iov + 1, 1));
}

static void stage(struct tunnel *t, struct wg_peer *peer, const uint8_t *data, size_t len)
{
	int r = wg_peer_stage(peer, data, len);

	if (r < 0)
		t->counters.tx_no_session++;
	if (r == -EDESTADDRREQ)
		tell_unreachable(t, data, len);
}

/* --- small packets -------------------------------------------------------------------------------- */

/* Makes room for one packet of @len bytes. False: a send buffer is full. */
static bool make_room(struct tunnel *t, size_t len)
{
	return outbox_has_room(&t->outbox, 1, len) || outbox_send(t, &t->outbox);
}

/* Seals the packets from @first on that go to the same peer, as many as fit. */
static void seal_peer(struct tunnel *t, size_t first)
{
	struct wg_peer *peer = t->outgoing[first].peer;
	uint8_t hops = t->outgoing[first].hops;
	const struct outgoing *run[BATCH];
	size_t n = 0, bytes = 0;
	struct group g;

	if (!make_room(t, t->outgoing[first].len)) {
		t->outgoing[first].peer = NULL;
		t->counters.tx_errors++;
		return;
	}
	for (size_t i = first; i < t->n_outgoing; i++) {
		if (t->outgoing[i].peer != peer || t->outgoing[i].hops != hops)
			continue;
		if (!outbox_has_room(&t->outbox, n + 1, bytes + t->outgoing[i].len))
			break;
		run[n++] = &t->outgoing[i];
		bytes += t->outgoing[i].len;
		t->outgoing[i].peer = NULL;
	}
	if (!outbox_begin(peer, n, &g)) {
		for (size_t i = 0; i < n; i++)
			stage(t, peer, run[i]->data, run[i]->len);
		return;
	}
	g.hops = hops;
	for (size_t i = 0; i < n; i++)
		outbox_add(t, &t->outbox, &g, run[i]->len)->in = run[i]->data;
	outbox_seal(t, &t->outbox, &g);
}

static void seal_collected(struct tunnel *t)
{
	for (size_t i = 0; i < t->n_outgoing;)
		if (t->outgoing[i].peer)
			seal_peer(t, i);
		else
			i++;
	t->n_outgoing = 0;
	t->read_at = 0;
}

/* The packet stays where it was read until it is sealed with others. */
static void collect(
	struct tunnel *t, struct wg_peer *peer, const uint8_t *data, size_t len, uint8_t hops)
{
	t->outgoing[t->n_outgoing++] =
		(struct outgoing){ .peer = peer, .data = data, .len = len, .hops = hops };
	t->read_at = (size_t) (data + len - t->read_area);
	if (t->n_outgoing == BATCH || t->read_at + READ_MAX > READ_AREA)
		seal_collected(t);
}

/* --- super-packets -------------------------------------------------------------------------------- */

static void add_segment(
	struct tunnel *t, struct group *g, const struct segment_plan *plan, size_t i)
{
	size_t len = segment_len(plan, i), payload_len, front;
	struct aead_packet *p = outbox_add(t, &t->outbox, g, len);
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
static size_t segments_that_fit(const struct tunnel *t, const struct segment_plan *plan, size_t i)
{
	size_t n = 0, len = segment_len(plan, i);

	while (n < GROUP_MAX && i + n < plan->n &&
		outbox_has_room(&t->outbox, n + 1, (n + 1) * len))
		n++;
	return n;
}

static void stage_segments(
	struct tunnel *t, struct wg_peer *peer, const struct segment_plan *plan, size_t i)
{
	uint8_t *packet = t->late.data; /* not in use: nobody sends to a peer meanwhile */

	for (size_t end = i + WG_STAGED_MAX; i < plan->n && i < end; i++) {
		const uint8_t *payload;
		size_t len;

		segment_head(plan, i, packet, &payload, &len);
		memcpy(packet + plan->head_len, payload, len);
		stage(t, peer, packet, plan->head_len + len);
	}
	t->counters.tx_no_session += plan->n - i;
}

static void seal_super(
	struct tunnel *t, struct wg_peer *peer, const struct segment_plan *plan, uint8_t hops)
{
	t->counters.tun_super_read++;
	for (size_t i = 0, n; i < plan->n; i += n) {
		struct group g;

		if (!make_room(t, segment_len(plan, i))) {
			/* Thousands of tiny segments, and a full socket: they are lost. */
			t->counters.tx_errors += plan->n - i;
			return;
		}
		n = segments_that_fit(t, plan, i);
		if (!outbox_begin(peer, n, &g)) {
			stage_segments(t, peer, plan, i);
			return;
		}
		g.hops = hops;
		for (size_t k = 0; k < n; k++)
			add_segment(t, &g, plan, i + k);
		outbox_seal(t, &t->outbox, &g);
	}
}

/* --- reading -------------------------------------------------------------------------------------- */

/* As path_nested_hops(), for a packet to @peer. */
static int hops_to(struct tunnel *t, struct wg_peer *peer, const uint8_t *data, size_t len)
{
	const struct wg_endpoint *to = wg_peer_endpoint(peer);

	path_check(t, peer);
	return to && to->path.nested ? path_nested_hops(data, len) : 0;
}

/* Where the last packet of a batch went: the next one goes there, too, nearly always. */
struct last_route {
	int family; /* 0: there was none */
	uint8_t dst[16];
	struct wg_peer *peer;
};

static struct wg_peer *route(
	const struct tunnel *t, const struct segment_plan *plan, struct last_route *last)
{
	size_t len = plan->family == AF_INET ? 4 : 16;

	if (last->family == plan->family && memcmp(last->dst, plan->dst, len) == 0)
		return last->peer;
	last->family = plan->family;
	memcpy(last->dst, plan->dst, len);
	last->peer = wg_device_route(t->device, plan->family, plan->dst);
	return last->peer;
}

static int take_packet(struct tunnel *t, uint8_t *data, size_t len, struct last_route *last)
{
	struct vnet_head head = { 0 };
	struct segment_plan plan;
	struct wg_peer *peer;
	int hops;

	if (t->tun.header) {
		if (len < VNET_HEAD_LEN || vnet_parse(data, &head) < 0)
			return -EBADMSG;
		data += VNET_HEAD_LEN;
		len -= VNET_HEAD_LEN;
	}
	if (segment_plan(&head, data, len, &plan) < 0)
		return -EBADMSG;
	t->counters.tx_packets += plan.n;
	peer = route(t, &plan, last);
	if (!peer) {
		t->counters.tx_no_peer += plan.n;
		tell_unreachable(t, data, len);
		return 0;
	}
	hops = hops_to(t, peer, data, len);
	if (hops < 0) {
		t->counters.tx_errors += plan.n;
		return 0;
	}
	if (plan.n == 1) {
		collect(t, peer, data, segment_len(&plan, 0), (uint8_t) hops);
		return 0;
	}
	seal_collected(t); /* what was read before goes first */
	seal_super(t, peer, &plan, (uint8_t) hops);
	return 0;
}

int outbound_run(struct tunnel *t)
{
	struct last_route last = { 0 };
	ssize_t n = 0;

	if (outbox_waits(&t->outbox) && !outbox_send(t, &t->outbox))
		return 0;
	for (int reads = 0; reads < READS_MAX && t->outbox.used < OUTBOX_ENOUGH; reads++) {
		uint8_t *at = t->read_area + t->read_at;

		n = t->io->tun_read(t, at, READ_MAX);
		if (n < 0)
			break;
		if (take_packet(t, at, (size_t) n, &last) < 0) {
			t->counters.tx_packets++;
			t->counters.tx_no_peer++;
		}
	}
	seal_collected(t);
	(void) outbox_send(t, &t->outbox); /* if a send buffer is full, the rest waits */
	if (n == -EBADFD || n == -ENODEV)
		return (int) n;
	return n >= 0 && !outbox_waits(&t->outbox);
}

/* --- what does not come from the device ----------------------------------------------------------- */

/* Up to LATE_BATCH staged packets. Returns how many, or -ENOKEY if there is no session after all. */
static int send_late(struct tunnel *t, struct wg_peer *peer)
{
	struct wg_staged *staged[LATE_BATCH];
	struct group g;
	size_t n = 0;
	bool ok;

	path_check(t, peer);
	while (n < LATE_BATCH && (staged[n] = wg_peer_unstage(peer)))
		n++;
	ok = n == 0 || outbox_begin(peer, n, &g);
	for (size_t i = 0; i < n; i++) {
		if (ok && !outbox_has_room(&t->late, g.n + 1, staged[i]->len)) {
			outbox_seal(t, &t->late, &g);
			(void) outbox_send(t, &t->late);
			outbox_drop(t, &t->late); /* what the socket had no room for */
			g.counter += g.n;
			g.n = 0;
		}
		if (ok)
			outbox_add(t, &t->late, &g, staged[i]->len)->in = staged[i]->data;
	}
	if (ok && n > 0)
		outbox_seal(t, &t->late, &g);
	for (size_t i = 0; i < n; i++)
		free(staged[i]);
	(void) outbox_send(t, &t->late);
	outbox_drop(t, &t->late);
	if (!ok)
		t->counters.tx_no_session += n;
	return ok ? (int) n : -ENOKEY;
}

void outbound_flush_staged(struct tunnel *t, struct wg_peer *peer)
{
	while (send_late(t, peer) == LATE_BATCH)
		;
}

void outbound_send_one(struct tunnel *t, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	struct sock_msg msg = { .data = (uint8_t *) data, /* only read */
		.len = len,
		.remote = to->remote,
		.local = to->local,
		.ifindex = to->ifindex };

	if (peer && wg_peer_endpoint(peer) &&
		endpoint_equal(&wg_peer_endpoint(peer)->remote, &to->remote)) {
		path_check(t, peer);
		msg.local = path_source(wg_peer_endpoint(peer));
	}
	if (wg_device_denies(t->device, &to->remote.addr) || t->io->udp_send(t, &msg, 1) == 0) {
		t->counters.tx_errors++;
		return;
	}
	if (msg.source_gone && peer)
		wg_peer_clear_source(peer);
	if (msg.failed)
		t->counters.tx_errors++;
	else
		t->counters.tx_datagrams++;
}
