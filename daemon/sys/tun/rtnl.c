/*
 * Requests are built in one buffer of fixed size. Answers to questions of before (there are none,
 * unless a receive failed) are told by their sequence number and dropped.
 */
#include "rtnl.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { REQUEST_MAX = 256, ANSWER_MAX = 32768 };

union request {
	struct nlmsghdr head;
	uint8_t bytes[REQUEST_MAX];
};

union answer {
	struct nlmsghdr head;
	uint8_t bytes[ANSWER_MAX];
};

int rtnl_open(void)
{
	static const int on = 1;
	CLEANUP(close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	(void) setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return take_fd(&fd);
}

/* The fixed part behind the header. */
static void *begin(union request *q, uint16_t type, size_t fixed_len)
{
	static _Atomic uint32_t sequence;

	*q = (union request){ .head = {
				      .nlmsg_len = (uint32_t) NLMSG_SPACE(fixed_len),
				      .nlmsg_type = type,
				      .nlmsg_flags = NLM_F_REQUEST,
				      .nlmsg_seq = ++sequence,
			      } };
	return NLMSG_DATA(&q->head);
}

static void put(union request *q, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *) (q->bytes + q->head.nlmsg_len);

	assert(q->head.nlmsg_len + RTA_SPACE(len) <= REQUEST_MAX);
	a->rta_type = type;
	a->rta_len = (uint16_t) RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len += (uint32_t) RTA_SPACE(len);
}

static void put_u32(union request *q, uint16_t type, uint32_t value)
{
	put(q, type, &value, sizeof(value));
}

/* 0 and a whole message of type @want in @a, or -errno. */
static int ask(int fd, const union request *q, uint16_t want, union answer *a)
{
	if (send(fd, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, a, sizeof(*a), 0);
		const struct nlmsgerr *e = NLMSG_DATA(&a->head);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -EIO : -errno;
		if (!NLMSG_OK(&a->head, (size_t) n) || a->head.nlmsg_seq != q->head.nlmsg_seq)
			continue;
		if (a->head.nlmsg_type == want)
			return 0;
		if (a->head.nlmsg_type != NLMSG_ERROR ||
			a->head.nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
			return -EIO;
		return e->error;
	}
}

/* A 32-bit attribute of an answer. */
static bool find_u32(const union answer *a, size_t fixed_len, uint16_t type, uint32_t *ret)
{
	const struct rtattr *at = (const struct rtattr *) (a->bytes + NLMSG_SPACE(fixed_len));
	size_t left;

	if (a->head.nlmsg_len < NLMSG_SPACE(fixed_len))
		return false;
	left = a->head.nlmsg_len - NLMSG_SPACE(fixed_len);
	for (; RTA_OK(at, left); at = RTA_NEXT(at, left))
		if (at->rta_type == type && RTA_PAYLOAD(at) >= sizeof(*ret)) {
			memcpy(ret, RTA_DATA(at), sizeof(*ret));
			return true;
		}
	return false;
}

static void put_addr(union request *q, uint16_t type, const struct ip_addr *addr)
{
	put(q, type, addr->bytes, ip_bytes(addr->family));
}

int rtnl_route(int fd, const struct rtnl_route_query *query, uint32_t *ret_oif)
{
	const uint8_t udp = IPPROTO_UDP;
	const uint16_t sport = htons(query->sport), dport = htons(query->dport);
	union request q;
	union answer a;
	struct rtmsg *rtm = begin(&q, RTM_GETROUTE, sizeof(*rtm));
	int r;

	rtm->rtm_family = query->dst.family;
	rtm->rtm_dst_len = (uint8_t) ip_bits(query->dst.family);
	put_addr(&q, RTA_DST, &query->dst);
	if (query->src.family) {
		rtm->rtm_src_len = rtm->rtm_dst_len;
		put_addr(&q, RTA_SRC, &query->src);
	}
	if (query->oif)
		put_u32(&q, RTA_OIF, query->oif);
	if (query->mark)
		put_u32(&q, RTA_MARK, query->mark);
	put(&q, RTA_IP_PROTO, &udp, sizeof(udp));
	put(&q, RTA_SPORT, &sport, sizeof(sport));
	put(&q, RTA_DPORT, &dport, sizeof(dport));
	r = ask(fd, &q, RTM_NEWROUTE, &a);
	if (r < 0)
		return r;
	return r == 0 && find_u32(&a, sizeof(*rtm), RTA_OIF, ret_oif) ? 0 : -ENETUNREACH;
}

static int ask_link(int fd, const union request *q, struct rtnl_link *ret)
{
	const struct ifinfomsg *ifi;
	uint32_t mtu = 0;
	union answer a;
	int r = ask(fd, q, RTM_NEWLINK, &a);

	if (r < 0)
		return r;
	ifi = NLMSG_DATA(&a.head);
	if (!find_u32(&a, sizeof(*ifi), IFLA_MTU, &mtu))
		return -EIO;
	*ret = (struct rtnl_link){ .type = ifi->ifi_type, .mtu = mtu };
	return 0;
}

int rtnl_link(int fd, uint32_t ifindex, struct rtnl_link *ret)
{
	union request q;
	struct ifinfomsg *ifi = begin(&q, RTM_GETLINK, sizeof(*ifi));

	ifi->ifi_index = (int) ifindex;
	return ask_link(fd, &q, ret);
}

int rtnl_link_of(int fd, const char *name, int nsid, struct rtnl_link *ret)
{
	union request q;

	(void) begin(&q, RTM_GETLINK, sizeof(struct ifinfomsg));
	put(&q, IFLA_IFNAME, name, strnlen(name, IF_NAMESIZE - 1) + 1);
	if (nsid >= 0)
		put_u32(&q, IFLA_TARGET_NETNSID, (uint32_t) nsid);
	return ask_link(fd, &q, ret);
}

int rtnl_namespace_id(int fd, int ns_fd)
{
	uint32_t id = UINT32_MAX;
	union request q;
	union answer a;
	int r;

	(void) begin(&q, RTM_NEWNSID, sizeof(struct rtgenmsg));
	q.head.nlmsg_flags |= NLM_F_ACK;
	put_u32(&q, NETNSA_FD, (uint32_t) ns_fd);
	put_u32(&q, NETNSA_NSID, UINT32_MAX); /* any */
	r = ask(fd, &q, RTM_NEWNSID, &a);
	if (r < 0 && r != -EEXIST)
		return r;
	(void) begin(&q, RTM_GETNSID, sizeof(struct rtgenmsg));
	put_u32(&q, NETNSA_FD, (uint32_t) ns_fd);
	r = ask(fd, &q, RTM_NEWNSID, &a);
	if (r < 0)
		return r;
	return find_u32(&a, sizeof(struct rtgenmsg), NETNSA_NSID, &id) && (int) id >= 0 ? (int) id
											: -EIO;
}
