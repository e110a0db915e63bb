/*
 * From the peers to the device. Messages are received in batches; the datagrams of all of them, also
 * those inside super-frames, are gathered, opened session by session where they lie, and then checked
 * one by one in this order: authentic, not seen before, a whole IP packet, and a source address that is
 * its sender's. Everything else is counted and dropped. What passes is joined to super-packets for the
 * device, of which none waits for packets still to come.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "internal.h"
#include "wire/ipkt.h"

enum {
	HANDSHAKES_BUSY = BATCH / 2, /* in one batch: ask the engine for cookies */
	WANT_STEP = 4,
	TCP_HEAD = 52, /* IPv4, TCP and its usual timestamps */
};

static struct wg_endpoint sender(const struct sock_msg *msg)
{
	return (struct wg_endpoint){
		.remote = msg->remote, .local = msg->local, .ifindex = msg->ifindex
	};
}

/* --- to the device -------------------------------------------------------------------------------- */

/* The kernel does not take such a super-packet, whatever it said: never again. */
static void stop_joining(struct tunnel *t, enum vnet_gso gso)
{
	bool *joined = gso == VNET_GSO_UDP_L4 ? &t->coalesce.udp : &t->coalesce.tcp;

	if (!*joined)
		return;
	*joined = false;
	log_warning("%s: the kernel refused a %s super-packet (EINVAL): packets are written one by "
		    "one now",
		t->ifname, gso == VNET_GSO_UDP_L4 ? "UDP" : "TCP");
}

/* None of a super-packet that was refused is lost. */
static void write_singly(struct tunnel *t, const struct vnet_head *super, struct iovec *iov, int n)
{
	const struct vnet_head head = { .flags = VNET_DATA_VALID };
	uint8_t bytes[VNET_HEAD_LEN];

	coalesce_undo(super, iov, n);
	vnet_format(&head, bytes);
	for (int i = 1; i < n; i++) {
		struct iovec one[2] = { { bytes, sizeof(bytes) }, iov[i] };

		inbound_write(t, &head, one, 2);
	}
}

void inbound_write(void *tunnel, const struct vnet_head *head, struct iovec *iov, int n)
{
	struct tunnel *t = tunnel;
	bool joined = head->gso != VNET_GSO_NONE;
	ssize_t r =
		t->tun.header ? t->io->tun_write(t, iov, n) : t->io->tun_write(t, iov + 1, n - 1);

	if (r >= 0) {
		t->counters.tun_super_written += joined;
		return;
	}
	if (r == -EINVAL && joined) {
		stop_joining(t, head->gso);
		write_singly(t, head, iov, n);
		return;
	}
	t->counters.tun_write_errors += (uint64_t) n - 1; /* EIO: the link is down */
	if (r == -EBADFD || r == -ENODEV)
		t->tun_error = (int) r;
}

/* The address of a run's last packet that was its peer's: the next one's is nearly always the same. */
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

static void deliver(struct tunnel *t, const struct wg_peer *peer, const struct aead_packet *p,
	struct known_source *known)
{
	struct ipkt ip;

	if (p->len == AEAD_TAG_LEN) /* a keepalive */
		return;
	if (ipkt_parse(p->out, p->len - AEAD_TAG_LEN, &ip) < 0 ||
		!source_is_allowed(t, peer, &ip, known)) {
		t->counters.rx_inner_bad++;
		return;
	}
	t->counters.rx_packets++;
	coalesce_add(&t->coalesce, p->out, ip.len);
}

/* --- opening -------------------------------------------------------------------------------------- */

/* in_packets[0 .. n) are all of @session: drops what is forged or replayed, delivers the rest. */
static void take_run(struct tunnel *t, struct wg_session *session, size_t n)
{
	struct known_source known = { 0 };
	const struct sock_msg *last = NULL;
	struct wg_endpoint from;
	uint64_t bytes = 0;
	bool data = false;

	aead_open(t->aead, session->receive_key, t->in_packets, n);
	for (size_t i = 0; i < n; i++) {
		const struct aead_packet *p = &t->in_packets[i];

		if (!p->ok) {
			t->counters.rx_forged++;
			continue;
		}
		if (!wg_session_accept(session, p->counter)) {
			t->counters.rx_replayed++;
			continue;
		}
		last = t->in_origins[i];
		bytes += WG_DATA_HEAD_LEN + p->len;
		data = data || p->len > AEAD_TAG_LEN;
		deliver(t, session->peer, p, &known);
	}
	if (!last)
		return;
	from = sender(last);
	wg_peer_data_received(session, &from, bytes, data);
}

/* Opens all that is gathered, one run for each session. */
static void open_gathered(struct tunnel *t)
{
	for (size_t first = 0; first < t->n_gathered; first++) {
		struct wg_session *session = t->gathered[first].session;
		size_t n = 0;

		if (!session)
			continue;
		for (size_t i = first; i < t->n_gathered; i++) {
			struct incoming *in = &t->gathered[i];

			if (in->session != session)
				continue;
			in->session = NULL;
			t->in_origins[n] = in->msg;
			t->in_packets[n++] = (struct aead_packet){
				.counter = wg_le64_read(in->data + 8),
				.in = in->data + WG_DATA_HEAD_LEN,
				.out = in->data + WG_DATA_HEAD_LEN,
				.len = in->len - WG_DATA_HEAD_LEN,
			};
		}
		take_run(t, session, n);
	}
	t->n_gathered = 0;
}

/* --- datagrams ------------------------------------------------------------------------------------ */

static void gather(
	struct tunnel *t, const struct sock_msg *msg, uint8_t *data, size_t len, uint32_t receiver)
{
	struct wg_session *session = wg_device_session(t->device, receiver);

	if (!session) {
		t->counters.rx_no_session++;
		return;
	}
	if (t->n_gathered == GATHERED_MAX)
		open_gathered(t);
	t->gathered[t->n_gathered++] =
		(struct incoming){ .session = session, .msg = msg, .data = data, .len = len };
}

/* A message that is no data. Returns whether the engine was asked. */
static bool take_handshake(
	struct tunnel *t, const struct sock_msg *msg, const uint8_t *data, size_t len)
{
	const uint64_t *bad_macs = &wg_device_counters(t->device)->bad_mac;
	uint64_t before = *bad_macs;
	struct wg_endpoint from = sender(msg);
	int class;

	if (wg_message_type(data, len) < 0) {
		t->counters.rx_malformed++;
		return false;
	}
	class = shed_admit(&t->shed, data, len);
	if (class < 0) {
		t->counters.rx_handshake_shed++;
		return true;
	}
	open_gathered(t); /* a handshake may put the sessions of what came before out of service */
	if (wg_device_receive(t->device, data, len, &from) < 0)
		t->counters.rx_handshake_bad++;
	shed_charge(&t->shed, class,
		*bad_macs != before || len == WG_COOKIE_REPLY_LEN ? SHED_CHEAP : SHED_DEAR);
	return true;
}

static void take_message(struct tunnel *t, const struct sock_msg *msg, unsigned *handshakes)
{
	unsigned n = sock_msg_datagrams(msg);
	size_t size = n > 1 ? msg->segment : msg->len;

	t->counters.rx_datagrams += n;
	t->counters.rx_super += n > 1;
	if (wg_device_denies(t->device, &msg->remote.addr)) {
		t->counters.rx_denied += n;
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		uint8_t *data = msg->data + i * size;
		size_t len = i + 1 < n ? size : msg->len - i * size;
		struct wg_data_head head;

		if (wg_data_head_parse(data, len, &head))
			gather(t, msg, data, len, head.receiver);
		else if (take_handshake(t, msg, data, len) && ++*handshakes == HANDSHAKES_BUSY)
			wg_device_note_load(t->device);
	}
}

int inbound_take(struct tunnel *t, size_t n)
{
	unsigned handshakes = 0;

	t->tun_error = 0;
	for (size_t i = 0; i < n; i++)
		take_message(t, &t->in_msgs[i], &handshakes);
	open_gathered(t);
	coalesce_flush(&t->coalesce);
	return t->tun_error;
}

/* As many full packets as fill one super-packet for the device; one more would be a write of its own. */
static size_t full_batch(const struct tunnel *t)
{
	size_t n = t->mtu > TCP_HEAD ? (PACKET_MAX - TCP_HEAD) / (t->mtu - TCP_HEAD) : BATCH;

	return !t->coalesce.tcp || n > BATCH ? BATCH : n < SUPER_SLOTS ? SUPER_SLOTS : n;
}

static bool has_super(const struct tunnel *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sock_msg_datagrams(&t->in_msgs[i]) > 1)
			return true;
	return false;
}

/*
 * Super-frames fill their slots, and memory that was touched stays: only where nothing but single
 * datagrams come, and many, many are asked for.
 */
static void note_intake(const struct tunnel *t, struct intake *in, size_t got)
{
	size_t most = in->calm == CALM_ENOUGH ? full_batch(t) : MIXED_SLOTS;

	if (has_super(t, got)) {
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

int inbound_run(struct tunnel *t, int fd)
{
	struct intake *in = fd == t->sock.fd6 ? &t->intake6 : &t->intake4;
	size_t asked = in->want;
	int n, r;

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < asked; i++)
		t->in_msgs[i].data = t->in_slots[i];
	n = t->io->udp_receive(t, fd, t->in_msgs, asked);
	if (n <= 0)
		return 0; /* an error of the socket was reported by this call and is over */
	note_intake(t, in, (size_t) n);
	r = inbound_take(t, (size_t) n);
	return r < 0 ? r : (size_t) n == asked;
}
