/*
 * admin-change: what the administrator's calls have in common that change something.
 */
#pragma once

#include "coordinator/coord.h"

/* A change that an administrator asked for. Embedded first; the call's file completes it. */
struct admin_change {
	struct change change;
	struct coord *coord;
	struct ipc_request *request;
};

/*
 * The node that args["node"] names or numbers; NULL, and @request was refused with what may have
 * been meant.
 */
const struct node *admin_node(struct coord *c, struct ipc_request *request);
/* From decide(): node @id, or NULL and the change was refused: another one may have come first. */
const struct node *admin_node_still(struct admin_change *a, uint32_t id);
/* False: it was refused, and is the caller's still. */
bool admin_submit(struct admin_change *a);
/* Ends the request with the code and sentence of a refused change. */
void admin_refuse(struct admin_change *a);
/* One line for the log: who did what. */
void admin_audit(const struct ipc_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
