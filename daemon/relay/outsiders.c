/* outsiders: see outsiders.h. */
#include "relay/outsiders.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { LAN_LEN = 64 }; /* of IPv6: no router in between (RFC 4291, section 2.5.1) */

static bool is_of_internet(const struct ip_addr *addr)
{
	return addr->family && !ip_addr_is_private(addr) && !ip_addr_is_loopback(addr) &&
	       !ip_addr_is_link_local(addr) && !ip_addr_is_unspecified(addr) &&
	       !ip_addr_is_multicast(addr);
}

bool outsiders_is_one(const struct ip_addr *from, const struct ip_addr *local)
{
	struct ip_addr a = ip_addr_unmapped(from), b = ip_addr_unmapped(local);
	struct ip_prefix lan = ip_prefix_of(&b, LAN_LEN);

	if (!is_of_internet(&a) || ip_addr_equal(&a, &b))
		return false;
	return a.family != AF_INET6 || b.family != AF_INET6 || !ip_prefix_contains(&lan, &a);
}

/* Which address of ours an answer to @from would have. A socket that sends nothing knows. */
static int find_local(const struct ip_addr *from, struct ip_addr *ret)
{
	const struct endpoint to = { .addr = *from, .port = 9 };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&to, &sa);
	CLEANUP(close_p)
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct endpoint local;

	if (fd < 0 || connect(fd, (struct sockaddr *) &sa, len) < 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *) &sa, &len) < 0)
		return -errno;
	if (endpoint_from_sockaddr((struct sockaddr *) &sa, &local) < 0)
		return -EAFNOSUPPORT;
	*ret = local.addr;
	return 0;
}

static bool is_outsider(const struct ip_addr *from)
{
	struct ip_addr addr = ip_addr_unmapped(from), local;

	return is_of_internet(&addr) && find_local(&addr, &local) == 0 &&
	       outsiders_is_one(&addr, &local);
}

static void note(struct reached *reached, enum reached_way way, uint32_t node, uint64_t now_us)
{
	reached->ways[way].node = node;
	reached->ways[way].at_us = now_us;
}

void outsiders_look(const struct relay_core *core, const struct udp *udp, const struct derp *derp,
	uint64_t now_us, struct reached *reached)
{
	size_t n;
	const struct relay_member *list = members_list(core->members, &n);
	bool by_udp = !udp, by_tcp = false;
	struct ip_addr from;
	uint64_t since_us;

	for (size_t i = 0; i < n && !(by_udp && by_tcp); i++) {
		if (!by_udp && udp_has(udp, list[i].id, now_us, &from) && is_outsider(&from)) {
			note(reached, REACHED_UDP, list[i].id, now_us);
			by_udp = true;
		}
		if (!by_tcp && derp_has(derp, list[i].wg, &from, &since_us) && is_outsider(&from)) {
			note(reached, REACHED_TCP, list[i].id, now_us);
			by_tcp = true;
		}
	}
}
