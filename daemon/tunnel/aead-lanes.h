/*
 * aead-lanes: ChaCha20-Poly1305 of many packets at once. The one source of aead-avx2.c,
 * aead-avx512.c and aead-neon.c, each of which defines the operations named below and then includes
 * this file.
 *
 * ChaCha20: each 32-bit lane of a vector is any block of any packet, so that key blocks (block 0)
 * and short packets fill lanes like everything else. The stream is transposed in registers and goes
 * straight from in to out where a block is whole.
 *
 * Poly1305 in vectors: each 64-bit lane is one packet, in five limbs of 26 bits; POLY_LANES packets
 * go on together as long as each has a block, a finished one makes room for the next, and the few
 * left over go on in 64-bit words (aead-poly1305.h). With BESIDE, ChaCha20's rounds take two
 * packets along in 64-bit words, on units that are idle otherwise: sealing, the packets before;
 * opening, the next.
 *
 * No branch and no address depends on keys, text or tags, only on lengths, and on whether a packet
 * was authentic. What is opened is authenticated first and left alone if it is forged.
 *
 * The includer defines:
 *   vec                      LANES 32-bit numbers, or LANES / 2 of 64 bits
 *   load store xor and or    unaligned
 *   add32 rol32 set32        set32: the same number in all lanes
 *   add64 shl64 shr64 set64 mul    mul: the low halves of 64-bit lanes, to 64 bits
 *   low32 high32 low64 high64      interleave the low (high) halves of each 128-bit column of two
 *   columns(vec q[4])        column c of q[0], q[1], q[2], q[3] to 64 bytes in a row, for each c
 *   gather(lo, hi, at, i)    the 16 bytes at at[lane] + i of each 64-bit lane, in two halves
 *   SETS                     vectors of packets that Poly1305 interleaves
 *   VECTOR_MIN               packets from which on Poly1305 in vectors is faster
 *   BESIDE                   blocks of each of two packets that own_rounds() takes along, or 0
 *   own_rounds(x, pair)      only with BESIDE: the ten double rounds
 */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "tunnel/aead-code.h"
#include "tunnel/aead-poly1305.h"

/* Here something made of secrets becomes public. For tests/lab/test-aead-secrets. */
#ifndef AEAD_PUBLIC
#define AEAD_PUBLIC(at, len)
#endif

#define INLINE static inline __attribute__((always_inline))

enum {
	LANES = sizeof(vec) / 4,
	SET_LANES = sizeof(vec) / 8,
	POLY_LANES = SETS * SET_LANES,
	GROUP = LANES > 8 ? LANES
			  : 8, /* packets that go through all steps together, in the L1 cache */
	BLOCK = 64
};

#include "tunnel/aead-lanes-chacha20.h"
#include "tunnel/aead-lanes-poly1305.h"

struct work {
	struct lanes lanes;
	struct mac_lanes mac_lanes;
	struct mac *pair[2];   /* messages under way; NULL: none */
	size_t started, taken; /* of @mac: so many were started, and so many seen by pair_load() */
	struct mac mac[GROUP];
};

static void work_start(struct work *w, const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head)
{
	for (int i = 0; i < 8; i++) {
		memcpy(&w->lanes.key[i], key + 4 * i, 4);
		w->lanes.key[i] = le32toh(w->lanes.key[i]);
	}
	w->lanes.nonce_head = nonce_head;
	w->lanes.n = 0;
	w->pair[0] = w->pair[1] = NULL;
	w->started = w->taken = 0;
}

/* Wipes what @n packets left. */
static void work_done(struct work *w, size_t n)
{
	explicit_bzero(w, offsetof(struct work, mac) + (n < GROUP ? n : GROUP) * sizeof(w->mac[0]));
}

/* Up to @most blocks of the next two messages. */
INLINE void pair_load(
	struct work *w, struct poly1305_run run[2], struct poly1305_key key[2], size_t most)
{
	for (int i = 0; i < 2; i++) {
		const struct mac *mac;

		for (; !w->pair[i] && w->taken < w->started; w->taken++)
			if (w->mac[w->taken].left > 0)
				w->pair[i] = &w->mac[w->taken];
		mac = w->pair[i];
		run[i].n = 0;
		if (!mac)
			continue;
		run[i] = (struct poly1305_run){ mac->p, mac->at,
			mac->left < most ? mac->left : most };
		key[i] = mac->clamped;
	}
}

/* These blocks are done. */
INLINE void pair_save(struct work *w, const struct poly1305_run run[2])
{
	for (int i = 0; i < 2; i++) {
		struct mac *mac = w->pair[i];

		if (!mac)
			continue;
		mac->p = run[i].p;
		mac_skip(mac, run[i].n);
		if (mac->tail_left == 0) { /* only the tail is left */
			mac_finish(mac);
			w->pair[i] = NULL;
		}
	}
}

/* The tag of @mac, and what it brings of others'. */
static void mac_need(struct work *w, const struct mac *mac)
{
	while (mac->left > 0) {
		struct poly1305_key key[2] = { 0 };
		struct poly1305_run run[2] = { 0 };
		size_t n;

		pair_load(w, run, key, SIZE_MAX);
		n = run[0].n < run[1].n ? run[0].n : run[1].n;
		if (n == 0)
			n = run[0].n + run[1].n;
		run[0].n = run[0].n ? n : 0;
		run[1].n = run[1].n ? n : 0;
		for (size_t i = 0; i < n; i++)
			poly1305_step(run, key, i);
		pair_save(w, run);
	}
}

/* The tags of all that were started. */
static void mac_all(struct work *w)
{
	if (w->started - w->taken + !!w->pair[0] + !!w->pair[1] >= VECTOR_MIN) {
		mac_vectors(&w->mac_lanes, w->mac, w->started);
		w->pair[0] = w->pair[1] = NULL;
		w->taken = 0;
	}
	for (size_t i = 0; i < w->started; i++)
		mac_need(w, &w->mac[i]);
}

/* rounds(), and meanwhile tags. */
INLINE void rounds_and_tags(struct work *w, const struct where *at, vec x[16])
{
	struct poly1305_key key[2] = { 0 };
	struct poly1305_run run[2] = { 0 };

	if (BESIDE)
		pair_load(w, run, key, BESIDE);
	rounds(&w->lanes, at, x, run, key);
	if (BESIDE)
		pair_save(w, run);
}

/* The streams of all lanes; whole blocks go out unless @keep. */
INLINE void stream_lanes(struct work *w, bool keep)
{
	struct lanes *l = &w->lanes;
	struct where at = { load(l->block), load(l->counter_low), load(l->counter_high) };
	vec x[16];

	rounds_and_tags(w, &at, x);
	put_streams(l, x, keep, NULL, NULL);
}

/* What was put in goes out. */
static void run_lanes(struct work *w)
{
	struct lanes *l = &w->lanes;

	if (l->n == 0)
		return;
	for (size_t i = l->n; i < LANES; i++)
		l->to[i].text = 0; /* a lane without work */
	stream_lanes(w, false);
	for (size_t i = 0; i < l->n; i++)
		if (l->to[i].text != BLOCK)
			apply_kept(&l->to[i], l->stream[i]);
	l->n = 0;
}

/*
 * LANES whole blocks of a packet from the @i-th on: what put_block() and run_lanes() do, with less
 * ado.
 */
static void run_wide(struct work *w, const struct span *s, size_t i)
{
	static const uint32_t counting[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		16 };
	const struct aead_packet *p = s->packet;
	struct where at = { add32(set32((uint32_t) i), load(counting)),
		set32((uint32_t) p->counter), set32((uint32_t) (p->counter >> 32)) };
	vec x[16];

	rounds_and_tags(w, &at, x);
	put_streams(NULL, x, false, p->out + i * BLOCK,
		(i * BLOCK < s->front ? p->out : p->in) + i * BLOCK);
}

INLINE bool is_wide(const struct work *w, const struct span *s, size_t i)
{
	size_t at = i * BLOCK, end = at + LANES * BLOCK;

	return w->lanes.n == 0 && end <= s->text && (at >= s->front || end <= s->front);
}

/*
 * Puts in the block or blocks from the @i-th on; returns how many. True @ret_ran: the lanes were
 * run.
 */
INLINE size_t go_on(struct work *w, const struct span *s, size_t i, bool *ret_ran)
{
	if (is_wide(w, s, i)) {
		run_wide(w, s, i);
		*ret_ran = true;
		return LANES;
	}
	put_block(&w->lanes, s, i);
	*ret_ran = w->lanes.n == LANES;
	if (*ret_ran)
		run_lanes(w);
	return 1;
}

/* The packets before the @until-th have keys and, if they are sealed, their ciphertext. */
static void start_sealed(struct work *w, const struct aead_packet *p, size_t until)
{
	for (; w->started < until; w->started++)
		mac_start(&w->mac[w->started], p[w->started].out,
			p[w->started].len + p[w->started].pad);
}

static void seal_group(struct work *w, struct aead_packet *p, size_t n)
{
	w->started = w->taken = 0;
	for (size_t i = 0; i < n; i++) {
		struct span s = { &p[i], p[i].front, p[i].len, p[i].pad };
		size_t blocks = span_blocks(&s);
		bool ran;

		put_key(&w->lanes, &p[i], w->mac[i].key);
		if (w->lanes.n == LANES) {
			run_lanes(w);
			start_sealed(w, p, blocks == 0 ? i + 1 : i);
		}
		for (size_t b = 0; b < blocks;) {
			b += go_on(w, &s, b, &ran);
			if (ran)
				start_sealed(w, p, b == blocks ? i + 1 : i);
		}
	}
	run_lanes(w);
	start_sealed(w, p, n);
	mac_all(w);
	for (size_t i = 0; i < n; i++)
		memcpy(p[i].out + p[i].len + p[i].pad, w->mac[i].tag, AEAD_TAG_LEN);
}

static void seal_packets(const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head,
	struct aead_packet *packets, size_t n)
{
	struct work w;

	work_start(&w, key, nonce_head);
	for (size_t i = 0; i < n; i += GROUP)
		seal_group(&w, packets + i, n - i < GROUP ? n - i : GROUP);
	work_done(&w, n);
}

static size_t text_len(const struct aead_packet *p)
{
	return p->len - AEAD_TAG_LEN;
}

static void start_opened(struct work *w, struct aead_packet **p, size_t until)
{
	for (; w->started < until; w->started++)
		mac_start(&w->mac[w->started], p[w->started]->in, text_len(p[w->started]));
}

/*
 * The keys of all, and in lanes that are free the streams of the first packets' first blocks, which
 * wait in the lanes until these packets are known to be authentic. Returns how many lanes were
 * keys; @ret_packet and @ret_block say where the others end.
 */
static size_t open_keys(
	struct work *w, struct aead_packet **p, size_t n, size_t *ret_packet, size_t *ret_block)
{
	struct lanes *l = &w->lanes;
	size_t keys, packet = 0, block = 0;

	for (size_t i = 0; i < n; i++) {
		if (l->n == LANES) {
			run_lanes(w);
			start_opened(w, p, i);
		}
		put_key(l, p[i], w->mac[i].key);
	}
	keys = l->n;
	while (l->n < LANES && packet < n) {
		if (block * BLOCK < text_len(p[packet])) {
			struct span s = { p[packet], 0, text_len(p[packet]), 0 };

			put_block(l, &s, block++);
		} else {
			packet++;
			block = 0;
		}
	}
	stream_lanes(w, true);
	for (size_t i = 0; i < keys; i++)
		apply_kept(&l->to[i], l->stream[i]);
	start_opened(w, p, n);
	*ret_packet = packet;
	*ret_block = block;
	return keys;
}

static bool tag_is(const uint8_t a[static AEAD_TAG_LEN], const uint8_t b[static AEAD_TAG_LEN])
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static bool is_authentic(struct work *w, struct mac *mac, const struct aead_packet *p)
{
	bool ok;

	mac_need(w, mac);
	ok = tag_is(mac->tag, p->in + text_len(p));
	AEAD_PUBLIC(&ok, sizeof(ok));
	return ok;
}

/* Whether tags are better made in vectors, all before the first packet is decrypted. */
static bool tags_first(struct aead_packet **p, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += text_len(p[i]);
	return len < n * BESIDE * 16;
}

static void open_group(struct work *w, struct aead_packet **p, size_t n)
{
	struct lanes *l = &w->lanes;
	size_t packet, block, keys;

	w->started = w->taken = 0;
	keys = open_keys(w, p, n, &packet, &block);
	if (!BESIDE || tags_first(p, n))
		mac_all(w);
	for (size_t i = 0; i < packet || (i == packet && block > 0); i++)
		p[i]->ok = is_authentic(w, &w->mac[i], p[i]);
	for (size_t i = keys; i < l->n; i++)
		if (l->to[i].packet->ok)
			apply_kept(&l->to[i], l->stream[i]);
	l->n = 0;
	for (; packet < n; packet++, block = 0) {
		struct span s = { p[packet], 0, text_len(p[packet]), 0 };
		bool ran;

		p[packet]->ok = is_authentic(w, &w->mac[packet], p[packet]);
		for (size_t b = block; p[packet]->ok && b < span_blocks(&s);)
			b += go_on(w, &s, b, &ran);
	}
	run_lanes(w);
}

static void open_packets(const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head,
	struct aead_packet *packets, size_t n)
{
	struct aead_packet *group[GROUP];
	size_t in_group = 0;
	struct work w;

	work_start(&w, key, nonce_head);
	for (size_t i = 0; i < n; i++) {
		packets[i].ok = false;
		if (packets[i].len >= AEAD_TAG_LEN)
			group[in_group++] = &packets[i];
		if (in_group == GROUP || (i == n - 1 && in_group > 0)) {
			open_group(&w, group, in_group);
			in_group = 0;
		}
	}
	work_done(&w, n);
}

static void poly1305_messages(struct aead_poly1305 *messages, size_t n)
{
	static const uint8_t no_key[AEAD_KEY_LEN];
	struct work w;

	work_start(&w, no_key, 0);
	for (size_t i = 0; i < n; i += GROUP) {
		size_t some = n - i < GROUP ? n - i : GROUP;

		for (size_t j = 0; j < some; j++) {
			const struct aead_poly1305 *m = &messages[i + j];

			w.mac[j] = (struct mac){ .at = m->text, .left = m->blocks };
			memcpy(w.mac[j].key, m->key, sizeof(m->key));
			w.mac[j].clamped = poly1305_key(m->key);
		}
		w.started = some;
		w.taken = 0;
		mac_all(&w);
		for (size_t j = 0; j < some; j++)
			memcpy(messages[i + j].tag, w.mac[j].tag, AEAD_TAG_LEN);
	}
	work_done(&w, n);
}
