/*
 * From the peers to the device. Datagrams are received in batches, those of one session in a row are
 * opened together where they lie, then each is checked in this order: authentic, not seen before,
 * a whole IP packet, and a source address that is its sender's. Everything else is counted and dropped.
 */
#include <errno.h>
#include <unistd.h>

#include "internal.h"
#include "wire/ipkt.h"

enum { HANDSHAKES_BUSY = BATCH / 2 }; /* in one batch: ask the engine for cookies */

/* Datagrams in a row that name one session. */
struct run {
	struct wg_session *session;
	size_t first, n; /* into in_msgs */
};

static struct wg_endpoint sender(const struct sock_msg *msg)
{
	return (struct wg_endpoint){
		.remote = msg->remote, .local = msg->local, .ifindex = msg->ifindex
	};
}

/* 0, or -errno when the device is gone. */
static int deliver(struct tunnel *t, const struct wg_peer *peer, const uint8_t *data, size_t len)
{
	struct ipkt ip;

	if (ipkt_parse(data, len, &ip) < 0 ||
		wg_device_route(t->device, ip.family, ip.src) != peer) {
		t->counters.rx_inner_bad++;
		return 0;
	}
	t->counters.rx_packets++;
	if (write(t->tun_fd, data, ip.len) >= 0)
		return 0;
	t->counters.tun_write_errors++; /* EIO: the link is down */
	return errno == EBADFD || errno == ENODEV ? -errno : 0;
}

static void open_packets(struct tunnel *t, const struct run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		struct sock_msg *msg = &t->in_msgs[run->first + i];

		t->in_packets[i] = (struct aead_packet){ .counter = wg_le64_read(msg->data + 8),
			.in = msg->data + WG_DATA_HEAD_LEN,
			.out = msg->data + WG_DATA_HEAD_LEN,
			.len = msg->len - WG_DATA_HEAD_LEN };
	}
	aead_open(t->aead, run->session->receive_key, t->in_packets, run->n);
}

/* Opens the run, drops what is forged or replayed, and tells the engine about the rest. */
static void take_run(struct tunnel *t, const struct run *run)
{
	const struct sock_msg *last = NULL;
	struct wg_endpoint from;
	uint64_t bytes = 0;
	bool data = false;

	open_packets(t, run);
	for (size_t i = 0; i < run->n; i++) {
		struct aead_packet *p = &t->in_packets[i];

		if (!p->ok) {
			t->counters.rx_forged++;
			continue;
		}
		p->ok = wg_session_accept(run->session, p->counter);
		if (!p->ok) {
			t->counters.rx_replayed++;
			continue;
		}
		last = &t->in_msgs[run->first + i];
		bytes += last->len;
		data = data || p->len > AEAD_TAG_LEN;
	}
	if (!last)
		return;
	from = sender(last);
	wg_peer_data_received(run->session, &from, bytes, data);
}

static int finish_run(struct tunnel *t, struct run *run)
{
	const struct wg_peer *peer;
	int r = 0;

	if (run->n == 0)
		return 0;
	peer = run->session->peer;
	take_run(t, run);
	for (size_t i = 0; i < run->n && r == 0; i++) {
		const struct aead_packet *p = &t->in_packets[i];

		if (p->ok && p->len > AEAD_TAG_LEN) /* else a keepalive */
			r = deliver(t, peer, p->out, p->len - AEAD_TAG_LEN);
	}
	run->n = 0;
	return r;
}

/* The session that a data message names, or NULL and a count. */
static struct wg_session *find_session(struct tunnel *t, uint32_t receiver)
{
	struct wg_session *s = wg_device_session(t->device, receiver);

	if (!s)
		t->counters.rx_no_session++;
	return s;
}

/* A message that is no data. Returns whether the engine was asked. */
static bool take_handshake(struct tunnel *t, const struct sock_msg *msg)
{
	struct wg_endpoint from = sender(msg);

	if (wg_message_type(msg->data, msg->len) < 0) {
		t->counters.rx_malformed++;
		return false;
	}
	if (wg_device_receive(t->device, msg->data, msg->len, &from) < 0)
		t->counters.rx_handshake_bad++;
	return true;
}

static int take_batch(struct tunnel *t, size_t n)
{
	struct run run = { 0 };
	size_t handshakes = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct sock_msg *msg = &t->in_msgs[i];
		struct wg_session *s = NULL;
		struct wg_data_head head;
		bool is_data = wg_data_head_parse(msg->data, msg->len, &head);

		if (wg_device_denies(t->device, &msg->remote.addr)) {
			t->counters.rx_denied++;
			continue;
		}
		if (is_data)
			s = find_session(t, head.receiver);
		if (run.n > 0 && (run.session != s || run.first + run.n != i))
			r = finish_run(t, &run);
		if (is_data && s) {
			if (run.n == 0)
				run = (struct run){ .session = s, .first = i };
			run.n++;
		} else if (!is_data && take_handshake(t, msg) && ++handshakes == HANDSHAKES_BUSY) {
			wg_device_note_load(t->device);
		}
	}
	return r < 0 ? r : finish_run(t, &run);
}

int inbound_run(struct tunnel *t, int fd)
{
	int n, r;

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < BATCH; i++)
		t->in_msgs[i].data = t->in_slots[i];
	n = sock_recv(t->batch, fd, t->in_msgs, BATCH, SLOT_LEN);
	if (n <= 0)
		return 0; /* an error of the socket was reported by this call and is over */
	t->counters.rx_datagrams += (uint64_t) n;
	r = take_batch(t, (size_t) n);
	return r < 0 ? r : n == BATCH;
}
