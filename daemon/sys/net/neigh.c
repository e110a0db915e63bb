/* neigh: see neigh.h. */
#include "sys/net/neigh.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>

int neigh_parse(void *unused, const struct nlmsghdr *nlh, void *ret_neigh)
{
	const struct nlattr *a[NDA_LLADDR + 1] = { 0 };
	struct neigh *neigh = ret_neigh;
	const struct ndmsg *nd = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWNEIGH && nlh->nlmsg_type != RTM_DELNEIGH)
		return 0;
	if (nl_attrs(nlh, sizeof(*nd), a, NDA_LLADDR) < 0)
		return -EBADMSG;
	memset(neigh, 0, sizeof(*neigh));
	neigh->ifindex = nd->ndm_ifindex;
	neigh->state = nd->ndm_state;
	neigh->addr = nl_get_addr(a[NDA_DST], nd->ndm_family);
	if (!a[NDA_LLADDR] || mnl_attr_get_payload_len(a[NDA_LLADDR]) != LINK_MAC_LEN)
		return 0;
	memcpy(neigh->mac, mnl_attr_get_payload(a[NDA_LLADDR]), LINK_MAC_LEN);
	return neigh->addr.family != AF_UNSPEC;
}

static struct nlmsghdr *start(
	struct nl *nl, uint16_t type, uint16_t flags, int ifindex, const struct ip_addr *addr)
{
	void *family;
	struct nlmsghdr *nlh = nl_start(nl, type, flags, sizeof(struct ndmsg), &family);
	struct ndmsg *nd = family;

	nd->ndm_family = addr->family;
	nd->ndm_ifindex = ifindex;
	nd->ndm_state = NUD_PERMANENT;
	nl_put_addr(nl, nlh, NDA_DST, addr);
	return nlh;
}

static int finish(struct nl *nl, struct nlmsghdr *nlh, int ifindex, const struct ip_addr *addr,
	struct err *err)
{
	char text[IP_TEXT_MAX];
	int r = nl_ask(nl, nlh, NULL, NULL, err);

	if (r < 0)
		(void) err_prefix(
			err, "neighbour %s on link number %d", ip_addr_format(addr, text), ifindex);
	return r;
}

int neigh_set_permanent(struct nl *nl, int ifindex, const struct ip_addr *addr,
	const uint8_t mac[static LINK_MAC_LEN], struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, addr);

	nl_put(nl, nlh, NDA_LLADDR, mac, LINK_MAC_LEN);
	return finish(nl, nlh, ifindex, addr, err);
}

int neigh_set_learning(struct nl *nl, int ifindex, const struct ip_addr *addr, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, addr);
	struct ndmsg *nd = mnl_nlmsg_get_payload(nlh);

	nd->ndm_state = NUD_NONE;
	nd->ndm_flags = NTF_EXT_LEARNED;
	return finish(nl, nlh, ifindex, addr, err);
}

static int parse_of_link(void *ctx, const struct nlmsghdr *nlh, void *item)
{
	const int *ifindex = ctx;
	int r = neigh_parse(NULL, nlh, item);

	return r > 0 && *ifindex && ((struct neigh *) item)->ifindex != *ifindex ? 0 : r;
}

int neigh_list(struct nl *nl, int ifindex, struct neigh **ret, size_t *ret_n, struct err *err)
{
	void *family, *items = NULL;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg), &family);

	if (ifindex) /* in a strict dump the index goes here, not into the header */
		nl_put_u32(nl, nlh, NDA_IFINDEX, (uint32_t) ifindex);
	int r = nl_collect(
		nl, nlh, sizeof(struct neigh), parse_of_link, &ifindex, &items, ret_n, err);

	if (r < 0) {
		(void) err_prefix(err, "list neighbours");
		return r;
	}
	*ret = items;
	return 0;
}
