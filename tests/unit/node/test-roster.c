/* roster: what a relay is told of the members, and when. The calls are the test's. */
#include "fake-core.h"

#include <stdio.h>

#include "base/json.h"
#include "node/roster.h"

/* --- below it --- */

struct ipc_request {
	json_t *args, *ok; /* ok: the answer, NULL: not yet */
	char code[32];
	unsigned charged;
	void (*gone)(void *ctx);
	void *ctx;
};

const json_t *ipc_request_args(const struct ipc_request *request)
{
	return request->args;
}

void ipc_request_charge(const struct ipc_request *request, uint64_t work_us)
{
	((struct ipc_request *) (uintptr_t) request)->charged++;
}

void ipc_request_on_gone(struct ipc_request *request, void (*gone)(void *ctx), void *ctx)
{
	request->gone = gone;
	request->ctx = ctx;
}

void ipc_request_reply(struct ipc_request *request, json_t *ok)
{
	assert_null(request->ok);
	assert_string_equal(request->code, "");
	request->ok = ok;
}

void ipc_request_fail(struct ipc_request *request, const char *code, const char *format, ...)
{
	assert_null(request->ok);
	(void) snprintf(request->code, sizeof(request->code), "%s", code);
}

/* --- */

static struct mesh_log *mesh_log;

const struct mesh_log *book_log(const struct book *book)
{
	return mesh_log;
}

static struct core *core;
static struct roster *roster;

static int set_up(void **state)
{
	core = fake_core_new();
	mesh_log = maker_log();
	assert_int_equal(roster_new(core, &roster, NULL), 0);
	roster_follow(roster, true);
	return 0;
}

static int tear_down(void **state)
{
	roster = roster_free(roster);
	core = fake_core_free(core);
	mesh_log_free(mesh_log);
	return 0;
}

static void ask(struct ipc_request *request, json_t *args)
{
	*request = (struct ipc_request){ .args = args };
	roster_answer(roster, request);
}

static void forget(struct ipc_request *request)
{
	json_decref(request->args);
	json_decref(request->ok);
}

static json_int_t number(const struct ipc_request *request, const char *key)
{
	assert_non_null(request->ok);
	return json_integer_value(json_object_get(request->ok, key));
}

static json_t *knows_all(void)
{
	return json_pack("{s:I}", "seq", (json_int_t) mesh_log_head(mesh_log));
}

static void test_all_of_them(void **state)
{
	struct ipc_request request;
	const struct node *node = netmap_by_id(book_netmap(core->book), 2);
	const json_t *members, *second;
	uint8_t key[FIELD_KEY_LEN];

	ask(&request, json_object());
	members = json_object_get(request.ok, "members");
	assert_int_equal(json_array_size(members), 3);
	assert_int_equal(number(&request, "self"), 1);
	assert_int_equal(number(&request, "seq"), mesh_log_head(mesh_log));
	assert_int_equal(json_array_size(json_object_get(request.ok, "ranges")), SETTINGS_RANGES);
	assert_true(json_array_size(json_object_get(request.ok, "pins")) > 0);
	assert_int_equal(request.charged, 1);
	second = json_array_get(members, 1);
	assert_int_equal(json_integer_value(json_object_get(second, "id")), 2);
	assert_string_equal(json_string_value(json_object_get(second, "name")), node->name);
	assert_int_equal(field_get_key(second, "wg", key, NULL), 0);
	assert_memory_equal(key, node->wg, sizeof(key));
	assert_int_equal(field_get_key(second, "identity", key, NULL), 0);
	assert_memory_equal(key, node->identity, sizeof(key));
	forget(&request);
}

/* What the relay says of itself is kept, whatever else it asks. */
static void test_reached(void **state)
{
	struct ipc_request request;
	const struct reached *reached;

	assert_null(roster_reached(roster));
	ask(&request, json_pack("{s:{s:n, s:n}}", "reached", "udp", "tcp"));
	assert_int_equal(number(&request, "self"), 1);
	forget(&request);
	reached = roster_reached(roster);
	assert_int_equal(reached->ways[REACHED_UDP].node, 0);
	fake_event_pass(20 * USEC_PER_SEC);
	ask(&request,
		json_pack("{s:{s:n, s:{s:i, s:i}}}", "reached", "udp", "tcp", "node", 3, "ago", 8));
	forget(&request);
	ask(&request, json_object()); /* somebody else */
	forget(&request);
	reached = roster_reached(roster);
	assert_int_equal(reached->ways[REACHED_UDP].node, 0);
	assert_int_equal(reached->ways[REACHED_TCP].node, 3);
	assert_int_equal(reached->ways[REACHED_TCP].at_us, clock_now_us() - 8 * USEC_PER_SEC);
	ask(&request, json_pack("{s:{s:n}}", "reached", "udp"));
	assert_null(request.ok);
	assert_string_equal(request.code, "bad_request");
	forget(&request);
	assert_int_equal(reached->ways[REACHED_TCP].node, 3);
}

static void test_hosts(void **state)
{
	CLEANUP_NODE struct node node = { 0 };
	struct ipc_request before, after;

	ask(&before, NULL);
	assert_int_equal(json_array_size(json_object_get(before.ok, "hosts")), 0);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(core->book), 1), &node), 0);
	node.relay.n_hosts = 1;
	(void) snprintf(node.relay.hosts[0], sizeof(node.relay.hosts[0]), "vps.example.org");
	node.relay.tcp = 443;
	memset(node.relay.pin, 1, sizeof(node.relay.pin));
	memset(node.relay.key, 2, sizeof(node.relay.key));
	fake_core_put_node(&node);
	ask(&after, NULL);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(after.ok, "hosts"), 0)),
		"vps.example.org");
	forget(&before);
	forget(&after);
}

/* Who knows of another head, also of a later one, is answered at once. */
static void test_another_head(void **state)
{
	json_int_t head = (json_int_t) mesh_log_head(mesh_log);
	const json_int_t heads[] = { 0, head + 1 };
	struct ipc_request request;

	assert_true(head > 0);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		ask(&request, json_pack("{s:I}", "seq", heads[i]));
		assert_int_equal(number(&request, "self"), 1);
		forget(&request);
	}
}

static void test_waits_for_records(void **state)
{
	struct ipc_request a, b;

	ask(&a, knows_all());
	ask(&b, knows_all());
	fake_event_pass((ROSTER_HOLD_S - 1) * USEC_PER_SEC);
	assert_null(a.ok);
	assert_null(b.ok);
	roster_follow(roster, true);
	assert_int_equal(number(&a, "self"), 1);
	assert_int_equal(number(&b, "self"), 1);
	assert_int_equal(a.charged, 1);
	forget(&a);
	forget(&b);
	/* nobody is answered twice */
	fake_event_pass(2 * ROSTER_HOLD_S * USEC_PER_SEC);
}

static void test_not_for_ever(void **state)
{
	struct ipc_request first, second;

	ask(&first, knows_all());
	fake_event_pass(10 * USEC_PER_SEC);
	ask(&second, knows_all());
	fake_event_pass((ROSTER_HOLD_S - 10) * USEC_PER_SEC);
	assert_non_null(first.ok);
	assert_null(second.ok);
	fake_event_pass(11 * USEC_PER_SEC);
	assert_non_null(second.ok);
	forget(&first);
	forget(&second);
}

/* A board that was removed admits nobody, and says so to who waits. */
static void test_outside(void **state)
{
	struct ipc_request waits, asks;

	ask(&waits, knows_all());
	roster_follow(roster, false);
	assert_int_equal(number(&waits, "self"), 0);
	assert_int_equal(json_array_size(json_object_get(waits.ok, "members")), 0);
	ask(&asks, knows_all());
	assert_int_equal(number(&asks, "self"), 0);
	forget(&waits);
	forget(&asks);
}

static void test_hangs_up(void **state)
{
	struct ipc_request request;

	ask(&request, knows_all());
	request.gone(request.ctx);
	fake_event_pass((ROSTER_HOLD_S + 1) * USEC_PER_SEC);
	assert_non_null(request.ok);
	forget(&request);
}

static void test_bad_number(void **state)
{
	struct ipc_request request;

	ask(&request, json_pack("{s:s}", "seq", "1"));
	assert_string_equal(request.code, "bad_request");
	forget(&request);
	ask(&request, json_pack("{s:i}", "seq", -1));
	assert_string_equal(request.code, "bad_request");
	forget(&request);
}

/* At the end those who wait are answered, not left. */
static void test_end(void **state)
{
	struct ipc_request request;

	ask(&request, knows_all());
	roster = roster_free(roster);
	assert_non_null(request.ok);
	forget(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reached, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits_for_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_outside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hangs_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
