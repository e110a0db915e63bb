/* portmap-way: see portmap-way.h. */
#include "node/portmap-way.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "base/cleanup.h"

static const struct link_verdict *uplink_of(const struct links *links, int ifindex)
{
	for (size_t i = 0; i < links->n; i++)
		if (links->list[i].index == ifindex && links->list[i].up &&
			(links->list[i].class == LINK_CLASS_UPLINK ||
				links->list[i].class == LINK_CLASS_UNKNOWN))
			return &links->list[i];
	return NULL;
}

/* The board's address on that link: of IPv6 one of the internet's. */
static bool own_address(
	const struct links *links, const struct link_verdict *link, int family, struct ip_addr *ret)
{
	for (size_t i = 0; i < links->n_addrs; i++) {
		const struct links_address *a = &links->addrs[i];

		if (&links->list[a->link] != link || a->addr.family != family ||
			(family == AF_INET6 && ip_addr_is_private(&a->addr)))
			continue;
		*ret = a->addr;
		return true;
	}
	return false;
}

/* Of several routes the kernel takes that of the lowest priority; one without a carrier is last. */
static uint64_t rank(const struct route *route)
{
	bool dead = route->flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);

	return ((uint64_t) dead << 32) | route->priority;
}

bool portmap_find_way(struct nl *nl, const struct links *links, int family, struct pmp_way *ret)
{
	const struct route_filter filter = {
		.family = family, .table = RT_TABLE_MAIN, .only_default = true
	};
	CLEANUP(free_p) struct route *routes = NULL;
	const struct route *best = NULL;
	size_t n = 0;

	if (route_list(nl, &filter, &routes, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct route *r = &routes[i];
		const struct link_verdict *link = uplink_of(links, r->oif);
		struct pmp_way way = { .gateway = r->gateway, .ifindex = r->oif };

		if (r->gateway.family != family || !link || (best && rank(best) <= rank(r)) ||
			!own_address(links, link, family, &way.own))
			continue;
		best = r;
		*ret = way;
	}
	return best != NULL;
}
