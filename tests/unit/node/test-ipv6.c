/* ipv6: when the helper is asked, what is thought meanwhile and after it, and who has IPv6. */
#include "fake-core.h"
#include "fake-helper.h"

#include "base/json.h"
#include "node/ipv6.h"

static struct core *core;
static struct ipv6 *ipv6;
static unsigned n_answered;
static enum iface_ipv6 then; /* what the interface is found to have after an answer */

/* As mesh.c does. */
static void answered(void *ctx)
{
	n_answered++;
	ipv6_found(*(struct ipv6 **) ctx, then);
}

static const struct ipv6_hooks hooks = { .answered = answered };

static int set_up(void **state)
{
	fake_helper_reset();
	n_answered = 0;
	then = IFACE_IPV6_UP;
	core = fake_core_new();
	ipv6 = ipv6_new(core, &hooks, &ipv6);
	assert_non_null(ipv6);
	return 0;
}

static int tear_down(void **state)
{
	ipv6 = ipv6_free(ipv6);
	assert_int_equal(fake_helper_waiting(), 0);
	core = fake_core_free(core);
	return 0;
}

static void test_up(void **state)
{
	ipv6_found(ipv6, IFACE_IPV6_UP);
	assert_false(ipv6_is_missing(ipv6));
	assert_int_equal(fake_helper_calls(), 0);
	fake_core_wrong(core, "ipv6", NULL);
}

/* While the helper is at it, it is neither asked again nor is anybody told. */
static void test_switched_off(void **state)
{
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	assert_int_equal(fake_helper_waiting(), 1);
	assert_string_equal(fake_helper_call(), "ipv6.enable");
	assert_string_equal(
		json_string_value(json_object_get(fake_helper_args(), "ifname")), "hearth0");
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	assert_int_equal(fake_helper_calls(), 1);
	assert_false(ipv6_is_missing(ipv6));
	fake_core_wrong(core, "ipv6", NULL);
	assert_int_equal(n_answered, 0);
	fake_helper_answer(json_pack("{s:b}", "changed", 1));
	assert_int_equal(n_answered, 1);
	assert_false(ipv6_is_missing(ipv6));
	fake_core_wrong(core, "ipv6", NULL);
	assert_int_equal(fake_core_logged("IPv6 was switched off on hearth0"), 1);
}

/* Another was faster: nothing to tell of. */
static void test_not_changed(void **state)
{
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	fake_helper_answer(json_pack("{s:b}", "changed", 0));
	assert_int_equal(n_answered, 1);
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_helper_fails(void **state)
{
	then = IFACE_IPV6_NONE;
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	fake_helper_fail(-EROFS, "/proc/sys is read-only");
	assert_int_equal(n_answered, 1);
	assert_true(ipv6_is_missing(ipv6));
	fake_core_wrong(core, "ipv6", "hearth0 has no IPv6");
	fake_core_wrong(core, "ipv6", "cannot change it: /proc/sys is read-only");
	ipv6_found(ipv6, IFACE_IPV6_UP); /* by somebody's hand */
	assert_false(ipv6_is_missing(ipv6));
	fake_core_wrong(core, "ipv6", NULL);
}

static void test_no_helper(void **state)
{
	fake_helper_refuses = -ENOENT;
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	assert_true(ipv6_is_missing(ipv6));
	fake_core_wrong(core, "ipv6", "No such file");
	assert_int_equal(n_answered, 0);
	/* It is there now. */
	fake_helper_refuses = 0;
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	fake_helper_answer(NULL);
	assert_false(ipv6_is_missing(ipv6));
	fake_core_wrong(core, "ipv6", NULL);
}

/* Asked three times at once; then it is missing until the pause is over. */
static void test_fight(void **state)
{
	for (int i = 0; i < 3; i++) {
		ipv6_found(ipv6, IFACE_IPV6_DISABLED);
		fake_helper_answer(json_pack("{s:b}", "changed", 1));
		assert_false(ipv6_is_missing(ipv6));
	}
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	assert_int_equal(fake_helper_calls(), 3);
	assert_true(ipv6_is_missing(ipv6));
	fake_event_pass(2 * USEC_PER_SEC);
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	assert_int_equal(fake_helper_calls(), 4);
	fake_helper_answer(json_pack("{s:b}", "changed", 1));
	assert_false(ipv6_is_missing(ipv6));
}

/* It cannot be had by asking: said once. */
static void test_kernel_without(void **state)
{
	ipv6_found(ipv6, IFACE_IPV6_NONE);
	assert_int_equal(fake_core_logged("this kernel has no IPv6"), 1);
	ipv6_found(ipv6, IFACE_IPV6_NONE);
	assert_int_equal(fake_core_logged(""), 0);
	assert_true(ipv6_is_missing(ipv6));
	assert_int_equal(fake_helper_calls(), 0);
	fake_core_wrong(core, "ipv6", NULL);
}

/* A node that has not announced itself yet is taken for one that has it. */
static void test_leads_to(void **state)
{
	fake_core_announce(2)->no_ipv6 = true;
	fake_core_announce(3)->no_ipv6 = false;
	fake_core_announce(1)->no_ipv6 = true; /* what others know of us is not what decides here */
	assert_true(ipv6_leads_to(ipv6, 1));
	assert_false(ipv6_leads_to(ipv6, 2));
	assert_true(ipv6_leads_to(ipv6, 3));
	assert_true(ipv6_leads_to(ipv6, 4));
	ipv6_found(ipv6, IFACE_IPV6_NONE);
	for (uint32_t id = 1; id <= 4; id++)
		assert_false(ipv6_leads_to(ipv6, id));
}

/* There is no mesh any more that would need it. */
static void test_forgotten(void **state)
{
	fake_helper_refuses = -ENOENT;
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	fake_core_wrong(core, "ipv6", "No such file");
	ipv6_forget(ipv6);
	fake_core_wrong(core, "ipv6", NULL);
}

/* The helper answers nobody any more. */
static void test_freed_while_asking(void **state)
{
	ipv6_found(ipv6, IFACE_IPV6_DISABLED);
	assert_int_equal(fake_helper_waiting(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(up),
		TEST(switched_off),
		TEST(not_changed),
		TEST(helper_fails),
		TEST(no_helper),
		TEST(fight),
		TEST(kernel_without),
		TEST(leads_to),
		TEST(forgotten),
		TEST(freed_while_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
