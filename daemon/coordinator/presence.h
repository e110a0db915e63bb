/*
 * presence: PUT /v1/presence, and its place in the store. A presence is served from memory and written
 * lazily: only when endpoints changed, some time later, all together; a few writes a day at home.
 * What was not written is simply sent again by its node, whose polls see a new instance.
 */
#pragma once

#include "coordinator/coord.h"

enum { PRESENCES_BURST = 20 }; /* presences of one node, then one in half a minute */

struct presences;

/* Reads those of the store. */
int presences_open(struct coord *coord, struct presences **ret, struct err *err);
/* Queues what has not been stored; call before the store is closed. */
struct presences *presences_close(struct presences *presences);
void presences_node_removed(struct presences *presences, uint32_t id);
/* @node has a new record. If it has another identity key, what the old one signed is forgotten. */
void presences_node_changed(struct presences *presences, const struct node *node);

void presence_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
