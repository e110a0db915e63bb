/*
 * aead-lanes: ChaCha20-Poly1305 of many packets at once. The one source of aead-avx2.c, aead-avx512.c
 * and aead-neon.c, each of which defines the operations named below and then includes this file.
 *
 * ChaCha20: each 32-bit lane of a vector is any block of any packet, so that key blocks (block 0) and
 * short packets fill lanes like everything else. The stream is transposed in registers and goes
 * straight from in to out where a block is whole.
 *
 * Poly1305 in vectors: each 64-bit lane is one packet, in five limbs of 26 bits; POLY_LANES packets go
 * on together as long as each has a block, a finished one makes room for the next, and the few left
 * over go on in 64-bit words (aead-poly1305.h). With BESIDE, ChaCha20's rounds take two packets along
 * in 64-bit words, on units that are idle otherwise: sealing, the packets before; opening, the next.
 *
 * No branch and no address depends on keys, text or tags, only on lengths, and on whether a packet was
 * authentic. What is opened is authenticated first and left alone if it is forged.
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

/* ---- ChaCha20 ---- */

/* Where a lane's stream goes: over @text bytes, then, as the padding is zero, as it is for @zeros. */
struct target {
	const uint8_t *in;
	uint8_t *out;
	uint32_t text, zeros;
	const struct aead_packet *packet; /* NULL: for a key */
};

struct lanes {
	_Alignas(64) uint32_t block[LANES], counter_low[LANES], counter_high[LANES];
	uint8_t stream[LANES][BLOCK]; /* of the lanes that are no whole block, or that wait */
	struct target to[LANES];
	uint32_t key[8], nonce_head;
	size_t n;
};

#if !BESIDE
INLINE void quarter(vec *a, vec *b, vec *c, vec *d)
{
	*a = add32(*a, *b);
	*d = xor(*d, *a);
	*d = rol32(*d, 16);
	*c = add32(*c, *d);
	*b = xor(*b, *c);
	*b = rol32(*b, 12);
	*a = add32(*a, *b);
	*d = xor(*d, *a);
	*d = rol32(*d, 8);
	*c = add32(*c, *d);
	*b = xor(*b, *c);
	*b = rol32(*b, 7);
}

INLINE void own_rounds(vec x[16], struct poly1305_run *beside, const struct poly1305_key *keys)
{
	for (int i = 0; i < 10; i++) {
		quarter(&x[0], &x[4], &x[8], &x[12]);
		quarter(&x[1], &x[5], &x[9], &x[13]);
		quarter(&x[2], &x[6], &x[10], &x[14]);
		quarter(&x[3], &x[7], &x[11], &x[15]);
		quarter(&x[0], &x[5], &x[10], &x[15]);
		quarter(&x[1], &x[6], &x[11], &x[12]);
		quarter(&x[2], &x[7], &x[8], &x[13]);
		quarter(&x[3], &x[4], &x[9], &x[14]);
	}
}
#endif

/* What the lanes differ in: block number, and nonce. */
struct where {
	vec block, counter_low, counter_high;
};

INLINE void initial(const struct lanes *l, const struct where *at, vec x[16])
{
	x[0] = set32(0x61707865);
	x[1] = set32(0x3320646e);
	x[2] = set32(0x79622d32);
	x[3] = set32(0x6b206574);
	for (int i = 0; i < 8; i++)
		x[4 + i] = set32(l->key[i]);
	x[12] = at->block;
	x[13] = set32(l->nonce_head);
	x[14] = at->counter_low;
	x[15] = at->counter_high;
}

/* x[i] becomes word i of every lane's stream. */
INLINE void rounds(const struct lanes *l, const struct where *at, vec x[16],
	struct poly1305_run *beside, const struct poly1305_key *keys)
{
	vec first[16];

	initial(l, at, x);
	own_rounds(x, beside, keys);
	initial(l, at, first);
	for (int i = 0; i < 16; i++)
		x[i] = add32(x[i], first[i]);
}

/* Four words of four lanes of each column: x[j] gets those of the column's lane j. */
INLINE void transpose(vec x[4])
{
	vec a = low32(x[0], x[1]), b = low32(x[2], x[3]);
	vec c = high32(x[0], x[1]), d = high32(x[2], x[3]);

	x[0] = low64(a, b);
	x[1] = high64(a, b);
	x[2] = low64(c, d);
	x[3] = high64(c, d);
}

INLINE void apply_block(uint8_t *out, const uint8_t *in, const vec *stream)
{
	vec text[BLOCK / sizeof(vec)];

	for (size_t i = 0; i < BLOCK / sizeof(vec); i++)
		text[i] = load(in + i * sizeof(vec));
	for (size_t i = 0; i < BLOCK / sizeof(vec); i++)
		store(out + i * sizeof(vec), xor(text[i], stream[i]));
}

/* Words to streams, and each over its block: @wide, blocks in a row at @out, else where @l says. */
INLINE void put_streams(
	struct lanes *l, vec x[16], bool keep, uint8_t *wide, const uint8_t *wide_in)
{
	for (int i = 0; i < 16; i += 4)
		transpose(x + i);
	for (int j = 0; j < 4; j++) {
		vec q[4] = { x[j], x[4 + j], x[8 + j], x[12 + j] };

		columns(q);
		for (int c = 0; c < LANES / 4; c++) {
			const vec *stream = q + c * (BLOCK / (int) sizeof(vec));
			int lane = 4 * c + j;

			if (wide)
				apply_block(wide + BLOCK * lane, wide_in + BLOCK * lane, stream);
			else if (!keep && l->to[lane].text == BLOCK)
				apply_block(l->to[lane].out, l->to[lane].in, stream);
			else
				for (size_t i = 0; i < BLOCK / sizeof(vec); i++)
					store(l->stream[lane] + i * sizeof(vec), stream[i]);
		}
	}
}

static void apply_kept(const struct target *to, const uint8_t *stream)
{
	size_t i = 0;

	for (; i + 8 <= to->text; i += 8) {
		uint64_t text, word;

		memcpy(&text, to->in + i, 8);
		memcpy(&word, stream + i, 8);
		text ^= word;
		memcpy(to->out + i, &text, 8);
	}
	for (; i < to->text; i++)
		to->out[i] = to->in[i] ^ stream[i];
	memcpy(to->out + i, stream + i, to->zeros);
}

INLINE void put_lane(struct lanes *l, uint64_t counter, uint32_t block, struct target to)
{
	l->block[l->n] = block;
	l->counter_low[l->n] = (uint32_t) counter;
	l->counter_high[l->n] = (uint32_t) (counter >> 32);
	l->to[l->n] = to;
	l->n++;
}

static void put_key(struct lanes *l, const struct aead_packet *p, uint8_t key[static 32])
{
	static const uint8_t zeros[32];

	put_lane(l, p->counter, 0, (struct target){ .in = zeros, .out = key, .text = 32 });
}

/* What a packet's stream covers: @text bytes and @pad zeros, of which @front bytes are read from @out. */
struct span {
	const struct aead_packet *packet;
	size_t front, text, pad;
};

INLINE size_t span_blocks(const struct span *s)
{
	return (s->text + s->pad + BLOCK - 1) / BLOCK;
}

/* The @i-th 64 bytes. */
INLINE void put_block(struct lanes *l, const struct span *s, size_t i)
{
	const struct aead_packet *p = s->packet;
	size_t at = i * BLOCK, in_text = s->text > at ? s->text - at : 0,
	       all = s->text + s->pad - at;
	struct target to = {
		.in = (at < s->front ? p->out : p->in) + at, .out = p->out + at, .packet = p
	};

	to.text = (uint32_t) (in_text < BLOCK ? in_text : BLOCK);
	to.zeros = (uint32_t) (all < BLOCK ? all : BLOCK) - to.text;
	put_lane(l, p->counter, (uint32_t) i + 1, to);
}

/* ---- Poly1305 ---- */

/* A message, of which the blocks before @at are done. */
struct mac {
	uint8_t key[32];
	uint8_t tail[32]; /* the last bytes, filled up with zeros, and the block of lengths */
	const uint8_t *at;
	size_t left, tail_left; /* blocks at @at, then in @tail; both 0: @tag is made */
	struct poly1305_key clamped;
	struct poly1305 p;
	uint8_t tag[AEAD_TAG_LEN];
};

/* What is authenticated: @len bytes of ciphertext, no associated data. */
static void mac_start(struct mac *mac, const uint8_t *text, size_t len)
{
	size_t rest = len % 16;
	uint64_t le = htole64(len);

	memset(mac->tail, 0, sizeof(mac->tail));
	memcpy(mac->tail, text + len - rest, rest);
	memcpy(mac->tail + (rest ? 16 : 0) + 8, &le, sizeof(le));
	mac->at = text;
	mac->left = len / 16;
	mac->tail_left = rest ? 2 : 1;
	mac->clamped = poly1305_key(mac->key);
	mac->p = (struct poly1305){ 0 };
	if (mac->left == 0) {
		mac->at = mac->tail;
		mac->left = mac->tail_left;
		mac->tail_left = 0;
	}
}

/* @n blocks at @at are done. */
static void mac_skip(struct mac *mac, size_t n)
{
	mac->at += 16 * n;
	mac->left -= n;
	if (mac->left == 0) {
		mac->at = mac->tail;
		mac->left = mac->tail_left;
		mac->tail_left = 0;
	}
}

static void mac_finish(struct mac *mac)
{
	while (mac->left > 0) {
		poly1305_blocks(&mac->p, &mac->clamped, mac->at, mac->left);
		mac_skip(mac, mac->left);
	}
	poly1305_finish(&mac->p, mac->key, mac->tag);
}

/* Messages in vectors. */
struct mac_lanes {
	_Alignas(64) uint64_t h[5][POLY_LANES], r[5][POLY_LANES], r5[5][POLY_LANES];
	const uint8_t *at[POLY_LANES];
	struct mac *mac[POLY_LANES]; /* NULL: idle */
};

/* A vector of packets' state, and of their keys: r, and 5 r where a product passes 2^130. */
struct set {
	vec h0, h1, h2, h3, h4;
};
struct factors {
	vec r0, r1, r2, r3, r4, s1, s2, s3, s4;
};

#define LIMB (((uint64_t) 1 << 26) - 1)

INLINE vec sum5(vec a, vec b, vec c, vec d, vec e)
{
	return add64(add64(add64(a, b), add64(c, d)), e);
}

INLINE void carry(vec *from, vec *to)
{
	*to = add64(*to, shr64(*from, 26));
	*from = and(*from, set64(LIMB));
}

/* h = (h + block) * r in each lane; limbs stay below 2^27. */
INLINE void set_block(struct set *h, const struct factors *f, vec lo, vec hi)
{
	vec mask = set64(LIMB);
	vec a0 = add64(h->h0, and(lo, mask));
	vec a1 = add64(h->h1, and(shr64(lo, 26), mask));
	vec a2 = add64(h->h2, and(or (shr64(lo, 52), shl64(hi, 12)), mask));
	vec a3 = add64(h->h3, and(shr64(hi, 14), mask));
	vec a4 = add64(h->h4, or (shr64(hi, 40), set64((uint64_t) 1 << 24)));
	vec over;

	h->h0 = sum5(
		mul(a0, f->r0), mul(a1, f->s4), mul(a2, f->s3), mul(a3, f->s2), mul(a4, f->s1));
	h->h1 = sum5(
		mul(a0, f->r1), mul(a1, f->r0), mul(a2, f->s4), mul(a3, f->s3), mul(a4, f->s2));
	h->h2 = sum5(
		mul(a0, f->r2), mul(a1, f->r1), mul(a2, f->r0), mul(a3, f->s4), mul(a4, f->s3));
	h->h3 = sum5(
		mul(a0, f->r3), mul(a1, f->r2), mul(a2, f->r1), mul(a3, f->r0), mul(a4, f->s4));
	h->h4 = sum5(
		mul(a0, f->r4), mul(a1, f->r3), mul(a2, f->r2), mul(a3, f->r1), mul(a4, f->r0));

	carry(&h->h0, &h->h1);
	carry(&h->h3, &h->h4);
	carry(&h->h1, &h->h2);
	over = shr64(h->h4, 26);
	h->h4 = and(h->h4, mask);
	h->h0 = add64(h->h0, add64(over, shl64(over, 2)));
	carry(&h->h2, &h->h3);
	carry(&h->h0, &h->h1);
	carry(&h->h3, &h->h4);
}

INLINE void load_set(const struct mac_lanes *m, int set, struct set *h, struct factors *f)
{
	int l = set * SET_LANES;

	*h = (struct set){ load(&m->h[0][l]), load(&m->h[1][l]), load(&m->h[2][l]),
		load(&m->h[3][l]), load(&m->h[4][l]) };
	*f = (struct factors){ load(&m->r[0][l]), load(&m->r[1][l]), load(&m->r[2][l]),
		load(&m->r[3][l]), load(&m->r[4][l]), load(&m->r5[1][l]), load(&m->r5[2][l]),
		load(&m->r5[3][l]), load(&m->r5[4][l]) };
}

INLINE void store_set(struct mac_lanes *m, int set, const struct set *h)
{
	int l = set * SET_LANES;

	store(&m->h[0][l], h->h0);
	store(&m->h[1][l], h->h1);
	store(&m->h[2][l], h->h2);
	store(&m->h[3][l], h->h3);
	store(&m->h[4][l], h->h4);
}

/* @n blocks of every lane. */
static void lanes_blocks(struct mac_lanes *m, size_t n)
{
	struct set h[SETS];
	struct factors f[SETS];

	for (int s = 0; s < SETS; s++)
		load_set(m, s, &h[s], &f[s]);
	for (size_t i = 0; i < 16 * n; i += 16)
		_Pragma("GCC unroll 4") for (int s = 0; s < SETS; s++)
		{
			vec lo, hi;

			gather(&lo, &hi, m->at + s * SET_LANES, i);
			set_block(&h[s], &f[s], lo, hi);
		}
	for (int s = 0; s < SETS; s++)
		store_set(m, s, &h[s]);
}

INLINE void to_limbs(
	uint64_t limbs[][POLY_LANES], size_t lane, uint64_t w0, uint64_t w1, uint64_t w2)
{
	limbs[0][lane] = w0 & LIMB;
	limbs[1][lane] = w0 >> 26 & LIMB;
	limbs[2][lane] = (w0 >> 52 | w1 << 12) & LIMB;
	limbs[3][lane] = w1 >> 14 & LIMB;
	limbs[4][lane] = w1 >> 40 | w2 << 24;
}

static void lanes_put(struct mac_lanes *m, size_t lane, struct mac *mac)
{
	to_limbs(m->h, lane, mac->p.h0, mac->p.h1, mac->p.h2);
	to_limbs(m->r, lane, mac->clamped.r0, mac->clamped.r1, 0);
	for (int i = 0; i < 5; i++)
		m->r5[i][lane] = 5 * m->r[i][lane];
	m->mac[lane] = mac;
}

/* The lane's state goes back to its message. */
static void lanes_take(struct mac_lanes *m, size_t lane)
{
	struct mac *mac = m->mac[lane];
	unsigned __int128 sum;

	sum = (unsigned __int128) m->h[0][lane] + ((unsigned __int128) m->h[1][lane] << 26) +
	      ((unsigned __int128) m->h[2][lane] << 52);
	mac->p.h0 = (uint64_t) sum;
	sum = (sum >> 64) + ((unsigned __int128) m->h[3][lane] << 14) +
	      ((unsigned __int128) m->h[4][lane] << 40);
	mac->p.h1 = (uint64_t) sum;
	mac->p.h2 = (uint64_t) (sum >> 64);
	m->mac[lane] = NULL;
}

/* As many blocks as every lane has; idle lanes do some other's. Returns how many messages end. */
static size_t lanes_run(struct mac_lanes *m)
{
	struct mac *some = NULL;
	size_t n = SIZE_MAX, done = 0;

	for (size_t l = 0; l < POLY_LANES; l++) {
		if (!m->mac[l])
			continue;
		some = m->mac[l];
		n = some->left < n ? some->left : n;
	}
	for (size_t l = 0; l < POLY_LANES; l++)
		m->at[l] = (m->mac[l] ? m->mac[l] : some)->at;
	lanes_blocks(m, n);
	for (size_t l = 0; l < POLY_LANES; l++) {
		if (!m->mac[l])
			continue;
		mac_skip(m->mac[l], n);
		if (m->mac[l]->left > 0)
			continue;
		some = m->mac[l];
		lanes_take(m, l);
		mac_finish(some);
		done++;
	}
	return done;
}

/* The tags of those of @n messages that have none yet, but for a few that are left over. */
static void mac_vectors(struct mac_lanes *m, struct mac *macs, size_t n)
{
	size_t next = 0, active = 0;

	memset(m->mac, 0, sizeof(m->mac));
	for (;;) {
		for (size_t l = 0; l < POLY_LANES && next < n; l++) {
			if (m->mac[l])
				continue;
			while (next < n && macs[next].left == 0)
				next++;
			if (next < n) {
				lanes_put(m, l, &macs[next++]);
				active++;
			}
		}
		if (active < VECTOR_MIN)
			break;
		active -= lanes_run(m);
	}
	for (size_t l = 0; l < POLY_LANES; l++)
		if (m->mac[l])
			lanes_take(m, l);
}

/* ---- packets ---- */

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

/* LANES whole blocks of a packet from the @i-th on: what put_block() and run_lanes() do, with less ado. */
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

/* Puts in the block or blocks from the @i-th on; returns how many. True @ret_ran: the lanes were run. */
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
 * wait in the lanes until these packets are known to be authentic. Returns how many lanes were keys;
 * @ret_packet and @ret_block say where the others end.
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
