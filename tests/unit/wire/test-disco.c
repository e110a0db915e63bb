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
	static const int types[] = { 0, 3, 4, 255 };
	uint8_t data[DISCO_MIN_LEN];
	struct disco got;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct disco in = { .type = (enum disco_type) types[i] };

		disco_seal(disco_key, hint_a, nonce_a, &in, sizeof(data), data);
		assert_int_equal(disco_open(disco_key, data, sizeof(data), &got), -ENOMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_bad_points),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_unknown_type),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
