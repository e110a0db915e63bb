/*
 * Pure: no system call, no clock. Every class is decided once; a link that depends on another (a
 * VLAN, a bridge) asks for that one's nature first, at most NESTED_MAX deep.
 */
#include "board/links.h"
#include "base/names.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTED_MAX = 8 }; /* as the kernel's own MAX_NEST_DEV */

/* Of the network whatever is below them. */
static const char *const uplink_kinds[] = { "bond", "team", "hsr", "batadv", "ipoib", "wwan", "ppp",
	"rmnet", "dsa", "lowpan" };

/* What they are is what the link below them is. */
static const char *const stacked_kinds[] = { "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap",
	"macsec" };

static const char *const overlay_kinds[] = { "tun", "wireguard", "amneziawg", "ovpn", "ovpn-dco",
	"vxlan", "geneve", "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan", "ipip",
	"sit", "ip6tnl", "vti", "vti6", "xfrm", "bareudp", "gtp", "amt", "l2tp", "l2tpeth" };

#define TAILSCALE "tailscale*"
static const char *const overlay_names[] = { TAILSCALE, "zt*", "wg*", "nb-*", "nebula*", "utun*",
	"kilo*", "flannel*", "netmaker*", "awg*" };

/* Bridges and the like that container runtimes, clusters and hypervisors make. */
static const char *const container_names[] = { "docker*", "cni[0-9]*", "cni-*", "podman*",
	"nerdctl*", "cbr0", "kube-*", "nodelocaldns", "cilium_*", "weave", "antrea-*", "ovn*",
	"ovs-system", "br-int", "br-tun", "qbr*", "hassio", "lxcbr*", "lxdbr*", "lxdfan*",
	"incusbr*", "virbr*", "mpqemubr*", "fwbr*", "vz-*", "waydroid*", "anbox*", "vboxnet*",
	"vmnet*" };

/* Host interfaces of VirtualBox and VMware have no kind, as hardware has none. */
static const char *const kindless_names[] = { "vboxnet*", "vmnet*" };

const char *const links_inside_patterns[] = { "veth*", "ve-*", "vb-*", "cali*", "lxc*", "cilium_*",
	"eni*", "azv*", "gke*", "vnet*", "fwln*", "fwpr*", "qvb*", "qvo*", NULL };

static bool in_list(const char *text, const char *const list[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(list[i], text, 0))
			return true;
	return false;
}
#define IN(text, list) in_list(text, list, ARRAY_LEN(list))

/* Docker calls its bridges br- and twelve hex digits; br-lan is a router's. */
static bool has_container_name(const struct link *link)
{
	return IN(link->name, container_names) ||
	       (!strncmp(link->name, "br-", 3) && strlen(link->name) == 15 &&
		       strspn(link->name + 3, "0123456789abcdef") == 12);
}

bool links_matches_inside_pattern(const char *name)
{
	return in_list(name, links_inside_patterns, ARRAY_LEN(links_inside_patterns) - 1);
}

bool links_is_tailscale(const char *ifname)
{
	return !fnmatch(TAILSCALE, ifname, 0);
}

bool links_may_change(const struct monitor_event *event)
{
	switch (event->what) {
	case MONITOR_LINKS:
		return !names_is_pod_link(event->link.name);
	case MONITOR_ADDRS:
		return !ip_addr_is_link_local(&event->addr.addr);
	case MONITOR_ROUTES:
		return event->route.dst.len == 0;
	case MONITOR_SETTINGS:
		break;
	}
	return false;
}

/* --- what a link is --- */

struct judge {
	const struct links_facts *facts;
	const struct links_rules *rules;
	bool has_hardware; /* else this is a container, and a veth may be its way out */
	unsigned depth;
};

static enum link_class decide(
	struct link_verdict *v, enum link_class class, const char *why, const char *via)
{
	v->class = class;
	v->why = why;
	(void) snprintf(v->via, sizeof(v->via), "%s", via ? via : "");
	return class;
}

static const struct link *find_link(const struct judge *j, int index)
{
	for (size_t i = 0; index && i < j->facts->n_links; i++)
		if (j->facts->links[i].index == index)
			return &j->facts->links[i];
	return NULL;
}

static bool has_default_route(const struct judge *j, int index)
{
	const struct links_facts *f = j->facts;

	for (size_t i = 0; i < f->n_defaults; i++)
		if (f->defaults[i].oif == index && f->defaults[i].dst.len == 0 &&
			(f->defaults[i].type == 0 || f->defaults[i].type == RTN_UNICAST))
			return true;
	return false;
}

/* Of a kind that the kernel does not name, and that packets of the network come in by. */
static bool is_hardware(const struct link *link)
{
	if (link->kind[0] || link->flags & IFF_LOOPBACK || IN(link->name, kindless_names))
		return false;
	switch (link->type) {
	case ARPHRD_ETHER:
	case ARPHRD_INFINIBAND:
	case ARPHRD_IEEE1394:
	case ARPHRD_PPP:
	case ARPHRD_RAWIP:
	case ARPHRD_NONE:
		return true;
	default:
		return false;
	}
}

/* A network of its own, not only one address: what a link to a single pod has. */
static bool has_subnet(const struct judge *j, int index)
{
	for (size_t i = 0; i < j->facts->n_addrs; i++) {
		const struct link_addr *a = &j->facts->addrs[i];

		if (a->ifindex == index && a->scope < RT_SCOPE_LINK &&
			a->prefix_len < ip_bits(a->addr.family))
			return true;
	}
	return false;
}

static enum link_class nature(struct judge *j, const struct link *link, struct link_verdict *v);

static enum link_class veth_nature(
	const struct judge *j, const struct link *link, struct link_verdict *v)
{
	if (has_default_route(j, link->index))
		return decide(v, LINK_CLASS_UPLINK, "a container's way out", NULL);
	if ((has_container_name(link) || links_matches_inside_pattern(link->name)) &&
		(j->has_hardware || !has_subnet(j, link->index)))
		return decide(v, LINK_CLASS_CONTAINER, "a veth with a container's name", NULL);
	return decide(v, LINK_CLASS_UNKNOWN, "a veth, which may be a container's way out", NULL);
}

struct ports {
	size_t n;
	const char *uplink, *unknown; /* the first of each */
};

static struct ports look_at_ports(struct judge *j, int bridge)
{
	struct ports ports = { 0 };

	for (size_t i = 0; i < j->facts->n_links; i++) {
		const struct link *port = &j->facts->links[i];
		struct link_verdict v;
		enum link_class class;

		if (port->master != bridge)
			continue;
		class = nature(j, port, &v);
		ports.n++;
		if (class == LINK_CLASS_UPLINK && !ports.uplink)
			ports.uplink = port->name;
		else if (class == LINK_CLASS_UNKNOWN && !ports.unknown)
			ports.unknown = port->name;
	}
	return ports;
}

static enum link_class bridge_nature(
	struct judge *j, const struct link *link, struct link_verdict *v)
{
	struct ports ports = look_at_ports(j, link->index);

	if (ports.uplink)
		return decide(v, LINK_CLASS_UPLINK, "a bridge whose way out is", ports.uplink);
	if (has_container_name(link))
		return decide(v, LINK_CLASS_CONTAINER,
			"a bridge with a container network's name, and no hardware in it", NULL);
	if (has_default_route(j, link->index))
		return decide(v, LINK_CLASS_UPLINK, "a bridge", NULL);
	if (!ports.n)
		return decide(v, LINK_CLASS_UNKNOWN, "a bridge with nothing in it", NULL);
	if (ports.unknown)
		return decide(v, LINK_CLASS_UNKNOWN, "a bridge without hardware, but with",
			ports.unknown);
	if (j->has_hardware)
		return decide(v, LINK_CLASS_CONTAINER,
			"a bridge with containers or virtual machines in it, and no hardware",
			NULL);
	return decide(
		v, LINK_CLASS_UNKNOWN, "a bridge with veths, where no link is hardware", NULL);
}

static enum link_class stacked_nature(
	struct judge *j, const struct link *link, struct link_verdict *v)
{
	const struct link *lower = link->peer_netnsid < 0 ? find_link(j, link->peer_index) : NULL;
	struct link_verdict below;

	if (!lower)
		return decide(
			v, LINK_CLASS_UPLINK, "on top of a link outside of this namespace", NULL);
	nature(j, lower, &below);
	if (below.class == LINK_CLASS_UPLINK || has_default_route(j, link->index))
		return decide(v, LINK_CLASS_UPLINK, "on top of", lower->name);
	return decide(v, below.class, "on top of", lower->name);
}

static enum link_class other_nature(
	const struct judge *j, const struct link *link, struct link_verdict *v)
{
	bool has_default = has_default_route(j, link->index);

	if (!strcmp(link->kind, "sit") && has_default)
		return decide(v, LINK_CLASS_UPLINK, "an IPv6 tunnel", NULL);
	if (!strcmp(link->kind, "tun"))
		return decide(v, LINK_CLASS_OVERLAY,
			"a TUN or TAP device: a VPN's or a virtual machine's", NULL);
	if (IN(link->kind, overlay_kinds))
		return decide(v, LINK_CLASS_OVERLAY, "a tunnel of kind", link->kind);
	if (has_container_name(link))
		return decide(v, LINK_CLASS_CONTAINER, "a container network's name", NULL);
	if (!strcmp(link->kind, "dummy"))
		return decide(v, LINK_CLASS_LOOPBACK, "a dummy: addresses of this machine", NULL);
	if (IN(link->name, overlay_names))
		return decide(v, LINK_CLASS_OVERLAY, "a VPN's name", NULL);
	if (has_default)
		return decide(v, LINK_CLASS_UPLINK, "a link of some kind", NULL);
	if (link->kind[0])
		return decide(v, LINK_CLASS_UNKNOWN, "a link of the unknown kind", link->kind);
	return decide(v, LINK_CLASS_UNKNOWN, "no network hardware that is known", NULL);
}

/* What a link is if it is nobody's port. */
static enum link_class nature(struct judge *j, const struct link *link, struct link_verdict *v)
{
	enum link_class class;

	if (is_hardware(link))
		return decide(v, LINK_CLASS_UPLINK, "hardware", NULL);
	if (IN(link->kind, uplink_kinds))
		return decide(v, LINK_CLASS_UPLINK, "a link of kind", link->kind);
	if (!strcmp(link->kind, "veth"))
		return veth_nature(j, link, v);
	if (j->depth == NESTED_MAX)
		return decide(v, LINK_CLASS_UNKNOWN, "nested too deep", NULL);
	j->depth++;
	if (!strcmp(link->kind, "bridge"))
		class = bridge_nature(j, link, v);
	else if (IN(link->kind, stacked_kinds))
		class = stacked_nature(j, link, v);
	else
		class = other_nature(j, link, v);
	j->depth--;
	return class;
}

/* Who takes what comes in by @link. A VRF and batman-adv leave a link its own addresses. */
static const struct link *master_of(const struct judge *j, const struct link *link)
{
	const struct link *master = find_link(j, link->master);

	if (!master || !strcmp(master->kind, "vrf") || !strcmp(master->kind, "batadv"))
		return NULL;
	return master;
}

static void classify(struct judge *j, const struct link *link, struct link_verdict *v)
{
	const char *own = j->rules->own_ifname;
	const struct link *master = master_of(j, link);

	if (link->flags & IFF_LOOPBACK)
		decide(v, LINK_CLASS_LOOPBACK, "loopback", NULL);
	else if (own && !strcmp(link->name, own))
		decide(v, LINK_CLASS_MESH, "the interface of this mesh", NULL);
	else if (names_is_mesh_link(link->name) &&
		 (!strcmp(link->kind, "tun") || !strcmp(link->kind, "wireguard")))
		decide(v, LINK_CLASS_MESH, "a mesh's interface, by name", NULL);
	else if (names_is_pod_link(link->name) && !strcmp(link->kind, "veth"))
		decide(v, LINK_CLASS_POD, "a pod of this board", NULL);
	else if (master)
		decide(v, LINK_CLASS_PORT, "a port of", master->name);
	else
		nature(j, link, v);
	v->inside = link->flags & IFF_LOOPBACK || (own && !strcmp(link->name, own)) ||
		    v->class == LINK_CLASS_CONTAINER;
}

/* --- which addresses --- */

/* A lasting address of the same link and prefix, which makes a temporary one needless. */
static bool has_lasting_sibling(const struct links_facts *facts, const struct link_addr *addr)
{
	struct ip_prefix prefix = ip_prefix_of(&addr->addr, addr->prefix_len);
	const uint32_t bad = IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_DADFAILED | IFA_F_TENTATIVE;

	for (size_t i = 0; i < facts->n_addrs; i++) {
		const struct link_addr *other = &facts->addrs[i];

		if (other->ifindex == addr->ifindex && !(other->flags & bad) &&
			ip_prefix_contains(&prefix, &other->addr))
			return true;
	}
	return false;
}

static bool is_announced(const struct judge *j, const struct link_addr *addr)
{
	if (ip_addr_is_loopback(&addr->addr) || ip_addr_is_link_local(&addr->addr) ||
		ip_addr_is_multicast(&addr->addr) || ip_addr_is_unspecified(&addr->addr))
		return false;
	if (addr->scope >= RT_SCOPE_LINK)
		return false;
	if (addr->flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED))
		return false;
	if (addr->flags & IFA_F_TENTATIVE && !(addr->flags & IFA_F_OPTIMISTIC))
		return false;
	/* IFA_F_TEMPORARY and IPv4's IFA_F_SECONDARY are the same bit. */
	if (addr->addr.family == AF_INET6 && addr->flags & IFA_F_TEMPORARY &&
		(j->rules->lasting || has_lasting_sibling(j->facts, addr)))
		return false;
	for (size_t i = 0; i < j->rules->n_denied; i++)
		if (ip_prefix_contains(&j->rules->denied[i], &addr->addr))
			return false;
	return true;
}

enum rank { RANK_DEFAULT, RANK_UPLINK, RANK_UNSURE, RANK_NEVER };

static enum rank rank_of(const struct link_verdict *v)
{
	if (!v->up)
		return RANK_NEVER;
	switch (v->class) {
	case LINK_CLASS_UPLINK:
		return v->has_default ? RANK_DEFAULT : RANK_UPLINK;
	case LINK_CLASS_UNKNOWN:
	case LINK_CLASS_LOOPBACK:
		return RANK_UNSURE;
	case LINK_CLASS_MESH:
	case LINK_CLASS_POD:
	case LINK_CLASS_CONTAINER:
	case LINK_CLASS_OVERLAY:
	case LINK_CLASS_PORT:
		break;
	}
	return RANK_NEVER;
}

/* IPv4 first, then by value: the kernel's order is that of their making. */
static int compare(const void *a, const void *b)
{
	const struct links_address *x = a, *y = b;

	if (x->addr.family != y->addr.family)
		return x->addr.family == AF_INET ? -1 : 1;
	return memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
}

static void add_address(struct links *links, const struct ip_addr *addr, size_t link)
{
	for (size_t i = 0; i < links->n_addrs; i++)
		if (ip_addr_equal(&links->addrs[i].addr, addr))
			return;
	if (links->n_addrs < LINKS_ADDRS_MAX)
		links->addrs[links->n_addrs++] =
			(struct links_address){ .addr = *addr, .link = link };
}

static void add_rank(const struct judge *j, enum rank rank, struct links *links)
{
	size_t first = links->n_addrs;

	for (size_t i = 0; i < links->n; i++)
		for (size_t k = 0; rank_of(&links->list[i]) == rank && k < j->facts->n_addrs; k++)
			if (j->facts->addrs[k].ifindex == links->list[i].index &&
				is_announced(j, &j->facts->addrs[k]))
				add_address(links, &j->facts->addrs[k].addr, i);
	qsort(links->addrs + first, links->n_addrs - first, sizeof(links->addrs[0]), compare);
}

/* --- all of it --- */

int links_judge(const struct links_facts *facts, const struct links_rules *rules, struct links *ret)
{
	struct judge j = { .facts = facts, .rules = rules };
	struct links links = { .n = facts->n_links };

	links.list = calloc(links.n ? links.n : 1, sizeof(*links.list));
	if (!links.list)
		return -ENOMEM;
	for (size_t i = 0; i < facts->n_links; i++)
		j.has_hardware = j.has_hardware || is_hardware(&facts->links[i]);
	for (size_t i = 0; i < facts->n_links; i++) {
		const struct link *link = &facts->links[i];
		struct link_verdict *v = &links.list[i];

		v->index = link->index;
		memcpy(v->name, link->name, sizeof(v->name));
		v->mtu = link->mtu;
		v->up = link->flags & IFF_UP;
		v->has_default = has_default_route(&j, link->index);
		classify(&j, link, v);
	}
	for (enum rank rank = RANK_DEFAULT; rank < RANK_NEVER; rank++)
		add_rank(&j, rank, &links);
	*ret = links;
	return 0;
}

void links_done(struct links *links)
{
	free(links->list);
	*links = (struct links){ 0 };
}

const char *link_class_name(enum link_class class)
{
	switch (class) {
	case LINK_CLASS_LOOPBACK:
		return "local";
	case LINK_CLASS_MESH:
		return "mesh";
	case LINK_CLASS_POD:
		return "pod";
	case LINK_CLASS_CONTAINER:
		return "container";
	case LINK_CLASS_OVERLAY:
		return "overlay";
	case LINK_CLASS_PORT:
		return "port";
	case LINK_CLASS_UPLINK:
		return "uplink";
	case LINK_CLASS_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *link_verdict_why(const struct link_verdict *v, char ret_text[static LINKS_WHY_MAX])
{
	(void) snprintf(ret_text, LINKS_WHY_MAX, "%s%s%s%s%s", v->why, v->via[0] ? " " : "", v->via,
		v->has_default ? ", with a default route" : "", v->up ? "" : "; down");
	return ret_text;
}
