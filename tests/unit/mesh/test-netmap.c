/* netmap: what records change, which are refused, and that nothing but a tombstone takes a node. */
#include "mesh-maker.h"

#include <stdio.h>

static int apply_node(struct netmap *netmap, const struct node *node, struct err *err)
{
	return maker_apply(netmap, RECORD_TYPE_NODE, node_to_json(node), NULL, err);
}

static int apply_tombstone(struct netmap *netmap, uint32_t id, struct netmap_change *change)
{
	struct tombstone tombstone = { .id = id, .reason = "removed" };

	return maker_apply(
		netmap, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone), change, NULL);
}

/* Nodes 1 to 3 with pods 1 to 3, node 4 a member. */
static struct netmap *home(void)
{
	struct settings settings = maker_settings();
	struct netmap *netmap = maker_netmap(&settings);

	for (uint32_t id = 1; id <= 4; id++) {
		CLEANUP_NODE struct node node = maker_node(id, id < 4 ? id : 0, NULL);
		struct err err = { 0 };

		if (apply_node(netmap, &node, &err) != 1)
			fail_msg("%s", err.text);
	}
	return netmap;
}

static const struct node *by_addr(const struct netmap *netmap, const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return netmap_by_addr(netmap, &addr);
}

static void test_lookups(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	const struct node *two = netmap_by_id(netmap, 2), *node = NULL;
	static const struct {
		const char *addr;
		uint32_t id;
	} addrs[] = {
		{ "10.77.0.2", 2 },
		{ "fd12:3456:789a::2", 2 },
		{ "10.244.2.0", 2 },
		{ "10.244.2.255", 2 },
		{ "10.244.3.7", 3 },
		{ "10.244.4.1", 0 },
		{ "10.244.0.1", 0 },
		{ "fd12:3456:789a:1002::", 2 },
		{ "fd12:3456:789a:1002:ffff:ffff:ffff:ffff", 2 },
		{ "fd12:3456:789a:1000::1", 0 },
		{ "fd12:3456:789a:1004::1", 0 },
		{ "10.77.0.0", 0 },
		{ "10.77.0.5", 0 },
		{ "10.77.255.1", 0 },
		{ "10.77.0.4", 4 },
		{ "fd12:3456:789a::", 0 },
		{ "fd12:3456:789a::1:0:0:2", 0 },
		{ "192.168.1.1", 0 },
		{ "fe80::1", 0 },
	};
	uint8_t key[32] = { 0 };
	struct ip_addr none = { 0 };

	assert_non_null(two);
	assert_string_equal(two->name, "node-2");
	assert_int_equal(netmap_count(netmap), 4);
	assert_int_equal(netmap_seq(netmap), 5);
	assert_ptr_equal(netmap_by_name(netmap, "node-2"), two);
	assert_ptr_equal(netmap_by_wg(netmap, two->wg), two);
	assert_null(netmap_by_id(netmap, 0));
	assert_null(netmap_by_id(netmap, 5));
	assert_null(netmap_by_name(netmap, ""));
	assert_null(netmap_by_name(netmap, "node-22"));
	assert_null(netmap_by_name(
		netmap, "a name that is far longer than any name of a node could ever be"));
	assert_null(netmap_by_wg(netmap, key));
	assert_null(netmap_by_wg(netmap, two->identity));
	assert_null(netmap_by_addr(netmap, &none));
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		node = by_addr(netmap, addrs[i].addr);
		if ((node ? node->id : 0) != addrs[i].id)
			fail_msg("%s: node %u", addrs[i].addr, node ? node->id : 0);
	}
	uint32_t expected = 0;

	for (node = NULL; (node = netmap_next(netmap, node));)
		assert_int_equal(node->id, ++expected);
	assert_int_equal(expected, 4);
	assert_int_equal(netmap_highest_id(netmap), 4);
	assert_int_equal(netmap_free_pods(netmap), 4);
	assert_int_equal(netmap_pods_of(netmap, 3), 3);
	assert_int_equal(netmap_pods_of(netmap, 4), 0);
}

/* What people type for a node. */
static void test_find(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	static const struct {
		const char *text;
		uint32_t id;
	} cases[] = {
		{ "node-2", 2 },
		{ "NODE-2", 2 },
		{ "Node-2", 2 },
		{ "node-2.", 2 },
		{ "node-2.home.internal", 2 },
		{ "Node-2.Home.Internal.", 2 },
		{ "2", 2 },
		{ "10.77.0.2", 2 },
		{ "fd12:3456:789a::2", 2 },
		{ "10.244.2.9", 2 },
		{ "node-2.other.internal", 0 },
		{ "node-2.home.internal.home.internal", 0 },
		{ ".home.internal", 0 },
		{ "home.internal", 0 },
		{ "node-9", 0 },
		{ "9", 0 },
		{ "0", 0 },
		{ "-2", 0 },
		{ "02x", 0 },
		{ "", 0 },
		{ ".", 0 },
		{ " node-2", 0 },
		{ "10.77.0.9", 0 },
		{ "99999999999999999999", 0 },
		{ "a-name-that-is-far-longer-than-any-name-of-a-node-could-ever-be-anywhere", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct node *node = netmap_find(netmap, cases[i].text);

		if ((node ? node->id : 0) != cases[i].id)
			fail_msg("%s: node %u", cases[i].text, node ? node->id : 0);
	}
}

static void test_changes(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	CLEANUP_NODE struct node node = { 0 };
	struct netmap_change change = { 0 };
	struct err err = { 0 };

	assert_int_equal(node_copy(netmap_by_id(netmap, 2), &node), 0);
	/* The same again changes nothing. */
	assert_int_equal(maker_apply(netmap, "node", node_to_json(&node), &change, &err), 0);
	assert_int_equal(change.kind, NETMAP_CHANGE_NONE);
	/* A new name; the old one is free for another. */
	memcpy(node.name, "pi3", 4);
	assert_int_equal(maker_apply(netmap, "node", node_to_json(&node), &change, &err), 1);
	assert_int_equal(change.kind, NETMAP_CHANGE_NODE);
	assert_int_equal(change.id, 2);
	assert_null(netmap_by_name(netmap, "node-2"));
	assert_int_equal(netmap_by_name(netmap, "pi3")->id, 2);
	CLEANUP_NODE struct node three = { 0 };

	assert_int_equal(node_copy(netmap_by_id(netmap, 3), &three), 0);
	memcpy(three.name, "node-2", 7);
	assert_int_equal(apply_node(netmap, &three, &err), 1);
	assert_int_equal(netmap_by_name(netmap, "node-2")->id, 3);
	/* Back to a name that another has now. */
	memcpy(node.name, "node-2", 7);
	assert_int_equal(apply_node(netmap, &node, &err), -EEXIST);
	assert_string_equal(netmap_by_id(netmap, 2)->name, "pi3");
	/* Records of other types change nothing, however odd their payload is. */
	assert_int_equal(maker_apply(netmap, "policy", json_integer(7), &change, &err), 0);
	assert_int_equal(maker_apply(netmap, "key", json_object(), &change, &err), 0);
	assert_int_equal(maker_apply(netmap, "from-the-future", json_array(), &change, &err), 0);
	assert_int_equal(change.kind, NETMAP_CHANGE_NONE);
	assert_int_equal(netmap_count(netmap), 4);
}

/* A board wiped and enrolled again under its old record. */
static void test_replace(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	CLEANUP_NODE struct node node = { 0 };
	uint8_t old_identity[32], old_wg[32];
	uint32_t id = 0;
	struct err err = { 0 };

	assert_int_equal(node_copy(netmap_by_id(netmap, 2), &node), 0);
	memcpy(old_identity, node.identity, 32);
	memcpy(old_wg, node.wg, 32);
	/* Not without revoking the one it had, which would hide that it had one. */
	memset(node.identity, 0x77, 32);
	assert_int_equal(apply_node(netmap, &node, NULL), -EINVAL);
	assert_int_equal(netmap_identity(netmap, old_identity, &id), NETMAP_IDENTITY_CURRENT);
	memcpy(node.identity, old_identity, 32);
	assert_int_equal(node_revoke_identity(&node), 0);
	memset(node.identity, 0x77, 32);
	memset(node.wg, 0x78, 32);
	assert_int_equal(apply_node(netmap, &node, &err), 1);
	assert_int_equal(netmap_identity(netmap, old_identity, &id), NETMAP_IDENTITY_REVOKED);
	assert_int_equal(id, 2);
	assert_int_equal(netmap_identity(netmap, node.identity, &id), NETMAP_IDENTITY_CURRENT);
	assert_null(netmap_by_wg(netmap, old_wg));
	assert_int_equal(netmap_by_wg(netmap, node.wg)->id, 2);
	assert_true(netmap_wg_was_used(netmap, old_wg, &id));
	assert_int_equal(id, 2);

	/* The old identity never comes back, not even where the record forgets that it was revoked. */
	CLEANUP_NODE struct node back = { 0 };

	assert_int_equal(node_copy(&node, &back), 0);
	memcpy(back.identity, old_identity, 32);
	back.n_revoked = 0;
	assert_int_equal(apply_node(netmap, &back, &err), -EKEYREVOKED);
	/* Nor do the old keys go to another node. */
	CLEANUP_NODE struct node five = maker_node(5, 5, NULL), six = maker_node(6, 6, NULL);

	memcpy(five.wg, old_wg, 32);
	assert_int_equal(apply_node(netmap, &five, &err), -EEXIST);
	memcpy(six.identity, old_identity, 32);
	assert_int_equal(apply_node(netmap, &six, &err), -EEXIST);
	/* Nor does another node revoke this one's. */
	CLEANUP_NODE struct node seven = maker_node(7, 7, NULL);

	seven.revoked = malloc(32);
	memcpy(seven.revoked[0], node.identity, 32);
	seven.n_revoked = 1;
	assert_int_equal(apply_node(netmap, &seven, &err), -EEXIST);
	assert_int_equal(netmap_identity(netmap, node.identity, NULL), NETMAP_IDENTITY_CURRENT);
	uint8_t unknown[32] = { 1 };

	assert_int_equal(netmap_identity(netmap, unknown, NULL), NETMAP_IDENTITY_UNKNOWN);
}

static void test_tombstone(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	CLEANUP_NODE struct node node = { 0 };
	struct netmap_change change = { 0 };
	const struct node *removed = NULL;
	struct err err = { 0 };

	assert_int_equal(node_copy(netmap_by_id(netmap, 2), &node), 0);
	assert_int_equal(apply_tombstone(netmap, 2, &change), 1);
	assert_int_equal(change.kind, NETMAP_CHANGE_REMOVED);
	assert_int_equal(change.id, 2);
	assert_int_equal(netmap_count(netmap), 3);
	assert_null(netmap_by_id(netmap, 2));
	assert_null(netmap_by_name(netmap, "node-2"));
	assert_null(netmap_by_wg(netmap, node.wg));
	assert_null(by_addr(netmap, "10.77.0.2"));
	assert_null(by_addr(netmap, "10.244.2.1"));
	assert_int_equal(netmap_next(netmap, netmap_by_id(netmap, 1))->id, 3);
	assert_int_equal(netmap_identity(netmap, node.identity, NULL), NETMAP_IDENTITY_REMOVED);
	assert_true(netmap_was_removed(netmap, 2, &removed));
	assert_string_equal(removed->name, "node-2");
	assert_false(netmap_was_removed(netmap, 1, NULL));
	/* Nothing of it comes back: id, keys, pods. The name may. */
	assert_int_equal(apply_node(netmap, &node, &err), -EPERM);
	CLEANUP_NODE struct node next = maker_node(5, 2, NULL);

	assert_int_equal(apply_node(netmap, &next, &err), -EEXIST);
	node_done(&next);
	next = maker_node(5, 5, "node-2");
	assert_int_equal(apply_node(netmap, &next, &err), 1);
	assert_int_equal(netmap_by_name(netmap, "node-2")->id, 5);
	/* Again, or of nobody. */
	assert_int_equal(apply_tombstone(netmap, 2, &change), 0);
	assert_int_equal(apply_tombstone(netmap, 99, &change), -ENOENT);
	assert_int_equal(netmap_count(netmap), 4);
}

static void test_conflicts(void **state)
{
	struct settings settings = maker_settings();
	struct err err = { 0 };
	static const struct {
		const char *what, *says;
		int code;
	} cases[] = {
		{ "name", "name", -EEXIST },
		{ "wg", "WireGuard", -EEXIST },
		{ "identity", "identity", -EEXIST },
		{ "mesh4", "addresses", -EINVAL },
		{ "mesh6", "addresses", -EINVAL },
		{ "pods", "belongs to node 2", -EEXIST },
		{ "pods4 alone", "pair", -EINVAL },
		{ "pods outside", "pair", -EINVAL },
		{ "pods zero", "pair", -EINVAL },
		{ "id", "holds", -EINVAL },
		{ "nothing", "", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_NETMAP struct netmap *netmap = home();
		CLEANUP_NODE struct node node = maker_node(5, 5, NULL);
		const struct node *two = netmap_by_id(netmap, 2);
		const char *what = cases[i].what;

		if (!strcmp(what, "name"))
			memcpy(node.name, two->name, sizeof(node.name));
		else if (!strcmp(what, "wg"))
			memcpy(node.wg, two->wg, 32);
		else if (!strcmp(what, "identity"))
			memcpy(node.identity, two->identity, 32);
		else if (!strcmp(what, "mesh4"))
			node.mesh4 = two->mesh4;
		else if (!strcmp(what, "mesh6"))
			node.mesh6 = two->mesh6;
		else if (!strcmp(what, "pods"))
			node.pods4 = two->pods4, node.pods6 = two->pods6;
		else if (!strcmp(what, "pods4 alone"))
			(void) numbers_pods4(&settings, 6, &node.pods4);
		else if (!strcmp(what, "pods outside"))
			(void) ip_prefix_parse("10.200.5.0/24", &node.pods4);
		else if (!strcmp(what, "pods zero")) {
			(void) ip_prefix_parse("10.244.0.0/24", &node.pods4);
			(void) ip_prefix_parse("fd12:3456:789a:1000::/64", &node.pods6);
		} else if (!strcmp(what, "id"))
			node.id = 65280; /* the reserved block begins there */
		err = (struct err){ 0 };
		int checked = netmap_check_node(netmap, &node, &err);
		uint64_t seq = netmap_seq(netmap);
		int r = apply_node(netmap, &node, &err);

		if (r != cases[i].code || !strstr(err.text, cases[i].says))
			fail_msg("%s: %d, %s", what, r, err.text);
		assert_int_equal(checked, r == 1 ? 0 : r);
		assert_int_equal(netmap_seq(netmap), seq + 1);
		assert_int_equal(netmap_count(netmap), r == 1 ? 5 : 4);
		assert_int_equal(netmap_by_id(netmap, 5) != NULL, r == 1);
		assert_string_equal(netmap_by_id(netmap, 2)->name, "node-2");
		assert_int_equal(netmap_by_name(netmap, "node-2")->id, 2);
		/* The id a refused record named is used up, unless the range does not have it. */
		assert_int_equal(netmap_highest_id(netmap), strcmp(what, "id") ? 5 : 4);
	}
}

static void test_pods_for_life(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = { 0 }, member = { 0 };
	struct err err = { 0 };

	assert_int_equal(node_copy(netmap_by_id(netmap, 2), &node), 0);
	(void) numbers_pods4(&settings, 9, &node.pods4);
	(void) numbers_pods6(&settings, 9, &node.pods6);
	assert_int_equal(apply_node(netmap, &node, &err), -EPERM);
	assert_non_null(strstr(err.text, "for life"));
	/* A worker that becomes a member keeps its number, and gets it back. */
	assert_int_equal(node_copy(netmap_by_id(netmap, 2), &member), 0);
	member.role = NODE_ROLE_MEMBER;
	member.pods4 = member.pods6 = (struct ip_prefix){ 0 };
	assert_int_equal(apply_node(netmap, &member, &err), 1);
	assert_null(by_addr(netmap, "10.244.2.1"));
	assert_int_equal(netmap_free_pods(netmap), 4);
	(void) numbers_pods4(&settings, 2, &member.pods4);
	(void) numbers_pods6(&settings, 2, &member.pods6);
	member.role = NODE_ROLE_WORKER;
	assert_int_equal(apply_node(netmap, &member, &err), 1);
	assert_int_equal(by_addr(netmap, "10.244.2.1")->id, 2);
	/* The number a refused record named (9) is never given to anyone else. */
	CLEANUP_NODE struct node five = maker_node(5, 9, NULL);

	assert_int_equal(apply_node(netmap, &five, &err), -EEXIST);
}

static void test_settings(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = netmap_new();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	struct settings settings = maker_settings();
	struct netmap_change change = { 0 };
	struct err err = { 0 };

	assert_null(netmap_settings(netmap));
	assert_int_equal(apply_node(netmap, &node, &err), -ENOENT);
	assert_null(by_addr(netmap, "10.77.0.1"));
	settings.pods4 = settings.mesh4;
	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), &change, &err),
		-EADDRINUSE);
	assert_null(netmap_settings(netmap));
	settings = maker_settings();
	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), &change, &err), 1);
	assert_int_equal(change.kind, NETMAP_CHANGE_SETTINGS);
	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), &change, &err), 0);
	settings.has_next_pin = true;
	memset(settings.next_pin, 1, 32);
	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), &change, &err), 1);
	assert_true(netmap_settings(netmap)->has_next_pin);
	memcpy(settings.mesh, "away", 5);
	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), &change, &err),
		-EPERM);
	settings = maker_settings();
	(void) ip_prefix_parse("10.200.0.0/16", &settings.pods4);
	assert_int_equal(
		maker_apply(netmap, "settings", settings_to_json(&settings), &change, &err),
		-EPERM);
	assert_non_null(strstr(err.text, "never change"));
	assert_non_null(strstr(err.text, "record"));
	assert_true(netmap_settings(netmap)->has_next_pin);
}

static void test_order(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	CLEANUP_JSON json_t *payload = json_object();
	static const uint64_t wrong[] = { 1, 5, 7, 1000 };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP_RECORD struct record record = { 0 };

		assert_int_equal(record_make(wrong[i], NULL, "policy", payload, &record), 0);
		assert_int_equal(netmap_apply(netmap, &record, NULL, NULL), -ERANGE);
		assert_int_equal(netmap_seq(netmap), 5);
	}
}

/*
 * Whatever comes, good, bad or unknown: a node that was there is there afterwards unless a
 * tombstone of that very id came. Random records from a fixed seed.
 */
static void test_nodes_stay(void **state)
{
	CLEANUP_NETMAP struct netmap *netmap = home();
	struct settings settings = maker_settings();
	bool there[64] = { false, true, true, true, true };
	unsigned refused = 0, accepted = 0;

	srand(20240607);
	for (int step = 0; step < 20000; step++) {
		uint32_t id = 1 + (uint32_t) rand() % 60;
		json_t *json;
		const char *type = "node";
		int what = rand() % 20, r;
		CLEANUP_NODE struct node node =
			maker_node(id, rand() % 3 ? id : (uint32_t) rand() % 40, NULL);

		if (rand() % 4 == 0)
			memset(node.wg, 1 + rand() % 3, 32);
		if (rand() % 8 == 0)
			memset(node.identity, 1 + rand() % 3, 32);
		if (rand() % 8 == 0)
			(void) snprintf(node.name, sizeof(node.name), "name-%d", rand() % 5);
		else
			(void) snprintf(node.name, sizeof(node.name), "node-%u-%d", id, rand() % 9);
		json = node_to_json(&node);
		if (what == 0) {
			struct tombstone tombstone = { .id = id };

			json_decref(json);
			json = tombstone_to_json(&tombstone);
			type = step % 10 ? "policy" : "tombstone"; /* few of them */
		} else if (what == 1) {
			json_object_clear(json);
		} else if (what == 2) {
			json_decref(json);
			json = settings_to_json(&settings);
			if (rand() % 2)
				json_object_set_new(json, "mesh4", json_string("10.9.0.0/16"));
			type = "settings";
		} else if (what == 3) {
			type = "tombstones";
		}
		r = maker_apply(netmap, type, json, NULL, NULL);
		refused += r < 0;
		accepted += r > 0;
		if (!strcmp(type, "tombstone") && r > 0)
			there[id] = false;
		if (!strcmp(type, "node") && r >= 0)
			there[id] = true;
		size_t count = 0;

		for (uint32_t i = 1; i < 64; i++) {
			count += there[i];
			assert_int_equal(netmap_by_id(netmap, i) != NULL, there[i]);
		}
		assert_int_equal(netmap_count(netmap), count);
	}
	assert_true(refused > 1000);
	assert_true(accepted > 1000);
	/* No two nodes share anything. */
	const struct node *a, *b;

	for (a = NULL; (a = netmap_next(netmap, a));) {
		uint32_t id = 0;

		assert_ptr_equal(netmap_by_wg(netmap, a->wg), a);
		assert_int_equal(
			netmap_identity(netmap, a->identity, &id), NETMAP_IDENTITY_CURRENT);
		assert_int_equal(id, a->id);
		assert_ptr_equal(netmap_by_name(netmap, a->name), a);
		for (b = a; (b = netmap_next(netmap, b));)
			assert_false(node_has_pods(a) && ip_prefix_equal(&a->pods4, &b->pods4));
	}
}

/* Record by record gives what the whole log gives. */
static void test_follow(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_log();
	CLEANUP_NETMAP struct netmap *step = netmap_new(), *whole = netmap_new();
	struct settings settings = maker_settings();
	size_t refused = 0;
	struct err err = { 0 };

	maker_append(log, "settings", settings_to_json(&settings));
	for (uint32_t id = 1; id <= 20; id++) {
		CLEANUP_NODE struct node node = maker_node(id, id, id == 7 ? "node-6" : NULL);

		maker_append(log, "node", node_to_json(&node));
		assert_int_equal(netmap_follow(step, log, &refused, &err), 0);
		assert_int_equal(refused, id == 7);
	}
	assert_int_equal(netmap_follow(whole, log, &refused, &err), 0);
	assert_int_equal(refused, 1);
	assert_non_null(strstr(err.text, "record 9 (node)"));
	assert_int_equal(netmap_count(whole), 19);
	assert_int_equal(netmap_count(step), 19);
	assert_int_equal(netmap_follow(whole, log, NULL, NULL), 0);
	assert_int_equal(netmap_seq(whole), 22);
}

static void test_once_named(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = maker_log();
	CLEANUP_NETMAP struct netmap *map = netmap_new();
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node one = maker_node(1, 1, "pi3"), two = maker_node(2, 2, "n100");
	CLEANUP_NODE struct node three = maker_node(3, 3, "gone");

	maker_append(log, "settings", settings_to_json(&settings));
	maker_append(log, "node", node_to_json(&one));
	maker_append(log, "node", node_to_json(&two));
	maker_append(log, "node", node_to_json(&three));
	assert_int_equal(netmap_follow(map, log, NULL, NULL), 0);
	assert_null(netmap_once_named(map, log, "pi3"));
	strcpy(one.name, "pi3-old");
	maker_append(log, "node", node_to_json(&one));
	strcpy(two.name, "pi3");
	maker_append(log, "node", node_to_json(&two));
	assert_int_equal(netmap_follow(map, log, NULL, NULL), 0);
	assert_int_equal(netmap_once_named(map, log, "pi3")->id, 1);
	assert_int_equal(netmap_once_named(map, log, "n100")->id, 2);
	assert_null(netmap_once_named(map, log, "pi3-old"));
	/* One that is gone asks for nothing; one that came back to its name is itself. */
	maker_append(log, "tombstone", json_pack("{s:i,s:s}", "id", 3, "reason", "x"));
	strcpy(two.name, "n100");
	maker_append(log, "node", node_to_json(&two));
	strcpy(one.name, "pi3");
	maker_append(log, "node", node_to_json(&one));
	assert_int_equal(netmap_follow(map, log, NULL, NULL), 0);
	assert_null(netmap_once_named(map, log, "gone"));
	assert_null(netmap_once_named(map, log, "n100"));
	assert_int_equal(netmap_once_named(map, log, "pi3")->id, 2);
	assert_null(netmap_once_named(map, log, "never"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_once_named),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_tombstone),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_pods_for_life),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_nodes_stay),
		cmocka_unit_test(test_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
