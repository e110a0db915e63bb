/* problems: set, changed, over; the texts in the order in which they were met; an end to the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "node/problems.h"

static struct err *because(int code, const char *text)
{
	static struct err err;

	err_set(&err, code, "%s", text);
	return &err;
}

static void test_life(void **state)
{
	struct problems p = { 0 };
	const char *texts[PROBLEMS_MAX];

	assert_false(problem_is(&p, "disk"));
	problem_set(&p, "disk", NULL);
	assert_int_equal(p.n, 0); /* what never was costs nothing */
	problem_set(&p, "disk", because(-ENOSPC, "full"));
	problem_set(&p, "names", because(-EEXIST, "taken"));
	assert_true(problem_is(&p, "disk"));
	problem_set(&p, "disk", because(-ENOSPC, "still full")); /* the newest text */
	assert_string_equal(problem_text(&p, "disk"), "still full");
	assert_int_equal(problems_texts(&p, texts), 2);
	assert_string_equal(texts[0], "still full");
	assert_string_equal(texts[1], "taken");
	problem_set(&p, "disk", &(struct err){ 0 });
	assert_false(problem_is(&p, "disk"));
	assert_true(problem_is(&p, "names"));
	assert_int_equal(problems_texts(&p, texts), 1);
	problem_set(&p, "disk", because(-EIO, "worn"));
	assert_int_equal(problems_texts(&p, texts), 2);
	assert_string_equal(texts[0], "worn");
	problems_done(&p);
	assert_int_equal(problems_texts(&p, texts), 0);
}

static void test_full(void **state)
{
	static char names[PROBLEMS_MAX + 1][8];
	struct problems p = { 0 };
	const char *texts[PROBLEMS_MAX];

	for (int i = 0; i <= PROBLEMS_MAX; i++) {
		(void) snprintf(names[i], sizeof(names[i]), "%d", i);
		problem_set(&p, names[i], because(-EIO, names[i]));
	}
	assert_int_equal(problems_texts(&p, texts), PROBLEMS_MAX);
	assert_false(problem_is(&p, names[PROBLEMS_MAX]));
	problem_set(&p, names[PROBLEMS_MAX], NULL);
	problems_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_life),
		cmocka_unit_test(test_full) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
