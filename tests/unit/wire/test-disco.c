/* The key of a pair, and disco's datagrams: what is sealed is what the document says, and nothing else opens. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "disco-vectors.h"
#include "wire/disco.h"
#include "wire/wg.h"

static void test_pair(void **state)
{
	struct pair_self a, b;
	uint8_t key[PAIR_KEY_LEN], other[PAIR_KEY_LEN];

	pair_self_init(&a, seed_a);
	pair_self_init(&b, seed_b);
	assert_memory_equal(a.identity, identity_a, PAIR_KEY_LEN);
	assert_memory_equal(b.identity, identity_b, PAIR_KEY_LEN);
	assert_int_equal(pair_key(&a, identity_b, PAIR_LABEL_DISCO, key), 0);
	assert_memory_equal(key, disco_key, PAIR_KEY_LEN);
	assert_int_equal(pair_key(&b, identity_a, PAIR_LABEL_DISCO, other), 0);
	assert_memory_equal(key, other, PAIR_KEY_LEN);
	assert_int_equal(pair_key(&b, identity_a, "hearth-disco2\0\0", other), 0);
	assert_memory_not_equal(key, other, PAIR_KEY_LEN);
	pair_self_done(&a);
	assert_true(sodium_is_zero((const uint8_t *) &a, sizeof(a)));
}

/* Points of low order, one that is none, one that is written in two ways, and one outside the group. */
static void test_bad_points(void **state)
{
	static const uint8_t zero[PAIR_KEY_LEN];
	uint8_t bad[PAIR_KEY_LEN], key[PAIR_KEY_LEN];
	struct pair_self a;
	unsigned refused = 0;

	pair_self_init(&a, seed_a);
	for (int first = 0; first < 256;
		first++) { /* half of them are no point, one in eight of the rest is in the group */
		memset(bad, 0, sizeof(bad));
		bad[0] = (uint8_t) first;
		memset(key, 0xee, sizeof(key));
		if (pair_key(&a, bad, PAIR_LABEL_DISCO, key) == 0)
			continue;
		refused++;
		assert_memory_equal(key, zero, sizeof(key));
	}
	assert_in_range(refused, 200, 255);
	assert_int_equal(pair_key(&a, zero, PAIR_LABEL_DISCO, key), -EBADMSG);
	memset(bad, 0, sizeof(bad));
	bad[0] = 1;
	assert_int_equal(pair_key(&a, bad, PAIR_LABEL_DISCO, key), -EBADMSG);
	memset(bad, 0xff, sizeof(bad));
	assert_int_equal(pair_key(&a, bad, PAIR_LABEL_DISCO, key), -EBADMSG);
}

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint e = { 0 };

	if (*text)
		assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static void test_vector(void **state)
{
	struct disco pong = { .type = DISCO_PONG,
		.run = 0x0102030405060708,
		.tx = 0xf1f2f3f4f5f6f7f8,
		.seen = endpoint_of("192.0.2.7:41741") };
	uint8_t data[DISCO_MAX_LEN], hint[DISCO_HINT_LEN];
	const uint8_t *found;
	struct disco got;

	disco_hint(disco_key, identity_a, hint);
	assert_memory_equal(hint, hint_a, DISCO_HINT_LEN);
	disco_seal(disco_key, hint, nonce_a, &pong, sizeof(pong_a), data);
	assert_memory_equal(data, pong_a, sizeof(pong_a));
	assert_true(disco_looks(pong_a, sizeof(pong_a), &found));
	assert_memory_equal(found, hint_a, DISCO_HINT_LEN);
	assert_int_equal(disco_open(disco_key, pong_a, sizeof(pong_a), &got), 0);
	assert_int_equal(got.type, DISCO_PONG);
	assert_true(got.run == pong.run && got.tx == pong.tx);
	assert_true(endpoint_equal(&got.seen, &pong.seen));
}

static void test_round_trip(void **state)
{
	static const char *const seen[] = { "", "192.0.2.7:1", "255.255.255.255:65535",
		"[2001:db8::1]:41741", "[fd12:3456:789a::1]:2" };
	static const size_t lens[] = { DISCO_MIN_LEN, DISCO_MIN_LEN + 1, 1280, DISCO_MAX_LEN };
	uint8_t data[DISCO_MAX_LEN];

	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			struct disco in = { .type = i ? DISCO_PONG : DISCO_PING,
				.run = UINT64_MAX - i,
				.tx = k,
				.seen = endpoint_of(seen[i]) };
			struct disco out;

			disco_seal(disco_key, hint_a, nonce_a, &in, lens[k], data);
			assert_false(wg_begins(data, lens[k]));
			assert_int_equal(disco_open(disco_key, data, lens[k], &out), 0);
			assert_int_equal(out.type, in.type);
			assert_true(out.run == in.run && out.tx == in.tx);
			if (i)
				assert_true(endpoint_equal(&out.seen, &in.seen));
		}
}

static const struct disco a_call = { .type = DISCO_CALL,
	.run = 0x0102030405060708,
	.tx = 0xf1f2f3f4f5f6f7f8,
	.seen = { { AF_INET, { 192, 0, 2, 7 } }, .port = 40001 },
	.mapping = DISCO_MAPPING_COUNTING,
	.step = -2,
	.list = { { { AF_INET, { 192, 168, 1, 5 } }, .port = 41741 },
		{ { AF_INET6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } }, .port = 41742 } },
	.n = 2 };

static void assert_same_call(const struct disco *a, const struct disco *b)
{
	assert_int_equal(a->type, b->type);
	assert_true(a->run == b->run && a->tx == b->tx);
	assert_true(endpoint_equal(&a->seen, &b->seen));
	assert_int_equal(a->mapping, b->mapping);
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->guess, b->guess);
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_true(endpoint_equal(&a->list[i], &b->list[i]));
}

static void test_call_vector(void **state)
{
	uint8_t data[DISCO_CALL_LEN_MAX];
	struct disco got;

	assert_int_equal(disco_len(&a_call), sizeof(call_a));
	disco_seal(disco_key, hint_a, nonce_a, &a_call, sizeof(call_a), data);
	assert_memory_equal(data, call_a, sizeof(call_a));
	assert_int_equal(disco_open(disco_key, call_a, sizeof(call_a), &got), 0);
	assert_same_call(&got, &a_call);
}

/* None to as many as there may be, with padding and without; and what is not known. */
static void test_calls(void **state)
{
	uint8_t data[DISCO_MAX_LEN];

	for (size_t n = 0; n <= DISCO_CALL_MAX; n++) {
		struct disco in = { .type = DISCO_CALL,
			.step = (int16_t) (n ? INT16_MAX : INT16_MIN),
			.mapping = n % 4,
			.guess = n % 3 == 1,
			.n = n };
		struct disco out;

		for (size_t i = 0; i < n; i++) {
			in.list[i] = endpoint_of("198.51.100.1:1");
			in.list[i].addr.bytes[3] = (uint8_t) i;
		}
		disco_seal(disco_key, hint_a, nonce_a, &in, disco_len(&in), data);
		assert_int_equal(disco_open(disco_key, data, disco_len(&in), &out), 0);
		assert_same_call(&out, &in);
		disco_seal(disco_key, hint_a, nonce_a, &in, DISCO_MAX_LEN, data);
		assert_int_equal(disco_open(disco_key, data, DISCO_MAX_LEN, &out), 0);
		assert_same_call(&out, &in);
	}
}

/* As a board of the mesh might send them that means ill, or is of a later version. */
static void test_bad_calls(void **state)
{
	static const struct {
		uint8_t n, mapping;
		size_t room; /* for so many */
		int r;
	} cases[] = { { 2, 0, 1, -EBADMSG }, { 1, 0, 0, -EBADMSG }, { 33, 0, 40, -EBADMSG },
		{ 255, 0, 300, -EBADMSG }, { 2, 0, 2, 0 }, { 0, 77, 0, 0 } };
	uint8_t body[DISCO_MAX_LEN], data[DISCO_MAX_LEN];
	struct disco got;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = DISCO_BODY_LEN + cases[i].room * DISCO_CALL_ENTRY_LEN;

		memset(body, 0, sizeof(body));
		body[0] = DISCO_CALL;
		body[1] = cases[i].mapping;
		body[6] = cases[i].n;
		memcpy(data, call_a, DISCO_HEAD_LEN);
		(void) crypto_aead_xchacha20poly1305_ietf_encrypt(data + DISCO_HEAD_LEN, NULL, body,
			len, data, 12, NULL, data + 12, disco_key);
		assert_int_equal(
			disco_open(disco_key, data, DISCO_HEAD_LEN + len + DISCO_TAG_LEN, &got),
			cases[i].r);
		if (cases[i].r == 0)
			assert_int_equal(got.mapping, DISCO_MAPPING_UNKNOWN);
	}
}

/* One bit is another, it is cut or longer, or the key is another: nothing of it is believed. */
static void test_spoilt(void **state)
{
	uint8_t data[sizeof(pong_a) + 1], key[PAIR_KEY_LEN];
	struct disco got;

	memcpy(data, pong_a, sizeof(pong_a));
	for (size_t bit = 0; bit < 8 * sizeof(pong_a); bit++) {
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_int_equal(disco_open(disco_key, data, sizeof(pong_a), &got), -EBADMSG);
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (size_t len = 0; len < sizeof(pong_a); len++)
		assert_int_equal(disco_open(disco_key, data, len, &got), -EBADMSG);
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *hint;

		data[i] ^= 1;
		assert_false(disco_looks(data, sizeof(pong_a), &hint));
		data[i] ^= 1;
	}
	data[sizeof(pong_a)] = 0;
	assert_int_equal(disco_open(disco_key, data, sizeof(pong_a) + 1, &got), -EBADMSG);
	memcpy(key, disco_key, sizeof(key));
	key[31] ^= 1;
	assert_int_equal(disco_open(key, pong_a, sizeof(pong_a), &got), -EBADMSG);
	assert_int_equal(disco_open(disco_key, pong_a, sizeof(pong_a), &got), 0);
}

/* Of a later version: authentic, and not understood. */
static void test_unknown_type(void **state)
{
	static const int types[] = { 0, 4, 5, 255 };
	uint8_t data[DISCO_MIN_LEN];
	struct disco got;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct disco in = { .type = (enum disco_type) types[i] };

		disco_seal(disco_key, hint_a, nonce_a, &in, sizeof(data), data);
		assert_int_equal(disco_open(disco_key, data, sizeof(data), &got), -ENOMSG);
	}
}

/* Longer than it has to be, and no longer than any. */
static void test_padded(void **state)
{
	static const size_t lengths[] = { DISCO_MIN_LEN, DISCO_MIN_LEN + 1, 1452, DISCO_MAX_LEN };
	struct disco in = { .type = DISCO_PING };
	uint8_t data[DISCO_MAX_LEN + 1] = { 0 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		disco_seal(disco_key, hint_a, nonce_a, &in, lengths[i], data);
		assert_int_equal(disco_is_padded(data, lengths[i]), i > 0);
	}
	assert_false(disco_is_padded(data, DISCO_MAX_LEN + 1));
	assert_false(disco_is_padded(data, 3));
	data[0] = 4; /* a packet of WireGuard's */
	assert_false(disco_is_padded(data, 1452));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_bad_points),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_call_vector),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_bad_calls),
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_unknown_type),
		cmocka_unit_test(test_padded),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
