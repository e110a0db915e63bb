/* admin-relay: an administrator's list, yes and no. */
#include "world.h"

#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "coordinator/admin.h"
#include "coordinator/relays.h"

static struct ipc_request *submit(struct coord *c, const char *call, const char *node)
{
	struct ipc_request *r = fake_call(call, node ? json_pack("{s:s}", "node", node) : NULL);

	admin_handle(c, r);
	return r;
}

/* Done, as a change or not (@changed); the board is found at @host now ("": it is no relay). */
static void good(
	struct coord *c, const char *call, const char *node, bool changed, const char *host)
{
	struct ipc_request *r = submit(c, call, node);
	uint64_t head = mesh_log_head(ledger_log(c->ledger));

	(void) fake_store_flush();
	CLEANUP_JSON json_t *ok = fake_call_taken(r);
	const json_t *relay = json_object_get(ok, "relay");

	assert_int_equal(json_is_true(json_object_get(ok, "changed")), changed);
	assert_string_equal(json_string_value(json_object_get(ok, "name")),
		netmap_find(coord_netmap(c), node)->name);
	assert_int_equal(json_is_null(relay), !*host);
	if (*host)
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(relay, "hosts"), 0)),
			host);
	assert_true(mesh_log_head(ledger_log(c->ledger)) <= head + changed);
}

static void bad(
	struct coord *c, const char *call, const char *node, const char *code, const char *says)
{
	struct ipc_request *r = submit(c, call, node);
	uint64_t head = mesh_log_head(ledger_log(c->ledger));

	(void) fake_store_flush();
	fake_call_refused(r, code, says);
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head);
}

static void ask(struct coord *c, const struct board *b, const char *host)
{
	struct httpd_request *r = world_put_relay(c, b, world_relay(host, 443));

	(void) fake_store_flush();
	assert_int_equal(r->status, 200);
	fake_request_free(r);
}

/* "a asked 203.0.113.5, b ..." */
static void listed(struct coord *c, const char *expected)
{
	CLEANUP_JSON json_t *ok = fake_call_taken(submit(c, "relay.list", NULL));
	char text[512] = "";
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(ok, "relays"), i, one)
	{
		const json_t *relay = json_object_get(one, "relay");
		size_t len = strlen(text);

		(void) snprintf(text + len, sizeof(text) - len, "%s%s %s %s", i ? ", " : "",
			json_string_value(json_object_get(one, "name")),
			json_string_value(json_object_get(one, "state")),
			json_string_value(json_array_get(json_object_get(relay, "hosts"), 0)));
		assert_int_equal(json_integer_value(json_object_get(relay, "udp")), 3478);
	}
	assert_string_equal(text, expected);
}

static void test_life(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_MEMBER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);

	(void) world_node(c, 3, "d", NODE_ROLE_WORKER);
	listed(c, "");
	ask(c, &b, "203.0.113.2");
	ask(c, &a, "203.0.113.1");
	listed(c, "a asked 203.0.113.1, b asked 203.0.113.2");
	good(c, "relay.allow", "B.home.internal", true, "203.0.113.2");
	assert_int_equal(fake_log_says("relay.allow by uid 0 (pid 0): node 2, b"), 1);
	listed(c, "a asked 203.0.113.1, b serving 203.0.113.2");
	good(c, "relay.allow", "2", false, "203.0.113.2"); /* twice is as good as once */
	assert_int_equal(fake_log_says("node 2, b, as before"), 1);
	ask(c, &b, "203.0.113.3"); /* needs nobody's yes any more */
	listed(c, "a asked 203.0.113.1, b serving 203.0.113.3");
	good(c, "relay.deny", "b", true, "");
	listed(c, "a asked 203.0.113.1");
	assert_int_equal(world_find(c, &b)->relay.n_hosts, 0);
	good(c, "relay.deny", "a", true, ""); /* no record, but it is forgotten */
	listed(c, "");
	good(c, "relay.deny", "a", false, "");
	good(c, "relay.deny", "d", false, "");
	ask(c, &a, "203.0.113.4"); /* anew */
	good(c, "relay.allow", "a", true, "203.0.113.4");
}

static void say_reached(struct coord *c, const struct board *b, uint32_t by, int ago_s)
{
	struct httpd_request *r = world_put_reached(c, b, world_relay("203.0.113.1", 443),
		json_pack("{s:n, s:{s:I, s:i}}", "udp", "tcp", "node", (json_int_t) by, "ago",
			ago_s));

	assert_int_equal(r->status, 200);
	fake_request_free(r);
}

static json_t *first_reached(struct coord *c)
{
	CLEANUP_JSON json_t *ok = fake_call_taken(submit(c, "relay.list", NULL));

	return json_incref(
		json_object_get(json_array_get(json_object_get(ok, "relays"), 0), "reached"));
}

/* By whom it was reached from outside, as it says: by name, and by our clock. */
static void test_reached(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_MEMBER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER), new = world_board(7);
	CLEANUP_JSON json_t *none = NULL, *some = NULL, *gone = NULL, *replaced = NULL;
	const json_t *by;

	ask(c, &a, "203.0.113.1");
	good(c, "relay.allow", "a", true, "203.0.113.1");
	none = first_reached(c);
	assert_true(json_is_null(none));
	say_reached(c, &a, b.id, 60);
	some = first_reached(c);
	assert_true(json_is_null(json_object_get(some, "udp")));
	by = json_object_get(some, "tcp");
	assert_string_equal(json_string_value(json_object_get(by, "name")), "b");
	assert_int_equal(json_integer_value(json_object_get(by, "node")), 2);
	assert_in_range(json_integer_value(json_object_get(by, "at")),
		clock_wall_us() / USEC_PER_SEC - 62, clock_wall_us() / USEC_PER_SEC - 59);
	say_reached(c, &a, 99, 0);
	gone = first_reached(c);
	by = json_object_get(gone, "tcp");
	assert_true(json_is_null(json_object_get(by, "name")));
	assert_int_equal(json_integer_value(json_object_get(by, "node")), 99);
	CLEANUP_NODE struct node other = { 0 };

	assert_int_equal(node_copy(world_find(c, &a), &other), 0);
	assert_int_equal(node_revoke_identity(&other), 0);
	memcpy(other.wg, new.wg, sizeof(other.wg));
	memcpy(other.identity, new.identity, sizeof(other.identity));
	world_record(c, RECORD_TYPE_NODE, node_to_json(&other));
	replaced = first_reached(c); /* another machine in its place has said nothing */
	assert_true(json_is_null(replaced));
}

static void test_refused(void **state)
{
	struct coord *c = *state;

	(void) world_node(c, 1, "laptop", NODE_ROLE_MEMBER);
	bad(c, "relay.allow", NULL, "bad_request", "\"node\" must be");
	bad(c, "relay.deny", NULL, "bad_request", "\"node\" must be");
	bad(c, "relay.allow", "latpop", "unknown_node", "did you mean laptop?");
	bad(c, "relay.deny", "printer", "unknown_node", "no node \"printer\" in the mesh. See");
	bad(c, "relay.allow", "laptop", "not_found", "laptop does not ask to be a relay. On that");
}

/* Others may come first. */
static void test_meanwhile(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct ipc_request *r[3];
	struct httpd_request *none;

	ask(c, &a, "203.0.113.1");
	world_submit(c, "later", json_object());
	r[0] = submit(c, "relay.allow", "a");
	none = world_put_relay(c, &a, json_null());
	fake_request_free(none);
	(void) fake_store_flush();
	fake_call_refused(r[0], "not_found", "does not ask");
	ask(c, &a, "203.0.113.1");
	world_submit(c, "later", json_object());
	r[0] = submit(c, "node.remove", "a");
	r[1] = submit(c, "relay.allow", "a");
	r[2] = submit(c, "relay.deny", "a");
	(void) fake_store_flush();
	json_decref(fake_call_taken(r[0]));
	fake_call_refused(r[1], "not_found", "removed meanwhile");
	fake_call_refused(r[2], "not_found", "removed meanwhile");
}

static void test_busy(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);

	ask(c, &a, "203.0.113.1");
	fake_store_fails = -ENOSPC;
	bad(c, "relay.allow", "a", "storage", "the disk says no");
	listed(c, "a asked 203.0.113.1"); /* still */
	fake_store_fails = 0;
	good(c, "relay.allow", "a", true, "203.0.113.1");
	for (size_t i = 0; i <= LEDGER_QUEUE_MAX; i++)
		world_submit(c, "later", json_object());
	fake_call_refused(submit(c, "relay.deny", "a"), "too_many", "too busy");
	(void) fake_store_flush();
	listed(c, "a serving 203.0.113.1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_reached),
		TEST(test_refused),
		TEST(test_meanwhile),
		TEST(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
