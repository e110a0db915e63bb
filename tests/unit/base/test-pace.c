/* pace: when something is said, and when it is tried again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/pace.h"

#define HOUR (3600 * USEC_PER_SEC)
#define DAY  (24 * HOUR)

static void test_pace(void **state)
{
	struct pace pace = { 0 };
	unsigned held = 7, said = 0;

	for (int i = 0; i < 5; i++)
		said += pace_may(&pace, 3, HOUR, 1000, &held);
	assert_int_equal(said, 3);
	assert_false(pace_may(&pace, 3, HOUR, 1000 + HOUR - 1, &held));
	assert_int_equal(held, 0);
	assert_true(pace_may(&pace, 3, HOUR, 1000 + HOUR, &held));
	assert_int_equal(held, 3);
	/* A long silence fills it, to the brim and no further; a clock that goes back harms nothing. */
	for (int i = 0; i < 9; i++)
		said += pace_may(&pace, 3, HOUR, 1000 + 90 * DAY, NULL);
	assert_int_equal(said, 6);
	assert_false(pace_may(&pace, 3, HOUR, 5, NULL));
}

/* A day of tries, one each five seconds, for reasons that come in turn. */
static unsigned lines_of_day(const int *codes, size_t n)
{
	struct trouble trouble = { 0 };
	unsigned lines = 0;

	for (uint64_t t = 0; t < DAY; t += 5 * USEC_PER_SEC)
		lines += trouble_is(&trouble, codes[t / (5 * USEC_PER_SEC) % n], DAY + t);
	return lines;
}

static void test_trouble(void **state)
{
	static const int one[] = { -ECONNREFUSED };
	static const int two[] = { -ECONNREFUSED, -ETIMEDOUT };
	static const int many[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
	struct trouble trouble = { 0 };
	struct trouble_end end;

	assert_int_equal(lines_of_day(one, 1), 1);
	assert_int_equal(lines_of_day(two, 2), 2);
	assert_int_equal(lines_of_day(many, 12), TROUBLE_CODES_MAX);
	assert_false(trouble_over(&trouble, DAY, &end)); /* there was none */
	assert_true(trouble_is(&trouble, -EIO, DAY));
	assert_false(trouble_is(&trouble, -EIO, DAY + HOUR));
	assert_true(trouble_over(&trouble, DAY + 2 * HOUR, &end));
	assert_int_equal(end.lasted_us, 2 * HOUR);
	assert_int_equal(end.times, 2);
	assert_false(trouble_over(&trouble, DAY + 2 * HOUR, &end)); /* said already */
	assert_true(trouble_is(&trouble, -EIO, DAY + 3 * HOUR));    /* and it comes back */
}

/* What comes and goes each minute: no more lines than a day's budget, and each end belongs to a beginning. */
static void test_trouble_flaps(void **state)
{
	struct trouble trouble = { 0 };
	struct trouble_end end;
	unsigned begun = 0, ended = 0;

	for (uint64_t t = 0; t < DAY; t += 60 * USEC_PER_SEC) {
		begun += trouble_is(&trouble, -EIO, DAY + t);
		ended += trouble_over(&trouble, DAY + t + 1, &end);
	}
	assert_int_equal(begun, ended);
	assert_in_range(begun, 10, 15);
	/* One that then stays is told, if late. */
	for (uint64_t t = 0; t < 3 * HOUR; t += 60 * USEC_PER_SEC)
		begun += trouble_is(&trouble, -EIO, 2 * DAY + t);
	assert_true(begun > ended);
}

static void test_backoff(void **state)
{
	struct backoff backoff = { 0 };
	uint64_t now = DAY, before;

	assert_true(backoff_is_due(&backoff, 0));
	for (int i = 0; i < 100; i++) {
		before = now;
		backoff_failed(&backoff, 5 * USEC_PER_SEC, HOUR, now);
		assert_false(backoff_is_due(&backoff, backoff.next_us - 1));
		assert_true(backoff_is_due(&backoff, backoff.next_us));
		now = backoff.next_us;
		if (i == 0)
			assert_int_equal(now - before, 5 * USEC_PER_SEC);
		if (i == 2)
			assert_int_equal(now - before, 20 * USEC_PER_SEC);
	}
	assert_int_equal(now - before, HOUR);
}

static void test_span(void **state)
{
	char text[PACE_SPAN_MAX];

	assert_string_equal(pace_span_format(0, text), "0 s");
	assert_string_equal(pace_span_format(119 * USEC_PER_SEC, text), "119 s");
	assert_string_equal(pace_span_format(150 * USEC_PER_SEC, text), "2 min");
	assert_string_equal(pace_span_format(3 * HOUR, text), "3 h");
	assert_string_equal(pace_span_format(3 * DAY, text), "3 days");
	assert_true(pace_span_format(UINT64_MAX, text)[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_trouble_flaps),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
