/*
 * alloc: the addresses of a new node. They follow from its id, and ids only count up: nothing is
 * ever given to a second node, whatever was removed.
 */
#pragma once

#include "base/err.h"
#include "mesh/netmap.h"
#include "wire/node.h"
#include "wire/settings.h"

/*
 * Fills id, mesh4, mesh6 and (unless @role is member) pods4 and pods6 of @node, and its role.
 * Returns 0, -ENOENT before the first settings, or -ENOSPC with a sentence that names the range
 * that is full.
 */
int alloc_node(
	const struct netmap *netmap, enum node_role role, struct node *node, struct err *err);
