/*
 * candidates: what hearthd makes of the verdicts on this board's links (board/links.h): the
 * endpoints that others may try, the links that the firewall believes, and how large a packet the
 * uplinks carry.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"
#include "board/links.h"

enum {
	CANDIDATES_MAX = LINKS_ADDRS_MAX,
	/* Further links with containers behind them are guarded as strangers are. */
	CANDIDATES_LINKS_MAX = 128,
	CANDIDATES_OVERHEAD = 80, /* IPv6, UDP and WireGuard around an inner packet */
	CANDIDATES_MTU_DEFAULT = 1500,
};

struct candidates {
	struct endpoint endpoints[CANDIDATES_MAX]; /* the same set gives the same order */
	size_t n_endpoints;
	/* In alphabetical order. Those that links_inside_patterns say right are in neither list. */
	char inside[CANDIDATES_LINKS_MAX][IFNAMSIZ];
	size_t n_inside;
	char outside[CANDIDATES_LINKS_MAX][IFNAMSIZ]; /* though a pattern says otherwise */
	size_t n_outside;
	/* The largest of the uplinks with a default route, else of all; 0: no uplink. */
	unsigned mtu;
};

void candidates_find(const struct links *links, uint16_t port, struct candidates *ret);
bool candidates_equal(const struct candidates *a, const struct candidates *b);
bool candidates_same_endpoints(const struct candidates *a, const struct candidates *b);

/* The MTU for the mesh's interface over an uplink of @uplink_mtu (0: unknown): 1420 over 1500. */
unsigned candidates_interface_mtu(unsigned uplink_mtu);
