/*
 * aead-libcrypto: what aead.h promises, packet by packet through libcrypto: the implementation for
 * processors without own code, and the measure of all others. Lengths to seal were checked by the
 * caller.
 */
#pragma once

#include "tunnel/aead.h"

enum { AEAD_LEN_MAX = 1 << 30 }; /* libcrypto counts in int */

struct aead_libcrypto;

/* NULL: out of memory, or libcrypto has no such cipher. */
struct aead_libcrypto *aead_libcrypto_new(void);
struct aead_libcrypto *aead_libcrypto_free(struct aead_libcrypto *a);

int aead_libcrypto_seal(struct aead_libcrypto *a, const uint8_t key[static AEAD_KEY_LEN],
	const struct aead_packet *packets, size_t n);
void aead_libcrypto_open(struct aead_libcrypto *a, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n);
