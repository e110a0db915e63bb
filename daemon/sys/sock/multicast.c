/*
 * The IPv4 socket is bound to the group, so that nothing else reaches it. One of IPv6 cannot be
 * without naming a link: there the destination of each datagram is looked at.
 */
#include "sys/sock/multicast.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { HOPS = 255 };

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + 64];
};

static bool is_ipv6(const struct multicast *m)
{
	return m->group.addr.family == AF_INET6;
}

/* --- opening --- */

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_up4(int fd)
{
	int r = set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0); /* nor what others have joined */

	if (r == 0)
		r = set(fd, IPPROTO_IP, IP_MULTICAST_TTL, HOPS);
	if (r == 0)
		r = set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	if (r == 0)
		r = set(fd, IPPROTO_IP, IP_RECVTTL, 1);
	return r == 0 ? set(fd, IPPROTO_IP, IP_PKTINFO, 1) : r;
}

static int set_up6(int fd)
{
	int r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);

	if (r == 0)
		r = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOPS);
	if (r == 0)
		r = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
	if (r == 0)
		r = set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	return r == 0 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : r;
}

static int bind_it(int fd, const struct endpoint *group)
{
	struct endpoint any = { .addr.family = AF_INET6, .port = group->port };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(group->addr.family == AF_INET ? group : &any, &sa);

	return bind(fd, (struct sockaddr *) &sa, len) < 0 ? -errno : 0;
}

int multicast_open(const struct endpoint *group, struct multicast *ret, struct err *err)
{
	int family = group->addr.family, r;
	CLEANUP(close_p)
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	r = fd < 0 ? -errno : set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0)
		r = family == AF_INET ? set_up4(fd) : set_up6(fd);
	if (r == 0)
		r = bind_it(fd, group);
	if (r < 0)
		return err_set(
			err, r, "open UDP port %u for multicast: %s", group->port, strerror(-r));
	*ret = (struct multicast){ .fd = take_fd(&fd), .group = *group };
	return 0;
}

void multicast_close(struct multicast *m)
{
	close_p(&m->fd);
	*m = (struct multicast){ .fd = -1 };
}

/* --- links --- */

static bool is_in(int link, const int *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (links[i] == link)
			return true;
	return false;
}

static int change(const struct multicast *m, int link, bool join)
{
	struct ip_mreqn four = { .imr_ifindex = link };
	struct ipv6_mreq six = { .ipv6mr_interface = (unsigned) link };
	int r;

	memcpy(&four.imr_multiaddr, m->group.addr.bytes, sizeof(four.imr_multiaddr));
	memcpy(&six.ipv6mr_multiaddr, m->group.addr.bytes, sizeof(six.ipv6mr_multiaddr));
	if (is_ipv6(m))
		r = setsockopt(m->fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &six,
			sizeof(six));
	else
		r = setsockopt(m->fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
			&four, sizeof(four));
	return r < 0 ? -errno : 0;
}

size_t multicast_join(struct multicast *m, const int *links, size_t n)
{
	size_t kept = 0, fresh = 0;

	for (size_t i = 0; i < m->n_links; i++) {
		if (is_in(m->links[i], links, n))
			m->links[kept++] = m->links[i];
		else
			(void) change(m, m->links[i], false); /* it may be gone */
	}
	m->n_links = kept;
	for (size_t i = 0; i < n && m->n_links < MULTICAST_LINKS_MAX; i++) {
		if (is_in(links[i], m->links, m->n_links) || change(m, links[i], true) < 0)
			continue;
		m->links[m->n_links++] = links[i];
		fresh++;
	}
	return fresh;
}

/* --- datagrams --- */

int multicast_send(const struct multicast *m, int link, const void *data, size_t len)
{
	struct iovec iov = { .iov_base = (void *) data, .iov_len = len };
	struct endpoint to = m->group;
	struct sockaddr_storage sa;
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &sa };
	struct in_pktinfo by = { .ipi_ifindex = link };
	union control control = { 0 };

	if (is_ipv6(m)) {
		to.scope = (uint32_t) link;
	} else {
		hdr.msg_control = &control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(by));
		*CMSG_FIRSTHDR(&hdr) = (struct cmsghdr){ .cmsg_level = IPPROTO_IP,
			.cmsg_type = IP_PKTINFO,
			.cmsg_len = CMSG_LEN(sizeof(by)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&hdr)), &by, sizeof(by));
	}
	hdr.msg_namelen = endpoint_to_sockaddr(&to, &sa);
	return sendmsg(m->fd, &hdr, MSG_DONTWAIT) < 0 ? -errno : 0;
}

struct came {
	int hops, link;
	bool to_group;
};

static void read_info4(const struct cmsghdr *c, struct came *ret)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_TTL) {
		memcpy(&ret->hops, CMSG_DATA(c), sizeof(ret->hops));
	} else if (c->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		ret->link = info.ipi_ifindex;
		ret->to_group = true; /* it is bound to that */
	}
}

static void read_info6(const struct cmsghdr *c, const struct ip_addr *group, struct came *ret)
{
	struct in6_pktinfo info;

	if (c->cmsg_type == IPV6_HOPLIMIT) {
		memcpy(&ret->hops, CMSG_DATA(c), sizeof(ret->hops));
	} else if (c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		ret->link = (int) info.ipi6_ifindex;
		ret->to_group = !memcmp(&info.ipi6_addr, group->bytes, sizeof(info.ipi6_addr));
	}
}

static bool counts(const struct multicast *m, struct msghdr *hdr)
{
	struct came came = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_info4(c, &came);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_info6(c, &m->group.addr, &came);
	}
	return !(hdr->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && came.hops == HOPS && came.to_group &&
	       is_in(came.link, m->links, m->n_links);
}

ssize_t multicast_recv(
	const struct multicast *m, void *data, size_t capacity, struct ip_addr *ret_from)
{
	struct iovec iov = { .iov_base = data, .iov_len = capacity };
	struct sockaddr_storage sa = { 0 };
	union control control;
	struct msghdr hdr = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct endpoint from;
	ssize_t len = recvmsg(m->fd, &hdr, MSG_DONTWAIT);

	if (len < 0)
		return -errno;
	if (!counts(m, &hdr) || endpoint_from_sockaddr((struct sockaddr *) &sa, &from) < 0)
		return 0;
	*ret_from = from.addr;
	return len;
}
