/* sys/net, and what sys/tun asks through it, against this kernel, in network namespaces of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/monitor.h"
#include "sys/net/neigh.h"
#include "sys/net/netconf.h"
#include "sys/net/netns.h"
#include "sys/net/route.h"
#include "sys/net/rule.h"
#include "sys/tun/tun.h"

static int here = -1, there = -1; /* namespaces: ours, and the one pods would have */
static const uint8_t mac_a[] = { 2, 0, 0, 0, 0, 1 }, mac_b[] = { 2, 0, 0, 0, 0, 2 };

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr = { 0 };

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p = { 0 };

	assert_int_equal(ip_prefix_parse(text, &p), 0);
	return p;
}

static int namespaces(void)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -errno;
	there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return there < 0 || here < 0 ? -errno : 0;
}

static int make_pair(void **state)
{
	struct nl *nl = NULL;
	struct err err = { 0 };
	struct link_veth veth = { .name = "left",
		.peer_name = "right",
		.mtu = 1380,
		.peer_segments = 46,
		.peer_netns_fd = there };

	memcpy(veth.mac, mac_a, sizeof(mac_a));
	memcpy(veth.peer_mac, mac_b, sizeof(mac_b));
	if (setns(here, CLONE_NEWNET) < 0 || nl_open(&nl, &err) < 0 ||
		link_add_veth(nl, &veth, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		nl_close(nl);
		return -1;
	}
	*state = nl;
	return 0;
}

static int drop_pair(void **state)
{
	struct link link;

	if (link_find(*state, "left", &link, NULL) == 0)
		(void) link_delete(*state, link.index, NULL);
	nl_close(*state);
	return 0;
}

static void veth_is_made_in_the_other_namespace(void **state)
{
	struct link left, right;
	struct err err = { 0 };
	CLEANUP_NL struct nl *nl = NULL;

	assert_int_equal(link_find(*state, "left", &left, &err), 0);
	assert_string_equal(left.kind, "veth");
	assert_int_equal(left.mtu, 1380);
	assert_memory_equal(left.mac, mac_a, 6);
	assert_false(left.flags & IFF_UP);
	assert_int_not_equal(left.peer_netnsid, -1);
	assert_int_equal(link_find(*state, "right", &right, &err), -ENODEV);
	assert_non_null(strstr(err.text, "right"));

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	assert_int_equal(nl_open(&nl, &err), 0);
	assert_int_equal(setns(here, CLONE_NEWNET), 0); /* the socket stays where it was opened */
	assert_int_equal(link_find(nl, "right", &right, &err), 0);
	assert_int_equal(right.mtu, 1380);
	assert_memory_equal(right.mac, mac_b, 6);
	assert_int_equal(right.index, left.peer_index);
	assert_int_equal(link_set_up(nl, right.index, true, &err), 0);
	assert_int_equal(link_set_up(*state, left.index, true, &err), 0);
	assert_int_equal(link_get(*state, left.index, &left, &err), 0);
	assert_true(left.flags & IFF_UP);
	assert_true(left.carrier);
	struct link_veth again = {
		.name = "left", .peer_name = "x", .mtu = 1500, .peer_netns_fd = there
	};

	memcpy(again.mac, mac_a, 6);
	memcpy(again.peer_mac, mac_b, 6);
	assert_int_equal(link_add_veth(*state, &again, &err), -EEXIST);
	again.name = "other";
	again.peer_name = "right";
	assert_int_equal(link_add_veth(*state, &again, &err), -EEXIST);
}

static uint64_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void it_is_seen_where_the_other_end_is(void **state)
{
	struct err err = { 0 };
	struct link left;
	CLEANUP_NL struct nl *nl = NULL;
	struct netns_use uses[] = { { .ino = inode(there) }, { .ino = inode(here) } };
	int fd;

	assert_int_equal(nl_open(&nl, &err), 0);
	assert_int_equal(link_find(nl, "left", &left, &err), 0);
	assert_true(left.peer_netnsid >= 0);
	assert_int_equal(netns_id(nl, there), left.peer_netnsid);
	assert_int_equal(netns_id(nl, here), -ENOENT);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(netns_id(nl, fd) < 0 && netns_id(nl, fd) != -ENOENT);
	close(fd);

	fd = netns_open("/proc/self/ns/net", inode(here));
	assert_true(fd >= 0);
	assert_int_equal(netns_id(nl, fd), -ENOENT);
	close(fd);
	assert_int_equal(netns_open("/proc/self/ns/net", inode(there)), -ESTALE);
	assert_int_equal(netns_open("/dev/null", 1), -EINVAL);
	assert_int_equal(netns_open("/nowhere", 1), -ENOENT);

	/* We are in one of them; who is not root does not see everybody. */
	int r = netns_mark_used(uses, ARRAY_LEN(uses));

	assert_true(uses[1].used);
	assert_int_equal(uses[0].used, r < 0);
	if (geteuid() == 0)
		assert_int_equal(r, 0);
}

static void link_is_changed_and_deleted(void **state)
{
	struct link link, *list = NULL;
	struct err err = { 0 };
	size_t n = 0;
	char mac[LINK_MAC_TEXT_MAX];

	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link_set_mtu(*state, link.index, 1280, &err), 0);
	assert_int_equal(link_set_alias(*state, link.index, "who am I", &err), 0);
	assert_int_equal(link_set_no_autoaddr6(*state, link.index, &err), 0);
	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link.mtu, 1280);
	assert_string_equal(link.alias, "who am I");
	assert_string_equal(link_mac_format(link.mac, mac), "02:00:00:00:00:01");
	assert_true(link_set_mtu(*state, link.index, 5, &err) < 0);
	assert_non_null(strstr(err.text, "mtu less than device minimum")); /* the kernel's words */
	assert_int_equal(link_list(*state, &list, &n, &err), 0);
	assert_true(n >= 2);
	free(list);
	assert_int_equal(link_delete(*state, link.index, &err), 0);
	assert_int_equal(link_delete(*state, link.index, &err), -ENODEV);
	assert_int_equal(link_find(*state, "name-that-is-far-too-long", &link, &err), -ENODEV);
	assert_int_equal(link_find(*state, "", &link, &err), -ENODEV);
}

static void addresses_are_added_listed_removed(void **state)
{
	struct link link;
	struct err err = { 0 };
	struct link_addr *list = NULL;
	size_t n = 0;

	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link_set_no_autoaddr6(*state, link.index, &err), 0);
	assert_int_equal(link_set_up(*state, link.index, true, &err), 0);
	struct link_addr four = {
		.ifindex = link.index, .addr = ip("10.77.0.1"), .prefix_len = 32
	};
	struct link_addr six = { .ifindex = link.index,
		.addr = ip("fd00::1"),
		.prefix_len = 64,
		.flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE };

	assert_int_equal(addr_add(*state, &four, &err), 0);
	assert_int_equal(addr_add(*state, &four, &err), 0); /* twice is as good as once */
	assert_int_equal(addr_add(*state, &six, &err), 0);
	assert_int_equal(addr_list(*state, link.index, AF_UNSPEC, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	free(list);
	assert_int_equal(addr_list(*state, link.index, AF_INET6, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_true(ip_addr_equal(&list[0].addr, &six.addr));
	assert_true(list[0].flags & IFA_F_NODAD);
	assert_true(list[0].flags & IFA_F_NOPREFIXROUTE);
	assert_false(list[0].flags & IFA_F_TENTATIVE);
	assert_int_equal(list[0].preferred_s, ADDR_FOREVER);
	free(list);
	six.preferred_s = 0;
	six.valid_s = 100;
	assert_int_equal(addr_add(*state, &six, &err), 0);
	assert_int_equal(addr_list(*state, 0, AF_INET6, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_true(list[0].flags & IFA_F_DEPRECATED);
	assert_in_range(list[0].valid_s, 90, 100);
	free(list);
	assert_int_equal(addr_del(*state, &four, &err), 0);
	assert_int_equal(addr_del(*state, &four, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "10.77.0.1/32"));
	assert_int_equal(addr_list(*state, link.index, AF_INET, &list, &n, &err), 0);
	assert_int_equal(n, 0);
	free(list);
}

static void routes_are_ours_alone(void **state)
{
	struct link link;
	struct err err = { 0 };
	struct route *list = NULL;
	size_t n = 0;

	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link_set_up(*state, link.index, true, &err), 0);
	struct link_addr four = {
		.ifindex = link.index, .addr = ip("10.77.0.1"), .prefix_len = 24
	};
	struct link_addr six = {
		.ifindex = link.index, .addr = ip("fd00::1"), .prefix_len = 64, .flags = IFA_F_NODAD
	};

	assert_int_equal(addr_add(*state, &four, &err), 0);
	assert_int_equal(addr_add(*state, &six, &err), 0);
	struct route a = {
		.dst = prefix("10.244.2.0/24"), .oif = link.index, .src = four.addr, .mtu = 1280
	};
	struct route b = { .dst = prefix("fd01::/64"),
		.gateway = ip("fd00::2"),
		.oif = link.index,
		.src = six.addr,
		.mtu = 1300,
		.priority = 50 };
	struct route c = { .dst = prefix("0.0.0.0/0"),
		.gateway = ip("169.254.1.1"),
		.oif = link.index,
		.onlink = true,
		.protocol = 99 };

	assert_int_equal(route_replace(*state, &a, &err), 0);
	a.mtu = 1290;
	assert_int_equal(route_replace(*state, &a, &err), 0);
	assert_int_equal(route_add(*state, &a, &err), -EEXIST);
	assert_int_equal(route_replace(*state, &b, &err), 0);
	assert_int_equal(route_replace(*state, &c, &err), 0);

	struct route_filter ours = { .protocol = ROUTE_PROTOCOL_HEARTH };

	assert_int_equal(route_list(*state, &ours, &list, &n, &err), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		const struct route *want = list[i].dst.addr.family == AF_INET ? &a : &b;

		assert_true(ip_prefix_equal(&list[i].dst, &want->dst));
		assert_true(ip_addr_equal(&list[i].src, &want->src));
		assert_true(ip_addr_equal(&list[i].gateway, &want->gateway));
		assert_int_equal(list[i].mtu, want->mtu);
		assert_int_equal(list[i].oif, link.index);
		assert_int_equal(list[i].table, RT_TABLE_MAIN);
		assert_int_equal(list[i].priority, want->priority);
	}
	free(list);
	struct route_filter defaults = { .only_default = true, .family = AF_INET };

	assert_int_equal(route_list(*state, &defaults, &list, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].protocol, 99);
	assert_true(list[0].onlink);
	free(list);
	struct route_filter empty = { .family = AF_INET, .table = 4711 };

	assert_int_equal(route_list(*state, &empty, &list, &n, &err), 0);
	assert_int_equal(n, 0);
	free(list);

	struct route way;
	struct route_query to = { .dst = ip("10.244.2.9") };

	assert_int_equal(route_lookup(*state, &to, &way, &err), 0);
	assert_int_equal(way.oif, link.index);
	assert_true(ip_addr_equal(&way.src, &four.addr));

	struct route not_ours = c;

	not_ours.protocol = ROUTE_PROTOCOL_HEARTH;
	assert_int_equal(route_del(*state, &not_ours, &err), -ESRCH);
	assert_int_equal(route_del(*state, &a, &err), 0);
	assert_int_equal(route_del(*state, &a, &err), -ESRCH);
	assert_int_equal(route_del(*state, &b, &err), 0);
	assert_int_equal(route_del(*state, &c, &err), 0);
	struct route bad = {
		.dst = prefix("10.244.3.0/24"), .oif = link.index, .src = ip("10.9.9.9")
	};

	assert_int_equal(route_replace(*state, &bad, &err), -EINVAL);
	assert_non_null(strstr(err.text, "10.244.3.0/24"));
}

static void neighbours_are_permanent_or_asked_for(void **state)
{
	struct link link;
	struct err err = { 0 };
	struct neigh *list = NULL;
	size_t n = 0;
	struct ip_addr four = ip("169.254.1.1"), six = ip("fe80::1");

	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link_set_up(*state, link.index, true, &err), 0);
	assert_int_equal(neigh_set_permanent(*state, link.index, &four, mac_b, &err), 0);
	assert_int_equal(neigh_set_permanent(*state, link.index, &six, mac_b, &err), 0);
	assert_int_equal(neigh_list(*state, link.index, &list, &n, &err), 0);
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].state == NUD_PERMANENT && !memcmp(list[i].mac, mac_b, 6))
			found++;
	free(list);
	assert_int_equal(found, 2);
	/* One that the kernel is to ask about has no link address yet, and is none of these. */
	assert_int_equal(neigh_set_learning(*state, link.index, &six, &err), 0);
	assert_int_equal(neigh_list(*state, link.index, &list, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		assert_false(ip_addr_equal(&list[i].addr, &six));
	free(list);
}

struct seen {
	bool up, addr, route, gone, settings;
};

static void see(void *ctx, const struct monitor_event *e)
{
	struct seen *seen = ctx;

	switch (e->what) {
	case MONITOR_LINKS:
		seen->up |= !e->gone && e->link.flags & IFF_UP && !strcmp(e->link.name, "left");
		seen->gone |= e->gone && !strcmp(e->link.name, "left");
		break;
	case MONITOR_ADDRS:
		seen->addr |= e->addr.addr.family == AF_INET;
		break;
	case MONITOR_ROUTES:
		seen->route |= e->route.protocol == ROUTE_PROTOCOL_HEARTH;
		break;
	case MONITOR_SETTINGS:
		seen->settings = true;
		break;
	}
}

static void monitor_sees_changes_and_loss(void **state)
{
	struct link link;
	struct err err = { 0 };
	struct seen seen = { 0 };
	CLEANUP(close_p)
	int fd = monitor_open(MONITOR_LINKS | MONITOR_ADDRS | MONITOR_ROUTES, &err);

	assert_true(fd >= 0);
	assert_int_equal(monitor_read(fd, see, &seen), 0);
	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link_set_up(*state, link.index, true, &err), 0);
	struct link_addr four = {
		.ifindex = link.index, .addr = ip("10.77.0.1"), .prefix_len = 32
	};

	assert_int_equal(addr_add(*state, &four, &err), 0);
	struct route route = { .dst = prefix("10.244.0.0/16"), .oif = link.index };

	assert_int_equal(route_replace(*state, &route, &err), 0);
	assert_true(monitor_read(fd, see, &seen) >= 3);
	assert_true(seen.up && seen.addr && seen.route);
	int small = 4096;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (uint32_t i = 0; i < 200; i++) {
		route.mtu = 1280 + i;
		assert_int_equal(route_replace(*state, &route, &err), 0);
	}
	int r = monitor_read(fd, see, &seen);

	assert_int_equal(r, -ENOBUFS);
	while (monitor_read(fd, see, &seen) != 0)
		;
	assert_int_equal(link_delete(*state, link.index, &err), 0);
	assert_true(monitor_read(fd, see, &seen) > 0);
	assert_true(seen.gone);
}

/* What a tunnel listens to: every route and rule, of which it wants to know only that there was one. */
static void monitor_drains(void **state)
{
	const int all = MONITOR_LINKS | MONITOR_ADDRS | MONITOR_WAYS;
	CLEANUP(close_p) int fd = monitor_open(MONITOR_LINKS | MONITOR_WAYS, NULL);
	struct route route = { .dst = prefix("198.51.100.0/24"), .protocol = 99 };
	int small = 4096;
	struct link left;

	assert_true(fd >= 0);
	assert_int_equal(monitor_drain(fd), 0);
	assert_int_equal(link_find(*state, "left", &left, NULL), 0);
	assert_int_equal(link_set_mtu(*state, left.index, 1379, NULL), 0);
	assert_int_equal(monitor_drain(fd), MONITOR_LINKS | MONITOR_WAYS);
	assert_int_equal(link_set_mtu(*state, left.index, 1380, NULL), 0);
	assert_int_equal(link_set_up(*state, left.index, true, NULL), 0);
	(void) monitor_drain(fd);
	route.oif = left.index;
	assert_int_equal(route_add(*state, &route, NULL), 0); /* of nobody hearthd knows */
	assert_int_equal(monitor_drain(fd), MONITOR_WAYS);
	assert_int_equal(rule_prohibit(*state, "left", NULL), 0);
	assert_int_equal(monitor_drain(fd), MONITOR_WAYS);
	assert_int_equal(rule_permit(*state, "left", NULL), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (uint32_t i = 0; i < 200; i++) {
		route.mtu = 1280 + i;
		assert_int_equal(route_replace(*state, &route, NULL), 0);
	}
	assert_int_equal(monitor_drain(fd), all);
	assert_int_equal(monitor_drain(fd), 0);
}

static void set_forwarding(const char *text)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_forward", "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* sysctl's values are seen through rtnetlink, and that they change; what a new link has is no news. */
static void settings_are_seen(void **state)
{
	struct link_veth veth = { .name = "late", .peer_name = "later", .mtu = 1380 };
	struct netconf conf;
	struct err err = { 0 };
	struct seen seen = { 0 };
	CLEANUP(close_p) int fd = monitor_open(MONITOR_SETTINGS, &err);

	assert_true(fd >= 0);
	set_forwarding("1");
	assert_int_equal(netconf_get(*state, AF_INET, NETCONF_ALL, &conf, &err), 0);
	assert_int_equal(conf.forwarding, 1);
	assert_int_equal(conf.ifindex, NETCONF_ALL);
	set_forwarding("0");
	assert_int_equal(netconf_get(*state, AF_INET, NETCONF_ALL, &conf, &err), 0);
	assert_int_equal(conf.forwarding, 0);
	assert_true(monitor_read(fd, see, &seen) > 0);
	assert_true(seen.settings);
	veth.peer_netns_fd = there;
	memcpy(veth.mac, mac_a, sizeof(veth.mac));
	memcpy(veth.peer_mac, mac_b, sizeof(veth.peer_mac));
	assert_int_equal(link_add_veth(*state, &veth, &err), 0);
	assert_int_equal(monitor_read(fd, see, &seen), 0);
	assert_true(netconf_get(*state, AF_INET, 123456, &conf, &err) < 0);
}

/* A link that is up, too: at once, or as iface_rename() does it where the kernel is older. */
static void links_are_renamed(void **state)
{
	struct link link;
	struct err err = { 0 };

	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	assert_int_equal(link_set_name(*state, link.index, "left2", &err), 0);
	assert_int_equal(link_find(*state, "left", &link, &err), -ENODEV);
	assert_int_equal(link_find(*state, "left2", &link, &err), 0);
	assert_int_equal(link_set_name(*state, link.index, "lo", &err), -EEXIST);
	assert_int_equal(link_set_name(*state, link.index, "left", &err), 0);
}

static void many_addresses_are_dumped_whole(void **state)
{
	struct link link;
	struct err err = { 0 };
	struct link_addr *list = NULL;
	size_t n = 0;

	assert_int_equal(link_find(*state, "left", &link, &err), 0);
	struct link_addr addr = { .ifindex = link.index, .prefix_len = 32 };
	struct ip_prefix base = prefix("10.0.0.0/8");

	for (uint64_t i = 0; i < 2000; i++) {
		assert_int_equal(ip_prefix_nth(&base, i + 1, &addr.addr), 0);
		assert_int_equal(addr_add(*state, &addr, &err), 0);
	}
	assert_int_equal(addr_list(*state, link.index, AF_INET, &list, &n, &err), 0);
	assert_int_equal(n, 2000);
	free(list);
}

static int count_prohibited(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *a[FRA_PROTOCOL + 1] = { 0 };
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(nlh);
	char iif[IF_NAMESIZE];

	if (nlh->nlmsg_type != RTM_NEWRULE || nl_attrs(nlh, sizeof(*rule), a, FRA_PROTOCOL) < 0)
		return 0;
	nl_get_str(a[FRA_IIFNAME], iif, sizeof(iif));
	if (rule->action == FR_ACT_PROHIBIT && !strcmp(iif, "left") &&
		nl_get_u32(a[FRA_PRIORITY], 0) == RULE_PRIORITY &&
		nl_get_u8(a[FRA_PROTOCOL], 0) == RULE_PROTOCOL)
		++*(int *) ctx;
	return 0;
}

static int prohibited(struct nl *nl)
{
	void *header;
	int n = 0;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETRULE, NLM_F_DUMP, sizeof(struct fib_rule_hdr), &header);

	assert_int_equal(nl_ask(nl, nlh, count_prohibited, &n, NULL), 0);
	return n;
}

/* Once for each family however often it is asked for, also about a link that is not there; and gone whole. */
static void nothing_is_passed_on(void **state)
{
	struct err err = { 0 };

	assert_int_equal(rule_permit(*state, "left", &err), 0);
	assert_int_equal(prohibited(*state), 0);
	assert_int_equal(rule_prohibit(*state, "left", &err), 0);
	assert_int_equal(rule_prohibit(*state, "left", &err), 0);
	assert_int_equal(rule_prohibit(*state, "nowhere", &err), 0);
	assert_int_equal(prohibited(*state), 2);
	assert_int_equal(rule_permit(*state, "nowhere", &err), 0);
	assert_int_equal(prohibited(*state), 2);
	assert_int_equal(rule_permit(*state, "left", &err), 0);
	assert_int_equal(prohibited(*state), 0);
}

/* Routes, links here and there, and the name of the other namespace, as a tunnel asks for them. */
static void a_tunnel_asks(void **state)
{
	struct route_query query = { .dst = ip("192.0.2.77"), .sport = 1, .dport = 2 };
	struct link_addr four = { .addr = ip("192.0.2.1"), .prefix_len = 24 };
	struct link left = { 0 }, asked = { 0 };
	struct route way = { 0 };
	int id;

	assert_int_equal(link_find(*state, "left", &left, NULL), 0);
	assert_int_equal(route_lookup(*state, &query, &way, NULL), -ENETUNREACH);
	four.ifindex = left.index;
	assert_int_equal(addr_add(*state, &four, NULL), 0);
	assert_int_equal(link_set_up(*state, left.index, true, NULL), 0);
	assert_int_equal(route_lookup(*state, &query, &way, NULL), 0);
	assert_int_equal(way.oif, left.index);
	query.src = ip("192.0.2.1");
	assert_int_equal(route_lookup(*state, &query, &way, NULL), 0);
	query.src = ip("192.0.2.2"); /* not ours */
	assert_true(route_lookup(*state, &query, &way, NULL) < 0);

	assert_int_equal(link_get(*state, left.index, &asked, NULL), 0);
	assert_int_equal(asked.mtu, 1380);
	assert_int_equal(asked.type, ARPHRD_ETHER);
	assert_int_equal(link_get(*state, 12345, &asked, NULL), -ENODEV);
	assert_int_equal(link_find_in(*state, "left", -1, &asked, NULL), 0);
	assert_int_equal(link_find_in(*state, "right", -1, &asked, NULL), -ENODEV);
	id = netns_id_make(*state, there);
	assert_true(id >= 0);
	assert_int_equal(netns_id_make(*state, there), id);
	assert_int_equal(link_find_in(*state, "right", id, &asked, NULL), 0);
	assert_int_equal(asked.mtu, 1380);
	assert_true(netns_id_make(*state, -1) < 0);
}

/* Each reason with its own cure: rights are not blamed for what a container forbids. */
static void test_tun_explained(void **state)
{
	static const struct {
		int code;
		const char *has, *has_not;
	} cases[] = {
		{ -ENOENT, "modprobe tun", "root" },
		{ -ENODEV, "modprobe tun", "root" },
		{ -ENXIO, "modprobe tun", "root" },
		{ -EPERM, "c 10:200 rwm", "root is needed" },
		{ -EPERM, "DeviceAllow=", "modprobe" },
		{ -EACCES, "root is needed", "c 10:200" },
		{ -EACCES, "nodev", "modprobe" },
		{ -EMFILE, "Too many open files", "root" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };

		assert_int_equal(tun_explain(cases[i].code, &err), cases[i].code);
		if (!strstr(err.text, cases[i].has) || strstr(err.text, cases[i].has_not) ||
			!strstr(err.text, "/dev/net/tun"))
			fail_msg("%d: %s", cases[i].code, err.text);
	}
}

int main(void)
{
	if (namespaces() < 0) {
		printf("no network namespaces for us here: %s\n", strerror(errno));
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tun_explained),
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_pair, drop_pair)
		TEST(veth_is_made_in_the_other_namespace),
		TEST(it_is_seen_where_the_other_end_is),
		TEST(link_is_changed_and_deleted),
		TEST(addresses_are_added_listed_removed),
		TEST(routes_are_ours_alone),
		TEST(neighbours_are_permanent_or_asked_for),
		TEST(monitor_sees_changes_and_loss),
		TEST(monitor_drains),
		TEST(settings_are_seen),
		TEST(links_are_renamed),
		TEST(many_addresses_are_dumped_whole),
		TEST(nothing_is_passed_on),
		TEST(a_tunnel_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
