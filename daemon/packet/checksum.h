/*
 * checksum: the Internet checksum (RFC 1071) over pieces. A sum is an unfolded 64-bit number of
 * words as they lie in memory, so nothing is swapped: sums of pieces are added with +, then folded
 * once. Each piece but the last has an even length. A 16-bit field held as a number counts as
 * htobe16(field). The sum of 64 KB stays below 2^50: thousands of them may be added before a fold.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "packet/bytes.h"

/* Adds the words of @data to @sum; a last odd byte counts as if a zero followed. */
uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len);

/* The same for @words 32-bit words, without a call: for headers. */
static inline uint64_t checksum_add_words(uint64_t sum, const uint8_t *data, size_t words)
{
	for (size_t i = 0; i < words; i++)
		sum += raw32_read(data + i * 4);
	return sum;
}

/*
 * The one's complement sum in 16 bits, in memory order: copied into a packet as it is. Not
 * complemented: 0xffff over data that contains its own right checksum. 0 only if every word was 0.
 */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	return (uint16_t) sum;
}

/*
 * What is written into a TCP, UDP or ICMP field: the complement, and 0xffff (the same value) for 0,
 * which UDP reserves for "none" (RFC 768, RFC 8200 section 8.1).
 */
static inline uint16_t checksum_field(uint64_t sum)
{
	uint16_t field = (uint16_t) ~checksum_fold(sum);

	return field ? field : UINT16_MAX;
}

/* Takes a value of 16 bits in memory order out again. */
static inline uint64_t checksum_sub(uint64_t sum, uint16_t raw)
{
	return sum + (uint16_t) ~raw;
}

/*
 * The pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) without its length field, to which
 * htobe16(length) is added. @addresses: source and destination in a row, as in both IP headers,
 * @addresses_len 8 or 32.
 */
static inline uint64_t checksum_pseudo(
	const uint8_t *addresses, size_t addresses_len, uint8_t protocol)
{
	return checksum_add_words(htobe16(protocol), addresses, addresses_len / 4);
}
