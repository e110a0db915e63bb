/*
 * rtnl: what a tunnel asks the kernel while it runs: routes, links, namespaces. One question, one
 * answer, both at once: rtnetlink answers such questions before the system call returns, so nothing
 * here waits. The socket is the caller's (sys/net/nl.h).
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "sys/net/nl.h"

struct rtnl_route_query {
	struct ip_addr dst;
	struct ip_addr src;    /* family 0: any */
	uint32_t oif;          /* only routes by this interface, 0: any */
	uint32_t mark;         /* as of the packets */
	uint16_t sport, dport; /* UDP, for rules that look at them */
};

/*
 * By which interface a datagram would leave. 0, or -errno: -ENETUNREACH and the like, also where
 * src is not ours.
 */
int rtnl_route(struct nl *nl, const struct rtnl_route_query *query, uint32_t *ret_oif);

struct rtnl_link {
	uint16_t type; /* ARPHRD_... */
	uint32_t mtu;
};

/* The interface @ifindex of our namespace. 0, -ENODEV or another -errno. */
int rtnl_link(struct nl *nl, uint32_t ifindex, struct rtnl_link *ret);
/* The interface @name of the namespace with the id @nsid (rtnl_namespace_id()); -1: ours. */
int rtnl_link_of(struct nl *nl, const char *name, int nsid, struct rtnl_link *ret);

/* The id by which our namespace knows @ns_fd; makes one. At least 0, or -errno. */
int rtnl_namespace_id(struct nl *nl, int ns_fd);
