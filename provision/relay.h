/*
 * relay: enroll-node --relay: the board is a relay before it is enrolled, so that a coordinator
 * which nobody reaches can come to it, and be reached by way of it (PROTOCOL.md section 14).
 */
#pragma once

#include "provision/caller.h"

/* How enroll-node's options are called. */
extern const char *const relay_options[RELAYUNIT_OPTIONS];

/*
 * The step: hearth-relay runs, if that was asked for. On a board that is not enrolled yet it waits
 * for the coordinators of the token.
 */
int relay_set_up(struct enroll *e, struct err *err);
/* The step after enrolment: it waits for nobody any more. */
int relay_settle(struct enroll *e, struct err *err);

/*
 * Nobody has answered @caller, as @err says: says once what there is to do on the coordinator's
 * board, and asks until somebody answers; for as long as --wait says, else until it is interrupted.
 * As caller_ask().
 */
int relay_await(struct enroll *e, struct caller *caller, const json_t *body, json_t **ret,
	char ret_code[static 64], struct err *err);

/*
 * What to type behind `hearth relay add`: the first host of @relay, or "HOST" where there is none,
 * or it was not @chosen and not everybody reaches it; with the port where it is not the usual one.
 * Pure.
 */
enum { RELAY_PLACE_MAX = OUTSIDE_TEXT_MAX };
void relay_place(const struct node_relay *relay, bool chosen, char ret[static RELAY_PLACE_MAX]);
