/*
 * ChaCha20-Poly1305 of 8 packets at once with AVX2: 8 blocks of ChaCha20 at a time, with two
 * packets' Poly1305 beside it in the integer units; Poly1305 of small packets in two vectors of
 * four.
 */
#include <immintrin.h>

#include "tunnel/aead-poly1305.h"

#define SETS       2
#define VECTOR_MIN 4
#define BESIDE     20

typedef __m256i vec;

#define load(p)     _mm256_loadu_si256((const __m256i *) (p))
#define store(p, x) _mm256_storeu_si256((__m256i *) (p), x)
#define xor _mm256_xor_si256
#define and _mm256_and_si256
#define or _mm256_or_si256
#define set32(x) _mm256_set1_epi32((int) (x))
#define set64(x) _mm256_set1_epi64x((long long) (x))
#define add32    _mm256_add_epi32
#define add64    _mm256_add_epi64
#define shl64    _mm256_slli_epi64
#define shr64    _mm256_srli_epi64
#define mul      _mm256_mul_epu32
#define low32    _mm256_unpacklo_epi32
#define high32   _mm256_unpackhi_epi32
#define low64    _mm256_unpacklo_epi64
#define high64   _mm256_unpackhi_epi64

/*
 * The ten double rounds. Their 16 vectors and what is needed in between do not fit into 16
 * registers, and compilers then move too much about. So the instructions of two quarter rounds in
 * step are spelled out, and two of the four vectors of row c are always in memory: each round
 * starts with the pair that the one before has ended with.
 */
#define TWO(op, by, to) \
	op " %[" by "], %[" to "], %[" to "]\n\t" op " %[" by "2], %[" to "2], %[" to "2]\n\t"
#define TURN(table, x)                                                                           \
	"vpshufb %[" table "], %[" x "], %[" x "]\n\tvpshufb %[" table "], %[" x "2], %[" x "2]" \
	"\n\t"
#define SHIFT(left, right, x)                       \
	"vpslld $" left ", %[" x "], %[t]\n\t"      \
	"vpslld $" left ", %[" x "2], %[t2]\n\t"    \
	"vpsrld $" right ", %[" x "], %[" x "]\n\t" \
	"vpsrld $" right ", %[" x "2], %[" x "2]\n\t" TWO("vpor", "t", x)
#define ADD_XOR(to, by, then) TWO("vpaddd", by, to) TWO("vpxor", to, then)
#define QUARTERS(A, B, D, A2, B2, D2)                                                              \
	__asm__ volatile(ADD_XOR("a", "b", "d") TURN("by16", "d") ADD_XOR("c", "d", "b")           \
				 SHIFT("12", "20", "b") ADD_XOR("a", "b", "d") TURN("by8", "d")    \
					 ADD_XOR("c", "d", "b") SHIFT("7", "25", "b")              \
			 : [a] "+x"(A), [b] "+x"(B), [c] "+x"(c), [d] "+x"(D), [a2] "+x"(A2),      \
			 [b2] "+x"(B2), [c2] "+x"(c2), [d2] "+x"(D2), [t] "=&x"(t), [t2] "=&x"(t2) \
			 : [by16] "m"(by16), [by8] "m"(by8))
#define SWAP_C(out, in)                                                                        \
	__asm__ volatile(                                                                      \
		"vmovdqa %[c], %[out0]\n\tvmovdqa %[c2], %[out1]\n\t"                          \
		"vmovdqa %[in0], %[c]\n\tvmovdqa %[in1], %[c2]"                                \
		: [c] "+x"(c), [c2] "+x"(c2), [out0] "=m"(x[(out)]), [out1] "=m"(x[(out) + 1]) \
		: [in0] "m"(x[(in)]), [in1] "m"(x[(in) + 1]))

/* gcc must be told the registers; a sanitizer's calls in between would not keep them. */
#if defined(__clang__) || !defined(__OPTIMIZE__) || defined(__SANITIZE_THREAD__) || \
	defined(__SANITIZE_ADDRESS__)
#define IN(register_name) /* any */
#define REGISTER
#else
#define IN(register_name) __asm__(register_name)
#define REGISTER          register
#endif

static inline __attribute__((always_inline)) void own_rounds(
	vec x[16], struct poly1305_run beside[static 2], const struct poly1305_key keys[static 2])
{
	const vec by16 = _mm256_set_epi64x(
		0x0d0c0f0e09080b0a, 0x0504070601000302, 0x0d0c0f0e09080b0a, 0x0504070601000302);
	const vec by8 = _mm256_set_epi64x(
		0x0e0d0c0f0a09080b, 0x0605040702010003, 0x0e0d0c0f0a09080b, 0x0605040702010003);
	struct poly1305_run s[2] = { beside[0], beside[1] };
	const struct poly1305_key key[2] = { keys[0], keys[1] };
	REGISTER vec a0 IN("ymm0") = x[0], a1 IN("ymm1") = x[1], a2 IN("ymm2") = x[2],
			a3 IN("ymm3") = x[3];
	REGISTER vec b0 IN("ymm4") = x[4], b1 IN("ymm5") = x[5], b2 IN("ymm6") = x[6],
			b3 IN("ymm7") = x[7];
	REGISTER vec d0 IN("ymm8") = x[12], d1 IN("ymm9") = x[13], d2 IN("ymm10") = x[14],
			d3 IN("ymm11") = x[15];
	REGISTER vec c IN("ymm12") = x[8], c2 IN("ymm13") = x[9], t IN("ymm14"), t2 IN("ymm15");

	for (size_t i = 0; i < BESIDE; i += 2) {
		QUARTERS(a0, b0, d0, a1, b1, d1);
		SWAP_C(8, 10);
		poly1305_step(s, key, i);
		QUARTERS(a2, b2, d2, a3, b3, d3);
		QUARTERS(a0, b1, d3, a1, b2, d0);
		SWAP_C(10, 8);
		poly1305_step(s, key, i + 1);
		QUARTERS(a2, b3, d1, a3, b0, d2);
	}
	beside[0] = s[0];
	beside[1] = s[1];
	x[0] = a0, x[1] = a1, x[2] = a2, x[3] = a3;
	x[4] = b0, x[5] = b1, x[6] = b2, x[7] = b3;
	x[8] = c, x[9] = c2;
	x[12] = d0, x[13] = d1, x[14] = d2, x[15] = d3;
}

static inline __attribute__((always_inline)) void columns(vec q[4])
{
	vec a = q[0], b = q[1], c = q[2], d = q[3];

	q[0] = _mm256_permute2x128_si256(a, b, 0x20);
	q[1] = _mm256_permute2x128_si256(c, d, 0x20);
	q[2] = _mm256_permute2x128_si256(a, b, 0x31);
	q[3] = _mm256_permute2x128_si256(c, d, 0x31);
}

static inline __attribute__((always_inline)) vec two_blocks(
	const unsigned char *a, const unsigned char *b)
{
	return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *) a)),
		_mm_loadu_si128((const __m128i *) b), 1);
}

static inline __attribute__((always_inline)) void gather(
	vec *lo, vec *hi, const unsigned char *const at[static 4], unsigned long i)
{
	vec even = two_blocks(at[0] + i, at[2] + i), odd = two_blocks(at[1] + i, at[3] + i);

	*lo = low64(even, odd);
	*hi = high64(even, odd);
}

#include "tunnel/aead-lanes.h"

static bool supported(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

const struct aead_code aead_avx2 = { .name = "avx2",
	.supported = supported,
	.seal = seal_packets,
	.open = open_packets,
	.poly1305 = poly1305_messages };
