/* story: a log in words; above all, that no record gives a board other keys without a word. */
#include "mesh-maker.h"

#include <stdio.h>

#include "mesh/story.h"

static struct story tell(const struct netmap *netmap, const char *type, json_t *payload)
{
	CLEANUP_RECORD struct record record =
		maker_record(netmap_seq(netmap) + 1, NULL, type, payload, maker_sign_seed);
	struct story story;

	story_tell(netmap, &record, &story);
	return story;
}

static struct story tell_node(const struct netmap *netmap, const struct node *node)
{
	return tell(netmap, RECORD_TYPE_NODE, node_to_json(node));
}

static void apply(struct netmap *netmap, const struct node *node)
{
	assert_int_equal(maker_apply(netmap, RECORD_TYPE_NODE, node_to_json(node), NULL, NULL), 1);
}

static void test_rekeys(void **state)
{
	struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *netmap = maker_netmap(&settings);
	CLEANUP_NODE struct node node = maker_node(3, 3, "pi3");
	struct story s = tell_node(netmap, &node);

	assert_false(s.rekeys); /* it was not there */
	assert_int_equal(s.id, 3);
	assert_string_equal(s.name, "pi3");
	assert_non_null(strstr(s.text, "pi3 joins as node 3, worker, 10.77.0.3; identity "));
	apply(netmap, &node);

	s = tell_node(netmap, &node);
	assert_false(s.rekeys);
	assert_string_equal(s.text, "pi3 (node 3) is written once more");

	uint8_t identity[NODE_KEY_LEN], wg[NODE_KEY_LEN];

	memcpy(identity, node.identity, sizeof(identity));
	memcpy(wg, node.wg, sizeof(wg));
	node.identity[31] ^= 1; /* one bit, and nothing in `revoked` */
	s = tell_node(netmap, &node);
	assert_true(s.rekeys);
	assert_non_null(strstr(s.text, "pi3 (node 3) is given OTHER KEYS: identity "));
	assert_null(strstr(s.text, "WireGuard"));
	memcpy(node.identity, identity, sizeof(identity));
	node.wg[0] ^= 0x80;
	s = tell_node(netmap, &node);
	assert_true(s.rekeys);
	assert_non_null(strstr(s.text, "OTHER KEYS: WireGuard "));
	assert_non_null(strstr(s.text, " instead of "));

	/* however much else the record changes */
	memcpy(node.identity, wg, sizeof(identity));
	(void) snprintf(node.name, sizeof(node.name), "other");
	node.role = NODE_ROLE_CONTROL_PLANE;
	s = tell_node(netmap, &node);
	assert_true(s.rekeys);
	assert_non_null(strstr(s.text, "pi3 (node 3) is given OTHER KEYS: identity "));
	assert_non_null(strstr(s.text, ", and is called other"));
	assert_non_null(strstr(s.text, ", and is a control-plane"));
	settings_done(&settings);
}

static void test_relay(void **state)
{
	struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *netmap = maker_netmap(&settings);
	CLEANUP_NODE struct node node = maker_node(3, 0, "vps");
	struct node_relay relay = { .hosts = { "203.0.113.5", "vps.example.org" },
		.n_hosts = 2,
		.tcp = 443,
		.udp = 3478,
		.pin = { 1 },
		.key = { 2 } };

	node.relay = relay;
	assert_non_null(strstr(tell_node(netmap, &node).text,
		"; it is a relay, at 203.0.113.5, vps.example.org, TCP 443, UDP 3478"));
	node.relay = (struct node_relay){ 0 };
	apply(netmap, &node);
	node.relay = relay;
	assert_string_equal(tell_node(netmap, &node).text,
		"vps (node 3) is a relay, at 203.0.113.5, vps.example.org, TCP 443, UDP 3478");
	apply(netmap, &node);
	assert_string_equal(tell_node(netmap, &node).text, "vps (node 3) is written once more");
	node.relay.n_hosts = 1;
	node.relay.tcp = 3340;
	assert_string_equal(tell_node(netmap, &node).text,
		"vps (node 3) is found as a relay at 203.0.113.5, TCP 3340, UDP 3478");
	node.relay.pin[0]++;
	assert_non_null(strstr(tell_node(netmap, &node).text, ", with OTHER KEYS"));
	node.relay.pin[0]--;
	node.relay.key[0]++;
	assert_non_null(strstr(tell_node(netmap, &node).text, ", with OTHER KEYS"));
	(void) snprintf(node.name, sizeof(node.name), "server");
	node.relay = (struct node_relay){ 0 };
	assert_string_equal(tell_node(netmap, &node).text,
		"vps (node 3) is called server, and is no relay any more");
	settings_done(&settings);
}

static void test_others(void **state)
{
	struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *empty = netmap_new(), *netmap = maker_netmap(&settings);
	CLEANUP_NODE struct node node = maker_node(2, 0, "pi4");
	struct tombstone tombstone = { .id = 2, .reason = "removed" };
	struct record_key key = { .key = { 7 }, .root = { 8 } };

	assert_non_null(strstr(tell(empty, RECORD_TYPE_SETTINGS, settings_to_json(&settings)).text,
		"mesh home, 10.77.0.0/16"));
	assert_non_null(strstr(tell(empty, RECORD_TYPE_KEY, record_key_to_json(&key)).text,
		"the root key certifies the signing key BwAA"));
	assert_non_null(strstr(tell(netmap, RECORD_TYPE_KEY, record_key_to_json(&key)).text,
		"another signing key"));
	apply(netmap, &node);
	assert_string_equal(tell(netmap, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone)).text,
		"pi4, node 2 is removed: removed");
	(void) snprintf(node.name, sizeof(node.name), "pi5");
	assert_string_equal(tell_node(netmap, &node).text, "pi4 (node 2) is called pi5");

	settings.pins[0][0] ^= 1;
	settings.n_pins = 1;
	assert_non_null(strstr(tell(netmap, RECORD_TYPE_SETTINGS, settings_to_json(&settings)).text,
		"the coordinator's TLS key is "));
	assert_string_equal(tell(netmap, "policy", json_object()).text, "not read by this version");
	assert_non_null(strstr(tell(netmap, RECORD_TYPE_NODE, json_object()).text,
		"a node that cannot be understood"));
	assert_non_null(
		strstr(tell(netmap, RECORD_TYPE_TOMBSTONE, json_object()).text, "cannot be"));
	assert_non_null(
		strstr(tell(netmap, RECORD_TYPE_SETTINGS, json_object()).text, "cannot be"));
	assert_non_null(strstr(tell(netmap, RECORD_TYPE_KEY, json_object()).text, "cannot be"));
	settings_done(&settings);
}

static void says(const struct netmap *netmap, const struct settings *settings, const char *text)
{
	assert_string_equal(
		tell(netmap, RECORD_TYPE_SETTINGS, settings_to_json(settings)).text, text);
}

/* What a person set for all boards is seen by all of them. */
static void test_settings(void **state)
{
	struct settings s = maker_settings();
	CLEANUP_NETMAP struct netmap *netmap = maker_netmap(&s);

	says(netmap, &s, "settings");
	s.n_urls = 2;
	(void) snprintf(s.urls[0], sizeof(s.urls[0]), "https://home.example.org");
	(void) snprintf(s.urls[1], sizeof(s.urls[1]), "https://192.0.2.1:8443");
	s.n_by_hand = 1;
	says(netmap, &s,
		"settings; the coordinator is found at https://home.example.org (set by hand), "
		"https://192.0.2.1:8443");
	assert_int_equal(
		maker_apply(netmap, RECORD_TYPE_SETTINGS, settings_to_json(&s), NULL, NULL), 1);
	says(netmap, &s, "settings");
	s.n_by_hand = 2;
	says(netmap, &s,
		"settings; the coordinator is found at https://home.example.org (set by hand), "
		"https://192.0.2.1:8443 (set by hand)");
	s.n_by_hand = 1;
	assert_int_equal(outside_parse("[2001:db8::1]:3478", &s.stun[s.n_stun++]), 0);
	assert_int_equal(outside_parse("a:1", &s.stun[s.n_stun++]), 0);
	assert_int_equal(foreign_choose("derp.example.org", &s.relays[s.n_relays++], NULL), 0);
	says(netmap, &s,
		"settings; STUN servers: [2001:db8::1]:3478, a:1; foreign relays: derp at "
		"derp.example.org:443");
	assert_int_equal(
		maker_apply(netmap, RECORD_TYPE_SETTINGS, settings_to_json(&s), NULL, NULL), 1);
	says(netmap, &s, "settings");
	s.relays[0].stun = 0; /* known by its host, and something is other about it */
	says(netmap, &s, "settings; foreign relays: derp at derp.example.org:443");
	s.n_stun = s.n_relays = 0;
	says(netmap, &s, "settings; STUN servers: none; foreign relays: none");
	settings_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rekeys),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
