/*
 * routes: what the mesh's interface must carry, and the difference to what the kernel has. Pure.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "sys/net/route.h"
#include "wire/node.h"

struct routes {
	struct route *list; /* owned */
	size_t n;
	size_t room;
};

void routes_done(struct routes *routes);
#define CLEANUP_ROUTES CLEANUP(routes_done)

/*
 * Appends the routes to @peer's addresses and pods through @ifindex, from our own address of their
 * family, for packets of @mtu bytes; of IPv6, MTU_LEAST at least. 0 or -ENOMEM.
 */
int routes_add_peer(struct routes *routes, const struct node *self, const struct node *peer,
	int ifindex, unsigned mtu);

/* Without IPv6 on the interface the kernel takes none through it. */
void routes_drop_ipv6(struct routes *routes);

/*
 * @want against @have (those of our protocol number in the main table): which to set and which to
 * delete. What leads through another interface than @ifindex is another mesh's of this machine: it
 * is not deleted, and a route that it has is not set but told of in *ret_taken (-1: there is none,
 * else its index in @have). Empty, zero-initialised results. 0 or -ENOMEM.
 */
int routes_compare(const struct routes *want, int ifindex, const struct route *have, size_t n_have,
	struct routes *ret_set, struct routes *ret_delete, ssize_t *ret_taken);
