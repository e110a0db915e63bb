/*
 * addr: addresses on links, both families.
 */
#pragma once

#include <linux/if_addr.h>
#include <stdbool.h>
#include <stdint.h>

#include "sys/net/nl.h"

#define ADDR_FOREVER UINT32_MAX

struct link_addr {
	int ifindex;
	struct ip_addr addr; /* our own address (IFA_LOCAL where there is one) */
	uint8_t prefix_len;
	uint8_t scope;  /* RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST; for IPv6 the kernel's */
	uint32_t flags; /* IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_TEMPORARY, IFA_F_DEPRECATED,
	                      * IFA_F_TENTATIVE, IFA_F_DADFAILED, IFA_F_PERMANENT ... */
	/* Seconds; ADDR_FOREVER: no end. For addr_add() valid 0 means both ADDR_FOREVER. */
	uint32_t preferred_s, valid_s;
};

/* Adds, or changes flags and lifetimes of the same address. */
int addr_add(struct nl *nl, const struct link_addr *addr, struct err *err);
/* -EADDRNOTAVAIL if it is not there. */
int addr_del(struct nl *nl, const struct link_addr *addr, struct err *err);
/* Of one link (@ifindex 0: all) and family (AF_UNSPEC: both). Heap, the caller frees. */
int addr_list(struct nl *nl, int ifindex, int family, struct link_addr **ret, size_t *ret_n,
	struct err *err);

/* nl_parse: a RTM_NEWADDR or RTM_DELADDR message into struct link_addr; 0 for other families. */
int addr_parse(void *unused, const struct nlmsghdr *nlh, void *ret_addr);
