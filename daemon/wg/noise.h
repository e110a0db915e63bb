/*
 * noise: the handshake Noise_IKpsk2 as WireGuard uses it (paper, sections 5.4.2 to 5.4.5),
 * without MACs, peers and time. Ephemeral keys come from libsodium's randombytes.
 *
 * Our own initiation that waits for its answer (struct wg_handshake) and one that came in (struct
 * wg_incoming) are two things: when two hosts begin at the same moment both handshakes complete,
 * and no one waits for a retry.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wg/crypto.h"

/* Us. Wipe with wg_identity_done(). */
struct wg_identity {
	bool set;
	uint8_t private[WG_KEY_LEN], public[WG_KEY_LEN];
	uint8_t mac1_key[WG_KEY_LEN]; /* of what we receive */
	uint8_t cookie_key[WG_KEY_LEN];
};

/* A peer's static part. */
struct wg_remote {
	uint8_t public[WG_KEY_LEN];
	uint8_t psk[WG_KEY_LEN];
	uint8_t shared[WG_KEY_LEN]; /* DH of the two static keys, if @shared_known */
	bool shared_known;
	uint8_t mac1_key[WG_KEY_LEN]; /* of what we send */
	uint8_t cookie_key[WG_KEY_LEN];
};

/* Our initiation under way. */
struct wg_handshake {
	bool pending;
	uint32_t index; /* ours */
	uint8_t ephemeral[WG_KEY_LEN];
	uint8_t hash[WG_HASH_LEN], chain[WG_HASH_LEN];
};

/*
 * An initiation of somebody else, between its reading and its answer. Wipe with wg_incoming_done().
 */
struct wg_incoming {
	uint32_t index; /* theirs */
	uint8_t public[WG_KEY_LEN], ephemeral[WG_KEY_LEN];
	uint8_t hash[WG_HASH_LEN], chain[WG_HASH_LEN];
};

struct wg_transport_keys {
	uint8_t send[WG_KEY_LEN], receive[WG_KEY_LEN];
};

/*
 * @private is clamped; zero bytes give an identity that is not set. -EIO if the crypto library
 * failed.
 */
int wg_identity_init(struct wg_crypto *crypto, struct wg_identity *identity,
	const uint8_t private[static WG_KEY_LEN]);
void wg_identity_done(struct wg_identity *identity);

/* Any key is taken; with one of low order (as zero is) every handshake fails. -EIO. */
int wg_remote_init(struct wg_crypto *crypto, struct wg_remote *remote,
	const uint8_t public[static WG_KEY_LEN]);
/* False for zero and points of low order. Some 50 us. */
bool wg_key_is_usable(const uint8_t public[static WG_KEY_LEN]);

/* Makes an initiation to @remote and remembers it in @handshake. -EKEYREJECTED, -EIO. */
int wg_noise_initiate(struct wg_crypto *crypto, const struct wg_identity *identity,
	struct wg_remote *remote, const uint8_t timestamp[static WG_TIMESTAMP_LEN], uint32_t index,
	struct wg_handshake *handshake, struct wg_initiation *ret);

/* First half: whose initiation is it? -EKEYREJECTED. */
int wg_noise_identify(struct wg_crypto *crypto, const struct wg_identity *identity,
	const struct wg_initiation *message, struct wg_incoming *ret);
/*
 * Second half, with the peer that ret->public names: proves that it holds the key. -EKEYREJECTED.
 */
int wg_noise_verify(struct wg_crypto *crypto, const struct wg_identity *identity,
	struct wg_remote *remote, const struct wg_initiation *message, struct wg_incoming *incoming,
	uint8_t ret_timestamp[static WG_TIMESTAMP_LEN]);
/* The answer to a verified initiation, and the keys. -EKEYREJECTED, -EIO. */
int wg_noise_respond(struct wg_crypto *crypto, const struct wg_remote *remote,
	struct wg_incoming *incoming, uint32_t index, struct wg_response *ret,
	struct wg_transport_keys *ret_keys);
void wg_incoming_done(struct wg_incoming *incoming);

/*
 * The answer to ours. @handshake stays as it is: the caller clears it on success. -EKEYREJECTED,
 * -EIO.
 */
int wg_noise_complete(struct wg_crypto *crypto, const struct wg_identity *identity,
	const struct wg_remote *remote, const struct wg_handshake *handshake,
	const struct wg_response *message, struct wg_transport_keys *ret_keys);
void wg_handshake_clear(struct wg_handshake *handshake);
