/*
 * Seals and opens through libcrypto's EVP interface: two contexts, made and keyed once and re-keyed
 * only when another session's packets come; per packet only the nonce is set. (libsodium in Debian is
 * three times slower and has no way to keep a key schedule.) Key copies are wiped by aead_free().
 */
#include "aead.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_LEN = 12 };

struct direction {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[AEAD_KEY_LEN];
	bool keyed;
};

struct aead {
	struct direction seal, open;
};

static int init_direction(struct direction *d, const EVP_CIPHER *cipher, int encrypt)
{
	d->ctx = EVP_CIPHER_CTX_new();
	if (!d->ctx || EVP_CipherInit_ex(d->ctx, cipher, NULL, NULL, NULL, encrypt) != 1)
		return -ENOMEM;
	return 0;
}

struct aead *aead_new(void)
{
	struct aead *aead = calloc(1, sizeof(*aead));
	EVP_CIPHER *cipher = aead ? EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL) : NULL;
	int r = -ENOMEM;

	if (cipher) {
		r = init_direction(&aead->seal, cipher, 1);
		if (r == 0)
			r = init_direction(&aead->open, cipher, 0);
		EVP_CIPHER_free(cipher);
	}
	return r == 0 ? aead : aead_free(aead);
}

struct aead *aead_free(struct aead *aead)
{
	if (!aead)
		return NULL;
	EVP_CIPHER_CTX_free(aead->seal.ctx);
	EVP_CIPHER_CTX_free(aead->open.ctx);
	OPENSSL_cleanse(aead, sizeof(*aead));
	free(aead);
	return NULL;
}

/* Sets the nonce, and the key if it is not the one of the packet before. */
static bool start(struct direction *d, const uint8_t *key, uint64_t counter)
{
	uint8_t nonce[NONCE_LEN] = { 0 };
	uint64_t le = htole64(counter);
	const uint8_t *fresh = NULL;

	memcpy(nonce + 4, &le, sizeof(le));
	if (!d->keyed || CRYPTO_memcmp(d->key, key, AEAD_KEY_LEN) != 0)
		fresh = key;
	if (EVP_CipherInit_ex(d->ctx, NULL, NULL, fresh, nonce, -1) != 1) {
		d->keyed = false;
		return false;
	}
	if (fresh) {
		memcpy(d->key, key, AEAD_KEY_LEN);
		d->keyed = true;
	}
	return true;
}

int aead_seal(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n)
{
	EVP_CIPHER_CTX *ctx = aead->seal.ctx;

	for (size_t i = 0; i < n; i++) {
		struct aead_packet *p = &packets[i];
		int out = 0;

		if (p->len > INT_MAX || !start(&aead->seal, key, p->counter))
			return -EIO;
		if (p->len > 0 && EVP_EncryptUpdate(ctx, p->data, &out, p->data, (int) p->len) != 1)
			return -EIO;
		if (EVP_EncryptFinal_ex(ctx, p->data + p->len, &out) != 1 ||
			EVP_CIPHER_CTX_ctrl(
				ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, p->data + p->len) != 1)
			return -EIO;
	}
	return 0;
}

static bool open_one(struct aead *aead, const uint8_t *key, struct aead_packet *p)
{
	EVP_CIPHER_CTX *ctx = aead->open.ctx;
	size_t len = p->len - AEAD_TAG_LEN;
	uint8_t tag[AEAD_TAG_LEN], none;
	int out = 0;

	if (p->len < AEAD_TAG_LEN || p->len > INT_MAX || !start(&aead->open, key, p->counter))
		return false;
	memcpy(tag, p->data + len, sizeof(tag));
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1)
		return false;
	if (len > 0 && EVP_DecryptUpdate(ctx, p->data, &out, p->data, (int) len) != 1)
		return false;
	return EVP_DecryptFinal_ex(ctx, &none, &out) == 1;
}

void aead_open(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		packets[i].ok = open_one(aead, key, &packets[i]);
}
