/*
 * Sums 64-bit words in vectors without ever losing a carry: next to the wrapping sum of the words
 * runs the sum of their upper halves, which tells afterwards how much the lower halves contributed.
 * That is three operations per vector. AVX2 is used where the processor has it; wider vectors gain
 * nothing, since the loads already take as long. Memory safe for every length and alignment.
 */
#include "checksum.h"

#include <string.h>

#include "bytes.h"

enum { UNROLL = 4 };

/* Takes whole blocks of UNROLL vectors, then whole vectors, off @data. */
#define DEFINE_SUM_VECTORS(name, lanes)                                                   \
	static uint64_t name(uint64_t sum, const uint8_t **data, size_t *len)             \
	{                                                                                 \
		typedef uint64_t vec __attribute__((vector_size((lanes) *8)));            \
		typedef vec unaligned __attribute__((aligned(1), may_alias));             \
		vec words[UNROLL] = { { 0 } }, uppers[UNROLL] = { { 0 } };                \
		const uint8_t *p = *data;                                                 \
		size_t left = *len;                                                       \
                                                                                          \
		for (; left >= UNROLL * sizeof(vec); left -= UNROLL * sizeof(vec)) {      \
			_Pragma("GCC unroll 4") for (size_t i = 0; i < UNROLL; i++)       \
			{                                                                 \
				vec v = ((const unaligned *) p)[i];                       \
				words[i] += v;                                            \
				uppers[i] += v >> 32;                                     \
			}                                                                 \
			p += UNROLL * sizeof(vec);                                        \
		}                                                                         \
		for (; left >= sizeof(vec); left -= sizeof(vec), p += sizeof(vec)) {      \
			vec v = *(const unaligned *) p;                                   \
			words[0] += v;                                                    \
			uppers[0] += v >> 32;                                             \
		}                                                                         \
		words[0] += words[1] + words[2] + words[3];                               \
		uppers[0] += uppers[1] + uppers[2] + uppers[3];                           \
		words[0] += uppers[0] - (uppers[0] << 32); /* now lower + upper halves */ \
		for (size_t i = 0; i < (lanes); i++)                                      \
			sum += words[0][i];                                               \
		*data = p;                                                                \
		*len = left;                                                              \
		return sum;                                                               \
	}

DEFINE_SUM_VECTORS(sum_vectors, 2)

#ifdef __x86_64__
__attribute__((target("avx2"))) DEFINE_SUM_VECTORS(sum_vectors_avx2, 4)

	static uint64_t sum_bulk(uint64_t sum, const uint8_t **data, size_t *len)
{
	if (__builtin_cpu_supports("avx2"))
		return sum_vectors_avx2(sum, data, len);
	return sum_vectors(sum, data, len);
}
#else
static uint64_t sum_bulk(uint64_t sum, const uint8_t **data, size_t *len)
{
	return sum_vectors(sum, data, len);
}
#endif

uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	if (len >= 64)
		sum = sum_bulk(sum, &data, &len);
	for (; len >= 8; len -= 8, data += 8) {
		uint64_t v = raw64_read(data);

		sum += (v >> 32) + (v & UINT32_MAX);
	}
	if (len & 4) {
		sum += raw32_read(data);
		data += 4;
	}
	if (len & 2) {
		sum += raw16_read(data);
		data += 2;
	}
	if (len & 1)
		sum += htobe16((uint16_t) (data[0] << 8));
	return sum;
}
