/* link: see link.h. */
#include "sys/net/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>

/* Of DEVCONF_* in linux/ipv6.h, which does not go with netinet/in.h. */
enum { CONF6_FORWARDING = 0, CONF6_ACCEPT_RA = 3 };

/* An array of the kernel's int32_t, which grows with its versions. */
static int conf6(const struct nlattr *conf, size_t which)
{
	int32_t value;

	if (!conf || mnl_attr_get_payload_len(conf) < (which + 1) * sizeof(value))
		return -1;
	memcpy(&value, (const char *) mnl_attr_get_payload(conf) + which * sizeof(value),
		sizeof(value));
	return value;
}

static void take_conf6(const struct nlattr *spec, struct link *link)
{
	const struct nlattr *family[AF_INET6 + 1] = { 0 }, *inet6[IFLA_INET6_CONF + 1] = { 0 };

	if (nl_attrs_nested(spec, family, AF_INET6) < 0 ||
		nl_attrs_nested(family[AF_INET6], inet6, IFLA_INET6_CONF) < 0)
		inet6[IFLA_INET6_CONF] = NULL;
	link->forwarding6 = conf6(inet6[IFLA_INET6_CONF], CONF6_FORWARDING);
	link->accept_ra = conf6(inet6[IFLA_INET6_CONF], CONF6_ACCEPT_RA);
}

int link_parse(void *unused, const struct nlmsghdr *nlh, void *ret_link)
{
	const struct nlattr *a[IFLA_LINK_NETNSID + 1] = { 0 }, *info[IFLA_INFO_KIND + 1] = { 0 };
	struct link *link = ret_link;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK)
		return 0;
	if (nl_attrs(nlh, sizeof(*ifi), a, IFLA_LINK_NETNSID) < 0)
		return -EBADMSG;
	if (ifi->ifi_family != AF_UNSPEC)
		return 0; /* what a bridge says about its ports */
	memset(link, 0, sizeof(*link));
	link->index = ifi->ifi_index;
	link->flags = ifi->ifi_flags;
	link->type = ifi->ifi_type;
	link->mtu = nl_get_u32(a[IFLA_MTU], 0);
	nl_get_str(a[IFLA_IFNAME], link->name, sizeof(link->name));
	nl_get_str(a[IFLA_IFALIAS], link->alias, sizeof(link->alias));
	if (a[IFLA_ADDRESS] && mnl_attr_get_payload_len(a[IFLA_ADDRESS]) == LINK_MAC_LEN) {
		memcpy(link->mac, mnl_attr_get_payload(a[IFLA_ADDRESS]), LINK_MAC_LEN);
		link->has_mac = true;
	}
	if (nl_attrs_nested(a[IFLA_LINKINFO], info, IFLA_INFO_KIND) < 0)
		return -EBADMSG;
	nl_get_str(info[IFLA_INFO_KIND], link->kind, sizeof(link->kind));
	link->peer_index = (int) nl_get_u32(a[IFLA_LINK], 0);
	link->peer_netnsid = (int) nl_get_u32(a[IFLA_LINK_NETNSID], (uint32_t) -1);
	link->master = (int) nl_get_u32(a[IFLA_MASTER], 0);
	link->operstate = nl_get_u8(a[IFLA_OPERSTATE], 0);
	take_conf6(a[IFLA_AF_SPEC], link);
	link->carrier = nl_get_u8(a[IFLA_CARRIER], !!(ifi->ifi_flags & IFF_LOWER_UP));
	return 1;
}

static int take_link(void *ctx, const struct nlmsghdr *nlh)
{
	int r = link_parse(NULL, nlh, ctx);

	return r < 0 ? r : 0;
}

static struct nlmsghdr *start(struct nl *nl, uint16_t type, uint16_t flags, int index)
{
	void *family;
	struct nlmsghdr *nlh = nl_start(nl, type, flags, sizeof(struct ifinfomsg), &family);

	((struct ifinfomsg *) family)->ifi_index = index;
	return nlh;
}

/* Statistics and virtual functions are long and never looked at. */
static void skip_statistics(struct nl *nl, struct nlmsghdr *nlh)
{
	nl_put_u32(nl, nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/* 0 and the link, or -errno and a sentence that does not name it yet. */
static int ask(struct nl *nl, struct nlmsghdr *nlh, struct link *ret, struct err *err)
{
	struct link link = { 0 };
	int r;

	skip_statistics(nl, nlh);
	r = nl_ask(nl, nlh, take_link, &link, err);
	if (r == 0 && link.index == 0)
		r = err_set(err, -ENODEV, "%s", strerror(ENODEV));
	if (r == 0)
		*ret = link;
	return r;
}

int link_find_in(struct nl *nl, const char *name, int nsid, struct link *ret, struct err *err)
{
	struct nlmsghdr *nlh;
	int r;

	if (!*name || strlen(name) >= IFNAMSIZ)
		return err_set(err, -ENODEV, "link %.32s: no interface can have this name", name);
	nlh = start(nl, RTM_GETLINK, 0, 0);
	nl_put_str(nl, nlh, IFLA_IFNAME, name);
	if (nsid >= 0)
		nl_put_u32(nl, nlh, IFLA_TARGET_NETNSID, (uint32_t) nsid);
	r = ask(nl, nlh, ret, err);
	if (r < 0)
		(void) err_prefix(err, "link %s", name);
	return r;
}

int link_find(struct nl *nl, const char *name, struct link *ret, struct err *err)
{
	return link_find_in(nl, name, -1, ret, err);
}

int link_get(struct nl *nl, int index, struct link *ret, struct err *err)
{
	int r = ask(nl, start(nl, RTM_GETLINK, 0, index), ret, err);

	if (r < 0)
		(void) err_prefix(err, "link number %d", index);
	return r;
}

int link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err)
{
	void *items = NULL;
	struct nlmsghdr *nlh = start(nl, RTM_GETLINK, NLM_F_DUMP, 0);

	skip_statistics(nl, nlh);
	int r = nl_collect(nl, nlh, sizeof(struct link), link_parse, NULL, &items, ret_n, err);

	if (r < 0) {
		(void) err_prefix(err, "list links");
		return r;
	}
	*ret = items;
	return 0;
}

static int change(struct nl *nl, struct nlmsghdr *nlh, int index, const char *what, struct err *err)
{
	int r = nl_ask(nl, nlh, NULL, NULL, err);

	if (r < 0)
		(void) err_prefix(err, "link number %d: %s", index, what);
	return r;
}

int link_set_up(struct nl *nl, int index, bool up, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_SETLINK, 0, index);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = up ? IFF_UP : 0;
	return change(nl, nlh, index, up ? "set up" : "set down", err);
}

int link_set_mtu(struct nl *nl, int index, unsigned mtu, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_SETLINK, 0, index);

	nl_put_u32(nl, nlh, IFLA_MTU, mtu);
	return change(nl, nlh, index, "set MTU", err);
}

int link_set_name(struct nl *nl, int index, const char *name, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_SETLINK, 0, index);

	nl_put_str(nl, nlh, IFLA_IFNAME, name);
	return change(nl, nlh, index, "rename", err);
}

int link_set_alias(struct nl *nl, int index, const char *alias, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_SETLINK, 0, index);

	nl_put(nl, nlh, IFLA_IFALIAS, alias, strlen(alias));
	return change(nl, nlh, index, "set alias", err);
}

int link_set_no_autoaddr6(struct nl *nl, int index, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_SETLINK, 0, index);
	struct nlattr *spec = nl_nest(nl, nlh, IFLA_AF_SPEC);
	struct nlattr *inet6 = nl_nest(nl, nlh, AF_INET6);

	nl_put_u8(nl, nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nl_nest_end(nlh, inet6);
	nl_nest_end(nlh, spec);
	return change(nl, nlh, index, "turn automatic IPv6 address off", err);
}

int link_delete(struct nl *nl, int index, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_DELLINK, 0, index);

	return change(nl, nlh, index, "delete", err);
}

static void put_end(
	struct nl *nl, struct nlmsghdr *nlh, const char *name, unsigned mtu, const uint8_t *mac)
{
	nl_put_str(nl, nlh, IFLA_IFNAME, name);
	nl_put_u32(nl, nlh, IFLA_MTU, mtu);
	nl_put(nl, nlh, IFLA_ADDRESS, mac, LINK_MAC_LEN);
}

/* Linux 4.16; an older one overlooks them. */
static void put_segments(struct nl *nl, struct nlmsghdr *nlh, unsigned segments, unsigned mtu)
{
	unsigned bytes = segments * mtu;

	if (segments == 0)
		return;
	nl_put_u32(nl, nlh, IFLA_GSO_MAX_SEGS, segments);
	nl_put_u32(nl, nlh, IFLA_GSO_MAX_SIZE, bytes < 65536 ? bytes : 65536);
}

int link_add_veth(struct nl *nl, const struct link_veth *veth, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);

	put_end(nl, nlh, veth->name, veth->mtu, veth->mac);
	struct nlattr *info = nl_nest(nl, nlh, IFLA_LINKINFO);

	nl_put_str(nl, nlh, IFLA_INFO_KIND, "veth");
	struct nlattr *data = nl_nest(nl, nlh, IFLA_INFO_DATA);
	struct nlattr *peer = nl_nest(nl, nlh, VETH_INFO_PEER);

	(void) nl_put_raw(nl, nlh, sizeof(struct ifinfomsg)); /* no room shows in nl_ask() */
	put_end(nl, nlh, veth->peer_name, veth->mtu, veth->peer_mac);
	put_segments(nl, nlh, veth->peer_segments, veth->mtu);
	nl_put_u32(nl, nlh, IFLA_NET_NS_FD, (uint32_t) veth->peer_netns_fd);
	nl_nest_end(nlh, peer);
	nl_nest_end(nlh, data);
	nl_nest_end(nlh, info);
	int r = nl_ask(nl, nlh, NULL, NULL, err);

	if (r < 0)
		(void) err_prefix(err, "create veth %s with peer %s", veth->name, veth->peer_name);
	return r;
}

const char *link_mac_format(
	const uint8_t mac[static LINK_MAC_LEN], char ret_text[static LINK_MAC_TEXT_MAX])
{
	(void) snprintf(ret_text, LINK_MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		mac[1], mac[2], mac[3], mac[4], mac[5]);
	return ret_text;
}
