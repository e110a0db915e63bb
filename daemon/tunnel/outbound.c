/*
 * From the device to the peers. A batch of packets is read into slots that leave room for head and
 * tag, sealed where it lies and sent with few system calls. Counters of a session are taken in the
 * order in which packets are read, and datagrams leave in that order. What has no session is copied
 * into the engine's queue of its peer; apart from that nothing is allocated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "wire/ipkt.h"

/* Head and padding around the packet in @slot; what is sealed ends up in @ret. Returns the wire length. */
static size_t frame_packet(struct tunnel *t, const struct outgoing *o, const struct wg_session *s,
	uint64_t counter, struct aead_packet *ret)
{
	size_t padding = ipkt_padding(o->len, t->mtu);
	uint8_t *text = o->slot + WG_DATA_HEAD_LEN;

	wg_data_head_format(o->slot, s->remote_index, counter);
	*ret = (struct aead_packet){
		.counter = counter, .in = text, .out = text, .len = o->len, .pad = padding
	};
	return WG_DATA_HEAD_LEN + o->len + padding + AEAD_TAG_LEN;
}

/* Seals @n packets of one peer and appends them to @list. False: there is no session for them. */
static bool seal_run(struct tunnel *t, struct send_list *list, const struct outgoing *run, size_t n)
{
	struct wg_session *s = wg_peer_sending(run->peer);
	const struct wg_endpoint *to = wg_peer_endpoint(run->peer);
	uint64_t first = 0;

	if (!s || !to || !wg_session_reserve(s, (unsigned) n, &first))
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t len = frame_packet(t, &run[i], s, first + i, &t->out_packets[i]);

		list->msgs[list->n + i] = (struct sock_msg){ .data = run[i].slot,
			.len = len,
			.remote = to->remote,
			.local = to->local,
			.ifindex = to->ifindex };
		list->sessions[list->n + i] = s;
	}
	if (aead_seal(t->aead, s->send_key, t->out_packets, n) < 0) {
		t->counters.tx_errors += n; /* the text may not leave */
		return true;
	}
	list->n += n;
	return true;
}

static void stage_run(struct tunnel *t, const struct outgoing *run, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (wg_peer_stage(run[i].peer, run[i].slot + WG_DATA_HEAD_LEN, run[i].len) < 0)
			t->counters.tx_no_session++;
}

/* Counts, and tells the engine, session by session. */
static void report_sent(struct tunnel *t, const struct send_list *list)
{
	for (size_t i = 0; i < list->n;) {
		struct wg_session *s = list->sessions[i];
		bool source_gone = false;
		uint64_t bytes = 0;

		for (; i < list->n && list->sessions[i] == s; i++) {
			const struct sock_msg *msg = &list->msgs[i];

			if (msg->error == -EADDRNOTAVAIL)
				source_gone = true;
			else if (msg->error < 0) {
				t->counters.tx_errors++;
				continue;
			}
			t->counters.tx_datagrams++;
			bytes += msg->len;
		}
		if (source_gone)
			wg_peer_clear_source(s->peer);
		/* Also if none got out: then the missing answer leads to a new handshake, on all
		 * paths. */
		wg_peer_data_sent(s, bytes);
	}
}

static void send_all(struct tunnel *t, struct send_list *list)
{
	if (list->n == 0)
		return;
	(void) sock_send(t->batch, &t->sock, list->msgs, list->n); /* errors are in the messages */
	report_sent(t, list);
	list->n = 0;
}

/* Reads one packet into slot @i. 1 taken, 0 dropped, -EAGAIN none, else the device's error. */
static int read_packet(struct tunnel *t, size_t i)
{
	uint8_t *packet = t->out_slots[i] + WG_DATA_HEAD_LEN;
	ssize_t n = read(t->tun_fd, packet, PACKET_MAX);
	struct wg_peer *peer = NULL;
	struct ipkt ip;

	if (n < 0)
		return -errno;
	t->counters.tx_packets++;
	if (ipkt_parse(packet, (size_t) n, &ip) == 0)
		peer = wg_device_route(t->device, ip.family, ip.dst);
	if (!peer) {
		t->counters.tx_no_peer++;
		return 0;
	}
	t->outgoing[i] = (struct outgoing){ .peer = peer, .slot = t->out_slots[i], .len = ip.len };
	return 1;
}

int outbound_run(struct tunnel *t)
{
	size_t n = 0;
	int r = 0;

	for (int reads = 0; n < BATCH && reads < 2 * BATCH; reads++) {
		r = read_packet(t, n);
		if (r == -EINTR)
			continue;
		if (r < 0)
			break;
		n += (size_t) r;
	}
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && t->outgoing[i + run].peer == t->outgoing[i].peer;)
			run++;
		if (!seal_run(t, &t->out_list, &t->outgoing[i], run))
			stage_run(t, &t->outgoing[i], run);
	}
	send_all(t, &t->out_list);
	if (r == -EBADFD || r == -ENODEV)
		return r;
	return r >= 0;
}

void outbound_flush_staged(struct tunnel *t, struct wg_peer *peer)
{
	struct outgoing late[LATE_BATCH];
	struct wg_staged *staged;
	size_t n;

	do {
		for (n = 0; n < LATE_BATCH && (staged = wg_peer_unstage(peer)); n++) {
			late[n] = (struct outgoing){
				.peer = peer, .slot = t->late_slots[n], .len = staged->len
			};
			memcpy(t->late_slots[n] + WG_DATA_HEAD_LEN, staged->data, staged->len);
			free(staged);
		}
		if (n > 0 && !seal_run(t, &t->late_list, late, n)) {
			t->counters.tx_no_session += n;
			return;
		}
		send_all(t, &t->late_list);
	} while (n == LATE_BATCH);
}

void outbound_send_one(struct tunnel *t, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	struct sock_msg msg = { .data = (uint8_t *) data, /* only read */
		.len = len,
		.remote = to->remote,
		.local = to->local,
		.ifindex = to->ifindex };

	if (wg_device_denies(t->device, &to->remote.addr)) {
		t->counters.tx_errors++;
		return;
	}
	(void) sock_send(t->batch, &t->sock, &msg, 1);
	if (msg.error == -EADDRNOTAVAIL && peer)
		wg_peer_clear_source(peer);
	if (msg.error < 0 && msg.error != -EADDRNOTAVAIL)
		t->counters.tx_errors++;
	else
		t->counters.tx_datagrams++;
}
