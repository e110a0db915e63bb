/*
 * Seals and opens through libcrypto's EVP interface: two contexts, made and keyed once and re-keyed
 * only when another session's packets come; per packet only the nonce is set. (libsodium in Debian is
 * three times slower and has no way to keep a key schedule.) Key copies are wiped at the end.
 */
#include "tunnel/aead-libcrypto.h"

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

struct aead_libcrypto {
	struct direction seal, open;
};

static int init_direction(struct direction *d, const EVP_CIPHER *cipher, int encrypt)
{
	d->ctx = EVP_CIPHER_CTX_new();
	if (!d->ctx || EVP_CipherInit_ex(d->ctx, cipher, NULL, NULL, NULL, encrypt) != 1)
		return -ENOMEM;
	return 0;
}

struct aead_libcrypto *aead_libcrypto_new(void)
{
	struct aead_libcrypto *a = calloc(1, sizeof(*a));
	EVP_CIPHER *cipher = a ? EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL) : NULL;
	int r = -ENOMEM;

	if (cipher) {
		r = init_direction(&a->seal, cipher, 1);
		if (r == 0)
			r = init_direction(&a->open, cipher, 0);
		EVP_CIPHER_free(cipher);
	}
	return r == 0 ? a : aead_libcrypto_free(a);
}

struct aead_libcrypto *aead_libcrypto_free(struct aead_libcrypto *a)
{
	if (!a)
		return NULL;
	EVP_CIPHER_CTX_free(a->seal.ctx);
	EVP_CIPHER_CTX_free(a->open.ctx);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
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

/* Encrypts or decrypts @len bytes of the packet; the caller knows them to be fewer than 2^31. */
static bool update(struct direction *d, uint8_t *out, const uint8_t *in, size_t len)
{
	int done = 0;

	return len == 0 || EVP_CipherUpdate(d->ctx, out, &done, in, (int) len) == 1;
}

static bool seal_one(struct direction *d, const uint8_t *key, const struct aead_packet *p)
{
	static const uint8_t zeros[AEAD_PAD_MAX];
	size_t front = p->front < p->len ? p->front : p->len;
	uint8_t *tag = p->out + p->len + p->pad;
	int out = 0;

	return start(d, key, p->counter) && update(d, p->out, p->out, front) &&
	       update(d, p->out + front, p->in + front, p->len - front) &&
	       update(d, p->out + p->len, zeros, p->pad) &&
	       EVP_EncryptFinal_ex(d->ctx, tag, &out) == 1 &&
	       EVP_CIPHER_CTX_ctrl(d->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, tag) == 1;
}

static bool open_one(struct direction *d, const uint8_t *key, const struct aead_packet *p)
{
	size_t len = p->len - AEAD_TAG_LEN;
	uint8_t tag[AEAD_TAG_LEN], none;
	int out = 0;

	if (p->len < AEAD_TAG_LEN || !start(d, key, p->counter))
		return false;
	memcpy(tag, p->in + len, sizeof(tag));
	return EVP_CIPHER_CTX_ctrl(d->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	       update(d, p->out, p->in, len) && EVP_DecryptFinal_ex(d->ctx, &none, &out) == 1;
}

int aead_libcrypto_seal(struct aead_libcrypto *a, const uint8_t key[static AEAD_KEY_LEN],
	const struct aead_packet *packets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!seal_one(&a->seal, key, &packets[i]))
			return -EIO;
	return 0;
}

void aead_libcrypto_open(struct aead_libcrypto *a, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		packets[i].ok = open_one(&a->open, key, &packets[i]);
}
