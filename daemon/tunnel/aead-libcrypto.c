/*
 * Seals and opens through libcrypto's EVP interface: two contexts, made once. The first packet of a
 * batch sets the key, the others only their nonce, and no key stays in a context when the batch is
 * done: a session's keys are gone when the engine wipes them. (libsodium in Debian is three times
 * slower.)
 */
#include "tunnel/aead-libcrypto.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_LEN = 12 };

struct aead_libcrypto {
	EVP_CIPHER_CTX *seal, *open;
};

static int init_direction(EVP_CIPHER_CTX **ret, const EVP_CIPHER *cipher, int encrypt)
{
	*ret = EVP_CIPHER_CTX_new();
	if (!*ret || EVP_CipherInit_ex(*ret, cipher, NULL, NULL, NULL, encrypt) != 1)
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
	EVP_CIPHER_CTX_free(a->seal);
	EVP_CIPHER_CTX_free(a->open);
	free(a);
	return NULL;
}

/* Sets the nonce, and @*key unless it is NULL. Once the key is set, @*key is NULL. */
static bool start(EVP_CIPHER_CTX *ctx, const uint8_t **key, uint64_t counter)
{
	uint8_t nonce[NONCE_LEN] = { 0 };
	uint64_t le = htole64(counter);

	memcpy(nonce + 4, &le, sizeof(le));
	if (EVP_CipherInit_ex(ctx, NULL, NULL, *key, nonce, -1) != 1)
		return false;
	*key = NULL;
	return true;
}

/* A key of zeros takes the place of the one in @ctx. */
static void forget(EVP_CIPHER_CTX *ctx)
{
	static const uint8_t zeros[AEAD_KEY_LEN];
	const uint8_t *key = zeros;

	(void) start(ctx, &key, 0);
}

/* Encrypts or decrypts @len bytes of the packet; the caller knows them to be fewer than 2^31. */
static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in, size_t len)
{
	int done = 0;

	return len == 0 || EVP_CipherUpdate(ctx, out, &done, in, (int) len) == 1;
}

static bool seal_one(EVP_CIPHER_CTX *ctx, const uint8_t **key, const struct aead_packet *p)
{
	static const uint8_t zeros[AEAD_PAD_MAX];
	size_t front = p->front < p->len ? p->front : p->len;
	uint8_t *tag = p->out + p->len + p->pad;
	int out = 0;

	return start(ctx, key, p->counter) && update(ctx, p->out, p->out, front) &&
	       update(ctx, p->out + front, p->in + front, p->len - front) &&
	       update(ctx, p->out + p->len, zeros, p->pad) &&
	       EVP_EncryptFinal_ex(ctx, tag, &out) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, tag) == 1;
}

static bool open_one(EVP_CIPHER_CTX *ctx, const uint8_t **key, const struct aead_packet *p)
{
	size_t len = p->len - AEAD_TAG_LEN;
	uint8_t tag[AEAD_TAG_LEN], none;
	int out = 0;

	if (!start(ctx, key, p->counter))
		return false;
	memcpy(tag, p->in + len, sizeof(tag));
	return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	       update(ctx, p->out, p->in, len) && EVP_DecryptFinal_ex(ctx, &none, &out) == 1;
}

int aead_libcrypto_seal(struct aead_libcrypto *a, const uint8_t key[static AEAD_KEY_LEN],
	const struct aead_packet *packets, size_t n)
{
	bool ok = true;

	for (size_t i = 0; i < n && ok; i++)
		ok = seal_one(a->seal, &key, &packets[i]);
	forget(a->seal);
	return ok ? 0 : -EIO;
}

void aead_libcrypto_open(struct aead_libcrypto *a, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = packets[i].len;

		packets[i].ok = len >= AEAD_TAG_LEN && len <= AEAD_LEN_MAX &&
				open_one(a->open, &key, &packets[i]);
	}
	forget(a->open);
}
