/* home: which relay it becomes, when it is left, and how seldom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh/home.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

static struct home home;
static struct home_choice list[3];
static uint64_t now_us;

static int set_up(void **state)
{
	home = (struct home){ 0 };
	now_us = 1000 * SECOND;
	for (uint32_t i = 0; i < 3; i++)
		list[i] = (struct home_choice){ .id = 11 + i, .rtt_us = (20 + 30 * i) * MS };
	return 0;
}

/* Each ten seconds, for so long. How often it changed. */
static unsigned pass(uint64_t us)
{
	unsigned changes = 0;

	for (uint64_t end_us = now_us + us; now_us < end_us; now_us += 10 * SECOND)
		changes += home_choose(&home, list, 3, now_us);
	return changes;
}

static void test_first(void **state)
{
	assert_int_equal(pass(60 * SECOND), 0);
	assert_int_equal(home.id, 0);
	list[1].answers = list[2].answers = true;
	assert_true(home_choose(&home, list, 3, now_us));
	assert_int_equal(home.id, 12);
	assert_false(home_choose(&home, list, 3, now_us));
}

/* What was announced before is home until it has had its time to answer. */
static void test_remembered(void **state)
{
	home.id = 13;
	list[0].answers = true;
	assert_int_equal(pass(60 * SECOND), 0);
	list[2].silent = true;
	assert_int_equal(pass(60 * SECOND), 1);
	assert_int_equal(home.id, 11);
}

static void test_nearer(void **state)
{
	static const struct {
		unsigned home_ms, other_ms;
		bool moves;
	} cases[] = {
		{ 20, 20, false },
		{ 20, 11, false }, /* not 10 ms */
		{ 20, 10, true },
		{ 11, 1, true },
		{ 9, 0, false },
		{ 100, 67, false }, /* not a third */
		{ 99, 66, true },
		{ 300, 201, false },
		{ 10, 300, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void) set_up(state);
		list[0].answers = list[1].answers = true;
		home.id = 11;
		list[0].rtt_us = cases[i].home_ms * MS;
		list[1].rtt_us = cases[i].other_ms * MS;
		assert_int_equal(pass(HOME_NEARER_FOR_US), 0);
		assert_int_equal(pass(10 * SECOND), cases[i].moves);
		assert_int_equal(home.id, cases[i].moves ? 12 : 11);
	}
}

/* Nearer, but never for five minutes. */
static void test_nearer_for_a_while(void **state)
{
	list[0].answers = list[1].answers = true;
	home.id = 11;
	for (int i = 0; i < 20; i++) {
		list[0].rtt_us = 200 * MS;
		assert_int_equal(pass(HOME_NEARER_FOR_US), 0);
		list[0].rtt_us = 20 * MS;
		assert_int_equal(pass(10 * SECOND), 0);
	}
}

static void test_silent(void **state)
{
	list[0].answers = list[1].answers = list[2].answers = true;
	assert_int_equal(pass(10 * SECOND), 1);
	assert_int_equal(home.id, 11);
	list[0].answers = false; /* for a moment */
	assert_int_equal(pass(10 * SECOND), 0);
	list[0].silent = true;
	assert_true(home_choose(&home, list, 3, now_us));
	assert_int_equal(home.id, 12);
	/* It is back: no reason to change at once. */
	list[0].answers = true;
	list[0].silent = false;
	assert_int_equal(pass(HOME_NEARER_FOR_US), 0);
	assert_int_equal(pass(10 * SECOND), 1);
	assert_int_equal(home.id, 11);
}

/* There is nothing better than what does not answer; but what is no relay any more is no home. */
static void test_none(void **state)
{
	home.id = 11;
	list[0].silent = list[1].silent = list[2].silent = true;
	assert_int_equal(pass(3600 * SECOND), 0);
	assert_int_equal(home.id, 11);
	list[0].id = 99;
	assert_true(home_choose(&home, list, 3, now_us));
	assert_int_equal(home.id, 0);
	assert_false(home_choose(&home, NULL, 0, now_us));
}

/* Relays that come and go in turn: ever more seldom. */
static void test_restless(void **state)
{
	unsigned changes = 0;

	for (int i = 0; i < 3600; i++) {
		list[0].answers = list[1].silent = i % 2;
		list[1].answers = list[0].silent = !(i % 2);
		changes += home_choose(&home, list, 2, now_us);
		now_us += SECOND;
	}
	assert_in_range(changes, 8, 15);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first),
		TEST(remembered),
		TEST(nearer),
		TEST(nearer_for_a_while),
		TEST(silent),
		TEST(none),
		TEST(restless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
