/*
 * presence: PUT /v1/presence, and its place in the store. A presence is served from memory and
 * written lazily: only when endpoints or the home relay changed, some time later, all together; a
 * few writes a day at home. What was not written is simply sent again by its node, whose polls see
 * a new instance.
 */
#pragma once

#include "coordinator/coord.h"

enum { PRESENCES_BURST = 20 }; /* presences of one node, then one in half a minute */

struct presences;

/* Reads those of the store, draws a new instance, and tells the feed. */
int presences_open(struct coord *coord, struct presences **ret, struct err *err);
/* After the feed. */
struct presences *presences_close(struct presences *presences);
/* Queues what has not been stored; call before the store is closed. */
void presences_flush(struct presences *presences);

/* @came is called when a board has said something new: it is up. */
void presences_on_came(struct presences *presences, void (*came)(void *ctx), void *ctx);

/* 16 hex digits; cursors of another instance count for nothing. */
const char *presences_instance(const struct presences *presences);
/* What node @id said last, as JSON text, borrowed; NULL: nothing. */
const char *presences_text(const struct presences *presences, uint32_t id);

/* Node @id is gone: what it said is, and its polls end. */
void presences_node_removed(struct presences *presences, uint32_t id);
/* @node has a new record. If it has another identity key, what the old one signed is forgotten. */
void presences_node_changed(struct presences *presences, const struct node *node);

void presences_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
