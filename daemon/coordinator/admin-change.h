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

/* False: it was refused, and is the caller's still. */
bool admin_submit(struct admin_change *a);
/* Ends the request with the code and sentence of a refused change. */
void admin_refuse(struct admin_change *a);
/* One line for the log: who did what. */
void admin_audit(const struct ipc_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
