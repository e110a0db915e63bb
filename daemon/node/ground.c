/*
 * What Hearth stands on and does not own: forwarding, for the pods' sake, and that nobody else's rules and
 * routes take the mesh's packets. It sets no sysctl and no rule (design.md section 11), it says who should.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "node/hearthd.h"
#include "sys/net/addr.h"
#include "sys/net/route.h"

enum { PEERS_A_LOOK = 64 };

/* As problems are called. */
static const char *const stop_names[STOPS] = {
	[STOP_FORWARDING] = "forwarding",
	[STOP_BOOT] = "boot",
	[STOP_DROPPED] = "dropped",
	[STOP_INPUT] = "input",
	[STOP_IPV6] = "kernel-ipv6",
	[STOP_CNI] = "cni",
	[STOP_DNS] = "dns",
	[STOP_CONTAINERD] = "containerd",
	[STOP_KUBELET] = "kubelet",
};

static void look_at_stops(struct hearthd *h, const struct node *self)
{
	const struct settings *settings = netmap_settings(book_netmap(h->core.book));
	struct err found[STOPS] = { 0 };

	h->stops.mesh4 = self->mesh4;
	h->stops.ifname = h->core.config.interface;
	if (settings) {
		h->stops.pods4 = settings->pods4;
		h->stops.pods6 = settings->pods6;
		h->stops.range4 = settings->mesh4;
		h->stops.range6 = settings->mesh6;
	}
	if (node_has_pods(self))
		stops_look(&h->stops, h->core.nl, found);
	for (int i = 0; i < STOPS; i++)
		problem_set(&h->core.problems, stop_names[i], &found[i]);
}

/* Where packets to @addr go, if not through the mesh's interface. */
static bool is_stolen(
	struct hearthd *h, const struct ip_addr *addr, char ret_by[static IF_NAMESIZE])
{
	struct route_query query = { .dst = *addr };
	struct route route;

	(void) strcpy(ret_by, "none");
	if (route_lookup(h->core.nl, &query, &route, NULL) < 0)
		return true;
	if (route.oif == h->ifindex)
		return false;
	(void) if_indextoname((unsigned) route.oif, ret_by);
	return true;
}

static bool tell_stolen(
	struct hearthd *h, const struct node *node, const struct ip_addr *addr, struct err *err)
{
	char by[IF_NAMESIZE], text[IP_TEXT_MAX];

	if (!is_stolen(h, addr, by))
		return false;
	err_set(err, -EXDEV,
		"packets for %s leave by interface %s, not by %s: a routing rule or a route of "
		"another program takes them (`ip rule`, `ip route get %s`)",
		node->name, by, h->core.config.interface, ip_addr_format(addr, text));
	return true;
}

/* Some peers each time: what takes one takes mostly all. */
static void look_at_routes(struct hearthd *h)
{
	const struct netmap *map = book_netmap(h->core.book);
	const struct node *node = NULL;
	struct err err = { 0 };

	for (int n = 0; n < PEERS_A_LOOK && (node = netmap_next(map, node)); n++)
		if (node->id != h->core.config.node &&
			(tell_stolen(h, node, &node->mesh4, &err) ||
				(ipv6_leads_to(h->ipv6, node->id) &&
					tell_stolen(h, node, &node->mesh6, &err))))
			break;
	problem_set(&h->core.problems, "routes", &err);
}

/* A router gave it, the kernel keeps it, and it ends unless the next advertisement is heard. */
static bool is_advertised(const struct link_addr *addr)
{
	return addr->addr.family == AF_INET6 && addr->scope == RT_SCOPE_UNIVERSE &&
	       !(addr->flags & IFA_F_PERMANENT) && addr->valid_s != ADDR_FOREVER;
}

/*
 * Where something forwards, Linux hears routers only with accept_ra 2 (enroll-node sets it, for uplinks of
 * then). With 0 somebody else hears them, such as a network manager.
 */
static bool will_expire(struct hearthd *h, const struct link *link)
{
	CLEANUP(free_p) struct link_addr *addrs = NULL;
	size_t n = 0;

	if (link->forwarding6 != 1 || link->accept_ra != 1 ||
		addr_list(h->core.nl, link->index, AF_INET6, &addrs, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_advertised(&addrs[i]))
			return true;
	return false;
}

static void look_at_adverts(struct hearthd *h)
{
	CLEANUP(free_p) struct link *links = NULL;
	struct err err = { 0 };
	size_t n = 0;

	if (link_list(h->core.nl, &links, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n && !err.code; i++)
		if (will_expire(h, &links[i]))
			err_set(&err, -ETIME,
				"the IPv6 address and default route of %s will expire: with "
				"forwarding on, Linux hears routers only if accept_ra is 2; "
				"`sudo sysctl -w net.ipv6.conf.%s.accept_ra=2`, and for the next "
				"boot in /etc/sysctl.d",
				links[i].name, links[i].name);
	problem_set(&h->core.problems, "adverts", &err);
}

void ground_forget(struct hearthd *h)
{
	problem_set(&h->core.problems, "routes", NULL);
	problem_set(&h->core.problems, "adverts", NULL);
	for (int i = 0; i < STOPS; i++)
		problem_set(&h->core.problems, stop_names[i], NULL);
}

void ground_look(struct hearthd *h, const struct node *self)
{
	look_at_stops(h, self);
	look_at_adverts(h);
	if (!problem_is(&h->core.problems, "interface") && !problem_is(&h->core.problems, "device"))
		look_at_routes(h);
}
