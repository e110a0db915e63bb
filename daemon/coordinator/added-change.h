/*
 * added-change: the list of added relays (added.h) changes, and with it what a relay's record says:
 * both or neither, in the ledger's order.
 */
#pragma once

#include "coordinator/coord.h"

enum added_kind {
	ADDED_PUT,    /* host and port: from now on, or anew */
	ADDED_REMOVE, /* host, by a person: also from the record that says it */
	ADDED_FORGET, /* host: it has become nothing, or its relay is none any more */
	ADDED_RECORD, /* host: it is the relay's with pin, which is not found at gone any more */
	ADDED_TURN,   /* host, which a record says: another relay is there */
};

/* Embedded in a struct of the caller's, who zeroes the rest. */
struct added_change {
	struct change change; /* first; not the caller's */
	struct coord *coord;
	/* The end, as a change's: @r < 0 refused (change.code, change.err). Frees @change. */
	void (*done)(struct added_change *change, int r);
	enum added_kind kind;
	char host[FIELD_HOST_MAX];
	uint16_t port;
	uint8_t pin[FIELD_KEY_LEN];
	char gone[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX];
	size_t n_gone;
	uint64_t now;  /* set when it is decided */
	uint32_t node; /* the same: whose record says it, or said it; 0: none's */
};

/*
 * Queues it: done() follows, 0 if nothing was to be done, and by then the list has changed. -EBUSY:
 * it does not.
 */
int added_submit(struct added_change *change);

/* The node whose record is that of a relay with @pin; NULL: there is none. */
const struct node *added_node(const struct coord *coord, const uint8_t pin[static FIELD_KEY_LEN]);
