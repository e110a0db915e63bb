/*
 * ways: the hole, by which a peer is reached that was met by guessing a port: as direct as others,
 * and nobody's to name or to forget but who dug it.
 */
#include "ways-world.h"

enum { RELAY = RELAYED, HOLE = RELAYED + 1, OTHER = RELAYED + 2, BEYOND = PUBLIC + 7 };

static void dig(unsigned n)
{
	struct endpoint to = at(n), beyond = at(BEYOND);

	ways_hole(&w, n ? &to : NULL, n ? &beyond : NULL, now_us);
	assert_sound();
}

/* The peer is reached by the relay, and called in vain. */
static void search(void)
{
	announce(PUBLIC, 2);
	relay(RELAY);
	rtt[RELAY] = 30 * MS;
	run(10 * SECOND);
	assert_int_equal(in_use(), RELAY);
	assert_true(w.searching);
	count_anew();
}

static void test_direct(void **state)
{
	struct endpoint beyond = at(BEYOND);

	search();
	rtt[HOLE] = 50 * MS;
	dig(HOLE);
	send_pings();
	assert_int_equal(pings[HOLE], 1);
	run(60 * MS);
	assert_int_equal(in_use(), HOLE);
	assert_false(ways_is_relayed(&w));
	assert_false(w.doubtful);
	assert_ptr_equal(ways_in_use(&w), ways_get_hole(&w));
	assert_true(endpoint_equal(way_leads_to(ways_in_use(&w)), &beyond));
	assert_ptr_equal(way_leads_to(ways_get_relayed(&w)), &ways_get_relayed(&w)->to);
	count_anew();
	run(3600 * SECOND);
	assert_int_equal(in_use(), HOLE);
	assert_int_equal(n_pings, 0);
}

/* Neither presences nor calls nor our own addresses take it away, also while it is not used. */
static void test_stays(void **state)
{
	static const struct ways_own own = {
		.list = { { { AF_INET, { 10, 0, 0, 250 } }, .port = 9 } }, .n = 1, .n_local = 1
	};

	search();
	dig(HOLE); /* it does not answer */
	announce(1, 2);
	assert_true(call(PUBLIC + 3, 2));
	ways_own(&w, &own, now_us);
	for (unsigned n = 1; n < 30; n++) {
		heard(n);
		run(2 * SECOND);
	}
	assert_non_null(ways_get_hole(&w));
	assert_int_equal(in_use(), RELAY);
	rtt[HOLE] = 20 * MS;
	run(WAYS_SELDOM_US + SECOND);
	assert_int_equal(in_use(), HOLE);
	assert_false(ways_passes_nat(&w)); /* as far as we know */
}

static void test_nat(void **state)
{
	static const struct ways_own own = {
		.list = { { { AF_INET, { 10, 0, 0, 250 } }, .port = 9 },
			{ { AF_INET, { 203, 0, 113, 1 } }, .port = 20009 } },
		.n = 2,
		.n_local = 1
	};

	ways_own(&w, &own, now_us);
	search();
	assert_false(ways_passes_nat(&w));
	rtt[HOLE] = 20 * MS;
	dig(HOLE);
	run(SECOND);
	assert_int_equal(in_use(), HOLE);
	assert_true(ways_passes_nat(&w));
}

/* It is left for the relay as any direct one is, and taken again when it has proved itself. */
static void test_lost(void **state)
{
	search();
	rtt[HOLE] = 20 * MS;
	dig(HOLE);
	run(SECOND);
	rtt[HOLE] = DEAD;
	ways_quiet(&w, now_us);
	run(WAYS_GRACE_US + 100 * MS);
	assert_int_equal(in_use(), RELAY);
	assert_non_null(ways_get_hole(&w));
	rtt[HOLE] = 20 * MS;
	run(5 * SECOND);
	assert_int_equal(in_use(), HOLE);
}

static void test_no_more(void **state)
{
	search();
	rtt[HOLE] = 20 * MS;
	dig(HOLE);
	run(SECOND);
	assert_int_equal(in_use(), HOLE);
	dig(0);
	assert_null(ways_get_hole(&w));
	assert_true(w.searching);
	assert_null(ways_in_use(&w));
	run(SECOND);
	assert_int_equal(in_use(), RELAY);
	dig(0); /* there is none */
	/* One that is not used. */
	dig(OTHER);
	run(SECOND);
	dig(0);
	assert_int_equal(in_use(), RELAY);
}

static void test_another(void **state)
{
	search();
	rtt[HOLE] = rtt[OTHER] = 20 * MS;
	dig(HOLE);
	run(SECOND);
	assert_int_equal(in_use(), HOLE);
	dig(OTHER);
	run(SECOND);
	assert_int_equal(in_use(), OTHER);
	/* Without a relay, in the middle of a doubt. */
	relay(0);
	rtt[OTHER] = DEAD;
	ways_quiet(&w, now_us);
	run(100 * MS);
	dig(HOLE);
	run(SECOND);
	assert_int_equal(in_use(), HOLE);
}

/* Only where it is searched for. */
static void test_call_soon(void **state)
{
	search();
	run(30 * SECOND);
	count_anew();
	ways_call_soon(&w, now_us);
	send_pings();
	assert_int_equal(n_calls, 1);
	rtt[PUBLIC] = 10 * MS;
	run(60 * SECOND);
	assert_int_equal(in_use(), PUBLIC);
	count_anew();
	ways_call_soon(&w, now_us);
	run(60 * SECOND);
	assert_int_equal(n_calls, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(direct),
		TEST(stays),
		TEST(nat),
		TEST(lost),
		TEST(no_more),
		TEST(another),
		TEST(call_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
