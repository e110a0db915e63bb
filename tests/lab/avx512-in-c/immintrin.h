/*
 * The few AVX-512 operations that aead-avx512.c uses, in plain C as the manual defines them, so that
 * the code around them runs on machines without that unit (tests/lab/test-aead-emulated) and under
 * valgrind, which does not know it (tests/lab/test-aead-secrets).
 */
#pragma once

#include <stdint.h>
#include <string.h>

typedef union {
	uint32_t w[16];
	uint64_t q[8];
	uint8_t column[4][16];
} __m512i;
typedef struct {
	uint8_t b[16];
} __m128i;

#define EACH(type, count, expression)            \
	({                                       \
		__m512i r_;                      \
		for (int i = 0; i < count; i++)  \
			r_.type[i] = expression; \
		r_;                              \
	})

static inline __m512i _mm512_loadu_si512(const void *at)
{
	__m512i r;

	memcpy(&r, at, sizeof(r));
	return r;
}

static inline void _mm512_storeu_si512(void *at, __m512i a)
{
	memcpy(at, &a, sizeof(a));
}

static inline __m128i _mm_loadu_si128(const __m128i *at)
{
	return *at;
}

static inline __m512i _mm512_castsi128_si512(__m128i a)
{
	__m512i r;

	memset(&r, 0xee, sizeof(r)); /* undefined, they say */
	memcpy(r.column[0], &a, sizeof(a));
	return r;
}

static inline __m512i _mm512_inserti32x4(__m512i a, __m128i b, int column)
{
	memcpy(a.column[column], &b, sizeof(b));
	return a;
}

static inline __m512i _mm512_shuffle_i32x4(__m512i a, __m512i b, int which)
{
	__m512i r;

	memcpy(r.column[0], a.column[which & 3], 16);
	memcpy(r.column[1], a.column[which >> 2 & 3], 16);
	memcpy(r.column[2], b.column[which >> 4 & 3], 16);
	memcpy(r.column[3], b.column[which >> 6 & 3], 16);
	return r;
}

static inline __m512i _mm512_xor_si512(__m512i a, __m512i b)
{
	return EACH(q, 8, a.q[i] ^ b.q[i]);
}

static inline __m512i _mm512_and_si512(__m512i a, __m512i b)
{
	return EACH(q, 8, a.q[i] & b.q[i]);
}

static inline __m512i _mm512_or_si512(__m512i a, __m512i b)
{
	return EACH(q, 8, a.q[i] | b.q[i]);
}

static inline __m512i _mm512_set1_epi32(int a)
{
	return EACH(w, 16, (uint32_t) a);
}

static inline __m512i _mm512_set1_epi64(long long a)
{
	return EACH(q, 8, (uint64_t) a);
}

static inline __m512i _mm512_add_epi32(__m512i a, __m512i b)
{
	return EACH(w, 16, a.w[i] + b.w[i]);
}

static inline __m512i _mm512_add_epi64(__m512i a, __m512i b)
{
	return EACH(q, 8, a.q[i] + b.q[i]);
}

static inline __m512i _mm512_slli_epi64(__m512i a, unsigned n)
{
	return EACH(q, 8, a.q[i] << n);
}

static inline __m512i _mm512_srli_epi64(__m512i a, unsigned n)
{
	return EACH(q, 8, a.q[i] >> n);
}

static inline __m512i _mm512_rol_epi32(__m512i a, int n)
{
	return EACH(w, 16, a.w[i] << n | a.w[i] >> (32 - n));
}

/* Of each pair of 64-bit lanes the low halves, as 32-bit numbers. */
static inline __m512i _mm512_mul_epu32(__m512i a, __m512i b)
{
	return EACH(q, 8, (a.q[i] & 0xffffffff) * (b.q[i] & 0xffffffff));
}

/* In each column of four words: 0 of a, 0 of b, 1 of a, 1 of b; high: 2 and 3. */
static inline __m512i _mm512_unpacklo_epi32(__m512i a, __m512i b)
{
	return EACH(w, 16, (i % 2 ? b : a).w[i / 4 * 4 + i % 4 / 2]);
}

static inline __m512i _mm512_unpackhi_epi32(__m512i a, __m512i b)
{
	return EACH(w, 16, (i % 2 ? b : a).w[i / 4 * 4 + 2 + i % 4 / 2]);
}

static inline __m512i _mm512_unpacklo_epi64(__m512i a, __m512i b)
{
	return EACH(q, 8, (i % 2 ? b : a).q[i / 2 * 2]);
}

static inline __m512i _mm512_unpackhi_epi64(__m512i a, __m512i b)
{
	return EACH(q, 8, (i % 2 ? b : a).q[i / 2 * 2 + 1]);
}
