/*
 * Two whole devices and an attacker between them who reads, changes, repeats, holds back and
 * invents datagrams, moves time and reconfigures, as the input says. "Random" numbers are the same
 * in every run, so that a finding can be repeated.
 *
 * The input is a list of steps: a byte that says what, and bytes that say how.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "wg/cookie.h"
#include "wg/crypto.h"
#include "wg/wg.h"

enum { HELD_MAX = 8, STEPS_MAX = 64, DATAGRAM_MAX = 256 };

struct datagram {
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

struct side {
	struct wg_device *device;
	struct wg_peer *peer;
	struct wg_identity identity;
	struct datagram held[HELD_MAX]; /* what it sent last */
	unsigned n_held, ciphers;
};

struct input {
	const uint8_t *p, *end;
};

static uint64_t random_state, now_us, wall_us;
static struct wg_crypto crypto;

static uint32_t random_next(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t) (random_state >> 32);
}

static void random_buf(void *const buf, const size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t) random_next();
}

static const char *random_name(void)
{
	return "repeatable";
}

static struct randombytes_implementation repeatable = {
	.implementation_name = random_name,
	.random = random_next,
	.buf = random_buf,
};

static uint8_t next(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void hold(struct side *side, const uint8_t *data, size_t len)
{
	struct datagram *d = &side->held[side->n_held++ % HELD_MAX];

	check(len <= DATAGRAM_MAX);
	memcpy(d->data, data, len);
	d->len = len;
}

static void on_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	check(wg_message_type(data, len) > 0);
	check(to->remote.addr.family != 0);
	hold(ctx, data, len);
}

static void seal(struct side *side, const uint8_t *inner, size_t len)
{
	struct wg_session *session = wg_peer_sending(side->peer);
	uint8_t packet[DATAGRAM_MAX];
	uint64_t counter;

	if (!session || len > 128 || !wg_session_reserve(session, 1, &counter))
		return;
	wg_data_head_format(packet, session->remote_index, counter);
	wg_seal(packet + 16, inner, len, NULL, 0, session->send_key, counter);
	hold(side, packet, len + 32);
	wg_peer_data_sent(session, len + 32);
}

static void on_ready(void *ctx, struct wg_peer *peer)
{
	struct wg_staged *staged;

	while ((staged = wg_peer_unstage(peer))) {
		seal(ctx, staged->data, staged->len);
		free(staged);
	}
}

static void on_cipher_free(void *ctx, void *cipher)
{
	struct side *side = ctx;

	check(cipher == side && side->ciphers > 0);
	side->ciphers--;
}

static void on_removed(void *ctx, struct wg_peer *peer)
{
	struct side *side = ctx;

	check(side->peer == peer);
	side->peer = NULL;
}

static void side_init(struct side *side, const struct side *other)
{
	const struct wg_config config = {
		.ops = { .send = on_send,
			.ready = on_ready,
			.cipher_free = on_cipher_free,
			.peer_removed = on_removed },
		.ctx = side,
		.now_us = now_us,
		.wall_us = wall_us,
	};
	struct ip_prefix denied = { .addr = { .family = AF_INET, .bytes = { 99 } }, .len = 8 };

	check(wg_device_new(&config, &side->device) == 0);
	wg_device_set_private_key(side->device, side->identity.private);
	check(wg_device_add_peer(side->device, other->identity.public, &side->peer) == 1);
	check(wg_device_set_denied(side->device, &denied, 1) == 0);
	struct endpoint remote = { .addr = { .family = AF_INET, .bytes = { 10, 1 } }, .port = 5 };

	wg_peer_set_endpoint(side->peer, &remote);
}

static void receive_data(
	struct side *side, const struct wg_endpoint *from, const uint8_t *data, size_t len)
{
	struct wg_data_head head;
	uint8_t inner[DATAGRAM_MAX];

	if (wg_device_denies(side->device, &from->remote) || !wg_data_head_parse(data, len, &head))
		return;
	struct wg_session *session = wg_device_session(side->device, head.receiver);

	if (!session ||
		wg_open(inner, data + 16, len - 16, NULL, 0, session->receive_key, head.counter) <
			0 ||
		!wg_session_accept(session, head.counter))
		return;
	if (!session->cipher) {
		session->cipher = side;
		side->ciphers++;
	}
	check(!wg_session_accept(session, head.counter));
	wg_peer_data_received(session, from, len, len > WG_DATA_MIN_LEN);
}

static void receive(struct side *side, struct input *in, const uint8_t *data, size_t len)
{
	struct wg_endpoint from = {
		.remote = { .addr = { .family = AF_INET, .bytes = { next(in) } }, .port = 7 }
	};

	if (len && data[0] == WG_TYPE_DATA)
		receive_data(side, &from, data, len);
	else
		(void) wg_device_receive(side->device, data, len, &from);
	const struct wg_endpoint *endpoint = side->peer ? wg_peer_endpoint(side->peer) : NULL;

	check(!endpoint || !wg_device_denies(side->device, &endpoint->remote));
}

/* One of what @from sent, changed in up to three places, perhaps with its MAC1 made right again. */
static void pass_on(struct side *from, struct side *to, struct input *in)
{
	if (!from->n_held)
		return;
	unsigned back = next(in) % HELD_MAX;
	struct datagram d = from->held[(from->n_held - 1 - back % from->n_held) % HELD_MAX];
	uint8_t how = next(in);

	for (unsigned i = 0; i < (how & 3); i++) {
		uint8_t at = next(in);

		d.data[at % (d.len ? d.len : 1)] ^= next(in);
	}
	if (how & 4)
		d.len = next(in) % (DATAGRAM_MAX + 1);
	if (how & 8 && (d.len == WG_INITIATION_LEN || d.len == WG_RESPONSE_LEN))
		wg_mac(&crypto, d.data + wg_mac1_offset(d.len), to->identity.mac1_key, WG_KEY_LEN,
			d.data, wg_mac1_offset(d.len));
	receive(to, in, d.data, d.len);
}

static void invent(struct side *to, struct input *in)
{
	struct datagram d = { .len = next(in) };

	for (uint8_t *p = d.data; p < d.data + d.len; p++)
		*p = next(in);
	receive(to, in, d.data, d.len);
}

static void reconfigure(struct side *side, const struct side *other, struct input *in)
{
	uint8_t bytes[WG_KEY_LEN] = { 0 };
	uint8_t what = next(in);

	if (!side->peer) {
		(void) wg_device_add_peer(side->device, other->identity.public, &side->peer);
		return;
	}
	struct endpoint endpoint = { .addr = { .family = AF_INET }, .port = 5 };

	bytes[0] = next(in);
	switch (what % 8) {
	case 0:
		wg_peer_remove(side->peer);
		break;
	case 1:
		wg_peer_set_psk(side->peer, bytes);
		break;
	case 2:
		wg_peer_set_keepalive(side->peer, bytes[0]);
		break;
	case 3:
		wg_device_set_private_key(side->device, bytes);
		break;
	case 4:
		wg_device_set_private_key(side->device, side->identity.private);
		break;
	case 5:
		wg_peer_set_sought(side->peer, bytes[0] & 1);
		endpoint.addr.bytes[0] = bytes[0];
		if (!wg_device_denies(side->device, &endpoint)) /* as the tunnel does */
			wg_peer_set_endpoint(side->peer, &endpoint);
		break;
	case 6:
		wg_device_note_load(side->device);
		break;
	case 7:
		wg_peer_clear_source(side->peer);
		break;
	}
}

static void move_time(struct side sides[static 2], struct input *in)
{
	now_us += (uint64_t) next(in) << (next(in) % 24);
	wall_us = (uint64_t) next(in) << (next(in) % 56);
	for (unsigned i = 0; i < 2; i++) {
		wg_device_set_time(sides[i].device, now_us, wall_us);
		for (unsigned k = 0; k < 8 && wg_device_next_deadline(sides[i].device) <= now_us;
			k++)
			wg_device_tick(sides[i].device);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct side sides[2] = { 0 };
	static bool ready;

	if (!ready) {
		randombytes_set_implementation(&repeatable);
		check(wg_crypto_init(&crypto) == 0);
		ready = true;
	}
	random_state = 1;
	now_us = 1000;
	wall_us = UINT64_C(1700000000000000);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t key[WG_KEY_LEN] = { (uint8_t) (8 * (i + 1)) };

		check(wg_identity_init(&crypto, &sides[i].identity, key) == 0);
	}
	for (unsigned i = 0; i < 2; i++)
		side_init(&sides[i], &sides[1 - i]);
	for (unsigned step = 0; step < STEPS_MAX && in.p < in.end; step++) {
		uint8_t what = next(&in);
		struct side *a = &sides[what & 1], *b = &sides[1 - (what & 1)];

		switch (what >> 1 & 7) {
		case 0:
			if (a->peer)
				wg_peer_initiate(a->peer);
			break;
		case 1:
		case 2:
			pass_on(a, b, &in);
			break;
		case 3:
			invent(a, &in);
			break;
		case 4:
			if (a->peer)
				seal(a, data, next(&in) % 64);
			break;
		case 5:
			if (a->peer)
				(void) wg_peer_stage(a->peer, data, size % 100);
			break;
		case 6:
			reconfigure(a, b, &in);
			break;
		case 7:
			move_time(sides, &in);
			break;
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		sides[i].device = wg_device_free(sides[i].device);
		check(sides[i].ciphers == 0);
	}
	return 0;
}
