/*
 * enroll-plan: what an enrolment comes to: which node the board becomes by its token, what it asks
 * for and who is in the mesh; or why it is refused. It answers nobody.
 */
#pragma once

#include <stdint.h>

#include "base/ip.h"
#include "coordinator/ledger.h"
#include "coordinator/tokens.h"
#include "wire/api.h"

struct coord;
struct httpd_request;

struct enrolment {
	struct change change; /* first: the ledger hands it back */
	struct coord *coord;
	struct httpd_request *request;
	struct api_enroll_request asked;
	uint8_t identity[NODE_KEY_LEN];
	struct ip_addr address, source;
	uint32_t node;
	struct grant_use use;
};

/*
 * What this enrolment comes to now: 1 and @node, to be written, and the token's grant; 0 if it is
 * e->node already; or it is refused. Changes nothing but @e.
 */
int enroll_plan(struct enrolment *e, const struct grant **ret_grant, struct node *node);
/* Then @node's record and the token's use, e->node and e->use. 1, or it is refused. */
int enroll_write(
	struct enrolment *e, const struct grant *g, struct node *node, struct store_batch *batch);
