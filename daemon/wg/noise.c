/*
 * noise: see noise.h. Every intermediate secret is wiped on every way out. Letters follow the
 * paper: a handshake is a chaining key and a hash into which all that is sent and all
 * Diffie-Hellman results are mixed.
 */
#include "wg/noise.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"

struct secret {
	uint8_t bytes[WG_KEY_LEN];
};

static void secret_wipe(struct secret *secret)
{
	sodium_memzero(secret, sizeof(*secret));
}
#define SECRET CLEANUP(secret_wipe) struct secret

static void derive_label_keys(struct wg_crypto *crypto, const uint8_t public[static WG_KEY_LEN],
	uint8_t ret_mac1[static WG_KEY_LEN], uint8_t ret_cookie[static WG_KEY_LEN])
{
	wg_hash(crypto, ret_mac1, "mac1----", 8, public, WG_KEY_LEN);
	wg_hash(crypto, ret_cookie, "cookie--", 8, public, WG_KEY_LEN);
}

int wg_identity_init(struct wg_crypto *crypto, struct wg_identity *identity,
	const uint8_t private[static WG_KEY_LEN])
{
	wg_identity_done(identity);
	if (sodium_is_zero(private, WG_KEY_LEN))
		return 0;
	memcpy(identity->private, private, WG_KEY_LEN);
	wg_private_key_clamp(identity->private);
	(void) crypto_scalarmult_curve25519_base(identity->public, identity->private);
	derive_label_keys(crypto, identity->public, identity->mac1_key, identity->cookie_key);
	if (wg_crypto_take_failure(crypto)) {
		wg_identity_done(identity);
		return -EIO;
	}
	identity->set = true;
	return 0;
}

void wg_identity_done(struct wg_identity *identity)
{
	sodium_memzero(identity, sizeof(*identity));
}

int wg_remote_init(
	struct wg_crypto *crypto, struct wg_remote *remote, const uint8_t public[static WG_KEY_LEN])
{
	*remote = (struct wg_remote){ 0 };
	memcpy(remote->public, public, WG_KEY_LEN);
	derive_label_keys(crypto, public, remote->mac1_key, remote->cookie_key);
	return wg_crypto_take_failure(crypto) ? -EIO : 0;
}

bool wg_key_is_usable(const uint8_t public[static WG_KEY_LEN])
{
	SECRET scalar;
	SECRET shared;

	randombytes_buf(scalar.bytes, sizeof(scalar.bytes)); /* any one tells */
	return wg_dh(shared.bytes, scalar.bytes, public) == 0;
}

static void mix_hash(
	struct wg_crypto *crypto, uint8_t hash[static WG_HASH_LEN], const void *data, size_t len)
{
	wg_hash(crypto, hash, hash, WG_HASH_LEN, data, len);
}

/* ret_key may be NULL: then only the chaining key moves on. */
static int mix_dh(struct wg_crypto *crypto, uint8_t chain[static WG_HASH_LEN], uint8_t *ret_key,
	const uint8_t private[static WG_KEY_LEN], const uint8_t public[static WG_KEY_LEN])
{
	SECRET shared;
	int r = wg_dh(shared.bytes, private, public);

	if (r < 0)
		return r;
	wg_kdf(crypto, chain, ret_key, NULL, chain, shared.bytes, sizeof(shared.bytes));
	return 0;
}

/* Mixes the result for the two static keys, which is computed once per pair. */
static int mix_static(struct wg_crypto *crypto, uint8_t chain[static WG_HASH_LEN],
	uint8_t ret_key[static WG_KEY_LEN], const struct wg_identity *identity,
	struct wg_remote *remote)
{
	if (!remote->shared_known) {
		int r = wg_dh(remote->shared, identity->private, remote->public);

		if (r < 0)
			return r;
		remote->shared_known = true;
	}
	wg_kdf(crypto, chain, ret_key, NULL, chain, remote->shared, WG_KEY_LEN);
	return 0;
}

static void begin(struct wg_crypto *crypto, uint8_t chain[static WG_HASH_LEN],
	uint8_t hash[static WG_HASH_LEN], const uint8_t responder[static WG_KEY_LEN])
{
	memcpy(chain, crypto->start_chain, WG_HASH_LEN);
	wg_hash(crypto, hash, crypto->start_hash, WG_HASH_LEN, responder, WG_KEY_LEN);
}

static void mix_ephemeral(struct wg_crypto *crypto, uint8_t chain[static WG_HASH_LEN],
	uint8_t hash[static WG_HASH_LEN], const uint8_t public[static WG_KEY_LEN])
{
	mix_hash(crypto, hash, public, WG_KEY_LEN);
	wg_kdf(crypto, chain, NULL, NULL, chain, public, WG_KEY_LEN);
}

static void ephemeral_new(
	uint8_t ret_private[static WG_KEY_LEN], uint8_t ret_public[static WG_KEY_LEN])
{
	randombytes_buf(ret_private, WG_KEY_LEN);
	wg_private_key_clamp(ret_private);
	(void) crypto_scalarmult_curve25519_base(ret_public, ret_private);
}

static void mix_seal(struct wg_crypto *crypto, uint8_t hash[static WG_HASH_LEN], uint8_t *ret,
	const uint8_t *data, size_t len, const struct secret *key)
{
	wg_seal(ret, data, len, hash, WG_HASH_LEN, key->bytes, 0);
	mix_hash(crypto, hash, ret, len + WG_TAG_LEN);
}

static int mix_open(struct wg_crypto *crypto, uint8_t hash[static WG_HASH_LEN], uint8_t *ret,
	const uint8_t *sealed, size_t sealed_len, const struct secret *key)
{
	int r = wg_open(ret, sealed, sealed_len, hash, WG_HASH_LEN, key->bytes, 0);

	if (r < 0)
		return r;
	mix_hash(crypto, hash, sealed, sealed_len);
	return 0;
}

int wg_noise_initiate(struct wg_crypto *crypto, const struct wg_identity *identity,
	struct wg_remote *remote, const uint8_t timestamp[static WG_TIMESTAMP_LEN], uint32_t index,
	struct wg_handshake *handshake, struct wg_initiation *ret)
{
	SECRET key;
	int r;

	wg_handshake_clear(handshake);
	begin(crypto, handshake->chain, handshake->hash, remote->public);
	ephemeral_new(handshake->ephemeral, ret->ephemeral);
	mix_ephemeral(crypto, handshake->chain, handshake->hash, ret->ephemeral);
	r = mix_dh(crypto, handshake->chain, key.bytes, handshake->ephemeral, remote->public);
	if (r < 0)
		goto fail;
	mix_seal(crypto, handshake->hash, ret->sealed_static, identity->public, WG_KEY_LEN, &key);
	r = mix_static(crypto, handshake->chain, key.bytes, identity, remote);
	if (r < 0)
		goto fail;
	mix_seal(crypto, handshake->hash, ret->sealed_timestamp, timestamp, WG_TIMESTAMP_LEN, &key);
	r = wg_crypto_take_failure(crypto) ? -EIO : 0;
	if (r < 0)
		goto fail;
	ret->sender = index;
	handshake->index = index;
	handshake->pending = true;
	return 0;
fail:
	wg_handshake_clear(handshake);
	return r;
}

int wg_noise_identify(struct wg_crypto *crypto, const struct wg_identity *identity,
	const struct wg_initiation *message, struct wg_incoming *ret)
{
	SECRET key;
	int r;

	begin(crypto, ret->chain, ret->hash, identity->public);
	mix_ephemeral(crypto, ret->chain, ret->hash, message->ephemeral);
	r = mix_dh(crypto, ret->chain, key.bytes, identity->private, message->ephemeral);
	if (r < 0)
		return r;
	r = mix_open(crypto, ret->hash, ret->public, message->sealed_static,
		sizeof(message->sealed_static), &key);
	if (r < 0)
		return r;
	memcpy(ret->ephemeral, message->ephemeral, WG_KEY_LEN);
	ret->index = message->sender;
	return wg_crypto_take_failure(crypto) ? -EIO : 0;
}

int wg_noise_verify(struct wg_crypto *crypto, const struct wg_identity *identity,
	struct wg_remote *remote, const struct wg_initiation *message, struct wg_incoming *incoming,
	uint8_t ret_timestamp[static WG_TIMESTAMP_LEN])
{
	SECRET key;
	int r;

	r = mix_static(crypto, incoming->chain, key.bytes, identity, remote);
	if (r < 0)
		return r;
	r = mix_open(crypto, incoming->hash, ret_timestamp, message->sealed_timestamp,
		sizeof(message->sealed_timestamp), &key);
	if (r < 0)
		return r;
	return wg_crypto_take_failure(crypto) ? -EIO : 0;
}

/* The preshared key goes in last; the result seals the empty payload of the response. */
static void mix_psk(struct wg_crypto *crypto, uint8_t chain[static WG_HASH_LEN],
	uint8_t hash[static WG_HASH_LEN], struct secret *ret_key,
	const uint8_t psk[static WG_KEY_LEN])
{
	SECRET temporary;

	wg_kdf(crypto, chain, temporary.bytes, ret_key->bytes, chain, psk, WG_KEY_LEN);
	mix_hash(crypto, hash, temporary.bytes, sizeof(temporary.bytes));
}

int wg_noise_respond(struct wg_crypto *crypto, const struct wg_remote *remote,
	struct wg_incoming *incoming, uint32_t index, struct wg_response *ret,
	struct wg_transport_keys *ret_keys)
{
	SECRET ephemeral;
	SECRET key;
	int r;

	ephemeral_new(ephemeral.bytes, ret->ephemeral);
	mix_ephemeral(crypto, incoming->chain, incoming->hash, ret->ephemeral);
	r = mix_dh(crypto, incoming->chain, NULL, ephemeral.bytes, incoming->ephemeral);
	if (r < 0)
		return r;
	r = mix_dh(crypto, incoming->chain, NULL, ephemeral.bytes, remote->public);
	if (r < 0)
		return r;
	mix_psk(crypto, incoming->chain, incoming->hash, &key, remote->psk);
	mix_seal(crypto, incoming->hash, ret->sealed_nothing, NULL, 0, &key);
	ret->sender = index;
	ret->receiver = incoming->index;
	wg_kdf(crypto, ret_keys->receive, ret_keys->send, NULL, incoming->chain, NULL, 0);
	return wg_crypto_take_failure(crypto) ? -EIO : 0;
}

void wg_incoming_done(struct wg_incoming *incoming)
{
	sodium_memzero(incoming, sizeof(*incoming));
}

int wg_noise_complete(struct wg_crypto *crypto, const struct wg_identity *identity,
	const struct wg_remote *remote, const struct wg_handshake *handshake,
	const struct wg_response *message, struct wg_transport_keys *ret_keys)
{
	SECRET key;
	SECRET chain;
	uint8_t hash[WG_HASH_LEN], nothing[1];
	int r;

	/* On copies: a forged answer must not spoil the handshake for the true one. */
	memcpy(chain.bytes, handshake->chain, WG_HASH_LEN);
	memcpy(hash, handshake->hash, WG_HASH_LEN);
	mix_ephemeral(crypto, chain.bytes, hash, message->ephemeral);
	r = mix_dh(crypto, chain.bytes, NULL, handshake->ephemeral, message->ephemeral);
	if (r < 0)
		return r;
	r = mix_dh(crypto, chain.bytes, NULL, identity->private, message->ephemeral);
	if (r < 0)
		return r;
	mix_psk(crypto, chain.bytes, hash, &key, remote->psk);
	r = mix_open(crypto, hash, nothing, message->sealed_nothing,
		sizeof(message->sealed_nothing), &key);
	if (r < 0)
		return r;
	wg_kdf(crypto, ret_keys->send, ret_keys->receive, NULL, chain.bytes, NULL, 0);
	return wg_crypto_take_failure(crypto) ? -EIO : 0;
}

void wg_handshake_clear(struct wg_handshake *handshake)
{
	sodium_memzero(handshake, sizeof(*handshake));
}
