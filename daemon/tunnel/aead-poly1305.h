/*
 * aead-poly1305: Poly1305 (RFC 8439 section 2.5) over whole blocks, one message at a time, in
 * 64-bit words: for what is too little to fill vectors, for the last step of every tag, and beside
 * vector code that leaves the integer units idle. No branch and no address depends on key, text or
 * state.
 */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The key's first half, clamped; s1 is (5 / 4) * r1. */
struct poly1305_key {
	uint64_t r0, r1, s1;
};

struct poly1305 {
	uint64_t h0, h1, h2;
};

/* What an instruction reads wherever it lies, and whatever type it was written as. */
typedef uint64_t __attribute__((may_alias, aligned(1))) poly1305_word;

static inline __attribute__((always_inline)) uint64_t poly1305_read(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

static inline struct poly1305_key poly1305_key(const uint8_t key[static 32])
{
	struct poly1305_key k = { .r0 = poly1305_read(key) & 0x0ffffffc0fffffff,
		.r1 = poly1305_read(key + 8) & 0x0ffffffc0ffffffc };

	k.s1 = k.r1 + (k.r1 >> 2);
	return k;
}

/*
 * h = (h + block) * r, modulo 2^130 - 5 but for a few bits: h2 stays below 8, so that h2 * r0 and
 * h2 * s1 are single words. As r1 is a multiple of 4, what h1 * r1 puts above bit 128 comes back as
 * (5 / 4) * r1, a whole number: s1. What lies above bit 130 comes back five times.
 */
static inline __attribute__((always_inline)) void poly1305_block(
	struct poly1305 *p, const struct poly1305_key *key, const uint8_t *text)
{
#ifdef __BMI2__
	/* Compilers take half as many instructions again (gcc 12, in C with 128-bit numbers: four
	 * times the time), and beside vector code each one counts. */
	uint64_t h0, h1, a1, c1, t;

	__asm__("addq %[text0], %[k0]\n\t"
		"adcq %[text1], %[k1]\n\t"
		"adcq $1, %[k2]\n\t"
		"movq %[k0], %%rdx\n\t"
		"mulxq %[r0], %[h0], %[a1]\n\t" /* (a1, h0) = h0 r0 + h1 s1 */
		"mulxq %[r1], %[h1], %[c1]\n\t" /* (c1, h1) = h0 r1 + h1 r0 + h2 s1 + 2^64 h2 r0 */
		"movq %[k1], %%rdx\n\t"
		"mulxq %[s1], %[k0], %[t]\n\t"
		"addq %[k0], %[h0]\n\t"
		"adcq %[t], %[a1]\n\t"
		"mulxq %[r0], %[k0], %[t]\n\t"
		"movq %[s1], %[k1]\n\t"
		"imulq %[k2], %[k1]\n\t"
		"imulq %[r0], %[k2]\n\t"
		"addq %[k0], %[h1]\n\t"
		"adcq %[t], %[c1]\n\t"
		"addq %[k1], %[h1]\n\t"
		"adcq %[k2], %[c1]\n\t"
		"addq %[a1], %[h1]\n\t"
		"adcq $0, %[c1]\n\t"
		"movq %[c1], %[k2]\n\t"
		"movq %[c1], %[t]\n\t"
		"andl $3, %k[k2]\n\t"
		"shrq $2, %[t]\n\t"
		"andq $-4, %[c1]\n\t"
		"addq %[t], %[c1]\n\t"
		"addq %[c1], %[h0]\n\t"
		"adcq $0, %[h1]\n\t"
		"adcq $0, %[k2]"
		: [k0] "+&r"(p->h0), [k1] "+&r"(p->h1), [k2] "+&r"(p->h2), [h0] "=&r"(h0),
		[h1] "=&r"(h1), [a1] "=&r"(a1), [c1] "=&r"(c1), [t] "=&r"(t)
		: [text0] "m"(*(const poly1305_word *) text),
		[text1] "m"(*(const poly1305_word *) (text + 8)), [r0] "m"(key->r0),
		[r1] "m"(key->r1), [s1] "m"(key->s1)
		: "rdx", "cc");
	p->h0 = h0;
	p->h1 = h1;
#else
	uint64_t r0 = key->r0, r1 = key->r1, s1 = key->s1, h2 = p->h2, over;
	unsigned __int128 low, high;

	low = (unsigned __int128) p->h0 + poly1305_read(text);
	high = (unsigned __int128) p->h1 + poly1305_read(text + 8) + (uint64_t) (low >> 64);
	h2 += 1 + (uint64_t) (high >> 64);
	p->h0 = (uint64_t) low;
	p->h1 = (uint64_t) high;

	low = (unsigned __int128) p->h0 * r0 + (unsigned __int128) p->h1 * s1;
	high = (unsigned __int128) p->h0 * r1 + (unsigned __int128) p->h1 * r0 + h2 * s1 +
	       ((unsigned __int128) (h2 * r0) << 64) + (uint64_t) (low >> 64);
	h2 = (uint64_t) (high >> 64);

	over = (h2 >> 2) + (h2 & ~(uint64_t) 3);
	low = (unsigned __int128) (uint64_t) low + over;
	high = (unsigned __int128) (uint64_t) high + (uint64_t) (low >> 64);
	p->h0 = (uint64_t) low;
	p->h1 = (uint64_t) high;
	p->h2 = (h2 & 3) + (uint64_t) (high >> 64);
#endif
}

static inline void poly1305_blocks(
	struct poly1305 *p, const struct poly1305_key *key, const uint8_t *text, size_t n)
{
	struct poly1305 s = *p;

	for (; n > 0; n--, text += 16)
		poly1305_block(&s, key, text);
	*p = s;
}

/* @n blocks of a message that are to be done. */
struct poly1305_run {
	struct poly1305 p;
	const uint8_t *at;
	size_t n;
};

/*
 * One block of each of two messages that has more than @i to do: the multiplications of one fill
 * the waiting time of the other.
 */
static inline __attribute__((always_inline)) void poly1305_step(
	struct poly1305_run run[static 2], const struct poly1305_key key[static 2], size_t i)
{
	if (i < run[0].n) {
		poly1305_block(&run[0].p, &key[0], run[0].at);
		run[0].at += 16;
	}
	if (i < run[1].n) {
		poly1305_block(&run[1].p, &key[1], run[1].at);
		run[1].at += 16;
	}
}

/* Reduces fully, adds the key's second half. */
static inline void poly1305_finish(
	const struct poly1305 *p, const uint8_t key[static 32], uint8_t tag[static 16])
{
	unsigned __int128 sum = (unsigned __int128) p->h0 + 5 * (p->h2 >> 2);
	uint64_t h0 = (uint64_t) sum, h1, h2, g0, g1, above;

	sum = (unsigned __int128) p->h1 + (uint64_t) (sum >> 64);
	h1 = (uint64_t) sum;
	h2 = (p->h2 & 3) + (uint64_t) (sum >> 64);

	/* h - (2^130 - 5) = h + 5 - 2^130 where that is not negative */
	sum = (unsigned __int128) h0 + 5;
	g0 = (uint64_t) sum;
	sum = (unsigned __int128) h1 + (uint64_t) (sum >> 64);
	g1 = (uint64_t) sum;
	above = -((h2 + (uint64_t) (sum >> 64)) >> 2); /* all ones or zero */
	h0 ^= (h0 ^ g0) & above;
	h1 ^= (h1 ^ g1) & above;

	sum = (unsigned __int128) h0 + poly1305_read(key + 16);
	h0 = htole64((uint64_t) sum);
	h1 = htole64(h1 + poly1305_read(key + 24) + (uint64_t) (sum >> 64));
	memcpy(tag, &h0, 8);
	memcpy(tag + 8, &h1, 8);
}
