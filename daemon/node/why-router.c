/* why-router: see why-router.h. */
#include "node/why-router.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "node/portmap-way.h"
#include "sys/net/neigh.h"

void why_router_find(struct nl *nl, const struct links *links, char ret[static WHY_ROUTER_MAX])
{
	CLEANUP(free_p) struct neigh *list = NULL;
	struct pmp_way way;
	size_t n = 0;

	*ret = 0;
	if (!portmap_find_way(nl, links, AF_INET, &way) ||
		neigh_list(nl, way.ifindex, &list, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *mac = list[i].mac;

		if (ip_addr_equal(&list[i].addr, &way.gateway))
			(void) snprintf(ret, WHY_ROUTER_MAX, "%02x:%02x:%02x:%02x:%02x:%02x",
				mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	}
}
