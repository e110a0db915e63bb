/*
 * meet, and the administrator's relay.add and relay.remove: what is tried, and what comes of what
 * is heard there. The test plays carry.
 */
#include "world.h"

#include <errno.h>

#include "base/json.h"
#include "coordinator/admin.h"
#include "coordinator/meet.h"
#include "coordinator/relays.h"

enum { DAY_S = 24 * 3600 };
#define SECOND USEC_PER_SEC

static const uint8_t stranger[FIELD_KEY_LEN] = { 0x44 };
static uint8_t vps[FIELD_KEY_LEN]; /* the pin of world_relay() */

static struct ipc_request *submit(struct coord *c, const char *call, json_t *args)
{
	struct ipc_request *r = fake_call(call, args);

	admin_handle(c, r);
	(void) fake_store_flush();
	return r;
}

static void add(struct coord *c, const char *host, int port, bool changed)
{
	CLEANUP_JSON json_t *ok = fake_call_taken(
		submit(c, "relay.add", json_pack("{s:s, s:i}", "host", host, "port", port)));

	assert_int_equal(json_is_true(json_object_get(ok, "changed")), changed);
	fake_event_pass(0);
}

static void bad(struct coord *c, const char *call, json_t *args, const char *code, const char *says)
{
	fake_call_refused(submit(c, call, args), code, says);
}

/* "HOST STATE NODE, ..." */
static void added(struct coord *c, const char *expected)
{
	CLEANUP_JSON json_t *ok = fake_call_taken(submit(c, "relay.list", NULL));
	char text[512] = "";
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(ok, "added"), i, one)
	{
		const char *node = json_string_value(json_object_get(one, "node"));
		const char *problem = json_string_value(json_object_get(one, "problem"));
		size_t len = strlen(text);

		(void) snprintf(text + len, sizeof(text) - len, "%s%s %s%s%s%s%s", i ? ", " : "",
			json_string_value(json_object_get(one, "host")),
			json_string_value(json_object_get(one, "state")), node ? " " : "",
			node ? node : "", problem ? ": " : "", problem ? problem : "");
	}
	assert_string_equal(text, expected);
}

/* "HOST:PORT ..." of what is to be carried beside the records' relays. */
static void carried(struct coord *c, const char *expected)
{
	struct carry_relay relays[MEET_RELAYS_MAX];
	size_t n = meet_relays(c->meet, relays);
	char text[512] = "";

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(text);

		assert_true(relays[i].watch > 0);
		assert_int_equal(relays[i].node, 0);
		(void) snprintf(text + len, sizeof(text) - len, "%s%s:%u%s", i ? " " : "",
			relays[i].relay->hosts[0], relays[i].relay->tcp,
			relays[i].any_key ? "" : "!"); /* that key only */
	}
	assert_string_equal(text, expected);
}

/* At @host a relay with @pin keeps our connections, or it does not. */
static void heard(struct coord *c, const char *host, const uint8_t *pin, int code)
{
	struct carry_relay relays[MEET_RELAYS_MAX];
	size_t n = meet_relays(c->meet, relays);
	struct err why = { 0 };

	err_set(&why, code, "no way");
	for (size_t i = 0; i < n; i++)
		if (!strcmp(relays[i].relay->hosts[0], host))
			meet_heard(c->meet, relays[i].watch, pin, pin ? NULL : &why);
	fake_event_pass(0);
	(void) fake_store_flush();
	fake_event_pass(0);
}

static void found_at(const struct coord *c, const struct board *b, const char *expected)
{
	const struct node_relay *relay = &world_find(c, b)->relay;
	char text[512] = "";

	for (size_t i = 0; i < relay->n_hosts; i++) {
		size_t len = strlen(text);

		(void) snprintf(
			text + len, sizeof(text) - len, "%s%s", i ? " " : "", relay->hosts[i]);
	}
	assert_string_equal(text, expected);
}

static json_t *relay_at(const char *first, const char *second)
{
	json_t *relay = world_relay(first, 3340);

	if (second)
		(void) json_array_append_new(json_object_get(relay, "hosts"), json_string(second));
	return relay;
}

/* Its record says so, as after an enrolment with a token for relays. */
static void list(struct coord *c, const struct board *b, json_t *relay)
{
	CLEANUP_NODE struct node copy = { 0 };

	assert_int_equal(node_copy(world_find(c, b), &copy), 0);
	node_relay_done(&copy.relay);
	assert_int_equal(node_relay_from_json(relay, &copy.relay, NULL), 0);
	json_decref(relay);
	world_record(c, RECORD_TYPE_NODE, node_to_json(&copy));
	fake_event_pass(0);
	(void) fake_store_flush();
	fake_event_pass(0);
}

static void put(struct coord *c, const struct board *b, json_t *relay, const char *state)
{
	struct httpd_request *r = world_put_relay(c, b, relay);

	(void) fake_store_flush();
	assert_int_equal(r->status, 200);
	assert_string_equal(json_string_value(json_object_get(r->reply, "state")), state);
	fake_request_free(r);
	fake_event_pass(0);
}

static uint64_t head(const struct coord *c)
{
	return mesh_log_head(ledger_log(c->ledger));
}

/* The first relay, from the word of a person to its record. */
static void test_first(void **state)
{
	struct coord *c = *state;
	struct board b;

	carried(c, "");
	add(c, "203.0.113.5", 3340, true);
	assert_int_equal(
		fake_log_says("relay.add by uid 0 (pid 0): 203.0.113.5, TCP port 3340"), 1);
	carried(c, "203.0.113.5:3340");
	added(c, "203.0.113.5 trying");
	heard(c, "203.0.113.5", NULL, -ECONNREFUSED);
	added(c, "203.0.113.5 trying: no way");
	heard(c, "203.0.113.5", vps, 0);
	heard(c, "203.0.113.5", vps, 0); /* each of three connections says so */
	added(c, "203.0.113.5 waiting");
	assert_int_equal(fake_log_says("keeps connections of ours"), 1);
	assert_int_equal(head(c), 2); /* nothing comes of that alone */
	b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);
	list(c, &b, relay_at("10.0.0.5", NULL));
	added(c, "203.0.113.5 checking vps");
	carried(c, "203.0.113.5:3340 10.0.0.5:3340!");
	fake_event_pass(MEET_TRY_US);
	(void) fake_store_flush();
	found_at(c, &b, "203.0.113.5");
	added(c, "203.0.113.5 recorded vps");
	assert_int_equal(fake_log_says("vps is found at 203.0.113.5"), 1);
	carried(c, "203.0.113.5:3340"); /* whoever came by it is not cut off */
	fake_event_pass(MEET_LEAVE_US + SECOND);
	carried(c, "");
	/* It goes on saying what it knows, and the record goes on saying what a person said. */
	put(c, &b, relay_at("10.0.0.5", NULL), "listed");
	put(c, &b, relay_at("10.0.0.6", NULL), "listed");
	found_at(c, &b, "203.0.113.5 10.0.0.6");
}

/* Where it still answers it stays, and where there is no way from here, too; names are not asked. */
static void test_others_stay(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);

	list(c, &b, relay_at("192.168.1.5", "2001:db8::5"));
	add(c, "vps.example.org", 3340, true);
	heard(c, "vps.example.org", vps, 0);
	carried(c, "vps.example.org:3340 192.168.1.5:3340! 2001:db8::5:3340!");
	heard(c, "2001:db8::5", NULL, -ENETUNREACH);
	heard(c, "192.168.1.5", vps, 0); /* at once, not after a while */
	found_at(c, &b, "vps.example.org 192.168.1.5 2001:db8::5");
}

/* A relay that has moved, though its file says where it was. */
static void test_moved(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);
	uint64_t before;

	list(c, &b, relay_at("203.0.113.5", "vps.example.org"));
	add(c, "203.0.113.9", 3340, true);
	heard(c, "203.0.113.9", vps, 0);
	carried(c, "203.0.113.9:3340 203.0.113.5:3340!");
	heard(c, "203.0.113.5", NULL, -EHOSTUNREACH);
	found_at(c, &b, "203.0.113.9 vps.example.org");
	before = head(c);
	put(c, &b, relay_at("203.0.113.5", "vps.example.org"), "listed");
	assert_int_equal(head(c), before);
	world_restart(c);
	fake_event_pass(0);
	put(c, &b, relay_at("203.0.113.5", "vps.example.org"), "listed");
	assert_int_equal(head(c), before);
	carried(c, "");
	/* And again: the host that was added goes as any other. */
	add(c, "203.0.113.10", 3340, true);
	heard(c, "203.0.113.10", vps, 0);
	heard(c, "203.0.113.9", NULL, -EHOSTUNREACH);
	added(c, "203.0.113.10 recorded vps");
	found_at(c, &b, "203.0.113.10 vps.example.org");
}

/* Another key than a record's changes none, whoever says what. */
static void test_stranger(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);
	uint64_t before;

	list(c, &b, relay_at("203.0.113.5", NULL));
	add(c, "203.0.113.9", 3340, true);
	before = head(c);
	heard(c, "203.0.113.9", stranger, 0);
	fake_event_pass(60 * SECOND);
	(void) fake_store_flush();
	added(c, "203.0.113.9 waiting");
	assert_int_equal(head(c), before);
	/* Its port is another one: that is said, and nothing done. */
	add(c, "203.0.113.9", 443, true);
	heard(c, "203.0.113.9", vps, 0);
	added(c, "203.0.113.9 port vps");
	assert_int_equal(head(c), before);
	/* Another one is there before all was seen to. */
	add(c, "203.0.113.11", 3340, true);
	heard(c, "203.0.113.11", vps, 0);
	added(c, "203.0.113.9 port vps, 203.0.113.11 checking vps");
	heard(c, "203.0.113.11", stranger, 0);
	fake_event_pass(MEET_TRY_US);
	(void) fake_store_flush();
	added(c, "203.0.113.9 port vps, 203.0.113.11 waiting");
	assert_int_equal(head(c), before);
}

static void test_asks(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);

	add(c, "203.0.113.5", 3340, true);
	heard(c, "203.0.113.5", vps, 0);
	put(c, &b, relay_at("10.0.0.5", NULL), "asked");
	added(c, "203.0.113.5 asks vps");
	json_decref(fake_call_taken(submit(c, "relay.allow", json_pack("{s:s}", "node", "vps"))));
	fake_event_pass(0);
	heard(c, "10.0.0.5", NULL, -ETIMEDOUT);
	found_at(c, &b, "203.0.113.5");
}

static void test_old(void **state)
{
	struct coord *c = *state;

	add(c, "203.0.113.5", 3340, true);
	fake_event_set_wall(FAKE_WALL_S + DAY_S - 100);
	fake_event_pass(60 * SECOND);
	(void) fake_store_flush();
	added(c, "203.0.113.5 trying");
	add(c, "203.0.113.5", 3340, true); /* a day from now on */
	fake_event_set_wall(FAKE_WALL_S + 2 * DAY_S - 300);
	fake_event_pass(60 * SECOND);
	(void) fake_store_flush();
	added(c, "203.0.113.5 trying");
	fake_event_set_wall(FAKE_WALL_S + 2 * DAY_S);
	fake_event_pass(61 * SECOND);
	(void) fake_store_flush();
	added(c, "");
	assert_int_equal(fake_log_says("203.0.113.5, which somebody added, is forgotten"), 1);
	fake_event_pass(61 * SECOND);
	assert_int_equal(fake_event_next_us(), UINT64_MAX); /* and all is quiet */
}

/* A relay that is none any more takes what was added with it. */
static void test_denied(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);

	list(c, &b, relay_at("203.0.113.5", NULL));
	add(c, "203.0.113.9", 3340, true);
	heard(c, "203.0.113.9", vps, 0);
	heard(c, "203.0.113.5", NULL, -ETIMEDOUT);
	fake_event_set_wall(FAKE_WALL_S + 9 * DAY_S); /* what is recorded does not grow old */
	fake_event_pass(61 * SECOND);
	added(c, "203.0.113.9 recorded vps");
	json_decref(fake_call_taken(submit(c, "relay.deny", json_pack("{s:s}", "node", "vps"))));
	fake_event_pass(0);
	(void) fake_store_flush();
	added(c, "");
}

static void test_remove(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);
	CLEANUP_JSON json_t *ok = NULL, *again = NULL;

	list(c, &b, relay_at("203.0.113.5", NULL));
	add(c, "203.0.113.9", 3340, true);
	again = fake_call_taken(
		submit(c, "relay.remove", json_pack("{s:s}", "host", "203.0.113.9")));
	assert_true(json_is_null(json_object_get(again, "node")));
	add(c, "203.0.113.9", 3340, true);
	heard(c, "203.0.113.9", vps, 0);
	heard(c, "203.0.113.5", NULL, -ETIMEDOUT);
	add(c, "203.0.113.9", 3340, false); /* it is recorded */
	found_at(c, &b, "203.0.113.9");
	ok = fake_call_taken(submit(c, "relay.remove", json_pack("{s:s}", "host", "203.0.113.9")));
	assert_string_equal(json_string_value(json_object_get(ok, "node")), "vps");
	found_at(c, &b, "203.0.113.5"); /* as it says itself */
	added(c, "");
	/* The only one stays. */
	add(c, "203.0.113.5", 3340, true);
	heard(c, "203.0.113.5", vps, 0);
	added(c, "203.0.113.5 recorded vps");
	bad(c, "relay.remove", json_pack("{s:s}", "host", "203.0.113.5"), "bad_request",
		"found nowhere else");
	bad(c, "relay.remove", json_pack("{s:s}", "host", "nobody.example"), "not_found",
		"nobody.example was not added");
	bad(c, "relay.remove", NULL, "bad_request", "host");
}

/* Its record says this host alone, though the relay says another one of itself. */
static struct board add_vps(struct coord *c)
{
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);

	list(c, &b, relay_at("10.0.0.5", NULL));
	add(c, "203.0.113.5", 3340, true);
	heard(c, "203.0.113.5", vps, 0);
	heard(c, "10.0.0.5", NULL, -ETIMEDOUT);
	fake_event_pass(MEET_LEAVE_US + SECOND);
	carried(c, "");
	return b;
}

/* The record goes on saying a host that is said again, with whatever port. */
static void test_again(void **state)
{
	struct coord *c = *state;
	struct board b = add_vps(c);

	bad(c, "relay.add", json_pack("{s:s, s:i}", "host", "203.0.113.5", "port", 443),
		"bad_request", "is where relay vps is found, at TCP port 3340");
	put(c, &b, relay_at("10.0.0.5", NULL), "listed");
	found_at(c, &b, "203.0.113.5");
	/* Whether it is there is looked at, and said. */
	add(c, "203.0.113.5", 3340, false);
	carried(c, "203.0.113.5:3340");
	added(c, "203.0.113.5 trying vps");
	heard(c, "203.0.113.5", NULL, -ECONNREFUSED);
	added(c, "203.0.113.5 trying vps: no way");
	put(c, &b, relay_at("10.0.0.5", NULL), "listed");
	found_at(c, &b, "203.0.113.5");
	heard(c, "203.0.113.5", vps, 0);
	added(c, "203.0.113.5 recorded vps");
	fake_event_pass(MEET_LEAVE_US + SECOND);
	carried(c, "");
	/* Not for ever. */
	add(c, "203.0.113.5", 3340, false);
	fake_event_pass((ADDED_KEEP_S + 1) * SECOND);
	carried(c, "");
	added(c, "203.0.113.5 recorded vps");
	/* Its port is another one by now. */
	list(c, &b, world_relay("203.0.113.5", 443));
	add(c, "203.0.113.5", 443, true);
	carried(c, "203.0.113.5:443");
	heard(c, "203.0.113.5", vps, 0);
	added(c, "203.0.113.5 recorded vps");
	put(c, &b, world_relay("10.0.0.5", 443), "listed");
	found_at(c, &b, "203.0.113.5");
}

/* The machine there was set up anew, and waits for its enrolment, with new keys. */
static void test_anew(void **state)
{
	struct coord *c = *state;
	struct board b = add_vps(c);

	heard(c, "203.0.113.5", stranger, 0); /* nobody has asked */
	added(c, "203.0.113.5 recorded vps");
	add(c, "203.0.113.5", 3340, false);
	fake_store_fails = -ENOSPC;
	heard(c, "203.0.113.5", stranger, 0);
	added(c, "203.0.113.5 trying vps");
	fake_store_fails = 0;
	fake_event_pass(30 * SECOND);
	assert_int_equal(fake_store_flush(), 0);
	fake_event_pass(31 * SECOND);
	(void) fake_store_flush();
	fake_event_pass(0);
	added(c, "203.0.113.5 waiting");
	carried(c, "203.0.113.5:3340");
	found_at(c, &b, "203.0.113.5"); /* nothing else comes of it */
	assert_int_equal(fake_log_says("is another relay than the record has there"), 1);
	world_restart(c);
	fake_event_pass(0);
	carried(c, "203.0.113.5:3340");
	added(c, "203.0.113.5 trying");
}

/* Nobody is sent into the mesh or to himself; and there is an end to it. */
static void test_refused(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "VPS.example.org",
		"10.77.0.5", "10.244.1.1", "10.96.0.1", "pi3.home.internal", "fe80::1", "224.0.0.1",
		"" };
	struct coord *c = *state;
	char host[32];

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		bad(c, "relay.add", json_pack("{s:s, s:i}", "host", hosts[i], "port", 3340),
			"bad_request", "");
	bad(c, "relay.add", json_pack("{s:s, s:i}", "host", "a.example", "port", 0), "bad_request",
		"port");
	bad(c, "relay.add", json_pack("{s:s}", "host", "a.example"), "bad_request", "port");
	bad(c, "relay.add", NULL, "bad_request", "host");
	for (unsigned i = 0; i < ADDED_MAX; i++) {
		(void) snprintf(host, sizeof(host), "h%u.example", i);
		add(c, host, 3340, true);
	}
	bad(c, "relay.add", json_pack("{s:s, s:i}", "host", "more.example", "port", 3340),
		"too_many", "At most 8");
	fake_store_fails = -ENOSPC;
	bad(c, "relay.remove", json_pack("{s:s}", "host", "h0.example"), "storage", "disk says no");
	fake_store_fails = 0;
	assert_int_equal(c->added.n, ADDED_MAX);
	world_restart(c);
	assert_int_equal(c->added.n, ADDED_MAX);
}

/* What cannot be written is tried again later, and said once. */
static void test_disk(void **state)
{
	struct coord *c = *state;
	struct board b = world_node(c, 1, "vps", NODE_ROLE_MEMBER);

	list(c, &b, relay_at("vps.example.org", NULL));
	add(c, "203.0.113.9", 3340, true);
	fake_store_fails = -ENOSPC;
	heard(c, "203.0.113.9", vps, 0);
	found_at(c, &b, "vps.example.org");
	fake_store_fails = 0;
	fake_event_pass(30 * SECOND);
	assert_int_equal(fake_store_flush(), 0);
	fake_event_pass(31 * SECOND);
	(void) fake_store_flush();
	found_at(c, &b, "203.0.113.9 vps.example.org");
}

static int open_world(void **state)
{
	memset(vps, 0x11, sizeof(vps));
	fake_store_fails = 0;
	return world_open(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first),
		TEST(test_others_stay),
		TEST(test_moved),
		TEST(test_stranger),
		TEST(test_asks),
		TEST(test_old),
		TEST(test_denied),
		TEST(test_remove),
		TEST(test_again),
		TEST(test_anew),
		TEST(test_refused),
		TEST(test_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
