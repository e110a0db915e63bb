/*
 * Pure: no system call, no clock. Kinds not known here count as uplinks only with a default route.
 */
#include "node/candidates.h"

#include <fnmatch.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { MTU_MIN = 1280, MTU_MAX = 65535 };

/* "" is hardware. */
static const char *const uplink_kinds[] = { "", "bond", "team", "vlan", "macvlan", "macvtap",
	"ipvlan", "macsec", "ipoib", "wwan", "ppp", "rmnet", "dsa", "batadv", "hsr" };

static const char *const overlay_kinds[] = { "tun", "wireguard", "vxlan", "geneve", "gre", "gretap",
	"erspan", "ip6gre", "ip6gretap", "ip6erspan", "ipip", "sit", "ip6tnl", "vti", "vti6",
	"xfrm", "dummy", "ifb", "nlmon", "bareudp", "gtp", "amt", "ovpn" };

/* Container networks, hypervisors' bridges and VPNs, whatever kind they are of. */
static const char *const foreign_names[] = { "hth*", "docker*",
	"br-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]*", "cni*", "podman*", "virbr*", "vnet*", "lxcbr*",
	"lxdbr*", "incusbr*", "cali*", "flannel*", "cilium*", "lxc*", "kube-*", "nodelocaldns",
	"weave*", "kilo*", "tailscale*", "zt*", "nb-*", "wg*", "nebula*" };

static bool name_matches(const char *name, const char *const list[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(list[i], name, 0))
			return true;
	return false;
}

static bool kind_is(const char *kind, const char *const list[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(kind, list[i]))
			return true;
	return false;
}

static bool has_default_route(const struct candidates_input *in, int index)
{
	for (size_t i = 0; i < in->n_defaults; i++)
		if (in->defaults[i].oif == index && in->defaults[i].dst.len == 0 &&
			(in->defaults[i].type == 0 || in->defaults[i].type == RTN_UNICAST))
			return true;
	return false;
}

static bool is_uplink(const struct candidates_input *in, const struct link *link)
{
	if (!(link->flags & IFF_UP) || link->flags & IFF_LOOPBACK)
		return false;
	if (!strcmp(link->name, in->own_ifname))
		return false;
	if (name_matches(link->name, foreign_names, ARRAY_LEN(foreign_names)))
		return false;
	if (kind_is(link->kind, overlay_kinds, ARRAY_LEN(overlay_kinds)))
		return false;
	return kind_is(link->kind, uplink_kinds, ARRAY_LEN(uplink_kinds)) ||
	       has_default_route(in, link->index);
}

/* A lasting address of the same link and prefix, which makes a temporary one needless. */
static bool has_lasting_sibling(const struct candidates_input *in, const struct link_addr *addr)
{
	struct ip_prefix prefix = ip_prefix_of(&addr->addr, addr->prefix_len);
	const uint32_t bad = IFA_F_TEMPORARY | IFA_F_DEPRECATED | IFA_F_DADFAILED | IFA_F_TENTATIVE;

	for (size_t i = 0; i < in->n_addrs; i++) {
		const struct link_addr *other = &in->addrs[i];
		if (other->ifindex == addr->ifindex && !(other->flags & bad) &&
			ip_prefix_contains(&prefix, &other->addr))
			return true;
	}
	return false;
}

static bool is_candidate(const struct candidates_input *in, const struct link_addr *addr)
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
		has_lasting_sibling(in, addr))
		return false;
	for (size_t i = 0; i < in->n_denied; i++)
		if (ip_prefix_contains(&in->denied[i], &addr->addr))
			return false;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	if (x->addr.family != y->addr.family)
		return x->addr.family == AF_INET ? -1 : 1;
	return memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
}

static bool add_endpoint(struct candidates *c, const struct link_addr *addr, uint16_t port)
{
	struct endpoint endpoint = { .addr = addr->addr, .port = port };

	for (size_t i = 0; i < c->n_endpoints; i++)
		if (endpoint_equal(&c->endpoints[i], &endpoint))
			return true;
	if (c->n_endpoints == CANDIDATES_MAX)
		return false;
	c->endpoints[c->n_endpoints++] = endpoint;
	return true;
}

/* Adds the link's addresses. True if there was one. */
static bool add_link(
	const struct candidates_input *in, const struct link *link, struct candidates *c)
{
	bool any = false;

	for (size_t i = 0; i < in->n_addrs; i++)
		if (in->addrs[i].ifindex == link->index && is_candidate(in, &in->addrs[i]))
			any = add_endpoint(c, &in->addrs[i], in->port) || any;
	if (any && c->n_uplinks < CANDIDATES_UPLINKS_MAX)
		memcpy(c->uplinks[c->n_uplinks++], link->name, sizeof(link->name));
	return any;
}

void candidates_find(const struct candidates_input *input, struct candidates *ret)
{
	struct candidates c = { 0 };
	unsigned mtu_default = 0, mtu_any = 0;

	/* Those with a default route first: if there are too many, the others are left out. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < input->n_links; i++) {
			const struct link *link = &input->links[i];
			bool has_default = has_default_route(input, link->index);

			if (has_default != (pass == 0) || !is_uplink(input, link))
				continue;
			if (!add_link(input, link, &c))
				continue;
			if (has_default && link->mtu > mtu_default)
				mtu_default = link->mtu;
			if (link->mtu > mtu_any)
				mtu_any = link->mtu;
		}
	}
	qsort(c.endpoints, c.n_endpoints, sizeof(c.endpoints[0]), compare);
	c.mtu = mtu_default ? mtu_default : mtu_any;
	*ret = c;
}

unsigned candidates_interface_mtu(unsigned uplink_mtu)
{
	unsigned mtu = uplink_mtu ? uplink_mtu : CANDIDATES_MTU_DEFAULT;

	mtu = mtu > CANDIDATES_OVERHEAD ? mtu - CANDIDATES_OVERHEAD : 0;
	if (mtu < MTU_MIN)
		return MTU_MIN;
	return mtu > MTU_MAX - CANDIDATES_OVERHEAD ? MTU_MAX - CANDIDATES_OVERHEAD : mtu;
}
