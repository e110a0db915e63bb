/*
 * mapping: against gateways that the test plays: by what they are asked, when, how often, and what
 * is kept of what they say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/mapping.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static struct mapping m;
static uint64_t now_us, round_us;

/* What was asked for since this was looked at last: "pcp@0 look@0 upnp@250", in milliseconds. */
static char asked[1024];

static void drive(void)
{
	static const char *const names[] = { "", "pcp", "look", "natpmp", "upnp" };
	enum mapping_act act;

	while ((act = mapping_act(&m, now_us)) != MAPPING_ACT_WAIT) {
		size_t len = strlen(asked);

		if (m.round_us > round_us)
			round_us = m.round_us;
		(void) snprintf(asked + len, sizeof(asked) - len, "%s%s@%u", len ? " " : "",
			names[act], (unsigned) ((now_us - round_us) / MS));
	}
}

/* Time passes for @us, and everything is done when it is due. */
static void pass(uint64_t us)
{
	uint64_t end = now_us + us;

	for (unsigned i = 0;; i++) {
		uint64_t deadline = mapping_deadline(&m);

		assert_true(i < 1000); /* nothing is due for ever */
		if (deadline > end)
			break;
		now_us = deadline > now_us ? deadline : now_us;
		drive();
	}
	now_us = end;
}

static void assert_asked(const char *expected)
{
	assert_string_equal(asked, expected);
	asked[0] = 0;
}

static void begin(int family)
{
	mapping_init(&m, family);
	now_us = 1000 * SECOND;
	round_us = 0;
	asked[0] = 0;
	mapping_begin(&m, now_us);
	drive();
}

static int set_up(void **state)
{
	begin(AF_INET);
	return 0;
}

static struct mapping_made a_mapping(const char *outside, uint32_t lifetime_s, uint32_t epoch_s)
{
	struct mapping_made ret = {
		.lifetime_s = lifetime_s, .has_epoch = true, .epoch_s = epoch_s
	};

	assert_int_equal(endpoint_parse(outside, &ret.outside), 0);
	return ret;
}

static bool made(
	enum mapping_protocol by, const char *outside, uint32_t lifetime_s, uint32_t epoch_s)
{
	struct mapping_made it = a_mapping(outside, lifetime_s, epoch_s);
	bool restarted = mapping_made(&m, by, &it, now_us);

	drive();
	return restarted;
}

static bool address(const char *text, uint32_t epoch_s)
{
	struct ip_addr addr;
	bool restarted;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	restarted = mapping_address(&m, &addr, epoch_s, now_us);
	drive();
	return restarted;
}

static void refused(enum mapping_protocol by, enum mapping_why why, int detail)
{
	mapping_refused(&m, by, why, detail, now_us);
	drive();
}

static void assert_held(enum mapping_protocol by, const char *outside)
{
	char text[ENDPOINT_TEXT_MAX];

	assert_int_equal(m.held, by);
	assert_string_equal(
		mapping_outside(&m) ? endpoint_format(mapping_outside(&m), text) : "", outside);
}

static void assert_none(enum mapping_why why, int detail)
{
	assert_held(MAPPING_NONE, "");
	assert_int_equal(m.why.why, why);
	assert_int_equal(m.why.detail, detail);
}

/* --- gateways --- */

static void test_pcp(void **state)
{
	assert_asked("pcp@0 look@0");
	assert_none(MAPPING_WHY_ASKING, 0);
	pass(3 * MS);
	assert_false(made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50));
	assert_held(MAPPING_PCP, "203.0.113.7:2000");
	assert_false(mapping_is_nested(&m));
	assert_false(m.in_round);
	/* An hour of an idle board: four looks, by what it has. */
	for (unsigned i = 1; i <= 4; i++) {
		assert_asked("");
		assert_int_equal(mapping_deadline(&m), now_us + 15 * MINUTE);
		pass(15 * MINUTE);
		assert_asked("pcp@0");
		assert_false(made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50 + 900 * i));
	}
}

/* A gateway that gives it for less is asked at half of that. */
static void test_half_life(void **state)
{
	made(MAPPING_PCP, "203.0.113.7:2000", 600, 50);
	assert_int_equal(mapping_deadline(&m), now_us + 5 * MINUTE);
	assert_asked("pcp@0 look@0");
	/* For less than two minutes: none. */
	pass(5 * MINUTE);
	made(MAPPING_PCP, "203.0.113.7:2000", 119, 350);
	assert_none(MAPPING_WHY_SHORT, 0);
	/* For ever: a day at most. */
	begin(AF_INET);
	made(MAPPING_PCP, "203.0.113.7:2000", UINT32_MAX, 50);
	pass(23 * HOUR);
	assert_held(MAPPING_PCP, "203.0.113.7:2000");
	pass(HOUR);
	assert_held(MAPPING_NONE, "");
}

static void test_natpmp(void **state)
{
	/* It speaks NAT-PMP alone: one that PCP has not answered waits for that. */
	address("203.0.113.7", 50);
	assert_asked("pcp@0 look@0");
	refused(MAPPING_PCP, MAPPING_WHY_NOTHING, 0);
	assert_asked("natpmp@0");
	pass(2 * MS);
	made(MAPPING_NATPMP, "0.0.0.0:2000", 7200, 50); /* it tells a port only */
	assert_held(MAPPING_NATPMP, "203.0.113.7:2000");
	pass(15 * MINUTE);
	assert_asked("look@0");
	address("203.0.113.8", 950);
	assert_asked("natpmp@0");
	made(MAPPING_NATPMP, "0.0.0.0:2000", 7200, 950);
	assert_held(MAPPING_NATPMP, "203.0.113.8:2000");
	/* One that is silent to PCP. */
	begin(AF_INET);
	address("203.0.113.7", 50);
	pass(260 * MS);
	assert_asked("pcp@0 look@0 pcp@250 natpmp@250");
	made(MAPPING_NATPMP, "0.0.0.0:2000", 7200, 50);
	assert_held(MAPPING_NATPMP, "203.0.113.7:2000");
}

/* The answers to the port are lost, then those to all of it. */
static void test_natpmp_lost(void **state)
{
	address("203.0.113.7", 50);
	refused(MAPPING_PCP, MAPPING_WHY_NOTHING, 0);
	pass(3900 * MS);
	assert_asked("pcp@0 look@0 natpmp@0 natpmp@250 natpmp@750 natpmp@1750 upnp@3750");
}

static void test_upnp(void **state)
{
	struct mapping_made it = a_mapping("203.0.113.7:2000", 0, 0);

	it.has_epoch = false;
	/* The others are tried on meanwhile. */
	pass(2 * SECOND);
	assert_asked("pcp@0 look@0 pcp@250 look@250 upnp@250 pcp@750 look@750 pcp@1750 look@1750");
	assert_false(mapping_made(&m, MAPPING_UPNP, &it, now_us));
	assert_held(MAPPING_UPNP, "203.0.113.7:2000");
	pass(15 * MINUTE);
	assert_asked("upnp@0");
	/* Nobody else is there: at once. */
	begin(AF_INET);
	refused(MAPPING_NATPMP, MAPPING_WHY_NOTHING, 0);
	refused(MAPPING_PCP, MAPPING_WHY_NOTHING, 0);
	assert_asked("pcp@0 look@0 upnp@0");
	/* PCP answers late: first come, first served. */
	begin(AF_INET);
	pass(300 * MS);
	made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50);
	assert_held(MAPPING_PCP, "203.0.113.7:2000");
	assert_false(m.in_round);
	made(MAPPING_UPNP, "203.0.113.9:1", 7200, 50); /* that was not waited for */
	assert_held(MAPPING_PCP, "203.0.113.7:2000");
}

/* None: after a minute, for it may have just started; after 10, 20, 40 minutes, then each hour. */
static void test_nothing(void **state)
{
	static const unsigned minutes[] = { 1, 10, 20, 40, 60, 60 };

	for (size_t i = 0; i < 6; i++) {
		refused(MAPPING_UPNP, MAPPING_WHY_NOTHING, 0); /* it is not asked yet: ignored */
		pass(SECOND);
		refused(MAPPING_UPNP, MAPPING_WHY_NOTHING, 0);
		pass(3 * SECOND);
		assert_none(MAPPING_WHY_NOTHING, 0);
		assert_asked("pcp@0 look@0 pcp@250 look@250 upnp@250 pcp@750 look@750 pcp@1750 "
			     "look@1750");
		pass(minutes[i] * MINUTE - 2 * SECOND);
		assert_asked("");
		pass(2 * SECOND);
		now_us = round_us;
	}
}

static void test_refused(void **state)
{
	refused(MAPPING_PCP, MAPPING_WHY_REFUSED, 2);
	refused(MAPPING_NATPMP, MAPPING_WHY_REFUSED, 3);
	assert_none(MAPPING_WHY_ASKING, 0);
	/* That UPnP is not there says less than that the others are, and say no. */
	refused(MAPPING_UPNP, MAPPING_WHY_NOTHING, 0);
	assert_none(MAPPING_WHY_REFUSED, 3);
	assert_false(m.in_round);
	assert_int_equal(mapping_deadline(&m), now_us + MINUTE);
	/* Something has changed: at once. */
	mapping_hurry(&m, now_us);
	mapping_hurry(&m, now_us);
	assert_int_equal(mapping_deadline(&m), now_us);
	pass(30 * SECOND);
	assert_asked("pcp@0 look@0 upnp@0 pcp@0 look@0 pcp@250 look@250 upnp@250 pcp@750 look@750 "
		     "pcp@1750 look@1750");
}

static void test_ipv6(void **state)
{
	begin(AF_INET6);
	pass(10 * SECOND);
	assert_asked("pcp@0 pcp@250 pcp@750 pcp@1750");
	assert_none(MAPPING_WHY_NOTHING, 0);
}

/* --- what is lost --- */

static void test_renewal_unanswered(void **state)
{
	made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50);
	assert_asked("pcp@0 look@0");
	pass(15 * MINUTE + 4 * SECOND);
	assert_asked("pcp@0 pcp@250 pcp@750 pcp@1750");
	assert_held(MAPPING_PCP, "203.0.113.7:2000");
	/* Soon by all, for it may be another gateway now. */
	pass(11 * SECOND);
	assert_asked("pcp@0 look@0 pcp@250 look@250 upnp@250 pcp@750 look@750");
	refused(MAPPING_UPNP, MAPPING_WHY_NOTHING, 0);
	/* It stays until its life is over. */
	pass(100 * MINUTE);
	assert_held(MAPPING_PCP, "203.0.113.7:2000");
	asked[0] = 0;
	pass(5 * MINUTE);
	assert_none(MAPPING_WHY_NOTHING, 0);
}

static void test_renewal_refused(void **state)
{
	made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50);
	pass(15 * MINUTE);
	refused(MAPPING_PCP, MAPPING_WHY_REFUSED, 7);
	assert_none(MAPPING_WHY_REFUSED, 7);
	assert_int_equal(mapping_deadline(&m), now_us + 10 * SECOND);
	/* The port of before is asked for again. */
	assert_int_equal(m.outside.port, 2000);
}

/* RFC 6887, 8.5. */
static void test_epoch(void **state)
{
	static const struct {
		unsigned after_s;
		uint32_t epoch_s;
		bool restarted;
	} cases[] = {
		{ 900, 1900, false },
		{ 900, 1900 + 900 - 50, false }, /* slower than ours, by less than a sixteenth */
		{ 900, 1900 + 850 + 960 - 1, false }, /* faster */
		{ 900, 3709 + 900 - 70, true },       /* too slow: it was off for a minute */
		{ 900, 4539 + 1100, true },           /* too fast */
		{ 900, 5, true },                     /* it started anew, just now ... */
		{ 900, 905, false },
		{ 900, 904, true },
	};

	made(MAPPING_PCP, "203.0.113.7:2000", 7200, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pass(cases[i].after_s * SECOND);
		assert_int_equal(made(MAPPING_PCP, "203.0.113.7:2000", 7200, cases[i].epoch_s),
			cases[i].restarted);
		assert_held(MAPPING_PCP, "203.0.113.7:2000"); /* the answer itself made it again */
	}
	/* A moment later, back by more than a moment. */
	now_us += SECOND;
	mapping_hurry(&m, now_us);
	drive();
	assert_true(made(MAPPING_PCP, "203.0.113.7:2000", 7200, 902));
	assert_int_equal(m.restarts, 5);
}

/* RFC 6886, 3.6: it may be an eighth slower. */
static void test_epoch_natpmp(void **state)
{
	refused(MAPPING_PCP, MAPPING_WHY_NOTHING, 0);
	assert_false(address("203.0.113.7", UINT32_MAX - 1));
	assert_false(made(MAPPING_NATPMP, "0.0.0.0:2000", 7200, UINT32_MAX));
	pass(15 * MINUTE);
	assert_true(address("203.0.113.7", 3));
	made(MAPPING_NATPMP, "0.0.0.0:2000", 7200, 3);
	pass(15 * MINUTE);
	assert_false(address("203.0.113.7", 3 + 788));
	made(MAPPING_NATPMP, "0.0.0.0:2000", 7200, 791);
	pass(15 * MINUTE);
	assert_true(address("203.0.113.7", 791 + 780));
	assert_int_equal(m.restarts, 2);
}

/* A gateway whose clock lies: at once, a few times, then ever more seldom. */
static void test_hurry(void **state)
{
	made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50);
	asked[0] = 0;
	for (unsigned i = 0; i < 3600; i++) {
		mapping_hurry(&m, now_us);
		drive();
		if (m.in_round)
			made(MAPPING_PCP, "203.0.113.7:2000", 7200, i % 2);
		now_us += SECOND;
	}
	assert_true(strlen(asked) >= 4 * strlen("pcp@0 "));
	assert_true(strlen(asked) <= 20 * strlen("pcp@0 "));
	mapping_end(&m, MAPPING_WHY_OFF);
	mapping_hurry(&m, now_us);
	assert_int_equal(mapping_deadline(&m), MAPPING_NEVER);
}

/* --- gateways that come and go --- */

static void test_begin(void **state)
{
	made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50);
	pass(SECOND);
	asked[0] = 0;
	mapping_begin(&m, now_us);
	assert_none(MAPPING_WHY_ASKING, 0);
	assert_int_equal(m.outside.port, 0); /* that was another gateway's */
	drive();
	assert_asked("pcp@0 look@0");
	mapping_end(&m, MAPPING_WHY_NO_GATEWAY);
	assert_none(MAPPING_WHY_NO_GATEWAY, 0);
	pass(HOUR);
	assert_asked("");
	/* Whoever has the board change its gateway all the time has it ask ever more seldom. */
	for (unsigned i = 0; i < 3600; i++) {
		mapping_begin(&m, now_us);
		pass(SECOND);
	}
	assert_true(strlen(asked) < 20 * strlen("pcp@0 look@0 pcp@250 look@250 upnp@250 "));
}

static void test_ignored(void **state)
{
	made(MAPPING_NATPMP, "203.0.113.7:2000", 7200, 50); /* it was not asked for a port */
	mapping_init(&m, AF_INET);
	assert_none(MAPPING_WHY_NO_GATEWAY, 0);
	assert_false(made(MAPPING_PCP, "203.0.113.7:2000", 7200, 50));
	assert_false(address("203.0.113.7", 50));
	refused(MAPPING_PCP, MAPPING_WHY_REFUSED, 2);
	assert_none(MAPPING_WHY_NO_GATEWAY, 0);
	assert_int_equal(mapping_act(&m, now_us), MAPPING_ACT_WAIT);
}

/* --- what others are told --- */

static void test_may_be_told(void **state)
{
	static const struct {
		const char *outside;
		bool ipv6, may;
	} cases[] = {
		{ "203.0.113.7:2000", false, true },
		{ "192.168.0.7:2000", false, true }, /* another NAT above: told, last */
		{ "100.64.0.7:2000", false, true },
		{ "10.77.0.3:2000", false, false }, /* the mesh's */
		{ "127.0.0.1:2000", false, false },
		{ "0.0.0.0:2000", false, false },
		{ "169.254.1.1:2000", false, false },
		{ "224.0.0.1:2000", false, false },
		{ "255.255.255.255:2000", false, false },
		{ "203.0.113.7:0", false, false },
		{ "[2001:db8::1]:2000", false, false },
		{ "[2001:db8::1]:2000", true, true },
		{ "[fe80::1]:2000", true, false },
		{ "[::1]:2000", true, false },
		{ "[::]:2000", true, false },
		{ "[ff02::1]:2000", true, false },
		{ "203.0.113.7:2000", true, false },
	};
	struct ip_prefix mesh;

	assert_int_equal(ip_prefix_parse("10.77.0.0/16", &mesh), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct endpoint outside;

		assert_int_equal(endpoint_parse(cases[i].outside, &outside), 0);
		assert_int_equal(
			mapping_may_be_told(&outside, cases[i].ipv6 ? AF_INET6 : AF_INET, &mesh, 1),
			cases[i].may);
	}
}

static void test_nested(void **state)
{
	made(MAPPING_PCP, "100.64.0.7:2000", 7200, 50);
	assert_true(mapping_is_nested(&m));
}

static void test_names(void **state)
{
	assert_null(mapping_protocol_name(MAPPING_NONE));
	assert_string_equal(mapping_protocol_name(MAPPING_UPNP), "upnp");
	for (enum mapping_why why = MAPPING_WHY_OFF; why <= MAPPING_WHY_BROKEN; why++) {
		assert_true(strlen(mapping_why_name(why)) > 2);
		assert_true(strlen(mapping_why_words(why)) > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pcp, set_up),
		cmocka_unit_test_setup(test_half_life, set_up),
		cmocka_unit_test_setup(test_natpmp, set_up),
		cmocka_unit_test_setup(test_natpmp_lost, set_up),
		cmocka_unit_test_setup(test_upnp, set_up),
		cmocka_unit_test_setup(test_nothing, set_up),
		cmocka_unit_test_setup(test_refused, set_up),
		cmocka_unit_test_setup(test_ipv6, set_up),
		cmocka_unit_test_setup(test_renewal_unanswered, set_up),
		cmocka_unit_test_setup(test_renewal_refused, set_up),
		cmocka_unit_test_setup(test_epoch, set_up),
		cmocka_unit_test_setup(test_epoch_natpmp, set_up),
		cmocka_unit_test_setup(test_hurry, set_up),
		cmocka_unit_test_setup(test_begin, set_up),
		cmocka_unit_test_setup(test_ignored, set_up),
		cmocka_unit_test_setup(test_may_be_told, set_up),
		cmocka_unit_test_setup(test_nested, set_up),
		cmocka_unit_test_setup(test_names, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
