/* cluster: which document that names the cluster is believed. */
#include "mesh-maker.h"

#include "mesh/cluster.h"

static const uint8_t plane_seed[32] = { 11 }, worker_seed[32] = { 12 }, old_seed[32] = { 13 };
static uint8_t root[32];

static struct netmap *mesh(void)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	struct netmap *map = maker_netmap(&settings);
	CLEANUP_NODE struct node plane = maker_node(1, 1, "n100"), worker = maker_node(2, 2, "pi3");
	CLEANUP_NODE struct node gone = maker_node(3, 3, "old");

	plane.role = gone.role = NODE_ROLE_CONTROL_PLANE;
	record_public_key(plane_seed, plane.identity);
	record_public_key(worker_seed, worker.identity);
	record_public_key(old_seed, gone.identity);
	assert_int_equal(maker_apply(map, "node", node_to_json(&plane), NULL, NULL), 1);
	assert_int_equal(maker_apply(map, "node", node_to_json(&worker), NULL, NULL), 1);
	assert_int_equal(maker_apply(map, "node", node_to_json(&gone), NULL, NULL), 1);
	assert_int_equal(maker_apply(map, "tombstone",
				 json_pack("{s:i,s:s}", "id", 3, "reason", "x"), NULL, NULL),
		1);
	maker_root_hash(root);
	return map;
}

static struct kube_cluster named(void)
{
	struct kube_cluster c = { .mesh = "home",
		.node = 1,
		.seq = 100,
		.endpoint = "api.home.internal:6443",
		.n_ca = 1,
		.version = "v1.37.2" };

	memcpy(c.root, root, sizeof(c.root));
	memcpy(c.ca[0], "sha256:", 7);
	memset(c.ca[0] + 7, 'a', 64);
	return c;
}

static int judge(const struct netmap *map, const struct kube_cluster *cluster, const uint8_t *seed,
	uint64_t seen, struct err *err)
{
	struct kube_signed document;
	struct kube_cluster ret = { 0 };

	if (kube_cluster_sign(cluster, seed, &document, err) < 0)
		fail_msg("%s", err->text);
	int r = cluster_judge(map, root, &document, seen, &ret, err);

	assert_true(r ? !ret.node && err->text[0] : ret.seq == cluster->seq);
	return r;
}

static void test_judge(void **state)
{
	CLEANUP_NETMAP struct netmap *map = mesh(), *empty = netmap_new();
	struct kube_cluster c = named();
	struct err err = { 0 };

	assert_int_equal(judge(map, &c, plane_seed, 0, &err), 0);
	assert_int_equal(judge(map, &c, plane_seed, 100, &err), 0);
	assert_int_equal(judge(map, &c, plane_seed, 101, &err), -ESTALE);
	assert_non_null(strstr(err.text, "number 100"));
	assert_int_equal(judge(empty, &c, plane_seed, 0, &err), -EXDEV);
	/* Who signs: not another control plane's name, not a worker, nobody who is gone or never was. */
	assert_int_equal(judge(map, &c, worker_seed, 0, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "n100"));
	c.node = 2;
	assert_int_equal(judge(map, &c, worker_seed, 0, &err), -EACCES);
	assert_non_null(strstr(err.text, "pi3"));
	c.node = 3;
	assert_int_equal(judge(map, &c, old_seed, 0, &err), -EACCES);
	c.node = 77;
	assert_int_equal(judge(map, &c, plane_seed, 0, &err), -EACCES);
	/* Of another mesh, also one of the same name. */
	c = named();
	strcpy(c.mesh, "work");
	assert_int_equal(judge(map, &c, plane_seed, 0, &err), -EXDEV);
	c = named();
	c.root[5] ^= 1;
	assert_int_equal(judge(map, &c, plane_seed, 0, &err), -EXDEV);
}

static void test_endpoint(void **state)
{
	static const char *const bad[] = { "evil.example.net:6443", "api.work.internal:6443",
		"api.home.internal.evil.net:6443", "api.home.internalx:6443",
		"xapi.home.internal:6443", "10.77.0.1:6443", "[fd12:3456:789a::1]:6443",
		"n100.home.internal:6443" };
	CLEANUP_NETMAP struct netmap *map = mesh();
	struct kube_cluster c = named();
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		strcpy(c.endpoint, bad[i]);
		if (judge(map, &c, plane_seed, 0, &err) != -EPERM || !strstr(err.text, bad[i]))
			fail_msg("%s: %s", bad[i], err.text);
	}
	strcpy(c.endpoint, "api.home.internal:7443"); /* a user's bindPort */
	assert_int_equal(judge(map, &c, plane_seed, 0, &err), 0);
}

/* A control plane that became something else, or has another key now. */
static void test_changes(void **state)
{
	CLEANUP_NETMAP struct netmap *map = mesh();
	CLEANUP_NODE struct node plane = { 0 };
	struct kube_cluster c = named();
	struct err err = { 0 };

	assert_int_equal(node_copy(netmap_by_id(map, 1), &plane), 0);
	strcpy(plane.name, "renamed");
	assert_int_equal(maker_apply(map, "node", node_to_json(&plane), NULL, NULL), 1);
	assert_int_equal(judge(map, &c, plane_seed, 0, &err), 0);
	assert_int_equal(node_revoke_identity(&plane), 0);
	record_public_key((const uint8_t[32]){ 44 }, plane.identity);
	assert_int_equal(maker_apply(map, "node", node_to_json(&plane), NULL, NULL), 1);
	assert_int_equal(judge(map, &c, plane_seed, 0, &err), -EBADMSG);
	assert_int_equal(judge(map, &c, (const uint8_t[32]){ 44 }, 0, &err), 0);
}

/* What another name, label ... of this board makes another, and nothing else does. */
static void test_inputs(void **state)
{
	CLEANUP_NETMAP struct netmap *map = mesh();
	CLEANUP_SETTINGS struct settings settings = { 0 };
	CLEANUP_NODE struct node worker = { 0 }, plane = { 0 };
	CLEANUP(free_p) char *last = cluster_inputs(map, 2);

	assert_non_null(last);
	assert_null(cluster_inputs(map, 3)); /* gone */
	assert_null(cluster_inputs(map, 77));
	assert_int_equal(node_copy(netmap_by_id(map, 2), &worker), 0);
	assert_int_equal(node_copy(netmap_by_id(map, 1), &plane), 0);
	settings_copy(netmap_settings(map), &settings);
	enum { LABEL, NAME, REKEY, PLANE_NAME, URL, BY_HAND, SERVERS, PIN, PLANE_GONE, STEPS };
	static const bool differs[STEPS] = { [LABEL] = true, [NAME] = true };

	for (int step = 0; step < STEPS; step++) {
		CLEANUP(free_p) char *now = NULL;
		json_t *payload = NULL;
		const char *type = "node";

		switch (step) {
		case LABEL:
			json_decref(worker.labels);
			worker.labels = json_pack("{s:s}", "zone", "attic");
			payload = node_to_json(&worker);
			break;
		case NAME:
			strcpy(worker.name, "attic");
			payload = node_to_json(&worker);
			break;
		case REKEY:
			assert_int_equal(node_revoke_identity(&worker), 0);
			worker.identity[0] ^= 1;
			payload = node_to_json(&worker);
			break;
		case PLANE_NAME:
			strcpy(plane.name, "n200");
			payload = node_to_json(&plane);
			break;
		case URL:
			strcpy(settings.urls[0], "https://192.0.2.99:8443");
			type = "settings";
			payload = settings_to_json(&settings);
			break;
		case BY_HAND:
			settings.n_by_hand = 1;
			type = "settings";
			payload = settings_to_json(&settings);
			break;
		case SERVERS:
			assert_int_equal(
				outside_parse("a:1", &settings.stun[settings.n_stun++]), 0);
			assert_int_equal(foreign_choose("b", &settings.relays[0], NULL), 0);
			settings.n_relays = 1;
			type = "settings";
			payload = settings_to_json(&settings);
			break;
		case PIN:
			settings.pins[0][0] ^= 1;
			type = "settings";
			payload = settings_to_json(&settings);
			break;
		case PLANE_GONE:
			type = "tombstone";
			payload = json_pack("{s:i,s:s}", "id", 1, "reason", "x");
			break;
		}
		assert_int_equal(maker_apply(map, type, payload, NULL, NULL), 1);
		now = cluster_inputs(map, 2);
		assert_non_null(now);
		if (!strcmp(now, last) == differs[step])
			fail_msg("step %d: %s", step, now);
		free(last);
		last = TAKE(now);
	}
}

/* Which of the control planes runs kubeadm init is in the files of both. */
static void test_first(void **state)
{
	CLEANUP_NETMAP struct netmap *map = mesh();
	CLEANUP_NODE struct node second = maker_node(4, 4, "n200");
	CLEANUP(free_p) char *before = NULL;
	CLEANUP(free_p) char *after = NULL;

	second.role = NODE_ROLE_CONTROL_PLANE;
	assert_int_equal(netmap_first_control_plane(map)->id, 1);
	assert_int_equal(maker_apply(map, "node", node_to_json(&second), NULL, NULL), 1);
	assert_int_equal(netmap_first_control_plane(map)->id, 1);
	before = cluster_inputs(map, 4);
	assert_int_equal(maker_apply(map, "tombstone",
				 json_pack("{s:i,s:s}", "id", 1, "reason", "x"), NULL, NULL),
		1);
	assert_int_equal(netmap_first_control_plane(map)->id, 4);
	after = cluster_inputs(map, 4);
	assert_string_not_equal(before, after);
	assert_int_equal(maker_apply(map, "tombstone",
				 json_pack("{s:i,s:s}", "id", 4, "reason", "x"), NULL, NULL),
		1);
	assert_null(netmap_first_control_plane(map));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_inputs),
		cmocka_unit_test(test_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
