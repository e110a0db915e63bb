/*
 * route: unicast routes of both families. What Hearth adds carries a protocol number of its own, so
 * that it lists and removes nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sys/net/nl.h"

enum {
	ROUTE_PROTOCOL_HEARTH = 77,     /* hearthd: mesh and remote pods */
	ROUTE_PROTOCOL_HEARTH_CNI = 78, /* the plugin: pods on this board */
};

struct route {
	struct ip_prefix dst; /* its family is the route's; length 0: default */
	struct ip_addr
		gateway; /* AF_UNSPEC: on the link; may be IPv6 for an IPv4 route (listed only) */
	int oif;
	struct ip_addr src; /* preferred source, AF_UNSPEC: kernel's choice */
	uint32_t mtu;       /* metric, bytes; 0: the link's */
	uint32_t priority;  /* smaller wins; 0: kernel's default (IPv6: 1024) */
	uint32_t table;     /* 0: RT_TABLE_MAIN */
	uint8_t protocol;   /* 0: ROUTE_PROTOCOL_HEARTH when adding */
	uint8_t type;       /* RTN_*; 0: RTN_UNICAST */
	uint8_t scope;      /* listed; when adding, link without a gateway and universe with one */
	bool onlink;        /* the gateway is reachable on oif whatever the other routes say */
	uint32_t flags;     /* listed: RTNH_F_LINKDOWN, RTNH_F_DEAD ... */
};

/* Adds, or replaces the route to the same dst with the same table and priority. */
int route_replace(struct nl *nl, const struct route *route, struct err *err);
/* Adds; -EEXIST if there is one to the same dst in the table with the same priority. */
int route_add(struct nl *nl, const struct route *route, struct err *err);
/* -ESRCH if there is none with these dst, table, protocol, and oif, gateway, priority if given. */
int route_del(struct nl *nl, const struct route *route, struct err *err);

/* What to list: zero fields match everything (family AF_UNSPEC: both; table 0: all tables). */
struct route_filter {
	int family;
	uint32_t table;
	uint8_t protocol;
	int oif;
	bool only_default; /* dst of length 0 */
};
/*
 * Unicast, blackhole, unreachable and prohibit routes; of several next hops the first. Cached
 * clones are left out. Table, protocol and oif are compared in the kernel (from 4.20 on), which
 * still walks all of its routes. Heap, the caller frees.
 */
int route_list(struct nl *nl, const struct route_filter *filter, struct route **ret, size_t *ret_n,
	struct err *err);

/* A packet whose way is asked for. Fields that are zero: not known, any. */
struct route_query {
	struct ip_addr dst, src;
	int oif;               /* only by this link */
	uint32_t mark;         /* as of the packets */
	uint16_t sport, dport; /* of UDP, for rules that look at them */
};
/*
 * Which way such a packet would go now: oif, gateway, src, mtu. Else -ENETUNREACH and the like,
 * also where src is not ours.
 */
int route_lookup(
	struct nl *nl, const struct route_query *query, struct route *ret, struct err *err);

/* Whether a rule of @family sends packets to the routing table @table. */
int route_has_rule_to(struct nl *nl, uint8_t family, uint32_t table, bool *ret, struct err *err);

/*
 * The default route of @family by which packets would leave through the link @oif, without listing
 * what other routes there are: 1 and *ret, 0 if there is none, or -errno.
 */
int route_default_of(struct nl *nl, int family, int oif, struct route *ret, struct err *err);

/* nl_parse: a RTM_NEWROUTE or RTM_DELROUTE message into struct route; 0 for what is not listed. */
int route_parse(void *unused, const struct nlmsghdr *nlh, void *ret_route);
