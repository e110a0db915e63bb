/*
 * enroll: POST /v1/enroll: a board redeems a token (design.md section 5). The token says what the
 * board becomes; the board only confirms it. Redeeming again with the same identity key gives the
 * same node, so a lost reply costs nothing; any other key is refused. The decision is made when it
 * is this enrolment's turn in the ledger, so of two boards exactly one wins.
 */
#pragma once

#include "coordinator/coord.h"

enum { ENROLL_BURST = 30 }; /* failed enrolments of one address at once, then one each 2 s */

struct enroll;

/* Reads the tokens of the store into coord->tokens. */
int enroll_open(struct coord *coord, struct enroll **ret, struct err *err);
struct enroll *enroll_close(struct enroll *enroll);

void enroll_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
/* What enroll_handle() would do, done to nobody. */
void enroll_check_handle(struct coord *coord, struct httpd_request *request,
	const struct node *node, const json_t *body);
