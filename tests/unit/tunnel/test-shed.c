/* shed: floods of handshakes against a share that follows them. */
#include "tunnel/shed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "wire/wg.h"

enum { ANSWERS = SHED_PER_WINDOW / SHED_DEAR };

static uint8_t plain[WG_INITIATION_LEN], proven[WG_INITIATION_LEN], cookie[WG_COOKIE_REPLY_LEN];

static bool admit(struct shed *s, const uint8_t *data, size_t len, unsigned cost)
{
	int class = shed_admit(s, data, len);

	if (class >= 0)
		shed_charge(s, class, cost);
	return class >= 0;
}

/* One window of @offered messages of which the sockets let in their share. Returns those admitted. */
static unsigned window_of(struct shed *s, const uint8_t *data, size_t len,
	enum sock_shed_class class, unsigned offered, unsigned cost, uint64_t *now_us)
{
	unsigned admitted = 0;
	double due = 0;

	for (unsigned i = 0; i < offered; i++) {
		if (i % 64 == 0)
			(void) shed_update(s, *now_us + (uint64_t) i * SHED_WINDOW_US / offered);
		due += (double) s->keep[class] / SOCK_SHED_ALL;
		if (due < 1)
			continue;
		due -= 1;
		admitted += admit(s, data, len, cost);
	}
	*now_us += SHED_WINDOW_US;
	(void) shed_update(s, *now_us);
	return admitted;
}

static unsigned window(struct shed *s, const uint8_t *data, size_t len, enum sock_shed_class class,
	unsigned offered, uint64_t *now_us)
{
	return window_of(s, data, len, class, offered, SHED_DEAR, now_us);
}

static void a_few_are_never_shed(void **state)
{
	uint64_t now_us = 5000000;
	struct shed s;

	shed_init(&s);
	assert_false(shed_is_on(&s));
	assert_true(shed_deadline(&s) == UINT64_MAX);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(
			window(&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 450, &now_us), 450);
		assert_false(shed_is_on(&s));
	}
}

static void a_flood_is_cut_to_its_budget(void **state)
{
	uint64_t now_us = 5000000;
	unsigned n;
	struct shed s;

	shed_init(&s);
	n = window(&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 20000, &now_us);
	assert_in_range(n, ANSWERS / 2, 2 * ANSWERS);
	assert_true(shed_is_on(&s));
	assert_in_range(shed_deadline(&s), now_us - SHED_WINDOW_US, now_us + SHED_WINDOW_US);
	n = 0;
	for (int i = 0; i < 20; i++)
		n += window(&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 20000, &now_us);
	assert_in_range(n, 20 * ANSWERS / 2, 20 * ANSWERS * 3 / 2);
	/* The other class is not touched. */
	assert_int_equal(s.keep[SOCK_SHED_PROVEN], SOCK_SHED_ALL);
	assert_int_equal(shed_admit(&s, proven, sizeof(proven)), SOCK_SHED_PROVEN);
}

static void it_is_over_when_it_is_over(void **state)
{
	uint64_t now_us = 5000000;
	struct shed s;
	int i;

	shed_init(&s);
	for (i = 0; i < 5; i++)
		(void) window(&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 2000000, &now_us);
	assert_true(s.keep[SOCK_SHED_UNPROVEN] >= SOCK_SHED_ALL >> 12);
	for (i = 0; i < 20 && shed_is_on(&s); i++) {
		now_us = shed_deadline(&s);
		(void) shed_update(&s, now_us);
	}
	assert_in_range(i, 8, 14); /* not at once, and soon */
	assert_int_equal(window(&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 450, &now_us), 450);
}

static void classes(void **state)
{
	uint64_t now_us = 5000000;
	struct shed s;

	shed_init(&s);
	(void) window(&s, proven, sizeof(proven), SOCK_SHED_PROVEN, 50000, &now_us);
	assert_int_equal(s.keep[SOCK_SHED_UNPROVEN], SOCK_SHED_ALL);
	assert_true(s.keep[SOCK_SHED_PROVEN] < SOCK_SHED_ALL / 10);
	shed_init(&s);
	(void) window(&s, cookie, sizeof(cookie), SOCK_SHED_UNPROVEN, 50000, &now_us);
	assert_true(s.keep[SOCK_SHED_UNPROVEN] < SOCK_SHED_ALL / 10);
}

/* Neither a flood of handshakes nor one of what is not WireGuard's is at the other's expense. */
static void what_is_not_wireguards(void **state)
{
	static const uint8_t aside[][8] = { "TS\xf0\x9f", { 0, 1, 0, 0, 0x21 }, { 1, 1, 0, 0 },
		{ 4, 0, 0, 1 }, { 5 }, { 0 }, { 0xff, 0, 0, 0 } };
	uint64_t now_us = 5000000;
	struct shed s;

	for (size_t i = 0; i < sizeof(aside) / sizeof(aside[0]); i++) {
		shed_init(&s);
		(void) window(&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 50000, &now_us);
		(void) window(&s, proven, sizeof(proven), SOCK_SHED_PROVEN, 50000, &now_us);
		assert_int_equal(s.keep[SOCK_SHED_ASIDE], SOCK_SHED_ALL);
		assert_int_equal(shed_admit(&s, aside[i], sizeof(aside[i])), SOCK_SHED_ASIDE);
		shed_init(&s);
		(void) window(&s, aside[i], sizeof(aside[i]), SOCK_SHED_ASIDE, 50000, &now_us);
		assert_true(s.keep[SOCK_SHED_ASIDE] < SOCK_SHED_ALL / 10);
		assert_true(shed_is_on(&s));
		assert_int_equal(s.keep[SOCK_SHED_UNPROVEN], SOCK_SHED_ALL);
		assert_int_equal(s.keep[SOCK_SHED_PROVEN], SOCK_SHED_ALL);
	}
}

static void refusals_are_cheap(void **state)
{
	uint64_t now_us = 5000000;
	unsigned n = 0;
	struct shed s;

	shed_init(&s);
	for (int i = 0; i < 20; i++)
		n = window_of(
			&s, plain, sizeof(plain), SOCK_SHED_UNPROVEN, 20000, SHED_CHEAP, &now_us);
	assert_in_range(n, SHED_PER_WINDOW / 2, 2 * SHED_PER_WINDOW);
}

static void a_window_has_an_end_of_its_own(void **state)
{
	struct shed s;
	unsigned n = 0;

	/* where the kernel offers no filter, and within one batch */
	shed_init(&s);
	(void) shed_update(&s, 1000000);
	for (int i = 0; i < 100000; i++)
		n += admit(&s, plain, sizeof(plain), SHED_DEAR);
	assert_int_equal(n, ANSWERS);
	assert_true(shed_update(&s, 1000001)); /* does not wait for the end of the window */
	assert_true(shed_is_on(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_are_never_shed),
		cmocka_unit_test(a_flood_is_cut_to_its_budget),
		cmocka_unit_test(it_is_over_when_it_is_over),
		cmocka_unit_test(classes),
		cmocka_unit_test(what_is_not_wireguards),
		cmocka_unit_test(refusals_are_cheap),
		cmocka_unit_test(a_window_has_an_end_of_its_own),
	};

	memset(cookie, 7, sizeof(cookie));
	memset(plain, 7, sizeof(plain) - WG_MAC_LEN);
	memset(proven, 7, sizeof(proven));
	memcpy(cookie, (uint8_t[4]){ WG_TYPE_COOKIE_REPLY }, 4);
	memcpy(plain, (uint8_t[4]){ WG_TYPE_INITIATION }, 4);
	memcpy(proven, (uint8_t[4]){ WG_TYPE_INITIATION }, 4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
