/* The key of a member and a relay, and the relay's datagrams: what is made is what the document says, and nothing else is taken for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "udprelay-vectors.h"
#include "wire/disco.h"
#include "wire/udprelay.h"
#include "wire/wg.h"

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static void test_key(void **state)
{
	struct pair_self member;
	uint8_t key[PAIR_KEY_LEN], other[PAIR_KEY_LEN], public[PAIR_KEY_LEN];

	pair_self_init(&member, member_seed);
	assert_memory_equal(member.identity, member_identity, PAIR_KEY_LEN);
	(void) crypto_scalarmult_base(public, relay_secret);
	assert_memory_equal(public, relay_public, PAIR_KEY_LEN);
	assert_int_equal(pair_relay_key(&member, relay_public, key), 0);
	assert_memory_equal(key, relay_key, PAIR_KEY_LEN);
	assert_int_equal(pair_member_key(relay_secret, relay_public, member_identity, other), 0);
	assert_memory_equal(other, relay_key, PAIR_KEY_LEN);
	pair_self_done(&member);
}

/* The points of X25519 that multiply to nothing, and those of Ed25519 that are none or outside the group. */
static void test_bad_points(void **state)
{
	static const char *const low[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	static const uint8_t zero[PAIR_KEY_LEN];
	uint8_t point[PAIR_KEY_LEN], key[PAIR_KEY_LEN];
	struct pair_self member;
	unsigned refused = 0;

	pair_self_init(&member, member_seed);
	for (size_t i = 0; i < ARRAY_LEN(low); i++) {
		assert_int_equal(
			sodium_hex2bin(point, sizeof(point), low[i], 64, NULL, NULL, NULL), 0);
		memset(key, 0xee, sizeof(key));
		assert_int_equal(pair_relay_key(&member, point, key), -EBADMSG);
		assert_memory_equal(key, zero, sizeof(key));
	}
	for (int first = 0; first < 256; first++) {
		memset(point, 0, sizeof(point));
		point[0] = (uint8_t) first;
		memset(key, 0xee, sizeof(key));
		if (pair_member_key(relay_secret, relay_public, point, key) == 0)
			continue;
		refused++;
		assert_memory_equal(key, zero, sizeof(key));
	}
	assert_in_range(refused, 200, 255);
	assert_int_equal(pair_member_key(relay_secret, relay_public, zero, key), -EBADMSG);
}

static void test_hints(void **state)
{
	uint8_t hint[UDPRELAY_HINT_LEN];

	udprelay_hint(relay_key, member_identity, hint);
	assert_memory_equal(hint, member_hint, sizeof(hint));
	udprelay_hint(relay_key, relay_public, hint);
	assert_memory_equal(hint, relay_hint, sizeof(hint));
}

static void test_bind(void **state)
{
	struct udprelay_bind bind = { .tx = 0x0102030405060708, .node = 70000 };
	uint8_t data[UDPRELAY_BIND_LEN];
	struct udprelay_bind_head head = udprelay_bind_head(bind_vector);
	struct udprelay_bind got;

	assert_int_equal(sizeof(bind_vector), UDPRELAY_BIND_LEN);
	udprelay_bind_seal(relay_key, member_hint, bind_cookie, bind_nonce, &bind, data);
	assert_memory_equal(data, bind_vector, sizeof(bind_vector));
	assert_memory_equal(head.hint, member_hint, UDPRELAY_HINT_LEN);
	assert_memory_equal(head.cookie, bind_cookie, UDPRELAY_COOKIE_LEN);
	assert_memory_equal(head.nonce, bind_nonce, UDPRELAY_NONCE_LEN);
	assert_int_equal(udprelay_bind_open(relay_key, data, sizeof(data), &got), 0);
	assert_true(got.tx == bind.tx && got.node == bind.node);
}

static void test_bound(void **state)
{
	struct udprelay_bound bound = { .tx = 0x0102030405060708,
		.session = 0xf1f2f3f4,
		.lifetime_s = 60,
		.seen = endpoint_of("192.0.2.7:41741") };
	uint8_t data[UDPRELAY_BOUND_LEN];
	struct udprelay_bound got;

	assert_int_equal(sizeof(bound_vector), UDPRELAY_BOUND_LEN);
	memcpy(bound.cookie, bind_cookie, sizeof(bound.cookie));
	udprelay_bound_seal(relay_key, relay_hint, bind_nonce, &bound, data);
	assert_memory_equal(data, bound_vector, sizeof(bound_vector));
	assert_int_equal(udprelay_bound_open(relay_key, data, sizeof(data), &got), 0);
	assert_true(got.tx == bound.tx && got.session == bound.session);
	assert_int_equal(got.lifetime_s, 60);
	assert_true(endpoint_equal(&got.seen, &bound.seen));
	assert_memory_equal(got.cookie, bind_cookie, sizeof(bind_cookie));
	bound.seen = endpoint_of("[2001:db8::1]:3");
	udprelay_bound_seal(relay_key, relay_hint, bind_nonce, &bound, data);
	assert_int_equal(udprelay_bound_open(relay_key, data, sizeof(data), &got), 0);
	assert_true(endpoint_equal(&got.seen, &bound.seen));
}

/* A relay that is wrong in the head. The codec makes none such, so it is sealed here. */
static void test_bound_without_session(void **state)
{
	uint8_t data[UDPRELAY_BOUND_LEN], body[56] = { 0 };
	struct udprelay_bound got;

	memcpy(data, bound_vector, 36);
	for (int session = 0; session < 2; session++) {
		body[11] = (uint8_t) session;
		(void) crypto_aead_xchacha20poly1305_ietf_encrypt(
			data + 36, NULL, body, sizeof(body), data, 12, NULL, data + 12, relay_key);
		assert_int_equal(udprelay_bound_open(relay_key, data, sizeof(data), &got),
			session ? 0 : -EBADMSG);
	}
}

/* One bit is another, it is cut or longer, or the key is another: nothing of it is believed. */
static void test_spoilt(void **state)
{
	uint8_t bind[UDPRELAY_BIND_LEN + 1] = { 0 }, bound[UDPRELAY_BOUND_LEN + 1] = { 0 };
	uint8_t key[PAIR_KEY_LEN];
	struct udprelay_bind got;
	struct udprelay_bound answer;

	memcpy(bind, bind_vector, UDPRELAY_BIND_LEN);
	memcpy(bound, bound_vector, UDPRELAY_BOUND_LEN);
	for (size_t bit = 0; bit < 8 * UDPRELAY_BIND_LEN; bit++) {
		bind[bit / 8] ^= (uint8_t) (1 << bit % 8);
		bound[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_int_equal(
			udprelay_bind_open(relay_key, bind, UDPRELAY_BIND_LEN, &got), -EBADMSG);
		assert_int_equal(udprelay_bound_open(relay_key, bound, UDPRELAY_BOUND_LEN, &answer),
			-EBADMSG);
		bind[bit / 8] ^= (uint8_t) (1 << bit % 8);
		bound[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (size_t len = 0; len <= UDPRELAY_BIND_LEN + 1; len++) {
		int want = len == UDPRELAY_BIND_LEN ? 0 : -EBADMSG;

		assert_int_equal(udprelay_bind_open(relay_key, bind, len, &got), want);
		assert_int_equal(udprelay_bound_open(relay_key, bound, len, &answer), want);
	}
	assert_int_equal(udprelay_bind_open(relay_key, bound, UDPRELAY_BIND_LEN, &got), -EBADMSG);
	assert_int_equal(
		udprelay_bound_open(relay_key, bind, UDPRELAY_BOUND_LEN, &answer), -EBADMSG);
	memcpy(key, relay_key, sizeof(key));
	key[0] ^= 1;
	assert_int_equal(udprelay_bind_open(key, bind, UDPRELAY_BIND_LEN, &got), -EBADMSG);
	assert_int_equal(udprelay_bound_open(key, bound, UDPRELAY_BOUND_LEN, &answer), -EBADMSG);
}

static void test_plain(void **state)
{
	static const uint8_t cookie_wire[UDPRELAY_COOKIE_MSG_LEN] = { 0xf1, 'H', 1, 2, 1, 2, 3, 4,
		5, 6, 7, 8, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
	static const uint8_t data_wire[] = { 0xf1, 'H', 1, 4, 0xf1, 0xf2, 0xf3, 0xf4, 0, 1, 2, 3,
		0xaa };
	static const uint8_t unknown_wire[] = { 0xf1, 'H', 1, 5, 0xf1, 0xf2, 0xf3, 0xf4 };
	static const uint8_t absent_wire[] = { 0xf1, 'H', 1, 6, 0xf1, 0xf2, 0xf3, 0xf4, 0, 1, 2,
		3 };
	struct udprelay_cookie cookie;
	uint8_t data[UDPRELAY_REPLY_MAX];
	uint32_t session = 0, node = 0;

	assert_int_equal(udprelay_cookie_parse(cookie_wire, sizeof(cookie_wire), &cookie), 0);
	assert_memory_equal(cookie.echo, cookie_wire + 4, sizeof(cookie.echo));
	assert_memory_equal(cookie.cookie, bind_cookie, sizeof(bind_cookie));
	udprelay_cookie_format(&cookie, data);
	assert_memory_equal(data, cookie_wire, sizeof(cookie_wire));
	assert_true(udprelay_data_parse(data_wire, sizeof(data_wire), &session, &node));
	assert_true(session == 0xf1f2f3f4 && node == 0x010203);
	udprelay_data_head(data, session, node);
	assert_memory_equal(data, data_wire, UDPRELAY_DATA_HEAD_LEN);
	session = node = 0;
	assert_int_equal(udprelay_unknown_parse(unknown_wire, sizeof(unknown_wire), &session), 0);
	assert_true(session == 0xf1f2f3f4);
	udprelay_unknown_format(session, data);
	assert_memory_equal(data, unknown_wire, sizeof(unknown_wire));
	session = 0;
	assert_int_equal(
		udprelay_absent_parse(absent_wire, sizeof(absent_wire), &session, &node), 0);
	assert_true(session == 0xf1f2f3f4 && node == 0x010203);
	udprelay_absent_format(session, node, data);
	assert_memory_equal(data, absent_wire, sizeof(absent_wire));
}

/* Each type has its length (DATA: a range), and a datagram is of one type or of none. */
static void test_types(void **state)
{
	static const struct {
		uint8_t type;
		size_t min, max;
	} cases[] = {
		{ 0, 1, 0 },
		{ UDPRELAY_BIND, 108, 108 },
		{ UDPRELAY_COOKIE, 28, 28 },
		{ UDPRELAY_BOUND, 108, 108 },
		{ UDPRELAY_DATA, 13, 9212 },
		{ UDPRELAY_UNKNOWN, 8, 8 },
		{ UDPRELAY_ABSENT, 12, 12 },
		{ 7, 1, 0 },
		{ 255, 1, 0 },
	};
	uint8_t data[9300] = { 0xf1, 'H', 1 };
	const uint8_t *hint;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t len = 0; len < sizeof(data); len++) {
			bool fits = len >= cases[i].min && len <= cases[i].max;

			data[3] = cases[i].type;
			assert_int_equal(udprelay_type(data, len), fits ? cases[i].type : 0);
			assert_false(wg_begins(data, len));
			assert_false(disco_looks(data, len, &hint));
		}
	data[3] = UDPRELAY_DATA;
	for (size_t i = 0; i < 3; i++) {
		data[i] ^= 1;
		assert_int_equal(udprelay_type(data, 100), UDPRELAY_NONE);
		data[i] ^= 1;
	}
}

/* None is taken for another, and what is refused writes nothing. */
static void test_wrong_parser(void **state)
{
	static const size_t lens[] = { 0, 108, 28, 108, 13, 8, 12 };
	uint8_t data[UDPRELAY_REPLY_MAX] = { 0xf1, 'H', 1 };
	struct udprelay_cookie cookie;

	for (uint8_t type = UDPRELAY_BIND; type <= UDPRELAY_ABSENT; type++) {
		uint32_t a = 77, b = 77;
		size_t len = lens[type];

		data[3] = type;
		assert_int_equal(udprelay_cookie_parse(data, len, &cookie),
			type == UDPRELAY_COOKIE ? 0 : -EBADMSG);
		if (type != UDPRELAY_DATA)
			assert_false(udprelay_data_parse(data, len, &a, &b));
		if (type != UDPRELAY_UNKNOWN)
			assert_int_equal(udprelay_unknown_parse(data, len, &a), -EBADMSG);
		if (type != UDPRELAY_ABSENT)
			assert_int_equal(udprelay_absent_parse(data, len, &a, &b), -EBADMSG);
		assert_true(a == 77 && b == 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_bad_points),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_bound_without_session),
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_wrong_parser),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
