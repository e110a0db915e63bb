/*
 * From the peers to the device. Messages are received in batches; the datagrams of all of them,
 * also those inside super-frames, are gathered, opened session by session where they lie, and then
 * checked one by one in this order: authentic, not seen before, a whole IP packet, and a source
 * address that is its sender's. Everything else is counted and dropped. What passes is joined to
 * super-packets for the device, of which none waits for packets still to come.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "tunnel/internal.h"
#include "packet/ipkt.h"

enum {
	HANDSHAKES_BUSY = BATCH / 2, /* in one batch: ask the engine for cookies */
	WANT_STEP = 4,
	TCP_HEAD = 52, /* IPv4, TCP and its usual timestamps */
	ASIDE_MIN = 4, /* below, nothing can be told of what it is */
};

static struct wg_endpoint sender(const struct sock_msg *msg)
{
	return (struct wg_endpoint){
		.remote = msg->remote, .local = msg->local, .ifindex = msg->ifindex
	};
}

/* --- to the device --- */

/* The kernel does not take such a super-packet, whatever it said: never again. */
static void stop_joining(struct lane *l, enum vnet_gso gso)
{
	bool *joined = gso == VNET_GSO_UDP_L4 ? &l->coalesce.udp : &l->coalesce.tcp;

	if (!*joined)
		return;
	*joined = false;
	log_warning("%s: the kernel refused a %s super-packet (EINVAL): "
		    "packets are written one by one now",
		l->tunnel->ifname, gso == VNET_GSO_UDP_L4 ? "UDP" : "TCP");
}

/* None of a super-packet that was refused is lost. */
static void write_singly(struct lane *l, const struct vnet_head *super, struct iovec *iov, int n)
{
	const struct vnet_head head = { .flags = VNET_DATA_VALID };
	uint8_t bytes[VNET_HEAD_LEN];

	coalesce_undo(super, iov, n);
	vnet_format(&head, bytes);
	for (int i = 1; i < n; i++) {
		struct iovec one[2] = { { bytes, sizeof(bytes) }, iov[i] };

		inbound_write(l, &head, one, 2);
	}
}

void inbound_write(void *lane, const struct vnet_head *head, struct iovec *iov, int n)
{
	struct lane *l = lane;
	const struct tunnel *t = l->tunnel;
	bool joined = head->gso != VNET_GSO_NONE;
	ssize_t r =
		t->tun.header ? t->io->tun_write(l, iov, n) : t->io->tun_write(l, iov + 1, n - 1);

	if (r >= 0) {
		l->counters.tun_super_written += joined;
		return;
	}
	if (r == -EINVAL && joined) {
		stop_joining(l, head->gso);
		write_singly(l, head, iov, n);
		return;
	}
	l->counters.tun_write_errors += (uint64_t) n - 1; /* EIO: the link is down */
	if (r == -EBADFD || r == -ENODEV)
		l->tun_error = (int) r;
}

/*
 * The address of a run's last packet that was its peer's: the next one's is nearly always the same.
 */
struct known_source {
	int family;
	const uint8_t *addr;
};

static bool source_is_allowed(const struct tunnel *t, const struct wg_peer *peer,
	const struct ipkt *ip, struct known_source *known)
{
	if (known->family == ip->family &&
		memcmp(known->addr, ip->src, ip->family == AF_INET ? 4 : 16) == 0)
		return true;
	if (wg_device_route(t->device, ip->family, ip->src) != peer)
		return false;
	*known = (struct known_source){ .family = ip->family, .addr = ip->src };
	return true;
}

/* The length of the IP packet in @p if it is to be delivered, else 0. */
static size_t check_inner(struct lane *l, const struct wg_peer *peer, const struct aead_packet *p,
	struct known_source *known)
{
	struct ipkt ip;

	if (p->len == AEAD_TAG_LEN) /* a keepalive */
		return 0;
	if (ipkt_parse(p->out, p->len - AEAD_TAG_LEN, &ip) < 0 ||
		!source_is_allowed(l->tunnel, peer, &ip, known)) {
		l->counters.rx_inner_bad++;
		return 0;
	}
	l->counters.rx_packets++;
	return ip.len;
}

/* --- opening --- */

/*
 * Opened ones of @session, in_packets[0 .. n): tells the engine of those that are neither forged
 * nor replayed. Leaves the length of what is to be delivered in len.
 */
static void judge_run(struct lane *l, struct wg_session *session, size_t n)
{
	struct known_source known = { 0 };
	const struct sock_msg *last = NULL;
	struct wg_endpoint from;
	uint64_t bytes = 0;
	bool data = false;

	for (size_t i = 0; i < n; i++) {
		struct aead_packet *p = &l->in_packets[i];
		size_t sealed = p->len;

		p->len = 0;
		if (!p->ok) {
			l->counters.rx_forged++;
			continue;
		}
		if (!wg_session_accept(session, p->counter)) {
			l->counters.rx_replayed++;
			continue;
		}
		last = l->in_origins[i];
		bytes += WG_DATA_HEAD_LEN + sealed;
		data = data || sealed > AEAD_TAG_LEN;
		p->len = sealed;
		p->len = check_inner(l, session->peer, p, &known);
	}
	if (!last)
		return;
	from = sender(last);
	wg_peer_data_received(session, &from, bytes, data);
}

/* in_packets[0 .. n) are all of @session: drops what is forged or replayed, delivers the rest. */
static void take_run(struct lane *l, struct wg_session *session, size_t n)
{
	aead_open(l->aead, session->receive_key, l->in_packets, n);
	lane_lock(l);
	judge_run(l, session, n);
	lane_unlock(l);
	for (size_t i = 0; i < n; i++)
		if (l->in_packets[i].len > 0)
			coalesce_add(&l->coalesce, l->in_packets[i].out, l->in_packets[i].len);
}

/* Opens all that is gathered, one run for each session. Without the lock. */
static void open_gathered(struct lane *l)
{
	for (size_t first = 0; first < l->n_gathered; first++) {
		struct wg_session *session = l->gathered[first].session;
		size_t n = 0;

		if (!session)
			continue;
		for (size_t i = first; i < l->n_gathered; i++) {
			struct incoming *in = &l->gathered[i];

			if (in->session != session)
				continue;
			in->session = NULL;
			l->in_origins[n] = in->msg;
			l->in_packets[n++] = (struct aead_packet){
				.counter = wg_le64_read(in->data + 8),
				.in = in->data + WG_DATA_HEAD_LEN,
				.out = in->data + WG_DATA_HEAD_LEN,
				.len = in->len - WG_DATA_HEAD_LEN,
			};
		}
		take_run(l, session, n);
	}
	l->n_gathered = 0;
}

/* Opens it before anything else is taken. */
static void open_first(struct lane *l)
{
	if (l->n_gathered == 0)
		return;
	lane_unlock(l);
	open_gathered(l);
	lane_lock(l);
}

/* --- datagrams, with the lock --- */

static void gather(
	struct lane *l, const struct sock_msg *msg, uint8_t *data, size_t len, uint32_t receiver)
{
	struct wg_session *session = wg_device_session(l->tunnel->device, receiver);

	if (!session) {
		l->counters.rx_no_session++;
		return;
	}
	if (l->n_gathered == GATHERED_MAX)
		open_first(l);
	l->gathered[l->n_gathered++] =
		(struct incoming){ .session = session, .msg = msg, .data = data, .len = len };
}

/* A message that is no data. Returns whether the engine was asked. */
static bool take_handshake(
	struct lane *l, const struct sock_msg *msg, const uint8_t *data, size_t len)
{
	struct tunnel *t = l->tunnel;
	const uint64_t *bad_macs = &wg_device_counters(t->device)->bad_mac;
	struct wg_endpoint from = sender(msg);
	uint64_t before;
	int class;

	if (wg_message_type(data, len) < 0) {
		l->counters.rx_malformed++;
		return false;
	}
	class = shed_admit(&t->shed, data, len);
	if (class < 0) {
		l->counters.rx_handshake_shed++;
		return true;
	}
	open_first(l); /* a handshake may put the sessions of what came before out of service */
	before = *bad_macs;
	if (wg_device_receive(t->device, data, len, &from) < 0)
		l->counters.rx_handshake_bad++;
	shed_charge(&t->shed, class,
		*bad_macs != before || len == WG_COOKIE_REPLY_LEN ? SHED_CHEAP : SHED_DEAR);
	return true;
}

static bool goes_aside(const struct lane *l, const uint8_t *data, size_t len)
{
	return l->tunnel->event_fd >= 0 && len >= ASIDE_MIN && len <= TUNNEL_ASIDE_MAX &&
	       !wg_begins(data, len);
}

/* What is not WireGuard's: as it is, for whoever wanted it. */
static void take_aside(struct lane *l, const struct sock_msg *msg, const uint8_t *data, size_t len)
{
	const struct tunnel_event event = { .kind = TUNNEL_ASIDE,
		.from = msg->remote,
		.to = msg->local,
		.ifindex = msg->ifindex,
		.data = data,
		.len = len };
	int class = shed_admit(&l->tunnel->shed, data, len);
	bool told = class >= 0 && events_tell(&l->events, l->tunnel->event_fd, &event);

	if (class >= 0)
		shed_charge(&l->tunnel->shed, class, SHED_DEAR);
	*(told ? &l->counters.rx_aside : &l->counters.rx_aside_lost) += 1;
}

static void take_message(struct lane *l, const struct sock_msg *msg, unsigned *handshakes)
{
	struct wg_device *device = l->tunnel->device;
	unsigned n = sock_msg_datagrams(msg);
	size_t size = n > 1 ? msg->segment : msg->len;

	l->counters.rx_datagrams += n;
	l->counters.rx_super += n > 1;
	if (wg_device_denies(device, &msg->remote)) {
		l->counters.rx_denied += n;
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t *data = msg->data + i * size;
		size_t len = i + 1 < n ? size : msg->len - i * size;
		struct wg_data_head head;

		if (wg_data_head_parse(data, len, &head))
			gather(l, msg, data, len, head.receiver);
		else if (goes_aside(l, data, len))
			take_aside(l, msg, data, len);
		else if (take_handshake(l, msg, data, len) && ++*handshakes == HANDSHAKES_BUSY)
			wg_device_note_load(device);
	}
}

int inbound_take(struct lane *l, size_t n)
{
	unsigned handshakes = 0;

	l->tun_error = 0;
	lane_lock(l);
	for (size_t i = 0; i < n; i++)
		take_message(l, &l->in_msgs[i], &handshakes);
	lane_unlock(l);
	open_gathered(l);
	coalesce_flush(&l->coalesce);
	return l->tun_error;
}

/*
 * As many full packets as fill one super-packet for the device; one more would be a write of its
 * own.
 */
static size_t full_batch(const struct lane *l)
{
	size_t n = l->mtu > TCP_HEAD ? (PACKET_MAX - TCP_HEAD) / (l->mtu - TCP_HEAD) : BATCH;

	return !l->coalesce.tcp || n > BATCH ? BATCH : n < SUPER_SLOTS ? SUPER_SLOTS : n;
}

static bool has_super(const struct lane *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sock_msg_datagrams(&l->in_msgs[i]) > 1)
			return true;
	return false;
}

/*
 * Super-frames fill their slots, and memory that was touched stays: only where nothing but single
 * datagrams come, and many, many are asked for.
 */
static void note_intake(const struct lane *l, struct intake *in, size_t got)
{
	size_t most = in->calm == CALM_ENOUGH ? full_batch(l) : MIXED_SLOTS;

	if (has_super(l, got)) {
		*in = (struct intake){ .want = SUPER_SLOTS };
		return;
	}
	if (in->calm < CALM_ENOUGH)
		in->calm++;
	if (got == in->want)
		in->want = in->want * WANT_STEP < most ? in->want * WANT_STEP : most;
	else if (got * WANT_STEP < in->want && in->want > SUPER_SLOTS)
		in->want /= WANT_STEP;
}

int inbound_run(struct lane *l, int fd)
{
	struct intake *in = fd == l->sock.fd6 ? &l->intake6 : &l->intake4;
	size_t asked = in->want;
	int n, r;

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < asked; i++)
		l->in_msgs[i].data = l->in_slots[i];
	n = l->tunnel->io->udp_receive(l, fd, l->in_msgs, asked);
	if (n <= 0)
		return 0; /* an error of the socket was reported by this call and is over */
	note_intake(l, in, (size_t) n);
	r = inbound_take(l, (size_t) n);
	return r < 0 ? r : (size_t) n == asked;
}
