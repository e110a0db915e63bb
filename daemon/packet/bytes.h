/*
 * bytes: unaligned reads and writes of packet fields. be: as a number from network byte order; raw:
 * as it lies in memory, for comparing, copying and for checksums.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t raw16_read(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t raw32_read(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t raw64_read(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void raw16_write(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t be16_read(const uint8_t *p)
{
	return be16toh(raw16_read(p));
}

static inline uint32_t be32_read(const uint8_t *p)
{
	return be32toh(raw32_read(p));
}

static inline uint64_t be64_read(const uint8_t *p)
{
	return be64toh(raw64_read(p));
}

static inline void be16_write(uint8_t *p, uint16_t v)
{
	raw16_write(p, htobe16(v));
}

static inline void be32_write(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void be64_write(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}
