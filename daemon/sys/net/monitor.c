/* monitor: see monitor.h. Messages that do not parse are skipped: the kernel's newer ones. */
#include "sys/net/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netconf.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/net/netconf.h"

enum { MONITOR_BUFFER = 32768, MONITOR_QUEUE = 1 << 20, DRAIN_MAX = 1024 };

static int join(int fd, int group)
{
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0
		       ? -errno
		       : 0;
}

/*
 * Of route news those of a default route, of our protocol number, or that took the place of another
 * route (of ours, perhaps); the kernel sends each route in a datagram of its own. Fields are
 * compared as the classic filter reads them, in network order.
 */
static int keep_routes_back(int fd)
{
	enum {
		DST_LEN = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_dst_len),
		PROTOCOL = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)
	};
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons(NLM_F_REPLACE), 4, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, DST_LEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ROUTE_PROTOCOL_HEARTH, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

int monitor_open(unsigned what, struct err *err)
{
	static const struct {
		unsigned what;
		int group;
	} groups[] = {
		{ MONITOR_LINKS, RTNLGRP_LINK },
		{ MONITOR_ADDRS, RTNLGRP_IPV4_IFADDR },
		{ MONITOR_ADDRS, RTNLGRP_IPV6_IFADDR },
		{ MONITOR_ROUTES | MONITOR_WAYS, RTNLGRP_IPV4_ROUTE },
		{ MONITOR_ROUTES | MONITOR_WAYS, RTNLGRP_IPV6_ROUTE },
		{ MONITOR_SETTINGS, RTNLGRP_IPV4_NETCONF },
		{ MONITOR_SETTINGS, RTNLGRP_IPV6_NETCONF },
		{ MONITOR_SETTINGS | MONITOR_WAYS, RTNLGRP_IPV4_RULE },
		{ MONITOR_SETTINGS | MONITOR_WAYS, RTNLGRP_IPV6_RULE },
	};
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int on = 1, queue = MONITOR_QUEUE;
	CLEANUP(close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *) &any, sizeof(any)) < 0)
		return err_set(err, -errno, "netlink socket: %m");
	if (what & MONITOR_EVERYWHERE &&
		setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return err_set(err, -errno, "listen to other namespaces: %m");
	/* Without the filter there is only more to read. */
	if (!(what & MONITOR_WAYS))
		(void) keep_routes_back(fd);
	/* A larger queue loses less; without CAP_NET_ADMIN the default has to do. */
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof(queue));
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		int r = what & groups[i].what ? join(fd, groups[i].group) : 0;

		if (r < 0)
			return err_set(err, r, "netlink group %d: %m", groups[i].group);
	}
	return take_fd(&fd);
}

/* Each link that comes has some of its own, which is no news. */
static int parse_netconf(const struct nlmsghdr *nlh)
{
	struct netconf conf;
	int r = netconf_parse(NULL, nlh, &conf);

	return r > 0 ? conf.ifindex == NETCONF_ALL : r;
}

static int parse(const struct nlmsghdr *nlh, struct monitor_event *event)
{
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		event->what = MONITOR_LINKS;
		event->gone = nlh->nlmsg_type == RTM_DELLINK;
		return link_parse(NULL, nlh, &event->link);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		event->what = MONITOR_ADDRS;
		event->gone = nlh->nlmsg_type == RTM_DELADDR;
		return addr_parse(NULL, nlh, &event->addr);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		event->what = MONITOR_ROUTES;
		event->gone = nlh->nlmsg_type == RTM_DELROUTE;
		return route_parse(NULL, nlh, &event->route);
	case RTM_NEWNETCONF:
		event->what = MONITOR_SETTINGS;
		return parse_netconf(nlh);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		event->what = MONITOR_SETTINGS;
		return 1;
	default:
		return 0;
	}
}

/* The next datagram: its length, 0 if it says nothing, or -errno: -EAGAIN there is none. */
static ssize_t receive(int fd, void *data, size_t size)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, data, size, MSG_TRUNC, (struct sockaddr *) &from, &from_len);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if ((size_t) n > size)
		return -ENOBUFS;         /* cut off: as good as lost */
	return from.nl_pid == 0 ? n : 0; /* not the kernel */
}

int monitor_read(int fd, monitor_changed *changed, void *ctx)
{
	_Alignas(struct nlmsghdr) char data[MONITOR_BUFFER];
	int events = 0;

	for (int i = 0; i < MONITOR_READ_MAX; i++) {
		ssize_t n = receive(fd, data, sizeof(data));
		const void *at = data;
		size_t left = n < 0 ? 0 : (size_t) n;

		if (n < 0)
			return n == -EAGAIN ? events : (int) n;
		for (const struct nlmsghdr *nlh; (nlh = nl_next(&at, &left));) {
			struct monitor_event event;

			if (parse(nlh, &event) <= 0)
				continue;
			events++;
			if (changed)
				changed(ctx, &event);
		}
	}
	return events;
}

/* A link that goes down takes routes away without a word of it. */
static int kind(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return MONITOR_LINKS | MONITOR_WAYS;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return MONITOR_ADDRS;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
			(rtm->rtm_flags & RTM_F_CLONED))
			return 0;
		return MONITOR_WAYS;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return MONITOR_WAYS;
	default:
		return 0;
	}
}

int monitor_drain(int fd)
{
	_Alignas(struct nlmsghdr) char data[MONITOR_BUFFER];
	int kinds = 0;

	/* Whoever loads a whole table writes as fast as we read: what is left says nothing new. */
	for (int i = 0; i < DRAIN_MAX; i++) {
		ssize_t n = receive(fd, data, sizeof(data));
		const void *at = data;
		size_t left = n < 0 ? 0 : (size_t) n;

		if (n == -ENOBUFS)
			kinds = MONITOR_LINKS | MONITOR_ADDRS | MONITOR_WAYS;
		else if (n < 0)
			return n == -EAGAIN ? kinds : (int) n;
		for (const struct nlmsghdr *nlh; (nlh = nl_next(&at, &left));)
			kinds |= kind(nlh);
	}
	return kinds;
}
