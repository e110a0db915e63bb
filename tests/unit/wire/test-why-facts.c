/* why (its document of facts): what is refused, what a later version may say, and that all comes back. */
#include "cases.h"

#include "wire/why.h"

static const char good[] =
	"{\"version\":\"0.1.0\",\"node\":3,\"about\":2,\"self\":\"up\",\"seq\":17,"
	"\"time_s\":1800000000,\"coordinator\":true,\"addresses\":[\"192.168.1.5:41741\","
	"\"[2001:db8::5]:41741\"],\"udp4\":\"yes\",\"udp6\":\"no\",\"proxy\":false,"
	"\"mapping\":\"random\",\"filtering\":\"port\",\"outside\":[\"203.0.113.1:4000\"],"
	"\"portmap\":\"behind\",\"portmap_by\":\"UPnP\",\"gateway\":\"100.64.3.4\","
	"\"router\":\"02:00:5e:10:00:01\","
	"\"relays\":2,\"bound\":1,\"way\":\"relayed\",\"endpoint\":null,\"relay\":9,"
	"\"relay_tcp\":true,\"rtt_us\":41000,\"mtu\":1420,\"since_s\":33,\"search_s\":30,"
	"\"knows\":3,\"heard_s\":1,\"handshake_s\":20,\"pong_s\":0,\"ping4_sent_s\":1,"
	"\"ping4_answered_s\":null,\"ping4_heard_s\":4,\"ping6_sent_s\":null,"
	"\"ping6_answered_s\":null,\"ping6_heard_s\":null,\"absent\":false}";

static int read_json(const json_t *json, struct err *err)
{
	struct why_facts facts;

	return why_facts_from_json(json, &facts, err);
}

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "{}", -EINVAL },
		{ "version", NULL, -EINVAL },
		{ "version", "\"\"", -EINVAL },
		{ "version", "\"0.1.0\\n\"", -EINVAL },
		{ "version", "\"0123456789012345678901234567890\"", 0 },
		{ "version", "\"01234567890123456789012345678901\"", -EINVAL },
		{ "node", "0", -EINVAL },
		{ "node", "2", -EINVAL }, /* of itself */
		{ "node", "16777216", -EINVAL },
		{ "node", "-1", -EINVAL },
		{ "node", "1.5", -EINVAL },
		{ "about", "0", -EINVAL },
		{ "about", NULL, -EINVAL },
		{ "self", "\"later\"", 0 },
		{ "self", "1", -EINVAL },
		{ "self", NULL, -EINVAL },
		{ "seq", "-1", -EINVAL },
		{ "time_s", "\"1\"", -EINVAL },
		{ "coordinator", "1", -EINVAL },
		{ "coordinator", NULL, -EINVAL },
		{ "addresses", "[]", 0 },
		{ "addresses", "[\"192.168.1.5\"]", -EINVAL },
		{ "addresses", "[\"192.168.01.5:1\"]", -EINVAL },
		{ "addresses", "[5]", -EINVAL },
		{ "addresses", "{}", -EINVAL },
		{ "addresses", NULL, -EINVAL },
		{ "outside",
			"[\"1.1.1.1:1\",\"1.1.1.1:2\",\"1.1.1.1:3\",\"1.1.1.1:4\",\"1.1.1.1:5\"]",
			-EINVAL },
		{ "udp4", "\"perhaps\"", 0 },
		{ "udp4", "true", -EINVAL },
		{ "mapping", "\"same\"", 0 },
		{ "portmap", NULL, -EINVAL },
		{ "portmap_by", NULL, 0 },
		{ "portmap_by", "\"0123456789012345\"", -EINVAL },
		{ "portmap_by", "5", -EINVAL },
		{ "gateway", "null", 0 },
		{ "gateway", "\"fd00::1\"", 0 },
		{ "gateway", "\"100.64.3\"", -EINVAL },
		{ "router", NULL, 0 },
		{ "router", "\"02:00:5e:10:00:012\"", -EINVAL },
		{ "router", "7", -EINVAL },
		{ "way", "\"none\"", 0 },
		{ "endpoint", "\"192.0.2.7:41741\"", 0 },
		{ "endpoint", "\"[fe80::1%2]:41741\"", 0 },
		{ "endpoint", "\"x\"", -EINVAL },
		{ "relay", "16777216", -EINVAL },
		{ "mtu", "65536", -EINVAL },
		{ "since_s", "4294967294", 0 },
		{ "since_s", "4294967295", -EINVAL },
		{ "since_s", "-1", -EINVAL },
		{ "heard_s", NULL, 0 },
		{ "ping6_heard_s", "\"never\"", -EINVAL },
		{ "later", "[{}]", 0 },
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_json);
}

static void test_round_trip(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good), *again = NULL;
	struct why_facts f;

	assert_int_equal(why_facts_from_json(json, &f, NULL), 0);
	assert_int_equal(f.udp[WHY_IPV6], WHY_NO);
	assert_int_equal(f.mapping, WHY_MAPPING_RANDOM);
	assert_int_equal(f.portmap, WHY_PORTMAP_BEHIND);
	assert_int_equal(f.n_addrs, 2);
	assert_string_equal(f.router, "02:00:5e:10:00:01");
	assert_int_equal(f.pings[WHY_IPV4].heard_s, 4);
	assert_int_equal(f.pings[WHY_IPV4].answered_s, WHY_NEVER);
	assert_int_equal(f.pings[WHY_IPV6].sent_s, WHY_NEVER);
	again = why_facts_to_json(&f);
	doc_assert_text(again, good);
}

/* A word of a later version is none that we know. */
static void test_later_words(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	struct why_facts f;

	json_object_set_new(json, "portmap", json_string("telepathy"));
	assert_int_equal(why_facts_from_json(json, &f, NULL), 0);
	assert_int_equal(f.portmap, WHY_PORTMAP_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_later_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
