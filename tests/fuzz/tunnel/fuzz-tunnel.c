/*
 * Two whole tunnels without a kernel: the input is what the device of one hands over (super-packets
 * of every shape, garbage in the virtio-net header) and what comes over the wire to the other
 * (super-frames with any segment size, in which anything is sealed, by one who knows the keys, or
 * not), while send buffers fill up and the device refuses.
 *
 * Held besides: what one end sends is what the kernel accepts and what the other opens without loss,
 * and what is written to a device splits into as many whole packets as were delivered.
 *
 * The input is a list of steps: a byte that says what, and bytes that say how. A length byte, so many
 * bytes and a total length are one text: the bytes, and a pattern up to the total.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wg/wg.h"
#include "tunnel/internal.h"
#include "packet/checksum.h"
#include "packet/segment.h"

enum { A, B, ENDS, STEPS_MAX = 24, WIRE_MAX = 512, FRAMES_MAX = 4, MTU = 1280 };

struct input {
	const uint8_t *p, *end;
};

/* One end and what its fake kernel holds. */
struct end {
	struct tunnel *t;
	uint8_t key[WG_KEY_LEN], public[WG_KEY_LEN];
	uint8_t *frames[FRAMES_MAX]; /* the device has these */
	size_t frame_lens[FRAMES_MAX];
	unsigned n_frames, next_frame;
	int write_error;        /* of the device */
	unsigned room;          /* messages that the socket takes before it is full */
	bool lose;              /* what is sent goes nowhere */
	uint64_t written, sent; /* packets; datagrams that left whole */
};

/* What is on its way. */
struct wire {
	uint8_t *data;
	size_t len, segment;
};

static struct end ends[ENDS];
static struct wire wire[WIRE_MAX];
static size_t n_wire;
static struct aead *sealer;
static uint64_t now_us = 1000000000;

#define HOLDS(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

static unsigned take8(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

static unsigned take16(struct input *in)
{
	unsigned low = take8(in);

	return low | take8(in) << 8;
}

/* A text of at most @room bytes. */
static size_t take_text(struct input *in, uint8_t *ret, size_t room)
{
	size_t head = take8(in), total, left = (size_t) (in->end - in->p);

	head = head < left ? head : left;
	head = head < room ? head : room;
	if (head)
		memcpy(ret, in->p, head);
	in->p += head;
	total = take16(in);
	total = total < room ? total : room;
	for (size_t i = head; i < total; i++)
		ret[i] = (uint8_t) (i * 7);
	return total > head ? total : head;
}

/* --- the fake kernel --- */

static struct end *end_of(const struct tunnel *t)
{
	return &ends[ends[A].t == t ? A : B];
}

static ssize_t fake_read(struct lane *l, void *ret_data, size_t len)
{
	struct end *e = end_of(l->tunnel);
	unsigned i = e->next_frame;

	if (i == e->n_frames)
		return -EAGAIN;
	e->next_frame++;
	len = len < e->frame_lens[i] ? len : e->frame_lens[i];
	memcpy(ret_data, e->frames[i], len);
	return (ssize_t) len;
}

/* As the kernel would: the super-packet must split into whole packets again. */
static ssize_t fake_write(struct lane *l, const struct iovec *iov, int n)
{
	static uint8_t packet[READ_MAX + 1];
	struct end *e = end_of(l->tunnel);
	struct segment_plan plan;
	struct vnet_head head = { 0 };
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		HOLDS(len + iov[i].iov_len <= READ_MAX);
		memcpy(packet + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	HOLDS(len > VNET_HEAD_LEN && vnet_parse(packet, &head) == 0);
	HOLDS(segment_plan(&head, packet + VNET_HEAD_LEN, len - VNET_HEAD_LEN, &plan) == 0);
	HOLDS(head.gso != VNET_GSO_NONE || plan.n == 1);
	if (e->write_error == -EINVAL && head.gso != VNET_GSO_NONE)
		return -EINVAL; /* they come again, one by one */
	if (e->write_error) {
		e->written += plan.n; /* they are counted apart */
		return e->write_error;
	}
	e->written += plan.n;
	return (ssize_t) len;
}

static int fake_receive(struct lane *l, int fd, struct sock_msg *msgs, size_t n)
{
	return 0;
}

static void put_on_wire(const struct sock_msg *msg)
{
	if (n_wire == WIRE_MAX)
		return;
	wire[n_wire].data = malloc(msg->len);
	HOLDS(wire[n_wire].data);
	memcpy(wire[n_wire].data, msg->data, msg->len);
	wire[n_wire].len = msg->len;
	wire[n_wire++].segment = msg->segment;
}

static size_t fake_send(struct lane *l, struct sock_msg *msgs, size_t n)
{
	struct end *e = end_of(l->tunnel);
	size_t i;

	for (i = 0; i < n && e->room > 0; i++, e->room--) {
		unsigned datagrams = sock_msg_datagrams(&msgs[i]);

		HOLDS(msgs[i].len > 0);
		HOLDS(msgs[i].len <= SOCK_MESSAGE_MAX || datagrams == 1); /* EMSGSIZE */
		HOLDS(datagrams <= SOCK_SEGMENTS_MAX);
		msgs[i].sent = e->lose ? 0 : msgs[i].len;
		msgs[i].failed = e->lose ? datagrams : 0;
		msgs[i].error = e->lose ? -ENETUNREACH : 0;
		msgs[i].source_gone = e->lose;
		if (e->lose)
			continue;
		e->sent += datagrams;
		put_on_wire(&msgs[i]);
	}
	return i;
}

static const struct tunnel_io fake_io = { .tun_read = fake_read,
	.tun_write = fake_write,
	.udp_receive = fake_receive,
	.udp_send = fake_send };

static void drop_wire(void)
{
	while (n_wire > 0)
		free(wire[--n_wire].data);
}

/* Hands all that is on the wire to @to; its answers are on the wire then. */
static void carry(struct end *to)
{
	static struct wire moving[WIRE_MAX];
	struct lane *l = to->t->lanes[0];
	size_t n = n_wire;

	memcpy(moving, wire, sizeof(moving));
	n_wire = 0;
	for (size_t i = 0; i < n; i++) {
		l->in_msgs[0] = (struct sock_msg){ .data = l->in_slots[0],
			.len = moving[i].len,
			.segment = moving[i].segment,
			.remote = { .addr = { .family = AF_INET,
					    .bytes = { 192, 0, 2, to == &ends[A] ? 2 : 1 } },
				.port = 7001 } };
		memcpy(l->in_slots[0], moving[i].data, moving[i].len);
		(void) inbound_take(l, 1);
		free(moving[i].data);
	}
}

/* --- beginning --- */

static void start(struct end *e, uint8_t fill)
{
	const struct tunnel_config config = { .tun_fd = -1 };
	struct err err = { 0 };

	e->t = tunnel_new_bare(&fake_io);
	HOLDS(e->t);
	e->t->mtu = e->t->lanes[0]->mtu = MTU;
	e->t->tun = (struct tun_offload){ .header = true, .csum = true, .tso = true, .uso = true };
	e->t->lanes[0]->sock.gso4 = e->t->lanes[0]->sock.gso6 = true;
	HOLDS(tunnel_open_bare(e->t, &config, &err) == 0);
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		e->frames[i] = malloc(READ_MAX);
		HOLDS(e->frames[i]);
	}
	e->room = UINT32_MAX;
	memset(e->key, fill, sizeof(e->key));
	wg_device_set_time(e->t->device, now_us, now_us);
	wg_device_set_private_key(e->t->device, e->key);
	(void) wg_device_public_key(e->t->device, e->public);
}

static void add_prefix(struct wg_peer *peer, const char *text)
{
	struct ip_prefix prefix;

	HOLDS(ip_prefix_parse(text, &prefix) == 0 && wg_peer_add_allowed(peer, &prefix) == 0);
}

static struct wg_peer *introduce(struct end *e, const struct end *other)
{
	static const struct endpoint at = {
		.addr = { .family = AF_INET, .bytes = { 192, 0, 2, 1 } }, .port = 7001
	};
	struct wg_peer *peer = NULL;

	HOLDS(wg_device_add_peer(e->t->device, other->public, &peer) == 1);
	wg_peer_set_endpoint(peer, &at);
	add_prefix(peer, "10.0.0.0/24");
	add_prefix(peer, "fd00::/64");
	return peer;
}

/* Peers that never answer, so that packets wait for them. */
static void add_silent_peer(struct end *e)
{
	struct endpoint at = { .addr = { .family = AF_INET, .bytes = { 192, 0, 2, 99 } },
		.port = 9 };
	uint8_t key[WG_KEY_LEN] = { 9 };
	struct wg_peer *peer = NULL;

	HOLDS(wg_device_add_peer(e->t->device, key, &peer) == 1);
	wg_peer_set_endpoint(peer, &at);
	add_prefix(peer, "10.9.0.0/16");
}

static struct wg_peer *peer_of(const struct end *e)
{
	return wg_device_next_peer(e->t->device, NULL);
}

static struct wg_session *sending(const struct end *e)
{
	struct wg_session *s = wg_peer_sending(peer_of(e));

	HOLDS(s);
	return s;
}

static void initialize(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	log_set_level(LOG_LEVEL_ERROR);
	start(&ends[A], 1);
	start(&ends[B], 2);
	(void) introduce(&ends[A], &ends[B]);
	(void) introduce(&ends[B], &ends[A]);
	add_silent_peer(&ends[A]);
	sealer = aead_new();
	HOLDS(sealer);
	wg_peer_initiate(peer_of(&ends[A]));
	carry(&ends[B]);
	carry(&ends[A]); /* the answer, which makes A send a keepalive */
	carry(&ends[B]);
	(void) sending(&ends[A]);
	(void) sending(&ends[B]);
}

/* The same beginning for every input. */
static void rewind_all(void)
{
	struct wg_session *a = sending(&ends[A]), *b = sending(&ends[B]);
	struct wg_staged *staged;
	struct wg_peer *silent = wg_device_next_peer(ends[A].t->device, peer_of(&ends[A]));

	a->send_counter = b->send_counter = 1;
	memset(&a->replay, 0, sizeof(a->replay));
	memset(&b->replay, 0, sizeof(b->replay));
	while ((staged = wg_peer_unstage(silent)))
		free(staged);
	for (int i = 0; i < ENDS; i++) {
		struct lane *l = ends[i].t->lanes[0];

		memset(&l->counters, 0, sizeof(l->counters));
		coalesce_init(&l->coalesce, true, true, inbound_write, l);
		ends[i].n_frames = ends[i].next_frame = 0;
		ends[i].lose = false;
		ends[i].write_error = 0;
		ends[i].room = UINT32_MAX;
		ends[i].written = ends[i].sent = 0;
	}
	drop_wire();
}

/* --- steps --- */

static void put16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t) (value >> 8);
	p[1] = (uint8_t) value;
}

/* Lengths and checksums of a TCP or UDP packet made right, so that the input need not guess them. */
static void make_right(uint8_t *p, size_t len, bool transport)
{
	bool v6 = len > 0 && p[0] >> 4 == 6;
	size_t head = v6 ? 40 : len > 0 ? (size_t) (p[0] & 15) * 4 : 0, field;
	uint8_t protocol;
	uint16_t sum;

	if (len > 65535 || head < 20 || len < head + 20)
		return;
	protocol = p[v6 ? 6 : 9];
	put16(p + (v6 ? 4 : 2), (unsigned) (v6 ? len - head : len));
	if (!v6) {
		put16(p + 10, 0);
		sum = checksum_field(checksum_add(0, p, head));
		memcpy(p + 10, &sum, 2);
	}
	if (!transport || (protocol != 6 && protocol != 17))
		return;
	if (protocol == 17)
		put16(p + head + 4, (unsigned) (len - head));
	field = head + (protocol == 6 ? 16 : 6);
	put16(p + field, 0);
	sum = checksum_field(checksum_pseudo(v6 ? p + 8 : p + 12, v6 ? 32 : 8, protocol) +
			     htobe16((uint16_t) (len - head)) +
			     checksum_add(0, p + head, len - head));
	memcpy(p + field, &sum, 2);
}

static void take_frame(struct input *in, struct end *e, bool right)
{
	unsigned i = e->n_frames++;
	uint8_t *frame = e->frames[i];
	size_t len = take_text(in, frame, READ_MAX);

	if (right && len > VNET_HEAD_LEN)
		make_right(frame + VNET_HEAD_LEN, len - VNET_HEAD_LEN, false);
	e->frame_lens[i] = len;
}

/* The device of A has packets. What leaves goes to B. */
static void step_frames(struct input *in, bool right)
{
	struct end *a = &ends[A], *b = &ends[B];
	const struct tunnel_counters before = b->t->lanes[0]->counters;

	a->sent = 0;
	a->n_frames = a->next_frame = 0;
	for (unsigned n = 1 + take8(in) % FRAMES_MAX; n > 0; n--)
		take_frame(in, a, right);
	while (outbound_run(a->t->lanes[0]) > 0)
		;
	if (n_wire < WIRE_MAX) {
		carry(b);
		HOLDS(b->t->lanes[0]->counters.rx_datagrams - before.rx_datagrams == a->sent);
		HOLDS(b->t->lanes[0]->counters.rx_forged == before.rx_forged);
		HOLDS(b->t->lanes[0]->counters.rx_malformed == before.rx_malformed);
	}
	drop_wire();
}

enum text_kind { TEXT_RAW, TEXT_SEALED, TEXT_FORGED, TEXT_REPEATED, TEXT_KINDS };

/* One datagram of a message to B, at @at. Returns its length. */
static size_t lay_datagram(struct input *in, uint8_t *at, size_t room)
{
	static uint8_t text[READ_MAX];
	struct wg_session *s = sending(&ends[A]);
	unsigned how = take8(in);
	struct aead_packet p = { .in = text, .out = at + WG_DATA_HEAD_LEN };

	if (how % TEXT_KINDS == TEXT_RAW)
		return take_text(in, at, room);
	if (room < WG_DATA_MIN_LEN)
		return 0;
	p.len = take_text(in, text, room - WG_DATA_MIN_LEN);
	if (how & 16)
		make_right(text, p.len, true);
	if (how % TEXT_KINDS != TEXT_REPEATED)
		s->send_counter++;
	p.counter = s->send_counter - 1;
	wg_data_head_format(at, s->remote_index, p.counter);
	HOLDS(aead_seal(sealer, s->send_key, &p, 1) == 0);
	if (how % TEXT_KINDS == TEXT_FORGED)
		at[WG_DATA_HEAD_LEN + take16(in) % (p.len + AEAD_TAG_LEN)] ^= 1;
	return p.len + WG_DATA_MIN_LEN;
}

/* Messages to B, laid out as they lie in its slots. */
static void step_batch(struct input *in)
{
	struct lane *l = ends[B].t->lanes[0];
	unsigned n = 1 + take8(in) % 8;

	for (unsigned i = 0; i < n; i++) {
		struct sock_msg *msg = &l->in_msgs[i];
		unsigned datagrams = 1 + take8(in) % 70, segment = take16(in);

		*msg = (struct sock_msg){ .data = l->in_slots[i],
			.segment = segment,
			.remote = { .addr = { .family = AF_INET, .bytes = { 192, 0, 2, 1 } },
				.port = 7001 } };
		for (unsigned k = 0; k < datagrams && in->p < in->end; k++)
			msg->len += lay_datagram(in, msg->data + msg->len, PACKET_MAX - msg->len);
	}
	(void) inbound_take(l, n);
}

static void step_trouble(struct input *in)
{
	static const int errors[] = { 0, -EIO, -EINVAL, -ENOBUFS, -EAGAIN };
	unsigned how = take8(in);

	ends[A].room = how & 1 ? how >> 1 & 3 : UINT32_MAX;
	ends[A].lose = how & 8;
	ends[B].write_error = errors[(how >> 4) % (sizeof(errors) / sizeof(errors[0]))];
	if (how & 128)
		outbox_drop(ends[A].t->lanes[0], &ends[A].t->lanes[0]->outbox);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .p = data, .end = data + size };
	const struct tunnel_counters *b;

	initialize();
	rewind_all();
	for (int i = 0; i < STEPS_MAX && in.p < in.end; i++) {
		switch (take8(&in) % 4) {
		case 0:
			step_frames(&in, false);
			break;
		case 1:
			step_frames(&in, true);
			break;
		case 2:
			step_batch(&in);
			break;
		case 3:
			step_trouble(&in);
			break;
		}
		b = &ends[B].t->lanes[0]->counters;
		HOLDS(ends[B].written == b->rx_packets);
		HOLDS(ends[B].t->lanes[0]->n_gathered == 0);
	}
	outbox_drop(ends[A].t->lanes[0], &ends[A].t->lanes[0]->outbox);
	return 0;
}
