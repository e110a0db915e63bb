/*
 * admin-added: relay.add and relay.remove: where an administrator says that a relay is (admin.h).
 */
#pragma once

#include "coordinator/coord.h"

/* What was added, and how it stands with each. A new value. */
json_t *admin_added_list(const struct coord *c);
void admin_added_add(struct coord *c, struct ipc_request *request);
void admin_added_remove(struct coord *c, struct ipc_request *request);
