/*
 * exchange: who is answered, and what; when another board is asked, and what becomes of the answer.
 * The sockets are the test's.
 */
#include "fake-core.h"

#include <stdio.h>

#include "node/exchange.h"
#include "sys/ipc/ipc.h"

#define SECOND USEC_PER_SEC

/* --- instead of sys/ipc --- */

struct ipc_server {
	struct endpoint on;
	ipc_identify_fn identify;
	ipc_handler_fn handler;
	void *ctx;
};

static struct ipc_server *servers[2];
static unsigned n_opened;
static int listening_fails;

int ipc_server_new_tcp(sd_event *event, const struct endpoint *on, ipc_identify_fn identify,
	ipc_handler_fn handler, void *ctx, struct ipc_server **ret, struct err *err)
{
	int i = on->addr.family == AF_INET6;

	if (listening_fails < 0)
		return err_set(err, listening_fails, "listen: %s", strerror(-listening_fails));
	assert_null(servers[i]);
	servers[i] = *ret = calloc(1, sizeof(**ret));
	*servers[i] = (struct ipc_server){ *on, identify, handler, ctx };
	n_opened++;
	return 0;
}

struct ipc_server *ipc_server_free(struct ipc_server *server)
{
	for (int i = 0; server && i < 2; i++)
		if (servers[i] == server)
			servers[i] = NULL;
	free(server);
	return NULL;
}

struct ipc_request {
	struct ipc_creds creds;
	const char *call;
	json_t *args, *ok;
	char code[32];
};

const char *ipc_request_call(const struct ipc_request *request)
{
	return request->call;
}

const json_t *ipc_request_args(const struct ipc_request *request)
{
	return request->args;
}

const struct ipc_creds *ipc_request_creds(const struct ipc_request *request)
{
	return &request->creds;
}

void ipc_request_reply(struct ipc_request *request, json_t *ok)
{
	request->ok = ok;
}

void ipc_request_fail(struct ipc_request *request, const char *code, const char *format, ...)
{
	(void) snprintf(request->code, sizeof(request->code), "%s", code);
}

static struct {
	bool open;
	struct endpoint to;
	uint64_t from;
	ipc_done_fn done;
	void *ctx;
	unsigned n;
	int fails;
} call;

int ipc_call_async_tcp(sd_event *event, const struct endpoint *to, const char *name,
	const json_t *args, uint64_t timeout_us, ipc_done_fn done, void *ctx,
	struct ipc_async **ret, struct err *err)
{
	assert_false(call.open);
	assert_string_equal(name, "records");
	assert_true(timeout_us > 0);
	call.n++;
	if (call.fails < 0)
		return err_set(err, call.fails, "no way");
	call.open = true;
	call.to = *to;
	call.from = (uint64_t) json_integer_value(json_object_get(args, "from"));
	call.done = done;
	call.ctx = ctx;
	*ret = (struct ipc_async *) &call;
	return 0;
}

struct ipc_async *__wrap_ipc_async_cancel(struct ipc_async *async);
struct ipc_async *__wrap_ipc_async_cancel(struct ipc_async *async)
{
	if (async)
		call.open = false;
	return NULL;
}

/* --- the others, and the log --- */

static struct peer others[4];
static size_t n_others;

const struct peer *peers_list(const struct peers *peers, size_t *ret_n)
{
	*ret_n = n_others;
	return others;
}

static struct mesh_log *mesh_log;

const struct mesh_log *book_log(const struct book *book)
{
	return mesh_log;
}

static struct {
	uint32_t id;
	size_t n;
	unsigned times;
	int r;
} taken;

/* All that came is put into the log, if it is believed. */
static int on_records(void *ctx, uint32_t id, const struct record *records, size_t n)
{
	assert_ptr_equal(ctx, &taken);
	taken.id = id;
	taken.n = n;
	taken.times++;
	for (size_t i = 0; taken.r >= 0 && i < n; i++)
		assert_true(mesh_log_append(mesh_log, &records[i], NULL) >= 0);
	return taken.r < 0 ? taken.r : (int) n;
}

static uint32_t asked_about;

static json_t *on_why(void *ctx, uint32_t id)
{
	assert_ptr_equal(ctx, &taken);
	asked_about = id;
	return id == 9 ? NULL : json_pack("{s:I}", "about", (json_int_t) id);
}

static const struct exchange_hooks hooks = { .records = on_records, .why = on_why };
static struct core *core;
static struct exchange *exchange;
static struct mesh_log *full; /* what others have */
static uint64_t now_us;

enum { RECORDS = 600 };

/* The same records each time. */
static struct mesh_log *log_of(uint64_t n)
{
	struct mesh_log *log = maker_log();

	while (mesh_log_head(log) < n)
		maker_append(log, "policy", json_pack("{s:I}", "n", mesh_log_head(log)));
	return log;
}

static int set_up(void **state)
{
	memset(&call, 0, sizeof(call));
	memset(&taken, 0, sizeof(taken));
	n_opened = 0;
	listening_fails = 0;
	core = fake_core_new();
	full = log_of(RECORDS);
	mesh_log = log_of(2);
	for (n_others = 0; n_others < 2; n_others++)
		others[n_others] =
			(struct peer){ .id = (uint32_t) n_others + 2, .reachable = true };
	exchange = exchange_new(core, NULL, &hooks, &taken);
	exchange_follow(exchange, core_self(core));
	now_us = 5000 * SECOND;
	return 0;
}

static int tear_down(void **state)
{
	exchange = exchange_free(exchange);
	assert_null(servers[0]);
	assert_null(servers[1]);
	mesh_log = mesh_log_free(mesh_log);
	full = mesh_log_free(full);
	core = fake_core_free(core);
	return 0;
}

/* --- where it answers --- */

static void test_where(void **state)
{
	struct node other;

	assert_int_equal(servers[0]->on.port, 41742);
	assert_int_equal(servers[1]->on.port, 41742);
	assert_true(ip_addr_equal(&servers[0]->on.addr, &core_self(core)->mesh4));
	assert_true(ip_addr_equal(&servers[1]->on.addr, &core_self(core)->mesh6));
	exchange_follow(exchange, core_self(core));
	assert_int_equal(n_opened, 2);
	other = *core_self(core);
	other.mesh4.bytes[3] = 99;
	exchange_follow(exchange, &other);
	assert_int_equal(n_opened, 3);
	assert_int_equal(servers[0]->on.addr.bytes[3], 99);
	exchange_follow(exchange, NULL);
	assert_null(servers[0]);
	assert_null(servers[1]);
	fake_core_wrong(core, "exchange", NULL);
}

/* Told, and tried again. */
static void test_cannot_listen(void **state)
{
	exchange_follow(exchange, NULL);
	listening_fails = -EADDRINUSE;
	exchange_follow(exchange, core_self(core));
	fake_core_wrong(
		core, "exchange", "other boards cannot ask this one: listen: Address already");
	listening_fails = -EAFNOSUPPORT; /* then nobody can ask by it */
	exchange_follow(exchange, core_self(core));
	fake_core_wrong(core, "exchange", NULL);
	listening_fails = 0;
	exchange_follow(exchange, core_self(core));
	fake_core_wrong(core, "exchange", NULL);
	assert_non_null(servers[0]);
}

/* --- whom --- */

static int64_t who(const char *address)
{
	struct endpoint from = { .port = 40000 };

	assert_int_equal(ip_addr_parse(address, &from.addr), 0);
	return servers[0]->identify(servers[0]->ctx, &from);
}

static void test_who(void **state)
{
	assert_int_equal(who("10.77.0.2"), 2);
	assert_int_equal(who("fd12:3456:789a::3"), 3);
	assert_true(who("10.244.2.1") < 0); /* a pod of it */
	assert_true(who("10.77.0.1") < 0);  /* ourselves */
	assert_true(who("10.77.0.99") < 0);
	assert_true(who("127.0.0.1") < 0);
	assert_true(who("192.0.2.2") < 0);
}

/* --- what --- */

static struct ipc_request ask(const char *name, json_t *args)
{
	struct ipc_request request = {
		.creds.uid = 3, .call = name, .args = args ? args : json_object()
	};

	servers[1]->handler(servers[1]->ctx, &request);
	json_decref(request.args);
	assert_true(!request.ok != !request.code[0]);
	return request;
}

static size_t records_from(json_int_t from)
{
	struct ipc_request request = ask("records", json_pack("{s:I}", "from", from));
	size_t n = json_array_size(json_object_get(request.ok, "records"));

	assert_int_equal(
		json_integer_value(json_object_get(request.ok, "seq")), mesh_log_head(mesh_log));
	json_decref(request.ok);
	return n;
}

static void test_records(void **state)
{
	assert_int_equal(records_from(1), 2);
	assert_int_equal(records_from(0), 2);
	assert_int_equal(records_from(2), 1);
	assert_int_equal(records_from(3), 0);
	assert_int_equal(records_from(INT64_MAX), 0);
	mesh_log_free(mesh_log);
	mesh_log = log_of(RECORDS);
	assert_int_equal(records_from(1), EXCHANGE_PAGE);
	assert_int_equal(records_from(RECORDS), 1);
}

/* Of the way to whoever asks, or to the board that he names. */
static void test_why(void **state)
{
	json_decref(ask("why", NULL).ok);
	assert_int_equal(asked_about, 3);
	json_decref(ask("why", json_pack("{s:i}", "about", 2)).ok);
	assert_int_equal(asked_about, 2);
	assert_string_equal(ask("why", json_pack("{s:i}", "about", 9)).code, "unknown_peer");
	asked_about = 0;
	assert_string_equal(ask("why", json_pack("{s:s}", "about", "2")).code, "bad_request");
	assert_string_equal(ask("why", json_pack("{s:i}", "about", -1)).code, "bad_request");
	assert_string_equal(ask("why", json_pack("{s:i}", "about", 1 << 24)).code, "bad_request");
	assert_int_equal(asked_about, 0);
}

static void test_bad_calls(void **state)
{
	assert_string_equal(ask("records", NULL).code, "bad_request");
	assert_string_equal(ask("records", json_pack("{s:s}", "from", "1")).code, "bad_request");
	assert_string_equal(ask("records", json_pack("{s:i}", "from", -1)).code, "bad_request");
	assert_string_equal(ask("status", NULL).code, "not_found");
	assert_string_equal(ask("", NULL).code, "not_found");
}

/* --- asking --- */

static void look(bool connected, uint64_t after_us)
{
	now_us += after_us;
	exchange_look(exchange, connected, now_us);
}

static void answer(json_t *ok)
{
	struct ipc_reply reply = { .ok = ok, .fd = -1 };
	struct err err = { 0 };

	assert_true(call.open);
	call.open = false;
	if (!ok)
		err_set(&err, -ETIMEDOUT, "no answer");
	call.done(call.ctx, ok ? 0 : -ETIMEDOUT, &reply, &err);
	json_decref(reply.ok);
}

static void away(void)
{
	look(false, 0);
	look(false, EXCHANGE_AWAY_US);
	assert_true(call.open);
}

static void test_when(void **state)
{
	look(true, 0);
	look(true, 3600 * SECOND);
	look(false, 0);
	look(false, EXCHANGE_AWAY_US - 1);
	look(true, 5 * SECOND);
	look(false, 5 * SECOND);
	look(false, EXCHANGE_AWAY_US - 1);
	assert_int_equal(call.n, 0);
	look(false, 1);
	assert_int_equal(call.n, 1);
	assert_true(ip_addr_equal(&call.to.addr, &netmap_by_id(book_netmap(NULL), 2)->mesh4));
	assert_int_equal(call.to.port, 41742);
	assert_int_equal(call.from, 3);
	look(false, 3600 * SECOND); /* it is asked still */
	assert_int_equal(call.n, 1);
	answer(NULL);
	look(false, 5 * SECOND);
	assert_int_equal(call.n, 2); /* the next */
	assert_true(ip_addr_equal(&call.to.addr, &netmap_by_id(book_netmap(NULL), 3)->mesh4));
	answer(mesh_log_page(mesh_log, 3, 10));
	look(false, EXCHANGE_PAUSE_MOST_US - 1); /* an hour has passed */
	assert_int_equal(call.n, 2);
	look(false, 1);
	assert_int_equal(call.n, 3); /* and round again */
	assert_true(ip_addr_equal(&call.to.addr, &netmap_by_id(book_netmap(NULL), 2)->mesh4));
	assert_int_equal(taken.times, 0);
}

/* The longer nobody has heard anything, the more seldom; news make it often again. */
static void test_seldom(void **state)
{
	unsigned n;

	away();
	answer(NULL);
	for (int i = 0; i < 8; i++) {
		look(false, EXCHANGE_PAUSE_US);
		answer(NULL);
	}
	assert_int_equal(call.n, 9);
	for (int i = 0; i < 60; i++) {
		look(false, 30 * SECOND);
		if (call.open)
			answer(NULL);
	}
	n = call.n;
	assert_true(n < 9 + 60 / 2);
	look(false, EXCHANGE_PAUSE_MOST_US);
	answer(mesh_log_page(full, call.from, EXCHANGE_PAGE));
	while (call.open)
		answer(mesh_log_page(full, call.from, EXCHANGE_PAGE));
	look(false, EXCHANGE_PAUSE_MOST_US);
	n = call.n;
	answer(NULL);
	look(false, EXCHANGE_PAUSE_US);
	assert_int_equal(call.n, n + 1);
}

static void test_whom(void **state)
{
	others[0].reachable = false;
	away();
	assert_true(ip_addr_equal(&call.to.addr, &netmap_by_id(book_netmap(NULL), 3)->mesh4));
	answer(NULL);
	others[1].reachable = false;
	look(false, 3600 * SECOND);
	assert_int_equal(call.n, 1);
	others[0].reachable = true;
	call.fails = -ENETUNREACH;
	look(false, 5 * SECOND);
	look(false, 5 * SECOND);
	assert_int_equal(call.n, 2);
	exchange_follow(exchange, NULL);
	look(false, 3600 * SECOND);
	assert_int_equal(call.n, 2);
}

/* A long log comes page by page, from the same board. */
static void test_pages(void **state)
{
	away();
	while (call.open) {
		assert_true(
			ip_addr_equal(&call.to.addr, &netmap_by_id(book_netmap(NULL), 2)->mesh4));
		answer(mesh_log_page(full, call.from, EXCHANGE_PAGE));
	}
	assert_int_equal(mesh_log_head(mesh_log), RECORDS);
	assert_int_equal(call.n, 3);
	assert_int_equal(taken.id, 2);
	look(false, EXCHANGE_PAUSE_US);
	assert_int_equal(call.from, RECORDS + 1);
}

/* What is not believed, or makes no sense, is not asked for again at once. */
static void test_lies(void **state)
{
	json_t *page;

	away();
	taken.r = -EKEYREJECTED;
	answer(mesh_log_page(full, call.from, EXCHANGE_PAGE));
	assert_int_equal(taken.times, 1);
	assert_false(call.open);
	look(false, EXCHANGE_PAUSE_US);
	answer(json_pack("{s:i}", "seq", 7)); /* no records */
	look(false, EXCHANGE_PAUSE_US);
	answer(json_pack(
		"{s:[], s:i}", "records", "seq", 100)); /* it says that it has more, and has not */
	look(false, EXCHANGE_PAUSE_US);
	answer(json_pack("{s:[s], s:i}", "records", "x", "seq", 100));
	look(false, EXCHANGE_PAUSE_US);
	page = mesh_log_page(full, 1, EXCHANGE_PAGE + 1); /* too many */
	answer(page);
	assert_int_equal(taken.times, 1);
	assert_false(call.open);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(where),
		TEST(cannot_listen),
		TEST(who),
		TEST(records),
		TEST(why),
		TEST(bad_calls),
		TEST(when),
		TEST(seldom),
		TEST(whom),
		TEST(pages),
		TEST(lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
