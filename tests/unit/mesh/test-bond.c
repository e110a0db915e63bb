/*
 * bond: against a relay that the test plays: what it is told and when, what is believed of what it
 * says, and for how long.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "mesh/bond.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

enum { NODE = 7, LIFETIME = 60 };

static const uint8_t seed[PAIR_KEY_LEN] = { 1 }, relay_secret[PAIR_KEY_LEN] = { 2 };
static uint8_t relay_public[PAIR_KEY_LEN], relay_key[PAIR_KEY_LEN], relay_hint[UDPRELAY_HINT_LEN];
static struct pair_self self;
static struct bond bond;
static uint64_t now_us, next_tx;

/* What the relay has had, the last of it. */
static unsigned n_binds;
static uint8_t last[UDPRELAY_BIND_LEN];
static struct udprelay_bind last_bind;

static int set_up(void **state)
{
	now_us = 1000 * SECOND;
	next_tx = 100;
	n_binds = 0;
	pair_self_init(&self, seed);
	(void) crypto_scalarmult_base(relay_public, relay_secret);
	assert_int_equal(pair_member_key(relay_secret, relay_public, self.identity, relay_key), 0);
	udprelay_hint(relay_key, relay_public, relay_hint);
	assert_int_equal(bond_init(&bond, &self, NODE, relay_public, now_us), 0);
	return 0;
}

static int tear_down(void **state)
{
	bond_done(&bond);
	return 0;
}

/* All that it sends in this time. */
static void run(uint64_t for_us)
{
	uint64_t end_us = now_us + for_us;
	struct bond_chance chance = { 0 };

	for (;;) {
		chance.tx = next_tx;
		chance.nonce[0] = (uint8_t) next_tx;
		chance.nonce[1] = (uint8_t) (next_tx >> 8);
		next_tx++;
		if (bond_bind(&bond, now_us, &chance, last)) {
			n_binds++;
			assert_int_equal(
				udprelay_bind_open(relay_key, last, sizeof(last), &last_bind), 0);
			assert_int_equal(last_bind.tx, chance.tx);
			assert_int_equal(last_bind.node, NODE);
		}
		assert_true(bond_deadline(&bond) > now_us);
		if (bond_deadline(&bond) > end_us)
			break;
		now_us = bond_deadline(&bond);
	}
	now_us = end_us;
}

static bool say(const uint8_t *data, size_t len)
{
	return bond_take(&bond, data, len, now_us);
}

/* The answer to the last BIND without a cookie, or with a bad one. */
static void say_cookie(uint8_t cookie)
{
	struct udprelay_cookie c = { .cookie = { cookie } };
	uint8_t data[UDPRELAY_COOKIE_MSG_LEN];

	memcpy(c.echo, udprelay_bind_head(last).nonce, sizeof(c.echo));
	udprelay_cookie_format(&c, data);
	assert_false(say(data, sizeof(data)));
}

static void seal_bound(
	uint64_t tx, uint32_t session, uint16_t lifetime_s, uint8_t ret[static UDPRELAY_BOUND_LEN])
{
	static uint8_t nonce[UDPRELAY_NONCE_LEN];
	struct udprelay_bound bound = {
		.tx = tx, .session = session, .lifetime_s = lifetime_s, .cookie = { 0xee }
	};

	nonce[0]++;
	assert_int_equal(endpoint_parse("203.0.113.9:4000", &bound.seen), 0);
	udprelay_bound_seal(relay_key, relay_hint, nonce, &bound, ret);
}

static bool say_bound(uint64_t tx, uint32_t session)
{
	uint8_t data[UDPRELAY_BOUND_LEN];

	seal_bound(tx, session, LIFETIME, data);
	return say(data, sizeof(data));
}

static void say_unknown(uint32_t session)
{
	uint8_t data[UDPRELAY_UNKNOWN_LEN];

	udprelay_unknown_format(session, data);
	assert_false(say(data, sizeof(data)));
}

static uint8_t cookie_sent(void)
{
	return udprelay_bind_head(last).cookie[0];
}

static void bind_as(uint32_t session)
{
	run(0);
	assert_true(say_bound(last_bind.tx, session));
	n_binds = 0;
}

/* --- at first --- */

static void test_begins(void **state)
{
	run(0);
	assert_int_equal(n_binds, 1);
	assert_int_equal(cookie_sent(), 0);
	assert_false(bond_is_bound(&bond, now_us));
	run(30 * MS);
	say_cookie(5);
	run(0);
	assert_int_equal(n_binds, 2);
	assert_int_equal(cookie_sent(), 5);
	assert_true(bond_is_refused(&bond, now_us)); /* so far */
	run(40 * MS);
	assert_true(say_bound(last_bind.tx, 77));
	assert_true(bond_is_bound(&bond, now_us));
	assert_false(bond_is_refused(&bond, now_us));
	assert_int_equal(bond.session, 77);
	assert_int_equal(bond.rtt_us, 40 * MS);
	assert_int_equal(bond.seen.port, 4000);
	assert_int_equal(bond_silence_us(&bond, now_us), 0);
	n_binds = 0;
	run(BOND_AGAIN_US - MS);
	assert_int_equal(n_binds, 0);
	run(MS);
	assert_int_equal(n_binds, 1);
	assert_int_equal(cookie_sent(), 0xee); /* BOUND's */
}

/* Nobody answers: often at first, and never silent for long. */
static void test_silence(void **state)
{
	unsigned before;

	run(SECOND);
	assert_in_range(n_binds, 3, 4);
	assert_int_equal(bond_silence_us(&bond, now_us), SECOND);
	run(59 * SECOND);
	assert_in_range(n_binds, 8, 10);
	before = n_binds;
	run(3600 * SECOND);
	assert_in_range(n_binds - before, 119, 121);
	assert_false(bond_is_refused(&bond, now_us));
}

/* It answers, and does not take us: two for each that is due, and no more. */
static void test_refused(void **state)
{
	uint64_t end_us = now_us + 3600 * SECOND;

	while (now_us < end_us) {
		run(10 * MS);
		say_cookie((uint8_t) now_us);
	}
	assert_in_range(n_binds, 200, 500);
	assert_true(bond_is_refused(&bond, now_us));
	assert_true(say_bound(last_bind.tx, 3));
	assert_false(bond_is_refused(&bond, now_us));
}

static void test_bad_key(void **state)
{
	static const uint8_t low[PAIR_KEY_LEN];
	struct bond other;

	assert_int_equal(bond_init(&other, &self, NODE, low, now_us), -EBADMSG);
	bond_done(&other);
}

/* --- what is believed --- */

static void test_strange_cookies(void **state)
{
	struct udprelay_cookie c = { .echo = { 0xaa }, .cookie = { 9 } };
	uint8_t data[UDPRELAY_COOKIE_MSG_LEN];

	memset(&c.echo, 0, sizeof(c.echo)); /* as of a place where no BIND is noted */
	udprelay_cookie_format(&c, data);
	assert_false(say(data, sizeof(data)));
	run(0);
	c.echo[0] = 0xaa;
	udprelay_cookie_format(&c, data);
	assert_false(say(data, sizeof(data)));
	assert_false(say(data, sizeof(data) - 1));
	run(SECOND);
	assert_int_equal(cookie_sent(), 0);
}

static void test_strange_bounds(void **state)
{
	uint8_t data[UDPRELAY_BOUND_LEN];

	run(0);
	seal_bound(last_bind.tx, 5, LIFETIME, data);
	data[UDPRELAY_BOUND_LEN - 1] ^= 1;
	assert_false(say(data, sizeof(data))); /* forged */
	assert_false(say_bound(last_bind.tx + 1, 5));
	assert_false(say_bound(0, 5)); /* as of a place where no BIND is noted */
	assert_false(bond_is_bound(&bond, now_us));
	assert_true(say_bound(last_bind.tx, 5));
	run(SECOND);
	assert_false(say_bound(last_bind.tx, 6)); /* recorded and played again */
	assert_int_equal(bond.session, 5);
	assert_false(say(data, 0));
}

/* A late one of several BINDs: it counts, from when that was sent. */
static void test_late(void **state)
{
	uint64_t first;

	run(0);
	first = last_bind.tx;
	run(500 * MS);
	assert_int_equal(n_binds, 2);
	assert_true(say_bound(first, 5));
	assert_int_equal(bond.rtt_us, 500 * MS);
	n_binds = 0;
	run(BOND_AGAIN_US - MS);
	assert_int_equal(n_binds, 0);
}

static void test_lifetimes(void **state)
{
	static const struct {
		uint16_t says_s;
		uint64_t again_us, until_us;
	} cases[] = {
		{ 0, 5 * SECOND, 15 * SECOND },
		{ 1, 5 * SECOND, 15 * SECOND },
		{ 30, 10 * SECOND, 30 * SECOND },
		{ 60, 20 * SECOND, 60 * SECOND },
		{ 65535, 20 * SECOND, 65535 * SECOND },
	};
	uint8_t data[UDPRELAY_BOUND_LEN];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(60 * SECOND);
		bond_moved(&bond, now_us);
		run(0);
		seal_bound(last_bind.tx, 5, cases[i].says_s, data);
		assert_true(say(data, sizeof(data)));
		assert_int_equal(bond_deadline(&bond) - now_us, cases[i].again_us);
		assert_true(bond_is_bound(&bond, now_us + cases[i].until_us - 1));
		assert_false(bond_is_bound(&bond, now_us + cases[i].until_us));
	}
}

/* --- later --- */

/* The relay is gone: it is asked as often as at the beginning, then more seldom. */
static void test_lost(void **state)
{
	bind_as(5);
	run(BOND_AGAIN_US + SECOND);
	assert_in_range(n_binds, 3, 4);
	assert_int_equal(bond_silence_us(&bond, now_us), SECOND);
	assert_true(bond_is_bound(&bond, now_us));
	run(38 * SECOND);
	assert_true(bond_is_bound(&bond, now_us));
	run(SECOND);
	assert_false(bond_is_bound(&bond, now_us));
	run(600 * SECOND);
	say_cookie(1);
	run(0);
	assert_true(say_bound(last_bind.tx, 6));
	assert_true(bond_is_bound(&bond, now_us));
	assert_int_equal(bond.session, 6);
}

/* It has started anew: at once, and once a second while it says so. */
static void test_unknown(void **state)
{
	bind_as(5);
	run(2 * SECOND);
	say_unknown(6); /* not ours */
	say_unknown(0);
	run(0);
	assert_int_equal(n_binds, 0);
	say_unknown(5);
	run(0);
	assert_int_equal(n_binds, 1);
	n_binds = 0;
	for (int i = 0; i < 1000; i++) {
		say_unknown(5);
		run(10 * MS);
		if (i % 20 == 0)
			(void) say_bound(last_bind.tx, 5);
	}
	assert_in_range(n_binds, 9, 12);
}

static void test_moved(void **state)
{
	bind_as(5);
	run(5 * SECOND);
	bond_moved(&bond, now_us);
	run(0);
	assert_int_equal(n_binds, 1);
	run(SECOND);
	assert_in_range(n_binds, 3, 4);
	assert_true(bond_is_bound(&bond, now_us)); /* where it was, at least */
	run(3600 * SECOND);
	n_binds = 0;
	bond_moved(&bond, now_us);
	run(SECOND);
	assert_in_range(n_binds, 3, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begins),
		TEST(silence),
		TEST(refused),
		TEST(bad_key),
		TEST(strange_cookies),
		TEST(strange_bounds),
		TEST(late),
		TEST(lifetimes),
		TEST(lost),
		TEST(unknown),
		TEST(moved),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
