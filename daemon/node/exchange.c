/* exchange: see exchange.h. One board is asked at a time, and each in its turn. */
#include "node/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/names.h"
#include "sys/ipc/ipc.h"

#define ANSWER_US (10 * USEC_PER_SEC)
enum { FAMILIES = 2 };

struct exchange {
	struct core *core;
	const struct peers *peers;
	const struct exchange_hooks *hooks;
	void *ctx;
	struct ip_addr on[FAMILIES]; /* answered at, family 0: not */
	struct ipc_server *servers[FAMILIES];
	struct ipc_async *call; /* under way */
	uint32_t asked;         /* last */
	uint64_t away_us;       /* the coordinator, since then; 0: it is there */
	uint64_t next_us;       /* nobody is asked before */
	uint64_t news_us;       /* away since then without news */
	uint64_t head;          /* of the log, then */
};

/* --- answering --- */

/* A pod of a board is not the board. */
static int64_t identify(void *ctx, const struct endpoint *peer)
{
	const struct exchange *x = ctx;
	const struct netmap *map = book_netmap(x->core->book);
	const struct node *node = netmap_by_addr(map, &peer->addr);

	if (!node || node->id == x->core->config.node)
		return -EACCES;
	return ip_addr_equal(&peer->addr, &node->mesh4) || ip_addr_equal(&peer->addr, &node->mesh6)
		       ? (int64_t) node->id
		       : -EACCES;
}

static void answer_records(struct exchange *x, struct ipc_request *request)
{
	struct err err = { 0 };
	uint64_t from;
	json_t *page;

	if (json_get_u64(ipc_request_args(request), "from", INT64_MAX, &from, &err) != 0) {
		ipc_request_fail(request, "bad_request", "\"from\" must be a record's number");
		return;
	}
	page = mesh_log_page(book_log(x->core->book), from, EXCHANGE_PAGE);
	if (page)
		ipc_request_reply(request, page);
	else
		ipc_request_fail(request, "internal", "out of memory");
}

/* Of the way to whoever asks, unless he names another board. */
static void answer_why(struct exchange *x, struct ipc_request *request)
{
	const json_t *args = ipc_request_args(request);
	uint64_t about = ipc_request_creds(request)->uid;
	struct err err = { 0 };
	json_t *facts;

	if (json_has(args, "about") &&
		json_get_u64(args, "about", NODE_ID_MAX, &about, &err) != 0) {
		ipc_request_fail(request, "bad_request", "\"about\" must be a board's number");
		return;
	}
	facts = x->hooks->why(x->ctx, (uint32_t) about);
	if (facts)
		ipc_request_reply(request, facts);
	else
		ipc_request_fail(request, "unknown_peer", "there is no such other board");
}

static void handle(void *ctx, struct ipc_request *request)
{
	if (!strcmp(ipc_request_call(request), "records"))
		answer_records(ctx, request);
	else if (!strcmp(ipc_request_call(request), "why"))
		answer_why(ctx, request);
	else
		ipc_request_fail(request, "not_found",
			"hearthd " HEARTH_VERSION " knows no such call of other boards");
}

/* A kernel without the family has nobody who could ask by it. */
static void answer_at(struct exchange *x, int i, const struct ip_addr *addr, struct err *ret)
{
	struct endpoint on = { .addr = *addr, .port = NAMES_BOARD_PORT };
	struct err err = { 0 };
	int r = 0;

	if (x->servers[i] && ip_addr_equal(&x->on[i], addr))
		return;
	x->servers[i] = ipc_server_free(x->servers[i]);
	x->on[i] = *addr;
	if (addr->family)
		r = ipc_server_new_tcp(
			x->core->event, &on, identify, handle, x, &x->servers[i], &err);
	if (r < 0 && r != -EAFNOSUPPORT)
		err_set(ret, r, "other boards cannot ask this one: %s", err.text);
}

void exchange_follow(struct exchange *x, const struct node *self)
{
	static const struct ip_addr none;
	struct err err = { 0 };

	answer_at(x, 0, self ? &self->mesh4 : &none, &err);
	answer_at(x, 1, self ? &self->mesh6 : &none, &err);
	if (self)
		return problem_set(&x->core->problems, "exchange", &err);
	problem_set(&x->core->problems, "exchange", NULL);
	x->call = ipc_async_cancel(x->call);
}

/* --- asking --- */

static uint64_t head(const struct exchange *x)
{
	return mesh_log_head(book_log(x->core->book));
}

static void ask(struct exchange *x, uint32_t id);

static void take(struct exchange *x, const json_t *reply)
{
	struct record *records = NULL;
	struct err err = { 0 };
	uint64_t before = head(x), has = 0;
	size_t n = 0;
	int r = json_get_u64(reply, "seq", INT64_MAX, &has, &err);

	if (r == 0)
		r = record_list_from_json(reply, "records", EXCHANGE_PAGE, &records, &n, &err);
	if (r)
		log_debug("board %u's answer cannot be used: %s", x->asked, err.text);
	else if (n)
		r = x->hooks->records(x->ctx, x->asked, records, n);
	record_list_free(records, n);
	if (r >= 0 && head(x) > before && has > head(x))
		ask(x, x->asked); /* the next page */
}

static void on_answer(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct exchange *x = ctx;

	x->call = NULL;
	if (r < 0)
		log_debug("board %u does not say what records it has: %s", x->asked, err->text);
	else
		take(x, reply->ok);
}

static void ask(struct exchange *x, uint32_t id)
{
	const struct node *node = netmap_by_id(book_netmap(x->core->book), id);
	struct endpoint to = { .port = NAMES_BOARD_PORT };
	struct err err = { 0 };
	CLEANUP_JSON json_t *args = json_pack("{s:I}", "from", (json_int_t) head(x) + 1);

	x->asked = id;
	if (!node || !args)
		return;
	to.addr = node->mesh4;
	if (ipc_call_async_tcp(x->core->event, &to, "records", args, ANSWER_US, on_answer, x,
		    &x->call, &err) < 0)
		log_debug("board %u cannot be asked: %s", id, err.text);
}

/* The reachable one after the one that was asked last, 0: none. */
static uint32_t next_board(const struct exchange *x)
{
	size_t n;
	const struct peer *list = peers_list(x->peers, &n);
	uint32_t first = 0;

	for (size_t i = 0; i < n; i++) {
		if (!list[i].reachable)
			continue;
		if (list[i].id > x->asked)
			return list[i].id;
		first = first ? first : list[i].id;
	}
	return first;
}

/* Ever longer while nobody has heard anything. */
static uint64_t pause_us(const struct exchange *x, uint64_t now_us)
{
	uint64_t us = (now_us - x->news_us) / 8;

	if (us < EXCHANGE_PAUSE_US)
		return EXCHANGE_PAUSE_US;
	return us < EXCHANGE_PAUSE_MOST_US ? us : EXCHANGE_PAUSE_MOST_US;
}

void exchange_look(struct exchange *x, bool connected, uint64_t now_us)
{
	uint32_t id;

	if (connected || !x->servers[0]) {
		x->away_us = 0;
		return;
	}
	if (!x->away_us || x->head != head(x)) {
		x->head = head(x);
		x->news_us = now_us;
	}
	x->away_us = x->away_us ? x->away_us : now_us;
	if (x->call || now_us - x->away_us < EXCHANGE_AWAY_US || now_us < x->next_us)
		return;
	id = next_board(x);
	if (!id)
		return;
	x->next_us = now_us + pause_us(x, now_us);
	ask(x, id);
}

/* --- its life --- */

struct exchange *exchange_new(
	struct core *core, const struct peers *peers, const struct exchange_hooks *hooks, void *ctx)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x)
		*x = (struct exchange){ .core = core, .peers = peers, .hooks = hooks, .ctx = ctx };
	return x;
}

struct exchange *exchange_free(struct exchange *x)
{
	if (!x)
		return NULL;
	x->call = ipc_async_cancel(x->call);
	for (int i = 0; i < FAMILIES; i++)
		x->servers[i] = ipc_server_free(x->servers[i]);
	free(x);
	return NULL;
}
