/*
 * aead: ChaCha20-Poly1305 (RFC 8439, empty associated data, WireGuard's nonce: 32 zero bits and the
 * counter, little endian) for batches of packets.
 *
 * One struct aead per thread. Everything is made once; nothing is allocated per packet. Groups of 8
 * or 16 packets of about the same length are the fast case; any number of any lengths is right.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AEAD_KEY_LEN = 32, AEAD_TAG_LEN = 16, AEAD_PAD_MAX = 15 };

struct aead;

/* @in and @out, both borrowed, are the same place or do not overlap. */
struct aead_packet {
	uint64_t counter;
	const uint8_t *in; /* the text, or text and tag; when sealing read from in[front] on */
	uint8_t *out;      /* sealing: room for len + pad + AEAD_TAG_LEN; opening: for the text */
	size_t front;      /* sealing only: the first so many bytes of the text lie in @out already
			    * (a rebuilt header, say). A multiple of 64, or at least @len. */
	size_t len;        /* sealing: of the text without padding; opening: of text and tag */
	size_t pad;        /* sealing only: so many zero bytes follow the text, 0..AEAD_PAD_MAX */
	bool ok; /* set by aead_open(): authentic, the text is out[0 .. len - AEAD_TAG_LEN) */
};

/*
 * The fastest implementation for this processor, or the one that $HEARTH_AEAD names. Each is first
 * compared with libcrypto on a few packets (some ten microseconds); one that disagrees is not used.
 * NULL: out of memory, or libcrypto has no such cipher.
 */
struct aead *aead_new(void);
/*
 * The one named, or the fastest for NULL. NULL also: not built for or not supported by this
 * machine.
 */
struct aead *aead_new_as(const char *name);
struct aead *aead_free(struct aead *aead);

/* The implementation in use: "avx512", "avx2", "neon" or "libcrypto". */
const char *aead_name(const struct aead *aead);

/*
 * Seals @n packets: text, padding and tag are out[0 .. len + pad + AEAD_TAG_LEN).
 * 0 or -EIO (libcrypto failed, or a length is above 2^30: nothing of the batch may be sent).
 */
int aead_seal(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n);

/*
 * Opens @n packets and sets ok of each. The bytes at @out of one that is not authentic are
 * undefined afterwards. A packet shorter than a tag is not authentic.
 */
void aead_open(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n);
