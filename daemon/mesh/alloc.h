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

/* How many nodes, and nodes with pods, the ranges hold. */
uint32_t alloc_nodes_max(const struct settings *settings);
uint32_t alloc_pods_max(const struct settings *settings);

/* The addresses of node @id and its pods @number. -ERANGE if they leave the range. */
int alloc_mesh4(const struct settings *settings, uint32_t id, struct ip_addr *ret);
int alloc_mesh6(const struct settings *settings, uint32_t id, struct ip_addr *ret);
int alloc_pods4(const struct settings *settings, uint32_t number, struct ip_prefix *ret);
int alloc_pods6(const struct settings *settings, uint32_t number, struct ip_prefix *ret);
/* The number of a pod range, 0 if it is none of this mesh. */
uint32_t alloc_pods4_number(const struct settings *settings, const struct ip_prefix *pods);
uint32_t alloc_pods6_number(const struct settings *settings, const struct ip_prefix *pods);
