/* limiter: bursts, refilling, families, and that many addresses neither grow it nor lock anybody out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "base/limiter.h"

#define S UINT64_C(1000000)

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static void test_bucket(void **state)
{
	struct limiter *l = limiter_new(3, 2 * S, 64);
	struct ip_addr a = addr("192.0.2.1"), b = addr("192.0.2.2");
	uint64_t wait = 0;

	for (int i = 0; i < 3; i++)
		assert_true(limiter_take(l, &a, 100 * S, NULL));
	assert_false(limiter_take(l, &a, 100 * S, &wait));
	assert_int_equal(wait, 2 * S);
	assert_true(limiter_take(l, &b, 100 * S, NULL));
	assert_false(limiter_take(l, &a, 101 * S, &wait));
	assert_int_equal(wait, S);
	assert_true(limiter_take(l, &a, 102 * S, NULL));
	assert_false(limiter_take(l, &a, 102 * S, NULL));
	limiter_return(l, &a);
	assert_true(limiter_take(l, &a, 102 * S, NULL));
	/* After a long time it is full, and not fuller. */
	for (int i = 0; i < 3; i++)
		assert_true(limiter_take(l, &a, 9000 * S, NULL));
	assert_false(limiter_take(l, &a, 9000 * S, NULL));
	assert_null(limiter_free(l));
}

static void test_ipv6(void **state)
{
	struct ip_addr a = addr("2001:db8:1:2::1"), same = addr("2001:db8:1:2:ffff::9"),
		       other = addr("2001:db8:1:3::1"), v4 = addr("192.0.2.1");
	struct ip_addr source_a = limiter_source(&a), source_same = limiter_source(&same),
		       source_other = limiter_source(&other), source_v4 = limiter_source(&v4);

	assert_true(ip_addr_equal(&source_a, &source_same));
	assert_false(ip_addr_equal(&source_a, &source_other));
	assert_true(ip_addr_equal(&source_v4, &v4));
}

static void test_many(void **state)
{
	struct limiter *l = limiter_new(2, S, 256);

	for (unsigned i = 0; i < 100000; i++) {
		char text[32];

		(void) snprintf(
			text, sizeof(text), "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
		struct ip_addr a = addr(text);

		assert_true(limiter_take(l, &a, S, NULL));
	}
	limiter_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_many),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
