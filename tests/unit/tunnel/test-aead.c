/*
 * aead: the ciphertext of RFC 8439 section 2.4.2 (its nonce has WireGuard's form), libsodium as a
 * second opinion on everything else, and every single bit flipped.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tunnel/aead.h"

static struct aead *aead;

static int setup(void **state)
{
	aead = aead_new();
	return aead && sodium_init() >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	aead = aead_free(aead);
	return 0;
}

static void test_rfc8439(void **state)
{
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				   "only one tip for the future, sunscreen would be it.";
	static const uint8_t sealed[] = { 0x6e, 0x2e, 0x35, 0x9a, 0x25, 0x68, 0xf9, 0x80, 0x41,
		0xba, 0x07, 0x28, 0xdd, 0x0d, 0x69, 0x81, 0xe9, 0x7e, 0x7a, 0xec, 0x1d, 0x43, 0x60,
		0xc2, 0x0a, 0x27, 0xaf, 0xcc, 0xfd, 0x9f, 0xae, 0x0b, 0xf9, 0x1b, 0x65, 0xc5, 0x52,
		0x47, 0x33, 0xab, 0x8f, 0x59, 0x3d, 0xab, 0xcd, 0x62, 0xb3, 0x57, 0x16, 0x39, 0xd6,
		0x24, 0xe6, 0x51, 0x52, 0xab, 0x8f, 0x53, 0x0c, 0x35, 0x9f, 0x08, 0x61, 0xd8, 0x07,
		0xca, 0x0d, 0xbf, 0x50, 0x0d, 0x6a, 0x61, 0x56, 0xa3, 0x8e, 0x08, 0x8a, 0x22, 0xb6,
		0x5e, 0x52, 0xbc, 0x51, 0x4d, 0x16, 0xcc, 0xf8, 0x06, 0x81, 0x8c, 0xe9, 0x1a, 0xb7,
		0x79, 0x37, 0x36, 0x5a, 0xf9, 0x0b, 0xbf, 0x74, 0xa3, 0x5b, 0xe6, 0xb4, 0x0b, 0x8e,
		0xed, 0xf2, 0x78, 0x5e, 0x42, 0x87, 0x4d };
	uint8_t key[AEAD_KEY_LEN], data[sizeof(sealed) + AEAD_TAG_LEN];
	/* nonce 00000000 0000004a 00000000: the counter, little endian, is 0x4a000000 */
	struct aead_packet p = {
		.counter = 0x4a000000, .in = data, .out = data, .len = sizeof(sealed)
	};

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t) i;
	memcpy(data, text, sizeof(sealed));
	assert_int_equal(aead_seal(aead, key, &p, 1), 0);
	assert_memory_equal(data, sealed, sizeof(sealed));
	p.len += AEAD_TAG_LEN;
	aead_open(aead, key, &p, 1);
	assert_true(p.ok);
	assert_memory_equal(data, text, sizeof(sealed));
}

static void nonce_of(uint64_t counter, uint8_t nonce[static 12])
{
	memset(nonce, 0, 4);
	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t) (counter >> 8 * i);
}

static void test_libsodium(void **state)
{
	static const size_t lens[] = { 0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1279, 1280, 1420,
		9000, 65535 };
	uint8_t keys[2][AEAD_KEY_LEN];

	randombytes_buf(keys, sizeof(keys));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i];
		uint8_t *text = malloc(len + 1), *mine = malloc(len + AEAD_TAG_LEN),
			*theirs = malloc(len + AEAD_TAG_LEN), nonce[12];
		uint64_t counter = i == 0 ? UINT64_MAX : (uint64_t) randombytes_random() << 20;
		struct aead_packet p = { .counter = counter, .in = mine, .out = mine, .len = len };

		assert_true(text && mine && theirs);
		randombytes_buf(text, len + 1);
		memcpy(mine, text, len);
		nonce_of(counter, nonce);
		crypto_aead_chacha20poly1305_ietf_encrypt(
			theirs, NULL, text, len, NULL, 0, NULL, nonce, keys[i % 2]);
		assert_int_equal(aead_seal(aead, keys[i % 2], &p, 1), 0);
		assert_memory_equal(mine, theirs, len + AEAD_TAG_LEN);
		p.len = len + AEAD_TAG_LEN;
		aead_open(aead, keys[i % 2], &p, 1);
		assert_true(p.ok);
		assert_memory_equal(mine, text, len);
		free(text);
		free(mine);
		free(theirs);
	}
}

/* A batch with good and bad ones: each is judged by itself, whatever went before. */
static void test_batch(void **state)
{
	enum { N = 32, LEN = 100 };
	uint8_t key[AEAD_KEY_LEN], data[N][LEN + AEAD_TAG_LEN], text[N][LEN];
	struct aead_packet p[N];

	randombytes_buf(key, sizeof(key));
	randombytes_buf(text, sizeof(text));
	for (size_t i = 0; i < N; i++) {
		memcpy(data[i], text[i], LEN);
		p[i] = (struct aead_packet){
			.counter = i, .in = data[i], .out = data[i], .len = LEN
		};
	}
	assert_int_equal(aead_seal(aead, key, p, N), 0);
	for (size_t i = 0; i < N; i++) {
		p[i].len = LEN + AEAD_TAG_LEN;
		if (i % 5 == 1)
			data[i][i] ^= 1;
		if (i % 5 == 2)
			p[i].counter ^= 1;
		if (i % 5 == 3)
			p[i].len = i % 2 ? 0 : AEAD_TAG_LEN - 1;
	}
	aead_open(aead, key, p, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(p[i].ok, i % 5 == 0 || i % 5 == 4);
		if (p[i].ok)
			assert_memory_equal(data[i], text[i], LEN);
	}
}

/* Apart or in place, with the front rebuilt, with padding: the same bytes as all of it in place. */
static void test_front_and_pad(void **state)
{
	static const struct {
		size_t len, front, pad;
	} cases[] = { { 0, 0, 0 }, { 0, 64, 5 }, { 1, 0, 15 }, { 1, 64, 15 }, { 40, 0, 8 },
		{ 40, 40, 8 }, { 40, 192, 8 }, { 64, 64, 0 }, { 65, 64, 15 }, { 1280, 128, 0 },
		{ 1279, 192, 1 }, { 1420, 64, 0 }, { 1420, 1408, 4 } };
	uint8_t key[AEAD_KEY_LEN], text[1500], in[1500], out[1500], want[1500];

	randombytes_buf(key, sizeof(key));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].len, pad = cases[i].pad, front = cases[i].front,
		       all = len + pad;
		struct aead_packet p = { .counter = i, .in = want, .out = want, .len = all };

		randombytes_buf(text, sizeof(text));
		memset(text + len, 0, pad);
		memcpy(want, text, all);
		assert_int_equal(aead_seal(aead, key, &p, 1), 0);
		for (int apart = 0; apart < 2; apart++) {
			p = (struct aead_packet){ .counter = i,
				.in = apart ? in : out,
				.out = out,
				.front = front,
				.len = len,
				.pad = pad };
			memset(out, 0xaa, sizeof(out));
			memset(in, 0xaa, sizeof(in));
			memcpy(out, text, apart && front < len ? front : len);
			if (apart && front < len)
				memcpy(in + front, text + front, len - front);
			assert_int_equal(aead_seal(aead, key, &p, 1), 0);
			assert_memory_equal(out, want, all + AEAD_TAG_LEN);
			assert_int_equal(out[all + AEAD_TAG_LEN], 0xaa);
		}
		p = (struct aead_packet){
			.counter = i, .in = want, .out = in, .len = all + AEAD_TAG_LEN
		};
		memset(in, 0xaa, sizeof(in));
		aead_open(aead, key, &p, 1);
		assert_true(p.ok);
		assert_memory_equal(in, text, all);
		assert_int_equal(in[all], 0xaa);
	}
}

static void test_every_bit(void **state)
{
	uint8_t key[AEAD_KEY_LEN] = { 1 }, sealed[33 + AEAD_TAG_LEN] = { 0 }, data[sizeof(sealed)];
	struct aead_packet p = { .counter = 7, .in = sealed, .out = sealed, .len = 33 };

	assert_int_equal(aead_seal(aead, key, &p, 1), 0);
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		memcpy(data, sealed, sizeof(data));
		data[bit / 8] ^= (uint8_t) (1u << bit % 8);
		p = (struct aead_packet){
			.counter = 7, .in = data, .out = data, .len = sizeof(data)
		};
		aead_open(aead, key, &p, 1);
		assert_false(p.ok);
	}
	p = (struct aead_packet){
		.counter = 7, .in = sealed, .out = sealed, .len = sizeof(sealed)
	};
	aead_open(aead, key, &p, 1);
	assert_true(p.ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8439),
		cmocka_unit_test(test_libsodium),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_front_and_pad),
		cmocka_unit_test(test_every_bit),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
