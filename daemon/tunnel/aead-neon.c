/*
 * ChaCha20-Poly1305 of 8 packets at once with NEON, which every 64-bit ARM processor has: 4 blocks
 * of ChaCha20, and Poly1305 in four vectors of two packets.
 */
#ifdef __aarch64__ /* lint reads every file on every machine */
#include <arm_neon.h>

#define SETS       4
#define VECTOR_MIN 4
#define BESIDE     0

typedef uint32x4_t vec;

#define u64(x)      vreinterpretq_u64_u32(x)
#define u32(x)      vreinterpretq_u32_u64(x)
#define load(p)     vreinterpretq_u32_u8(vld1q_u8((const uint8_t *) (p)))
#define store(p, x) vst1q_u8((uint8_t *) (p), vreinterpretq_u8_u32(x))
#define xor veorq_u32
#define and vandq_u32
#define or vorrq_u32
#define set32(x)     vdupq_n_u32(x)
#define set64(x)     u32(vdupq_n_u64(x))
#define add32        vaddq_u32
#define add64(a, b)  u32(vaddq_u64(u64(a), u64(b)))
#define shl64(x, n)  u32(vshlq_n_u64(u64(x), n))
#define shr64(x, n)  u32(vshrq_n_u64(u64(x), n))
#define mul(a, b)    u32(vmull_u32(vmovn_u64(u64(a)), vmovn_u64(u64(b))))
#define low32        vzip1q_u32
#define high32       vzip2q_u32
#define low64(a, b)  u32(vzip1q_u64(u64(a), u64(b)))
#define high64(a, b) u32(vzip2q_u64(u64(a), u64(b)))
#define rol32(x, n)  vsriq_n_u32(vshlq_n_u32(x, n), x, 32 - (n))

static inline void columns(vec q[4])
{
}

static inline __attribute__((always_inline)) void gather(
	vec *lo, vec *hi, const uint8_t *const at[static 2], unsigned long i)
{
	vec a = load(at[0] + i), b = load(at[1] + i);

	*lo = low64(a, b);
	*hi = high64(a, b);
}

#include "tunnel/aead-lanes.h"

static bool supported(void)
{
	return true;
}

const struct aead_code aead_neon = { .name = "neon",
	.supported = supported,
	.seal = seal_packets,
	.open = open_packets,
	.poly1305 = poly1305_messages };
#endif
