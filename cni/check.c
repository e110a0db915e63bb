/*
 * CHECK: prevResult, the lease and the live state say the same, or the message names the
 * difference. What plugins chained behind this one added is tolerated, and what they change: the
 * pod's MAC address and routes, where the result says so; MTU, flags, sysctls and queues, of which
 * it does not.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cni/attach.h"
#include "cni/plugin.h"
#include "cni/result.h"
#include "sys/lease/leases.h"
#include "sys/net/addr.h"
#include "sys/net/neigh.h"
#include "sys/net/route.h"

struct check {
	const struct env *env;
	const struct conf *conf;
	struct attachment at;
	struct result prev;
	struct lease lease;
	struct err *err;
};

#define DIFFERS(c, ...) err_set((c)->err, -EBADMSG, __VA_ARGS__)

static int check_prev(struct check *c)
{
	char text[IP_TEXT_MAX];

	if (!c->prev.has_pod)
		return DIFFERS(c, "prevResult has no interface %s in a sandbox", c->env->ifname);
	if (!c->prev.has_host)
		return DIFFERS(c, "prevResult has no interface %s", c->at.link);
	if (strcmp(c->prev.sandbox, c->env->netns))
		return DIFFERS(c, "prevResult says sandbox %.200s, CNI_NETNS %.200s",
			c->prev.sandbox, c->env->netns);
	for (size_t i = 0; i < c->lease.n_addrs; i++) {
		bool found = false;

		for (size_t j = 0; j < c->prev.n_addrs && !found; j++)
			found = ip_addr_equal(&c->lease.addrs[i], &c->prev.addrs[j].addr);
		if (!found)
			return DIFFERS(c, "address %s is leased but not in prevResult",
				ip_addr_format(&c->lease.addrs[i], text));
	}
	return 0;
}

static int check_link(struct check *c, const struct link *link, const char *where, const char *mac)
{
	char text[LINK_MAC_TEXT_MAX];

	if (strcmp(link->kind, "veth"))
		return DIFFERS(c, "link %s %s is no veth", link->name, where);
	if (*mac && strcasecmp(mac, link_mac_format(link->mac, text)))
		return DIFFERS(c, "link %s %s has MAC address %s, prevResult says %s", link->name,
			where, text, mac);
	if (!(link->flags & IFF_UP))
		return DIFFERS(c, "link %s %s is down", link->name, where);
	return 0;
}

static int check_host_route(struct check *c, struct nl *nl, int index, const struct ip_addr *addr)
{
	CLEANUP(free_p) struct route *routes = NULL;
	size_t n = 0;
	char text[IP_TEXT_MAX];
	struct route_filter filter = { .family = addr->family,
		.table = RT_TABLE_MAIN,
		.protocol = ROUTE_PROTOCOL_HEARTH_CNI,
		.oif = index };
	int r = route_list(nl, &filter, &routes, &n, c->err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (routes[i].dst.len == ip_bits(addr->family) &&
			ip_addr_equal(&routes[i].dst.addr, addr))
			return 0;
	return DIFFERS(c, "the route to %s through %s is missing on the host",
		ip_addr_format(addr, text), c->at.link);
}

static int check_host(struct check *c, struct nl *nl, int *ret_pod_index)
{
	struct link link;
	int r = link_find(nl, c->at.link, &link, c->err);

	if (r < 0)
		return r;
	if (strcmp(link.alias, c->at.alias))
		return DIFFERS(c, "link %s belongs to \"%s\"", link.name, link.alias);
	r = check_link(c, &link, "on the host", c->prev.host_mac);
	for (size_t i = 0; i < c->lease.n_addrs && r == 0; i++)
		r = check_host_route(c, nl, link.index, &c->lease.addrs[i]);
	*ret_pod_index = link.peer_index;
	return r;
}

static int check_pod_addresses(struct check *c, struct nl *nl, int index)
{
	CLEANUP(free_p) struct link_addr *addrs = NULL;
	size_t n = 0;
	char text[PREFIX_TEXT_MAX];
	int r = addr_list(nl, index, AF_UNSPEC, &addrs, &n, c->err);

	for (size_t i = 0; r == 0 && i < c->prev.n_addrs; i++) {
		bool found = false;

		for (size_t j = 0; j < n && !found; j++)
			found = addrs[j].prefix_len == c->prev.addrs[i].len &&
				ip_addr_equal(&addrs[j].addr, &c->prev.addrs[i].addr);
		if (!found)
			r = DIFFERS(c, "address %s of prevResult is not on %s in the pod",
				ip_prefix_format(&c->prev.addrs[i], text), c->env->ifname);
	}
	return r;
}

static bool has_route(const struct route *routes, size_t n, const struct ip_prefix *dst,
	const struct ip_addr *via, int oif)
{
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_equal(&routes[i].dst, dst) && (!oif || routes[i].oif == oif) &&
			(!via->family || ip_addr_equal(&routes[i].gateway, via)))
			return true;
	return false;
}

/*
 * Whether the pod is to have a default route of @family: who took it away, took it from the result.
 */
static bool wants_default(const struct check *c, int family)
{
	for (size_t i = 0; i < c->prev.n_routes; i++)
		if (c->prev.routes[i].addr.family == family && c->prev.routes[i].len == 0)
			return true;
	return false;
}

/* The host answers for it; an entry that is never asked about must be right. */
static int check_neighbour(struct check *c, struct nl *nl, int index, const struct ip_addr *gate)
{
	CLEANUP(free_p) struct neigh *neighs = NULL;
	size_t n = 0;
	char text[IP_TEXT_MAX];
	int r = neigh_list(nl, index, &neighs, &n, c->err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (neighs[i].state & NUD_PERMANENT && ip_addr_equal(&neighs[i].addr, gate) &&
			memcmp(neighs[i].mac, c->at.host_mac, LINK_MAC_LEN) != 0)
			r = DIFFERS(c,
				"the permanent neighbour entry of %s in the pod has another MAC "
				"address than %s",
				ip_addr_format(gate, text), c->at.link);
	return r;
}

static int check_pod_gateways(
	struct check *c, struct nl *nl, int index, const struct route *routes, size_t n_routes)
{
	char text[IP_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->lease.n_addrs; i++) {
		struct ip_prefix any = { .addr = { .family = c->lease.addrs[i].family } };
		struct ip_addr gate = { 0 };

		(void) ip_addr_parse(
			any.addr.family == AF_INET ? ATTACH_GATEWAY4 : ATTACH_GATEWAY6, &gate);
		if (wants_default(c, any.addr.family) &&
			!has_route(routes, n_routes, &any, &gate, index))
			return DIFFERS(c, "the default route via %s is missing in the pod",
				ip_addr_format(&gate, text));
		r = check_neighbour(c, nl, index, &gate);
	}
	return r;
}

/* In all tables: plugins behind this one move them (routing by source, VRFs). */
static int check_pod_routes(struct check *c, struct nl *nl, int index)
{
	CLEANUP(free_p) struct route *routes = NULL;
	size_t n = 0;
	char text[PREFIX_TEXT_MAX];
	struct route_filter all = { 0 };
	int r = route_list(nl, &all, &routes, &n, c->err);

	for (size_t i = 0; r == 0 && i < c->prev.n_routes; i++)
		if (!has_route(routes, n, &c->prev.routes[i], &c->prev.vias[i], 0))
			r = DIFFERS(c, "the route to %s of prevResult is missing in the pod",
				ip_prefix_format(&c->prev.routes[i], text));
	for (size_t i = 0; r == 0 && i < c->prev.n_addrs; i++) {
		char addr[IP_TEXT_MAX];
		struct ip_prefix any = { .addr = { .family = c->prev.addrs[i].addr.family } };

		if (c->prev.gateways[i].family && wants_default(c, any.addr.family) &&
			!has_route(routes, n, &any, &c->prev.gateways[i], index))
			r = DIFFERS(c,
				"prevResult says gateway %s, the pod has no such default route",
				ip_addr_format(&c->prev.gateways[i], addr));
	}
	return r < 0 ? r : check_pod_gateways(c, nl, index, routes, n);
}

static int check_pod(struct check *c, int pod_index)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct link link;
	int r = nl_open(&nl, c->err);

	if (r == 0)
		r = link_find(nl, c->env->ifname, &link, c->err);
	if (r == -ENODEV)
		return DIFFERS(c, "the pod has no interface %s", c->env->ifname);
	if (r < 0)
		return r;
	if (link.index != pod_index)
		return DIFFERS(
			c, "%s in the pod is not the other end of %s", c->env->ifname, c->at.link);
	r = check_link(c, &link, "in the pod", c->prev.pod_mac);
	if (r == 0)
		r = check_pod_addresses(c, nl, link.index);
	return r < 0 ? r : check_pod_routes(c, nl, link.index);
}

static int check_all(struct check *c, int netns)
{
	CLEANUP_NL struct nl *nl = NULL;
	CLEANUP_LEASES struct leases *store = NULL;
	int pod_index = 0;
	struct lease_owner owner = { c->at.link, c->env->container, c->env->ifname, NULL };
	int r = leases_open_existing(c->conf->name, &store, c->err);

	if (r == 0)
		r = leases_find(store, &owner, &c->lease, c->err);
	if (r == 0)
		r = check_prev(c);
	if (r == 0)
		r = nl_open(&nl, c->err);
	if (r == 0)
		r = check_host(c, nl, &pod_index);
	if (r == 0 && setns(netns, CLONE_NEWNET) < 0)
		r = err_set(c->err, -errno, "enter the pod's namespace: %m");
	return r < 0 ? r : check_pod(c, pod_index);
}

enum cni_code verb_check(const struct env *env, const struct conf *conf, struct err *err)
{
	CLEANUP(close_p) int netns = -1;
	struct check check = { .env = env, .conf = conf, .err = err };

	if (!conf->prev) {
		(void) err_set(err, -ENOENT, "CHECK needs prevResult in the network configuration");
		return CNI_CONFIG;
	}
	if (attach_name(&check.at, conf->name, env->container, env->ifname, err) < 0)
		return CNI_ENVIRONMENT;
	if (result_read(conf->prev, check.at.link, env->ifname, &check.prev, err) < 0)
		return CNI_DECODE;
	enum cni_code code = attach_open_netns(env->netns, env->netns_override, &netns, err);

	if (code)
		return code;
	return check_all(&check, netns) < 0 ? CNI_DIFFERS : CNI_OK;
}
