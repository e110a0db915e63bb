/* door: who is let in, from where, how fast; and who must go when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "sys/httpd/door.h"

#define S UINT64_C(1000000)

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static struct door *make(unsigned per_source, unsigned strangers, unsigned strangers_per_source)
{
	struct door *d = NULL;
	struct door_limits limits = {
		.places = 1000,
		.per_source = per_source,
		.strangers = strangers,
		.strangers_per_source = strangers_per_source,
		.rates = { .stranger = { 32, 2 * S },
			.strangers = { 1000, S / 200 },
			.proven = { 1000, S / 50 },
			.proven_for_us = 3600 * S },
	};

	assert_int_equal(ip_prefix_parse("fd00:1::/64", &limits.proven), 0);
	assert_int_equal(door_new(&limits, &d), 0);
	return d;
}

/* How many of @n are let in at @now. */
static unsigned enter(struct door *d, const char *text, unsigned n, uint64_t now)
{
	struct ip_addr a = addr(text);
	unsigned in = 0;

	for (unsigned i = 0; i < n; i++)
		if (door_ask(d, &a, now) == DOOR_ENTER) {
			door_came(d, &a);
			in++;
		}
	return in;
}

static void leave(struct door *d, const char *text, unsigned n, bool proved)
{
	struct ip_addr a = addr(text);

	while (n--)
		door_left(d, &a, proved);
}

static void test_places(void **state)
{
	struct door *d = make(10, 100, 50);
	struct ip_addr a = addr("192.0.2.1"), same = addr("2001:db8::1"),
		       inside = addr("fd00:1::7");

	assert_int_equal(enter(d, "192.0.2.1", 12, S), 10);
	assert_int_equal(door_ask(d, &a, S), DOOR_FULL);
	assert_int_equal(enter(d, "192.0.2.2", 12, S), 10);
	leave(d, "192.0.2.1", 1, false);
	assert_int_equal(door_ask(d, &a, S), DOOR_ENTER);
	/* Eight addresses of one /64 are one source. */
	for (char text[] = "2001:db8::f:1"; text[12] <= '8'; text[12]++)
		(void) enter(d, text, 4, S);
	assert_int_equal(door_strangers_from(d, &same), 10);
	assert_int_equal(door_ask(d, &same, S), DOOR_FULL);
	/* Those inside, where each address is somebody's own, are not. */
	assert_int_equal(enter(d, "fd00:1::5", 12, S), 10);
	assert_int_equal(enter(d, "fd00:1::6", 12, S), 10);
	assert_int_equal(door_ask(d, &inside, S), DOOR_ENTER);
	assert_null(door_free(d));
}

static void test_pace(void **state)
{
	struct door *d = make(1000, 1000, 1000);
	unsigned in = enter(d, "2001:db8::1", 200, S);

	assert_int_equal(in, 32);
	assert_int_equal(enter(d, "2001:db8::2", 1, S), 0); /* one /64 */
	assert_int_equal(enter(d, "2001:db8:0:1::2", 1, S), 1);
	assert_int_equal(enter(d, "2001:db8::1", 10, 5 * S), 2);
	/* Somebody with a known key was at one address: that is let in, the others of its /64 are not. */
	struct ip_addr board = addr("2001:db8::2");

	door_came(d, &board);
	door_proved(d, &board, 5 * S);
	assert_int_equal(enter(d, "2001:db8::2", 100, 5 * S), 100);
	assert_int_equal(enter(d, "2001:db8::1", 100, 5 * S), 0);
	/* An hour later it has been forgotten. */
	assert_int_equal(enter(d, "2001:db8::2", 100, 3700 * S), 32);
	door_free(d);
}

static void test_all_strangers(void **state)
{
	struct door *d = make(1000, 1000000, 1000);
	char text[32];
	unsigned in = 0;

	for (unsigned i = 0; i < 5000; i++) {
		(void) snprintf(text, sizeof(text), "198.18.%u.%u", i >> 8, i & 255);
		in += enter(d, text, 1, S);
		leave(d, text, 1, false);
	}
	assert_int_equal(in, 1000);
	in = 0;
	for (unsigned i = 0; i < 5000; i++) {
		(void) snprintf(text, sizeof(text), "198.19.%u.%u", i >> 8, i & 255);
		in += enter(d, text, 1, 2 * S);
	}
	assert_int_equal(in, 200);
	door_free(d);
}

static void test_crowd(void **state)
{
	struct door *d = make(1000, 20, 8);
	struct ip_addr a = addr("192.0.2.1"), b = addr("192.0.2.2"), c = addr("192.0.2.3");

	assert_int_equal(enter(d, "192.0.2.1", 8, S), 8);
	assert_int_equal(door_crowd(d, &a), DOOR_ROOM);
	assert_int_equal(enter(d, "192.0.2.1", 1, S), 1);
	assert_int_equal(door_crowd(d, &a), DOOR_CROWDED_SOURCE);
	leave(d, "192.0.2.1", 1, false);
	assert_int_equal(enter(d, "192.0.2.2", 8, S), 8);
	assert_int_equal(enter(d, "192.0.2.3", 4, S), 4);
	assert_int_equal(door_crowd(d, &c), DOOR_ROOM);
	assert_int_equal(enter(d, "192.0.2.3", 1, S), 1);
	assert_int_equal(door_crowd(d, &c), DOOR_CROWDED);
	/* Who is known is none of them. */
	door_proved(d, &b, S);
	assert_int_equal(door_crowd(d, &c), DOOR_ROOM);
	assert_int_equal(door_strangers_from(d, &b), 7);
	leave(d, "192.0.2.2", 1, true);
	assert_int_equal(door_strangers_from(d, &b), 7);
	assert_int_equal(enter(d, "192.0.2.3", 1, S), 1);
	assert_int_equal(door_crowd(d, &c), DOOR_CROWDED);
	assert_true(door_same_source(d, &a, &a));
	assert_false(door_same_source(d, &a, &b));
	door_free(d);
}

/* Who says nothing of rates has none. */
static void test_no_rates(void **state)
{
	struct door_limits limits = { .places = 5000, .per_source = 5000 };
	struct ip_addr a = addr("192.0.2.1");
	struct door *d = NULL;

	assert_int_equal(door_new(&limits, &d), 0);
	assert_int_equal(enter(d, "192.0.2.1", 3000, S), 3000);
	door_proved(d, &a, S);
	assert_int_equal(enter(d, "192.0.2.1", 2000, S), 2000);
	assert_int_equal(door_ask(d, &a, S), DOOR_FULL);
	door_free(d);
}

/* A source in which somebody is keeps its entry, whoever knocks. */
static void test_many_sources(void **state)
{
	struct door *d = make(1000, 1000, 1000);
	struct ip_addr a = addr("192.0.2.1");
	char text[32];

	assert_int_equal(enter(d, "192.0.2.1", 5, S), 5);
	for (unsigned i = 0; i < 200000; i++) {
		(void) snprintf(
			text, sizeof(text), "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
		struct ip_addr other = addr(text);

		(void) door_ask(d, &other, S);
	}
	assert_int_equal(door_strangers_from(d, &a), 5);
	door_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_all_strangers),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_many_sources),
		cmocka_unit_test(test_no_rates),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
