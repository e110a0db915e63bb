/*
 * hostnames: what the hosts file should say of the mesh. Pure.
 */
#pragma once

#include "mesh/netmap.h"

/*
 * [{"address":"10.77.0.1","names":["n100.home.internal","api.home.internal"]}, ...]: two entries
 * per node, in the order of ids, but for nodes that @has_ipv6 says no of: an IPv6 address that
 * leads nowhere is better not found. `api` is the first control plane's. A new reference, NULL when
 * out of memory. An empty list before there are settings.
 */
json_t *hostnames_entries(const struct netmap *netmap,
	bool (*has_ipv6)(const void *ctx, uint32_t id), const void *ctx);

/*
 * What hearth-helper is asked: the block of the mesh with the interface @ifname has @entries (a
 * reference is taken over; none: it goes). A new reference, NULL when out of memory.
 */
json_t *hostnames_request(json_t *entries, const char *ifname);
