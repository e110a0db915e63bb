/*
 * Pure: no system call, no clock. Endpoints are sorted by value, not by rank: a default route that
 * comes or goes is no news for others.
 */
#include "node/candidates.h"

#include <stdlib.h>
#include <string.h>

enum { MTU_MIN = 1280, MTU_MAX = 65535 };

static int compare_endpoints(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	if (x->addr.family != y->addr.family)
		return x->addr.family == AF_INET ? -1 : 1;
	return memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void add_name(char (*list)[IFNAMSIZ], size_t *n, const struct link_verdict *v)
{
	if (*n < CANDIDATES_LINKS_MAX)
		memcpy(list[(*n)++], v->name, IFNAMSIZ);
}

/* A port's packets come in by its master, whose name counts. */
static void find_names(const struct links *links, struct candidates *c)
{
	for (size_t i = 0; i < links->n; i++) {
		const struct link_verdict *v = &links->list[i];
		bool by_pattern = links_matches_inside_pattern(v->name);

		if (v->class == LINK_CLASS_PORT || v->class == LINK_CLASS_POD ||
			v->inside == by_pattern)
			continue;
		if (v->inside)
			add_name(c->inside, &c->n_inside, v);
		else
			add_name(c->outside, &c->n_outside, v);
	}
	qsort(c->inside, c->n_inside, sizeof(c->inside[0]), compare_names);
	qsort(c->outside, c->n_outside, sizeof(c->outside[0]), compare_names);
}

/* Of the links whose addresses are announced: where nothing is, nothing goes. */
static unsigned find_mtu(const struct links *links)
{
	unsigned of_default = 0, of_any = 0;

	for (size_t i = 0; i < links->n_addrs; i++) {
		const struct link_verdict *v = &links->list[links->addrs[i].link];

		if (v->class == LINK_CLASS_LOOPBACK)
			continue;
		if (v->has_default && v->mtu > of_default)
			of_default = v->mtu;
		if (v->mtu > of_any)
			of_any = v->mtu;
	}
	return of_default ? of_default : of_any;
}

void candidates_find(const struct links *links, uint16_t port, struct candidates *ret)
{
	struct candidates c = { .mtu = find_mtu(links) };

	for (size_t i = 0; i < links->n_addrs; i++) {
		c.endpoints[i].addr = links->addrs[i].addr;
		c.endpoints[i].port = port;
	}
	c.n_endpoints = links->n_addrs;
	qsort(c.endpoints, c.n_endpoints, sizeof(c.endpoints[0]), compare_endpoints);
	find_names(links, &c);
	*ret = c;
}

static bool same_names(const char (*a)[IFNAMSIZ], size_t n_a, const char (*b)[IFNAMSIZ], size_t n_b)
{
	for (size_t i = 0; n_a == n_b && i < n_a; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return n_a == n_b;
}

bool candidates_same_endpoints(const struct candidates *a, const struct candidates *b)
{
	if (a->n_endpoints != b->n_endpoints)
		return false;
	for (size_t i = 0; i < a->n_endpoints; i++)
		if (!endpoint_equal(&a->endpoints[i], &b->endpoints[i]))
			return false;
	return true;
}

bool candidates_equal(const struct candidates *a, const struct candidates *b)
{
	return a->mtu == b->mtu && candidates_same_endpoints(a, b) &&
	       same_names(a->inside, a->n_inside, b->inside, b->n_inside) &&
	       same_names(a->outside, a->n_outside, b->outside, b->n_outside);
}

unsigned candidates_interface_mtu(unsigned uplink_mtu)
{
	unsigned mtu = uplink_mtu ? uplink_mtu : CANDIDATES_MTU_DEFAULT;

	mtu = mtu > CANDIDATES_OVERHEAD ? mtu - CANDIDATES_OVERHEAD : 0;
	if (mtu < MTU_MIN)
		return MTU_MIN;
	return mtu > MTU_MAX - CANDIDATES_OVERHEAD ? MTU_MAX - CANDIDATES_OVERHEAD : mtu;
}
