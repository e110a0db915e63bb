/*
 * why: who is asked, for how long, and what the person is told of it. The other boards, the machines
 * that are asked for an echo, and the local calls are the test's.
 */
#include "fake-core.h"
#include "fake-ipc.h"

#include <stdio.h>

#include "base/json.h"
#include "node/ping.h"
#include "node/why.h"

#define SECOND USEC_PER_SEC
enum { CALLS_MAX = 32 };

/* --- instead of sys/ipc, and of ping --- */

static struct {
	bool open;
	struct endpoint to;
	uint64_t about;
	ipc_done_fn done;
	void *ctx;
} asks[CALLS_MAX];
static size_t n_asks;
static int asking_fails;

int ipc_call_async_tcp(sd_event *event, const struct endpoint *to, const char *name,
	const json_t *args, uint64_t timeout_us, ipc_done_fn done, void *ctx,
	struct ipc_async **ret, struct err *err)
{
	assert_string_equal(name, "why");
	assert_int_equal(timeout_us, 2 * SECOND);
	assert_true(n_asks < CALLS_MAX);
	if (asking_fails < 0)
		return err_set(err, asking_fails, "no way");
	asks[n_asks].open = true;
	asks[n_asks].to = *to;
	asks[n_asks].about = (uint64_t) json_integer_value(json_object_get(args, "about"));
	asks[n_asks].done = done;
	asks[n_asks].ctx = ctx;
	*ret = (struct ipc_async *) &asks[n_asks++];
	return 0;
}

struct ipc_async *__wrap_ipc_async_cancel(struct ipc_async *async);
struct ipc_async *__wrap_ipc_async_cancel(struct ipc_async *async)
{
	for (size_t i = 0; async && i < n_asks; i++)
		if (async == (struct ipc_async *) &asks[i])
			asks[i].open = false;
	return NULL;
}

struct ping {
	unsigned n;
};
static struct ping *the_ping;
static struct {
	struct ip_addr to;
	ping_done_fn done;
	void *ctx;
} echoes[CALLS_MAX];
static size_t n_echoes;

int ping_new(sd_event *event, const char *ifname, struct ping **ret, struct err *err)
{
	assert_null(ifname);
	assert_null(the_ping);
	*ret = the_ping = calloc(1, sizeof(**ret));
	return 0;
}

struct ping *ping_free(struct ping *ping)
{
	assert_true(!ping || ping == the_ping);
	for (size_t i = 0; ping && i < n_echoes; i++)
		if (echoes[i].done)
			echoes[i].done(echoes[i].ctx, -ECANCELED);
	if (ping)
		the_ping = NULL;
	free(ping);
	return NULL;
}

int ping_send(struct ping *ping, const struct ip_addr *to, size_t size, uint64_t timeout_us,
	ping_done_fn done, void *ctx, struct err *err)
{
	assert_true(timeout_us <= 2 * SECOND);
	echoes[n_echoes].to = *to;
	echoes[n_echoes].done = done;
	echoes[n_echoes++].ctx = ctx;
	return 0;
}

static void echo(size_t i, int64_t result)
{
	ping_done_fn done = echoes[i].done;

	echoes[i].done = NULL;
	done(echoes[i].ctx, result);
}

/* --- the others --- */

static struct peer others[3];
static size_t n_others;

const struct peer *peers_list(const struct peers *peers, size_t *ret_n)
{
	*ret_n = n_others;
	return others;
}

const struct peer *peers_get(const struct peers *peers, uint32_t id)
{
	for (size_t i = 0; i < n_others; i++)
		if (others[i].id == id)
			return &others[i];
	return NULL;
}

static struct mesh_log *mesh_log;

const struct mesh_log *book_log(const struct book *book)
{
	return mesh_log;
}

static struct candidates own;
static struct why_sources now;

static void look(void *ctx, struct why_sources *ret)
{
	assert_ptr_equal(ctx, &now);
	*ret = now;
	ret->own = &own;
	why_net_from_relays(&ret->net, ret->relays, ret->n_relays);
}

static const struct why_hooks hooks = { .look = look };
static struct core *core;
static struct why *why;

static void be_at(struct peer *peer, const char *where)
{
	struct endpoint to;

	assert_int_equal(endpoint_parse(where, &to), 0);
	ways_announced(&peer->ways, &to, 1, clock_now_us());
}

static void be_heard(struct peer *peer)
{
	peer->reachable = true;
	peer->stats.session = true;
	peer->stats.last_receive_us = clock_now_us();
	peer->stats.last_handshake_wall_us = clock_wall_us() - 5 * SECOND;
}

/* Nodes 2 and 3 beside us; of a relay nothing is known. */
static int set_up(void **state)
{
	n_asks = n_echoes = 0;
	asking_fails = 0;
	core = fake_core_new();
	mesh_log = maker_log();
	memset(&now, 0, sizeof(now));
	memset(&own, 0, sizeof(own));
	assert_int_equal(endpoint_parse("192.168.1.5:41741", &own.endpoints[0]), 0);
	own.n_endpoints = 1;
	for (n_others = 0; n_others < 2; n_others++) {
		others[n_others] = (struct peer){ .id = (uint32_t) n_others + 2, .state_us = 1 };
		ways_init(&others[n_others].ways);
	}
	why = why_new(core, NULL, &hooks, &now);
	return 0;
}

static int tear_down(void **state)
{
	why = why_free(why);
	assert_null(the_ping);
	for (size_t i = 0; i < n_others; i++)
		ways_done(&others[i].ways);
	mesh_log = mesh_log_free(mesh_log);
	core = fake_core_free(core);
	return 0;
}

/* --- asking --- */

static struct ipc_request *call(const char *peer)
{
	struct ipc_request *request = fake_call("why", json_pack("{s:s}", "peer", peer));

	why_answer(why, request);
	return request;
}

/* The @i-th board that was asked answers with what it knows of the way to @about. */
static void answer_with(size_t i, json_t *ok)
{
	struct ipc_reply reply = { .ok = ok, .fd = -1 };
	struct err err = { 0 };

	assert_true(asks[i].open);
	asks[i].open = false;
	asks[i].done(asks[i].ctx, 0, &reply, &err);
	json_decref(ok);
}

static void fail_with(size_t i, int r, const char *code)
{
	struct ipc_reply reply = { .fd = -1 };
	struct err err = { 0 };

	(void) snprintf(reply.code, sizeof(reply.code), "%s", code);
	asks[i].open = false;
	asks[i].done(asks[i].ctx, err_set(&err, r, "it fails"), &reply, &err);
}

static struct why_facts facts_of(uint32_t node, uint32_t about)
{
	struct why_facts f = { .node = node, .about = about, .version = "0.1.0" };

	return f;
}

static json_t *facts_json(uint32_t node, uint32_t about)
{
	struct why_facts f = facts_of(node, about);

	return why_facts_to_json(&f);
}

static const char *text(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void assert_cause(struct ipc_request *request, const char *cause, const char *missing)
{
	CLEANUP_JSON json_t *ok = NULL;

	assert_false(request->answered); /* not from within what it waits for */
	fake_event_pass(0);
	assert_int_equal(request->charged, 1);
	ok = fake_call_taken(request);
	assert_string_equal(text(ok, "cause"), cause);
	if (missing)
		assert_string_equal(text(ok, "missing"), missing);
	else
		assert_true(json_is_object(json_object_get(ok, "there")));
}

/* One that talks with us is asked itself, and nobody else is bothered. */
static void test_reached(void **state)
{
	struct ipc_request *request;

	be_at(&others[0], "192.168.1.7:41741");
	be_heard(&others[0]);
	be_heard(&others[1]);
	request = call("node-2");
	assert_int_equal(n_asks, 1);
	assert_int_equal(n_echoes, 0);
	assert_true(ip_addr_equal(&asks[0].to.addr, &netmap_by_id(book_netmap(NULL), 2)->mesh4));
	assert_int_equal(asks[0].to.port, 41742);
	assert_int_equal(asks[0].about, 1);
	fake_event_pass(SECOND);
	assert_false(request->answered);
	others[0].stats.endpoint = others[0].ways.list[0].to;
	answer_with(0, facts_json(2, 1));
	assert_cause(request, "direct_lan", NULL);
}

/* Others are asked about one that is silent, and its machine; each once. */
static void test_silent(void **state)
{
	struct presence *presence = fake_core_announce(2);
	struct ipc_request *request;

	be_at(&others[0], "192.168.1.7:41741");
	presence->endpoints[0] = others[0].ways.list[0].to; /* on our LAN: no relay is missed */
	presence->n_endpoints = 1;
	be_heard(&others[1]);
	request = call("node-2");
	assert_int_equal(n_asks, 2);
	assert_int_equal(asks[1].about, 2);
	assert_true(ip_addr_equal(&asks[1].to.addr, &netmap_by_id(book_netmap(NULL), 3)->mesh4));
	assert_int_equal(n_echoes, 1);
	assert_int_equal(echoes[0].to.bytes[3], 7);
	echo(0, -ETIMEDOUT);
	answer_with(1, facts_json(3, 2));
	assert_false(request->answered);
	fail_with(0, -ETIMEDOUT, "");
	assert_cause(request, "peer_off", "silent");
	assert_null(the_ping);
}

static void test_machine_answers(void **state)
{
	struct presence *presence = fake_core_announce(2);
	struct ipc_request *request;
	CLEANUP_JSON json_t *ok = NULL;

	be_at(&others[0], "192.168.1.7:41741");
	presence->endpoints[0] = others[0].ways.list[0].to;
	presence->n_endpoints = 1;
	request = call("2"); /* by its number */
	echo(0, 800);
	fail_with(0, -ETIMEDOUT, "");
	fake_event_pass(0);
	ok = fake_call_taken(request);
	assert_string_equal(text(ok, "cause"), "hearthd_off");
	assert_non_null(strstr(text(ok, "sentence"), "answers at 192.168.1.7"));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(ok, "at"), 0)), "node-2");
}

/* Machines of others are not asked anything. */
static void test_machines_of_others(void **state)
{
	static const char *const places[] = { "198.51.100.7:41741", "100.64.3.4:41741",
		"[2001:db8:9::7]:41741" };
	struct ipc_request *request;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		be_at(&others[0], places[i]);
		request = call("node-2");
		assert_int_equal(n_echoes, 0);
		fail_with(i, -ETIMEDOUT, "");
		fake_event_pass(0);
		fake_call_free(request);
	}
}

static void test_witness(void **state)
{
	struct ipc_request *request;
	struct why_facts f = facts_of(3, 2);
	CLEANUP_JSON json_t *ok = NULL;

	be_at(&others[0], "198.51.100.7:41741");
	be_heard(&others[1]);
	now.n_relays = 1;
	now.relays[0] = (struct why_relay){ .id = 3, .home = true, .udp = true };
	request = call("node-2");
	f.way = WHY_WAY_DIRECT;
	f.heard_s = 1;
	answer_with(1, why_facts_to_json(&f));
	fail_with(0, -ETIMEDOUT, "");
	fake_event_pass(0);
	ok = fake_call_taken(request);
	assert_string_equal(text(ok, "cause"), "other_cut_off");
	assert_string_equal(text(ok, "relay"), "node-3");
}

/* What makes an answer none. */
static void test_missing(void **state)
{
	static const struct {
		int r;
		const char *code, *missing;
	} cases[] = { { -EREMOTEIO, "not_found", "old" }, { -EREMOTEIO, "busy", "refused" },
		{ -ECONNREFUSED, "", "refused" }, { -ETIMEDOUT, "", "silent" },
		{ -EPROTO, "", "silent" } };

	be_heard(&others[0]);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipc_request *request = call("node-2");

		fail_with(i, cases[i].r, cases[i].code);
		assert_cause(request, "direct_nat", cases[i].missing);
	}
	asking_fails = -ENETUNREACH;
	assert_cause(call("node-2"), "direct_nat", "silent");
}

static void test_lies(void **state)
{
	struct ipc_request *request;
	json_t *wrong[] = { facts_json(3, 1), facts_json(2, 3), json_object(), json_array() };

	be_heard(&others[0]);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		request = call("node-2");
		answer_with(i, wrong[i]);
		assert_cause(request, "direct_nat", "refused");
	}
}

/* --- what needs nobody --- */

static void test_own(void **state)
{
	now.self = WHY_SELF_REMOVED;
	assert_cause(call("node-2"), "own_removed", "unasked");
	now.self = WHY_SELF_REPLACED;
	assert_cause(call("node-2"), "own_replaced", "unasked");
	now.self = WHY_SELF_WAITING;
	assert_cause(call("node-2"), "own_waiting", "unasked");
	assert_int_equal(n_asks, 0);
}

static void test_refused(void **state)
{
	struct ipc_request *request = fake_call("why", NULL);

	why_answer(why, request);
	fake_call_refused(request, "bad_request", "peer");
	fake_call_refused(call("nobody"), "unknown_peer", "no node \"nobody\" is in the mesh");
	fake_call_refused(call("node-1"), "bad_request", "node-1 is this board itself");
	fake_event_fails = -ENOMEM;
	fake_call_refused(call("node-2"), "internal", "timer");
	fake_event_fails = 0;
}

/* So many at a time; then again. */
static void test_many(void **state)
{
	struct ipc_request *list[WHY_CALLS_MAX];

	be_heard(&others[0]);
	for (size_t i = 0; i < WHY_CALLS_MAX; i++)
		list[i] = call("node-2");
	fake_call_refused(call("node-2"), "busy", "too often");
	for (size_t i = 0; i < WHY_CALLS_MAX; i++) {
		fail_with(i, -ETIMEDOUT, "");
		fake_event_pass(0);
		fake_call_free(list[i]);
	}
	list[0] = call("node-2");
	fail_with(WHY_CALLS_MAX, -ETIMEDOUT, "");
	fake_event_pass(0);
	fake_call_free(list[0]);
}

static void test_end(void **state)
{
	struct ipc_request *request;

	be_at(&others[0], "192.168.1.7:41741");
	request = call("node-2");
	assert_true(asks[0].open);
	why = why_free(why);
	assert_false(asks[0].open);
	fake_call_refused(request, "internal", "hearthd is ending");
}

/* --- what another board is told --- */

static struct why_facts told(uint32_t about)
{
	CLEANUP_JSON json_t *json = why_tell_board(why, about);
	struct why_facts f;
	struct err err = { 0 };

	if (why_facts_from_json(json, &f, &err) < 0)
		fail_msg("%s", err.text);
	return f;
}

static void test_nobody(void **state)
{
	assert_null(why_tell_board(why, 1));
	assert_null(why_tell_board(why, 99));
	assert_null(why_tell_board(why, 0));
}

static void test_facts(void **state)
{
	struct endpoint relayed;
	struct why_facts f;
	struct ways *ways = &others[0].ways;

	be_at(&others[0], "192.168.1.7:41741");
	be_heard(&others[0]);
	assert_int_equal(endpoint_parse("127.0.0.1:5000", &relayed), 0);
	ways_relayed(ways, &relayed, clock_now_us());
	others[0].relay = 3;
	now.connected = true;
	now.n_relays = 2;
	now.relays[0] = (struct why_relay){ .id = 3, .tcp = true, .home = true };
	now.relays[1] = (struct why_relay){ .id = 1 };
	assert_int_equal(endpoint_parse("203.0.113.3:443", &now.relays[0].at), 0);
	for (size_t i = 0; i < ways->n; i++)
		ways->list[i].pings[1].at_us = clock_now_us(); /* both were pinged */
	fake_event_stall(SECOND);
	ways->in_use = 1; /* and the relayed one answered */
	ways->list[1].answered_us = clock_now_us();
	ways->list[1].rtt_us = SECOND;
	fake_event_stall(3 * SECOND);
	f = told(2);
	assert_int_equal(f.node, 1);
	assert_int_equal(f.about, 2);
	assert_int_equal(f.seq, mesh_log_head(mesh_log));
	assert_true(f.coordinator);
	assert_int_equal(f.n_addrs, 1);
	assert_int_equal(f.way, WHY_WAY_RELAYED);
	assert_int_equal(f.relay, 3);
	assert_true(f.relay_tcp);
	assert_int_equal(f.rtt_us, SECOND);
	assert_int_equal(f.relays, 2);
	assert_int_equal(f.bound, 1);
	assert_int_equal(f.udp[WHY_IPV4], WHY_NO);
	assert_int_equal(f.udp[WHY_IPV6], WHY_UNKNOWN);
	assert_int_equal(f.knows, 1);
	assert_int_equal(f.heard_s, 4);
	assert_int_equal(f.handshake_s, 9);
	assert_int_equal(f.pong_s, 3);
	assert_int_equal(f.pings[WHY_IPV4].sent_s, 4);
	assert_int_equal(f.pings[WHY_IPV4].answered_s, WHY_NEVER);
	assert_int_equal(f.pings[WHY_IPV6].sent_s, WHY_NEVER);
	(void) snprintf(now.net.router, sizeof(now.net.router), "02:00:5e:10:00:01");
	assert_string_equal(told(2).router, "02:00:5e:10:00:01");
	now.relays[1].udp = true; /* then UDP gets out */
	now.relays[1].at = now.relays[0].at;
	assert_int_equal(told(2).udp[WHY_IPV4], WHY_YES);
	now.net.udp[WHY_IPV4] = WHY_NO; /* who knows better is believed */
	assert_int_equal(told(2).udp[WHY_IPV4], WHY_NO);
	assert_int_equal(told(3).way, WHY_WAY_NONE);
	ways->list[0].heard_us = others[0].recalled_us = clock_now_us(); /* by a run before */
	assert_int_equal(told(2).pings[WHY_IPV4].heard_s, WHY_NEVER);
	ways->list[0].heard_us++;
	assert_int_equal(told(2).pings[WHY_IPV4].heard_s, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reached),
		TEST(silent),
		TEST(machine_answers),
		TEST(machines_of_others),
		TEST(witness),
		TEST(missing),
		TEST(lies),
		TEST(own),
		TEST(refused),
		TEST(many),
		TEST(end),
		TEST(nobody),
		TEST(facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
