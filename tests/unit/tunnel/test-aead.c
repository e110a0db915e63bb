/*
 * aead, with each implementation that this machine can run: the ciphertext of RFC 8439 section 2.4.2 (its
 * nonce has WireGuard's form), known answers (aead-vectors.txt), libsodium as a second opinion, libcrypto
 * beside it over all lengths and mixtures, and every single bit flipped.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "aead-known.h"
#include "tunnel/aead.h"

static struct aead *aead, *libcrypto;

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

static void test_known_answers(void **state)
{
	for (size_t i = 0; aead_codes[i]; i++)
		if (strcmp(aead_codes[i]->name, aead_name(aead)) == 0)
			assert_int_equal(known_answers(aead_codes[i],
						 TEST_SOURCE_DIR "/unit/tunnel/aead-vectors.txt"),
				242);
}

enum { MIX = 20, MIX_SLOT = 2048 + AEAD_PAD_MAX + AEAD_TAG_LEN + 1, GUARD = 0xa5 };

struct mix {
	uint8_t key[AEAD_KEY_LEN];
	uint8_t text[MIX][MIX_SLOT], in[MIX][MIX_SLOT], ours[MIX][MIX_SLOT], theirs[MIX][MIX_SLOT];
	struct aead_packet packets[MIX];
	size_t n;
};

/* The packets that seal the text to @out: in place, or apart with the front of some in @out. */
static void aim(struct mix *m, uint8_t out[][MIX_SLOT], bool in_place)
{
	memset(out, GUARD, sizeof(m->ours));
	memset(m->in, GUARD, sizeof(m->in));
	for (size_t i = 0; i < m->n; i++) {
		struct aead_packet *p = &m->packets[i];
		size_t front = in_place ? p->len : p->front < p->len ? p->front : p->len;

		p->in = in_place ? out[i] : m->in[i];
		p->out = out[i];
		memcpy(out[i], m->text[i], front);
		memcpy(m->in[i] + front, m->text[i] + front, p->len - front);
	}
}

static void mix_up(struct mix *m, size_t first_len, bool equal)
{
	m->n = 1 + randombytes_uniform(MIX);
	randombytes_buf(m->key, sizeof(m->key));
	randombytes_buf(m->text, sizeof(m->text));
	for (size_t i = 0; i < m->n; i++) {
		size_t len = i == 0 || equal ? first_len : randombytes_uniform(2049);

		m->packets[i] = (struct aead_packet){ .len = len,
			.pad = randombytes_uniform(2) ? (size_t) -len % 16
						      : randombytes_uniform(16),
			.front = 64 * randombytes_uniform(5) };
		randombytes_buf(&m->packets[i].counter, sizeof(m->packets[i].counter));
	}
}

/* Opens what was sealed, with the @forged-th (if there is one) changed somewhere. */
static void open_mix(struct mix *m, bool in_place, size_t forged)
{
	for (size_t i = 0; i < m->n; i++) {
		struct aead_packet *p = &m->packets[i];

		p->len += p->pad + AEAD_TAG_LEN;
		p->in = m->ours[i];
		p->out = in_place ? m->ours[i] : m->in[i];
		p->ok = i == forged;
		if (i == forged)
			m->ours[i][randombytes_uniform((uint32_t) p->len)] ^=
				(uint8_t) (1u << randombytes_uniform(8));
	}
	memset(m->in, GUARD, sizeof(m->in));
	aead_open(aead, m->key, m->packets, m->n);
	for (size_t i = 0; i < m->n; i++) {
		const struct aead_packet *p = &m->packets[i];
		size_t len = p->len - p->pad - AEAD_TAG_LEN;

		assert_int_equal(p->ok, i != forged);
		if (!p->ok) { /* own code does not even decrypt it */
			for (size_t j = 0; !in_place && j < p->len; j++)
				assert_true(p->out[j] == GUARD ||
					    strcmp(aead_name(aead), "libcrypto") == 0);
			continue;
		}
		assert_memory_equal(p->out, m->text[i], len);
		for (size_t j = len; j < len + p->pad; j++)
			assert_int_equal(p->out[j], 0);
		if (!in_place)
			assert_int_equal(p->out[len + p->pad], GUARD);
	}
}

static void test_every_length(void **state)
{
	struct mix *m = malloc(sizeof(*m));

	assert_non_null(m);
	for (size_t len = 0; len <= 2048; len++) {
		bool in_place = len % 2, equal = len % 3 == 0;

		mix_up(m, len, equal);
		aim(m, m->theirs, in_place);
		assert_int_equal(aead_seal(libcrypto, m->key, m->packets, m->n), 0);
		aim(m, m->ours, in_place);
		assert_int_equal(aead_seal(aead, m->key, m->packets, m->n), 0);
		assert_memory_equal(m->ours, m->theirs, sizeof(m->ours));
		open_mix(m, randombytes_uniform(2), randombytes_uniform(2 * MIX));
	}
	free(m);
}

/* More packets than are worked on together, of the greatest length, beside empty ones. */
static void test_many(void **state)
{
	enum { N = 150 };
	uint8_t key[AEAD_KEY_LEN] = { 5 };
	uint8_t *slots = malloc(N * (65535 + AEAD_TAG_LEN)), *text = malloc(65535);
	struct aead_packet p[N], one;

	assert_true(slots && text);
	randombytes_buf(text, 65535);
	for (size_t i = 0; i < N; i++)
		p[i] = (struct aead_packet){ .counter = ~(uint64_t) i,
			.in = text,
			.out = slots + i * (65535 + AEAD_TAG_LEN),
			.len = i % 7 == 3   ? 0
			       : i % 5 == 1 ? 65535
					    : i };
	assert_int_equal(aead_seal(aead, key, p, N), 0);
	for (size_t i = 0; i < N; i++) {
		p[i].in = p[i].out;
		p[i].len += AEAD_TAG_LEN;
		if (i % 11 == 0) { /* each also by itself */
			one = p[i];
			one.out = text;
			aead_open(libcrypto, key, &one, 1);
			assert_true(one.ok);
			randombytes_buf(text, 65535);
		}
	}
	aead_open(aead, key, p, N);
	for (size_t i = 0; i < N; i++)
		assert_true(p[i].ok);
	free(slots);
	free(text);
}

static void test_refused(void **state)
{
	uint8_t key[AEAD_KEY_LEN] = { 0 }, data[64] = { 0 };
	struct aead_packet p = { .in = data, .out = data, .len = 1, .pad = 16 };

	assert_int_equal(aead_seal(aead, key, &p, 1), -EIO);
	p = (struct aead_packet){ .in = data, .out = data, .len = (size_t) 1 << 31 };
	assert_int_equal(aead_seal(aead, key, &p, 1), -EIO);
	p = (struct aead_packet){ .ok = true };
	aead_open(aead, key, &p, 1);
	assert_false(p.ok);
	aead_open(aead, key, NULL, 0);
	assert_int_equal(aead_seal(aead, key, NULL, 0), 0);
}

static void test_switch(void **state)
{
	struct aead *a;

	assert_int_equal(setenv("HEARTH_AEAD", "libcrypto", 1), 0);
	a = aead_new();
	assert_string_equal(aead_name(a), "libcrypto");
	a = aead_free(a);
	assert_int_equal(setenv("HEARTH_AEAD", "rot13", 1), 0);
	a = aead_new();
	assert_non_null(a);
	a = aead_free(a);
	assert_int_equal(unsetenv("HEARTH_AEAD"), 0);
	assert_null(aead_new_as("rot13"));
}

static bool is_supported(const char *name)
{
	for (size_t i = 0; aead_codes[i]; i++)
		if (strcmp(aead_codes[i]->name, name) == 0)
			return aead_codes[i]->supported();
	return strcmp(name, "libcrypto") == 0;
}

int main(void)
{
	static const char *const names[] = { "libcrypto", "avx2", "avx512", "neon" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8439),
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_libsodium),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_front_and_pad),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_switch),
	};
	int failed = 0;

	libcrypto = aead_new_as("libcrypto");
	if (!libcrypto || sodium_init() < 0)
		return 1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		aead = aead_new_as(names[i]);
		if (!aead) {
			failed += is_supported(names[i]); /* it must not be missing by a mistake */
			continue;
		}
		print_message("with %s\n", names[i]);
		failed += cmocka_run_group_tests_name(names[i], tests, NULL, NULL);
		aead = aead_free(aead);
	}
	libcrypto = aead_free(libcrypto);
	return failed != 0;
}
