/* relays: what boards ask for, what they may say of themselves, and how often. */
#include "world.h"

#include <errno.h>

#include "base/json.h"
#include "coordinator/relays.h"

enum { QUARTER_OF_AN_HOUR_S = 900 };

static uint64_t head(const struct coord *c)
{
	return mesh_log_head(ledger_log(c->ledger));
}

/* It says so, and is answered @state. */
static void put(struct coord *c, const struct board *b, json_t *relay, const char *state)
{
	struct httpd_request *r = world_put_relay(c, b, relay);

	(void) fake_store_flush();
	if (r->status != 200)
		fail_msg("%s: %s", fake_request_code(r), fake_request_message(r));
	assert_string_equal(json_string_value(json_object_get(r->reply, "state")), state);
	fake_request_free(r);
}

/* Its record says so, as if an administrator had said yes. */
static void list(struct coord *c, const struct board *b, json_t *relay)
{
	CLEANUP_NODE struct node copy = { 0 };

	assert_int_equal(node_copy(world_find(c, b), &copy), 0);
	node_relay_done(&copy.relay);
	assert_int_equal(node_relay_from_json(relay, &copy.relay, NULL), 0);
	json_decref(relay);
	world_record(c, RECORD_TYPE_NODE, node_to_json(&copy));
}

static const char *asked(struct coord *c, const struct board *b)
{
	const struct node_relay *relay = relays_asked(c->relays, b->id);

	return relay ? relay->hosts[0] : "";
}

static const char *found_at(const struct coord *c, const struct board *b)
{
	return world_find(c, b)->relay.hosts[0];
}

/* Whoever is no relay is none before somebody said yes, whatever it says. */
static void test_asked(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_MEMBER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	uint64_t before = head(c);

	put(c, &a, json_null(), "none");
	assert_string_equal(asked(c, &a), "");
	put(c, &a, world_relay("203.0.113.5", 443), "asked");
	put(c, &a, world_relay("203.0.113.5", 443), "asked");
	assert_string_equal(asked(c, &a), "203.0.113.5");
	assert_int_equal(fake_log_says("a asks to be a relay, at 203.0.113.5, TCP 443"), 1);
	put(c, &a, world_relay("vps.example.org", 443), "asked");
	assert_string_equal(asked(c, &a), "vps.example.org");
	assert_int_equal(fake_log_says("hearth relay allow a"), 2);
	put(c, &b, world_relay("203.0.113.6", 443), "asked");
	put(c, &a, json_null(), "none");
	assert_string_equal(asked(c, &a), "");
	assert_string_equal(asked(c, &b), "203.0.113.6");
	assert_int_equal(head(c), before);
	assert_int_equal(fake_store_waiting(), 0);
	assert_null(relays_asked(c->relays, 99));
}

/* Who is one says itself where, and that it is none any more. */
static void test_listed(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	uint64_t before;

	put(c, &a, world_relay("203.0.113.5", 443), "asked");
	list(c, &a, world_relay("203.0.113.5", 443));
	assert_string_equal(asked(c, &a), ""); /* it has become true */
	before = head(c);
	put(c, &a, world_relay("203.0.113.5", 443), "listed");
	assert_int_equal(head(c), before);
	put(c, &a, world_relay("203.0.113.5", 3340), "listed");
	assert_int_equal(head(c), before + 1);
	assert_int_equal(world_find(c, &a)->relay.tcp, 3340);
	assert_int_equal(fake_log_says("a is found elsewhere as a relay"), 1);
	put(c, &a, json_null(), "none");
	assert_int_equal(head(c), before + 2);
	assert_int_equal(world_find(c, &a)->relay.n_hosts, 0);
	assert_string_equal(world_find(c, &a)->name, "a"); /* the rest stays */
	assert_memory_equal(world_find(c, &a)->wg, a.wg, NODE_KEY_LEN);
	assert_int_equal(fake_log_says("a says that it is no relay any more"), 1);
	put(c, &a, json_null(), "none");
	put(c, &a, world_relay("203.0.113.5", 3340), "asked");
	assert_int_equal(head(c), before + 2);
}

/* By whom it was reached is no reason for a record, and what is no such thing is refused. */
static void test_reached(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	uint64_t before;
	struct httpd_request *r;

	list(c, &a, world_relay("203.0.113.5", 443));
	before = head(c);
	assert_null(relays_reached(c->relays, a.id));
	r = world_put_reached(c, &a, world_relay("203.0.113.5", 443),
		json_pack("{s:{s:i, s:i}, s:n}", "udp", "node", 7, "ago", 0, "tcp"));
	assert_int_equal(r->status, 200);
	fake_request_free(r);
	assert_int_equal(relays_reached(c->relays, a.id)->ways[REACHED_UDP].node, 7);
	assert_int_equal(head(c), before);
	r = world_put_reached(c, &a, world_relay("203.0.113.5", 443), json_object());
	assert_int_equal(r->status, 400);
	fake_request_free(r);
	put(c, &a, world_relay("203.0.113.5", 443), "listed"); /* of one that says nothing of it */
	assert_int_equal(relays_reached(c->relays, a.id)->ways[REACHED_UDP].node, 7);
}

/* Nobody is told before it is on the disk; what comes between counts. */
static void test_meanwhile(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	CLEANUP_NODE struct node bare = { 0 };
	struct httpd_request *r[3];

	assert_int_equal(node_copy(world_find(c, &a), &bare), 0);
	list(c, &a, world_relay("203.0.113.5", 443));
	r[0] = world_put_relay(c, &a, world_relay("203.0.113.6", 443));
	assert_int_equal(r[0]->status, 0);
	r[1] = world_put_relay(c, &a, world_relay("203.0.113.6", 443)); /* the same, said twice */
	world_submit(c, RECORD_TYPE_NODE, node_to_json(&bare));         /* an administrator's no */
	r[2] = world_put_relay(c, &a, world_relay("203.0.113.7", 443));
	uint64_t before = head(c);

	(void) fake_store_flush();
	assert_int_equal(head(c), before + 2);
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		assert_string_equal(json_string_value(json_object_get(r[i]->reply, "state")),
			i < 2 ? "listed" : "asked");
		fake_request_free(r[i]);
	}
	assert_int_equal(world_find(c, &a)->relay.n_hosts, 0);
	assert_string_equal(asked(c, &a), "203.0.113.7");
}

/* Who is gone by then, or another one, says nothing any more. */
static void test_gone_meanwhile(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), new = world_board(7);
	struct tombstone tombstone = { .id = a.id, .reason = "removed" };
	CLEANUP_NODE struct node copy = { 0 };
	struct httpd_request *r;

	list(c, &a, world_relay("203.0.113.5", 443));
	assert_int_equal(node_copy(world_find(c, &a), &copy), 0);
	assert_int_equal(node_revoke_identity(&copy), 0);
	memcpy(copy.wg, new.wg, sizeof(copy.wg));
	memcpy(copy.identity, new.identity, sizeof(copy.identity));
	world_submit(c, RECORD_TYPE_NODE, node_to_json(&copy));
	r = world_put_relay(c, &a, world_relay("203.0.113.6", 443));
	(void) fake_store_flush();
	fake_request_refused(r, "removed", "given its place");
	new.id = a.id;
	world_submit(c, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone));
	r = world_put_relay(c, &new, json_null());
	(void) fake_store_flush();
	fake_request_refused(r, "removed", "removed meanwhile");
}

static void test_refused(void **state)
{
	static const struct {
		const char *field, *value, *says;
	} cases[] = {
		{ "hosts", "[]", "relay: field \"hosts\"" },
		{ "hosts", "[\"10.77.0.9\"]", "10.77.0.9 lies in this mesh's own range" },
		{ "hosts", "[\"x.example\",\"::1\"]", "::1 is not for all boards" },
		{ "hosts", "[\"a.home.internal\"]", "a name of this mesh" },
		{ "hosts", "[\"not a host\"]", "relay: field \"hosts\"" },
		{ "tcp", "0", "relay: field \"tcp\"" },
		{ "key", "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", "no usable key" },
		{ "pin", "null", "relay: field \"pin\"" },
	};
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), b;
	struct httpd_request *r = world_request(&a, "/v1/relay");
	CLEANUP_JSON json_t *empty = json_object();

	relays_handle(c, r, world_find(c, &a), empty);
	fake_request_refused(r, "bad_request", "\"relay\" is missing");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *relay = world_relay("203.0.113.5", 443);

		(void) json_object_set_new(
			relay, cases[i].field, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		fake_request_refused(world_put_relay(c, &a, relay), "bad_request", cases[i].says);
	}
	assert_string_equal(asked(c, &a), "");
	/* Nor what a relay says that is one. */
	b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	list(c, &b, world_relay("203.0.113.5", 443));
	fake_request_refused(world_put_relay(c, &b, world_relay("fe80::1", 443)), "bad_request",
		"one link only");
	assert_string_equal(found_at(c, &b), "203.0.113.5");
}

/* Each node by itself: whatever it says, and what makes records. */
static void test_too_often(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	uint64_t before;

	for (int i = 0; i < RELAYS_BURST; i++)
		put(c, &a, world_relay("203.0.113.5", 443), "asked");
	fake_request_refused(world_put_relay(c, &a, json_null()), "too_many", "half a minute");
	assert_string_equal(asked(c, &a), "203.0.113.5");
	put(c, &b, json_null(), "none");
	fake_event_pass(30 * USEC_PER_SEC - 1);
	fake_request_refused(world_put_relay(c, &a, json_null()), "too_many", "a says too often");
	fake_event_pass(1);
	put(c, &a, json_null(), "none");

	list(c, &b, world_relay("203.0.113.5", 443));
	before = head(c);
	for (uint16_t i = 0; i < RELAYS_MOVES; i++)
		put(c, &b, world_relay("203.0.113.5", 1000 + i), "listed");
	fake_request_refused(world_put_relay(c, &b, world_relay("203.0.113.5", 1)), "too_many",
		"quarter of an hour");
	assert_int_equal(head(c), before + RELAYS_MOVES);
	put(c, &b, world_relay("203.0.113.5", 1000 + RELAYS_MOVES - 1), "listed"); /* nothing new */
	fake_event_pass((QUARTER_OF_AN_HOUR_S - 1) * USEC_PER_SEC);
	fake_request_refused(world_put_relay(c, &b, world_relay("203.0.113.5", 1)), "too_many", "");
	fake_event_pass(USEC_PER_SEC);
	put(c, &b, world_relay("203.0.113.5", 1), "listed");
	put(c, &b, json_null(), "none"); /* to be none is always allowed */
	assert_int_equal(head(c), before + RELAYS_MOVES + 2);
}

/* What a board asked for is its own: nobody's who comes after it. */
static void test_forgotten(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct board d = world_node(c, 3, "d", NODE_ROLE_WORKER), new = world_board(9);

	put(c, &a, world_relay("203.0.113.1", 443), "asked");
	put(c, &b, world_relay("203.0.113.2", 443), "asked");
	put(c, &d, world_relay("203.0.113.3", 443), "asked");
	world_record(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &b))); /* the same board */
	assert_string_equal(asked(c, &b), "203.0.113.2");
	world_rekey(c, b.id, 9);
	assert_string_equal(asked(c, &b), "");
	new.id = b.id;
	put(c, &new, world_relay("203.0.113.9", 443), "asked");
	assert_string_equal(asked(c, &new), "203.0.113.9");
	world_remove(c, a.id);
	assert_string_equal(asked(c, &a), "");
	assert_string_equal(asked(c, &d), "203.0.113.3");
	relays_forget(c->relays, d.id);
	relays_forget(c->relays, 99);
	assert_string_equal(asked(c, &d), "");
	put(c, &d, world_relay("203.0.113.3", 443), "asked"); /* it may ask again */
	world_restart(c);
	assert_string_equal(asked(c, &d), "");
	put(c, &d, world_relay("203.0.113.3", 443), "asked");
}

static void test_busy(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r;

	list(c, &a, world_relay("203.0.113.5", 443));
	fake_store_fails = -EIO;
	r = world_put_relay(c, &a, world_relay("203.0.113.6", 443));
	(void) fake_store_flush();
	fake_request_refused(r, "storage", "the disk says no");
	fake_store_fails = 0;
	for (size_t i = 0; i <= LEDGER_QUEUE_MAX; i++)
		world_submit(c, "later", json_object());
	fake_request_refused(world_put_relay(c, &a, json_null()), "too_many", "too busy");
	(void) fake_store_flush();
	assert_string_equal(found_at(c, &a), "203.0.113.5");
}

/* What a later version says of a relay is kept as it is. */
static void test_later_fields(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	json_t *relay = world_relay("203.0.113.6", 443);

	list(c, &a, world_relay("203.0.113.5", 443));
	json_object_set_new(relay, "later", json_integer(7));
	put(c, &a, relay, "listed");
	CLEANUP_JSON json_t *json = node_to_json(world_find(c, &a));

	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(json, "relay"), "later")), 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_asked),
		TEST(test_listed),
		TEST(test_reached),
		TEST(test_meanwhile),
		TEST(test_gone_meanwhile),
		TEST(test_refused),
		TEST(test_too_often),
		TEST(test_forgotten),
		TEST(test_busy),
		TEST(test_later_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
