/* fake-net: see fake-net.h. */
#include "fake-net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sys/net/rule.h"

struct fake_net fake_net;

void fake_net_reset(void)
{
	free(fake_net.routes);
	fake_net = (struct fake_net){ 0 };
}

static int refused(const char *call, struct err *err)
{
	if (!fake_net.refuses || strcmp(fake_net.refuses, call) != 0)
		return 0;
	fake_net.refusals++;
	return err_set(err, fake_net.with, "%s: %s", call, strerror(-fake_net.with));
}

/* A copy of @n elements of @size bytes that the caller frees. */
static void *copy(const void *list, size_t n, size_t size)
{
	void *ret = calloc(n + 1, size);

	assert_non_null(ret);
	if (n)
		memcpy(ret, list, n * size);
	return ret;
}

/* --- links --- */

struct link *fake_net_link(const char *name, const char *kind)
{
	struct link *link = &fake_net.links[fake_net.n_links];

	assert_true(fake_net.n_links < FAKE_LINKS_MAX);
	*link = (struct link){ .index = (int) ++fake_net.n_links, .flags = IFF_UP, .mtu = 1500 };
	(void) snprintf(link->name, sizeof(link->name), "%s", name);
	(void) snprintf(link->kind, sizeof(link->kind), "%s", kind);
	return link;
}

static struct link *by_name(const char *name)
{
	for (size_t i = 0; i < fake_net.n_links; i++)
		if (!strcmp(fake_net.links[i].name, name))
			return &fake_net.links[i];
	return NULL;
}

static struct link *by_index(int index)
{
	for (size_t i = 0; i < fake_net.n_links; i++)
		if (fake_net.links[i].index == index)
			return &fake_net.links[i];
	return NULL;
}

struct link *fake_net_get(const char *name)
{
	struct link *link = by_name(name);

	assert_non_null(link);
	return link;
}

static int tell(const char *call, const struct link *link, struct link *ret, struct err *err)
{
	int r = refused(call, err);

	if (r < 0)
		return r;
	if (!link)
		return err_set(err, -ENODEV, "there is no such link");
	*ret = *link;
	return 0;
}

int link_find(struct nl *nl, const char *name, struct link *ret, struct err *err)
{
	return tell("link_find", by_name(name), ret, err);
}

int link_get(struct nl *nl, int index, struct link *ret, struct err *err)
{
	return tell("link_get", by_index(index), ret, err);
}

int link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err)
{
	int r = refused("link_list", err);

	if (r < 0)
		return r;
	*ret = copy(fake_net.links, fake_net.n_links, sizeof(**ret));
	*ret_n = fake_net.n_links;
	return 0;
}

/* The link that @call changes; NULL and *r: it does not. */
static struct link *change(const char *call, int index, int *r, struct err *err)
{
	struct link *link = by_index(index);

	*r = refused(call, err);
	if (*r < 0)
		return NULL;
	if (!link)
		*r = err_set(err, -ENODEV, "there is no link %d", index);
	else
		fake_net.changes++;
	return link;
}

int link_set_up(struct nl *nl, int index, bool up, struct err *err)
{
	int r;
	struct link *link = change("link_set_up", index, &r, err);

	if (link && up)
		link->flags |= IFF_UP;
	else if (link)
		link->flags &= ~(unsigned) IFF_UP;
	return r;
}

int link_set_mtu(struct nl *nl, int index, unsigned mtu, struct err *err)
{
	int r;
	struct link *link = change("link_set_mtu", index, &r, err);

	if (link)
		link->mtu = mtu;
	return r;
}

int link_set_name(struct nl *nl, int index, const char *name, struct err *err)
{
	struct link *link;
	int r;

	if (by_name(name))
		return err_set(err, -EEXIST, "%s exists", name);
	link = by_index(index);
	if (link && fake_net.busy_while_up && (link->flags & IFF_UP))
		return err_set(err, -EBUSY, "%s is up", link->name);
	link = change("link_set_name", index, &r, err);
	if (link)
		(void) snprintf(link->name, sizeof(link->name), "%s", name);
	return r;
}

int link_set_alias(struct nl *nl, int index, const char *alias, struct err *err)
{
	int r;
	struct link *link = change("link_set_alias", index, &r, err);

	if (link)
		(void) snprintf(link->alias, sizeof(link->alias), "%s", alias);
	return r;
}

int link_set_no_autoaddr6(struct nl *nl, int index, struct err *err)
{
	int r;

	(void) change("link_set_no_autoaddr6", index, &r, err);
	return r;
}

int link_delete(struct nl *nl, int index, struct err *err)
{
	int r;
	struct link *link = change("link_delete", index, &r, err);

	if (link)
		*link = fake_net.links[--fake_net.n_links];
	return r;
}

char *if_indextoname(unsigned index, char ret[IF_NAMESIZE])
{
	const struct link *link = by_index((int) index);

	return link ? strcpy(ret, link->name) : NULL;
}

/* --- addresses --- */

static bool is_same_addr(const struct link_addr *a, const struct link_addr *b)
{
	return a->ifindex == b->ifindex && a->prefix_len == b->prefix_len &&
	       ip_addr_equal(&a->addr, &b->addr);
}

int addr_list(struct nl *nl, int ifindex, int family, struct link_addr **ret, size_t *ret_n,
	struct err *err)
{
	struct link_addr found[FAKE_ADDRS_MAX];
	size_t n = 0;
	int r = refused("addr_list", err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < fake_net.n_addrs; i++)
		if ((!ifindex || fake_net.addrs[i].ifindex == ifindex) &&
			(family == AF_UNSPEC || fake_net.addrs[i].addr.family == family))
			found[n++] = fake_net.addrs[i];
	*ret = copy(found, n, sizeof(**ret));
	*ret_n = n;
	return 0;
}

int addr_add(struct nl *nl, const struct link_addr *addr, struct err *err)
{
	int r = refused(addr->addr.family == AF_INET6 ? "addr_add6" : "addr_add", err);

	if (r < 0)
		return r;
	assert_true(fake_net.n_addrs < FAKE_ADDRS_MAX);
	fake_net.addrs[fake_net.n_addrs++] = *addr;
	fake_net.changes++;
	return 0;
}

int addr_del(struct nl *nl, const struct link_addr *addr, struct err *err)
{
	for (size_t i = 0; i < fake_net.n_addrs; i++)
		if (is_same_addr(&fake_net.addrs[i], addr)) {
			fake_net.addrs[i] = fake_net.addrs[--fake_net.n_addrs];
			fake_net.changes++;
			return 0;
		}
	return err_set(err, -EADDRNOTAVAIL, "there is no such address");
}

/* --- routes --- */

static struct route *add_route(const struct route *route)
{
	struct route *list = reallocarray(fake_net.routes, fake_net.n_routes + 1, sizeof(*list));

	assert_non_null(list);
	fake_net.routes = list;
	list[fake_net.n_routes] = *route;
	return &list[fake_net.n_routes++];
}

struct route *fake_net_route(const char *dst, int oif)
{
	struct route route = { .oif = oif, .protocol = ROUTE_PROTOCOL_HEARTH };

	assert_int_equal(ip_prefix_parse(dst, &route.dst), 0);
	return add_route(&route);
}

int route_list(struct nl *nl, const struct route_filter *filter, struct route **ret, size_t *ret_n,
	struct err *err)
{
	int r = refused("route_list", err);
	size_t n = 0;

	if (r < 0)
		return r;
	*ret = copy(fake_net.routes, fake_net.n_routes, sizeof(**ret));
	for (size_t i = 0; i < fake_net.n_routes; i++)
		if (fake_net.routes[i].protocol == filter->protocol)
			(*ret)[n++] = fake_net.routes[i];
	*ret_n = n;
	return 0;
}

int route_replace(struct nl *nl, const struct route *route, struct err *err)
{
	int r = refused("route_replace", err);

	if (r < 0)
		return r;
	fake_net.changes++;
	for (size_t i = 0; i < fake_net.n_routes; i++)
		if (ip_prefix_equal(&fake_net.routes[i].dst, &route->dst)) {
			fake_net.routes[i] = *route;
			return 0;
		}
	(void) add_route(route);
	return 0;
}

int route_del(struct nl *nl, const struct route *route, struct err *err)
{
	for (size_t i = 0; i < fake_net.n_routes; i++)
		if (ip_prefix_equal(&fake_net.routes[i].dst, &route->dst) &&
			fake_net.routes[i].oif == route->oif) {
			fake_net.routes[i] = fake_net.routes[--fake_net.n_routes];
			fake_net.changes++;
			return 0;
		}
	return err_set(err, -ESRCH, "there is no such route");
}

/* The longest prefix decides. */
int route_lookup(struct nl *nl, const struct route_query *query, struct route *ret, struct err *err)
{
	const struct route *found = NULL;
	int r = refused("route_lookup", err);

	fake_net.lookups++;
	if (r < 0)
		return r;
	for (size_t i = 0; i < fake_net.n_routes; i++)
		if (ip_prefix_contains(&fake_net.routes[i].dst, &query->dst) &&
			(!found || fake_net.routes[i].dst.len > found->dst.len))
			found = &fake_net.routes[i];
	if (!found)
		return err_set(err, -ENETUNREACH, "no route leads there");
	*ret = *found;
	return 0;
}

/* --- the rule --- */

int rule_prohibit(struct nl *nl, const char *ifname, struct err *err)
{
	int r = refused("rule_prohibit", err);

	fake_net.rules++;
	if (r == 0)
		(void) snprintf(fake_net.prohibited, sizeof(fake_net.prohibited), "%s", ifname);
	return r;
}

int rule_permit(struct nl *nl, const char *ifname, struct err *err)
{
	int r = refused("rule_permit", err);

	fake_net.rules++;
	if (r == 0 && !strcmp(fake_net.prohibited, ifname))
		fake_net.prohibited[0] = '\0';
	return r;
}
