/*
 * fnv: 64-bit FNV-1a, for names derived from identifiers and for tables of trusted keys. Not for
 * anything an attacker profits from colliding: those who use it check the full identifier.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FNV64_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t fnv64(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}
