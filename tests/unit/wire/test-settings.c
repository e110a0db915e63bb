/* settings: lengths, places, virtual addresses; unknown fields survive. */
#include "cases.h"

#include "wire/settings.h"

static const char good[] =
	"{\"mesh\":\"home\",\"mesh4\":\"10.77.0.0/16\",\"mesh6\":\"fd12:3456:789a::/64\","
	"\"ula\":\"fd12:3456:789a::/48\",\"pods4\":\"10.244.0.0/16\","
	"\"pods6\":\"fd12:3456:789a:1000::/56\",\"services4\":\"10.96.0.0/16\","
	"\"services6\":\"fd12:3456:789a:f000::/112\",\"urls\":[\"https://192.168.50.11:8443\"],"
	"\"pins\":[\"" KEY_A "\"],\"next_pin\":null,\"relays\":[],\"stun\":[],"
	"\"virtual\":{\"api4\":\"10.77.255.1\",\"api6\":\"fd12:3456:789a::ffff:1\","
	"\"dns4\":\"10.77.255.53\",\"dns6\":\"fd12:3456:789a::ffff:53\"}}";

#define RELAY(name, host) \
	"{\"name\":\"" name "\",\"host\":\"" host "\",\"tcp\":443,\"pin\":\"web\"}"

static int read_json(const json_t *json, struct err *err)
{
	CLEANUP_SETTINGS struct settings settings = { 0 };

	return settings_from_json(json, &settings, err);
}

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ "mesh", "\"Home\"", -EINVAL },
		{ "mesh", NULL, -EINVAL },
		{ "mesh4", "\"10.0.0.0/8\"", -EINVAL }, /* where are its virtual addresses? */
		{ "mesh4", "\"10.77.0.0/25\"", -EINVAL },
		{ "mesh4", "\"10.0.0.0/7\"", -EINVAL },
		{ "mesh4", "\"10.77.1.0/16\"", -EINVAL },
		{ "mesh4", "\"10.77.0.0\"", -EINVAL },
		{ "mesh4", "\"fd12::/64\"", -EINVAL },
		{ "mesh4", NULL, -EINVAL },
		{ "mesh6", "\"fd12:3456:789a:1::/64\"", -EINVAL },
		{ "mesh6", "\"fd12:3456:789a::/65\"", -EINVAL },
		{ "mesh6", "\"fd12:3456:789A::/64\"", -EINVAL },
		{ "ula", "\"fd12:3456:789a::/49\"", -EINVAL },
		{ "ula", "\"fd12:3456:789b::/48\"", -EINVAL },
		{ "ula", "\"2001:db8::/48\"", -EINVAL },
		{ "pods4", "\"10.244.0.0/24\"", -EINVAL },
		{ "pods4", "\"10.244.0.0/23\"", 0 },
		{ "pods6", "\"fd12:3456:789a:1000::/64\"", -EINVAL },
		{ "pods6", "\"fd12:3456::/47\"", -EINVAL },
		{ "services4", "\"10.96.0.0/11\"", -EINVAL },
		{ "services4", "\"10.96.0.0/12\"", 0 },
		{ "services4", "\"10.96.0.0/29\"", -EINVAL },
		{ "services6", "\"fd12:3456:789a:f000::/107\"", -EINVAL },
		{ "services6", "\"fd12:3456:789a:f000::/108\"", 0 },
		{ "services6", NULL, -EINVAL },
		{ "urls", "[]", -EINVAL },
		{ "urls", "[\"https://a\",5]", -EINVAL },
		{ "urls", NULL, -EINVAL },
		{ "coordinators", "[]", 0 },
		{ "coordinators", "null", 0 },
		{ "coordinators", "[{\"node\":1,\"port\":8443}]", 0 },
		{ "coordinators",
			"[{\"node\":1,\"port\":8443,\"later\":1},{\"node\":2,\"port\":1}]", 0 },
		{ "coordinators", "[{\"node\":0,\"port\":8443}]", -EINVAL },
		{ "coordinators", "[{\"node\":1,\"port\":0}]", -EINVAL },
		{ "coordinators", "[{\"node\":1,\"port\":65536}]", -EINVAL },
		{ "coordinators", "[{\"node\":-1,\"port\":1}]", -EINVAL },
		{ "coordinators", "[{\"port\":1}]", -EINVAL },
		{ "coordinators", "[1]", -EINVAL },
		{ "coordinators", "{}", -EINVAL },
		{ "coordinators",
			"[{\"node\":1,\"port\":1},{\"node\":2,\"port\":1},{\"node\":3,\"port\":1},"
			"{\"node\":4,\"port\":1},{\"node\":5,\"port\":1},{\"node\":6,\"port\":1},"
			"{\"node\":7,\"port\":1},{\"node\":8,\"port\":1},{\"node\":9,\"port\":1}]",
			-EINVAL },
		{ "pins", "[]", -EINVAL },
		{ "pins", "[\"" KEY_A "\",\"" KEY_B "\",\"" KEY_C "\"]", 0 },
		{ "pins", "[\"a\"]", -EINVAL },
		{ "next_pin", "\"" KEY_B "\"", 0 },
		{ "next_pin", "\"" KEY_0 "\"", -EINVAL },
		{ "next_pin", "[]", -EINVAL },
		{ "next_pin", NULL, 0 },
		{ "urls_by_hand", "[]", 0 },
		{ "urls_by_hand", "null", 0 },
		{ "urls_by_hand", "[\"https://192.168.50.11:8443\"]", 0 },
		{ "urls_by_hand", "[\"https://elsewhere\"]", 0 }, /* it is among `urls` no more */
		{ "urls_by_hand", "[\"http://x\"]", -EINVAL },
		{ "urls_by_hand", "\"https://x\"", -EINVAL },
		{ "relays", NULL, 0 },
		{ "relays", "[" RELAY("fra", "derp.example.org") "]", 0 },
		{ "relays", "[" RELAY("a", "a.org") "," RELAY("b", "192.0.2.1") "]", 0 },
		{ "relays", "[" RELAY("a", "a.org") "," RELAY("a", "b.org") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "a.org") "," RELAY("b", "a.org") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "10.77.0.1") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "10.244.9.1") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "10.96.0.1") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "fd12:3456:789a::1") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "fd12:3456:789a:10ff::1") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "fd12:3456:789a:f000::1") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "10.78.0.1") "]", 0 },
		{ "relays", "[" RELAY("a", "n100.home.internal") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "home.internal") "]", -EINVAL },
		{ "relays", "[" RELAY("a", "athome.internal") "]", 0 },
		{ "relays", "[\"relay.example:443\"]", -EINVAL },
		{ "relays", "\"a\"", -EINVAL },
		{ "relays",
			"[" RELAY("a", "a.org") "," RELAY("b", "b.org") "," RELAY(
				"c", "c.org") "," RELAY("d", "d.org") "," RELAY("e",
				"e.org") "," RELAY("f", "f.org") "," RELAY("g",
				"g.org") "," RELAY("h", "h.org") "]",
			0 },
		{ "relays", "[{},{},{},{},{},{},{},{},{}]", -EINVAL },
		{ "stun", NULL, 0 },
		{ "stun", "[\"stun.example.org:3478\",\"192.0.2.1:1\",\"[2001:db8::1]:1\"]", 0 },
		{ "stun", "[\"a:1\",\"a:2\",\"a:1\"]", -EINVAL },
		{ "stun", "[\"stun.example.org\"]", -EINVAL },
		{ "stun", "[\"Stun.example.org:1\"]", -EINVAL },
		{ "stun", "[\"127.0.0.1:1\"]", -EINVAL },
		{ "stun", "[\"10.77.0.1:1\"]", -EINVAL },
		{ "stun", "[\"[fd12:3456:789a::1]:1\"]", -EINVAL },
		{ "stun", "[\"pi3.home.internal:1\"]", -EINVAL },
		{ "stun", "[7]", -EINVAL },
		{ "stun", "{}", -EINVAL },
		{ "stun", "[\"a:1\",\"a:2\",\"a:3\",\"a:4\",\"a:5\",\"a:6\",\"a:7\",\"a:8\"]", 0 },
		{ "stun",
			"[\"a:1\",\"a:2\",\"a:3\",\"a:4\",\"a:5\",\"a:6\",\"a:7\",\"a:8\","
			"\"a:9\"]",
			-EINVAL },
		{ "virtual", "{}", -EINVAL },
		{ "virtual", NULL, -EINVAL },
		{ "virtual", "[]", -EINVAL },
		{ "virtual.api4", "\"10.77.254.1\"", -EINVAL },
		{ "virtual.api4", "\"10.77.255.2\"", 0 },
		{ "virtual.api4", "\"10.77.255.53\"", -EINVAL }, /* twice */
		{ "virtual.api6", "\"fd12:3456:789a::fffe:1\"", -EINVAL },
		{ "virtual.dns6", "\"fd12:3456:789a::ffff:1\"", -EINVAL },
		{ "virtual.dns4", NULL, -EINVAL },
		{ "virtual.later", "1", 0 },
		{ "later", "[{}]", 0 },
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_json);
}

static void test_round_trip(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	CLEANUP_SETTINGS struct settings settings = { 0 }, copy = { 0 };

	json_object_set_new(json, "later", json_integer(5));
	json_object_set_new(json_object_get(json, "virtual"), "later", json_true());
	assert_int_equal(settings_from_json(json, &settings, NULL), 0);
	CLEANUP_JSON json_t *again = settings_to_json(&settings);

	assert_true(json_equal(json, again));
	settings_copy(&settings, &copy);
	copy.has_next_pin = true;
	memset(copy.next_pin, 0x11, sizeof(copy.next_pin));
	CLEANUP_JSON json_t *changed = settings_to_json(&copy);

	assert_false(json_equal(json, changed));
	assert_string_equal(json_string_value(json_object_get(changed, "next_pin")), KEY_A);
	assert_int_equal(json_integer_value(json_object_get(changed, "later")), 5);
	assert_true(settings_same_ranges(&settings, &copy));
	copy.dns4.bytes[3]++;
	assert_false(settings_same_ranges(&settings, &copy));
}

/* A coordinator's place may be written by this version and read by a later one, or the other way round. */
static void test_coordinators(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	CLEANUP_SETTINGS struct settings settings = { 0 };

	json_object_set_new(json, "coordinators",
		json_pack("[{s:i,s:i,s:s},{s:i,s:i}]", "node", 3, "port", 8443, "later", "kept",
			"node", 4, "port", 443));
	assert_int_equal(settings_from_json(json, &settings, NULL), 0);
	assert_int_equal(settings.n_coordinators, 2);
	assert_int_equal(settings.coordinators[0].node, 3);
	assert_int_equal(settings.coordinators[1].port, 443);
	CLEANUP_JSON json_t *same = settings_to_json(&settings);

	assert_true(json_equal(json, same));
	settings.coordinators[1].node = 7;
	CLEANUP_JSON json_t *moved = settings_to_json(&settings);
	CLEANUP(free_p) char *text = json_text(json_object_get(moved, "coordinators"));

	assert_string_equal(text, "[{\"later\":\"kept\",\"node\":3,\"port\":8443},"
				  "{\"node\":7,\"port\":443}]");
}

/* What this version writes where there was nothing, and takes away again. */
static void test_servers(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good), *bare = doc_parse(good);
	CLEANUP_SETTINGS struct settings settings = { 0 }, copy = { 0 };

	json_object_del(bare, "relays");
	json_object_del(bare, "stun");
	assert_int_equal(settings_from_json(bare, &copy, NULL), 0);
	assert_int_equal(copy.n_stun, 0);
	assert_int_equal(copy.n_relays, 0);
	assert_int_equal(copy.n_by_hand, 0);
	settings_done(&copy);
	json_object_set_new(json, "stun", json_pack("[s,s]", "a:1", "[2001:db8::1]:3478"));
	json_object_set_new(json, "relays",
		json_pack("[{s:s,s:s,s:i,s:i,s:s,s:i},{s:s,s:s,s:i,s:s}]", "name", "fra", "host",
			"derp.example.org", "tcp", 443, "stun", 3478, "pin", "web", "later", 1,
			"name", "own", "host", "192.0.2.1", "tcp", 8443, "pin", KEY_A));
	assert_int_equal(settings_from_json(json, &settings, NULL), 0);
	assert_int_equal(settings.n_stun, 2);
	assert_string_equal(settings.stun[1].host, "2001:db8::1");
	assert_int_equal(settings.n_relays, 2);
	assert_string_equal(settings.relays[0].at.host, "derp.example.org");
	assert_true(settings.relays[0].web);
	assert_int_equal(settings.relays[0].stun, 3478);
	assert_false(settings.relays[1].web);
	assert_int_equal(settings.relays[1].pin[31], 0x11);
	assert_int_equal(settings.relays[1].at.port, 8443);
	assert_int_equal(settings.relays[1].stun, 0);
	CLEANUP_JSON json_t *same = settings_to_json(&settings);

	assert_true(json_equal(json, same));
	settings_copy(&settings, &copy);
	copy.relays[1] = copy.relays[0]; /* what a later version knows of one goes with its name */
	copy.relays[0] = settings.relays[1];
	copy.relays[1].stun = 0;
	copy.n_stun = 0;
	CLEANUP_JSON json_t *changed = settings_to_json(&copy);
	CLEANUP(free_p) char *text = json_text(json_object_get(changed, "relays"));

	assert_string_equal(text,
		"[{\"host\":\"192.0.2.1\",\"name\":\"own\",\"pin\":\"" KEY_A
		"\",\"tcp\":8443},{\"host\":\"derp.example.org\",\"later\":1,\"name\":\"fra\","
		"\"pin\":\"web\",\"tcp\":443}]");
	assert_int_equal(json_array_size(json_object_get(changed, "stun")), 0);
}

/* By hand comes first, also where a version that does not know of it put others in front. */
static void test_by_hand(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	CLEANUP_SETTINGS struct settings settings = { 0 };

	json_object_set_new(json, "urls",
		json_pack("[s,s,s,s]", "https://new", "https://b", "https://c", "https://a"));
	json_object_set_new(json, "urls_by_hand",
		json_pack("[s,s,s]", "https://a", "https://gone", "https://b"));
	assert_int_equal(settings_from_json(json, &settings, NULL), 0);
	assert_int_equal(settings.n_urls, 4);
	assert_int_equal(settings.n_by_hand, 2);
	CLEANUP_JSON json_t *again = settings_to_json(&settings);
	CLEANUP(free_p) char *urls = json_text(json_object_get(again, "urls"));
	CLEANUP(free_p) char *by_hand = json_text(json_object_get(again, "urls_by_hand"));

	assert_string_equal(urls, "[\"https://a\",\"https://b\",\"https://new\",\"https://c\"]");
	assert_string_equal(by_hand, "[\"https://a\",\"https://b\"]");
	settings.n_by_hand = 0;
	CLEANUP_JSON json_t *none = settings_to_json(&settings);

	assert_null(json_object_get(none, "urls_by_hand"));
}

/* The refusal says what is inside, and in which range. */
static void test_outside(void **state)
{
	static const struct {
		const char *host, *says; /* NULL: it is outside */
	} cases[] = {
		{ "10.76.255.255", NULL },
		{ "10.77.0.0", "10.77.0.0 lies in this mesh's own range 10.77.0.0/16" },
		{ "10.77.255.255", "10.77.0.0/16" },
		{ "::ffff:10.77.0.1", "::ffff:10.77.0.1 lies in this mesh's own range" },
		{ "10.244.0.1", "10.244.0.0/16" },
		{ "10.96.0.1", "10.96.0.0/16" },
		{ "fd12:3456:789a::1", "fd12:3456:789a::/64" },
		{ "fd12:3456:789a:1001::1", "fd12:3456:789a:1000::/56" },
		{ "fd12:3456:789a:f000::1", "fd12:3456:789a:f000::/112" },
		{ "fd12:3456:789a:1::1", NULL }, /* of the ULA, and of nobody */
		{ "n100.Home.Internal", "n100.Home.Internal is a name of this mesh" },
		{ "home.internal", "a name of this mesh" },
		{ "n100.home.internal.example.org", NULL },
		{ "home", NULL },
		{ "internal", NULL },
	};
	CLEANUP_JSON json_t *json = doc_parse(good);
	CLEANUP_SETTINGS struct settings settings = { 0 };

	assert_int_equal(settings_from_json(json, &settings, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		int r = settings_check_outside(&settings, cases[i].host, &err);

		if (r != (cases[i].says ? -EINVAL : 0))
			fail_msg("%s: %d", cases[i].host, r);
		if (r && !strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].host, err.text);
	}
}

static void test_reserved(void **state)
{
	static const struct {
		const char *mesh4, *reserved, *api, *dns;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.0/24", "10.255.255.1", "10.255.255.53" },
		{ "10.77.0.0/16", "10.77.255.0/24", "10.77.255.1", "10.77.255.53" },
		{ "10.77.0.0/20", "10.77.15.0/24", "10.77.15.1", "10.77.15.53" },
		{ "10.77.0.0/21", "10.77.7.128/25", "10.77.7.129", "10.77.7.181" },
		{ "10.77.0.0/22", "10.77.3.192/26", "10.77.3.193", "10.77.3.245" },
		{ "10.77.0.0/23", "10.77.1.224/27", "10.77.1.225", "10.77.1.226" },
		{ "10.77.0.0/24", "10.77.0.240/28", "10.77.0.241", "10.77.0.242" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings settings = { 0 };
		char text[PREFIX_TEXT_MAX];
		struct ip_prefix block;

		assert_int_equal(ip_prefix_parse(cases[i].mesh4, &settings.mesh4), 0);
		assert_int_equal(ip_prefix_parse("fd00:0:0::/64", &settings.mesh6), 0);
		block = settings_reserved4(&settings);
		assert_string_equal(ip_prefix_format(&block, text), cases[i].reserved);
		block = settings_reserved6(&settings);
		assert_string_equal(ip_prefix_format(&block, text), "fd00::ffff:0/112");
		settings_set_virtual(&settings);
		assert_string_equal(ip_addr_format(&settings.api4, text), cases[i].api);
		assert_string_equal(ip_addr_format(&settings.dns4, text), cases[i].dns);
		assert_string_equal(ip_addr_format(&settings.api6, text), "fd00::ffff:1");
		assert_string_equal(ip_addr_format(&settings.dns6, text), "fd00::ffff:53");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_coordinators),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
