/* added-change: see added-change.h. What was decided is done to the list once it is durable. */
#include "coordinator/added-change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "coordinator/relays.h"
#include "coordinator/schema.h"

const struct node *added_node(const struct coord *coord, const uint8_t pin[static FIELD_KEY_LEN])
{
	for (const struct node *n = NULL; (n = netmap_next(coord_netmap(coord), n));)
		if (n->relay.n_hosts && !memcmp(n->relay.pin, pin, FIELD_KEY_LEN))
			return n;
	return NULL;
}

/* --- the list --- */

static int put(struct added_list *added, const struct added_change *a)
{
	struct added *there = added_find(added, a->host);

	if (!there)
		return added_push(added, a->host, a->port, a->now) < 0 ? -ENOSPC : 1;
	if (there->recorded) {
		there->again_us = clock_now_us() + ADDED_KEEP_S * USEC_PER_SEC;
		if (there->port == a->port)
			return 0;
		there->port = a->port; /* the record's, by now */
		return 1;
	}
	if (there->port != a->port) { /* another one */
		added_drop(added, a->host);
		return added_push(added, a->host, a->port, a->now) < 0 ? -ENOSPC : 1;
	}
	there->since = a->now;
	return 1;
}

/* 1: it is another one; 0: it is not; -ENOSPC: it cannot be. */
static int edit(struct added_list *added, const struct added_change *a)
{
	struct added *there;

	switch (a->kind) {
	case ADDED_PUT:
		return put(added, a);
	case ADDED_REMOVE:
	case ADDED_FORGET:
		if (!added_find(added, a->host))
			return 0;
		added_drop(added, a->host);
		return 1;
	case ADDED_RECORD:
		if (!added_find(added, a->host))
			return 0; /* a person was faster */
		added_record(added, a->host, a->pin, a->gone, a->n_gone);
		return 1;
	case ADDED_TURN:
		there = added_find(added, a->host);
		if (!there || !there->recorded)
			return 0;
		added_turn(there, a->now);
		return 1;
	}
	return 0;
}

static int store(const struct added_list *added, struct store_batch *batch)
{
	CLEANUP_JSON json_t *json = added_to_json(added);
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

	if (!text)
		return -ENOMEM;
	store_batch_put(batch, TABLE_META, "added", text, strlen(text));
	return 0;
}

/* --- the record --- */

static int sign(struct change *change, const struct node *node, const struct node_relay *says)
{
	if (!says->n_hosts)
		return change_refuse(change, API_BAD_REQUEST,
			"%s is found nowhere else: add where it is before, or let it be a relay no "
			"more (`hearth relay deny %s`).",
			node->name, node->name);
	return node_relay_equal(&node->relay, says) ? 1 : relays_sign(change, node, says);
}

/* 1, or refused; 0: that relay is none any more. @next is the list that will be. */
static int follow(struct added_change *a, const struct added_list *next)
{
	const struct added *before = added_find(&a->coord->added, a->host);
	const struct node *node = NULL;
	CLEANUP_NODE_RELAY struct node_relay says = { 0 };

	if (a->kind == ADDED_RECORD)
		node = added_node(a->coord, a->pin);
	else if (a->kind == ADDED_REMOVE && before->recorded)
		node = added_node(a->coord, before->pin);
	a->node = node ? node->id : 0;
	if (!node)
		return a->kind != ADDED_RECORD;
	node_relay_copy(&node->relay, &says);
	if (a->kind == ADDED_RECORD)
		added_apply(next, &says);
	else
		added_unapply(next, before, &says);
	return sign(&a->change, node, &says);
}

/* A record says this host, with another port: a slip of the pen must not make it unsay that. */
static int check_port(struct added_change *a)
{
	const struct added *there = added_find(&a->coord->added, a->host);
	const struct node *node =
		there && there->recorded ? added_node(a->coord, there->pin) : NULL;

	if (a->kind != ADDED_PUT || !node || node->relay.tcp == a->port)
		return 0;
	return change_refuse(&a->change, API_BAD_REQUEST,
		"%s is where relay %s is found, at TCP port %u, as its record says. Where its port "
		"is another one now, have `hearth relay enable --port %u` say so there; where "
		"another relay is now, `hearth relay remove %s` before.",
		a->host, node->name, (unsigned) node->relay.tcp, (unsigned) a->port, a->host);
}

static int decide(struct change *change, struct store_batch *batch)
{
	struct added_change *a = (struct added_change *) change;
	struct added_list *next = malloc(sizeof(*next));
	int r = check_port(a);

	if (r < 0 || !next) {
		free(next);
		return r < 0 ? r : change_refuse(change, API_INTERNAL, "Out of memory.");
	}
	*next = a->coord->added;
	a->now = coord_now_s();
	r = edit(next, a);
	if (r == -ENOSPC)
		(void) change_refuse(change, API_TOO_MANY,
			"At most %d relays can be added. `hearth relay list` tells them, `hearth "
			"relay remove` makes room.",
			ADDED_MAX);
	if (r > 0)
		r = follow(a, next);
	if (r > 0 && store(next, batch) < 0)
		r = change_refuse(change, API_INTERNAL, "Out of memory.");
	free(next);
	return r;
}

static void done(struct change *change, int r)
{
	struct added_change *a = (struct added_change *) change;

	if (r > 0 || (r == 0 && a->kind == ADDED_PUT)) /* what is in memory alone changes, too */
		(void) edit(&a->coord->added, a);
	a->done(a, r);
}

int added_submit(struct added_change *a)
{
	a->change.decide = decide;
	a->change.done = done;
	return ledger_submit(a->coord->ledger, &a->change);
}
