/*
 * attach: see attach.h. Order: the alias is set before the link comes up, so that a link that is up
 * always says whose it is; one without an alias that is down was left by a killed ADD.
 */
#include "cni/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fnv.h"
#include "base/log.h"
#include "base/names.h"
#include "sys/net/addr.h"
#include "sys/net/neigh.h"
#include "sys/net/route.h"
#include "wire/wg.h"

/* Metric of the default route in a pod that has one already (another network of the pod). */
enum { SECOND_METRIC = 4096 };

/* Locally administered unicast addresses out of the identity: the same each time. */
static void make_mac(uint64_t hash, uint8_t end, uint8_t ret[static LINK_MAC_LEN])
{
	hash = fnv64(hash, &end, 1);
	for (size_t i = 0; i < LINK_MAC_LEN; i++)
		ret[i] = (uint8_t) (hash >> (8 * i));
	ret[0] = (uint8_t) ((ret[0] & 0xfc) | 0x02);
}

int attach_name(struct attachment *ret, const char *network, const char *container,
	const char *ifname, struct err *err)
{
	struct attachment at = { .network = network, .container = container, .ifname = ifname };
	int n = snprintf(at.alias, sizeof(at.alias), LEASES_ALIAS, network, container, ifname);

	if (n < 0 || (size_t) n >= sizeof(at.alias) || strlen(container) > LEASES_CONTAINER_MAX)
		return err_set(err, -ENAMETOOLONG,
			"CNI_CONTAINERID is longer than this plugin can note on a link "
			"(%d characters)",
			LEASES_CONTAINER_MAX);
	uint64_t hash = fnv64(FNV64_START, container, strlen(container));

	hash = fnv64(hash, ifname, strlen(ifname));
	(void) snprintf(at.link, sizeof(at.link), NAMES_POD_LINK "%010llx",
		(unsigned long long) (hash >> 24));
	make_mac(hash, 0, at.host_mac);
	make_mac(hash, 1, at.pod_mac);
	*ret = at;
	return 0;
}

bool attach_parse_alias(const char *alias, const char *network,
	char ret_container[static LEASES_CONTAINER_MAX + 1], char ret_ifname[static IFNAMSIZ])
{
	size_t len = strlen(network);

	if (strncmp(alias, "hearth/", 7) || strncmp(alias + 7, network, len) ||
		alias[7 + len] != '/')
		return false;
	const char *container = alias + 8 + len, *slash = strchr(container, '/');

	if (!slash || slash - container > LEASES_CONTAINER_MAX || slash == container || !slash[1] ||
		strlen(slash + 1) >= IFNAMSIZ)
		return false;
	memcpy(ret_container, container, (size_t) (slash - container));
	ret_container[slash - container] = 0;
	(void) snprintf(ret_ifname, IFNAMSIZ, "%s", slash + 1);
	return true;
}

enum cni_code attach_open_netns(const char *path, bool own, int *ret_fd, struct err *err)
{
	struct stat theirs, ours;
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		int saved = errno;

		(void) err_set(err, -saved, "open CNI_NETNS %s: %s", path, strerror(saved));
		return saved == ENOENT ? CNI_UNKNOWN_CONTAINER : CNI_ENVIRONMENT;
	}
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		(void) err_set(err, -EINVAL, "CNI_NETNS %s is no network namespace", path);
		return CNI_ENVIRONMENT;
	}
	if (!own && fstat(fd, &theirs) == 0 && stat("/proc/self/ns/net", &ours) == 0 &&
		theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino) {
		(void) err_set(err, -EINVAL,
			"CNI_NETNS %s is the plugin's own namespace "
			"(CNI_NETNS_OVERRIDE=1 allows that)",
			path);
		return CNI_NETNS;
	}
	*ret_fd = take_fd(&fd);
	return CNI_OK;
}

bool attach_owns(const struct attachment *at, const struct link *link)
{
	if (strcmp(link->kind, "veth") || strcmp(link->name, at->link))
		return false;
	return !strcmp(link->alias, at->alias) || (!*link->alias && !(link->flags & IFF_UP));
}

int attach_remove(struct nl *nl, const struct attachment *at, struct err *err)
{
	struct link link;
	int r = link_find(nl, at->link, &link, err);

	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	if (!attach_owns(at, &link)) {
		log_warning("%s belongs to \"%s\", not to container %s; left alone", at->link,
			link.alias, at->container);
		return 0;
	}
	r = link_delete(nl, link.index, err);
	return r == -ENODEV ? 0 : r < 0 ? r : 1;
}

/* Follows the namespace the process is in. Already as wanted on a read-only /proc/sys: fine. */
static int set_sysctl(const char *ifname, const char *name, char value, struct err *err)
{
	char path[128], now = 0;

	(void) snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname, name);
	CLEANUP(close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, &value, 1) == 1)
		return 0;
	int r = -errno;
	CLEANUP(close_p) int ro = open(path, O_RDONLY | O_CLOEXEC);

	if (ro >= 0 && read(ro, &now, 1) == 1 && now == value)
		return 0;
	return err_set(err, r, "set %s to %c: %s", path, value, strerror(-r));
}

static bool has_family(const struct lease *lease, int family)
{
	for (size_t i = 0; i < lease->n_addrs; i++)
		if (lease->addrs[i].family == family)
			return true;
	return false;
}

static struct ip_addr address(const char *text)
{
	struct ip_addr addr = { 0 };

	(void) ip_addr_parse(text, &addr); /* our own constants */
	return addr;
}

static struct ip_addr gateway(int family)
{
	return address(family == AF_INET ? ATTACH_GATEWAY4 : ATTACH_GATEWAY6);
}

/* Of link scope: never the source of what the board sends elsewhere. */
static int add_gateway(struct nl *nl, int index, int family, uint8_t prefix_len,
	const struct lease *lease, struct err *err)
{
	struct link_addr gate = { .ifindex = index,
		.addr = gateway(family),
		.prefix_len = prefix_len,
		.scope = RT_SCOPE_LINK,
		.flags = IFA_F_NODAD };

	return has_family(lease, family) ? addr_add(nl, &gate, err) : 0;
}

static int make_host_end(struct nl *nl, const struct attachment *at, int index,
	const struct lease *lease, struct err *err)
{
	int r = link_set_alias(nl, index, at->alias, err);

	if (r == 0 && has_family(lease, AF_INET6)) {
		r = set_sysctl(at->link, "disable_ipv6", '0', err);
		/* A pod is no router: what it announces is not believed. */
		if (r == 0)
			r = set_sysctl(at->link, "accept_ra", '0', err);
		if (r == 0)
			r = link_set_no_autoaddr6(nl, index, err);
	}
	if (r == 0)
		r = link_set_up(nl, index, true, err);
	if (r == 0)
		r = add_gateway(nl, index, AF_INET, 32, lease, err);
	if (r == 0)
		r = add_gateway(nl, index, AF_INET6, 64, lease, err);
	return r;
}

/* The mesh address as preferred source, where this board has it. */
static int add_host_route(struct nl *nl, int index, const struct ip_addr *addr,
	const struct ip_addr *src, struct err *err)
{
	struct route route = { .dst = ip_prefix_of(addr, (uint8_t) ip_bits(addr->family)),
		.oif = index,
		.src = *src,
		.protocol = ROUTE_PROTOCOL_HEARTH_CNI };
	int r = route_add(nl, &route, err);

	if (r == -EINVAL && src->family) {
		char text[IP_TEXT_MAX];

		log_warning("this board does not have its mesh address %s now; "
			    "the pod's route is made without it",
			ip_addr_format(src, text));
		route.src.family = AF_UNSPEC;
		r = route_add(nl, &route, err);
	}
	return r;
}

static int add_host_routes(struct nl *nl, int index, const struct conf *conf,
	const struct lease *lease, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < lease->n_addrs && r == 0; i++) {
		const struct ip_addr *addr = &lease->addrs[i];

		r = neigh_set_learning(nl, index, addr, err);
		if (r == 0)
			r = add_host_route(nl, index, addr,
				addr->family == AF_INET ? &conf->node4 : &conf->node6, err);
	}
	return r;
}

/* An interface made before this one keeps its own. */
static int add_pod_route(struct nl *nl, struct route *route, struct err *err)
{
	int r = route_add(nl, route, err);

	if (r == -EEXIST) {
		route->priority = SECOND_METRIC + (uint32_t) route->oif; /* each its own */
		r = route_add(nl, route, err);
	}
	return r;
}

static int add_pod_routes(struct nl *nl, int index, const struct ip_addr *gate, struct err *err)
{
	struct route link = { .dst = ip_prefix_of(gate, (uint8_t) ip_bits(gate->family)),
		.oif = index,
		.protocol = RTPROT_STATIC };
	struct route out = { .dst = { .addr = { .family = gate->family } },
		.gateway = *gate,
		.oif = index,
		.onlink = true,
		.protocol = RTPROT_STATIC };
	/* Others (source routing, VPNs) add routes by this gateway, and do not say "onlink". */
	int r = gate->family == AF_INET ? add_pod_route(nl, &link, err) : 0;

	return r < 0 ? r : add_pod_route(nl, &out, err);
}

static int add_pod_family(struct nl *nl, const struct attachment *at, int index, int family,
	const struct lease *lease, struct err *err)
{
	struct ip_addr gate = gateway(family);

	if (!has_family(lease, family))
		return 0;
	int r = neigh_set_permanent(nl, index, &gate, at->host_mac, err);

	for (size_t i = 0; i < lease->n_addrs && r == 0; i++) {
		struct link_addr addr = { .ifindex = index,
			.addr = lease->addrs[i],
			.prefix_len = (uint8_t) ip_bits(family),
			.flags = IFA_F_NODAD };

		if (addr.addr.family == family)
			r = addr_add(nl, &addr, err);
	}
	return r < 0 ? r : add_pod_routes(nl, index, &gate, err);
}

/* From inside the pod's namespace. */
static int make_pod_end(const struct attachment *at, const struct lease *lease, struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct link link;
	int r = nl_open(&nl, err);

	if (r == 0)
		r = link_find(nl, at->ifname, &link, err);
	if (r == 0 && has_family(lease, AF_INET6)) {
		r = set_sysctl(at->ifname, "disable_ipv6", '0', err);
		if (r == 0)
			r = set_sysctl(at->ifname, "accept_ra", '0', err);
		if (r == 0) /* the link-local address, too, works at once */
			r = set_sysctl(at->ifname, "accept_dad", '0', err);
	}
	if (r == 0)
		r = link_set_up(nl, link.index, true, err);
	if (r == 0)
		r = add_pod_family(nl, at, link.index, AF_INET, lease, err);
	if (r == 0)
		r = add_pod_family(nl, at, link.index, AF_INET6, lease, err);
	if (r < 0)
		(void) err_prefix(err, "in the pod's namespace");
	return r;
}

/* Goes into the pod's namespace and back again. */
static int in_namespace(
	int netns_fd, const struct attachment *at, const struct lease *lease, struct err *err)
{
	CLEANUP(close_p) int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
		return err_set(err, -errno, "enter the pod's namespace: %m");
	int r = make_pod_end(at, lease, err);

	if (setns(own, CLONE_NEWNET) < 0 && r == 0)
		r = err_set(err, -errno, "leave the pod's namespace: %m");
	return r;
}

static enum cni_code create_pair(
	struct nl *nl, const struct attachment *at, int netns_fd, unsigned mtu, struct err *err)
{
	/* Larger super-packets than the tunnel takes would be cut into single ones before it. */
	struct link_veth veth = { .name = at->link,
		.peer_name = at->ifname,
		.mtu = mtu,
		.peer_segments = wg_super_segments(mtu),
		.peer_netns_fd = netns_fd };

	memcpy(veth.mac, at->host_mac, LINK_MAC_LEN);
	memcpy(veth.peer_mac, at->pod_mac, LINK_MAC_LEN);
	int r = link_add_veth(nl, &veth, err);

	if (r == -EEXIST) {
		struct link old;

		if (link_find(nl, at->link, &old, NULL) < 0) {
			(void) err_set(err, r, "the pod has an interface %s already", at->ifname);
			return CNI_EXISTS;
		}
		if (!attach_owns(at, &old) || old.flags & IFF_UP) {
			(void) err_set(err, r, "link %s exists already, of \"%s\"%s", at->link,
				old.alias,
				attach_owns(at, &old) ? ": this container is attached" : "");
			return CNI_EXISTS;
		}
		r = link_delete(nl, old.index, err); /* half-made by a killed call */
		if (r == 0)
			r = link_add_veth(nl, &veth, err);
		if (r == -EEXIST)
			(void) err_set(err, r, "the pod has an interface %s already", at->ifname);
	}
	return r == 0 ? CNI_OK : r == -EEXIST ? CNI_EXISTS : CNI_KERNEL;
}

enum cni_code attach_make(struct nl *nl, const struct attachment *at, int netns_fd, unsigned mtu,
	const struct conf *conf, const struct lease *lease, struct err *err)
{
	struct link link;
	enum cni_code code = create_pair(nl, at, netns_fd, mtu, err);

	if (code)
		return code;
	int r = link_find(nl, at->link, &link, err);

	if (r == 0)
		r = make_host_end(nl, at, link.index, lease, err);
	if (r == 0)
		r = add_host_routes(nl, link.index, conf, lease, err);
	if (r == 0)
		r = in_namespace(netns_fd, at, lease, err);
	if (r == 0)
		return CNI_OK;
	(void) attach_remove(nl, at, NULL); /* the first error is the one to tell */
	return CNI_KERNEL;
}
