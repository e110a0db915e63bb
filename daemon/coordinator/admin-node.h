/*
 * admin-node: node.list, node.remove, node.rename, node.label, see admin.h.
 */
#pragma once

#include "coordinator/coord.h"

void admin_node_list(struct coord *c, struct ipc_request *request);
void admin_node_remove(struct coord *c, struct ipc_request *request);
void admin_node_rename(struct coord *c, struct ipc_request *request);
void admin_node_label(struct coord *c, struct ipc_request *request);
