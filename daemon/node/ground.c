/* ground: see ground.h. */
#include "node/ground.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/names.h"
#include "board/stops.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/route.h"

enum { PEERS_A_LOOK = 64 };

struct ground {
	struct core *core;
	const struct ground_hooks *hooks;
	void *ctx;
	struct stops stops;
	char cni_path[PATH_TEXT_MAX];
};

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

struct ground *ground_new(struct core *core, const struct ground_hooks *hooks, void *ctx)
{
	struct ground *ground = calloc(1, sizeof(*ground));

	if (!ground)
		return NULL;
	*ground = (struct ground){ .core = core, .hooks = hooks, .ctx = ctx };
	paths_join(core->host_path, "cni/net.d", ground->cni_path);
	ground->stops = (struct stops){ .etc = core->host_path,
		.own = core->paths.etc,
		.cni = { .dir = ground->cni_path, .plugin = NAMES_CNI_PLUGIN },
		.ifname = core->config.interface };
	return ground;
}

struct ground *ground_free(struct ground *ground)
{
	free(ground);
	return NULL;
}

static void look_at_stops(struct ground *ground, const struct node *self)
{
	const struct settings *settings = netmap_settings(book_netmap(ground->core->book));
	struct stops *stops = &ground->stops;
	struct err found[STOPS] = { 0 };

	stops->mesh4 = self->mesh4;
	if (settings) {
		stops->pods4 = settings->pods4;
		stops->pods6 = settings->pods6;
		stops->range4 = settings->mesh4;
		stops->range6 = settings->mesh6;
	}
	if (node_has_pods(self))
		stops_look(stops, ground->core->nl, found);
	for (int i = 0; i < STOPS; i++)
		problem_set(&ground->core->problems, stop_names[i], &found[i]);
}

/* Where packets to @addr go, if not through the mesh's interface. */
static bool is_stolen(const struct ground *ground, const struct ip_addr *addr, int ifindex,
	char ret_by[static IF_NAMESIZE])
{
	struct route_query query = { .dst = *addr };
	struct route route;

	(void) strcpy(ret_by, "none");
	if (route_lookup(ground->core->nl, &query, &route, NULL) < 0)
		return true;
	if (route.oif == ifindex)
		return false;
	(void) if_indextoname((unsigned) route.oif, ret_by);
	return true;
}

static bool tell_stolen(const struct ground *ground, const struct node *node,
	const struct ip_addr *addr, int ifindex, struct err *err)
{
	char by[IF_NAMESIZE], text[IP_TEXT_MAX];

	if (!is_stolen(ground, addr, ifindex, by))
		return false;
	err_set(err, -EXDEV,
		"packets for %s leave by interface %s, not by %s: a routing rule or a route of "
		"another program takes them (`ip rule`, `ip route get %s`)",
		node->name, by, ground->core->config.interface, ip_addr_format(addr, text));
	return true;
}

/* Some peers each time: what takes one takes mostly all. */
static void look_at_routes(struct ground *ground, int ifindex)
{
	const struct netmap *map = book_netmap(ground->core->book);
	const struct node *node = NULL;
	struct err err = { 0 };

	for (int n = 0; n < PEERS_A_LOOK && (node = netmap_next(map, node)); n++)
		if (node->id != ground->core->config.node &&
			(tell_stolen(ground, node, &node->mesh4, ifindex, &err) ||
				(ground->hooks->ipv6_leads_to(ground->ctx, node->id) &&
					tell_stolen(ground, node, &node->mesh6, ifindex, &err))))
			break;
	problem_set(&ground->core->problems, "routes", &err);
}

/* A router gave it, the kernel keeps it, and it ends unless the next advertisement is heard. */
static bool is_advertised(const struct link_addr *addr)
{
	return addr->addr.family == AF_INET6 && addr->scope == RT_SCOPE_UNIVERSE &&
	       !(addr->flags & IFA_F_PERMANENT) && addr->valid_s != ADDR_FOREVER;
}

/*
 * Where something forwards, Linux hears routers only with accept_ra 2 (enroll-node sets it, for
 * uplinks of then). With 0 somebody else hears them, such as a network manager.
 */
static bool will_expire(const struct ground *ground, const struct link *link)
{
	CLEANUP(free_p) struct link_addr *addrs = NULL;
	size_t n = 0;

	if (link->forwarding6 != 1 || link->accept_ra != 1 ||
		addr_list(ground->core->nl, link->index, AF_INET6, &addrs, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_advertised(&addrs[i]))
			return true;
	return false;
}

static void look_at_adverts(struct ground *ground)
{
	CLEANUP(free_p) struct link *links = NULL;
	struct err err = { 0 };
	size_t n = 0;

	if (link_list(ground->core->nl, &links, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n && !err.code; i++)
		if (will_expire(ground, &links[i]))
			err_set(&err, -ETIME,
				"the IPv6 address and default route of %s will expire: with "
				"forwarding on, Linux hears routers only if accept_ra is 2; "
				"`sudo sysctl -w net.ipv6.conf.%s.accept_ra=2`, and for the next "
				"boot in /etc/sysctl.d",
				links[i].name, links[i].name);
	problem_set(&ground->core->problems, "adverts", &err);
}

void ground_forget(struct ground *ground)
{
	problem_set(&ground->core->problems, "routes", NULL);
	problem_set(&ground->core->problems, "adverts", NULL);
	for (int i = 0; i < STOPS; i++)
		problem_set(&ground->core->problems, stop_names[i], NULL);
}

void ground_look(struct ground *ground, const struct node *self, int ifindex)
{
	look_at_stops(ground, self);
	look_at_adverts(ground);
	if (ifindex)
		look_at_routes(ground, ifindex);
}
