/*
 * aead-code: what lies behind aead.h: one description for each multi-packet implementation, which
 * aead.c chooses from. Internal to aead and to its tests; the state of such code is on the stack
 * and wiped before it returns.
 */
#pragma once

#include "tunnel/aead.h"

/* One Poly1305 message of whole 16-byte blocks, for the tests' known answers. */
struct aead_poly1305 {
	uint8_t key[32];
	const uint8_t *text;
	size_t blocks;
	uint8_t tag[AEAD_TAG_LEN]; /* the result */
};

/* @nonce_head: the nonce's first 32 bits, little endian; other than 0 only in tests. */
struct aead_code {
	const char *name;
	bool (*supported)(void); /* by CPU and kernel */
	void (*seal)(const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head,
		struct aead_packet *packets, size_t n);
	void (*open)(const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head,
		struct aead_packet *packets, size_t n);
	void (*poly1305)(struct aead_poly1305 *messages, size_t n);
};

/* All that were built for this architecture, the fastest first; the last entry's name is NULL. */
extern const struct aead_code *const aead_codes[];

extern const struct aead_code aead_avx512, aead_avx2, aead_neon;
