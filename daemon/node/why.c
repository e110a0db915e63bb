/*
 * why: see why.h. A call ends once all who were asked have answered, or had their time; never from
 * within their answers, for it may have to free what they come from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/names.h"
#include "node/why-internal.h"
#include "wire/node-name.h"

#define ECHO_US   USEC_PER_SEC
#define LATELY_US (5 * USEC_PER_SEC)

static const struct netmap *map_of(const struct why *why)
{
	return book_netmap(why->core->book);
}

/* --- what is told to another board --- */

json_t *why_tell_board(struct why *why, uint32_t about)
{
	struct why_sources sources = { 0 };
	struct why_facts facts;

	if (about == why->core->config.node || !netmap_by_id(map_of(why), about))
		return NULL;
	why->hooks->look(why->ctx, &sources);
	why_facts_gather(why->core, &sources, peers_get(why->peers, about), about, &facts);
	return why_facts_to_json(&facts);
}

/* --- a call's life --- */

static void call_free(struct why_call *call)
{
	struct why *why = call->why;
	struct why_call **p = &why->calls;

	while (*p != call)
		p = &(*p)->next;
	*p = call->next;
	why->n_calls--;
	for (size_t i = 0; i < call->n_asks; i++)
		(void) ipc_async_cancel(call->asks[i].async);
	sd_event_source_disable_unref(call->timer);
	free(call);
}

static int on_all_have_answered(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct why_call *call = ctx;
	struct why *why = call->why;

	why_call_answer(call);
	call_free(call);
	if (!why->calls)
		why->ping = ping_free(why->ping);
	return 0;
}

static void one_less(struct why_call *call)
{
	if (--call->open)
		return;
	(void) sd_event_source_set_time_relative(call->timer, 0);
	(void) sd_event_source_set_enabled(call->timer, SD_EVENT_ONESHOT);
}

/* --- who is asked --- */

static enum why_missing judge(const struct why_ask *ask, int r, const struct ipc_reply *reply)
{
	if (r == -EREMOTEIO)
		return strcmp(reply->code, "not_found") == 0 ? WHY_MISSING_OLD
							     : WHY_MISSING_REFUSED;
	if (r == -ECONNREFUSED)
		return WHY_MISSING_REFUSED;
	return r < 0 ? WHY_MISSING_SILENT : WHY_MISSING_NOT;
}

static void on_answer(void *ctx, int r, struct ipc_reply *reply, const struct err *error)
{
	struct why_ask *ask = ctx;
	const struct why *why = ask->call->why;
	uint32_t about = ask == ask->call->asks ? why->core->config.node : ask->call->id;
	struct err err = { 0 };

	ask->async = NULL;
	ask->missing = judge(ask, r, reply);
	if (ask->missing == WHY_MISSING_NOT &&
		(why_facts_from_json(reply->ok, &ask->facts, &err) < 0 ||
			ask->facts.node != ask->id || ask->facts.about != about)) {
		ask->missing = WHY_MISSING_REFUSED;
		log_debug("what board %u says of its way cannot be used: %s", ask->id,
			err.code ? err.text : "it is about others");
	} else if (ask->missing != WHY_MISSING_NOT) {
		log_debug("board %u does not say what it knows: %s", ask->id, error->text);
	}
	one_less(ask->call);
}

/* Of the way from board @id to ourselves, or to another board. */
static void begin_ask(struct why_call *call, uint32_t id)
{
	const struct node *node = netmap_by_id(map_of(call->why), id);
	struct endpoint to = { .port = NAMES_BOARD_PORT };
	struct why_ask *ask = &call->asks[call->n_asks++];
	CLEANUP_JSON json_t *args = json_pack("{s:I}", "about",
		(json_int_t) (id == call->id ? call->why->core->config.node : call->id));
	struct err err = { 0 };

	*ask = (struct why_ask){ .call = call, .id = id, .missing = WHY_MISSING_SILENT };
	if (!node || !args)
		return;
	to.addr = node->mesh4;
	if (ipc_call_async_tcp(call->why->core->event, &to, "why", args, WHY_ANSWER_US, on_answer,
		    ask, &ask->async, &err) == 0)
		call->open++;
	else
		log_debug("board %u cannot be asked: %s", id, err.text);
}

static void ask_witnesses(struct why_call *call)
{
	size_t n;
	const struct peer *list = peers_list(call->why->peers, &n);

	for (size_t i = 0; i < n && call->n_asks < ARRAY_LEN(call->asks); i++)
		if (list[i].reachable && list[i].id != call->id)
			begin_ask(call, list[i].id);
}

static void on_echo(void *ctx, int64_t result)
{
	struct why_echo *echo = ctx;

	if (result >= 0 && !echo->call->echo.family)
		echo->call->echo = echo->addr;
	one_less(echo->call);
}

/* Only machines that are in a house: nobody else's is asked anything. */
static void ask_machine(
	struct why_call *call, const struct peer *peer, const struct why_sources *sources)
{
	struct why *why = call->why;
	struct why_facts facts;
	size_t n = 0;

	if (!why->ping && ping_new(why->core->event, NULL, &why->ping, NULL) < 0)
		return;
	why_facts_gather(why->core, sources, peer, call->id, &facts);
	for (size_t i = 0; i < peer->ways.n && n < WHY_ECHOES_MAX; i++) {
		const struct way *way = &peer->ways.list[i];
		struct why_echo *echo = &call->echoes[n];

		if (way->relayed || !why_may_echo(&facts, &way->to.addr))
			continue;
		*echo = (struct why_echo){ .call = call, .addr = way->to.addr };
		if (ping_send(why->ping, &echo->addr, PING_SIZE_DEFAULT, ECHO_US, on_echo, echo,
			    NULL) < 0)
			continue;
		call->open++;
		n++;
	}
}

static bool was_heard_lately(const struct peer *peer)
{
	return peer->reachable && clock_now_us() - peer->stats.last_receive_us < LATELY_US;
}

static void ask_all(struct why_call *call)
{
	struct why *why = call->why;
	struct why_sources sources = { 0 };
	const struct peer *peer;

	why->hooks->look(why->ctx, &sources);
	peer = peers_get(why->peers, call->id);
	if (sources.self != WHY_SELF_UP || call->removed || !peer)
		return;
	begin_ask(call, call->id);
	if (was_heard_lately(peer))
		return;
	ask_witnesses(call);
	ask_machine(call, peer, &sources);
}

/* --- the call of others on this machine --- */

/* One that was removed has a record still. */
static const struct node *find_removed(const struct why *why, const char *text)
{
	const struct netmap *map = map_of(why);
	const struct node *node;
	struct node_meant meant;

	node_meant_parse(text, why->core->config.mesh, &meant);
	for (uint32_t id = netmap_highest_id(map); id > 0; id--)
		if (netmap_was_removed(map, id, &node) && node_meant_fits(&meant, node))
			return node;
	return NULL;
}

static int find_board(struct why *why, const char *text, struct why_call *call, struct err *err)
{
	const struct node *node = netmap_find(map_of(why), text);

	if (!netmap_count(map_of(why))) { /* it waits for the log: that is why */
		(void) snprintf(call->name, sizeof(call->name), "%s", text);
		return 0;
	}
	if (!node) {
		node = find_removed(why, text);
		call->removed = node != NULL;
	}
	if (!node)
		return err_set(err, -ENOENT, "no node \"%.100s\" is in the mesh", text);
	if (node->id == why->core->config.node && !call->removed)
		return err_set(err, -EINVAL, "%s is this board itself", node->name);
	(void) snprintf(call->name, sizeof(call->name), "%s", node->name);
	call->id = node->id;
	return 0;
}

static int call_begin(struct why *why, const char *text, struct why_call *call, struct err *err)
{
	int r = find_board(why, text, call, err);

	if (r == 0 && why->n_calls == WHY_CALLS_MAX)
		r = err_set(err, -EBUSY, "this is asked too often at once; again in a moment");
	if (r == 0)
		r = sd_event_add_time(why->core->event, &call->timer, CLOCK_MONOTONIC, 0, 0,
			on_all_have_answered, call);
	if (r < 0)
		return err->code ? r : err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	(void) sd_event_source_set_enabled(call->timer, SD_EVENT_OFF);
	call->next = why->calls;
	why->calls = call;
	why->n_calls++;
	return 0;
}

void why_answer(struct why *why, struct ipc_request *request)
{
	CLEANUP(free_p) struct why_call *call = calloc(1, sizeof(*call));
	const char *peer = NULL;
	struct err err = { 0 };
	int r = json_get_str(ipc_request_args(request), "peer", &peer, &err);

	if (r == 0 && !call)
		r = err_set(&err, -ENOMEM, "out of memory");
	if (r == 0) {
		*call = (struct why_call){ .why = why, .request = request, .open = 1 };
		r = call_begin(why, peer, call, &err);
	}
	if (r < 0) {
		ipc_request_fail(request,
			r == -ENOENT && peer ? "unknown_peer"
			: r == -EBUSY        ? "busy"
			: r == -ENOMEM       ? "internal"
					     : "bad_request",
			"%s", err.text);
		return;
	}
	ask_all(call);
	one_less(TAKE(call));
}

/* --- its life --- */

struct why *why_new(
	struct core *core, const struct peers *peers, const struct why_hooks *hooks, void *ctx)
{
	struct why *why = calloc(1, sizeof(*why));

	if (why)
		*why = (struct why){ .core = core, .peers = peers, .hooks = hooks, .ctx = ctx };
	return why;
}

struct why *why_free(struct why *why)
{
	if (!why)
		return NULL;
	why->ping = ping_free(why->ping);
	while (why->calls) {
		ipc_request_fail(why->calls->request, "internal", "hearthd is ending");
		call_free(why->calls);
	}
	free(why);
	return NULL;
}
