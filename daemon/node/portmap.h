/*
 * portmap: the subject of the tunnel's UDP port at this board's gateways: mapped there, by PCP,
 * NAT-PMP or UPnP, where the board has a private address; let in, by PCP, where it has an IPv6
 * address that a firewall may stand before. mesh/mapping.h says when what is asked for. A gateway
 * that offers nothing is no problem.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board/links.h"
#include "mesh/mapping.h"
#include "node/core.h"
#include "node/view.h"

enum { PORTMAP_MAX = 2 }; /* one of IPv4, one of IPv6 */

struct portmap;

struct portmap_hooks {
	/* portmap_endpoints() gives others than before. */
	void (*changed)(void *ctx);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct portmap *portmap_new(struct core *core, const struct portmap_hooks *hooks, void *ctx);
/* What is mapped stays so for its time. Returns NULL. */
struct portmap *portmap_free(struct portmap *portmap);

/* The board's links, port, ranges or wishes may be others. */
void portmap_follow(struct portmap *portmap, const struct view *view, const struct links *links);
/* Something says that a mapping may be lost, as that a cable was out: the gateway is asked. */
void portmap_hurry(struct portmap *portmap);
/*
 * There is no tunnel any more: what is mapped is taken away from the gateway (for which it has a
 * second), and nothing more is asked for before portmap_follow().
 */
void portmap_remove(struct portmap *portmap);

/*
 * Where this board is reached by them beside its own addresses, the best first: one behind yet
 * another NAT comes last.
 * Returns how many.
 */
size_t portmap_endpoints(const struct portmap *portmap, struct endpoint ret[static PORTMAP_MAX]);

/* "pcp", "nat-pmp", "upnp"; or why there is none of IPv4: "nothing", "refused" ... Static. */
const char *portmap_word(const struct portmap *portmap);

struct portmap_report {
	int family;
	struct ip_addr gateway;         /* no family: none is asked */
	enum mapping_protocol protocol; /* NONE: there is no mapping, */
	enum mapping_why why;           /* because of this, */
	int detail;                     /* with this number of the gateway's, 0: none */
	struct endpoint outside;
	bool nested;       /* there is another NAT above the gateway */
	uint64_t left_us;  /* how long it is given for yet */
	unsigned restarts; /* of the gateway, as it was noticed */
};
/* One of each family that there is anything to say of: of IPv4 always. Returns how many. */
size_t portmap_report(const struct portmap *portmap, struct portmap_report ret[static PORTMAP_MAX]);
