/*
 * Listens to rtnetlink's groups for links, routes and rules. A link that goes down takes routes away
 * without a word of it, so that counts as a change of routes as well.
 */
#include "watch.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sys/net/nl.h"

enum { READS_MAX = 1024 };

static int open_groups(uint32_t groups)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = groups };
	CLEANUP(close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *) &local, sizeof(local)) < 0)
		return -errno;
	return take_fd(&fd);
}

int watch_open(void)
{
	return open_groups(RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
			   (1U << (RTNLGRP_IPV6_RULE - 1)));
}

int watch_open_everywhere(void)
{
	static const int on = 1;
	CLEANUP(close_p) int fd = open_groups(RTMGRP_LINK);

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int classify(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return WATCH_LINK | WATCH_ROUTES;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return WATCH_ROUTES;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
			(rtm->rtm_flags & RTM_F_CLONED))
			return 0;
		return WATCH_ROUTES;
	default:
		return 0;
	}
}

int watch_read(int fd)
{
	_Alignas(struct nlmsghdr) uint8_t data[8192];
	int mask = 0;

	/* Whoever loads a whole table writes as fast as we read: what is left says nothing new. */
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(fd, data, sizeof(data), 0);
		size_t left = n < 0 ? 0 : (size_t) n;
		const void *at = data;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) { /* the kernel dropped messages */
			mask = WATCH_LINK | WATCH_ROUTES;
			continue;
		}
		if (n < 0)
			return errno == EAGAIN ? mask : -errno;
		for (const struct nlmsghdr *nlh; (nlh = nl_next(&at, &left));)
			mask |= classify(nlh);
	}
	return mask;
}
