/* tokens: states, uses, lookup, and stored documents. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/json.h"
#include "coordinator/tokens.h"
#include "mesh-maker.h"

static struct grant grant(const char *id, bool reusable)
{
	struct grant g = { .role = NODE_ROLE_WORKER,
		.reusable = reusable,
		.created = 1000,
		.expires = 2000,
		.tags = json_array(),
		.labels = json_object() };
	uint8_t secret[TOKEN_SECRET_LEN];
	memset(secret, id[0], sizeof(secret));
	token_hash_secret(secret, g.hash);
	strcpy(g.id, id);
	return g;
}

static void test_states(void **state)
{
	struct tokens *t = tokens_new();
	struct grant g = grant("aaaaaaaaaaaaaaaa", false);
	struct grant_use use = { .identity = { 1 }, .node = 7, .at = 1500 };
	enum api_code code;
	struct err e = { 0 };
	assert_int_equal(tokens_add(t, &g), 0);
	assert_null(g.tags); /* taken */
	struct grant *held = tokens_by_id(t, "aaaaaaaaaaaaaaaa");
	assert_string_equal(grant_state(held, 1999), "valid");
	assert_int_equal(grant_check(held, 1999, &code, &e), 0);
	assert_string_equal(grant_state(held, 2000), "expired");
	assert_true(grant_check(held, 2000 + 185, &code, &e) < 0);
	assert_int_equal(code, API_TOKEN_EXPIRED);
	assert_non_null(strstr(e.text, "3 minutes ago"));
	assert_true(grant_check(held, 2000 + 3600, &code, &e) < 0);
	assert_non_null(strstr(e.text, "1 hour ago"));
	assert_true(grant_check(held, 2000, &code, &e) < 0);
	assert_non_null(strstr(e.text, "just now"));
	assert_int_equal(tokens_add_use(t, "aaaaaaaaaaaaaaaa", &use), 0);
	assert_string_equal(grant_state(held, 1600), "used");
	assert_true(grant_check(held, 1600, &code, &e) < 0);
	assert_int_equal(code, API_TOKEN_USED);
	assert_non_null(strstr(e.text, "was used 1 minute ago"));
	assert_true(grant_check(held, 1400, &code, &e) < 0); /* the clock went back */
	assert_non_null(strstr(e.text, "was used just now"));
	assert_int_equal(grant_use_by(held, use.identity)->node, 7);
	use.identity[0] = 2;
	assert_null(grant_use_by(held, use.identity));
	held->revoked = true;
	assert_true(grant_check(held, 1600, &code, &e) < 0);
	assert_int_equal(code, API_TOKEN_REVOKED);
	/* A reusable one is used up at its limit only. */
	g = grant("bbbbbbbbbbbbbbbb", true);
	assert_int_equal(tokens_add(t, &g), 0);
	for (int i = 0; i < TOKENS_USES_MAX; i++) {
		held = tokens_by_id(t, "bbbbbbbbbbbbbbbb");
		assert_int_equal(grant_check(held, 1600, &code, &e), 0);
		assert_int_equal(tokens_add_use(t, "bbbbbbbbbbbbbbbb", &use), 0);
	}
	assert_true(grant_check(held, 1600, &code, &e) < 0);
	assert_int_equal(tokens_add_use(t, "cccccccccccccccc", &use), -ENOENT);
	assert_null(tokens_free(t));
}

static void test_lookup(void **state)
{
	static const char *const ids[] = { "5555555555555555", "1111111111111111",
		"9999999999999999", "5555000000000000" };
	struct tokens *t = tokens_new();
	struct grant *found = NULL;
	uint8_t secret[TOKEN_SECRET_LEN];
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct grant g = grant(ids[i], false);
		assert_int_equal(tokens_add(t, &g), 0);
	}
	struct grant again = grant(ids[0], false);
	assert_int_equal(tokens_add(t, &again), -EEXIST);
	grant_done(&again);
	assert_int_equal(tokens_count(t), 4);
	assert_string_equal(tokens_at(t, 0)->id, ids[1]);
	assert_string_equal(tokens_at(t, 3)->id, ids[2]);
	assert_int_equal(tokens_by_prefix(t, "9", &found), 0);
	assert_string_equal(found->id, ids[2]);
	assert_int_equal(tokens_by_prefix(t, "5555", &found), -ENOTUNIQ);
	assert_int_equal(tokens_by_prefix(t, "55550", &found), 0);
	assert_int_equal(tokens_by_prefix(t, "77", &found), -ENOENT);
	assert_int_equal(tokens_by_prefix(t, "", &found), -ENOENT);
	memset(secret, '9', sizeof(secret));
	assert_ptr_equal(tokens_authenticate(t, ids[2], secret), tokens_by_id(t, ids[2]));
	assert_null(tokens_authenticate(t, ids[1], secret));
	assert_null(tokens_authenticate(t, "0000000000000000", secret));
	memset(secret, 0, sizeof(secret)); /* whatever an unknown id is compared with */
	assert_null(tokens_authenticate(t, "0000000000000000", secret));
	tokens_remove(t, ids[0]);
	tokens_remove(t, ids[0]);
	assert_null(tokens_by_id(t, ids[0]));
	assert_int_equal(tokens_count(t), 3);
	tokens_free(t);
}

static void test_documents(void **state)
{
	static const char *const bad[] = { "{}", "[]", "{\"id\":\"x\"}" };
	CLEANUP_GRANT struct grant g = grant("0123456789abcdef", true), again = { 0 };
	g.replace = 3;
	memset(g.replace_identity, 9, sizeof(g.replace_identity));
	json_array_append_new(g.tags, json_string("edge"));
	CLEANUP_JSON json_t *json = grant_to_json(&g);
	assert_non_null(json);
	assert_int_equal(grant_from_json(json, &again, NULL), 0);
	assert_int_equal(again.replace, 3);
	assert_memory_equal(again.replace_identity, g.replace_identity, NODE_KEY_LEN);
	assert_false(again.revoked);
	assert_string_equal(again.name, "");
	assert_memory_equal(again.hash, g.hash, sizeof(g.hash));
	assert_true(json_equal(again.tags, g.tags));
	assert_int_equal(again.expires, 2000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct grant x = { 0 };
		CLEANUP_JSON json_t *doc = json_parse(bad[i], strlen(bad[i]), NULL);
		assert_true(grant_from_json(doc, &x, NULL) < 0);
	}
	/* An older coordinator's, which says a name. */
	struct grant named = { 0 };
	json_object_set_new(json, "replace", json_string("pi3"));
	assert_int_equal(grant_from_json(json, &named, NULL), 0);
	assert_true(named.revoked);
	assert_int_equal(named.replace, 0);
	grant_done(&named);
	json_object_set_new(json, "replace", json_pack("{s:i}", "node", 3));
	assert_int_equal(grant_from_json(json, &named, NULL), -EINVAL);
	json_object_set_new(json, "replace", json_null());
	json_object_set_new(json, "name", json_string("No Name"));
	assert_int_equal(grant_from_json(json, &named, NULL), -EINVAL);
	json_object_set_new(json, "name", json_string("pi4"));
	assert_int_equal(grant_from_json(json, &named, NULL), 0);
	assert_string_equal(named.name, "pi4");
	grant_done(&named);
	json_object_set_new(json, "role", json_string("king"));
	struct grant x = { 0 };
	assert_int_equal(grant_from_json(json, &x, NULL), -EINVAL);
}

/* What an older coordinator stored lets nobody be a relay. */
static void test_relay(void **state)
{
	CLEANUP_GRANT struct grant g = grant("0123456789abcdef", false), with = { 0 },
				   without = { 0 };
	g.relay = true;
	CLEANUP_JSON json_t *json = grant_to_json(&g);
	assert_int_equal(grant_from_json(json, &with, NULL), 0);
	assert_true(with.relay);
	json_object_del(json, "relay");
	assert_int_equal(grant_from_json(json, &without, NULL), 0);
	assert_false(without.relay);
	json_object_set_new(json, "relay", json_string("yes"));
	struct grant x = { 0 };
	assert_int_equal(grant_from_json(json, &x, NULL), -EINVAL);
}

/* Whoever is called so now: the node of then, with the key of then, or nobody. */
static void test_replaced(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *map = maker_netmap(&settings);
	CLEANUP_NODE struct node pi3 = maker_node(1, 1, "pi3"), plane = maker_node(2, 2, "n100");
	CLEANUP_GRANT struct grant g = grant("0123456789abcdef", false);
	struct err err = { 0 };
	assert_int_equal(maker_apply(map, "node", node_to_json(&pi3), NULL, &err), 1);
	assert_int_equal(maker_apply(map, "node", node_to_json(&plane), NULL, &err), 1);
	assert_null(grant_replaced(&g, map));
	g.replace = 1;
	memcpy(g.replace_identity, pi3.identity, NODE_KEY_LEN);
	strcpy(pi3.name, "pi3-old");
	strcpy(plane.name, "pi3");
	assert_int_equal(maker_apply(map, "node", node_to_json(&pi3), NULL, &err), 1);
	assert_int_equal(maker_apply(map, "node", node_to_json(&plane), NULL, &err), 1);
	assert_int_equal(grant_replaced(&g, map)->id, 1);
	assert_int_equal(node_revoke_identity(&pi3), 0);
	memset(pi3.identity, 77, sizeof(pi3.identity));
	assert_int_equal(maker_apply(map, "node", node_to_json(&pi3), NULL, &err), 1);
	assert_null(grant_replaced(&g, map));
}

static void test_uses(void **state)
{
	static const char good[] = "{\"at\":1500,\"node\":7}";
	static const char *const bad[] = { "{}", "[]", "{\"at\":-1,\"node\":7}",
		"{\"at\":1500,\"node\":4294967296}" };
	struct grant_use use = { .identity = { 1, 2, 3 } }, read = { 0 };
	char key[GRANT_USE_KEY_MAX], id[FIELD_ID_MAX] = "";
	CLEANUP_JSON json_t *json = json_parse(good, strlen(good), NULL);
	grant_use_key("0123456789abcdef", use.identity, key);
	assert_int_equal(grant_use_from_json(key, json, id, &read), 0);
	assert_string_equal(id, "0123456789abcdef");
	assert_memory_equal(read.identity, use.identity, sizeof(use.identity));
	assert_int_equal(read.node, 7);
	assert_int_equal(read.at, 1500);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP_JSON json_t *doc = json_parse(bad[i], strlen(bad[i]), NULL);
		assert_int_equal(grant_use_from_json(key, doc, id, &read), -EINVAL);
	}
	key[0] = 'g';
	assert_int_equal(grant_use_from_json(key, json, id, &read), -EINVAL);
	key[0] = '0';
	for (size_t len = 0; len < GRANT_USE_KEY_MAX - 1; len++) {
		char cut[GRANT_USE_KEY_MAX];
		(void) snprintf(cut, sizeof(cut), "%.*s", (int) len, key);
		assert_int_equal(grant_use_from_json(cut, json, id, &read), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_uses),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
