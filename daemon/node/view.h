/*
 * view: what the mesh is at this moment, and what changed in it since the last one: subjects that
 * are not concerned are not asked.
 */
#pragma once

#include "mesh/netmap.h"
#include "node/candidates.h"
#include "tunnel/tunnel.h"

enum change {
	CHANGE_RECORDS = 1 << 0, /* the netmap: settings, nodes, ourselves */
	CHANGE_UPLINK = 1 << 1,  /* addresses and links of this board */
	CHANGE_MTU = 1 << 2,     /* the largest packet they carry, or ways to peers do */
	CHANGE_TUNNEL = 1 << 3,  /* it is another, and its device */
	CHANGE_IPV6 = 1 << 4,    /* our interface has it now, or has it no more */
	CHANGE_CONFIG = 1 << 5,
	CHANGE_ALL = (1 << 6) - 1
};

/*
 * All of it is there: who has no settings, no record or no tunnel has no view. Borrowed until the
 * next one.
 */
struct view {
	unsigned changes; /* a set of enum change */
	const struct netmap *map;
	const struct settings *settings;
	const struct node *self;
	const struct candidates *own;
	unsigned mtu; /* of the interface */
	struct tunnel *tunnel;
	int ifindex;
};
