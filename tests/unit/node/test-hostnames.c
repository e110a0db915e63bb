/* hostnames, and the interface's own address: what is derived from the netmap and the keys. */
#include "mesh-maker.h"

#include "node/iface.h"
#include "node/hostnames.h"
#include "node/peer.h"

static int apply(
	struct netmap *map, uint32_t id, uint32_t pods, enum node_role role, const char *name)
{
	CLEANUP_NODE struct node node = maker_node(id, pods, name);

	node.role = role;
	return maker_apply(map, RECORD_TYPE_NODE, node_to_json(&node), NULL, NULL);
}

static bool has_ipv6(const void *ctx, uint32_t id)
{
	return id != *(const uint32_t *) ctx;
}

static void test_entries(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *map = maker_netmap(&settings);
	CLEANUP_JSON json_t *list = NULL;
	CLEANUP_JSON json_t *fewer = NULL;
	CLEANUP(free_p) char *text = NULL, *fewer_text = NULL;
	uint32_t none = 0, second = 2;

	assert_int_equal(apply(map, 1, 1, NODE_ROLE_WORKER, "pi3"), 1);
	assert_int_equal(apply(map, 2, 2, NODE_ROLE_CONTROL_PLANE, "n100"), 1);
	assert_int_equal(apply(map, 3, 3, NODE_ROLE_CONTROL_PLANE, "second"), 1);
	list = hostnames_entries(map, has_ipv6, &none);
	text = json_text(list);
	assert_string_equal(text,
		"[{\"address\":\"10.77.0.1\",\"names\":[\"pi3.home.internal\"]},"
		"{\"address\":\"fd12:3456:789a::1\",\"names\":[\"pi3.home.internal\"]},"
		"{\"address\":\"10.77.0.2\",\"names\":[\"n100.home.internal\",\"api.home."
		"internal\"]},"
		"{\"address\":\"fd12:3456:789a::2\",\"names\":[\"n100.home.internal\",\"api.home."
		"internal\"]},"
		"{\"address\":\"10.77.0.3\",\"names\":[\"second.home.internal\"]},"
		"{\"address\":\"fd12:3456:789a::3\",\"names\":[\"second.home.internal\"]}]");
	fewer = hostnames_entries(map, has_ipv6, &second);
	fewer_text = json_text(fewer);
	assert_int_equal(json_array_size(fewer), 5);
	assert_null(strstr(fewer_text, "fd12:3456:789a::2"));
	assert_non_null(
		strstr(fewer_text, "\"names\":[\"n100.home.internal\",\"api.home.internal\"]"));
}

static void test_request(void **state)
{
	CLEANUP_JSON json_t *one = hostnames_request(json_array(), "hearth0");
	CLEANUP_JSON json_t *two = hostnames_request(json_array(), "hearth1");
	CLEANUP(free_p) char *text = json_text(one);
	CLEANUP(free_p) char *other = json_text(two);

	assert_string_equal(text, "{\"entries\":[]}"); /* what an older helper understands */
	assert_string_equal(other, "{\"entries\":[],\"ifname\":\"hearth1\"}");
	assert_null(hostnames_request(NULL, "hearth0"));
}

static void test_no_settings(void **state)
{
	CLEANUP_NETMAP struct netmap *map = netmap_new();
	uint32_t none = 0;
	CLEANUP_JSON json_t *list = hostnames_entries(map, has_ipv6, &none);

	assert_int_equal(json_array_size(list), 0);
}

static void test_link_local(void **state)
{
	uint8_t seed[32] = { 7 }, other[32] = { 8 };
	struct ip_addr a = iface_link_local(seed, "home", "hearth0");
	struct ip_addr same = iface_link_local(seed, "home", "hearth0");
	struct ip_addr b = iface_link_local(other, "home", "hearth0");
	struct ip_addr c = iface_link_local(seed, "cabin", "hearth0");
	struct ip_prefix fe80;

	assert_int_equal(ip_prefix_parse("fe80::/64", &fe80), 0);
	assert_true(ip_prefix_contains(&fe80, &a));
	assert_true(ip_addr_equal(&a, &same));
	assert_false(ip_addr_equal(&a, &b));
	assert_false(ip_addr_equal(&a, &c));
}

static void test_describe(void **state)
{
	CLEANUP_NODE struct node node = maker_node(2, 2, NULL);
	struct presence presence = { .node = 2 };
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	struct tunnel_peer peer;
	char text[PREFIX_TEXT_MAX];

	peer_describe(&node, &presence, allowed, &peer);
	assert_int_equal(peer.keepalive_s, 25);
	assert_int_equal(peer.n_allowed, 4);
	presence.no_ipv6 = true;
	peer_describe(&node, &presence, allowed, &peer);
	assert_int_equal(peer.n_allowed, 2);
	assert_int_equal(peer.allowed[0].addr.family, AF_INET);
	assert_int_equal(peer.allowed[1].addr.family, AF_INET);
	peer_describe(&node, NULL, allowed, &peer);
	assert_int_equal(peer.n_allowed, 4);
	assert_string_equal(ip_prefix_format(&allowed[0], text), "10.77.0.2/32");
	assert_int_equal(peer.endpoint.addr.family, 0);
	assert_false(peer.sought);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_no_settings),
		cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_describe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
