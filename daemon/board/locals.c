/* locals: see locals.h. Asked of rtnetlink, which needs no rights. */
#include "board/locals.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/names.h"
#include "board/links.h"

enum { TAILSCALE_TABLE = 52 };

void locals_done(struct locals *locals)
{
	free(locals->list);
	free(locals->links);
	*locals = (struct locals){ 0 };
}

static const char *link_name(const struct locals *locals, int index)
{
	for (size_t i = 0; i < locals->n_links; i++)
		if (locals->links[i].index == index)
			return locals->links[i].name;
	return "?";
}

static bool is_own(const struct locals_own *own, const char *ifname, const struct ip_prefix *prefix)
{
	if (names_is_pod_link(ifname) || (own->ifname && !strcmp(ifname, own->ifname)))
		return true;
	return prefix->len == ip_bits(prefix->addr.family) &&
	       (ip_addr_equal(&prefix->addr, &own->mesh4) ||
		       ip_addr_equal(&prefix->addr, &own->mesh6));
}

static void add(struct locals *locals, const struct locals_own *own, const struct ip_prefix *prefix,
	int ifindex)
{
	const char *name = link_name(locals, ifindex);

	/* What Tailscale has itself lies in the ranges that it drops: that says it better. */
	if (!is_own(own, name, prefix) && !links_is_tailscale(name))
		locals->list[locals->n++] = (struct ranges_local){ *prefix, name };
}

static bool is_foreign(const struct route *route)
{
	return route->dst.len && route->protocol != ROUTE_PROTOCOL_HEARTH &&
	       route->protocol != ROUTE_PROTOCOL_HEARTH_CNI;
}

int locals_find(const struct locals_own *own, const struct link_addr *addrs, size_t n_addrs,
	const struct route *routes, size_t n_routes, struct locals *ret)
{
	ret->list = calloc(n_addrs + n_routes + 1, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < n_addrs; i++) {
		struct ip_prefix prefix = ip_prefix_of(&addrs[i].addr, addrs[i].prefix_len);

		add(ret, own, &prefix, addrs[i].ifindex);
	}
	for (size_t i = 0; i < n_routes; i++)
		if (is_foreign(&routes[i]))
			add(ret, own, &routes[i].dst, routes[i].oif);
	for (size_t i = 0; i < ret->n_links; i++)
		ret->tailscale = ret->tailscale || links_is_tailscale(ret->links[i].name);
	return 0;
}

/* A kernel without rules has none of Tailscale's. */
static bool has_tailscale_rule(struct nl *nl, uint8_t family)
{
	bool found = false;

	return route_has_rule_to(nl, family, TAILSCALE_TABLE, &found, NULL) == 0 && found;
}

int locals_read(const struct locals_own *own, struct locals *ret, struct err *err)
{
	struct route_filter main_table = { .table = RT_TABLE_MAIN };
	CLEANUP_LOCALS struct locals locals = { 0 };
	CLEANUP(free_p) struct link_addr *addrs = NULL;
	CLEANUP(free_p) struct route *routes = NULL;
	CLEANUP_NL struct nl *nl = NULL;
	size_t n_addrs = 0, n_routes = 0;
	int r = nl_open(&nl, err);

	if (r == 0)
		r = link_list(nl, &locals.links, &locals.n_links, err);
	if (r == 0)
		r = addr_list(nl, 0, AF_UNSPEC, &addrs, &n_addrs, err);
	if (r == 0)
		r = route_list(nl, &main_table, &routes, &n_routes, err);
	if (r == 0 && locals_find(own, addrs, n_addrs, routes, n_routes, &locals) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	locals.tailscale = locals.tailscale || has_tailscale_rule(nl, AF_INET) ||
			   has_tailscale_rule(nl, AF_INET6);
	*ret = locals;
	locals = (struct locals){ 0 };
	return 0;
}
