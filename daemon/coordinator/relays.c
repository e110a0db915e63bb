/* relays: see relays.h. */
#include "coordinator/relays.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"
#include "coordinator/reply.h"

#define SAID_EVERY_US  (30 * USEC_PER_SEC)
#define MOVED_EVERY_US (900 * USEC_PER_SEC)

/* Of a node that has said something. They are few: what may be asked so seldom may be a list. */
struct entry {
	uint32_t id;
	struct node_relay asked; /* no hosts: nothing */
	uint8_t identity
		[NODE_KEY_LEN]; /* of the board that asked, or said by whom it was reached */
	struct pace said, moved;
	bool has_reached;
	struct reached reached;
	struct entry *next;
};

struct relays {
	struct coord *coord;
	struct entry *first;
};

/* A relay that moves or ends: what its record is to say. */
struct move {
	struct change change; /* first: the ledger hands it back */
	struct coord *coord;
	struct httpd_request *request;
	uint32_t id;
	uint8_t identity[NODE_KEY_LEN];
	struct node_relay relay;
};

/* --- what they asked for --- */

static struct entry **find(struct relays *relays, uint32_t id)
{
	struct entry **at = &relays->first;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static struct entry *make(struct relays *relays, uint32_t id)
{
	struct entry **at = find(relays, id);

	if (!*at && (*at = calloc(1, sizeof(**at))))
		(*at)->id = id;
	return *at;
}

static void drop(struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	node_relay_done(&e->asked);
	free(e);
}

const struct node_relay *relays_asked(struct relays *relays, uint32_t id)
{
	const struct entry *e = *find(relays, id);

	return e && e->asked.n_hosts ? &e->asked : NULL;
}

const struct reached *relays_reached(struct relays *relays, uint32_t id)
{
	const struct entry *e = *find(relays, id);

	return e && e->has_reached ? &e->reached : NULL;
}

void relays_forget(struct relays *relays, uint32_t id)
{
	struct entry *e = *find(relays, id);

	if (e)
		node_relay_done(&e->asked);
}

void relays_node_changed(struct relays *relays, uint32_t id)
{
	const struct node *node = netmap_by_id(coord_netmap(relays->coord), id);
	struct entry **at = find(relays, id);

	if (!*at)
		return;
	if (!node) { /* its number is nobody's ever again */
		drop(at);
		return;
	}
	bool other = memcmp(node->identity, (*at)->identity, NODE_KEY_LEN) != 0;

	(*at)->has_reached &= !other;
	if (node->relay.n_hosts || other)
		node_relay_done(&(*at)->asked);
}

int relays_sign(struct change *change, const struct node *node, const struct node_relay *relay)
{
	CLEANUP_NODE struct node copy = { 0 };

	if (node_copy(node, &copy) < 0)
		return change_refuse(change, API_INTERNAL, "Out of memory.");
	node_relay_done(&copy.relay);
	node_relay_copy(relay, &copy.relay);
	CLEANUP_JSON json_t *payload = node_to_json(&copy);
	int r = ledger_set_record(change, RECORD_TYPE_NODE, payload);

	return r < 0 ? r : 1;
}

/* --- what becomes of it --- */

static void ask(struct entry *e, const struct node *node, const struct node_relay *relay)
{
	if (!node_relay_equal(&e->asked, relay))
		log_seldom(LOG_LEVEL_NOTICE,
			"%s asks to be a relay, at %s%s, TCP %u, UDP %u: `hearth relay allow %s` "
			"or `hearth relay deny %s`",
			node->name, relay->hosts[0], relay->n_hosts > 1 ? " and elsewhere" : "",
			relay->tcp, relay->udp, node->name, node->name);
	node_relay_done(&e->asked);
	node_relay_copy(relay, &e->asked);
	memcpy(e->identity, node->identity, NODE_KEY_LEN);
}

/* Its record says so by now, or an administrator is to decide. */
static void answer(struct coord *c, struct httpd_request *request, const struct node *node,
	const struct node_relay *relay)
{
	enum api_relay_state state = relay->n_hosts ? API_RELAY_LISTED : API_RELAY_NONE;

	if (node_relay_equal(&node->relay, relay)) {
		relays_forget(c->relays, node->id);
	} else {
		ask(*find(c->relays, node->id), node, relay);
		state = API_RELAY_ASKED;
	}
	httpd_reply(request, 200, api_relay_state_to_json(state));
}

static int decide(struct change *change, struct store_batch *batch)
{
	struct move *m = (struct move *) change;
	const struct node *node = netmap_by_id(coord_netmap(m->coord), m->id);

	added_apply(&m->coord->added, &m->relay); /* these may have changed meanwhile */
	if (!node || memcmp(node->identity, m->identity, NODE_KEY_LEN) != 0)
		return change_refuse(change, API_REMOVED,
			"This board was removed meanwhile, or another one was given its place.");
	/* Said twice; or an administrator said no meanwhile, and must be asked again. */
	if (!node->relay.n_hosts || node_relay_equal(&node->relay, &m->relay))
		return 0;
	return relays_sign(change, node, &m->relay);
}

static void move_free(struct move *m)
{
	node_relay_done(&m->relay);
	free(m);
}

static void done(struct change *change, int r)
{
	struct move *m = (struct move *) change;

	const struct node *node = netmap_by_id(coord_netmap(m->coord), m->id);

	if (r > 0)
		log_seldom(LOG_LEVEL_NOTICE, "%s %s", node->name,
			m->relay.n_hosts ? "is found elsewhere as a relay, as it says"
					 : "says that it is no relay any more");
	if (r < 0)
		reply_refuse(m->request, change->code, "%s", change->err.text);
	else
		answer(m->coord, m->request, node, &m->relay);
	move_free(m);
}

/* Its record says something else of it. */
static void submit_move(struct coord *c, struct httpd_request *request, const struct node *node,
	const struct node_relay *relay)
{
	struct move *m = calloc(1, sizeof(*m));

	if (!m) {
		reply_refuse(request, API_INTERNAL, "Out of memory.");
		return;
	}
	*m = (struct move){ .change = { .decide = decide, .done = done },
		.coord = c,
		.request = request,
		.id = node->id };
	memcpy(m->identity, node->identity, NODE_KEY_LEN);
	node_relay_copy(relay, &m->relay);
	if (ledger_submit(c->ledger, &m->change) == 0)
		return;
	reply_refuse(request, API_TOO_MANY, "The coordinator is too busy. Try again.");
	move_free(m);
}

/* To be one no longer is always allowed: it can become one again only by an administrator's yes. */
static bool may_move(struct entry *e, const struct node_relay *relay, uint64_t now_us)
{
	return !relay->n_hosts || pace_may(&e->moved, RELAYS_MOVES, MOVED_EVERY_US, now_us, NULL);
}

/* Where it wants to be found, and where an administrator said that it is. */
static int read_wish(const struct coord *c, const json_t *body, uint64_t now_us,
	struct api_relay_request *ret, struct err *err)
{
	int r = api_relay_request_from_json(body, now_us, ret, err);

	if (r == 0)
		r = coord_check_relay(c, &ret->relay, err);
	if (r == 0)
		added_apply(&c->added, &ret->relay);
	return r;
}

static void take(struct coord *c, struct httpd_request *request, const struct node *node,
	struct entry *e, const struct api_relay_request *asked, uint64_t now_us)
{
	const struct node_relay *relay = &asked->relay;

	if (asked->has_reached) {
		e->has_reached = true;
		e->reached = asked->reached;
		memcpy(e->identity, node->identity, NODE_KEY_LEN);
	}
	if (!node->relay.n_hosts || node_relay_equal(&node->relay, relay))
		answer(c, request, node, relay);
	else if (may_move(e, relay, now_us))
		submit_move(c, request, node, relay);
	else
		reply_refuse(request, API_TOO_MANY,
			"%s is found elsewhere as a relay too often: each time is on every "
			"board's disk for ever. It may say so again in a quarter of an hour.",
			node->name);
}

void relays_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	CLEANUP_API_RELAY_REQUEST struct api_relay_request asked = { 0 };
	struct entry *e = make(c->relays, node->id);
	uint64_t now_us = clock_now_us();
	struct err err = { 0 };

	if (!e)
		reply_refuse(request, API_INTERNAL, "Out of memory.");
	else if (!pace_may(&e->said, RELAYS_BURST, SAID_EVERY_US, now_us, NULL))
		reply_refuse(request, API_TOO_MANY,
			"%s says too often where it is found as a relay: once in half a minute "
			"will do.",
			node->name);
	else if (read_wish(c, body, now_us, &asked, &err) < 0)
		reply_refuse(request, API_BAD_REQUEST, "The relay is not accepted: %s.", err.text);
	else
		take(c, request, node, e, &asked, now_us);
}

int relays_open(struct coord *coord, struct relays **ret, struct err *err)
{
	struct relays *relays = calloc(1, sizeof(*relays));

	if (!relays)
		return err_set(err, -ENOMEM, "out of memory");
	relays->coord = coord;
	*ret = relays;
	return 0;
}

struct relays *relays_close(struct relays *relays)
{
	if (!relays)
		return NULL;
	while (relays->first)
		drop(&relays->first);
	free(relays);
	return NULL;
}
