/* poll: which arguments are accepted, and what a board is told of the others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "coordinator/poll.h"

struct arguments {
	const char *seq, *wait, *cursor, *kube;
};

static const char *get(void *ctx, const char *name)
{
	const struct arguments *a = ctx;

	if (!strcmp(name, "seq"))
		return a->seq;
	if (!strcmp(name, "wait"))
		return a->wait;
	return !strcmp(name, "cursor") ? a->cursor : a->kube;
}

static void test_accepted(void **state)
{
	struct arguments all = { "17", "55", "00112233aabbccdd-42", "00112233aabbccdd" };
	struct arguments none = { 0 }, wants = { .kube = "" };
	struct poll_query q;
	struct err err = { 0 };

	assert_int_equal(poll_query_read(get, &all, &q, &err), 0);
	assert_int_equal(q.seq, 17);
	assert_int_equal(q.wait_s, 55);
	assert_string_equal(q.cursor, "00112233aabbccdd-42");
	assert_string_equal(q.kube, "00112233aabbccdd");
	assert_true(q.wants_kube);
	assert_int_equal(poll_query_read(get, &none, &q, &err), 0);
	assert_int_equal(q.seq, 0);
	assert_int_equal(q.wait_s, 0);
	assert_false(q.wants_kube);
	assert_string_equal(q.cursor, "");
	assert_int_equal(poll_query_read(get, &wants, &q, &err), 0);
	assert_true(q.wants_kube);
	assert_string_equal(q.kube, "");
}

static void test_refused(void **state)
{
	static const struct {
		struct arguments arguments;
		const char *names;
	} cases[] = {
		{ { .seq = "-1" }, "seq" },
		{ { .seq = "" }, "seq" },
		{ { .seq = "18446744073709551616" }, "seq" },
		{ { .wait = "56" }, "wait" },
		{ { .wait = " 5" }, "wait" },
		{ { .cursor = "0123456789012345678901234567890123456789" }, "cursor" },
		{ { .kube = "0011" }, "kube" },
		{ { .kube = "00112233AABBCCDD" }, "kube" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arguments a = cases[i].arguments;
		struct poll_query q = { .seq = 99 };
		struct err err = { 0 };

		assert_int_equal(poll_query_read(get, &a, &q, &err), -EINVAL);
		assert_non_null(strstr(err.text, cases[i].names));
		assert_int_equal(q.seq, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
