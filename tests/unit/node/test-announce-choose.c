/* announce-choose: at once, then ever more slowly, then only what lives. Time is moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "node/announce-choose.h"

#define S USEC_PER_SEC

static struct announce_past a;
static struct presence known;
static bool is_known;
static struct endpoint told[PRESENCE_ENDPOINTS_MAX];
static size_t n_told;
static uint64_t wait_us;

static struct endpoint at(const char *text)
{
	struct endpoint e = { 0 };

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

/* The board has these now: true if others are told. */
static bool has(uint64_t now, size_t n, const char *const *texts)
{
	struct endpoint own[PRESENCE_ENDPOINTS_MAX];

	for (size_t i = 0; i < n; i++)
		own[i] = at(texts[i]);
	if (!announce_choose(&a, own, n, is_known ? &known : NULL, now, told, &n_told, &wait_us))
		return false;
	memcpy(known.endpoints, told, sizeof(told));
	known.n_endpoints = n_told;
	is_known = true;
	announce_chosen(&a, now);
	return true;
}

static int begin(void **state)
{
	a = (struct announce_past){ 0 };
	known = (struct presence){ 0 };
	is_known = false;
	return 0;
}

static void test_at_once(void **state)
{
	const char *v4[] = { "192.0.2.1:1" }, *both[] = { "192.0.2.1:1", "[2001:db8::1]:1" };

	assert_true(has(100 * S, 1, v4));
	assert_false(has(100 * S, 1, v4));
	assert_int_equal(wait_us, 0);
	assert_true(has(100 * S, 2, both));
	assert_true(has(101 * S, 1, v4));
	assert_true(has(101 * S, 2, both));
	/* Four in a row: the fifth waits. */
	assert_false(has(101 * S, 1, v4));
	assert_int_equal(wait_us, 2 * S);
	assert_true(has(103 * S, 1, v4));
	/* After a quarter of an hour of peace all is as at first. */
	assert_true(has(1004 * S, 2, both));
	assert_true(has(1004 * S, 1, v4));
}

/* A new address each second for an hour, sixteen at a time, beside one that stays. */
static void test_advertisements(void **state)
{
	char texts[16][48];
	const char *own[17] = { "192.0.2.1:1" };
	unsigned times = 0, of_the_last_minutes = 0;

	for (unsigned s = 100; s < 3700; s++) {
		for (unsigned i = 0; i < 16; i++) {
			(void) snprintf(texts[i], sizeof(texts[i]), "[2001:db8:%x::1]:1",
				(s - (s - i) % 16) & 0xffff);
			own[1 + i] = texts[i];
		}
		bool tells = has(s * S, 17, own);
		times += tells;
		of_the_last_minutes += tells && s >= 1000;
		assert_true(n_told >= 1);
	}
	assert_in_range(times, 5, 8);
	assert_int_equal(of_the_last_minutes,
		0); /* none lives for half a minute: there is nothing to tell */
	assert_int_equal(known.n_endpoints, 1);
}

/* It moved to another LAN while it was damped: that is told all the same, when it has lived. */
static void test_moved(void **state)
{
	const char *one[] = { "192.0.2.1:1" }, *two[] = { "192.0.2.2:1" };
	uint64_t now = 100 * S;

	for (unsigned i = 0; i < 200; i++, now += S)
		(void) has(now, 1, i % 2 ? one : two);
	const char *moved[] = { "198.51.100.7:1" };
	uint64_t moved_us = now;
	while (!has(now, 1, moved)) {
		assert_true(wait_us > 0);
		now += wait_us;
	}
	assert_true(now - moved_us <= 300 * S);
	assert_int_equal(known.n_endpoints, 1);
}

/* Damped, and a second address comes to stay: told when it has lived for half a minute and the pause is over. */
static void test_comes_of_age(void **state)
{
	const char *one[] = { "192.0.2.1:1" }, *other[] = { "192.0.2.1:1", "192.0.2.9:1" };
	const char *stays[] = { "192.0.2.1:1", "192.0.2.7:1" };
	uint64_t now = 200 * S;

	assert_true(has(100 * S, 1, one));
	for (unsigned i = 1; i < 12; i++, now += S)
		(void) has(now, 1 + i % 2, i % 2 ? other : one);
	(void) has(now, 1, one);
	uint64_t came_us = now;
	while (!has(now, 2, stays) || known.n_endpoints < 2) {
		assert_true(wait_us > 0);
		now += wait_us;
		assert_true(now - came_us < 300 * S);
	}
	assert_true(now - came_us >= 30 * S);
	assert_true(endpoint_equal(
		&known.endpoints[1], &(struct endpoint){ at("192.0.2.7:1").addr, 1, 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_at_once, begin),
		cmocka_unit_test_setup(test_advertisements, begin),
		cmocka_unit_test_setup(test_moved, begin),
		cmocka_unit_test_setup(test_comes_of_age, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
