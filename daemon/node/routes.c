/*
 * A route that is right already is not touched, so that applying the same state again makes no
 * noise for those who watch rtnetlink. A mesh of a thousand boards has three thousand routes: what
 * is wanted and what there is are looked up by destination, not compared one by one.
 */
#include "node/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "mesh/mtu.h"

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

/*
 * IPv6 has no links that carry less (RFC 8200 section 5): what its packets are sealed into then
 * travels in outer fragments, where the way is that narrow. IPv4 packets become shorter instead.
 */
static unsigned mtu_for(uint8_t family, unsigned mtu)
{
	return family == AF_INET6 && mtu < MTU_LEAST ? MTU_LEAST : mtu;
}

int routes_add_peer(struct routes *routes, const struct node *self, const struct node *peer,
	int ifindex, unsigned mtu)
{
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	size_t n = node_allowed_ips(peer, allowed);

	for (size_t i = 0; i < n; i++) {
		struct route route = {
			.dst = allowed[i],
			.oif = ifindex,
			.src = allowed[i].addr.family == AF_INET ? self->mesh4 : self->mesh6,
			.mtu = mtu_for(allowed[i].addr.family, mtu),
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

/* Of two routes to the same destination. */
static bool same(const struct route *want, const struct route *have)
{
	return want->oif == have->oif && want->mtu == have->mtu &&
	       ip_addr_equal(&want->src, &have->src) && have->gateway.family == AF_UNSPEC;
}

/* Through an interface that works: one without a tunnel behind it gives up what it has. */
static bool is_held(const struct route *have, int ifindex)
{
	return have->oif != ifindex && !(have->flags & (RTNH_F_LINKDOWN | RTNH_F_DEAD));
}

/*
 * Routes by destination: two to the same one, of default priority, replace one another in the
 * kernel. Those with the same one as they were listed.
 */
struct sorted {
	const struct route **list; /* owned; the routes are borrowed */
	size_t n;
};

static void sorted_done(struct sorted *sorted)
{
	free(sorted->list);
}

static int by_dst(const void *a, const void *b)
{
	const struct route *one = *(const struct route *const *) a;
	const struct route *other = *(const struct route *const *) b;
	int order = ip_prefix_compare(&one->dst, &other->dst);

	return order ? order : (one > other) - (one < other);
}

static int sort(const struct route *list, size_t n, struct sorted *ret)
{
	const struct route **sorted = calloc(n + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &list[i];
	qsort(sorted, n, sizeof(*sorted), by_dst);
	*ret = (struct sorted){ .list = sorted, .n = n };
	return 0;
}

/* The routes to @dst: from the returned one on, *ret_n of them. */
static const struct route *const *find(
	const struct sorted *sorted, const struct ip_prefix *dst, size_t *ret_n)
{
	size_t low = 0, high = sorted->n, end;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ip_prefix_compare(&sorted->list[mid]->dst, dst) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < sorted->n; end++)
		if (!ip_prefix_equal(&sorted->list[end]->dst, dst))
			break;
	*ret_n = end - low;
	return &sorted->list[low];
}

/* What becomes of @want: true: it is to be set; *ret_taken if another has it. */
static bool is_missing(const struct route *want, int ifindex, const struct sorted *have,
	const struct route **ret_taken)
{
	size_t n;
	const struct route *const *list = find(have, &want->dst, &n);
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (is_held(list[i], ifindex)) {
			*ret_taken = list[i];
			return false;
		}
		found = found || same(want, list[i]);
	}
	return !found;
}

static bool is_wanted(const struct sorted *want, const struct route *have)
{
	size_t n;

	(void) find(want, &have->dst, &n);
	return n > 0;
}

int routes_compare(const struct routes *want, int ifindex, const struct route *have, size_t n_have,
	struct routes *ret_set, struct routes *ret_delete, ssize_t *ret_taken)
{
	CLEANUP(sorted_done) struct sorted wanted = { 0 };
	CLEANUP(sorted_done) struct sorted there = { 0 };
	const struct route *taken = NULL;
	int r = sort(want->list, want->n, &wanted);

	if (r == 0)
		r = sort(have, n_have, &there);
	for (size_t i = 0; i < want->n && r == 0; i++)
		if (is_missing(&want->list[i], ifindex, &there, &taken))
			r = add(ret_set, &want->list[i]);
	for (size_t j = 0; j < n_have && r == 0; j++)
		if (have[j].oif == ifindex && !is_wanted(&wanted, &have[j]))
			r = add(ret_delete, &have[j]);
	*ret_taken = taken ? taken - have : -1;
	return r;
}
