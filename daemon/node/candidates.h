/*
 * candidates: which of this board's own addresses others may try to reach it at, and how large a
 * packet its uplinks carry. A decision over what rtnetlink listed.
 *
 * Only uplinks count: hardware, bonds, VLANs and the like; a veth or a bridge only if a default
 * route goes through it (a container, a lab, a bridged uplink). Never: other people's container
 * networks, tunnels and VPNs, our own links, anything inside the denied ranges (mesh, pods,
 * services), loopback, link-local and multicast addresses, addresses that are not ready, going
 * away, or temporary while a lasting one of the same prefix is there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/route.h"

enum {
	CANDIDATES_MAX = 32,
	CANDIDATES_UPLINKS_MAX = 32,
	CANDIDATES_OVERHEAD = 80, /* IPv6, UDP and WireGuard around an inner packet */
	CANDIDATES_MTU_DEFAULT = 1500,
};

/* Lists as sys/net returned them, borrowed. */
struct candidates_input {
	const struct link *links;
	size_t n_links;
	const struct link_addr *addrs;
	size_t n_addrs;
	const struct route *defaults; /* default routes of the main table */
	size_t n_defaults;
	const struct ip_prefix *denied;
	size_t n_denied;
	const char *own_ifname; /* "hearth0" */
	uint16_t port;
};

struct candidates {
	struct endpoint endpoints[CANDIDATES_MAX]; /* the same set gives the same order */
	size_t n_endpoints;
	char uplinks[CANDIDATES_UPLINKS_MAX][IFNAMSIZ]; /* with at least one such address */
	size_t n_uplinks;
	unsigned
		mtu; /* the largest of the uplinks with a default route, else of all; 0: no uplink */
};

void candidates_find(const struct candidates_input *input, struct candidates *ret);

/* The MTU for the mesh's interface over an uplink of @uplink_mtu (0: unknown): 1420 over 1500. */
unsigned candidates_interface_mtu(unsigned uplink_mtu);
