/*
 * admin-token: token.create, token.list, token.revoke, see admin.h. The secret exists in the reply
 * and nowhere else: memory of it is wiped, the store gets its hash.
 */
#pragma once

#include "coordinator/coord.h"

void admin_token_create(struct coord *c, struct ipc_request *request);
void admin_token_list(struct coord *c, struct ipc_request *request);
void admin_token_revoke(struct coord *c, struct ipc_request *request);
