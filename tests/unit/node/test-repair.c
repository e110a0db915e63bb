/* repair: repairs at once, then ever more slowly, then forgiven. Time is moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "node/repair.h"

/* Undone again as soon as it was put right: the pauses in seconds. */
static void test_fight(void **state)
{
	static const unsigned pauses_s[] = { 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 240, 240 };
	struct repair repair = { 0 };
	uint64_t now = USEC_PER_SEC;

	for (size_t i = 0; i < sizeof(pauses_s) / sizeof(*pauses_s); i++) {
		uint64_t wait = repair_wait_us(&repair, now);

		assert_int_equal(wait, pauses_s[i] * USEC_PER_SEC);
		now += wait;
		assert_int_equal(repair_wait_us(&repair, now), 0);
		repair_done(&repair, now);
		assert_int_equal(repair_is_fight(&repair, now), i >= 3);
	}
	now += 600 * USEC_PER_SEC;
	assert_true(repair_is_fight(&repair, now));
	now++;
	assert_false(repair_is_fight(&repair, now));
	assert_int_equal(repair_wait_us(&repair, now), 0);
	repair_done(&repair, now);
	assert_false(repair_is_fight(&repair, now));
}

/* Once at every boot, or once an hour, is no fight however long it goes on. */
static void test_seldom(void **state)
{
	struct repair repair = { 0 };
	uint64_t now = 0;

	for (int i = 0; i < 100; i++) {
		now += 3600 * USEC_PER_SEC;
		assert_int_equal(repair_wait_us(&repair, now), 0);
		repair_done(&repair, now);
		assert_false(repair_is_fight(&repair, now));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fight),
		cmocka_unit_test(test_seldom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
