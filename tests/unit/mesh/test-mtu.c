/*
 * mtu: against ways of all widths: what is found, how soon, and at what cost; ways that shrink,
 * grow, lose packets, are slow or dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/mtu.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define LOOK   (5 * SECOND)

enum { TOP = 1420, FLYING = 256 };

static struct mtu m;
static uint64_t now_us;
static struct {
	unsigned carries; /* 0: dead */
	uint64_t rtt_us;
	unsigned loss; /* per cent */
	unsigned lost; /* so many first */
} way;
static struct {
	uint64_t at_us, sent_us;
	unsigned size;
} flying[FLYING];
static size_t n_flying;
static unsigned n_probes, bytes;
static uint32_t seed;

static unsigned draw(void)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 16) % 100;
}

static int set_up(void **state)
{
	m = (struct mtu){ 0 };
	now_us = 1000 * SECOND;
	way.carries = TOP;
	way.rtt_us = 20 * MS;
	way.loss = way.lost = 0;
	n_flying = n_probes = bytes = 0;
	seed = 1;
	return 0;
}

static void send(unsigned size)
{
	n_probes++;
	bytes += size;
	if (way.lost > 0) {
		way.lost--;
		return;
	}
	if (size > way.carries || draw() < way.loss)
		return;
	assert_true(n_flying < FLYING);
	flying[n_flying].at_us = now_us + way.rtt_us;
	flying[n_flying].sent_us = now_us;
	flying[n_flying++].size = size;
}

static size_t next_arrival(void)
{
	size_t first = 0;

	for (size_t i = 1; i < n_flying; i++)
		if (flying[i].at_us < flying[first].at_us)
			first = i;
	return first;
}

static void arrive(size_t i)
{
	unsigned size = flying[i].size;
	uint64_t sent_us = flying[i].sent_us;

	now_us = flying[i].at_us;
	flying[i] = flying[--n_flying];
	mtu_answered(&m, size, now_us - sent_us, now_us);
}

/* Until @us have gone by. */
static void pass(uint64_t us)
{
	uint64_t end_us = now_us + us;

	for (;;) {
		uint16_t sizes[MTU_PROBES_MAX];
		size_t n = mtu_probes(&m, now_us, sizes), i = next_arrival();
		uint64_t next_us = mtu_deadline(&m);

		assert_in_range(n, 0, MTU_PROBES_MAX);
		for (size_t k = 0; k < n; k++)
			send(sizes[k]);
		if (n)
			continue;
		if (n_flying && flying[i].at_us <= next_us && flying[i].at_us <= end_us) {
			arrive(i);
			continue;
		}
		if (next_us > end_us)
			break;
		assert_true(next_us > now_us || m.step != MTU_RESTS);
		now_us = next_us > now_us ? next_us : now_us;
	}
	now_us = end_us;
}

static void begin(unsigned carries)
{
	way.carries = carries;
	mtu_way(&m, TOP, way.rtt_us, now_us);
}

/* Traffic for @us, as mtus looks at it. */
static void traffic(uint64_t us, bool much)
{
	for (uint64_t gone_us = 0; gone_us < us; gone_us += LOOK) {
		mtu_traffic(&m, much, now_us);
		pass(LOOK);
	}
}

/* One ping, one round trip, and then nothing. */
static void test_as_wide_as_the_interface(void **state)
{
	begin(TOP);
	assert_int_equal(m.size, 0);
	pass(way.rtt_us);
	assert_int_equal(m.size, TOP);
	assert_int_equal(n_probes, 1);
	pass(3600 * SECOND);
	assert_int_equal(n_probes, 1);
	assert_true(mtu_deadline(&m) == MTU_NEVER);
}

static void test_all_widths(void **state)
{
	/* What underlays leave, IPv4 and IPv6; and what of that is found: no more than 48 less. */
	static const struct {
		unsigned carries, found;
	} cases[] = { { 1419, 1408 }, { 1412, 1408 }, { 1400, 1392 }, { 1380, 1376 },
		{ 1390, 1376 }, { 1370, 1360 }, { 1340, 1328 }, { 1320, 1312 }, { 1280, 1280 },
		{ 1279, 1216 }, { 1220, 1216 }, { 1200, 1200 }, { 1064, 1056 }, { 516, 512 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void) set_up(NULL);
		begin(cases[i].carries);
		pass(1200 * MS);
		assert_int_equal(m.size, cases[i].found);
		assert_int_equal(m.step, MTU_RESTS);
		assert_in_range(n_probes, 1, 40);
		assert_in_range(bytes, 0, 50000);
	}
}

/* 1420; it and all from 1408 to 1280; what is more than was answered once more. */
static void test_cost_of_search(void **state)
{
	begin(1340);
	pass(2 * SECOND);
	assert_int_equal(n_probes, 1 + 10 + 6);
}

/* A burst that is lost proves nothing. */
static void test_lost_burst(void **state)
{
	way.lost = 1 + 10;
	begin(1340);
	pass(2 * SECOND);
	assert_int_equal(m.size, 1328);
	(void) set_up(NULL);
	begin(1064);
	way.lost = 1 + 10 + 10 + 8;
	pass(2 * SECOND);
	assert_int_equal(m.size, 1056);
}

/* Of an interface with more than Ethernet has. */
static void test_jumbo(void **state)
{
	way.carries = 8920;
	mtu_way(&m, 8920, way.rtt_us, now_us);
	pass(SECOND);
	assert_int_equal(m.size, 8920);
	way.carries = 1440;
	mtu_way(&m, 8920, way.rtt_us, now_us);
	assert_int_equal(m.size, 8920); /* until it is known better */
	pass(SECOND);
	assert_int_equal(m.size, 1440);
}

/* What was known counts until the search is over, or the interface has less. */
static void test_another_way(void **state)
{
	begin(TOP);
	pass(SECOND);
	begin(1408);
	assert_int_equal(m.size, TOP);
	pass(SECOND);
	assert_int_equal(m.size, 1408);
	mtu_way(&m, 1320, 0, now_us);
	assert_int_equal(m.size, 1320);
	pass(SECOND);
	mtu_way(&m, 0, 0, now_us);
	assert_true(mtu_deadline(&m) == MTU_NEVER);
	mtu_traffic(&m, true, now_us);
	mtu_doubt(&m, UINT64_MAX, now_us);
	mtu_answered(&m, 1320, MS, now_us);
	assert_true(mtu_deadline(&m) == MTU_NEVER);
}

/* Two round trips have to be waited for. */
static void test_far_away(void **state)
{
	way.rtt_us = 600 * MS;
	begin(1340);
	pass(6 * SECOND);
	assert_int_equal(m.size, 1328);
	(void) set_up(NULL);
	way.rtt_us = 600 * MS;
	way.carries = TOP;
	mtu_way(&m, TOP, 0, now_us); /* nobody knew */
	pass(2 * SECOND);
	assert_int_equal(m.size, TOP);
}

/* --- shrinking --- */

static void test_shrinks_under_traffic(void **state)
{
	static const unsigned less[] = { 1412, 1340, 1220, 1064 };

	for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
		(void) set_up(NULL);
		begin(TOP);
		pass(SECOND);
		traffic(60 * SECOND, true);
		assert_int_equal(m.size, TOP);
		way.carries = less[i];
		mtu_traffic(&m, true, now_us); /* up to 5 s later */
		pass(1700 * MS);
		assert_in_range(m.size, less[i] - 16, less[i]);
	}
}

/* While much is sent: 2 pings in 5 s. */
static void test_cost_of_checks(void **state)
{
	begin(TOP);
	pass(SECOND);
	n_probes = bytes = 0;
	traffic(600 * SECOND, true);
	assert_int_equal(n_probes, 240);
	assert_in_range(bytes, 0, 600 * 300);
	n_probes = 0;
	traffic(600 * SECOND, false);
	assert_int_equal(n_probes, 0); /* there is no more to be had */
}

static void test_doubt(void **state)
{
	begin(TOP);
	mtu_doubt(&m, UINT64_MAX, now_us); /* it is being searched */
	pass(SECOND);
	assert_int_equal(n_probes, 1);
	mtu_doubt(&m, MTU_SURE - 1, now_us); /* the last word of a conversation has no answer */
	pass(SECOND);
	assert_int_equal(n_probes, 1);
	way.carries = 1340;
	mtu_doubt(&m, UINT64_MAX, now_us);
	pass(1200 * MS);
	assert_int_equal(m.size, 1328);
}

/* Whoever doubts, and how often: after 1 s, 2, 4, and then every 8 s. */
static void test_cost_of_doubt(void **state)
{
	begin(TOP);
	pass(SECOND);
	n_probes = 0;
	for (int i = 0; i < 63 * 100; i++) {
		mtu_doubt(&m, UINT64_MAX, now_us);
		pass(10 * MS);
	}
	assert_int_equal(n_probes, 2 * (4 + 6)); /* after 0, 1, 3, 7, 15, 23 ... 55 s */
	/* After quiet times it is as at first. */
	pass(16 * SECOND);
	n_probes = 0;
	way.carries = 1340;
	mtu_doubt(&m, UINT64_MAX, now_us);
	pass(1200 * MS);
	assert_int_equal(m.size, 1328);
}

/* A dead way is not a narrow one: what was known stays, at the cost of three times two pings. */
static void test_dead(void **state)
{
	begin(TOP);
	pass(SECOND);
	n_probes = 0;
	way.carries = 0;
	mtu_doubt(&m, UINT64_MAX, now_us);
	pass(10 * SECOND);
	assert_int_equal(m.size, TOP);
	assert_int_equal(n_probes, 6);
	way.carries = TOP;
	mtu_doubt(&m, UINT64_MAX, now_us);
	pass(SECOND);
	assert_int_equal(n_probes, 8);
	assert_int_equal(m.size, TOP);
}

/* Nothing but small pings: no more than the least is promised, and it is tried again seldom. */
static void test_nothing_but_small(void **state)
{
	begin(TOP);
	pass(SECOND);
	way.carries = 100;
	mtu_doubt(&m, UINT64_MAX, now_us);
	pass(10 * SECOND);
	assert_int_equal(m.size, MTU_LEAST);
	(void) set_up(NULL);
	begin(100);
	pass(2 * SECOND);
	assert_int_equal(m.size, 0);
	n_probes = 0;
	traffic(100 * SECOND, true);
	assert_int_equal(m.size, 0);
	assert_in_range(n_probes, 100, 600);
	way.carries = TOP;
	traffic(15 * SECOND, false);
	assert_int_equal(m.size, TOP);
}

/* --- growing --- */

static void test_grows_within_a_minute(void **state)
{
	static const unsigned before[] = { 1340, 1220, 1064 }, more[] = { 1380, TOP, 1220 },
			      found[] = { 1376, TOP, 1216 };

	for (size_t i = 0; i < 3; i++) {
		(void) set_up(NULL);
		begin(before[i]);
		pass(2 * SECOND);
		traffic(60 * SECOND, false);
		way.carries = more[i];
		traffic(55 * SECOND, false);
		assert_int_equal(m.size, found[i]);
	}
}

/* Without traffic nothing is sent; at 1,000 bytes in 5 s, 8 pings a minute. */
static void test_cost_of_growth(void **state)
{
	begin(1340);
	pass(2 * SECOND);
	n_probes = 0;
	pass(3600 * SECOND);
	assert_int_equal(n_probes, 0);
	traffic(600 * SECOND, false);
	assert_in_range(n_probes, 40, 80);
	assert_int_equal(m.size, 1328);
}

/* --- what comes late, is lost, is odd --- */

/* Buffers are full: a check is answered after a second and a half. */
static void test_late(void **state)
{
	begin(TOP);
	pass(SECOND);
	way.rtt_us = 1500 * MS;
	traffic(30 * SECOND, true);
	assert_int_equal(m.size, TOP);
	/* Something bigger than is believed comes when the search is over. */
	way.rtt_us = 20 * MS;
	begin(1340);
	pass(2 * SECOND);
	mtu_answered(&m, 1392, 3 * SECOND, now_us);
	assert_int_equal(m.size, 1392);
	mtu_answered(&m, 1280, 3 * SECOND, now_us);
	assert_int_equal(m.size, 1392);
	mtu_answered(&m, 9000, MS, now_us); /* never asked for */
	assert_int_equal(m.size, 1392);
}

/* What is known already is no growth. */
static void test_late_check(void **state)
{
	begin(1340);
	pass(2 * SECOND);
	pass(60 * SECOND);
	mtu_traffic(&m, true, now_us);
	assert_int_equal(m.step, MTU_GROWS);
	mtu_answered(&m, m.size, 3 * SECOND, now_us);
	n_probes = 0;
	pass(10 * SECOND);
	assert_int_equal(n_probes, 4);
	assert_int_equal(m.size, 1328);
}

/* A way that loses a fifth of all stays near the top, and comes back to it. */
static void test_lossy(void **state)
{
	uint64_t at_top = 0, looks = 0;

	way.loss = 20;
	begin(TOP);
	for (int i = 0; i < 720; i++) {
		traffic(LOOK, true);
		assert_in_range(m.size, 1280, TOP);
		at_top += m.size == TOP;
		looks++;
	}
	assert_in_range(at_top, looks * 9 / 10, looks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_as_wide_as_the_interface, set_up),
		cmocka_unit_test_setup(test_all_widths, set_up),
		cmocka_unit_test_setup(test_cost_of_search, set_up),
		cmocka_unit_test_setup(test_lost_burst, set_up),
		cmocka_unit_test_setup(test_jumbo, set_up),
		cmocka_unit_test_setup(test_another_way, set_up),
		cmocka_unit_test_setup(test_far_away, set_up),
		cmocka_unit_test_setup(test_shrinks_under_traffic, set_up),
		cmocka_unit_test_setup(test_cost_of_checks, set_up),
		cmocka_unit_test_setup(test_doubt, set_up),
		cmocka_unit_test_setup(test_cost_of_doubt, set_up),
		cmocka_unit_test_setup(test_dead, set_up),
		cmocka_unit_test_setup(test_nothing_but_small, set_up),
		cmocka_unit_test_setup(test_grows_within_a_minute, set_up),
		cmocka_unit_test_setup(test_cost_of_growth, set_up),
		cmocka_unit_test_setup(test_late, set_up),
		cmocka_unit_test_setup(test_late_check, set_up),
		cmocka_unit_test_setup(test_lossy, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
