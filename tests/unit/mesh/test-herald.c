/* herald: when a board says where it is, when it asks, and how little it says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/herald.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define BEGIN  (1000 * SECOND)

static struct herald herald;
static uint64_t now_us;
static char said[4096];
static unsigned words;

static int set_up(void **state)
{
	herald_init(&herald);
	now_us = BEGIN;
	said[0] = 0;
	words = 0;
	return 0;
}

/* What is said in @us, at which tenths of seconds since the beginning: "a" announced, "?" asked. */
static void pass(uint64_t us)
{
	uint64_t end_us = now_us + us;

	while (herald_deadline(&herald) < end_us) {
		enum herald_word word;

		if (herald_deadline(&herald) > now_us)
			now_us = herald_deadline(&herald);
		word = herald_speak(&herald, now_us);
		assert_int_not_equal(word, HERALD_NOTHING);
		assert_int_equal(herald_speak(&herald, now_us), HERALD_NOTHING);
		(void) snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%.1f%s",
			words++ ? " " : "", (double) (now_us - BEGIN) / SECOND,
			word == HERALD_ASK ? "?" : "a");
	}
	now_us = end_us;
}

static void test_silent(void **state)
{
	pass(3600 * SECOND);
	assert_string_equal(said, "");
	assert_true(herald_deadline(&herald) == HERALD_NEVER);
}

static void test_moved(void **state)
{
	herald_moved(&herald, now_us);
	pass(3600 * SECOND);
	assert_string_equal(said, "0.0? 0.6? 1.8?");
	assert_true(herald_deadline(&herald) == HERALD_NEVER);
}

/* It asks on and on; with a laptop that is off for a day, once a minute. */
static void test_misses(void **state)
{
	herald_moved(&herald, now_us);
	herald_misses(&herald, true, now_us);
	pass(100 * SECOND);
	assert_string_equal(said, "0.0? 0.6? 1.8? 3.0? 4.0? 6.0? 10.0? 18.0? 34.0? 66.0?");
	pass(1000 * SECOND);
	words = 0;
	pass(3600 * SECOND);
	assert_int_equal(words, 60);
	herald_misses(&herald, true, now_us); /* as before */
	herald_misses(&herald, false, now_us);
	words = 0;
	pass(3600 * SECOND);
	assert_int_equal(words, 0);
}

/* Later: at once, without being told three times; and anew after each time that all were there. */
static void test_misses_again(void **state)
{
	pass(100 * SECOND);
	for (int i = 0; i < 2; i++) {
		herald_misses(&herald, true, now_us);
		pass(3500 * MS);
		herald_misses(&herald, false, now_us);
		pass(6500 * MS);
	}
	assert_string_equal(said, "100.0? 101.0? 103.0? 110.0? 111.0? 113.0?");
}

/* A move makes the pauses short again. */
static void test_moved_while_missing(void **state)
{
	herald_misses(&herald, true, now_us);
	pass(100 * SECOND);
	said[0] = words = 0;
	herald_moved(&herald, now_us);
	pass(10 * SECOND);
	assert_string_equal(said, "100.0? 100.6? 101.8? 103.0? 104.0? 106.0?");
}

static void test_asked(void **state)
{
	herald_asked(&herald, now_us, 100000);
	pass(50 * MS);
	herald_asked(&herald, now_us, 0); /* one answer for all of them */
	pass(10 * SECOND);
	assert_string_equal(said, "0.1a");
}

/* As often as they like: once a second. */
static void test_asked_always(void **state)
{
	for (int i = 0; i < 10000; i++) {
		herald_asked(&herald, now_us, (uint32_t) i * 7919);
		pass(MS);
	}
	assert_in_range(words, 8, 11);
}

/* By chance, within a fifth of a second: twenty boards do not answer at once. */
static void test_chance(void **state)
{
	uint64_t most_us = 0;

	for (uint32_t chance = 0; chance < 1000000; chance += 7919) {
		herald_init(&herald);
		herald_asked(&herald, now_us, chance);
		assert_in_range(herald_deadline(&herald), now_us, now_us + HERALD_ANSWER_US);
		if (herald_deadline(&herald) > most_us)
			most_us = herald_deadline(&herald);
	}
	assert_true(most_us > now_us + HERALD_ANSWER_US * 9 / 10);
}

/* What is said anyway answers as well. */
static void test_asked_while_telling(void **state)
{
	herald_moved(&herald, now_us);
	pass(100 * MS);
	herald_asked(&herald, now_us, 0);
	pass(10 * SECOND);
	assert_string_equal(said, "0.0? 0.6? 1.8?");
}

/* Where addresses or cables do not come to rest, others are told of it more and more seldom. */
static void test_restless(void **state)
{
	for (int i = 0; i < 600; i++) {
		herald_moved(&herald, now_us);
		pass(100 * MS);
	}
	assert_in_range(words, 4 + 8, 4 * HERALD_TIMES + 60 / 5 + 2 * HERALD_TIMES);
	said[0] = words = 0;
	pass(60 * SECOND); /* the last one is told */
	assert_in_range(words, 1, HERALD_TIMES);
	assert_true(herald_deadline(&herald) == HERALD_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_silent, set_up),
		cmocka_unit_test_setup(test_moved, set_up),
		cmocka_unit_test_setup(test_misses, set_up),
		cmocka_unit_test_setup(test_misses_again, set_up),
		cmocka_unit_test_setup(test_moved_while_missing, set_up),
		cmocka_unit_test_setup(test_asked, set_up),
		cmocka_unit_test_setup(test_asked_always, set_up),
		cmocka_unit_test_setup(test_chance, set_up),
		cmocka_unit_test_setup(test_asked_while_telling, set_up),
		cmocka_unit_test_setup(test_restless, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
