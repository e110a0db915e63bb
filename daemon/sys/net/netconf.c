/* netconf: see netconf.h. */
#include "sys/net/netconf.h"

#include <errno.h>
#include <linux/netconf.h>

int netconf_parse(void *unused, const struct nlmsghdr *nlh, void *ret_netconf)
{
	const struct nlattr *a[NETCONFA_FORWARDING + 1] = { 0 };
	struct netconf *conf = ret_netconf;
	const struct netconfmsg *msg = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWNETCONF)
		return 0;
	if (nl_attrs(nlh, sizeof(*msg), a, NETCONFA_FORWARDING) < 0)
		return -EBADMSG;
	*conf = (struct netconf){
		.family = msg->ncm_family,
		.ifindex = (int) nl_get_u32(a[NETCONFA_IFINDEX], 0),
		.forwarding = (int) nl_get_u32(a[NETCONFA_FORWARDING], (uint32_t) -1),
	};
	return 1;
}

static int take(void *ctx, const struct nlmsghdr *nlh)
{
	int r = netconf_parse(NULL, nlh, ctx);

	return r < 0 ? r : 0;
}

int netconf_get(struct nl *nl, int family, int ifindex, struct netconf *ret, struct err *err)
{
	struct netconf conf = { .forwarding = -1 };
	void *head;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETNETCONF, 0, NLMSG_ALIGN(sizeof(struct netconfmsg)), &head);
	int r;

	((struct netconfmsg *) head)->ncm_family = (uint8_t) family;
	nl_put_u32(nl, nlh, NETCONFA_IFINDEX, (uint32_t) ifindex);
	r = nl_ask(nl, nlh, take, &conf, err);
	if (r < 0) {
		(void) err_prefix(err, "settings of IPv%d", family == AF_INET ? 4 : 6);
		return r;
	}
	*ret = conf;
	return 0;
}
