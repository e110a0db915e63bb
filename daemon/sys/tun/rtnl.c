/*
 * rtnl: see rtnl.h. An answer is one message; what it lacks makes it no answer.
 */
#include "rtnl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <netinet/in.h>

static int read_oif(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *attrs[RTA_OIF + 1] = { 0 };

	if (nl_attrs(nlh, sizeof(struct rtmsg), attrs, RTA_OIF) == 0)
		*(uint32_t *) ctx = nl_get_u32(attrs[RTA_OIF], 0);
	return 0;
}

int rtnl_route(struct nl *nl, const struct rtnl_route_query *query, uint32_t *ret_oif)
{
	const uint16_t sport = htons(query->sport), dport = htons(query->dport);
	struct rtmsg *rtm;
	struct nlmsghdr *q = nl_start(nl, RTM_GETROUTE, 0, sizeof(*rtm), (void **) &rtm);
	uint32_t oif = 0;
	int r;

	rtm->rtm_family = query->dst.family;
	rtm->rtm_dst_len = (uint8_t) ip_bits(query->dst.family);
	nl_put_addr(nl, q, RTA_DST, &query->dst);
	if (query->src.family) {
		rtm->rtm_src_len = rtm->rtm_dst_len;
		nl_put_addr(nl, q, RTA_SRC, &query->src);
	}
	if (query->oif)
		nl_put_u32(nl, q, RTA_OIF, query->oif);
	if (query->mark)
		nl_put_u32(nl, q, RTA_MARK, query->mark);
	nl_put_u8(nl, q, RTA_IP_PROTO, IPPROTO_UDP);
	nl_put(nl, q, RTA_SPORT, &sport, sizeof(sport));
	nl_put(nl, q, RTA_DPORT, &dport, sizeof(dport));
	r = nl_ask(nl, q, read_oif, &oif, NULL);
	if (r < 0)
		return r;
	if (!oif)
		return -ENETUNREACH;
	*ret_oif = oif;
	return 0;
}

static int read_link(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *attrs[IFLA_MTU + 1] = { 0 };
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct rtnl_link *link = ctx;

	if (nl_attrs(nlh, sizeof(*ifi), attrs, IFLA_MTU) < 0 || !attrs[IFLA_MTU])
		return -EIO;
	*link = (struct rtnl_link){ ifi->ifi_type, nl_get_u32(attrs[IFLA_MTU], 0) };
	return 0;
}

int rtnl_link(struct nl *nl, uint32_t ifindex, struct rtnl_link *ret)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *q = nl_start(nl, RTM_GETLINK, 0, sizeof(*ifi), (void **) &ifi);

	ifi->ifi_index = (int) ifindex;
	return nl_ask(nl, q, read_link, ret, NULL);
}

int rtnl_link_of(struct nl *nl, const char *name, int nsid, struct rtnl_link *ret)
{
	struct ifinfomsg *ifi;
	struct nlmsghdr *q = nl_start(nl, RTM_GETLINK, 0, sizeof(*ifi), (void **) &ifi);

	nl_put_str(nl, q, IFLA_IFNAME, name);
	if (nsid >= 0)
		nl_put_u32(nl, q, IFLA_TARGET_NETNSID, (uint32_t) nsid);
	return nl_ask(nl, q, read_link, ret, NULL);
}

static int read_nsid(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *attrs[NETNSA_NSID + 1] = { 0 };

	if (nl_attrs(nlh, sizeof(struct rtgenmsg), attrs, NETNSA_NSID) == 0)
		*(int32_t *) ctx = (int32_t) nl_get_u32(attrs[NETNSA_NSID], UINT32_MAX);
	return 0;
}

/* NETNSA_FD is of this process: the kernel looks it up while it reads the question. */
static int ask_namespace(struct nl *nl, uint16_t type, int ns_fd, int32_t *id)
{
	struct rtgenmsg *gen;
	struct nlmsghdr *q = nl_start(nl, type, 0, sizeof(*gen), (void **) &gen);

	nl_put_u32(nl, q, NETNSA_FD, (uint32_t) ns_fd);
	if (type == RTM_NEWNSID)
		nl_put_u32(nl, q, NETNSA_NSID, (uint32_t) NETNSA_NSID_NOT_ASSIGNED); /* any */
	return nl_ask(nl, q, read_nsid, id, NULL);
}

int rtnl_namespace_id(struct nl *nl, int ns_fd)
{
	int32_t id = NETNSA_NSID_NOT_ASSIGNED;
	int r = ask_namespace(nl, RTM_NEWNSID, ns_fd, &id);

	if (r == 0 || r == -EEXIST)
		r = ask_namespace(nl, RTM_GETNSID, ns_fd, &id);
	if (r < 0)
		return r;
	return id >= 0 ? id : -EIO;
}
