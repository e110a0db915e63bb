/* admin-token: which tokens can be had, what is in them, and what becomes of them. */
#include "world.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "coordinator/admin.h"
#include "wire/token.h"

static struct ipc_request *submit(struct coord *c, const char *call, json_t *args)
{
	struct ipc_request *r = fake_call(call, args);

	admin_handle(c, r);
	return r;
}

static json_t *good(struct coord *c, const char *call, json_t *args)
{
	struct ipc_request *r = submit(c, call, args);

	(void) fake_store_flush();
	return fake_call_taken(r);
}

static void bad(struct coord *c, const char *call, json_t *args, const char *code, const char *says)
{
	struct ipc_request *r = submit(c, call, args);
	size_t rows = fake_store_rows(TABLE_TOKENS);

	(void) fake_store_flush();
	fake_call_refused(r, code, says);
	assert_int_equal(fake_store_rows(TABLE_TOKENS), rows);
	assert_int_equal(tokens_count(c->tokens), rows);
}

static json_t *args_of(const char *text)
{
	struct err err = { 0 };
	json_t *args = json_parse(text, strlen(text), &err);

	if (!args)
		fail_msg("%s: %s", text, err.text);
	return args;
}

static const char *text(const json_t *json, const char *key)
{
	assert_true(json_is_string(json_object_get(json, key)));
	return json_string_value(json_object_get(json, key));
}

static json_int_t number(const json_t *json, const char *key)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	return json_integer_value(json_object_get(json, key));
}

static void test_default(void **state)
{
	struct coord *c = *state;
	CLEANUP_JSON json_t *ok = good(c, "token.create", NULL);
	CLEANUP_TOKEN struct token token = { 0 };
	uint8_t hash[TOKEN_HASH_LEN];
	const struct grant *g = tokens_by_id(c->tokens, text(ok, "id"));

	assert_string_equal(text(ok, "role"), "worker");
	assert_true(json_is_false(json_object_get(ok, "reusable")));
	assert_true(json_is_false(json_object_get(ok, "relay")));
	assert_false(g->relay);
	assert_true(json_is_null(json_object_get(ok, "name")));
	assert_true(json_is_null(json_object_get(ok, "replace")));
	assert_int_equal(number(ok, "created"), FAKE_WALL_S);
	assert_int_equal(number(ok, "expires"), FAKE_WALL_S + 3600);
	assert_string_equal(text(ok, "state"), "valid");
	assert_int_equal(json_array_size(json_object_get(ok, "urls")), 1);
	assert_non_null(g);
	/* The token says how to find and know the coordinator, and is known by its hash. */
	assert_int_equal(token_parse(text(ok, "token"), &token, NULL), 0);
	assert_string_equal(token.mesh, "home");
	assert_string_equal(token.urls[0], coord_settings(c)->urls[0]);
	assert_memory_equal(token.root, c->root_hash, sizeof(token.root));
	assert_memory_equal(token.pins[0], coord_settings(c)->pins[0], sizeof(token.pins[0]));
	assert_string_equal(token.id, g->id);
	token_hash_secret(token.secret, hash);
	assert_memory_equal(hash, g->hash, sizeof(hash));
	assert_ptr_equal(tokens_authenticate(c->tokens, token.id, token.secret), g);
	/* And lies on the disk so. */
	CLEANUP_JSON json_t *row = args_of(fake_store_get(TABLE_TOKENS, g->id));
	CLEANUP_GRANT struct grant stored = { 0 };

	assert_int_equal(grant_from_json(row, &stored, NULL), 0);
	assert_memory_equal(stored.hash, hash, sizeof(hash));
}

static void test_asked(void **state)
{
	struct coord *c = *state;
	CLEANUP_JSON json_t *ok = good(c, "token.create",
		args_of("{\"role\":\"member\",\"ttl_s\":1,\"reusable\":true,\"tags\":[\"edge\"],"
			"\"labels\":{\"room\":\"2\"}}"));
	CLEANUP_JSON json_t *named = good(c, "token.create", args_of("{\"name\":\"Kitchen\"}"));

	assert_string_equal(text(ok, "role"), "member");
	assert_int_equal(number(ok, "expires"), FAKE_WALL_S + 1);
	assert_true(json_is_true(json_object_get(ok, "reusable")));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(ok, "tags"), 0)), "edge");
	assert_string_equal(text(json_object_get(ok, "labels"), "room"), "2");
	assert_string_equal(text(named, "name"), "kitchen");
	CLEANUP_JSON json_t *relay = good(c, "token.create", args_of("{\"relay\":true}"));
	const char *row = fake_store_get(TABLE_TOKENS, text(relay, "id"));

	assert_true(json_is_true(json_object_get(relay, "relay")));
	assert_true(tokens_by_id(c->tokens, text(relay, "id"))->relay);
	assert_non_null(strstr(row, "\"relay\":true"));
	assert_int_equal(fake_log_says("may be a relay"), 1);
}

/* Boards that reach no URL reach the coordinator by way of the mesh's relays. */
static void test_relays(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);
	CLEANUP_TOKEN struct token token = { 0 }, full = { 0 };
	CLEANUP_SETTINGS struct settings s = { 0 };

	fake_request_free(world_put_relay(c, &b, world_relay("203.0.113.2", 443)));
	CLEANUP_JSON json_t *before = good(c, "token.create", NULL);

	assert_int_equal(token_parse(text(before, "token"), &token, NULL), 0);
	assert_int_equal(token.n_relays, 0); /* nobody has let it yet */
	json_decref(good(c, "relay.allow", json_pack("{s:s}", "node", "vps")));
	CLEANUP_JSON json_t *after = good(c, "token.create", NULL);

	assert_int_equal(token_parse(text(after, "token"), &token, NULL), 0);
	assert_int_equal(token.n_relays, 1);
	assert_string_equal(token.relays[0].host, "203.0.113.2");
	assert_int_equal(token.relays[0].port, 443);
	/* Rather a token without relays than none. */
	settings_copy(coord_settings(c), &s);
	for (s.n_urls = 0; s.n_urls < 11; s.n_urls++)
		(void) snprintf(s.urls[s.n_urls], sizeof(s.urls[0]), "https://%c.%0235d.example",
			(int) ('a' + s.n_urls), 0);
	for (size_t i = 0; i < s.n_urls; i++)
		for (size_t k = 60; k < 240; k += 50)
			s.urls[i][k] = '.';
	world_record(c, "settings", settings_to_json(&s));
	CLEANUP_JSON json_t *large = good(c, "token.create", NULL);

	assert_int_equal(token_parse(text(large, "token"), &full, NULL), 0);
	assert_int_equal(full.n_urls, 11);
	assert_int_equal(full.n_relays, 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *args, *code, *says;
	} cases[] = {
		{ "{\"role\":\"king\"}", "bad_request", "control-plane, worker or member" },
		{ "{\"role\":7}", "bad_request", "role" },
		{ "{\"ttl_s\":0}", "bad_request", "at least a second" },
		{ "{\"ttl_s\":31622401}", "bad_request", "ttl_s" },
		{ "{\"reusable\":1}", "bad_request", "reusable" },
		{ "{\"relay\":\"yes\"}", "bad_request", "relay" },
		{ "{\"tags\":{}}", "bad_request", "tags" },
		{ "{\"tags\":[\"A Tag!\"]}", "bad_request", "tag" },
		{ "{\"labels\":[]}", "bad_request", "labels" },
		{ "{\"labels\":{\"a b\":\"c\"}}", "bad_request", "a b" },
		{ "{\"name\":\"no name\"}", "bad_request", "no name" },
		{ "{\"name\":7}", "bad_request", "name" },
		{ "{\"name\":\"a\"}", "name_taken", "--replace a" },
		{ "{\"replace\":7}", "bad_request", "replace" },
		{ "{\"replace\":\"nobody\"}", "not_found", "nobody" },
		{ "{\"reusable\":true,\"name\":\"x\"}", "bad_request", "several boards" },
		{ "{\"reusable\":true,\"replace\":\"a\"}", "bad_request", "several boards" },
		{ "{\"replace\":\"a\",\"role\":\"member\"}", "role_mismatch", "keeps its role" },
		{ "{\"replace\":\"a\",\"name\":\"b\"}", "name_mismatch", "keeps that name" },
	};
	struct coord *c = *state;

	(void) world_node(c, 1, "a", NODE_ROLE_WORKER);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bad(c, "token.create", args_of(cases[i].args), cases[i].code, cases[i].says);
	json_decref(good(c, "token.create", args_of("{\"ttl_s\":31622400}")));
}

/* What a board would be refused is refused now. */
static void test_full(void **state)
{
	struct coord *c = *state;

	for (uint32_t i = 0; i < 255; i++) {
		char name[16];

		(void) snprintf(name, sizeof(name), "n%u", i);
		(void) world_node(c, 1 + i, name, NODE_ROLE_WORKER);
	}
	bad(c, "token.create", NULL, "range_full", "pod ranges");
	json_decref(good(c, "token.create", args_of("{\"role\":\"member\"}")));
	json_decref(good(c, "token.create", args_of("{\"replace\":\"n0\"}"))); /* it has its own */
}

static void label(struct coord *c, const struct board *b, const char *key)
{
	CLEANUP_NODE struct node copy = { 0 };

	assert_int_equal(node_copy(world_find(c, b), &copy), 0);
	json_decref(copy.labels);
	json_decref(copy.tags);
	copy.labels = json_pack("{s:s}", key, "x");
	copy.tags = json_pack("[s]", "edge");
	world_record(c, RECORD_TYPE_NODE, node_to_json(&copy));
}

/* Role, tags and labels are the node's unless they are given. */
static void test_replaces(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_MEMBER);
	const struct grant *g;

	label(c, &a, "room");
	CLEANUP_JSON json_t *ok =
		good(c, "token.create", args_of("{\"replace\":\"A.home.internal\"}"));

	assert_string_equal(text(ok, "replace"), "a");
	assert_string_equal(text(ok, "role"), "member");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(ok, "tags"), 0)), "edge");
	assert_string_equal(text(json_object_get(ok, "labels"), "room"), "x");
	g = tokens_by_id(c->tokens, text(ok, "id"));
	assert_int_equal(g->replace, a.id);
	assert_memory_equal(g->replace_identity, a.identity, NODE_KEY_LEN);
	CLEANUP_JSON json_t *other = good(c, "token.create",
		args_of("{\"replace\":\"a\",\"role\":\"member\",\"name\":\"a\",\"tags\":[\"new\"],"
			"\"labels\":{\"disk\":\"ssd\"}}"));

	assert_string_equal(
		json_string_value(json_array_get(json_object_get(other, "tags"), 0)), "new");
	assert_null(json_object_get(json_object_get(other, "labels"), "room"));
	/* Empty ones say nothing. */
	CLEANUP_JSON json_t *empty =
		good(c, "token.create", args_of("{\"replace\":\"a\",\"tags\":[],\"labels\":{}}"));

	assert_true(json_is_false(json_object_get(empty, "relay")));
	assert_int_equal(json_array_size(json_object_get(empty, "tags")), 1);
	assert_int_equal(json_object_size(json_object_get(empty, "labels")), 1);
	label(c, &a, "node-role.kubernetes.io/x");
	bad(c, "token.create", args_of("{\"replace\":\"a\"}"), "bad_request",
		"hearth node label a");
	world_rekey(c, a.id, 7); /* the list says what it was made for, by its name now */
	CLEANUP_JSON json_t *list = good(c, "token.list", NULL);

	assert_string_equal(
		text(json_array_get(json_object_get(list, "tokens"), 0), "replace"), "a");
	world_remove(c, a.id);
	json_decref(list);
	list = good(c, "token.list", NULL);
	assert_string_equal(text(json_array_get(json_object_get(list, "tokens"), 0), "replace"),
		"(node 1, removed)");
}

/* The node may change before it is this token's turn. */
static void test_replaces_meanwhile(void **state)
{
	struct coord *c = *state;
	struct ipc_request *first, *second;

	(void) world_node(c, 1, "a", NODE_ROLE_WORKER);
	first = submit(c, "node.remove", args_of("{\"node\":\"a\"}"));
	second = submit(c, "token.create", args_of("{\"replace\":\"a\"}"));
	(void) fake_store_flush();
	json_decref(fake_call_taken(first));
	fake_call_refused(second, "not_found", "meanwhile");
}

static void test_list(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	CLEANUP_JSON json_t *ok = good(c, "token.create", args_of("{\"reusable\":true}"));
	struct grant_use use = { .node = a.id, .at = 55 }, gone = { .node = 9, .at = 66 };
	const json_t *one;

	assert_int_equal(tokens_add_use(c->tokens, text(ok, "id"), &use), 0);
	assert_int_equal(tokens_add_use(c->tokens, text(ok, "id"), &gone), 0);
	CLEANUP_JSON json_t *list = good(c, "token.list", NULL);

	assert_int_equal(json_array_size(json_object_get(list, "tokens")), 1);
	one = json_array_get(json_object_get(list, "tokens"), 0);
	assert_null(json_object_get(one, "token"));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(one, "used_by"), 0)), "a");
	assert_string_equal(json_string_value(json_array_get(json_object_get(one, "used_by"), 1)),
		"(node 9, removed)");
	assert_int_equal(number(json_array_get(json_object_get(one, "uses"), 0), "at"), 55);
	assert_int_equal(number(json_array_get(json_object_get(one, "uses"), 1), "node"), 9);
	fake_event_set_wall(FAKE_WALL_S + 3600);
	CLEANUP_JSON json_t *later = good(c, "token.list", NULL);

	assert_string_equal(
		text(json_array_get(json_object_get(later, "tokens"), 0), "state"), "expired");
}

static void test_revoke(void **state)
{
	struct coord *c = *state;
	CLEANUP_JSON json_t *one = good(c, "token.create", NULL), *ok = NULL, *again = NULL;
	struct grant *g = tokens_by_id(c->tokens, text(one, "id"));
	struct grant other = {
		.id = "0000000000000000", .tags = json_array(), .labels = json_object()
	};
	char prefix[8];
	size_t waiting;

	(void) snprintf(prefix, sizeof(prefix), "%.6s", g->id);
	bad(c, "token.revoke", NULL, "bad_request", "\"id\"");
	bad(c, "token.revoke", args_of("{\"id\":\"zz\"}"), "unknown_token", "no such token");
	(void) snprintf(other.id, sizeof(other.id), "%.15s%c", g->id, g->id[15] == '0' ? '1' : '0');
	assert_int_equal(tokens_add(c->tokens, &other), 0);
	struct ipc_request *r = submit(c, "token.revoke", json_pack("{s:s}", "id", prefix));

	fake_call_refused(r, "ambiguous", "more of them");
	(void) snprintf(other.id, sizeof(other.id), "%.15s%c", g->id, g->id[15] == '0' ? '1' : '0');
	tokens_remove(c->tokens, other.id);
	g = tokens_by_id(c->tokens, text(one, "id"));
	ok = good(c, "token.revoke", json_pack("{s:s}", "id", prefix));
	assert_string_equal(text(ok, "id"), g->id);
	assert_string_equal(text(ok, "state"), "revoked");
	assert_true(g->revoked);
	assert_non_null(strstr(fake_store_get(TABLE_TOKENS, g->id), "\"revoked\":true"));
	/* Again: it is so already. */
	r = submit(c, "token.revoke", json_pack("{s:s}", "id", prefix));
	waiting = fake_store_waiting();
	assert_int_equal(waiting, 0);
	again = fake_call_taken(r);
	assert_string_equal(text(again, "state"), "revoked");
}

/* Those that expired a month ago go when another is made, and what used them. */
static void test_forgotten(void **state)
{
	struct coord *c = *state;
	struct grant_use use = { .identity = { 1, 2 }, .node = 1, .at = 5 };
	char key[GRANT_USE_KEY_MAX];
	CLEANUP_JSON json_t *old = good(c, "token.create", args_of("{\"ttl_s\":1}"));
	CLEANUP_JSON json_t *young = good(c, "token.create", args_of("{\"ttl_s\":2}"));
	struct ipc_request *late;

	assert_int_equal(tokens_add_use(c->tokens, text(old, "id"), &use), 0);
	grant_use_key(text(old, "id"), use.identity, key);
	fake_store_put(TABLE_USES, key, "{\"at\":5,\"node\":1}");
	fake_store_put(TABLE_USES, "other", "{\"at\":5,\"node\":1}");
	fake_event_set_wall(FAKE_WALL_S + 1 + TOKENS_KEEP_S);
	late = submit(c, "token.create", NULL);
	assert_non_null(tokens_by_id(c->tokens, text(old, "id"))); /* not before it is durable */
	struct ipc_request *revoke =
		submit(c, "token.revoke", json_pack("{s:s}", "id", text(old, "id")));

	(void) fake_store_flush();
	json_decref(fake_call_taken(late));
	fake_call_refused(revoke, "not_found", "forgotten meanwhile");
	assert_null(tokens_by_id(c->tokens, text(old, "id")));
	assert_null(fake_store_get(TABLE_TOKENS, text(old, "id")));
	assert_null(fake_store_get(TABLE_USES, key));
	assert_non_null(fake_store_get(TABLE_USES, "other"));
	assert_non_null(tokens_by_id(c->tokens, text(young, "id")));
	assert_non_null(fake_store_get(TABLE_TOKENS, text(young, "id")));
}

static void test_most(void **state)
{
	struct coord *c = *state;

	for (int i = 0; i < TOKENS_MAX; i++) {
		struct grant g = { .expires = FAKE_WALL_S + 1, .tags = json_array() };

		g.labels = json_object();
		(void) snprintf(g.id, sizeof(g.id), "%016x", (unsigned) i);
		assert_int_equal(tokens_add(c->tokens, &g), 0);
	}
	struct ipc_request *r = submit(c, "token.create", NULL);

	fake_call_refused(r, "too_many", "the most that are kept");
}

static void test_busy(void **state)
{
	struct coord *c = *state;
	struct ipc_request *r[LEDGER_QUEUE_MAX + 1];

	fake_store_fails = -ENOSPC;
	bad(c, "token.create", NULL, "storage", "the disk says no");
	fake_store_fails = 0;
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = submit(c, "token.create", NULL);
	fake_call_refused(submit(c, "token.create", NULL), "too_many", "too busy");
	(void) fake_store_flush();
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		json_decref(fake_call_taken(r[i]));
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = submit(c, "token.create", NULL);
	struct ipc_request *revoke =
		submit(c, "token.revoke", json_pack("{s:s}", "id", tokens_at(c->tokens, 0)->id));

	fake_call_refused(revoke, "too_many", "too busy");
	(void) fake_store_flush();
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		json_decref(fake_call_taken(r[i]));
	fake_store_fails = -EIO;
	revoke = submit(c, "token.revoke", json_pack("{s:s}", "id", tokens_at(c->tokens, 0)->id));
	(void) fake_store_flush();
	fake_call_refused(revoke, "storage", "the disk says no");
	assert_false(tokens_at(c->tokens, 0)->revoked);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_default),
		TEST(test_asked),
		TEST(test_relays),
		TEST(test_refused),
		TEST(test_full),
		TEST(test_replaces),
		TEST(test_replaces_meanwhile),
		TEST(test_list),
		TEST(test_revoke),
		TEST(test_forgotten),
		TEST(test_most),
		TEST(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
