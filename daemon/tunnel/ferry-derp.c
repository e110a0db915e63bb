/*
 * A relay by a stream of frames. Packets to it lie one behind the other in a ring until the stream
 * takes them; what does not fit is lost, so that nobody waits. Of what comes, packets of peers are
 * delivered from where they were read; the reader's memory, for the one of which only a part came,
 * grows to the longest frame once.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "tunnel/ferry-internal.h"
#include "wire/derp.h"
#include "wire/udprelay.h"

enum {
	OUT_LEN = 256 * 1024,
	IN_TURN = 256 * 1024, /* read in one turn at most */
	IN_ONCE = 64 * 1024,
	UNTOLD_MS = 100,
	/* Of what is no packet of a peer: so much at once, and so much a second. */
	USELESS_BURST = 8 * 1024 * 1024,
	USELESS_PER_S = 1024 * 1024,
	USELESS_EACH = 64, /* that a frame costs, beside its length */
};

_Static_assert(IN_TURN <= FERRY_SLOTS * FERRY_SLOT_LEN, "it is read to there");
_Static_assert((OUT_LEN & (OUT_LEN - 1)) == 0, "positions are taken modulo it");

struct derp {
	struct carrier carrier;
	struct ferry_stream stream;
	struct derp_reader reader;
	bool waits;  /* for the stream to take more */
	bool hungry; /* there may be more to read than poll() knows of */
	bool ended, told;
	int error;                 /* that it ended by */
	_Atomic uint64_t heard_us; /* the last frame; the control thread looks at it, too */
	uint64_t useless_us;       /* a bucket of it: when it was filled last, ... */
	size_t useless_left;       /* ... and what it held then */
	uint32_t head, tail;       /* of what is to be sent: ever sent, ever put in */
	uint8_t out[OUT_LEN];
};

static void wait_at_most(struct ferry *f, int ms)
{
	if (f->wait_ms < 0 || f->wait_ms > ms)
		f->wait_ms = ms;
}

/* Until there is room for it. */
static void tell_end(struct ferry *f, struct derp *d)
{
	d->told = ferry_tell_ended(f, &d->carrier, d->error);
	if (!d->told)
		wait_at_most(f, UNTOLD_MS);
}

static void end(struct ferry *f, struct derp *d, int error)
{
	if (d->ended)
		return;
	d->ended = true;
	d->error = error;
	d->carrier.up = false;
	atomic_store_explicit(&d->heard_us, 0, memory_order_relaxed);
	(void) epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, d->carrier.source.sock.fd, NULL);
	ferry_passengers_choose(f);
	tell_end(f, d);
}

/* --- to the relay --- */

static void await_room(struct ferry *f, struct derp *d, bool waits)
{
	struct epoll_event event = { .events = EPOLLIN | (waits ? EPOLLOUT : 0),
		.data.ptr = &d->carrier.source };

	if (waits == d->waits)
		return;
	d->waits = waits;
	(void) epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, d->carrier.source.sock.fd, &event);
}

static void flush(struct ferry *f, struct derp *d)
{
	while (d->head != d->tail && !d->ended) {
		uint32_t at = d->head % OUT_LEN, n = d->tail - d->head;
		ssize_t r;

		if (n > OUT_LEN - at)
			n = OUT_LEN - at;
		r = d->stream.send(d->stream.ctx, d->out + at, n);
		if (r == -EAGAIN) {
			await_room(f, d, true);
			return;
		}
		if (r < 0) {
			end(f, d, (int) r);
			return;
		}
		d->head += (uint32_t) r;
	}
	if (!d->ended)
		await_room(f, d, false);
}

static bool has_room(const struct derp *d, size_t len)
{
	return len <= OUT_LEN - (d->tail - d->head);
}

static void put(struct derp *d, const uint8_t *data, size_t len)
{
	size_t at = d->tail % OUT_LEN;
	size_t n = len < OUT_LEN - at ? len : OUT_LEN - at;

	memcpy(d->out + at, data, n);
	memcpy(d->out, data + n, len - n);
	d->tail += (uint32_t) len;
}

static void put_packet(
	struct ferry *f, struct derp *d, const uint8_t *key, const uint8_t *data, size_t len)
{
	uint8_t head[DERP_PACKET_HEAD_LEN];

	if (len > UDPRELAY_PAYLOAD_MAX) { /* the same by both ways */
		f->counters.too_long++;
		return;
	}
	if (!has_room(d, sizeof(head) + len)) {
		f->counters.to_relay_full++;
		return;
	}
	derp_packet_head(DERP_SEND, key, len, head);
	put(d, head, sizeof(head));
	put(d, data, len);
	f->counters.to_relay++;
}

static void to_relay(struct ferry *f, struct carrier *c, const struct passenger *to,
	const struct sock_msg *msgs, size_t n)
{
	struct derp *d = (struct derp *) c;

	for (size_t i = 0; i < n; i++) {
		const struct sock_msg *msg = &msgs[i];
		size_t size = sock_msg_datagrams(msg) > 1 ? msg->segment : msg->len;

		for (size_t at = 0; at < msg->len; at += size)
			put_packet(f, d, to->key, msg->data + at,
				msg->len - at < size ? msg->len - at : size);
	}
	flush(f, d);
}

bool ferry_derp_put(struct ferry *f, struct carrier *c, const uint8_t *frame, size_t len)
{
	struct derp *d = (struct derp *) c;

	if (d->ended || !has_room(d, len))
		return false;
	put(d, frame, len);
	flush(f, d);
	return true;
}

/* --- from the relay --- */

/* Does it stay where it is until the turn is over? Else only until the next frame. */
static bool lies_in_area(const struct ferry *f, const uint8_t *data)
{
	return (uintptr_t) data - (uintptr_t) f->area < IN_TURN;
}

/*
 * A relay that sends without end what nobody has a use for costs us our processor, and is left:
 * who is behind it (node/relay-stream.h) takes his time before he comes back.
 */
static void count_useless(struct ferry *f, struct derp *d, size_t len)
{
	uint64_t more = (f->now_us - d->useless_us) * USELESS_PER_S / USEC_PER_SEC;

	d->useless_us = f->now_us;
	d->useless_left = more < USELESS_BURST - d->useless_left ? d->useless_left + (size_t) more
								 : USELESS_BURST;
	if (len + USELESS_EACH > d->useless_left)
		end(f, d, -EDQUOT);
	else
		d->useless_left -= len + USELESS_EACH;
}

/* False: it is of no use. */
static bool take_packet(struct ferry *f, struct derp *d, const struct derp_frame *frame)
{
	struct passenger *p = f->last;
	const uint8_t *key, *data;
	size_t len;

	if (derp_packet_parse(frame, &key, &data, &len) < 0 || len == 0 ||
		len > UDPRELAY_PAYLOAD_MAX) {
		f->counters.malformed++;
		return false;
	}
	if (!p || memcmp(p->key, key, FERRY_KEY_LEN) != 0)
		p = ferry_passenger_by_key(f, key);
	if (!p) {
		f->counters.unknown_node++;
		ferry_tell_stranger(f, &d->carrier, 0, key);
		return false;
	}
	f->last = p;
	ferry_arrived(f, &d->carrier, p, data, len);
	if (!lies_in_area(f, data))
		ferry_deliver(f);
	return true;
}

static void take(struct ferry *f, struct derp *d, const struct derp_frame *frame)
{
	switch (frame->type) {
	case DERP_RECV:
		if (take_packet(f, d, frame))
			return;
		break;
	case DERP_PING:
	case DERP_PONG:
	case DERP_PEER_GONE:
	case DERP_HEALTH:
	case DERP_RESTARTING:
		if (frame->len > DERP_HEALTH_MAX)
			f->counters.malformed++;
		else if (ferry_tell_frame(f, &d->carrier, frame->type, frame->data, frame->len))
			f->counters.control++;
		else
			f->counters.control_lost++;
		break;
	default: /* KEEP_ALIVE, and what we know nothing of */
		break;
	}
	count_useless(f, d, frame->len);
}

/*
 * What has come, as far as it is this turn's. *ret_end: why there is no more of it, as of
 * stream.receive().
 */
static size_t receive(struct ferry *f, struct derp *d, int *ret_end)
{
	size_t n = 0;

	d->hungry = false;
	*ret_end = -EAGAIN;
	while (n + IN_ONCE <= IN_TURN) {
		ssize_t r = d->stream.receive(d->stream.ctx, f->area + n, IN_ONCE);

		if (r <= 0) {
			*ret_end = (int) r;
			return n;
		}
		n += (size_t) r;
	}
	d->hungry = true;
	wait_at_most(f, 0);
	return n;
}

static void from_relay(struct ferry *f, struct derp *d)
{
	int reason, r = 0;
	size_t len = receive(f, d, &reason);
	const uint8_t *data = f->area;
	struct derp_frame frame;
	bool heard = false;

	while (!d->ended && (r = derp_reader_next(&d->reader, DERP_STAGE_CLIENT_OPEN, &data, &len,
				     &frame)) == 1) {
		heard = true;
		take(f, d, &frame);
	}
	if (heard && !d->ended)
		atomic_store_explicit(&d->heard_us, f->now_us, memory_order_relaxed);
	ferry_deliver(f);
	if (r < 0)
		end(f, d, r);
	else if (reason != -EAGAIN)
		end(f, d, reason);
}

static void on_ready(struct ferry *f, struct source *s)
{
	struct derp *d = (struct derp *) s;

	if (d->waits)
		flush(f, d);
	if (!d->ended)
		from_relay(f, d);
}

void ferry_derp_go_on(struct ferry *f)
{
	for (struct carrier *c = f->carriers; c; c = c->next) {
		struct derp *d = (struct derp *) c;

		if (!c->is_stream)
			continue;
		if (d->ended && !d->told)
			tell_end(f, d);
		else if (d->hungry && !d->ended)
			from_relay(f, d);
	}
}

/* --- one of them --- */

static void free_derp(struct carrier *c)
{
	derp_reader_done(&((struct derp *) c)->reader);
	free(c);
}

uint64_t ferry_derp_heard_us(const struct carrier *c)
{
	return atomic_load_explicit(&((const struct derp *) c)->heard_us, memory_order_relaxed);
}

int ferry_derp_new(uint32_t relay, const struct ferry_stream *stream, struct carrier **ret)
{
	struct derp *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->stream = *stream;
	d->carrier.relay = relay;
	d->carrier.source.sock.fd = stream->fd;
	d->useless_us = clock_now_us();
	d->useless_left = USELESS_BURST;
	atomic_init(&d->heard_us, d->useless_us);
	d->carrier.source.ready = on_ready;
	d->carrier.is_stream = d->carrier.up = d->hungry = true;
	d->carrier.send = to_relay;
	d->carrier.free = free_derp;
	*ret = &d->carrier;
	return 0;
}
