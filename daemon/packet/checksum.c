/*
 * Sums 64-bit words in vectors without ever losing a carry: next to the wrapping sum of the words
 * runs the sum of their upper halves, which tells afterwards how much the lower halves contributed.
 * That is three operations per vector. AVX2 is used where the processor has it; wider vectors gain
 * nothing, since the loads already take as long. Memory safe for every length and alignment.
 */
#include "packet/checksum.h"

/* Adds @pairs of vectors of @lanes 64-bit words; @attribute: the processor it is compiled for. */
#define DEFINE_SUM_PAIRS(name, lanes, attribute)                                      \
	attribute static uint64_t name(uint64_t sum, const uint8_t *p, size_t pairs)  \
	{                                                                             \
		typedef uint64_t vec __attribute__((vector_size(8 * (lanes))));       \
		typedef vec unaligned __attribute__((aligned(1), may_alias));         \
		vec words0 = { 0 }, words1 = { 0 }, uppers0 = { 0 }, uppers1 = { 0 }; \
                                                                                      \
		for (size_t i = 0; i < pairs; i++) {                                  \
			vec v0 = ((const unaligned *) p)[2 * i];                      \
			vec v1 = ((const unaligned *) p)[2 * i + 1];                  \
                                                                                      \
			words0 += v0;                                                 \
			words1 += v1;                                                 \
			uppers0 += v0 >> 32;                                          \
			uppers1 += v1 >> 32;                                          \
		}                                                                     \
		words0 += words1;                                                     \
		uppers0 += uppers1;                                                   \
		words0 += uppers0 - (uppers0 << 32); /* lower + upper halves */       \
		for (size_t i = 0; i < (lanes); i++)                                  \
			sum += words0[i];                                             \
		return sum;                                                           \
	}

DEFINE_SUM_PAIRS(sum_pairs_of_2, 2, )
#ifdef __x86_64__
DEFINE_SUM_PAIRS(sum_pairs_of_4, 4, __attribute__((target("avx2"))))
#endif

uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
#ifdef __x86_64__
	if (len >= 128 && __builtin_cpu_supports("avx2")) {
		sum = sum_pairs_of_4(sum, data, len / 64);
		data += len & ~(size_t) 63;
		len &= 63;
	}
#endif
	if (len >= 32) {
		sum = sum_pairs_of_2(sum, data, len / 32);
		data += len & ~(size_t) 31;
		len &= 31;
	}
	for (; len >= 4; len -= 4, data += 4)
		sum += raw32_read(data);
	if (len & 2) {
		sum += raw16_read(data);
		data += 2;
	}
	if (len & 1)
		sum += htobe16((uint16_t) (data[0] << 8));
	return sum;
}
