/*
 * fake-net: a kernel's links, addresses, routes and Hearth's rule as a test makes them up, linked
 * instead of sys/net.
 */
#pragma once

#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/route.h"

enum { FAKE_LINKS_MAX = 16, FAKE_ADDRS_MAX = 32 };

struct fake_net {
	struct link links[FAKE_LINKS_MAX];
	size_t n_links;
	struct link_addr addrs[FAKE_ADDRS_MAX];
	size_t n_addrs;
	struct route *routes; /* owned */
	size_t n_routes;
	char prohibited
		[IFNAMSIZ]; /* what comes in by this link is passed on to nowhere; "": none is */

	bool busy_while_up;  /* as before Linux 6.2: no link that is up is renamed */
	const char *refuses; /* the function that fails, */
	int with;            /* with this errno */

	/* Calls of it. */
	unsigned changes, lookups, rules, refusals;
};
extern struct fake_net fake_net;

/* Nothing is there. */
void fake_net_reset(void);

/* A link that is up, with the next number. */
struct link *fake_net_link(const char *name, const char *kind);
/* A route to @dst by the link @oif. */
struct route *fake_net_route(const char *dst, int oif);
/* The link of this name, which must be there. */
struct link *fake_net_get(const char *name);
