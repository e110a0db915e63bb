/* alloc: addresses follow ids, ids only grow, a full range says so. */
#include "mesh-maker.h"

static void assert_addr(const struct ip_addr *addr, const char *expected)
{
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_addr_format(addr, text), expected);
}

static void assert_prefix(const struct ip_prefix *prefix, const char *expected)
{
	char text[PREFIX_TEXT_MAX];

	assert_string_equal(ip_prefix_format(prefix, text), expected);
}

/* Allocates, gives it keys and a name of its own, and applies it. */
static int enrol(struct netmap *netmap, enum node_role role, struct node *ret, struct err *err)
{
	struct node node = { 0 };
	int r = alloc_node(netmap, role, &node, err);

	if (r)
		return r;
	CLEANUP_NODE struct node made = maker_node(node.id, 0, NULL);

	memcpy(node.name, made.name, sizeof(node.name));
	memcpy(node.wg, made.wg, 32);
	memcpy(node.identity, made.identity, 32);
	assert_int_equal(netmap_check_node(netmap, &node, err), 0);
	assert_int_equal(maker_apply(netmap, "node", node_to_json(&node), NULL, err), 1);
	*ret = node;
	return 0;
}

static void remove_node(struct netmap *netmap, uint32_t id)
{
	struct tombstone tombstone = { .id = id };

	assert_int_equal(
		maker_apply(netmap, "tombstone", tombstone_to_json(&tombstone), NULL, NULL), 1);
}

static void test_sequence(void **state)
{
	struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *netmap = maker_netmap(&settings);
	struct node node;

	assert_int_equal(enrol(netmap, NODE_ROLE_CONTROL_PLANE, &node, NULL), 0);
	assert_int_equal(node.id, 1);
	assert_addr(&node.mesh4, "10.77.0.1");
	assert_addr(&node.mesh6, "fd12:3456:789a::1");
	assert_prefix(&node.pods4, "10.244.1.0/24");
	assert_prefix(&node.pods6, "fd12:3456:789a:1001::/64");
	assert_int_equal(enrol(netmap, NODE_ROLE_MEMBER, &node, NULL), 0);
	assert_int_equal(node.id, 2);
	assert_false(node_has_pods(&node));
	assert_int_equal(enrol(netmap, NODE_ROLE_WORKER, &node, NULL), 0);
	assert_int_equal(node.id, 3);
	assert_prefix(&node.pods4, "10.244.2.0/24"); /* the member took none */
	assert_prefix(&node.pods6, "fd12:3456:789a:1002::/64");
	/* What was removed is not given again, be it the last or one in between. */
	remove_node(netmap, 3);
	remove_node(netmap, 1);
	assert_int_equal(enrol(netmap, NODE_ROLE_WORKER, &node, NULL), 0);
	assert_int_equal(node.id, 4);
	assert_addr(&node.mesh4, "10.77.0.4");
	assert_prefix(&node.pods4, "10.244.3.0/24");
}

static void test_no_settings(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = netmap_new();
	struct node node = { 0 };
	struct err err = { 0 };

	assert_int_equal(alloc_node(netmap, NODE_ROLE_WORKER, &node, &err), -ENOENT);
	assert_int_equal(node.id, 0);
}

static void test_full_mesh(void **state)
{
	struct settings settings = maker_settings();

	(void) ip_prefix_parse("10.9.0.0/24", &settings.mesh4);
	settings_set_virtual(&settings);
	CLEANUP_NETMAP struct netmap *netmap = netmap_new();

	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), NULL, NULL), 1);
	struct node node = { 0 };
	struct err err = { 0 };

	assert_int_equal(numbers_nodes_max(&settings), 239);
	for (uint32_t id = 1; id <= 239; id++)
		assert_int_equal(enrol(netmap, NODE_ROLE_MEMBER, &node, &err), 0);
	assert_addr(&node.mesh4, "10.9.0.239"); /* 10.9.0.240/28 is reserved */
	remove_node(netmap, 5);
	struct node before = node;

	assert_int_equal(alloc_node(netmap, NODE_ROLE_MEMBER, &node, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "10.9.0.0/24"));
	assert_non_null(strstr(err.text, "239 nodes"));
	assert_non_null(strstr(err.text, "--mesh4"));
	assert_memory_equal(&before, &node, sizeof(node));
}

static void test_full_pods(void **state)
{
	struct settings settings = maker_settings();

	(void) ip_prefix_parse("10.244.0.0/22", &settings.pods4);
	CLEANUP_NETMAP struct netmap *netmap = maker_netmap(&settings);
	struct node node = { 0 };
	struct err err = { 0 };

	assert_int_equal(numbers_pods_max(&settings), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(enrol(netmap, NODE_ROLE_WORKER, &node, &err), 0);
	assert_prefix(&node.pods4, "10.244.3.0/24");
	remove_node(netmap, 1);
	struct node before = node;

	assert_int_equal(alloc_node(netmap, NODE_ROLE_WORKER, &node, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "10.244.0.0/22"));
	assert_non_null(strstr(err.text, "3 boards"));
	assert_non_null(strstr(err.text, "--pods4"));
	assert_memory_equal(&before, &node, sizeof(node));
	/* A member still fits. */
	assert_int_equal(enrol(netmap, NODE_ROLE_MEMBER, &node, &err), 0);
	assert_int_equal(node.id, 4);
}

static void test_capacity(void **state)
{
	static const struct {
		const char *mesh4, *pods4, *pods6;
		uint32_t nodes, pods;
	} cases[] = {
		{ "10.77.0.0/16", "10.244.0.0/16", "fd12:3456:789a:1000::/56", 65279, 255 },
		{ "10.0.0.0/8", "172.16.0.0/12", "fd12:3456:789b::/48", 16776959, 4095 },
		{ "10.77.0.0/24", "10.244.0.0/23", "fd12:3456:789a:1000::/63", 239, 1 },
		{ "10.77.0.0/20", "10.244.0.0/16", "fd12:3456:789a:1000::/62", 3839, 3 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings settings = maker_settings();
		struct ip_prefix pods;
		struct ip_addr addr;

		assert_int_equal(ip_prefix_parse(cases[i].mesh4, &settings.mesh4), 0);
		assert_int_equal(ip_prefix_parse(cases[i].pods4, &settings.pods4), 0);
		assert_int_equal(ip_prefix_parse(cases[i].pods6, &settings.pods6), 0);
		uint32_t nodes = numbers_nodes_max(&settings), max = numbers_pods_max(&settings);

		assert_int_equal(nodes, cases[i].nodes);
		assert_int_equal(max, cases[i].pods);
		struct ip_prefix reserved = settings_reserved4(&settings);

		assert_int_equal(numbers_mesh4(&settings, nodes, &addr), 0);
		assert_false(ip_prefix_contains(&reserved, &addr));
		assert_int_equal(numbers_mesh4(&settings, nodes + 1, &addr), -ERANGE);
		assert_int_equal(numbers_mesh4(&settings, 0, &addr), -ERANGE);
		reserved = settings_reserved6(&settings);
		assert_int_equal(numbers_mesh6(&settings, nodes, &addr), 0);
		assert_false(ip_prefix_contains(&reserved, &addr));
		for (uint32_t number = 1; number <= max; number += number < 8 ? 1 : 111) {
			assert_int_equal(numbers_pods4(&settings, number, &pods), 0);
			assert_int_equal(numbers_of_pods4(&settings, &pods), number);
			assert_int_equal(numbers_pods6(&settings, number, &pods), 0);
			assert_int_equal(numbers_of_pods6(&settings, &pods), number);
		}
		assert_int_equal(numbers_pods4(&settings, max + 1, &pods), -ERANGE);
		assert_int_equal(numbers_pods6(&settings, 0, &pods), -ERANGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_no_settings),
		cmocka_unit_test(test_full_mesh),
		cmocka_unit_test(test_full_pods),
		cmocka_unit_test(test_capacity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
