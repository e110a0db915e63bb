/*
 * Listens to rtnetlink's link and route groups. Routes other than the default ones do not count: on a
 * node of a cluster those of pods come and go all day.
 */
#include "watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cleanup.h"

int watch_open(void)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
	CLEANUP(close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *) &local, sizeof(local)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int classify(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = NLMSG_DATA(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return WATCH_LINK;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*rtm)) || rtm->rtm_dst_len != 0)
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

	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) { /* the kernel dropped messages */
			mask = WATCH_LINK | WATCH_ROUTES;
			continue;
		}
		if (n < 0)
			return errno == EAGAIN ? mask : -errno;
		size_t left = (size_t) n;
		for (const struct nlmsghdr *nlh = (const struct nlmsghdr *) data;
			NLMSG_OK(nlh, left); nlh = NLMSG_NEXT(nlh, left))
			mask |= classify(nlh);
	}
}
