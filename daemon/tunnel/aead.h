/*
 * aead: ChaCha20-Poly1305 (RFC 8439, empty associated data, WireGuard's nonce: 32 zero bits and the
 * counter, little endian) for batches of packets, in place.
 *
 * One struct aead per thread. The contexts are made once; nothing is allocated per packet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AEAD_KEY_LEN = 32, AEAD_TAG_LEN = 16 };

struct aead;

struct aead_packet {
	uint64_t counter;
	uint8_t *data; /* sealing: room for AEAD_TAG_LEN bytes behind @len */
	size_t len;    /* sealing: of the text; opening: of text and tag */
	bool ok; /* set by aead_open(): authentic, the text is data[0 .. len - AEAD_TAG_LEN) */
};

/* NULL: out of memory, or libcrypto has no such cipher. */
struct aead *aead_new(void);
struct aead *aead_free(struct aead *aead);

/* Seals @n packets. 0 or -EIO (libcrypto failed: nothing of the batch may be sent). */
int aead_seal(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n);

/*
 * Opens @n packets and sets ok of each. The bytes of one that is not authentic are undefined
 * afterwards. A packet shorter than a tag is not authentic.
 */
void aead_open(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n);
