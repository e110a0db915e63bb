/* addr: see addr.h. */
#include "sys/net/addr.h"

#include <errno.h>
#include <string.h>

int addr_parse(void *unused, const struct nlmsghdr *nlh, void *ret_addr)
{
	const struct nlattr *a[IFA_FLAGS + 1] = { 0 };
	struct link_addr *addr = ret_addr;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWADDR && nlh->nlmsg_type != RTM_DELADDR)
		return 0;
	if (nl_attrs(nlh, sizeof(*ifa), a, IFA_FLAGS) < 0)
		return -EBADMSG;
	memset(addr, 0, sizeof(*addr));
	addr->ifindex = (int) ifa->ifa_index;
	addr->prefix_len = ifa->ifa_prefixlen;
	addr->scope = ifa->ifa_scope;
	addr->flags = nl_get_u32(a[IFA_FLAGS], ifa->ifa_flags);
	addr->addr = nl_get_addr(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS], ifa->ifa_family);
	addr->preferred_s = addr->valid_s = ADDR_FOREVER;
	if (a[IFA_CACHEINFO] &&
		mnl_attr_get_payload_len(a[IFA_CACHEINFO]) >= sizeof(struct ifa_cacheinfo)) {
		struct ifa_cacheinfo info;

		memcpy(&info, mnl_attr_get_payload(a[IFA_CACHEINFO]), sizeof(info));
		addr->preferred_s = info.ifa_prefered;
		addr->valid_s = info.ifa_valid;
	}
	return addr->addr.family != AF_UNSPEC && addr->prefix_len <= ip_bits(addr->addr.family);
}

static struct nlmsghdr *start(
	struct nl *nl, uint16_t type, uint16_t flags, const struct link_addr *addr)
{
	void *family;
	struct nlmsghdr *nlh = nl_start(nl, type, flags, sizeof(struct ifaddrmsg), &family);
	struct ifaddrmsg *ifa = family;

	ifa->ifa_family = addr->addr.family;
	ifa->ifa_prefixlen = addr->prefix_len;
	ifa->ifa_scope = addr->scope;
	ifa->ifa_index = (uint32_t) addr->ifindex;
	nl_put_addr(nl, nlh, IFA_LOCAL, &addr->addr);
	nl_put_addr(nl, nlh, IFA_ADDRESS, &addr->addr);
	return nlh;
}

static int finish(struct nl *nl, struct nlmsghdr *nlh, const struct link_addr *addr,
	const char *what, struct err *err)
{
	char text[IP_TEXT_MAX];
	int r = nl_ask(nl, nlh, NULL, NULL, err);

	if (r < 0)
		(void) err_prefix(err, "%s address %s/%u on link number %d", what,
			ip_addr_format(&addr->addr, text), addr->prefix_len, addr->ifindex);
	return r;
}

int addr_add(struct nl *nl, const struct link_addr *addr, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, addr);

	nl_put_u32(nl, nlh, IFA_FLAGS, addr->flags);
	if (addr->valid_s) {
		struct ifa_cacheinfo info = { .ifa_prefered = addr->preferred_s,
			.ifa_valid = addr->valid_s };

		nl_put(nl, nlh, IFA_CACHEINFO, &info, sizeof(info));
	}
	return finish(nl, nlh, addr, "add", err);
}

int addr_del(struct nl *nl, const struct link_addr *addr, struct err *err)
{
	return finish(nl, start(nl, RTM_DELADDR, 0, addr), addr, "remove", err);
}

static int parse_of_link(void *ctx, const struct nlmsghdr *nlh, void *item)
{
	const int *ifindex = ctx;
	int r = addr_parse(NULL, nlh, item);

	return r > 0 && *ifindex && ((struct link_addr *) item)->ifindex != *ifindex ? 0 : r;
}

int addr_list(struct nl *nl, int ifindex, int family, struct link_addr **ret, size_t *ret_n,
	struct err *err)
{
	void *header, *items = NULL;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg), &header);

	((struct ifaddrmsg *) header)->ifa_family = (uint8_t) family;
	((struct ifaddrmsg *) header)->ifa_index = (uint32_t) ifindex;
	int r = nl_collect(
		nl, nlh, sizeof(struct link_addr), parse_of_link, &ifindex, &items, ret_n, err);

	if (r < 0) {
		(void) err_prefix(err, "list addresses");
		return r;
	}
	*ret = items;
	return 0;
}
