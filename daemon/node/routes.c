/*
 * A route that is right already is not touched, so that applying the same state again makes no
 * noise for those who watch rtnetlink.
 */
#include "node/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "base/cleanup.h"

void routes_done(struct routes *routes)
{
	free(routes->list);
	*routes = (struct routes){ 0 };
}

static int add(struct routes *routes, const struct route *route)
{
	if (routes->n == routes->room) {
		size_t room = routes->room ? routes->room * 2 : 16;
		struct route *list = reallocarray(routes->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		routes->list = list;
		routes->room = room;
	}
	routes->list[routes->n++] = *route;
	return 0;
}

int routes_add_peer(
	struct routes *routes, const struct node *self, const struct node *peer, int ifindex)
{
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	size_t n = node_allowed_ips(peer, allowed);

	for (size_t i = 0; i < n; i++) {
		struct route route = {
			.dst = allowed[i],
			.oif = ifindex,
			.src = allowed[i].addr.family == AF_INET ? self->mesh4 : self->mesh6,
			.mtu = ROUTES_MTU,
			.protocol = ROUTE_PROTOCOL_HEARTH,
		};
		int r = add(routes, &route);

		if (r < 0)
			return r;
	}
	return 0;
}

void routes_drop_ipv6(struct routes *routes)
{
	size_t n = 0;

	for (size_t i = 0; i < routes->n; i++)
		if (routes->list[i].dst.addr.family != AF_INET6)
			routes->list[n++] = routes->list[i];
	routes->n = n;
}

static bool same(const struct route *want, const struct route *have)
{
	return ip_prefix_equal(&want->dst, &have->dst) && want->oif == have->oif &&
	       want->mtu == have->mtu && ip_addr_equal(&want->src, &have->src) &&
	       have->gateway.family == AF_UNSPEC;
}

/* Two routes that replace one another in the kernel: same destination, default priority. */
static bool replaces(const struct route *want, const struct route *have)
{
	return ip_prefix_equal(&want->dst, &have->dst);
}

/* Through an interface that works: one without a tunnel behind it gives up what it has. */
static bool is_held(const struct route *have, int ifindex)
{
	return have->oif != ifindex && !(have->flags & (RTNH_F_LINKDOWN | RTNH_F_DEAD));
}

/* What becomes of @want: 1 to be set, 0 not; *taken if another has it. */
static bool is_missing(const struct route *want, int ifindex, const struct route *have,
	size_t n_have, ssize_t *taken)
{
	bool found = false;

	for (size_t i = 0; i < n_have; i++) {
		if (is_held(&have[i], ifindex) && replaces(want, &have[i])) {
			*taken = (ssize_t) i;
			return false;
		}
		found = found || same(want, &have[i]);
	}
	return !found;
}

static bool is_wanted(const struct routes *want, const struct route *have)
{
	for (size_t i = 0; i < want->n; i++)
		if (replaces(&want->list[i], have))
			return true;
	return false;
}

int routes_compare(const struct routes *want, int ifindex, const struct route *have, size_t n_have,
	struct routes *ret_set, struct routes *ret_delete, ssize_t *ret_taken)
{
	int r = 0;

	*ret_taken = -1;
	for (size_t i = 0; i < want->n && r == 0; i++)
		if (is_missing(&want->list[i], ifindex, have, n_have, ret_taken))
			r = add(ret_set, &want->list[i]);
	for (size_t j = 0; j < n_have && r == 0; j++)
		if (have[j].oif == ifindex && !is_wanted(want, &have[j]))
			r = add(ret_delete, &have[j]);
	return r;
}
