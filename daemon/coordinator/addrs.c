/*
 * addrs: see addrs.h. Asked through getifaddrs(); /proc/self/net/if_inet6 adds which IPv6 addresses are
 * temporary (RFC 8981), tentative or deprecated.
 */
#include "coordinator/addrs.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Interfaces behind which no board sits: by the names that their makers give them. */
static const char *const inner[] = { "hearth", "hth", "lo", "veth", "docker", "br-", "cni",
	"flannel", "cali", "cilium", "lxc", "lxd", "virbr", "vnet", "tap", "tun", "wg", "kube",
	"nodelocaldns", "podman", "tailscale", "zt", "dummy", "ve-", "vb-" };

static bool has_prefix(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strncmp(name, list[i], strlen(list[i])))
			return true;
	return false;
}

static bool is_ours(const char *name)
{
	return has_prefix(name, inner, 2);
}

static void freeifaddrs_p(struct ifaddrs **list)
{
	if (*list)
		freeifaddrs(*list);
}

static uint8_t mask_len(const struct sockaddr *mask)
{
	uint8_t len = 0;
	if (!mask)
		return 0;
	const uint8_t *bytes =
		mask->sa_family == AF_INET6
			? ((const struct sockaddr_in6 *) mask)->sin6_addr.s6_addr
			: (const uint8_t *) &((const struct sockaddr_in *) mask)->sin_addr;
	size_t n = mask->sa_family == AF_INET6 ? 16 : 4;
	for (size_t i = 0; i < n; i++)
		len = (uint8_t) (len + __builtin_popcount(bytes[i]));
	return len;
}

static bool usable(const struct ifaddrs *i)
{
	return i->ifa_addr &&
	       (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
}

int addrs_locals(struct addrs_locals *ret)
{
	CLEANUP(freeifaddrs_p) struct ifaddrs *list = NULL;
	ret->n = 0;
	ret->flags = 0;
	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct endpoint e;
		if (!strncmp(i->ifa_name, "tailscale", 9))
			ret->flags |= RANGES_TAILSCALE;
		if (!usable(i) || is_ours(i->ifa_name) || ret->n == ADDRS_LOCALS_MAX ||
			endpoint_from_sockaddr(i->ifa_addr, &e) < 0 ||
			ip_addr_is_loopback(&e.addr) || ip_addr_is_link_local(&e.addr))
			continue;
		/* Tailscale's own address is what its flag is about. */
		if (!strncmp(i->ifa_name, "tailscale", 9))
			continue;
		snprintf(ret->names[ret->n], ADDRS_NAME_MAX, "%s", i->ifa_name);
		ret->list[ret->n] = (struct ranges_local){
			.prefix = ip_prefix_of(&e.addr, mask_len(i->ifa_netmask)),
			.name = ret->names[ret->n],
		};
		ret->n++;
	}
	return 0;
}

/* True if the kernel will drop or not yet use this IPv6 address. */
static bool is_fleeting(const struct ip_addr *addr)
{
	enum { TEMPORARY = 0x01, DADFAILED = 0x08, DEPRECATED = 0x20, TENTATIVE = 0x40 };
	char hex[33] = "", line_hex[33], flags[9];
	bool fleeting = false;
	CLEANUP(fclose_p) FILE *f = fopen("/proc/self/net/if_inet6", "re");
	for (size_t i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", addr->bytes[i]);
	while (f && fscanf(f, "%32s %*s %*s %*s %8s %*s", line_hex, flags) == 2)
		if (!strcmp(hex, line_hex))
			fleeting = strtoul(flags, NULL, 16) &
				   (TEMPORARY | DADFAILED | DEPRECATED | TENTATIVE);
	return fleeting;
}

static size_t add_family(
	const struct ifaddrs *list, int family, uint16_t port, size_t n, char (*ret)[FIELD_URL_MAX])
{
	for (const struct ifaddrs *i = list; i && n < FIELD_URLS_MAX; i = i->ifa_next) {
		struct endpoint e;
		char text[ENDPOINT_TEXT_MAX];
		if (!usable(i) || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP) ||
			(i->ifa_flags & IFF_LOOPBACK) ||
			has_prefix(i->ifa_name, inner, ARRAY_LEN(inner)) ||
			endpoint_from_sockaddr(i->ifa_addr, &e) < 0 ||
			ip_addr_is_loopback(&e.addr) || ip_addr_is_link_local(&e.addr) ||
			(family == AF_INET6 && is_fleeting(&e.addr)))
			continue;
		e.port = port;
		e.scope = 0;
		snprintf(ret[n++], FIELD_URL_MAX, "https://%s", endpoint_format(&e, text));
	}
	return n;
}

int addrs_urls(uint16_t port, char (*ret)[FIELD_URL_MAX])
{
	CLEANUP(freeifaddrs_p) struct ifaddrs *list = NULL;
	if (getifaddrs(&list) < 0)
		return -errno;
	size_t n = add_family(list, AF_INET, port, 0, ret);
	return (int) add_family(list, AF_INET6, port, n, ret);
}
