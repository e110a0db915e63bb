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
static const struct finder_counters disco = { .pings_sent = 1,
	.pongs_sent = 2,
	.pings = 3,
	.pongs = 4,
	.strange = 5,
	.bad = 6,
	.unanswered = 7,
	.calls_sent = 8,
	.calls = 9,
	.unheeded = 10 };

static const struct beacon_counters beacon = {
	.sent = 1, .heard = 2, .news = 3, .strange = 4, .bad = 5, .unread = 6
};

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
		.disco = &disco,
		.beacon = &beacon,
		.holes = { .tries = 1,
			.pings = 2,
			.met = 3,
			.in_vain = 4,
			.hurt = 5,
			.refused = 6,
			.now = 7 },
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

static const json_t *in(const json_t *json, const char *key, const char *then)
{
	return json_object_get(json_object_get(json, key), then);
}

/* Of the URLs that the coordinator answers by, one may be a person's choice. */
static void test_by_hand(void **state)
{
	struct report report = make();
	struct settings settings = { .n_urls = 2, .n_by_hand = 1 };
	struct sync_state sync = { .connected = true, .url = "https://a" };
	CLEANUP_JSON json_t *none = NULL, *other = NULL, *by_hand = NULL;

	report.sync = &sync;
	none = report_json(&report);
	assert_true(json_is_false(in(none, "coordinator", "by_hand")));
	(void) snprintf(settings.urls[0], sizeof(settings.urls[0]), "https://b");
	(void) snprintf(settings.urls[1], sizeof(settings.urls[1]), "https://a");
	report.settings = &settings;
	other = report_json(&report);
	assert_true(json_is_false(in(other, "coordinator", "by_hand")));
	settings.n_by_hand = 2;
	by_hand = report_json(&report);
	assert_true(json_is_true(in(by_hand, "coordinator", "by_hand")));
	assert_string_equal(json_string_value(in(by_hand, "coordinator", "url")), "https://a");
}

static void test_coordinator_by_relay(void **state)
{
	struct report report = make();
	CLEANUP_JSON json_t *none = report_json(&report), *by_relay = NULL;

	assert_true(json_is_null(in(none, "coordinator", "relay")));
	report.sync_relay = &nodes[2];
	by_relay = report_json(&report);
	assert_string_equal(json_string_value(in(by_relay, "coordinator", "relay")), nodes[2].name);
}

/* All the rest that scripts read. */
static void test_rest(void **state)
{
	static const char *const problems[] = { "one", "two" };
	struct report report = make();
	struct endpoint endpoints[2];
	CLEANUP_JSON json_t *json = NULL;
	const json_t *peer;

	assert_int_equal(endpoint_parse("192.0.2.1:41741", &endpoints[0]), 0);
	assert_int_equal(endpoint_parse("[2001:db8::1]:41741", &endpoints[1]), 0);
	report.endpoints = endpoints;
	report.n_endpoints = 2;
	report.problems = problems;
	report.n_problems = 2;
	report.log_problem = "a fork";
	report.sync = &sync_down;
	report.systemd = true;
	peers[0].stats.last_receive_us = report.now_us - 2500000;
	json = report_json(&report);
	assert_string_equal(text(json, "mesh"), "home");
	assert_string_equal(text(json, "version"), HEARTH_VERSION);
	assert_non_null(strstr(text(json, "summary"), "1 of 2 peers reachable"));
	assert_true(json_is_true(json_object_get(json, "systemd")));
	assert_int_equal(json_integer_value(json_object_get(json, "mtu")), 1420);
	assert_int_equal(json_integer_value(json_object_get(json, "port")), 41741);
	assert_int_equal(json_integer_value(json_object_get(json, "reachable")), 1);
	assert_int_equal(json_array_size(json_object_get(json, "endpoints")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(json, "endpoints"), 1)),
		"[2001:db8::1]:41741");
	assert_int_equal(json_array_size(json_object_get(json, "problems")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(json, "problems"), 1)), "two");
	assert_string_equal(json_string_value(in(json, "log", "problem")), "a fork");
	assert_string_equal(json_string_value(in(json, "log", "hash")),
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	assert_true(json_is_false(in(json, "coordinator", "connected")));
	assert_int_equal(json_integer_value(in(json, "coordinator", "since")), 1000);
	assert_string_equal(json_string_value(in(json, "coordinator", "error")), "no answer");
	assert_true(json_is_null(in(json, "coordinator", "url")));
	assert_true(json_is_null(in(json, "coordinator", "last_contact")));
	assert_true(json_is_null(in(json, "coordinator", "code")));
	assert_string_equal(json_string_value(in(json, "node", "pods4")), "10.244.1.0/24");
	peer = json_array_get(json_object_get(json, "peers"), 0);
	assert_string_equal(text(peer, "name"), "node-2");
	assert_string_equal(text(peer, "role"), "worker");
	assert_string_equal(text(peer, "mesh6"), "fd12:3456:789a::2");
	assert_non_null(text(peer, "pods6"));
	assert_int_equal(json_integer_value(json_object_get(peer, "since")), 5);
	assert_int_equal(json_integer_value(json_object_get(peer, "last_receive_seconds")), 2);
	assert_int_equal(json_integer_value(json_object_get(peer, "rx_bytes")), 10);
	assert_int_equal(json_integer_value(json_object_get(peer, "tx_bytes")), 20);
	peer = json_array_get(json_object_get(json, "peers"), 1);
	assert_true(json_is_null(json_object_get(peer, "since")));
	assert_true(json_is_null(json_object_get(peer, "pods4"))); /* a member */
	assert_true(json_is_null(json_object_get(peer, "pods6")));
	assert_true(json_is_null(json_object_get(peer, "last_receive_seconds")));
}

/* A clock that was read a moment before; a board that is in no mesh; a peer that went just now. */
static void test_odd(void **state)
{
	struct report report = make();
	CLEANUP_JSON json_t *json = NULL;
	const json_t *list;

	report.self = NULL;
	report.seq = 0;
	peers[0].stats.last_receive_us = report.now_us + 1;
	peers[0].state_us = report.now_us + 1;
	peers[1].id = 0;
	json = report_json(&report);
	assert_int_equal(json_integer_value(in(json, "node", "id")), 1);
	assert_null(in(json, "node", "name"));
	assert_true(json_is_null(in(json, "log", "hash")));
	list = json_object_get(json, "peers");
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "last_receive_seconds")));
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(list, 0), "state_seconds")), 0);
}

static void test_states(void **state)
{
	static const struct {
		enum mesh_state state;
		const char *name;
	} cases[] = { { MESH_WAITING, "starting" }, { MESH_UP, "running" },
		{ MESH_REMOVED, "removed" }, { MESH_REPLACED, "replaced" } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct report report = make();
		CLEANUP_JSON json_t *json = NULL;

		report.state = cases[i].state;
		json = report_json(&report);
		assert_string_equal(text(json, "state"), cases[i].name);
	}
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

static void test_disco(void **state)
{
	static const char *const names[] = { "pings_sent", "pongs_sent", "pings", "pongs",
		"strange", "bad", "unanswered", "calls_sent", "calls", "unheeded" };
	struct report report = make();
	CLEANUP_JSON json_t *json = report_json(&report);
	const json_t *counters = json_object_get(json, "disco");

	assert_int_equal(json_object_size(counters), 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(json_integer_value(json_object_get(counters, names[i])), i + 1);
}

static void test_beacon(void **state)
{
	static const char *const names[] = { "sent", "heard", "news", "strange", "bad", "unread" };
	struct report report = make();
	CLEANUP_JSON json_t *json = report_json(&report);
	const json_t *counters = json_object_get(json, "beacon");

	assert_int_equal(json_object_size(counters), 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(json_integer_value(json_object_get(counters, names[i])), i + 1);
}

static void test_guessing(void **state)
{
	static const char *const names[] = { "tries", "pings", "met", "in_vain", "hurt", "refused",
		"ways" };
	struct report report = make();
	CLEANUP_JSON json_t *json = report_json(&report);
	const json_t *counters = json_object_get(json, "guessing");

	assert_int_equal(json_object_size(counters), 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(json_integer_value(json_object_get(counters, names[i])), i + 1);
}

/* By a port that was guessed: where it leads, not the address of ours that it is for the tunnel. */
static void test_hole(void **state)
{
	struct endpoint inside, there;
	struct report report = make();
	struct ways_action action;
	CLEANUP_JSON json_t *json = NULL;
	const json_t *peer;

	assert_int_equal(endpoint_parse("127.0.0.1:5000", &inside), 0);
	assert_int_equal(endpoint_parse("198.51.100.7:41741", &there), 0);
	ways_init(&peers[0].ways);
	ways_hole(&peers[0].ways, &inside, &there, 1000);
	assert_true(ways_next(&peers[0].ways, 1000, 5, &action));
	assert_true(ways_pong(&peers[0].ways, &inside, 5, 2000));
	peers[0].stats.endpoint = inside;
	json = report_json(&report);
	peer = json_array_get(json_object_get(json, "peers"), 0);
	assert_string_equal(text(peer, "state"), "direct");
	assert_string_equal(text(peer, "endpoint"), "198.51.100.7:41741");
	assert_true(json_is_null(json_object_get(peer, "relay")));
	ways_done(&peers[0].ways);
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
	struct sync_state refused = sync_down, unknown = { 0 };
	struct report report = make();

	(void) strcpy(refused.code, "removed");
	expect(&report, "1 of 2 peers reachable, coordinator connected");
	report.sync = &sync_down;
	expect(&report, "1 of 2 peers reachable, coordinator not reachable for 15 min");
	report.now_wall_us = sync_down.since_us + UINT64_C(60) * 1000000 - 1;
	expect(&report, "1 of 2 peers reachable, coordinator not reachable for less than a minute");
	report.now_wall_us = sync_down.since_us - 1; /* the clock went back */
	expect(&report, "1 of 2 peers reachable, coordinator not reachable for less than a minute");
	report.now_wall_us = sync_down.since_us + UINT64_C(7199) * 1000000;
	expect(&report, "1 of 2 peers reachable, coordinator not reachable for 119 min");
	report.now_wall_us = sync_down.since_us + UINT64_C(7200) * 1000000;
	expect(&report, "1 of 2 peers reachable, coordinator not reachable for 2 h");
	report.sync = &refused;
	expect(&report, "1 of 2 peers reachable, refused by the coordinator for 2 h");
	report.sync = &unknown; /* nothing was tried yet */
	expect(&report, "1 of 2 peers reachable");
	report.n_peers = 0;
	report.sync = &sync_up;
	report.problems = problems;
	report.n_problems = 1;
	expect(&report, "no peers yet, coordinator connected; 1 problem, see `hearth status`");
	report.state = MESH_REMOVED;
	expect(&report, "this board was removed from mesh home");
	report.state = MESH_REPLACED;
	expect(&report, "another machine was enrolled in this board's place in mesh home");
	report.state = MESH_WAITING;
	report.n_problems = 2;
	expect(&report, "waiting for the log of mesh home, coordinator connected; 2 problems, see "
			"`hearth status`");
}

/* Its relayed way is the one that answers. */
static void relay(struct peer *peer)
{
	struct ways_action action;
	struct endpoint at;

	assert_int_equal(endpoint_parse("127.0.0.1:5000", &at), 0);
	ways_init(&peer->ways);
	ways_relayed(&peer->ways, &at, 1);
	assert_true(ways_next(&peer->ways, 1, 9, &action));
	assert_true(ways_pong(&peer->ways, &at, 9, 23001));
	peer->stats.endpoint = at;
}

/* Its loopback address is nobody's business. */
static void test_relayed(void **state)
{
	struct report report = make();
	struct relays_report relays[] = {
		{ .id = 2, .state = "silent", .why = "UDP is not answered" },
		{ .id = 3, .home = true, .state = "bound", .way = "tcp", .rtt_us = 9000 },
	};

	relay(&peers[0]);
	peers[0].relay = 3;
	peers[0].mtu.told = 1408;
	report.relays = relays;
	report.n_relays = 2;
	assert_int_equal(endpoint_parse("203.0.113.3:3478", &relays[1].at), 0);
	CLEANUP_JSON json_t *json = report_json(&report);
	const json_t *first = json_array_get(json_object_get(json, "peers"), 0);
	const json_t *list = json_object_get(json, "relays");

	assert_string_equal(text(first, "state"), "relayed");
	assert_string_equal(text(first, "relay"), nodes[3].name);
	assert_string_equal(text(first, "relay_way"), "tcp");
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "way")));
	assert_string_equal(text(json_array_get(list, 1), "way"), "tcp");
	assert_int_equal(json_integer_value(json_object_get(first, "rtt_us")), 23000);
	assert_int_equal(json_integer_value(json_object_get(first, "mtu")), 1408);
	assert_true(json_is_null(json_object_get(first, "endpoint")));
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text(json_array_get(list, 0), "state"), "silent");
	assert_string_equal(text(json_array_get(list, 0), "problem"), "UDP is not answered");
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "endpoint")));
	assert_string_equal(text(json_array_get(list, 1), "name"), nodes[3].name);
	assert_string_equal(text(json_array_get(list, 1), "endpoint"), "203.0.113.3:3478");
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(list, 1), "rtt_us")), 9000);
	assert_true(json_is_true(json_object_get(json_array_get(list, 1), "home")));
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "problem")));
	ways_done(&peers[0].ways);
}

static void test_mappings(void **state)
{
	struct report report = make();
	struct portmap_report mappings[] = {
		{ .family = AF_INET,
			.protocol = MAPPING_UPNP,
			.nested = true,
			.left_us = 90000000 },
		{ .family = AF_INET6, .why = MAPPING_WHY_REFUSED, .detail = 2, .restarts = 1 },
	};

	assert_int_equal(endpoint_parse("100.64.0.7:2000", &mappings[0].outside), 0);
	assert_int_equal(ip_addr_parse("192.168.1.1", &mappings[0].gateway), 0);
	report.mappings = mappings;
	report.n_mappings = 2;
	CLEANUP_JSON json_t *json = report_json(&report);
	const json_t *list = json_object_get(json, "port_mappings");
	const json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text(first, "family"), "ipv4");
	assert_string_equal(text(first, "gateway"), "192.168.1.1");
	assert_string_equal(text(first, "protocol"), "upnp");
	assert_string_equal(text(first, "endpoint"), "100.64.0.7:2000");
	assert_true(json_is_true(json_object_get(first, "nested")));
	assert_int_equal(json_integer_value(json_object_get(first, "left_seconds")), 90);
	assert_true(json_is_null(json_object_get(first, "why")));
	assert_true(json_is_null(json_object_get(second, "gateway")));
	assert_true(json_is_null(json_object_get(second, "endpoint")));
	assert_string_equal(text(second, "why"), "refused");
	assert_string_equal(text(second, "words"), "the gateway refuses it");
	assert_int_equal(json_integer_value(json_object_get(second, "code")), 2);
	assert_int_equal(json_integer_value(json_object_get(second, "restarts")), 1);
}

static void test_peer_states(void **state)
{
	struct peer peer = { .has_presence = true };

	assert_string_equal(report_peer_state(&peer), "connecting");
	peer.reachable = peer.ever = true;
	assert_string_equal(report_peer_state(&peer), "direct");
	relay(&peer);
	assert_string_equal(report_peer_state(&peer), "relayed");
	ways_done(&peer.ways);
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
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_coordinator_by_relay),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_disco),
		cmocka_unit_test(test_beacon),
		cmocka_unit_test(test_guessing),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_relayed),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_peer_states),
	};
	return cmocka_run_group_tests(tests, NULL, release);
}
