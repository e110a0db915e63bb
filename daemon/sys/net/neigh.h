/*
 * neigh: neighbour entries that others may not crowd out: permanent ones (no ARP or neighbour
 * discovery for them, ever), and ones that the kernel fills in itself.
 */
#pragma once

#include "sys/net/link.h"

struct neigh {
	int ifindex;
	struct ip_addr addr;
	uint8_t mac[LINK_MAC_LEN];
	uint16_t state; /* NUD_PERMANENT ... */
};

/* Adds or replaces. */
int neigh_set_permanent(struct nl *nl, int ifindex, const struct ip_addr *addr,
	const uint8_t mac[static LINK_MAC_LEN], struct err *err);
/*
 * Adds or replaces an entry without a link address: the kernel asks for it when it is needed, and
 * believes a new one later. Unlike those it makes by itself it is not counted when its table is
 * full, nor dropped.
 */
int neigh_set_learning(struct nl *nl, int ifindex, const struct ip_addr *addr, struct err *err);
int neigh_list(struct nl *nl, int ifindex, struct neigh **ret, size_t *ret_n, struct err *err);

/* nl_parse; 0 for entries without a six-byte link address. */
int neigh_parse(void *unused, const struct nlmsghdr *nlh, void *ret_neigh);
