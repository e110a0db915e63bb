/* json: what is refused, and that the error names the field. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{\"a\":1}x",
		"{\"a\":1,\"a\":2}",
		"[1,]",
		"{\"a\":\"\\u0000\"}",
		"\"\xff\"",
		"nul",
		"[01]",
		"[1e999]",
		"[9223372036854775808]",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		json_t *j = json_parse(bad[i], strlen(bad[i]), &e);

		if (j)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(e.code, -EINVAL);
	}
	char deep[200];
	struct err e = { 0 };

	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	assert_null(json_parse(deep, 200, &e));
	assert_non_null(strstr(e.text, "nested"));
	CLEANUP_JSON json_t *fine =
		json_parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\"]", 51, &e);

	assert_non_null(fine);
}

static void test_fields(void **state)
{
	static const char text[] =
		"{\"s\":\"x\",\"n\":7,\"b\":true,\"l\":[1,2],\"o\":{},\"z\":null,"
		"\"a\":\"10.0.0.1\",\"p\":\"10.0.0.0/8\",\"neg\":-1}";
	CLEANUP_JSON json_t *j = json_parse(text, sizeof(text) - 1, NULL);
	struct err e = { 0 };
	const char *s;
	uint64_t n;
	bool b;
	json_t *v;
	struct ip_addr a;
	struct ip_prefix p;

	assert_non_null(j);
	assert_int_equal(json_get_str(j, "s", &s, &e), 0);
	assert_int_equal(json_get_u64(j, "n", 7, &n, &e), 0);
	assert_int_equal(json_get_u64(j, "n", 6, &n, &e), -EINVAL);
	assert_int_equal(json_get_u64(j, "neg", 6, &n, &e), -EINVAL);
	assert_int_equal(json_get_bool(j, "b", &b, &e), 0);
	assert_int_equal(json_get_array(j, "l", 2, &v, &e), 0);
	assert_int_equal(json_get_array(j, "l", 1, &v, &e), -EINVAL);
	assert_int_equal(json_get_object(j, "o", &v, &e), 0);
	assert_int_equal(json_get_addr(j, "a", AF_INET, &a, &e), 0);
	assert_int_equal(json_get_addr(j, "a", AF_INET6, &a, &e), -EINVAL);
	assert_int_equal(json_get_prefix(j, "p", AF_INET, &p, &e), 0);
	assert_int_equal(json_get_str(j, "z", &s, &e), -ENOENT);
	assert_int_equal(json_get_str(j, "n", &s, &e), -EINVAL);
	assert_string_equal(e.text, "field \"n\" must be a string");
	assert_int_equal(json_get_str(v, "missing", &s, &e), -ENOENT);
	static const char *const known[] = { "s", "n", NULL };

	assert_int_equal(json_only(j, known, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_refused),
		cmocka_unit_test(test_fields) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
