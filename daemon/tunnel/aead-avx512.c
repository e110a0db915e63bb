/*
 * ChaCha20-Poly1305 of 16 packets at once with AVX-512 (Foundation only): 16 blocks of ChaCha20,
 * and Poly1305 of eight packets in a vector.
 */
#include <immintrin.h>

#define SETS       1
#define VECTOR_MIN 3
#define BESIDE     0

typedef __m512i vec;

#define load(p)     _mm512_loadu_si512(p)
#define store(p, x) _mm512_storeu_si512(p, x)
#define xor _mm512_xor_si512
#define and _mm512_and_si512
#define or _mm512_or_si512
#define set32(x) _mm512_set1_epi32((int) (x))
#define set64(x) _mm512_set1_epi64((long long) (x))
#define add32    _mm512_add_epi32
#define add64    _mm512_add_epi64
#define shl64    _mm512_slli_epi64
#define shr64    _mm512_srli_epi64
#define mul      _mm512_mul_epu32
#define low32    _mm512_unpacklo_epi32
#define high32   _mm512_unpackhi_epi32
#define low64    _mm512_unpacklo_epi64
#define high64   _mm512_unpackhi_epi64
#define rol32    _mm512_rol_epi32

static inline __attribute__((always_inline)) void columns(vec q[4])
{
	vec a = _mm512_shuffle_i32x4(q[0], q[1], 0x44), b = _mm512_shuffle_i32x4(q[2], q[3], 0x44);
	vec c = _mm512_shuffle_i32x4(q[0], q[1], 0xee), d = _mm512_shuffle_i32x4(q[2], q[3], 0xee);

	q[0] = _mm512_shuffle_i32x4(a, b, 0x88);
	q[1] = _mm512_shuffle_i32x4(a, b, 0xdd);
	q[2] = _mm512_shuffle_i32x4(c, d, 0x88);
	q[3] = _mm512_shuffle_i32x4(c, d, 0xdd);
}

static inline __attribute__((always_inline)) vec four_blocks(const unsigned char *a,
	const unsigned char *b, const unsigned char *c, const unsigned char *d)
{
	vec v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *) a));

	v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *) b), 1);
	v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *) c), 2);
	return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *) d), 3);
}

static inline __attribute__((always_inline)) void gather(
	vec *lo, vec *hi, const unsigned char *const at[static 8], unsigned long i)
{
	vec even = four_blocks(at[0] + i, at[2] + i, at[4] + i, at[6] + i);
	vec odd = four_blocks(at[1] + i, at[3] + i, at[5] + i, at[7] + i);

	*lo = low64(even, odd);
	*hi = high64(even, odd);
}

#include "tunnel/aead-lanes.h"

static bool supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("bmi2");
}

const struct aead_code aead_avx512 = { .name = "avx512",
	.supported = supported,
	.seal = seal_packets,
	.open = open_packets,
	.poly1305 = poly1305_messages };
