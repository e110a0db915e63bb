/* node: what is refused, and that fields of later versions survive a change. */
#include "cases.h"

#include "wire/node.h"

static const char good[] =
	"{\"id\":1,\"name\":\"n100\",\"role\":\"control-plane\",\"tags\":[\"lab\"],"
	"\"labels\":{\"hearth.internal/board\":\"n100\"},\"wg\":\"" KEY_A "\",\"identity\":\"" KEY_B
	"\",\"mesh4\":\"10.77.0.1\",\"mesh6\":\"fd12:3456:789a::1\",\"pods4\":\"10.244.1.0/24\","
	"\"pods6\":\"fd12:3456:789a:1001::/64\",\"revoked\":[\"" KEY_C "\"],"
	"\"relay\":{\"hosts\":[\"203.0.113.5\",\"vps.example.org\"],\"tcp\":443,\"udp\":3478,"
	"\"pin\":\"" KEY_A "\",\"key\":\"" KEY_C "\",\"later\":1}}";

static int read_json(const json_t *json, struct err *err)
{
	CLEANUP_NODE struct node node = { 0 };

	return node_from_json(json, &node, err);
}

#define A63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "\"node\"", -EINVAL },
		{ "id", "0", -EINVAL },
		{ "id", "-1", -EINVAL },
		{ "id", "65536", 0 },
		{ "id", "16777215", 0 },
		{ "id", "16777216", -EINVAL },
		{ "id", "4294967297", -EINVAL },
		{ "id", "1.5", -EINVAL },
		{ "id", "\"1\"", -EINVAL },
		{ "id", NULL, -EINVAL },
		{ "name", "\"api\"", -EINVAL },
		{ "name", "\"api2\"", 0 },
		{ "name", "\"localhost\"", 0 }, /* a board has it since before it was reserved */
		{ "name", "\"a\"", 0 },
		{ "name", "\"" A63 "\"", 0 },
		{ "name", "\"" A63 "a\"", -EINVAL },
		{ "name", "\"\"", -EINVAL },
		{ "name", "\"-a\"", -EINVAL },
		{ "name", "\"a-\"", -EINVAL },
		{ "name", "\"A\"", -EINVAL },
		{ "name", "\"a.b\"", -EINVAL },
		{ "name", "\"a b\"", -EINVAL },
		{ "name", "\"a\\nb\"", -EINVAL },
		{ "name", "\"\xc3\xa4\"", -EINVAL },
		{ "name", "7", -EINVAL },
		{ "role", "\"worker\"", 0 },
		{ "role", "\"member\"", -EINVAL }, /* it has pods */
		{ "role", "\"master\"", -EINVAL },
		{ "role", "\"\"", -EINVAL },
		{ "role", NULL, -EINVAL },
		{ "tags", "[]", 0 },
		{ "tags", NULL, 0 },
		{ "tags", "[\"a b\"]", -EINVAL },
		{ "tags", "[1]", -EINVAL },
		{ "tags", "{}", -EINVAL },
		{ "tags",
			"[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
			"\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]",
			-EINVAL },
		{ "labels", "{}", 0 },
		{ "labels", NULL, 0 },
		{ "labels", "{\"a\":\"\"}", 0 },
		{ "labels", "{\"a_b.C-1\":\"x_y.Z-2\"}", 0 },
		{ "labels", "{\"a\":1}", -EINVAL },
		{ "labels", "{\"\":\"x\"}", -EINVAL },
		{ "labels", "{\"/x\":\"x\"}", -EINVAL },
		{ "labels", "{\"a/\":\"x\"}", -EINVAL },
		{ "labels", "{\"a/b/c\":\"x\"}", -EINVAL },
		{ "labels", "{\"a_b/c\":\"x\"}", -EINVAL },
		{ "labels", "{\"-a\":\"x\"}", -EINVAL },
		{ "labels", "{\"a\":\"x \"}", -EINVAL },
		{ "labels", "{\"a\":\"" A63 "a\"}", -EINVAL },
		{ "labels", "[]", -EINVAL },
		{ "wg", "\"" KEY_0 "\"", -EINVAL },
		{ "wg", "\"ERERERERERERERERERERERERERERERERERERERERERF=\"", -EINVAL },
		{ "wg", "\"\"", -EINVAL },
		{ "wg", NULL, -EINVAL },
		{ "identity", "\"" KEY_0 "\"", -EINVAL },
		{ "identity", "\"" KEY_C "\"", -EINVAL }, /* revoked */
		{ "identity", "null", -EINVAL },
		{ "mesh4", "\"10.77.0.1/32\"", -EINVAL },
		{ "mesh4", "\"fd12::1\"", -EINVAL },
		{ "mesh4", "\"10.77.0.01\"", -EINVAL },
		{ "mesh4", "\"10.77.1\"", -EINVAL },
		{ "mesh4", NULL, -EINVAL },
		{ "mesh6", "\"10.77.0.1\"", -EINVAL },
		{ "mesh6", "\"fd12:3456:789A::1\"", -EINVAL },
		{ "mesh6", "\"fd12:3456:789a:0::1\"", -EINVAL },
		{ "mesh6", "\"fd12:3456:789a::1%eth0\"", -EINVAL },
		{ "mesh6", NULL, -EINVAL },
		{ "pods4", NULL, -EINVAL },
		{ "pods4", "\"10.244.1.0/25\"", -EINVAL },
		{ "pods4", "\"10.244.1.1/24\"", -EINVAL },
		{ "pods4", "\"10.244.1.0/024\"", -EINVAL },
		{ "pods4", "\"10.244.1.0\"", -EINVAL },
		{ "pods6", NULL, -EINVAL },
		{ "pods6", "null", -EINVAL },
		{ "pods6", "\"fd12:3456:789a:1001::/63\"", -EINVAL },
		{ "pods6", "\"fd12:3456:789a:1000::/63\"", -EINVAL },
		{ "revoked", "[]", 0 },
		{ "revoked", NULL, 0 },
		{ "revoked", "[\"" KEY_A "\",\"" KEY_A "\"]", -EINVAL },
		{ "revoked", "[\"" KEY_B "\"]", -EINVAL },
		{ "revoked", "\"" KEY_A "\"", -EINVAL },
		{ "relay", NULL, 0 },
		{ "relay", "null", 0 },
		{ "relay", "{}", -EINVAL },
		{ "relay", "[]", -EINVAL },
		{ "relay", "\"vps\"", -EINVAL },
		{ "relay.hosts", NULL, -EINVAL },
		{ "relay.hosts", "[]", -EINVAL },
		{ "relay.hosts", "\"vps\"", -EINVAL },
		{ "relay.hosts", "[\"2001:db8::5\"]", 0 },
		{ "relay.hosts", "[\"[2001:db8::5]\"]", -EINVAL },
		{ "relay.hosts", "[\"fe80::1%eth0\"]", -EINVAL },
		{ "relay.hosts", "[\"vps\"]", 0 },
		{ "relay.hosts", "[\"vps:443\"]", -EINVAL },
		{ "relay.hosts", "[\"vps..org\"]", -EINVAL },
		{ "relay.hosts", "[\"\"]", -EINVAL },
		{ "relay.hosts", "[\"203.0.113.256\"]", -EINVAL },
		{ "relay.hosts", "[1]", -EINVAL },
		{ "relay.hosts", "[\"a\",\"b\",\"c\",\"d\"]", 0 },
		{ "relay.hosts", "[\"a\",\"b\",\"c\",\"d\",\"e\"]", -EINVAL },
		{ "relay.hosts", "[\"a\",\"b\",\"a\"]", -EINVAL },
		{ "relay.hosts", "[\"" A63 "." A63 "." A63 "." A63 "\"]", -EINVAL },
		{ "relay.tcp", "0", -EINVAL },
		{ "relay.tcp", "1", 0 },
		{ "relay.tcp", "65535", 0 },
		{ "relay.tcp", "65536", -EINVAL },
		{ "relay.tcp", "\"443\"", -EINVAL },
		{ "relay.tcp", NULL, -EINVAL },
		{ "relay.udp", "0", 0 }, /* no UDP */
		{ "relay.udp", "65536", -EINVAL },
		{ "relay.udp", NULL, -EINVAL },
		{ "relay.pin", "\"" KEY_0 "\"", -EINVAL },
		{ "relay.pin", NULL, -EINVAL },
		{ "relay.key", "\"" KEY_0 "\"", -EINVAL },
		{ "relay.key", "\"\"", -EINVAL },
		{ "relay.key", NULL, -EINVAL },
		{ "relay.later", "{}", 0 },
		{ "later", "{\"x\":[null]}", 0 },
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_json);
}

static void test_round_trip(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	CLEANUP_NODE struct node node = { 0 }, copy = { 0 };
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	char text[PREFIX_TEXT_MAX];

	json_object_set_new(json, "later", json_string("kept"));
	assert_int_equal(node_from_json(json, &node, NULL), 0);
	assert_int_equal(node.role, NODE_ROLE_CONTROL_PLANE);
	CLEANUP_JSON json_t *again = node_to_json(&node);

	assert_true(json_equal(json, again));
	assert_int_equal(node_allowed_ips(&node, allowed), 4);
	assert_string_equal(ip_prefix_format(&allowed[0], text), "10.77.0.1/32");
	assert_string_equal(ip_prefix_format(&allowed[1], text), "fd12:3456:789a::1/128");
	assert_string_equal(ip_prefix_format(&allowed[2], text), "10.244.1.0/24");
	assert_string_equal(ip_prefix_format(&allowed[3], text), "fd12:3456:789a:1001::/64");

	/* Changed as the coordinator does it: new keys, other name; the unknown field stays. */
	assert_int_equal(node_copy(&node, &copy), 0);
	assert_int_equal(node_revoke_identity(&copy), 0);
	memset(copy.identity, 0x44, sizeof(copy.identity));
	memcpy(copy.name, "other", 6);
	CLEANUP_JSON json_t *changed = node_to_json(&copy);

	assert_string_equal(json_string_value(json_object_get(changed, "name")), "other");
	assert_string_equal(json_string_value(json_object_get(changed, "later")), "kept");
	assert_int_equal(json_array_size(json_object_get(changed, "revoked")), 2);
	assert_int_equal(read_json(changed, NULL), 0);
	/* The original is as it was. */
	CLEANUP_JSON json_t *unchanged = node_to_json(&node);

	assert_true(json_equal(json, unchanged));

	/* A relay moves and ends; a field of later versions inside stays while there is one. */
	assert_true(node_relay_equal(&node.relay, &copy.relay));
	memcpy(copy.relay.hosts[0], "203.0.113.6", 12);
	copy.relay.tcp++;
	CLEANUP_JSON json_t *moved = node_to_json(&copy);
	const json_t *relay = json_object_get(moved, "relay");

	assert_false(node_relay_equal(&node.relay, &copy.relay));
	assert_int_equal(json_integer_value(json_object_get(relay, "tcp")), 444);
	assert_int_equal(json_integer_value(json_object_get(relay, "later")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(relay, "hosts"), 0)),
		"203.0.113.6");
	assert_int_equal(read_json(moved, NULL), 0);
	node_relay_done(&copy.relay);
	CLEANUP_JSON json_t *ended = node_to_json(&copy);

	assert_false(json_has(ended, "relay"));

	while (!node_revoke_identity(&copy))
		;
	assert_int_equal(copy.n_revoked, NODE_REVOKED_MAX);
	assert_int_equal(node_revoke_identity(&copy), -E2BIG);
}

static void test_member(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	CLEANUP_NODE struct node node = { 0 }, member = { 0 };
	struct ip_prefix allowed[NODE_ALLOWED_MAX];

	assert_int_equal(node_from_json(json, &node, NULL), 0);
	node.role = NODE_ROLE_MEMBER;
	node.pods4 = node.pods6 = (struct ip_prefix){ 0 };
	CLEANUP_JSON json_t *without = node_to_json(&node);

	assert_false(json_has(without, "pods4"));
	assert_false(json_has(without, "pods6"));
	assert_int_equal(node_from_json(without, &member, NULL), 0);
	assert_false(node_has_pods(&member));
	assert_int_equal(node_allowed_ips(&member, allowed), 2);
}

static void test_roles(void **state)
{
	static const enum node_role roles[] = { NODE_ROLE_CONTROL_PLANE, NODE_ROLE_WORKER,
		NODE_ROLE_MEMBER };
	enum node_role role;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		assert_int_equal(node_role_parse(node_role_name(roles[i]), &role), 0);
		assert_int_equal(role, roles[i]);
		assert_int_equal(node_role_has_pods(role), role != NODE_ROLE_MEMBER);
	}
	assert_int_equal(node_role_parse("Worker", &role), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
