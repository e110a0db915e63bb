/* report: what scripts and people read. */
#include "mesh-maker.h"

#include "node/report.h"

static struct node nodes[4];

static const struct node *node_of(void *ctx, uint32_t id)
{
	return id < 4 ? &nodes[id] : NULL;
}

static struct sync_state sync_up = {
	.connected = true, .url = "https://192.0.2.1:8443", .since_us = 1, .contact_us = 2000000
};
static struct sync_state sync_down = { .since_us = UINT64_C(1000) * 1000000, .error = "no answer" };
static struct peer peers[2];
static const uint8_t head[32];

static struct report make(void)
{
	for (uint32_t id = 1; id < 4; id++)
		if (!nodes[id].id)
			nodes[id] = maker_node(id, id < 3 ? id : 0, NULL);
	memset(peers, 0, sizeof(peers));
	peers[0].id = 2;
	peers[0].reachable = peers[0].ever = peers[0].has_presence = true;
	peers[0].since_us = 5000000;
	peers[0].stats.rx_bytes = 10;
	peers[0].stats.tx_bytes = 20;
	peers[0].stats.last_handshake_wall_us = 7000000;
	assert_int_equal(endpoint_parse("[2001:db8::2]:41741", &peers[0].stats.endpoint), 0);
	peers[1].id = 3;
	peers[1].state_us = 100;
	return (struct report){ .mesh = "home",
		.state = MESH_UP,
		.id = 1,
		.self = &nodes[1],
		.ifname = "hearth0",
		.mtu = 1420,
		.port = 41741,
		.sync = &sync_up,
		.seq = 12,
		.head = head,
		.peers = peers,
		.n_peers = 2,
		.n_reachable = 1,
		.node_of = node_of,
		.log_problem = "",
		.now_us = 300000100,
		.now_wall_us = UINT64_C(1900) * 1000000 };
}

static const char *text(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void test_json(void **state)
{
	struct report report = make();
	CLEANUP_JSON json_t *json = report_json(&report);
	const json_t *list = json_object_get(json, "peers"), *first = json_array_get(list, 0);

	assert_string_equal(text(json, "state"), "running");
	assert_string_equal(text(json, "interface"), "hearth0");
	assert_string_equal(text(json_object_get(json, "node"), "mesh4"), "10.77.0.1");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(json, "log"), "seq")), 12);
	assert_true(json_is_null(json_object_get(json_object_get(json, "log"), "problem")));
	assert_true(
		json_is_true(json_object_get(json_object_get(json, "coordinator"), "connected")));
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text(first, "state"), "direct");
	assert_string_equal(text(first, "endpoint"), "[2001:db8::2]:41741");
	assert_int_equal(json_integer_value(json_object_get(first, "last_handshake")), 7);
	assert_string_equal(text(json_array_get(list, 1), "state"), "connecting");
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(list, 1), "state_seconds")), 300);
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "endpoint")));
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(list, 1), "last_handshake")), 0);
}

static void test_links(void **state)
{
	struct link_verdict verdicts[] = {
		{ .name = "eth0",
			.class = LINK_CLASS_UPLINK,
			.up = true,
			.has_default = true,
			.why = "hardware" },
		{ .name = "docker0",
			.class = LINK_CLASS_CONTAINER,
			.inside = true,
			.why = "a bridge whose way out is",
			.via = "nothing" },
		{ .name = "br\xff\x01 0", .class = LINK_CLASS_UNKNOWN, .up = true, .why = "odd" },
	};
	struct links links = { .list = verdicts, .n = 3, .n_addrs = 1 };
	struct report report = make();
	CLEANUP_JSON json_t *none = report_json(&report), *json = NULL;
	const json_t *list, *first, *second;

	assert_int_equal(json_array_size(json_object_get(none, "links")), 0);
	assert_int_equal(ip_addr_parse("192.0.2.7", &links.addrs[0].addr), 0);
	report.links = &links;
	json = report_json(&report);
	list = json_object_get(json, "links");
	first = json_array_get(list, 0);
	second = json_array_get(list, 1);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(text(first, "name"), "eth0");
	assert_string_equal(text(first, "verdict"), "uplink");
	assert_string_equal(text(first, "why"), "hardware, with a default route");
	assert_true(json_is_true(json_object_get(first, "guarded")));
	assert_true(json_is_true(json_object_get(first, "default_route")));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(first, "addresses"), 0)),
		"192.0.2.7");
	assert_string_equal(text(second, "why"), "a bridge whose way out is nothing; down");
	assert_true(json_is_false(json_object_get(second, "guarded")));
	assert_int_equal(json_array_size(json_object_get(second, "addresses")), 0);
	assert_string_equal(text(json_array_get(list, 2), "name"), "br???0");
}

static void expect(const struct report *report, const char *sentence)
{
	CLEANUP_BUF struct buf found = { 0 };

	report_sentence(report, &found);
	assert_string_equal(buf_str(&found), sentence);
}

static void test_sentence(void **state)
{
	static const char *const problems[] = { "one", "two" };
	struct report report = make();

	expect(&report, "1 of 2 peers reachable, coordinator connected");
	report.sync = &sync_down;
	expect(&report, "1 of 2 peers reachable, coordinator not reachable for 15 min");
	report.n_peers = 0;
	report.sync = &sync_up;
	report.problems = problems;
	report.n_problems = 1;
	expect(&report, "no peers yet, coordinator connected; 1 problem, see `hearth status`");
	report.state = MESH_REMOVED;
	expect(&report, "this board was removed from mesh home");
	report.state = MESH_WAITING;
	report.n_problems = 2;
	expect(&report, "waiting for the log of mesh home, coordinator connected; 2 problems, see "
			"`hearth status`");
}

static void test_peer_states(void **state)
{
	struct peer peer = { .has_presence = true };

	assert_string_equal(report_peer_state(&peer), "connecting");
	peer.reachable = peer.ever = true;
	assert_string_equal(report_peer_state(&peer), "direct");
	peer.reachable = false;
	assert_string_equal(report_peer_state(&peer), "unreachable");
}

static int release(void **state)
{
	for (uint32_t id = 1; id < 4; id++)
		node_done(&nodes[id]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_peer_states),
	};
	return cmocka_run_group_tests(tests, NULL, release);
}
