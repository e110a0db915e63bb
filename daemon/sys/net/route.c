/* route: see route.h. */
#include "sys/net/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <string.h>

/* Of a multipath route the first next hop: 0, or -EBADMSG. */
static int first_hop(const struct nlattr *multipath, uint8_t family, struct route *route)
{
	const struct nlattr *a[RTA_VIA + 1] = { 0 };
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	size_t len = mnl_attr_get_payload_len(multipath);

	if (len < sizeof(*hop) || hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > len)
		return -EBADMSG;
	route->oif = hop->rtnh_ifindex;
	route->flags |= hop->rtnh_flags;
	const char *at = (const char *) hop + RTNH_ALIGN(sizeof(*hop));
	size_t left = hop->rtnh_len - sizeof(*hop);

	while (left >= sizeof(struct nlattr) &&
		mnl_attr_ok((const struct nlattr *) at, (int) left)) {
		const struct nlattr *attr = (const struct nlattr *) at;
		size_t step = MNL_ALIGN(attr->nla_len);

		if (mnl_attr_get_type(attr) <= RTA_VIA)
			a[mnl_attr_get_type(attr)] = attr;
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	route->gateway = nl_get_addr(a[RTA_GATEWAY], family);
	return 0;
}

/* RTA_VIA: a gateway of the other family. */
static struct ip_addr via(const struct nlattr *attr)
{
	struct ip_addr addr = { 0 };
	const struct rtvia *v = attr ? mnl_attr_get_payload(attr) : NULL;
	size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;

	if (!v || len < sizeof(*v))
		return addr;
	size_t bytes = ip_bytes(v->rtvia_family);

	if (!bytes || len - sizeof(*v) < bytes)
		return addr;
	addr.family = (uint8_t) v->rtvia_family;
	memcpy(addr.bytes, v->rtvia_addr, bytes);
	return addr;
}

static bool is_listed(uint8_t type)
{
	return type == RTN_UNICAST || type == RTN_BLACKHOLE || type == RTN_UNREACHABLE ||
	       type == RTN_PROHIBIT;
}

static int parse(const struct nlmsghdr *nlh, struct route *route)
{
	const struct nlattr *a[RTA_VIA + 1] = { 0 }, *metrics[RTAX_MTU + 1] = { 0 };
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	if (nl_attrs(nlh, sizeof(*rtm), a, RTA_VIA) < 0 ||
		nl_attrs_nested(a[RTA_METRICS], metrics, RTAX_MTU) < 0)
		return -EBADMSG;
	memset(route, 0, sizeof(*route));
	uint8_t family = rtm->rtm_family;

	if (!ip_bytes(family) || rtm->rtm_dst_len > ip_bits(family))
		return 0;
	route->dst.addr = nl_get_addr(a[RTA_DST], family);
	route->dst.addr.family = family;
	route->dst.len = rtm->rtm_dst_len;
	route->gateway = a[RTA_VIA] ? via(a[RTA_VIA]) : nl_get_addr(a[RTA_GATEWAY], family);
	route->oif = (int) nl_get_u32(a[RTA_OIF], 0);
	route->src = nl_get_addr(a[RTA_PREFSRC], family);
	route->mtu = nl_get_u32(metrics[RTAX_MTU], 0);
	route->priority = nl_get_u32(a[RTA_PRIORITY], 0);
	route->table = nl_get_u32(a[RTA_TABLE], rtm->rtm_table);
	route->protocol = rtm->rtm_protocol;
	route->type = rtm->rtm_type;
	route->scope = rtm->rtm_scope;
	route->flags = rtm->rtm_flags;
	if (a[RTA_MULTIPATH] && mnl_attr_get_payload_len(a[RTA_MULTIPATH]) > 0 &&
		first_hop(a[RTA_MULTIPATH], family, route) < 0)
		return -EBADMSG;
	route->onlink = !!(route->flags & RTNH_F_ONLINK);
	return 1;
}

int route_parse(void *unused, const struct nlmsghdr *nlh, void *ret_route)
{
	struct route *route = ret_route;

	if (nlh->nlmsg_type != RTM_NEWROUTE && nlh->nlmsg_type != RTM_DELROUTE)
		return 0;
	int r = parse(nlh, route);

	if (r <= 0)
		return r;
	return is_listed(route->type) && !(route->flags & RTM_F_CLONED);
}

static struct nlmsghdr *start(
	struct nl *nl, uint16_t type, uint16_t flags, const struct route *route)
{
	void *family;
	struct nlmsghdr *nlh = nl_start(nl, type, flags, sizeof(struct rtmsg), &family);
	struct rtmsg *rtm = family;

	rtm->rtm_family = route->dst.addr.family;
	rtm->rtm_dst_len = route->dst.len;
	rtm->rtm_protocol = route->protocol ? route->protocol : ROUTE_PROTOCOL_HEARTH;
	rtm->rtm_type = route->type ? route->type : RTN_UNICAST;
	rtm->rtm_table = RT_TABLE_UNSPEC;
	nl_put_u32(nl, nlh, RTA_TABLE, route->table ? route->table : RT_TABLE_MAIN);
	if (route->dst.len)
		nl_put_addr(nl, nlh, RTA_DST, &route->dst.addr);
	if (route->gateway.family)
		nl_put_addr(nl, nlh, RTA_GATEWAY, &route->gateway);
	if (route->oif)
		nl_put_u32(nl, nlh, RTA_OIF, (uint32_t) route->oif);
	if (route->priority)
		nl_put_u32(nl, nlh, RTA_PRIORITY, route->priority);
	return nlh;
}

static int finish(struct nl *nl, struct nlmsghdr *nlh, const struct route *route, const char *what,
	struct err *err)
{
	char text[PREFIX_TEXT_MAX];
	int r = nl_ask(nl, nlh, NULL, NULL, err);

	if (r < 0)
		(void) err_prefix(err, "%s route to %s", what, ip_prefix_format(&route->dst, text));
	return r;
}

static int put(struct nl *nl, const struct route *route, uint16_t flags, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_NEWROUTE, (uint16_t) (NLM_F_CREATE | flags), route);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	bool unicast = rtm->rtm_type == RTN_UNICAST;

	rtm->rtm_scope = unicast && !route->gateway.family ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	if (route->onlink)
		rtm->rtm_flags |= RTNH_F_ONLINK;
	if (route->src.family)
		nl_put_addr(nl, nlh, RTA_PREFSRC, &route->src);
	if (route->mtu) {
		struct nlattr *metrics = nl_nest(nl, nlh, RTA_METRICS);

		nl_put_u32(nl, nlh, RTAX_MTU, route->mtu);
		nl_nest_end(nlh, metrics);
	}
	return finish(nl, nlh, route, "add", err);
}

int route_replace(struct nl *nl, const struct route *route, struct err *err)
{
	return put(nl, route, NLM_F_REPLACE, err);
}

int route_add(struct nl *nl, const struct route *route, struct err *err)
{
	return put(nl, route, NLM_F_EXCL, err);
}

int route_del(struct nl *nl, const struct route *route, struct err *err)
{
	struct nlmsghdr *nlh = start(nl, RTM_DELROUTE, 0, route);

	((struct rtmsg *) mnl_nlmsg_get_payload(nlh))->rtm_scope = RT_SCOPE_NOWHERE;
	return finish(nl, nlh, route, "remove", err);
}

static int parse_matching(void *ctx, const struct nlmsghdr *nlh, void *item)
{
	const struct route_filter *f = ctx;
	const struct route *route = item;
	int r = route_parse(NULL, nlh, item);

	if (r <= 0)
		return r;
	return (!f->table || f->table == route->table) &&
	       (!f->protocol || f->protocol == route->protocol) &&
	       (!f->oif || f->oif == route->oif) && (!f->only_default || route->dst.len == 0) &&
	       (!f->family || f->family == route->dst.addr.family);
}

static int list_family(struct nl *nl, const struct route_filter *filter, void **ret, size_t *ret_n,
	struct err *err)
{
	struct route_filter copy = *filter;
	void *header;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg), &header);
	struct rtmsg *rtm = header;
	int r;

	rtm->rtm_family = (uint8_t) filter->family;
	/* The kernel filters only if the family is named. */
	if (filter->family) {
		rtm->rtm_protocol = filter->protocol;
		if (filter->table)
			nl_put_u32(nl, nlh, RTA_TABLE, filter->table);
		if (filter->oif)
			nl_put_u32(nl, nlh, RTA_OIF, (uint32_t) filter->oif);
	}
	r = nl_collect(nl, nlh, sizeof(struct route), parse_matching, &copy, ret, ret_n, err);
	if (r == -ENOENT) { /* a table that holds nothing does not exist */
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	return r;
}

static int list_both(struct nl *nl, const struct route_filter *filter, void **ret, size_t *ret_n,
	struct err *err)
{
	struct route_filter four = *filter, six = *filter;
	CLEANUP(free_p) void *list4 = NULL;
	CLEANUP(free_p) void *list6 = NULL;
	struct route *all;
	size_t n4 = 0, n6 = 0;
	int r;

	four.family = AF_INET;
	six.family = AF_INET6;
	r = list_family(nl, &four, &list4, &n4, err);
	if (r == 0)
		r = list_family(nl, &six, &list6, &n6, err);
	if (r < 0)
		return r;
	if (n6) {
		all = reallocarray(list4, n4 + n6, sizeof(*all));
		if (!all)
			return err_set(err, -ENOMEM, "out of memory");
		memcpy(all + n4, list6, n6 * sizeof(*all));
		list4 = all;
	}
	*ret = TAKE(list4);
	*ret_n = n4 + n6;
	return 0;
}

int route_list(struct nl *nl, const struct route_filter *filter, struct route **ret, size_t *ret_n,
	struct err *err)
{
	bool narrow = filter->table || filter->protocol || filter->oif;
	void *items = NULL;
	int r = filter->family || !narrow ? list_family(nl, filter, &items, ret_n, err)
					  : list_both(nl, filter, &items, ret_n, err);

	if (r < 0) {
		(void) err_prefix(err, "list routes");
		return r;
	}
	*ret = items;
	return 0;
}

static int take_route(void *ctx, const struct nlmsghdr *nlh)
{
	int r = nlh->nlmsg_type == RTM_NEWROUTE ? parse(nlh, ctx) : 0;

	return r < 0 ? r : 0;
}

/*
 * Addresses in no use (RFC 1112 section 4, RFC 4291 section 2.4), to which nothing but a default
 * leads.
 */
static const struct ip_addr nowhere4 = { .family = AF_INET, .bytes = { 240, 0, 0, 1 } };
static const struct ip_addr nowhere6 = { .family = AF_INET6, .bytes = { 0x40, [15] = 1 } };

int route_default_of(struct nl *nl, int family, int oif, struct route *ret, struct err *err)
{
	const struct ip_addr *dst = family == AF_INET ? &nowhere4 : &nowhere6;
	struct route route = { 0 };
	void *header;
	struct nlmsghdr *nlh = nl_start(nl, RTM_GETROUTE, 0, sizeof(struct rtmsg), &header);
	struct rtmsg *rtm = header;
	int r;

	rtm->rtm_family = (uint8_t) family;
	rtm->rtm_dst_len = (uint8_t) ip_bits(dst->family);
	rtm->rtm_flags = RTM_F_FIB_MATCH; /* the route itself, not what is made of it */
	nl_put_addr(nl, nlh, RTA_DST, dst);
	nl_put_u32(nl, nlh, RTA_OIF, (uint32_t) oif);
	r = nl_ask(nl, nlh, take_route, &route, err);
	if (r == -ENOBUFS || r == -ENOMEM || r == -ETIMEDOUT || r == -EMSGSIZE)
		return err_prefix(err, "ask for a default route");
	/*
	 * Whatever else the kernel says means that there is none: no address, no IPv6, prohibited.
	 */
	if (r < 0 || !route.dst.addr.family || route.dst.len || route.type != RTN_UNICAST)
		return 0;
	route.oif = oif; /* of several next hops it was the one that was asked for */
	*ret = route;
	return 1;
}

static void put_query(struct nl *nl, struct nlmsghdr *nlh, const struct route_query *query)
{
	const uint16_t sport = htons(query->sport), dport = htons(query->dport);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	rtm->rtm_family = query->dst.family;
	rtm->rtm_dst_len = (uint8_t) ip_bits(query->dst.family);
	nl_put_addr(nl, nlh, RTA_DST, &query->dst);
	if (query->src.family) {
		rtm->rtm_src_len = rtm->rtm_dst_len;
		nl_put_addr(nl, nlh, RTA_SRC, &query->src);
	}
	if (query->oif)
		nl_put_u32(nl, nlh, RTA_OIF, (uint32_t) query->oif);
	if (query->mark)
		nl_put_u32(nl, nlh, RTA_MARK, query->mark);
	if (sport || dport) {
		nl_put_u8(nl, nlh, RTA_IP_PROTO, IPPROTO_UDP);
		nl_put(nl, nlh, RTA_SPORT, &sport, sizeof(sport));
		nl_put(nl, nlh, RTA_DPORT, &dport, sizeof(dport));
	}
}

int route_lookup(struct nl *nl, const struct route_query *query, struct route *ret, struct err *err)
{
	void *unused;
	struct route route = { 0 };
	char text[IP_TEXT_MAX];
	struct nlmsghdr *nlh = nl_start(nl, RTM_GETROUTE, 0, sizeof(struct rtmsg), &unused);
	int r;

	put_query(nl, nlh, query);
	r = nl_ask(nl, nlh, take_route, &route, err);
	if (r == 0 && (!route.dst.addr.family || !route.oif))
		r = err_set(err, -ENETUNREACH, "%s", strerror(ENETUNREACH));
	if (r < 0) {
		(void) err_prefix(err, "route to %s", ip_addr_format(&query->dst, text));
		return r;
	}
	*ret = route;
	return 0;
}

struct rule_search {
	uint32_t table;
	bool found;
};

static int match_rule(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *a[FRA_TABLE + 1] = { 0 };
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(nlh);
	struct rule_search *search = ctx;

	if (nlh->nlmsg_type == RTM_NEWRULE && nl_attrs(nlh, sizeof(*rule), a, FRA_TABLE) == 0 &&
		nl_get_u32(a[FRA_TABLE], rule->table) == search->table)
		search->found = true;
	return 0;
}

int route_has_rule_to(struct nl *nl, uint8_t family, uint32_t table, bool *ret, struct err *err)
{
	void *header;
	struct rule_search search = { .table = table };
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETRULE, NLM_F_DUMP, sizeof(struct fib_rule_hdr), &header);

	((struct fib_rule_hdr *) header)->family = family;
	int r = nl_ask(nl, nlh, match_rule, &search, err);

	/* A dump that changed while it was read: what was found is there all the same. */
	if (r < 0 && r != -EINTR) {
		(void) err_prefix(err, "list rules");
		return r;
	}
	*ret = search.found;
	return 0;
}
