/*
 * relays: PUT /v1/relay: boards say where they want to be found as relays (PROTOCOL.md section 7).
 *
 * A relay learns who talks to whom and when, and can drop what it carries: that a board becomes one
 * needs an administrator's yes (admin-relay). From then on it may say that it is found elsewhere
 * now, or no longer at all: the same board, the same trust. What is only asked for lies in memory,
 * one of each node, and so does by whom it was reached: after a restart of ours the boards say it
 * again by themselves. Whatever a relay says, its record has the hosts that an administrator added,
 * too (added.h).
 */
#pragma once

#include "coordinator/coord.h"
#include "wire/reached.h"

enum {
	RELAYS_BURST = 20, /* of one node, whatever it says, then one in half a minute */
	/*
	 * Of one relay that make a record, which is on every board's disk for ever, then one in a
	 * quarter of an hour.
	 */
	RELAYS_MOVES = 8,
};

struct relays;

int relays_open(struct coord *coord, struct relays **ret, struct err *err);
struct relays *relays_close(struct relays *relays);

/* Where node @id would be found, and its record does not say so; NULL: it asks for nothing. */
const struct node_relay *relays_asked(struct relays *relays, uint32_t id);
/* By whom it said that it was reached, by clock_now_us(); NULL: nothing yet. Borrowed. */
const struct reached *relays_reached(struct relays *relays, uint32_t id);
/* It is answered, or asks for nothing any more. It may ask again. */
void relays_forget(struct relays *relays, uint32_t id);
/*
 * Node @id has a new record, or is gone. What it asked for is forgotten if it became true, or was
 * asked for by a board with another identity key.
 */
void relays_node_changed(struct relays *relays, uint32_t id);

/* From decide(): the record in which @node says @relay, none with no hosts. 1 or < 0 (refused). */
int relays_sign(struct change *change, const struct node *node, const struct node_relay *relay);

void relays_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
