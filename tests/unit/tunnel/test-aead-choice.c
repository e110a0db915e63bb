/*
 * aead: which implementation is chosen, with others in their places that are right or wrong in one way:
 * a wrong one is never used, whatever the environment asks for. And libcrypto keeps no key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "tunnel/aead-code.h"
#include "tunnel/aead-libcrypto.h"

static enum {
	RIGHT,
	UNSUPPORTED,
	SEALS_WRONG,
	SEALS_TOO_FAR,
	OPENS_FORGED,
	OPENS_NOTHING,
	OPENS_WRONG
} fault;

static struct aead_libcrypto *libcrypto;

static bool supported(void)
{
	return fault != UNSUPPORTED;
}

static void fake_seal(const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head,
	struct aead_packet *packets, size_t n)
{
	const struct aead_packet *last = &packets[n - 1];

	assert_int_equal(aead_libcrypto_seal(libcrypto, key, packets, n), 0);
	last->out[last->len + last->pad] ^= fault == SEALS_WRONG;
	last->out[last->len + last->pad + AEAD_TAG_LEN] ^= fault == SEALS_TOO_FAR;
}

static void fake_open(const uint8_t key[static AEAD_KEY_LEN], uint32_t nonce_head,
	struct aead_packet *packets, size_t n)
{
	aead_libcrypto_open(libcrypto, key, packets, n);
	for (size_t i = 0; i < n; i++)
		packets[i].ok = fault == OPENS_FORGED || (packets[i].ok && fault != OPENS_NOTHING);
	packets[0].out[0] ^= fault == OPENS_WRONG;
}

#if defined(__x86_64__)
const struct aead_code aead_avx512 = { "avx512", supported, fake_seal, fake_open, NULL };
const struct aead_code aead_avx2 = { "avx2", supported, fake_seal, fake_open, NULL };
#elif defined(__aarch64__)
const struct aead_code aead_neon = { "neon", supported, fake_seal, fake_open, NULL };
#endif

/* Empty: that one is not to be had. */
static void assert_chosen(const char *name, const char *want)
{
	struct aead *a = aead_new_as(name);

	assert_string_equal(a ? aead_name(a) : "", want);
	(void) aead_free(a);
}

static void test_choice(void **state)
{
	const char *first = aead_codes[0] ? aead_codes[0]->name : "libcrypto";

	fault = RIGHT;
	assert_chosen(NULL, first);
	assert_chosen(first, first);
	assert_chosen("libcrypto", "libcrypto");
	for (fault = UNSUPPORTED; fault <= OPENS_WRONG; fault++) {
		struct aead *a;

		assert_chosen(NULL, "libcrypto");
		if (!aead_codes[0])
			continue;
		assert_chosen(first, "");
		assert_int_equal(setenv("HEARTH_AEAD", first, 1), 0);
		a = aead_new();
		assert_string_equal(aead_name(a), "libcrypto");
		(void) aead_free(a);
		assert_int_equal(unsetenv("HEARTH_AEAD"), 0);
	}
}

/* All that libcrypto has allocated; each block begins with its place in this list. */
enum { BLOCKS = 65536, HEAD = 16 };

static uint8_t *blocks[BLOCKS];
static size_t lens[BLOCKS], n_blocks;

static void *block_new(size_t len, const char *file, int line)
{
	uint8_t *p = n_blocks < BLOCKS ? calloc(1, HEAD + len) : NULL;

	if (!p)
		return NULL;
	memcpy(p, &n_blocks, sizeof(n_blocks));
	blocks[n_blocks] = p;
	lens[n_blocks++] = HEAD + len;
	return p + HEAD;
}

static void block_free(void *p, const char *file, int line)
{
	size_t i;

	if (!p)
		return;
	memcpy(&i, (uint8_t *) p - HEAD, sizeof(i));
	blocks[i] = NULL;
	free((uint8_t *) p - HEAD);
}

static void *block_resize(void *p, size_t len, const char *file, int line)
{
	void *fresh = block_new(len, file, line);
	size_t i;

	if (!p || !fresh)
		return fresh;
	memcpy(&i, (uint8_t *) p - HEAD, sizeof(i));
	memcpy(fresh, p, lens[i] - HEAD < len ? lens[i] - HEAD : len);
	block_free(p, file, line);
	return fresh;
}

static size_t copies_of(const uint8_t *key)
{
	size_t found = 0;

	for (size_t i = 0; i < n_blocks; i++)
		found += blocks[i] && memmem(blocks[i], lens[i], key, AEAD_KEY_LEN);
	return found;
}

/* A session's key is gone with the session, not when another one comes. */
static void test_no_key_stays(void **state)
{
	uint8_t key[AEAD_KEY_LEN], data[100 + AEAD_TAG_LEN] = { 0 };
	struct aead_packet p[2] = { { .in = data, .out = data, .len = 5 },
		{ .in = data, .out = data, .len = 100 } };
	uint8_t *seen = OPENSSL_malloc(sizeof(key));

	assert_non_null(seen);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t) (7 * i + 1);
	memcpy(seen, key, sizeof(key));
	assert_int_equal(copies_of(key), 1); /* it would be found */
	OPENSSL_cleanse(seen, sizeof(key));
	OPENSSL_free(seen);
	assert_int_equal(aead_libcrypto_seal(libcrypto, key, p + 1, 1), 0);
	assert_int_equal(copies_of(key), 0);
	p[1].len += AEAD_TAG_LEN;
	aead_libcrypto_open(libcrypto, key, p, 2);
	assert_false(p[0].ok);
	assert_true(p[1].ok);
	assert_int_equal(copies_of(key), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_no_key_stays),
	};
	int failed;

	if (CRYPTO_set_mem_functions(block_new, block_resize, block_free) != 1)
		return 1;
	libcrypto = aead_libcrypto_new();
	if (!libcrypto)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	libcrypto = aead_libcrypto_free(libcrypto);
	return failed;
}
