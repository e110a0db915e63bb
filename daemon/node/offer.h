/*
 * offer: this board as a relay. What relay.json (board/relayfile.h) wants the board's record to
 * say is put to the coordinator until the record says it; also that it is no relay any more. An
 * administrator has the last word, so that may take a while. Once the record says it, the
 * coordinator is told by whom the relay was reached from outside: soon when that is by another way
 * than before, else every OFFER_AGAIN_US, for it keeps that in memory only.
 *
 * Its problems: "relay-file", it cannot be read; "relay-offer", the record does not follow.
 */
#pragma once

#include <jansson.h>

#include "node/candidates.h"
#include "node/core.h"
#include "wire/reached.h"

#define OFFER_PATH     "/v1/relay"
#define OFFER_AGAIN_US (UINT64_C(600) * 1000000) /* what was put and not followed is put again */
#define OFFER_TELL_US  (UINT64_C(50) * 1000000)  /* between two words of by whom it was reached */

struct offer;

struct offer_hooks {
	/* PUT OFFER_PATH. 0: offer_put_ended() follows; else -errno and @err. */
	int (*put)(void *ctx, const json_t *doc, struct err *err);
};

/* NULL: out of memory. */
struct offer *offer_new(struct core *core, const struct offer_hooks *hooks, void *ctx);
struct offer *offer_free(struct offer *offer);

/*
 * Now and then, and when the record or this board's addresses (@own) are others. @reached: what the
 * relay says of it, by clock_now_us(); NULL: nothing yet.
 */
void offer_look(struct offer *offer, const struct node *self, const struct candidates *own,
	const struct reached *reached);

void offer_put_ended(struct offer *offer, int r, const struct err *err);

/* Hosts of the board's own addresses: those that everybody reaches, if there are any. Pure. */
void offer_choose_hosts(const struct candidates *own, struct node_relay *ret);
