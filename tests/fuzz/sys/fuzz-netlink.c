/* Netlink messages into structs: no byte sequence reads beyond its end. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/neigh.h"
#include "sys/net/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As a receive buffer: aligned, and exactly as long as what came. */
	CLEANUP(free_p) void *copy = malloc(size ? size : 1);

	if (!copy || size > 65536)
		return 0;
	memcpy(copy, data, size);
	const void *at = copy;

	for (const struct nlmsghdr *nlh; (nlh = nl_next(&at, &size));) {
		struct link link;
		struct link_addr addr;
		struct route route;
		struct neigh neigh;

		if (link_parse(NULL, nlh, &link) > 0 && strlen(link.name) >= IFNAMSIZ)
			abort();
		(void) addr_parse(NULL, nlh, &addr);
		if (route_parse(NULL, nlh, &route) > 0 &&
			route.dst.len > ip_bits(route.dst.addr.family))
			abort();
		(void) neigh_parse(NULL, nlh, &neigh);
	}
	return 0;
}
