/* admin: what is told of the mesh to whoever may ask, and changes of nodes. */
#include "world.h"

#include <errno.h>

#include "base/json.h"
#include "coordinator/admin.h"
#include "coordinator/kube.h"
#include "coordinator/presence.h"

static struct ipc_request *submit(struct coord *c, const char *call, json_t *args)
{
	struct ipc_request *r = fake_call(call, args);

	admin_handle(c, r);
	return r;
}

static struct ipc_request *call(struct coord *c, const char *name, json_t *args)
{
	struct ipc_request *r = submit(c, name, args);

	(void) fake_store_flush();
	return r;
}

static json_t *good(struct coord *c, const char *name, json_t *args)
{
	return fake_call_taken(call(c, name, args));
}

/* Refused, and nothing has changed. */
static void bad(struct coord *c, const char *name, json_t *args, const char *code, const char *says)
{
	uint64_t head = mesh_log_head(ledger_log(c->ledger));

	fake_call_refused(call(c, name, args), code, says);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
}

static json_int_t number(const json_t *json, const char *key)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	return json_integer_value(json_object_get(json, key));
}

static const char *text(const json_t *json, const char *key)
{
	assert_true(json_is_string(json_object_get(json, key)));
	return json_string_value(json_object_get(json, key));
}

static void give_bundle(struct coord *c, const struct board *plane)
{
	struct kube_bundle b = { .id = "1111111111111111",
		.cluster = { .payload = "{}", .len = 2 },
		.token = "abcdef.0123456789abcdef",
		.expires = FAKE_WALL_S + 60 };
	CLEANUP_JSON json_t *body = kube_bundle_to_json(&b);
	struct httpd_request *r = world_request(plane, "/v1/kube");

	kube_handle(c, r, netmap_by_id(coord_netmap(c), plane->id), body);
	(void) fake_store_flush();
	fake_request_free(r);
}

static void test_status(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_CONTROL_PLANE);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct feed_position position = { .seq = 4 };
	struct httpd_request *r = world_request(&b, "/v1/poll");
	json_t *ok = good(c, "status", NULL);

	assert_string_equal(text(ok, "mesh"), "home");
	assert_string_equal(text(ok, "version"), HEARTH_VERSION);
	assert_int_equal(number(ok, "records"), 4);
	assert_int_equal(number(ok, "nodes"), 2);
	assert_int_equal(number(ok, "connected"), 0);
	assert_int_equal(number(ok, "tokens"), 0);
	assert_int_equal(number(ok, "started"), FAKE_WALL_S);
	assert_true(json_is_null(json_object_get(ok, "kube")));
	assert_int_equal(json_array_size(json_object_get(ok, "urls")), 1);
	assert_int_equal(json_array_size(json_object_get(ok, "pins")), 1);
	assert_string_equal(text(json_object_get(ok, "settings"), "mesh"), "home");
	json_decref(ok);
	feed_poll(c->feed, r, world_find(c, &b), &position, 55);
	give_bundle(c, &a);
	ok = good(c, "status", NULL);
	assert_int_equal(number(ok, "connected"), 1);
	assert_string_equal(text(json_object_get(ok, "kube"), "id"), "1111111111111111");
	assert_int_equal(number(json_object_get(ok, "kube"), "expires"), FAKE_WALL_S + 60);
	json_decref(ok);
	feed_end_polls(c->feed);
	fake_request_free(r);
	bad(c, "nonsense", NULL, "unknown_call", "does not know");
}

static void test_list(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_MEMBER);
	struct httpd_request *r = world_request(&b, "/v1/presence");
	CLEANUP_JSON json_t *presence = world_presence(&b, 1, 4711);
	struct feed_position position = { .seq = 4 };
	const json_t *first, *second;
	json_t *ok;

	presences_handle(c, r, world_find(c, &b), presence);
	fake_request_free(r);
	feed_seen(c->feed, b.id, 77);
	r = world_request(&a, "/v1/poll");
	position.cursor.number = 1;
	strcpy(position.cursor.instance, presences_instance(c->presences));
	feed_poll(c->feed, r, world_find(c, &a), &position, 55);
	ok = good(c, "node.list", NULL);
	first = json_array_get(json_object_get(ok, "nodes"), 0);
	second = json_array_get(json_object_get(ok, "nodes"), 1);
	assert_string_equal(text(first, "name"), "a");
	assert_true(json_is_true(json_object_get(first, "connected")));
	assert_int_equal(number(first, "last_seen"), 0);
	assert_int_equal(json_array_size(json_object_get(first, "endpoints")), 0);
	assert_string_equal(text(second, "role"), "member");
	assert_true(json_is_false(json_object_get(second, "connected")));
	assert_int_equal(number(second, "last_seen"), 77);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(second, "endpoints"), 0)),
		"198.51.100.7:4711");
	json_decref(ok);
	feed_end_polls(c->feed);
	fake_request_free(r);
}

/* However a person calls a node. */
static void test_which(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	json_t *ways[] = { json_string("a"), json_string("A.home.internal"), json_integer(1),
		json_string("10.77.0.1") };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		json_t *ok = good(c, "node.label", json_pack("{s:o}", "node", ways[i]));

		assert_int_equal(number(ok, "id"), a.id);
		json_decref(ok);
	}
	bad(c, "node.label", NULL, "bad_request", "\"node\" must be");
	bad(c, "node.label", json_pack("{s:s}", "node", "b"), "unknown_node", "\"b\"");
	bad(c, "node.label", json_pack("{s:i}", "node", 0), "unknown_node", "no node");
	bad(c, "node.label", json_pack("{s:i}", "node", -1), "unknown_node", "no node");
	bad(c, "node.label", json_pack("{s:I}", "node", (json_int_t) 1 << 32 | 1), "unknown_node",
		"no node");
	bad(c, "node.label", json_pack("{s:b}", "node", 1), "bad_request", "\"node\" must be");
}

static void test_remove(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	char long_reason[TOMBSTONE_REASON_MAX + 1];
	struct ipc_request *twice[2];
	json_t *ok;

	memset(long_reason, 'x', sizeof(long_reason));
	long_reason[TOMBSTONE_REASON_MAX] = '\0';
	bad(c, "node.remove", json_pack("{s:s, s:s}", "node", "a", "reason", ""), "bad_request",
		"\"reason\"");
	bad(c, "node.remove", json_pack("{s:s, s:s}", "node", "a", "reason", long_reason),
		"bad_request", "\"reason\"");
	bad(c, "node.remove", NULL, "bad_request", "\"node\"");
	long_reason[TOMBSTONE_REASON_MAX - 1] = '\0';
	ok = good(c, "node.remove", json_pack("{s:s, s:s}", "node", "a", "reason", long_reason));
	assert_int_equal(number(ok, "id"), a.id);
	assert_string_equal(text(ok, "name"), "a");
	json_decref(ok);
	assert_int_equal(fake_log_says("node.remove by uid 0 (pid 0): node 1, a"), 1);
	assert_null(world_find(c, &a));
	assert_non_null(strstr(
		ledger_record_text(c->ledger, mesh_log_head(ledger_log(c->ledger))), "tombstone"));
	/* Two at once: the second finds it gone. */
	twice[0] = submit(c, "node.remove", json_pack("{s:s}", "node", "b"));
	twice[1] = submit(c, "node.remove", json_pack("{s:s}", "node", "b"));
	(void) fake_store_flush();
	json_decref(fake_call_taken(twice[0]));
	fake_call_refused(twice[1], "not_found", "removed meanwhile");
	assert_null(world_find(c, &b));
}

static void test_rename(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct ipc_request *late[2];
	uint64_t head;
	json_t *ok =
		good(c, "node.rename", json_pack("{s:s, s:s}", "node", "a", "name", "Kitchen"));

	assert_string_equal(text(ok, "name"), "kitchen");
	json_decref(ok);
	assert_string_equal(world_find(c, &a)->name, "kitchen");
	assert_memory_equal(world_find(c, &a)->wg, a.wg, sizeof(a.wg));
	bad(c, "node.rename", json_pack("{s:s, s:s}", "node", "kitchen", "name", "b"), "name_taken",
		"by node 2");
	bad(c, "node.rename", json_pack("{s:s, s:s}", "node", "kitchen", "name", "no name"),
		"bad_request", "no name");
	bad(c, "node.rename", json_pack("{s:s}", "node", "kitchen"), "bad_request", "\"name\"");
	bad(c, "node.rename", json_pack("{s:s, s:s}", "node", "x", "name", "y"), "unknown_node",
		"x");
	/* Its own name is no change. */
	head = mesh_log_head(ledger_log(c->ledger));
	json_decref(good(c, "node.rename", json_pack("{s:s, s:s}", "node", "b", "name", "b")));
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
	late[0] = submit(c, "node.remove", json_pack("{s:s}", "node", "b"));
	late[1] = submit(c, "node.rename", json_pack("{s:s, s:s}", "node", "b", "name", "c"));
	(void) fake_store_flush();
	json_decref(fake_call_taken(late[0]));
	fake_call_refused(late[1], "not_found", "removed meanwhile");
	assert_null(world_find(c, &b));
}

static json_t *label_args(const char *node, const char *set, const char *remove)
{
	json_t *args = json_pack("{s:s}", "node", node);

	if (set)
		json_object_set_new(args, "set", json_parse(set, strlen(set), NULL));
	if (remove)
		json_object_set_new(args, "remove", json_parse(remove, strlen(remove), NULL));
	return args;
}

/* Labels @node then has, as text; whether it was a change is @changed. */
static void labelled(struct coord *c, json_t *args, bool changed, const char *labels)
{
	CLEANUP_JSON json_t *ok = good(c, "node.label", args);
	CLEANUP(free_p) char *printed = json_text(json_object_get(ok, "labels"));

	assert_int_equal(json_is_true(json_object_get(ok, "changed")), changed);
	assert_string_equal(printed, labels);
}

static void test_label(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	uint64_t head = mesh_log_head(ledger_log(c->ledger));
	struct ipc_request *late[2];

	labelled(c, label_args("a", NULL, NULL), false, "{}");
	labelled(c, label_args("a", NULL, "[\"disk\"]"), false, "{}"); /* it has none */
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
	labelled(c, label_args("a", "{\"disk\":\"ssd\",\"room\":\"2\"}", NULL), true,
		"{\"disk\":\"ssd\",\"room\":\"2\"}");
	labelled(c, label_args("a", "{\"disk\":\"ssd\"}", NULL), false,
		"{\"disk\":\"ssd\",\"room\":\"2\"}");
	labelled(
		c, label_args("a", "{\"disk\":\"hdd\"}", "[\"room\"]"), true, "{\"disk\":\"hdd\"}");
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head + 2);
	assert_string_equal(
		json_string_value(json_object_get(world_find(c, &a)->labels, "disk")), "hdd");
	labelled(c, label_args("a", NULL, "[\"disk\"]"), true, "{}");
	bad(c, "node.label", label_args("a", "[]", NULL), "bad_request", "set");
	bad(c, "node.label", label_args("a", NULL, "{}"), "bad_request", "remove");
	bad(c, "node.label", label_args("a", NULL, "[7]"), "bad_request", "list of labels");
	bad(c, "node.label", label_args("a", "{\"a b\":\"c\"}", NULL), "bad_request", "a b");
	bad(c, "node.label", label_args("a", "{\"x\":\"1\"}", "[\"x\"]"), "bad_request",
		"to be set and to be taken away");
	late[0] = submit(c, "node.remove", json_pack("{s:s}", "node", "a"));
	late[1] = submit(c, "node.label", label_args("a", "{\"x\":\"1\"}", NULL));
	(void) fake_store_flush();
	json_decref(fake_call_taken(late[0]));
	fake_call_refused(late[1], "not_found", "removed meanwhile");
}

static void test_many_labels(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	json_t *set = json_object();

	for (int i = 0; i < NODE_LABELS_MAX; i++) {
		char key[16];

		(void) snprintf(key, sizeof(key), "l%d", i);
		json_object_set_new(set, key, json_string("x"));
	}
	json_decref(good(c, "node.label", json_pack("{s:s, s:o}", "node", "a", "set", set)));
	assert_int_equal(json_object_size(world_find(c, &a)->labels), NODE_LABELS_MAX);
	bad(c, "node.label", label_args("a", "{\"more\":\"x\"}", NULL), "bad_request", "65 labels");
	json_decref(good(c, "node.label", label_args("a", "{\"more\":\"x\"}", "[\"l0\"]")));
}

/* The disk's and the queue's refusals are told, too. */
static void test_busy(void **state)
{
	struct coord *c = *state;
	struct ipc_request *r[LEDGER_QUEUE_MAX + 1];

	(void) world_node(c, 1, "a", NODE_ROLE_WORKER);
	fake_store_fails = -EIO;
	bad(c, "node.remove", json_pack("{s:s}", "node", "a"), "storage", "the disk says no");
	bad(c, "node.label", label_args("a", "{\"x\":\"1\"}", NULL), "storage", "the disk says no");
	fake_store_fails = 0;
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		char value[16];

		(void) snprintf(value, sizeof(value), "{\"x\":\"%zu\"}", i);
		r[i] = submit(c, "node.label", label_args("a", value, NULL));
	}
	fake_call_refused(
		submit(c, "node.remove", json_pack("{s:s}", "node", "a")), "too_many", "too busy");
	fake_call_refused(submit(c, "node.label", label_args("a", "{\"y\":\"1\"}", NULL)),
		"too_many", "too busy");
	(void) fake_store_flush();
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		json_decref(fake_call_taken(r[i]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_list),
		TEST(test_which),
		TEST(test_remove),
		TEST(test_rename),
		TEST(test_label),
		TEST(test_many_labels),
		TEST(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
