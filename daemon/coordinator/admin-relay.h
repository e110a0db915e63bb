/*
 * admin-relay: relay.list, relay.allow, relay.deny, see admin.h.
 */
#pragma once

#include "coordinator/coord.h"

void admin_relay_list(struct coord *c, struct ipc_request *request);
void admin_relay_allow(struct coord *c, struct ipc_request *request);
void admin_relay_deny(struct coord *c, struct ipc_request *request);
