/*
 * crypto: the primitives of WireGuard: BLAKE2s, its MAC and HMAC and the key derivation from
 * libcrypto (fetched once into contexts that are used again), X25519 and the AEADs from libsodium.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wg.h"

enum { WG_HASH_LEN = 32 };

struct evp_md_st;
struct evp_md_ctx_st;
struct evp_mac_ctx_st;

/* Embedded. One thread at a time. */
struct wg_crypto {
	struct evp_md_st *blake2s;
	struct evp_md_ctx_st *hash;
	struct evp_mac_ctx_st *hmac, *mac;
	bool failed; /* a primitive did not work (out of memory); see wg_crypto_take_failure() */
	uint8_t start_chain[WG_HASH_LEN], start_hash[WG_HASH_LEN]; /* of every handshake */
};

/* 0, or -ENOSYS if a library lacks something. On failure nothing is left behind. */
int wg_crypto_init(struct wg_crypto *crypto);
void wg_crypto_done(struct wg_crypto *crypto);

/* True if a call since the last time failed: its output was zero bytes and must not be used. */
bool wg_crypto_take_failure(struct wg_crypto *crypto);

/* BLAKE2s-256 of @a followed by @b. @ret may be either. */
void wg_hash(struct wg_crypto *crypto, uint8_t ret[static WG_HASH_LEN], const void *a, size_t a_len,
	const void *b, size_t b_len);
/* Keyed BLAKE2s with 16 bytes of output. */
void wg_mac(struct wg_crypto *crypto, uint8_t ret[static WG_MAC_LEN], const uint8_t *key,
	size_t key_len, const void *data, size_t len);
/* HKDF with the chaining key @key: one to three outputs, those not wanted NULL from the end. */
void wg_kdf(struct wg_crypto *crypto, uint8_t *ret1, uint8_t *ret2, uint8_t *ret3,
	const uint8_t key[static WG_HASH_LEN], const void *input, size_t len);

/* ChaCha20-Poly1305 with nonce @counter; @ret takes len + 16 bytes. */
void wg_seal(uint8_t *ret, const uint8_t *data, size_t len, const uint8_t *aad, size_t aad_len,
	const uint8_t key[static WG_KEY_LEN], uint64_t counter);
/* @sealed_len includes the tag. -EKEYREJECTED if it is shorter or the tag is wrong. */
int wg_open(uint8_t *ret, const uint8_t *sealed, size_t sealed_len, const uint8_t *aad,
	size_t aad_len, const uint8_t key[static WG_KEY_LEN], uint64_t counter);

/* X25519. -EKEYREJECTED if @public is a point of low order. */
int wg_dh(uint8_t ret[static WG_KEY_LEN], const uint8_t private[static WG_KEY_LEN],
	const uint8_t public[static WG_KEY_LEN]);
void wg_private_key_clamp(uint8_t key[static WG_KEY_LEN]);
