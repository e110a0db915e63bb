/* enroll: what a token makes of a board, and of whom it makes nothing. */
#include "world.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/json.h"
#include "coordinator/enroll.h"

#define LABEL "hearth.internal/board"

static const char id_of_token[] = "0123456789abcdef";

/* A single-use token for a worker, as a test changes it before give(). */
static struct grant grant(void)
{
	struct grant g = { .role = NODE_ROLE_WORKER,
		.created = FAKE_WALL_S - 60,
		.expires = FAKE_WALL_S + 3600,
		.tags = json_array(),
		.labels = json_object() };
	uint8_t secret[TOKEN_SECRET_LEN];

	memset(secret, 5, sizeof(secret));
	token_hash_secret(secret, g.hash);
	strcpy(g.id, id_of_token);
	return g;
}

static struct grant *give(struct coord *c, struct grant *g)
{
	CLEANUP_JSON json_t *json = grant_to_json(g);
	CLEANUP(free_p) char *text = json_text(json);

	fake_store_put(TABLE_TOKENS, g->id, text);
	assert_int_equal(tokens_add(c->tokens, g), 0);
	return tokens_by_id(c->tokens, id_of_token);
}

/* What @b asks for; the caller changes the rest. */
static json_t *body_of(const struct board *b)
{
	struct api_enroll_request asked = { 0 };

	strcpy(asked.token_id, id_of_token);
	memset(asked.secret, 5, sizeof(asked.secret));
	memcpy(asked.wg, b->wg, sizeof(asked.wg));
	asked.board = json_pack("{s:s, s:s}", "hostname", "pi4", "board", "pi4");
	json_t *json = api_enroll_request_to_json(&asked);

	json_decref(asked.board);
	return json;
}

static struct httpd_request *submit(struct coord *c, const struct board *b, json_t *body)
{
	struct httpd_request *r = world_request(b, "/v1/enroll");

	enroll_handle(c, r, NULL, body);
	json_decref(body);
	return r;
}

static struct httpd_request *enroll(struct coord *c, const struct board *b, json_t *body)
{
	struct httpd_request *r = submit(c, b, body);

	(void) fake_store_flush();
	return r;
}

/* It must succeed. Returns the node, which the reply says as well. */
static const struct node *enrolled(struct coord *c, const struct board *b, json_t *body)
{
	struct httpd_request *r = enroll(c, b, body);
	CLEANUP_API_ENROLL_REPLY struct api_enroll_reply reply = { 0 };
	const struct node *node = world_find(c, b);

	if (r->status != 200)
		fail_msg("%s: %s", fake_request_code(r), fake_request_message(r));
	assert_int_equal(api_enroll_reply_from_json(r->reply, &reply, NULL), 0);
	assert_non_null(node);
	assert_int_equal(reply.node.id, node->id);
	assert_int_equal(reply.news.n_records, mesh_log_head(ledger_log(c->ledger)));
	assert_true(r->known);
	fake_request_free(r);
	return node;
}

static void refused(
	struct coord *c, const struct board *b, json_t *body, const char *code, const char *message)
{
	uint64_t head = mesh_log_head(ledger_log(c->ledger));

	fake_request_refused(enroll(c, b, body), code, message);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
}

static json_t *with(json_t *body, const char *key, json_t *value)
{
	assert_int_equal(json_object_set_new(body, key, value), 0);
	return body;
}

/* --- what it becomes --- */

static void test_new(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant(), *held;
	const struct node *node;

	json_array_append_new(g.tags, json_string("edge"));
	json_object_set_new(g.labels, "disk", json_string("ssd"));
	held = give(c, &g);
	node = enrolled(c, &b, body_of(&b));
	assert_string_equal(node->name, "pi4");
	assert_int_equal(node->role, NODE_ROLE_WORKER);
	assert_true(node_has_pods(node));
	assert_memory_equal(node->wg, b.wg, NODE_KEY_LEN);
	assert_string_equal(json_string_value(json_array_get(node->tags, 0)), "edge");
	assert_string_equal(json_string_value(json_object_get(node->labels, "disk")), "ssd");
	assert_string_equal(json_string_value(json_object_get(node->labels, LABEL)), "pi4");
	assert_int_equal(json_object_size(held->labels), 1); /* the token's are its own */
	assert_int_equal(held->n_uses, 1);
	assert_int_equal(held->uses[0].node, node->id);
	assert_int_equal(held->uses[0].at, FAKE_WALL_S);
	assert_int_equal(fake_store_rows(TABLE_USES), 1);
	assert_int_equal(feed_last_seen(c->feed, node->id), FAKE_WALL_S);
	assert_int_equal(fake_log_says("enrolment from 192.0.2.1: pi4 is node 1"), 1);
	assert_int_equal(fake_log_says("asked again"), 0);
}

static void test_names(void **state)
{
	static const struct {
		const char *token, *asked, *host, *name; /* NULL: it is absent */
	} cases[] = {
		{ "one", NULL, "host", "one" },
		{ "two", "two", "host", "two" },
		{ "", "three", "host", "three" },
		{ "", NULL, "four", "four" },
		{ "", NULL, "FIVE", "five" },
	};
	struct coord *c = *state;
	struct grant g = grant(), *held;

	g.reusable = true;
	held = give(c, &g);
	for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct board b = world_board(1 + i);
		json_t *body =
			with(body_of(&b), "board", json_pack("{s:s}", "hostname", cases[i].host));

		if (cases[i].asked)
			with(body, "name", json_string(cases[i].asked));
		strcpy(held->name, cases[i].token);
		assert_string_equal(enrolled(c, &b, body)->name, cases[i].name);
	}
	held->name[0] = '\0';
	struct board b = world_board(99);

	refused(c, &b, with(body_of(&b), "name", json_string("two")), "name_taken", "node 2");
	refused(c, &b, with(body_of(&b), "board", json_object()), "bad_request", "--name");
	refused(c, &b, with(body_of(&b), "board", json_pack("{s:i}", "hostname", 7)), "bad_request",
		"--name");
	refused(c, &b, with(body_of(&b), "board", json_pack("{s:s}", "hostname", "localhost")),
		"bad_request", "--name");
	strcpy(held->name, "one");
	refused(c, &b, with(body_of(&b), "name", json_string("other")), "name_mismatch",
		"--name one");
}

/* What the board says it is becomes a label, if it can be one. */
static void test_board_label(void **state)
{
	struct coord *c = *state;
	struct grant g = grant(), *held;
	json_t *board = json_pack("{s:s, s:s}", "hostname", "a", "board", "Not A Name!");
	struct board b = world_board(1);

	g.reusable = true;
	held = give(c, &g);
	assert_null(
		json_object_get(enrolled(c, &b, with(body_of(&b), "board", board))->labels, LABEL));
	b = world_board(2);
	board = json_pack("{s:s, s:i}", "hostname", "b", "board", 7);
	assert_null(
		json_object_get(enrolled(c, &b, with(body_of(&b), "board", board))->labels, LABEL));
	/* The token's word comes first. */
	json_object_set_new(held->labels, LABEL, json_string("mine"));
	b = world_board(3);
	board = json_pack("{s:s, s:s}", "hostname", "c", "board", "pi3");
	assert_string_equal(
		json_string_value(json_object_get(
			enrolled(c, &b, with(body_of(&b), "board", board))->labels, LABEL)),
		"mine");
	/* And if there is no room, there is none. */
	json_object_del(held->labels, LABEL);
	for (int i = 0; i < NODE_LABELS_MAX; i++) {
		char key[16];

		(void) snprintf(key, sizeof(key), "l%d", i);
		json_object_set_new(held->labels, key, json_string("x"));
	}
	b = world_board(4);
	board = json_pack("{s:s, s:s}", "hostname", "d", "board", "pi3");
	assert_int_equal(
		json_object_size(enrolled(c, &b, with(body_of(&b), "board", board))->labels),
		NODE_LABELS_MAX);
}

/* --- tokens --- */

static void test_tokens(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant(), *held;
	json_t *body;
	uint8_t wrong[TOKEN_SECRET_LEN] = { 1 };

	refused(c, &b, body_of(&b), "token_unknown", "hearth token create");
	assert_int_equal(fake_log_says("enrolment from 192.0.2.1 refused (token_unknown)"), 1);
	held = give(c, &g);
	body = body_of(&b);
	json_object_set_new(json_object_get(body, "token"), "secret", field_key(wrong));
	refused(c, &b, body, "token_unknown", "copied whole");
	held->revoked = true;
	refused(c, &b, body_of(&b), "token_revoked", "revoked");
	held->revoked = false;
	fake_event_set_wall(FAKE_WALL_S + 3600);
	refused(c, &b, body_of(&b), "token_expired", "expired");
	fake_event_set_wall(FAKE_WALL_S);
	refused(c, &b, with(body_of(&b), "role", json_string("member")), "role_mismatch",
		"a worker, not for a member");
	refused(c, &b, with(body_of(&b), "replace", json_string("pi4")), "replace_mismatch",
		"--replace pi4");
	json_object_set_new(held->labels, "node-role.kubernetes.io/x", json_string(""));
	refused(c, &b, body_of(&b), "bad_request", "Create another token");
	json_object_clear(held->labels);
	(void) enrolled(c, &b, with(body_of(&b), "role", json_string("worker")));
	struct board other = world_board(2);

	refused(c, &other, body_of(&other), "token_used", "by another board");
}

/* Two boards with the same token at the same time: one of them. */
static void test_race(void **state)
{
	struct coord *c = *state;
	struct board a = world_board(1), b = world_board(2);
	struct grant g = grant();
	struct httpd_request *of_a, *of_b;

	(void) give(c, &g);
	of_a = submit(c, &a, body_of(&a));
	of_b = submit(c, &b, body_of(&b));
	assert_int_equal(of_a->status, 0); /* nobody is told before it is on the disk */
	(void) fake_store_flush();
	assert_int_equal(of_a->status, 200);
	fake_request_free(of_a);
	fake_request_refused(of_b, "token_used", "by another board");
	assert_int_equal(netmap_count(coord_netmap(c)), 1);
}

static void test_again(void **state)
{
	struct coord *c = *state;
	struct board a = world_board(1), other = world_board(2);
	struct grant g = grant();
	uint64_t head;
	uint32_t id;

	(void) give(c, &g);
	id = enrolled(c, &a, body_of(&a))->id;
	head = mesh_log_head(ledger_log(c->ledger));
	fake_event_set_wall(FAKE_WALL_S + 100000); /* it may have expired meanwhile */
	assert_int_equal(enrolled(c, &a, with(body_of(&a), "name", json_string("other")))->id, id);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
	assert_int_equal(fake_store_rows(TABLE_USES), 1);
	assert_int_equal(fake_log_says("pi4 is node 1 (asked again)"), 1);
	/* With another WireGuard key it is not the same any more. */
	memcpy(other.identity, a.identity, sizeof(other.identity));
	refused(c, &other, body_of(&other), "key_taken", "another WireGuard key");
	world_rekey(c, id, 7);
	refused(c, &a, body_of(&a), "removed", "removed since");
	world_remove(c, id);
	refused(c, &a, body_of(&a), "removed", "--leave");
}

/* --- keys --- */

static void test_keys(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), new = world_board(2), mixed;
	struct grant g = grant();

	(void) give(c, &g);
	refused(c, &a, body_of(&a), "key_taken", "enrolled already, as a");
	mixed = new;
	memcpy(mixed.wg, a.wg, sizeof(mixed.wg));
	refused(c, &mixed, body_of(&mixed), "key_taken", "This WireGuard key");
	world_rekey(c, a.id, 3);
	refused(c, &a, body_of(&a), "key_taken", "never accepted again");
	world_remove(c, a.id);
	refused(c, &a, body_of(&a), "key_taken", "never accepted again");
	a = world_board(3);
	refused(c, &a, body_of(&a), "key_taken", "never accepted again");
	refused(c, &mixed, body_of(&mixed), "key_taken", "or belonged");
	memset(mixed.wg, 0, sizeof(mixed.wg));
	mixed.wg[0] = 1; /* of low order */
	refused(c, &mixed, body_of(&mixed), "bad_request", "no usable key");
	(void) enrolled(c, &new, body_of(&new));
}

static struct grant *give_replacing(struct coord *c, const struct board *old)
{
	struct grant g = grant();

	g.replace = old->id;
	memcpy(g.replace_identity, old->identity, NODE_KEY_LEN);
	return give(c, &g);
}

static void test_replaced(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board other = world_node(c, 2, "other", NODE_ROLE_WORKER), new = world_board(3);
	const struct node *node;
	struct ip_addr mesh4 = world_find(c, &a)->mesh4;

	(void) give_replacing(c, &a);
	refused(c, &other, body_of(&other), "key_taken", "enrolled already, as other");
	refused(c, &new, with(body_of(&new), "replace", json_string("other")), "replace_mismatch",
		"does not allow to replace other");
	node = enrolled(c, &new, with(body_of(&new), "replace", json_string("a")));
	assert_int_equal(node->id, a.id);
	assert_string_equal(node->name, "a"); /* whatever its host is called now */
	assert_true(ip_addr_equal(&node->mesh4, &mesh4));
	assert_int_equal(node->n_revoked, 1);
	assert_memory_equal(node->revoked[0], a.identity, NODE_KEY_LEN);
	assert_memory_equal(node->wg, new.wg, NODE_KEY_LEN);
	assert_null(world_find(c, &a));
	assert_int_equal(netmap_count(coord_netmap(c)), 2);
}

/* It has kept its keys: they stay its own. */
static void test_replaced_by_itself(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);

	(void) give_replacing(c, &a);
	assert_int_equal(enrolled(c, &a, body_of(&a))->n_revoked, 0);
}

/* --- relays --- */

static void test_relay(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant(), *held;
	const struct node *node;

	held = give(c, &g);
	refused(c, &b, with(body_of(&b), "relay", world_relay("203.0.113.5", 443)), "forbidden",
		"hearth token create --relay");
	refused(c, &b, with(body_of(&b), "relay", json_true()), "bad_request", "relay: ");
	held->relay = true;
	refused(c, &b, with(body_of(&b), "relay", world_relay("10.77.0.1", 443)), "bad_request",
		"10.77.0.1 lies in this mesh's own range");
	node = enrolled(c, &b, with(body_of(&b), "relay", world_relay("203.0.113.5", 443)));
	assert_string_equal(node->relay.hosts[0], "203.0.113.5");
	/* Asked again it is the same, whatever it says now. */
	node = enrolled(c, &b, with(body_of(&b), "relay", world_relay("203.0.113.6", 443)));
	assert_string_equal(node->relay.hosts[0], "203.0.113.5");
	world_record(c, RECORD_TYPE_NODE, node_to_json(node));
	assert_string_equal(world_find(c, &b)->relay.hosts[0], "203.0.113.5");
}

/* A token for relays makes none of a board that does not want to be one. */
static void test_no_relay(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant();

	g.relay = true;
	(void) give(c, &g);
	assert_int_equal(
		enrolled(c, &b, with(body_of(&b), "relay", json_null()))->relay.n_hosts, 0);
}

/* @b's record says where it is found as a relay. */
static void list(struct coord *c, const struct board *b)
{
	CLEANUP_NODE struct node copy = { 0 };
	CLEANUP_JSON json_t *relay = world_relay("203.0.113.5", 443);

	assert_int_equal(node_copy(world_find(c, b), &copy), 0);
	assert_int_equal(node_relay_from_json(relay, &copy.relay, NULL), 0);
	world_record(c, RECORD_TYPE_NODE, node_to_json(&copy));
}

/* Another machine was trusted: the one in its place has other keys, and is no relay by itself. */
static void test_replaced_relay(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), new = world_board(2);
	const struct node *node;
	char key[GRANT_USE_KEY_MAX];
	struct grant *g;

	list(c, &a);
	(void) give_replacing(c, &a);
	refused(c, &new, with(body_of(&new), "relay", world_relay("203.0.113.5", 443)), "forbidden",
		"lets no board be a relay");
	node = enrolled(c, &new, body_of(&new));
	assert_int_equal(node->id, a.id);
	assert_int_equal(node->relay.n_hosts, 0);
	assert_null(strstr(ledger_record_text(c->ledger, mesh_log_head(ledger_log(c->ledger))),
		"203.0.113.5"));
	/* Its own enrolment says where, and the token lets it. */
	tokens_remove(c->tokens, id_of_token);
	new.id = a.id;
	list(c, &new);
	g = give_replacing(c, &new);
	g->relay = true;
	a = world_board(3);
	node = enrolled(c, &a, with(body_of(&a), "relay", world_relay("203.0.113.9", 443)));
	assert_string_equal(node->relay.hosts[0], "203.0.113.9");
	assert_int_equal(node->id, new.id);
	/* With the keys it had it is what it was. */
	tokens_remove(c->tokens, id_of_token);
	grant_use_key(id_of_token, a.identity, key);
	fake_store_drop(TABLE_USES, key);
	a.id = new.id;
	(void) give_replacing(c, &a);
	assert_string_equal(enrolled(c, &a, body_of(&a))->relay.hosts[0], "203.0.113.9");
}

static void test_replaced_meanwhile(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), new = world_board(2);

	(void) give_replacing(c, &a);
	world_rekey(c, a.id, 3);
	refused(c, &new, body_of(&new), "replace_mismatch", "removed or replaced since");
}

static void test_replaced_too_often(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), new = world_board(200);
	uint32_t id = a.id;

	for (uint32_t i = 0; i < NODE_REVOKED_MAX; i++) {
		world_rekey(c, id, 2 + i);
		a = world_board(2 + i);
	}
	a.id = id;
	(void) give_replacing(c, &a);
	refused(c, &new, body_of(&new), "replace_mismatch", "hearth node remove a");
}

static void test_full(void **state)
{
	struct coord *c = *state;
	struct board b;
	struct grant g = grant();

	for (uint32_t i = 0; i < 255; i++) {
		char name[16];

		(void) snprintf(name, sizeof(name), "n%u", i);
		(void) world_node(c, 1 + i, name, NODE_ROLE_WORKER);
	}
	b = world_board(900);
	(void) give(c, &g);
	refused(c, &b, body_of(&b), "range_full", "pod ranges");
	tokens_by_id(c->tokens, id_of_token)->role = NODE_ROLE_MEMBER;
	(void) enrolled(c, &b, body_of(&b));
}

/* --- bounds and failures --- */

/* Failed ones count against their source, others do not. */
static void test_limit(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant();
	struct httpd_request *r;
	json_t *body;

	(void) give(c, &g);
	for (int i = 0; i < 2 * ENROLL_BURST; i++)
		(void) enrolled(c, &b, body_of(&b));
	for (int i = 0; i < ENROLL_BURST; i++)
		refused(c, &b, json_object(), "bad_request", "not accepted");
	refused(c, &b, body_of(&b), "too_many", "Try again in 3 s");
	r = world_request(&b, "/v1/enroll");
	assert_int_equal(ip_addr_parse("192.0.2.2", &r->address), 0);
	body = body_of(&b);
	enroll_handle(c, r, NULL, body);
	assert_int_equal(r->status, 200);
	fake_request_free(r);
	r = world_request(&b, "/v1/enroll/check");
	enroll_check_handle(c, r, NULL, body);
	fake_request_refused(r, "too_many", "Too many failed");
	json_decref(body);
	fake_event_pass(2 * USEC_PER_SEC);
	(void) enrolled(c, &b, body_of(&b));
}

static void test_disk(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant(), *held = give(c, &g);

	fake_store_fails = -ENOSPC;
	refused(c, &b, body_of(&b), "storage", "the disk says no");
	fake_store_fails = 0;
	fake_store_refuses = -EBUSY;
	refused(c, &b, body_of(&b), "too_many", "The disk cannot keep up");
	fake_store_refuses = 0;
	assert_int_equal(held->n_uses, 0);
	(void) enrolled(c, &b, body_of(&b));
}

static void test_queue(void **state)
{
	struct coord *c = *state;
	struct board boards[LEDGER_QUEUE_MAX + 1], late = world_board(9999);
	struct httpd_request *r[LEDGER_QUEUE_MAX + 1];
	struct grant g = grant();

	g.reusable = true;
	(void) give(c, &g);
	for (uint32_t i = 0; i <= LEDGER_QUEUE_MAX; i++) { /* one is being written */
		boards[i] = world_board(1 + i);
		r[i] = world_request(&boards[i], "/v1/enroll");
		r[i]->address.bytes[2] = (uint8_t) (i >> 8);
		r[i]->address.bytes[3] = (uint8_t) i;
		CLEANUP_JSON json_t *body = body_of(&boards[i]);

		enroll_handle(c, r[i], NULL, body);
	}
	fake_request_refused(submit(c, &late, body_of(&late)), "too_many", "at once");
	(void) fake_store_flush();
	for (uint32_t i = 0; i <= LEDGER_QUEUE_MAX; i++)
		fake_request_free(r[i]);
}

/* --- asked, and not done --- */

static struct httpd_request *check(struct coord *c, const struct board *b, json_t *body)
{
	struct httpd_request *r = world_request(b, "/v1/enroll/check");

	enroll_check_handle(c, r, NULL, body);
	json_decref(body);
	return r;
}

static void test_check(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1);
	struct grant g = grant();
	struct api_enroll_check said = { 0 };
	struct httpd_request *r;

	(void) give(c, &g);
	for (int i = 0; i < 2; i++) { /* before, and once it is a node */
		r = check(c, &b, body_of(&b));
		assert_int_equal(r->status, 200);
		assert_int_equal(api_enroll_check_from_json(r->reply, &said, NULL), 0);
		assert_string_equal(said.mesh, "home");
		assert_string_equal(said.name, "pi4");
		assert_int_equal(said.role, NODE_ROLE_WORKER);
		fake_request_free(r);
		assert_int_equal(netmap_count(coord_netmap(c)), (size_t) i);
		assert_int_equal(fake_store_waiting(), 0);
		(void) enrolled(c, &b, body_of(&b));
	}
	b = world_board(2);
	tokens_by_id(c->tokens, id_of_token)->reusable = true;
	fake_request_refused(
		check(c, &b, with(body_of(&b), "relay", world_relay("203.0.113.5", 443))),
		"forbidden", "--relay");
	tokens_by_id(c->tokens, id_of_token)->reusable = false;
	fake_request_refused(check(c, &b, body_of(&b)), "token_used", "by another board");
	fake_request_refused(check(c, &b, json_object()), "bad_request", "not accepted");
	for (int i = 0; i < ENROLL_BURST - 3; i++)
		fake_request_refused(check(c, &b, body_of(&b)), "token_used", "used");
	fake_request_refused(check(c, &b, body_of(&b)), "too_many", "failed");
}

/* --- the store --- */

static void test_restart(void **state)
{
	struct coord *c = *state;
	struct board b = world_board(1), other = world_board(2);
	struct grant g = grant();

	(void) give(c, &g);
	(void) enrolled(c, &b, body_of(&b));
	fake_store_put(TABLE_USES, "aaaaaaaaaaaaaaaa AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"{\"at\":1,\"node\":1}"); /* of a token that was forgotten */
	world_restart(c);
	assert_int_equal(tokens_count(c->tokens), 1);
	refused(c, &other, body_of(&other), "token_used", "by another board");
	(void) enrolled(c, &b, body_of(&b));
}

/* Damaged lists are not half believed. */
static void test_damaged(void **state)
{
	static const struct {
		enum schema_table table;
		const char *key, *value;
	} cases[] = {
		{ TABLE_TOKENS, "0000000000000000", "{" },
		{ TABLE_TOKENS, "0000000000000000", "{}" },
		{ TABLE_TOKENS, "0000000000000000", NULL }, /* another's */
		{ TABLE_USES, "0123456789abcdef nobody", "{\"at\":1,\"node\":1}" },
		{ TABLE_USES,
			"0123456789abcdef AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "{" },
	};
	struct coord *c = *state;
	struct grant g = grant();
	struct enroll *enroll_again = NULL;

	(void) give(c, &g);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		struct tokens *kept = c->tokens;
		const char *good = fake_store_get(TABLE_TOKENS, id_of_token);

		fake_store_put(
			cases[i].table, cases[i].key, cases[i].value ? cases[i].value : good);
		c->tokens = tokens_new();
		assert_int_equal(enroll_open(c, &enroll_again, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "damaged"));
		tokens_free(c->tokens);
		c->tokens = kept;
		fake_store_drop(cases[i].table, cases[i].key);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new),
		TEST(test_names),
		TEST(test_board_label),
		TEST(test_tokens),
		TEST(test_race),
		TEST(test_again),
		TEST(test_keys),
		TEST(test_replaced),
		TEST(test_replaced_by_itself),
		TEST(test_relay),
		TEST(test_no_relay),
		TEST(test_replaced_relay),
		TEST(test_replaced_meanwhile),
		TEST(test_replaced_too_often),
		TEST(test_full),
		TEST(test_limit),
		TEST(test_disk),
		TEST(test_queue),
		TEST(test_check),
		TEST(test_restart),
		TEST(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
