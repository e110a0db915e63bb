/*
 * crypto: see crypto.h. After init no call allocates by itself; should libcrypto fail all the
 * same, the output is zeroed and the failure is remembered, so that a chain of calls is checked
 * once.
 */
#include "wg/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#define CONSTRUCTION "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
#define IDENTIFIER   "WireGuard v1 zx2c4 Jason@zx2c4.com"

static EVP_MAC_CTX *mac_new(const char *name, const OSSL_PARAM *params)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, name, NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac); /* the context holds its own reference */
	if (ctx && !EVP_MAC_CTX_set_params(ctx, params)) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int wg_crypto_init(struct wg_crypto *crypto)
{
	char digest[] = "BLAKE2S-256";
	size_t mac_len = WG_MAC_LEN;
	const OSSL_PARAM hmac_params[] = { OSSL_PARAM_construct_utf8_string(
						   OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end() };
	const OSSL_PARAM mac_params[] = { OSSL_PARAM_construct_size_t(
						  OSSL_MAC_PARAM_SIZE, &mac_len),
		OSSL_PARAM_construct_end() };

	*crypto = (struct wg_crypto){ 0 };
	if (sodium_init() < 0)
		return -ENOSYS;
	crypto->blake2s = EVP_MD_fetch(NULL, digest, NULL);
	crypto->hash = EVP_MD_CTX_new();
	crypto->hmac = mac_new("HMAC", hmac_params);
	crypto->mac = mac_new("BLAKE2SMAC", mac_params);
	if (crypto->blake2s && crypto->hash && crypto->hmac && crypto->mac) {
		wg_hash(crypto, crypto->start_chain, CONSTRUCTION, sizeof(CONSTRUCTION) - 1, NULL,
			0);
		wg_hash(crypto, crypto->start_hash, crypto->start_chain, WG_HASH_LEN, IDENTIFIER,
			sizeof(IDENTIFIER) - 1);
		if (!crypto->failed)
			return 0;
	}
	wg_crypto_done(crypto);
	return -ENOSYS;
}

void wg_crypto_done(struct wg_crypto *crypto)
{
	EVP_MAC_CTX_free(crypto->mac);
	EVP_MAC_CTX_free(crypto->hmac);
	EVP_MD_CTX_free(crypto->hash);
	EVP_MD_free(crypto->blake2s);
	*crypto = (struct wg_crypto){ 0 };
}

bool wg_crypto_take_failure(struct wg_crypto *crypto)
{
	bool failed = crypto->failed;

	crypto->failed = false;
	return failed;
}

static void note_failure(struct wg_crypto *crypto, uint8_t *output, size_t len)
{
	memset(output, 0, len);
	crypto->failed = true;
}

void wg_hash(struct wg_crypto *crypto, uint8_t ret[static WG_HASH_LEN], const void *a, size_t a_len,
	const void *b, size_t b_len)
{
	if (!EVP_DigestInit_ex2(crypto->hash, crypto->blake2s, NULL) ||
		!EVP_DigestUpdate(crypto->hash, a, a_len) ||
		(b_len && !EVP_DigestUpdate(crypto->hash, b, b_len)) ||
		!EVP_DigestFinal_ex(crypto->hash, ret, NULL))
		note_failure(crypto, ret, WG_HASH_LEN);
}

void wg_mac(struct wg_crypto *crypto, uint8_t ret[static WG_MAC_LEN], const uint8_t *key,
	size_t key_len, const void *data, size_t len)
{
	size_t n;

	if (!EVP_MAC_init(crypto->mac, key, key_len, NULL) ||
		!EVP_MAC_update(crypto->mac, data, len) ||
		!EVP_MAC_final(crypto->mac, ret, &n, WG_MAC_LEN) || n != WG_MAC_LEN)
		note_failure(crypto, ret, WG_MAC_LEN);
}

static void hmac2(struct wg_crypto *crypto, uint8_t ret[static WG_HASH_LEN],
	const uint8_t key[static WG_HASH_LEN], const void *data, size_t len, uint8_t last)
{
	size_t n;

	if (!EVP_MAC_init(crypto->hmac, key, WG_HASH_LEN, NULL) ||
		(len && !EVP_MAC_update(crypto->hmac, data, len)) ||
		(last && !EVP_MAC_update(crypto->hmac, &last, 1)) ||
		!EVP_MAC_final(crypto->hmac, ret, &n, WG_HASH_LEN) || n != WG_HASH_LEN)
		note_failure(crypto, ret, WG_HASH_LEN);
}

static void wg_hmac(struct wg_crypto *crypto, uint8_t ret[static WG_HASH_LEN],
	const uint8_t key[static WG_HASH_LEN], const void *data, size_t len)
{
	hmac2(crypto, ret, key, data, len, 0);
}

void wg_kdf(struct wg_crypto *crypto, uint8_t *ret1, uint8_t *ret2, uint8_t *ret3,
	const uint8_t key[static WG_HASH_LEN], const void *input, size_t len)
{
	uint8_t *const outputs[] = { ret1, ret2, ret3 };
	uint8_t secret[WG_HASH_LEN], t[WG_HASH_LEN];

	wg_hmac(crypto, secret, key, input, len);
	for (unsigned i = 0; i < 3 && outputs[i]; i++) {
		hmac2(crypto, t, secret, t, i ? sizeof(t) : 0, (uint8_t) (i + 1));
		memcpy(outputs[i], t, sizeof(t));
	}
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(t, sizeof(t));
}

static void nonce_of(
	uint8_t ret[static crypto_aead_chacha20poly1305_ietf_NPUBBYTES], uint64_t counter)
{
	memset(ret, 0, 4);
	wg_le64_write(ret + 4, counter);
}

void wg_seal(uint8_t *ret, const uint8_t *data, size_t len, const uint8_t *aad, size_t aad_len,
	const uint8_t key[static WG_KEY_LEN], uint64_t counter)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	nonce_of(nonce, counter);
	(void) crypto_aead_chacha20poly1305_ietf_encrypt(
		ret, NULL, data, len, aad, aad_len, NULL, nonce, key); /* always 0 */
}

int wg_open(uint8_t *ret, const uint8_t *sealed, size_t sealed_len, const uint8_t *aad,
	size_t aad_len, const uint8_t key[static WG_KEY_LEN], uint64_t counter)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	nonce_of(nonce, counter);
	return crypto_aead_chacha20poly1305_ietf_decrypt(
		       ret, NULL, NULL, sealed, sealed_len, aad, aad_len, nonce, key) < 0
		       ? -EKEYREJECTED
		       : 0;
}

int wg_dh(uint8_t ret[static WG_KEY_LEN], const uint8_t private[static WG_KEY_LEN],
	const uint8_t public[static WG_KEY_LEN])
{
	return crypto_scalarmult_curve25519(ret, private, public) < 0 ? -EKEYREJECTED : 0;
}

void wg_private_key_clamp(uint8_t key[static WG_KEY_LEN])
{
	key[0] &= 248;
	key[31] = (uint8_t) ((key[31] & 127) | 64);
}
