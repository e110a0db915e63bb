/*
 * numbers: which addresses and pod ranges belong to which number, by the mesh's ranges.
 */
#pragma once

#include "wire/node.h"
#include "wire/settings.h"

/* How many nodes, and nodes with pods, the ranges hold. */
uint32_t numbers_nodes_max(const struct settings *settings);
uint32_t numbers_pods_max(const struct settings *settings);

/* The addresses of node @id and its pods @number. -ERANGE if they leave the range. */
int numbers_mesh4(const struct settings *settings, uint32_t id, struct ip_addr *ret);
int numbers_mesh6(const struct settings *settings, uint32_t id, struct ip_addr *ret);
int numbers_pods4(const struct settings *settings, uint32_t number, struct ip_prefix *ret);
int numbers_pods6(const struct settings *settings, uint32_t number, struct ip_prefix *ret);
/* The number of a pod range, 0 if it is none of this mesh. */
uint32_t numbers_of_pods4(const struct settings *settings, const struct ip_prefix *pods);
uint32_t numbers_of_pods6(const struct settings *settings, const struct ip_prefix *pods);
