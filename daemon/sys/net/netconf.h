/*
 * netconf: what sysctl has under net/ipv4/conf and net/ipv6/conf, by rtnetlink, which also works
 * where /proc/sys is not to be seen (ProcSubset=pid).
 */
#pragma once

#include "sys/net/nl.h"

enum { NETCONF_ALL = -1 }; /* as an index: "all", which for IPv4 is ip_forward */

struct netconf {
	int family;
	int ifindex;
	int forwarding; /* 0, 1; -1: not said */
};

/*
 * The settings of @ifindex or NETCONF_ALL. -EOPNOTSUPP and others: this kernel has no such family.
 */
int netconf_get(struct nl *nl, int family, int ifindex, struct netconf *ret, struct err *err);

/* nl_parse: a RTM_NEWNETCONF message into struct netconf. */
int netconf_parse(void *unused, const struct nlmsghdr *nlh, void *ret_netconf);
