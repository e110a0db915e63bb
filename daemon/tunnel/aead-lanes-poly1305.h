/*
 * aead-lanes-poly1305: the part of aead-lanes.h, which alone includes it, that makes the tags of
 * several packets in vectors.
 */
#pragma once

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
