/* Who has proven nothing gets little, and nobody's share is another's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/clock.h"
#include "relay/strangers.h"

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static unsigned answered(struct strangers *s, enum strangers_kind kind, const char *text,
	unsigned tries, uint64_t now_us)
{
	struct ip_addr addr = addr_of(text);
	unsigned n = 0;

	for (unsigned i = 0; i < tries; i++)
		n += strangers_may(s, kind, &addr, now_us);
	return n;
}

static void test_each(void **state)
{
	static const enum strangers_kind kinds[] = { STRANGERS_COOKIE, STRANGERS_UNKNOWN,
		STRANGERS_STUN };
	struct strangers *s = strangers_new();
	uint64_t now_us = 7 * USEC_PER_SEC;

	for (size_t i = 0; i < STRANGERS_KINDS; i++) {
		assert_int_equal(
			answered(s, kinds[i], "192.0.2.1", 200, now_us), STRANGERS_EACH_BURST);
		assert_int_equal(
			answered(s, kinds[i], "192.0.2.2", 200, now_us), STRANGERS_EACH_BURST);
	}
	assert_int_equal(answered(s, STRANGERS_STUN, "192.0.2.1", 200, now_us), 0);
	assert_int_equal(
		answered(s, STRANGERS_STUN, "192.0.2.1", 200, now_us + 5 * STRANGERS_EACH_US), 5);
	/* all addresses of one household are one */
	assert_int_equal(answered(s, STRANGERS_STUN, "2001:db8::1", 60, now_us), 60);
	assert_int_equal(answered(s, STRANGERS_STUN, "2001:db8::f:1", 60, now_us), 4);
	assert_int_equal(answered(s, STRANGERS_STUN, "2001:db8:0:1::1", 60, now_us), 60);
	(void) strangers_free(s);
	(void) strangers_free(NULL);
}

/* A hundred thousand forged addresses at once. */
static void test_all(void **state)
{
	struct strangers *s = strangers_new();
	uint64_t now_us = 7 * USEC_PER_SEC;
	unsigned n = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		struct ip_addr addr = { .family = AF_INET };

		memcpy(addr.bytes, &i, sizeof(i));
		n += strangers_may(s, STRANGERS_COOKIE, &addr, now_us + i * 10);
	}
	/* in one second: 1,000 and 5,000 */
	assert_in_range(n, STRANGERS_ALL_BURST + 4990, STRANGERS_ALL_BURST + 5000);
	assert_int_equal(answered(s, STRANGERS_STUN, "192.0.2.1", 5, now_us + USEC_PER_SEC), 5);
	(void) strangers_free(s);
}

/* Who has had his own share takes nothing of everybody's. */
static void test_one_takes_not_all(void **state)
{
	struct strangers *s = strangers_new();

	assert_int_equal(answered(s, STRANGERS_COOKIE, "192.0.2.1", 100000, USEC_PER_SEC),
		STRANGERS_EACH_BURST);
	assert_int_equal(answered(s, STRANGERS_COOKIE, "192.0.2.2", 10, USEC_PER_SEC), 10);
	(void) strangers_free(s);
}

static void test_denied(void **state)
{
	struct ip_prefix denied[STRANGERS_DENIED_MAX + 1];
	struct strangers *s = strangers_new();
	struct ip_addr inside = addr_of("fd00::1"), outside = addr_of("10.1.0.1");

	assert_int_equal(ip_prefix_parse("fd00::/48", &denied[0]), 0);
	assert_int_equal(ip_prefix_parse("10.0.0.0/16", &denied[1]), 0);
	for (size_t i = 2; i <= STRANGERS_DENIED_MAX; i++)
		denied[i] = denied[0];
	assert_false(strangers_denied(s, &inside));
	assert_int_equal(strangers_deny(s, denied, 2), 0);
	assert_true(strangers_denied(s, &inside));
	assert_false(strangers_denied(s, &outside));
	assert_int_equal(answered(s, STRANGERS_UNKNOWN, "10.0.255.1", 1, USEC_PER_SEC), 0);
	assert_int_equal(answered(s, STRANGERS_UNKNOWN, "10.1.0.1", 1, USEC_PER_SEC), 1);
	assert_int_equal(strangers_deny(s, denied, STRANGERS_DENIED_MAX + 1), -E2BIG);
	assert_true(strangers_denied(s, &inside));
	assert_int_equal(strangers_deny(s, NULL, 0), 0);
	assert_false(strangers_denied(s, &inside));
	(void) strangers_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_one_takes_not_all),
		cmocka_unit_test(test_denied),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
