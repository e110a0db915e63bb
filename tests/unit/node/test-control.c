/* control: what each call of others on this machine gives, and who may make it. */
#include "fake-ipc.h"
#include "fake-subjects.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"

enum { LOG_PAGE = 256 };

static struct hearthd *h;
static int reload_says;

/* --- instead of reading the configuration again --- */

int hearthd_reload(struct hearthd *hearthd, struct err *err)
{
	assert_ptr_equal(hearthd, h);
	return reload_says < 0 ? err_set(err, reload_says, "line 3 is wrong") : 0;
}

/* --- */

static int set_up(void **state)
{
	struct err err = { 0 };

	reload_says = 0;
	fake_ipc_has_path = true;
	fake_ipc_fails = 0;
	h = fake_hearthd_new();
	fake_hearthd_is_in(h);
	fake_hearthd_open(h);
	assert_int_equal(mesh_update(h, CHANGE_ALL, &err), 0);
	assert_int_equal(control_open(h, &err), 0);
	(void) fake_asked();
	(void) fake_core_logged("");
	return 0;
}

static int tear_down(void **state)
{
	control_end_waits(h);
	control_close(h);
	assert_null(fake_ipc);
	fake_hearthd_close(h);
	h = fake_hearthd_free(h);
	return 0;
}

/* A call by root. */
static struct ipc_request *call(const char *name, json_t *args)
{
	struct ipc_request *request = fake_call(name, args);

	fake_ipc->handler(fake_ipc->ctx, request);
	return request;
}

static struct ipc_request *call_by(uid_t uid, const char *name)
{
	struct ipc_request *request = fake_call(name, NULL);

	request->creds.uid = uid;
	fake_ipc->handler(fake_ipc->ctx, request);
	return request;
}

static const char *text(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static json_int_t number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void test_unknown(void **state)
{
	fake_call_refused(call("nothing", NULL), "not_found", "knows no such call");
}

static void test_only_root(void **state)
{
	fake_call_refused(call_by(1000, "reload"), "forbidden", "only root may do that");
	fake_call_refused(call_by(1000, "kube.publish"), "forbidden", "only root may do that");
	fake_call_free(call_by(1000, "log"));
	fake_call_free(call_by(1000, "wait"));
}

/* --- status --- */

/* The state that it tells. */
static const char *status_by(uid_t uid)
{
	static char state[32];
	CLEANUP_JSON json_t *ok = fake_call_taken(call_by(uid, "status"));

	(void) snprintf(state, sizeof(state), "%s", text(ok, "state"));
	return state;
}

/* Root's is of this moment, others share one that is a second old at most. */
static void test_status(void **state)
{
	assert_string_equal(status_by(1000), "running");
	fake_assert_asked("peers_look-1");
	h->mesh_state = MESH_REMOVED;
	fake_event_pass(USEC_PER_SEC - 1);
	assert_string_equal(status_by(1000), "running");
	fake_assert_asked("");
	fake_event_pass(1);
	assert_string_equal(status_by(1001), "removed");
	h->mesh_state = MESH_UP;
	assert_string_equal(status_by(0), "running");
	assert_string_equal(status_by(1000), "running");
}

/* --- netcheck --- */

static void test_netcheck(void **state)
{
	struct ipc_request *request;
	CLEANUP_JSON json_t *ok = NULL;

	fake.sides[NAT_IPV4].udp = NAT_UDP_WORKS;
	request = call_by(1000, "netcheck");
	fake_assert_asked("mapped_check");
	assert_false(request->answered);
	fake_end_check();
	assert_int_equal(request->charged, 1);
	ok = fake_call_taken(request);
	assert_true(json_is_true(json_object_get(json_object_get(ok, "ipv4"), "udp")));
	fake.checks = true;
	fake_call_refused(call("netcheck", NULL), "busy", "others are checking already");
	h->mesh_state = MESH_WAITING;
	fake_call_refused(call("netcheck", NULL), "internal", "the mesh is not up");
	h->mesh_state = MESH_UP;
}

/* Who waits while hearthd ends is told what is known, for which all subjects are there yet. */
static void test_netcheck_at_the_end(void **state)
{
	struct ipc_request *request = call("netcheck", NULL);
	CLEANUP_JSON json_t *ok = NULL;

	assert_false(request->answered);
	fake_hearthd_close(h);
	ok = fake_call_taken(request);
	assert_true(json_is_string(json_object_get(ok, "port_mapping")));
	fake_hearthd_open(h);
}

/* --- ping --- */

static void test_ping(void **state)
{
	struct ipc_request *request = call("ping",
		json_pack("{s:s,s:i,s:i}", "peer", "node-2", "size", 1000, "timeout_ms", 500));
	CLEANUP_JSON json_t *ok = NULL;

	fake_assert_asked("ping_send-10.77.0.2");
	assert_int_equal(fake.ping_size, 1000);
	assert_int_equal(fake.ping_timeout_us, 500 * USEC_PER_MSEC);
	assert_false(request->answered);
	fake.n_peers = 1;
	fake.peers[0].id = 2;
	assert_int_equal(endpoint_parse("192.168.50.12:41741", &fake.peers[0].stats.endpoint), 0);
	fake.ping_done(fake.ping_ctx, 1234);
	assert_int_equal(request->charged, 1);
	fake_assert_asked("peers_look-1");
	ok = fake_call_taken(request);
	assert_string_equal(text(ok, "name"), "node-2");
	assert_string_equal(text(ok, "address"), "10.77.0.2");
	assert_int_equal(number(ok, "rtt_us"), 1234);
	assert_string_equal(text(ok, "endpoint"), "192.168.50.12:41741");
	assert_true(json_is_null(json_object_get(ok, "relay")));
}

/* By a relay: its own address is nothing to anybody. */
static void test_ping_by_relay(void **state)
{
	struct ipc_request *request = call("ping", json_pack("{s:s}", "peer", "node-2"));
	CLEANUP_JSON json_t *ok = NULL;
	struct ways_action action;
	struct endpoint at;

	fake.n_peers = 1;
	fake.peers[0].id = 2;
	fake.peers[0].relay = 3;
	assert_int_equal(endpoint_parse("127.0.0.1:5000", &at), 0);
	fake.peers[0].stats.endpoint = at;
	ways_init(&fake.peers[0].ways);
	ways_relayed(&fake.peers[0].ways, &at, 1);
	assert_true(ways_next(&fake.peers[0].ways, 1, 9, &action));
	assert_true(ways_pong(&fake.peers[0].ways, &at, 9, 2));
	fake.ping_done(fake.ping_ctx, 1);
	ok = fake_call_taken(request);
	assert_true(json_is_null(json_object_get(ok, "endpoint")));
	assert_string_equal(text(ok, "relay"), "node-3");
	ways_done(&fake.peers[0].ways);
}

/* A peer that the tunnel does not reach, or that is none. */
static void test_ping_by_no_endpoint(void **state)
{
	for (fake.n_peers = 0; fake.n_peers < 2; fake.n_peers++) {
		struct ipc_request *request = call("ping", json_pack("{s:s}", "peer", "node-2"));
		CLEANUP_JSON json_t *ok = NULL;

		fake.peers[0].id = 2;
		assert_int_equal(fake.ping_size, PING_SIZE_DEFAULT);
		assert_int_equal(fake.ping_timeout_us, 2 * USEC_PER_SEC);
		fake.ping_done(fake.ping_ctx, 1);
		ok = fake_call_taken(request);
		assert_true(json_is_null(json_object_get(ok, "endpoint")));
	}
}

/* An address is pinged as it is; a name by the family that is wanted. */
static void test_ping_to(void **state)
{
	static const struct {
		const char *peer;
		int family;
		const char *sent;
	} cases[] = { { "node-2", 0, "ping_send-10.77.0.2" },
		{ "node-2", 6, "ping_send-fd12:3456:789a::2" },
		{ "node-2", 4, "ping_send-10.77.0.2" },
		{ "fd12:3456:789a::3", 4, "ping_send-fd12:3456:789a::3" },
		{ "10.77.0.3", 6, "ping_send-10.77.0.3" } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *args = json_pack("{s:s}", "peer", cases[i].peer);
		struct ipc_request *request;

		if (cases[i].family)
			json_object_set_new(args, "family", json_integer(cases[i].family));
		request = call("ping", args);
		fake_assert_asked(cases[i].sent);
		fake.ping_done(fake.ping_ctx, -ETIMEDOUT);
		fake_call_free(request);
	}
}

static void test_ping_fails(void **state)
{
	static const struct {
		int r;
		const char *code, *text;
	} cases[] = { { -ETIMEDOUT, "timeout", "node-2 (10.77.0.2) did not answer in time" },
		{ -ECANCELED, "internal", "hearthd is ending" },
		{ -EHOSTUNREACH, "internal", "No route to host" } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipc_request *request = call("ping", json_pack("{s:s}", "peer", "node-2"));

		fake.ping_done(fake.ping_ctx, cases[i].r);
		assert_int_equal(request->charged, 0);
		fake_call_refused(request, cases[i].code, cases[i].text);
	}
}

static void test_ping_refused(void **state)
{
	fake_call_refused(call("ping", NULL), "unknown_peer", "");
	fake_call_refused(call("ping", json_pack("{s:s}", "peer", "nobody")), "unknown_peer",
		"no node \"nobody\" is in the mesh");
	fake_call_refused(call("ping", json_pack("{s:s,s:i}", "peer", "node-2", "family", 7)),
		"bad_request", "family");
	fake_call_refused(call("ping", json_pack("{s:s,s:i}", "peer", "node-2", "size", 65001)),
		"bad_request", "size");
	fake_call_refused(
		call("ping", json_pack("{s:s,s:i}", "peer", "node-2", "timeout_ms", 60001)),
		"bad_request", "timeout_ms");
	fake_assert_asked("");
	fake.fails = "ping_send";
	fake.with = -EBUSY;
	fake_call_refused(
		call("ping", json_pack("{s:s}", "peer", "node-2")), "internal", "it fails");
	fake.with = -EINVAL;
	fake_call_refused(
		call("ping", json_pack("{s:s}", "peer", "node-2")), "bad_request", "it fails");
	h->mesh_state = MESH_REMOVED;
	fake_call_refused(call("ping", json_pack("{s:s}", "peer", "node-2")), "internal",
		"the mesh is not up on this board");
}

/* --- wait --- */

static void test_wait(void **state)
{
	fake_call_free(call("wait", NULL));
	assert_int_equal(fake.wait_for.peers, 0);
	assert_string_equal(fake.wait_for.bundle, "");
	assert_int_equal(fake.wait_us, 30 * USEC_PER_SEC);
	fake_call_free(call("wait", json_pack("{s:i,s:s,s:i}", "peers", 3, "bundle",
					    "00112233aabbccdd", "timeout_ms", 600000)));
	assert_int_equal(fake.wait_for.peers, 3);
	assert_string_equal(fake.wait_for.bundle, "00112233aabbccdd");
	assert_int_equal(fake.wait_us, 600 * USEC_PER_SEC);
	(void) fake_asked();
	fake_call_refused(call("wait", json_pack("{s:i}", "timeout_ms", 600001)), "bad_request",
		"timeout_ms");
	fake_call_refused(call("wait", json_pack("{s:s}", "bundle", "x")), "bad_request", "bundle");
	fake_call_refused(
		call("wait", json_pack("{s:i,s:s}", "peers", -1, "bundle", "00112233aabbccdd")),
		"bad_request", "peers");
	fake_assert_asked("");
}

static void test_wait_looks(void **state)
{
	fake.waits->look(fake.ctx);
	fake_assert_asked("peers_look-1");
}

/* Peers that nobody knows an address of cannot be waited for. */
static void test_peers_have_come(void **state)
{
	struct wait_for all = { 0 }, one = { .peers = 1 }, many = { .peers = 3 };
	CLEANUP_JSON json_t *answer = NULL;

	fake.n_peers = 3;
	fake.peers[0].has_presence = fake.peers[2].has_presence = true;
	fake.n_reachable = 1;
	assert_false(fake.waits->has_come(fake.ctx, &all));
	assert_true(fake.waits->has_come(fake.ctx, &one));
	assert_false(fake.waits->has_come(fake.ctx, &many));
	fake.n_reachable = 2;
	assert_true(fake.waits->has_come(fake.ctx, &all));
	assert_true(fake.waits->has_come(fake.ctx, &many));
	answer = fake.waits->answer(fake.ctx, &all, true);
	assert_true(json_is_true(json_object_get(answer, "done")));
	assert_int_equal(number(answer, "reachable"), 2);
	assert_int_equal(number(answer, "peers"), 3);
	h->mesh_state = MESH_WAITING;
	assert_false(fake.waits->has_come(fake.ctx, &one));
}

static void test_bundle_has_come(void **state)
{
	struct wait_for bundle = { .bundle = "00112233aabbccdd" };
	CLEANUP_JSON json_t *answer = NULL;

	fake.n_peers = 1;
	fake.peers[0].has_presence = true;
	assert_false(fake.waits->has_come(fake.ctx, &bundle));
	fake.have_tried = true;
	assert_true(fake.waits->has_come(fake.ctx, &bundle));
	answer = fake.waits->answer(fake.ctx, &bundle, true);
	assert_string_equal(text(answer, "bundle"), "00112233aabbccdd");
}

/* --- join bundles --- */

static json_t *bundle_args(void)
{
	static const uint8_t seed[32] = { 11 };
	struct kube_cluster c = { .mesh = "home",
		.node = 2,
		.seq = 1,
		.endpoint = "api.home.internal:6443",
		.n_ca = 1,
		.version = "v1.37.2" };
	struct kube_bundle bundle = {
		.id = "00112233aabbccdd", .token = "abcdef.0123456789abcdef", .expires = 2000000000
	};
	struct err err = { 0 };

	maker_root_hash(c.root);
	memcpy(c.ca[0], "sha256:", 7);
	memset(c.ca[0] + 7, 'a', 64);
	if (kube_cluster_sign(&c, seed, &bundle.cluster, &err) < 0)
		fail_msg("%s", err.text);
	return json_pack("{s:o}", "bundle", kube_bundle_to_json(&bundle));
}

static void be(enum node_role role)
{
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);

	node.role = role;
	fake_core_put_node(&node);
}

static void test_publish(void **state)
{
	struct err why = { 0 };
	struct ipc_request *request;

	be(NODE_ROLE_CONTROL_PLANE);
	request = call("kube.publish", bundle_args());
	fake_assert_asked("sync_put-/v1/kube-00112233aabbccdd");
	assert_false(request->answered);
	fake.put_done(fake.put_ctx, 0, NULL);
	fake_call_free(request);
	request = call("kube.publish", bundle_args());
	err_set(&why, -EACCES, "not you");
	fake.put_done(fake.put_ctx, -EACCES, &why);
	fake_call_refused(request, "coordinator", "not you");
	fake.fails = "sync_put";
	fake.with = -ENOMEM;
	fake_call_refused(call("kube.publish", bundle_args()), "internal", "it fails");
}

static void test_may_not_publish(void **state)
{
	fake_call_refused(call("kube.publish", bundle_args()), "forbidden",
		"only a control plane publishes how to join the cluster; this board is none");
	h->core.config.node = 5; /* not in the log */
	fake_call_refused(call("kube.publish", bundle_args()), "forbidden", "this board is none");
	h->core.config.node = 1;
	be(NODE_ROLE_CONTROL_PLANE);
	fake_call_refused(call("kube.publish", NULL), "bad_request", "bundle");
	fake_call_refused(call("kube.publish", json_pack("{s:{}}", "bundle")), "bad_request", "");
	fake_assert_asked("");
}

/* --- why --- */

static void test_why(void **state)
{
	CLEANUP_JSON json_t *ok =
		fake_call_taken(call("why", json_pack("{s:s}", "peer", "node-2")));

	assert_string_equal(text(ok, "why"), "answered");
	fake_call_free(call_by(1000, "why"));
}

/* --- reload --- */

static void test_reload(void **state)
{
	fake_call_free(call("reload", NULL));
	reload_says = -EINVAL;
	fake_call_refused(call("reload", NULL), "bad_request", "line 3 is wrong");
}

/* --- the log --- */

/* The page from @from on (-1: not said): so many records, the first and the last by number. */
static void assert_page(int from, size_t n, uint64_t first, uint64_t last)
{
	CLEANUP_JSON json_t *ok =
		fake_call_taken(call("log", from < 0 ? NULL : json_pack("{s:i}", "from", from)));
	const json_t *records = json_object_get(ok, "records");

	assert_int_equal(number(ok, "seq"), mesh_log_head(fake.log));
	assert_int_equal(json_array_size(records), n);
	if (n) {
		CLEANUP_RECORD struct record a = { 0 }, b = { 0 };

		assert_int_equal(record_from_json(json_array_get(records, 0), &a, NULL), 0);
		assert_int_equal(record_from_json(json_array_get(records, n - 1), &b, NULL), 0);
		assert_int_equal(a.seq, first);
		assert_int_equal(b.seq, last);
	}
}

static void test_log(void **state)
{
	struct settings settings = maker_settings();

	assert_page(-1, 1, 1, 1);
	while (mesh_log_head(fake.log) < LOG_PAGE + 2)
		maker_append(fake.log, RECORD_TYPE_SETTINGS, settings_to_json(&settings));
	settings_done(&settings);
	assert_page(-1, LOG_PAGE, 1, LOG_PAGE);
	assert_page(1, LOG_PAGE, 1, LOG_PAGE);
	assert_page(3, LOG_PAGE, 3, LOG_PAGE + 2);
	assert_page(LOG_PAGE + 2, 1, LOG_PAGE + 2, LOG_PAGE + 2);
	assert_page(LOG_PAGE + 3, 0, 0, 0);
	fake_call_refused(call("log", json_pack("{s:i}", "from", -1)), "bad_request", "from");
}

/* --- the socket --- */

static void test_socket(void **state)
{
	assert_string_equal(fake_ipc->path, FAKE_RUN "/hearthd.sock");
	assert_int_equal(fake_ipc->mode, 0666);
	control_keep(h);
	assert_int_equal(fake_core_logged(""), 0);
	fake_ipc_has_path = false;
	control_keep(h);
	assert_int_equal(fake_core_logged("the socket in " FAKE_RUN " was removed by another"), 1);
	assert_ptr_equal(h->ipc, fake_ipc);
	fake_ipc_fails = -EACCES;
	control_keep(h);
	assert_int_equal(fake_core_logged("`hearth` does not work: the local socket says no"), 1);
	assert_null(h->ipc);
	fake_ipc_fails = 0;
	fake_ipc_has_path = true;
	control_keep(h);
	assert_non_null(h->ipc);
}

static void test_cannot_open(void **state)
{
	struct err err = { 0 };

	control_end_waits(h);
	control_close(h);
	fake.fails = "waits_new";
	fake.with = -ENOMEM;
	assert_int_equal(control_open(h, &err), -ENOMEM);
	assert_null(fake_ipc);
	h->waits = NULL;
	fake.fails = NULL;
	fake_ipc_fails = -EADDRINUSE;
	assert_int_equal(control_open(h, &err), -EADDRINUSE);
	assert_string_equal(err.text, "the local socket says no");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown),
		TEST(only_root),
		TEST(status),
		TEST(netcheck),
		TEST(netcheck_at_the_end),
		TEST(ping),
		TEST(ping_by_relay),
		TEST(ping_by_no_endpoint),
		TEST(ping_to),
		TEST(ping_fails),
		TEST(ping_refused),
		TEST(wait),
		TEST(wait_looks),
		TEST(peers_have_come),
		TEST(bundle_has_come),
		TEST(publish),
		TEST(may_not_publish),
		TEST(why),
		TEST(reload),
		TEST(log),
		TEST(socket),
		TEST(cannot_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
