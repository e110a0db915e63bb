/* portmap-way: which gateway is asked, and for which address, by routes and links of the test's. */
#include "fake-core.h"
#include "fake-net.h"

#include <linux/rtnetlink.h>

#include "node/portmap-way.h"

static struct link_verdict list[] = {
	{ .index = 2, .name = "eth0", .class = LINK_CLASS_UPLINK, .up = true },
	{ .index = 3, .name = "wlan0", .class = LINK_CLASS_UNKNOWN, .up = true },
	{ .index = 4, .name = "wg0", .class = LINK_CLASS_OVERLAY, .up = true },
	{ .index = 5, .name = "eth1", .class = LINK_CLASS_UPLINK },
};
static struct links links;
static const char *const default_routes[] = { "0.0.0.0/0", "::/0" };

static int set_up(void **state)
{
	fake_net_reset();
	links = (struct links){ .list = list, .n = ARRAY_LEN(list) };
	return 0;
}

static int tear_down(void **state)
{
	fake_net_reset();
	return 0;
}

static void put_address(size_t link, const char *text)
{
	assert_int_equal(ip_addr_parse(text, &links.addrs[links.n_addrs].addr), 0);
	links.addrs[links.n_addrs++].link = link;
}

static struct route *put_route(int oif, const char *gateway, uint32_t priority)
{
	bool ipv6 = gateway && strchr(gateway, ':');
	struct route *route = fake_net_route(default_routes[ipv6], oif);

	route->protocol = 0;
	route->priority = priority;
	if (gateway)
		assert_int_equal(ip_addr_parse(gateway, &route->gateway), 0);
	return route;
}

static void assert_way(int family, const char *gateway, const char *own, int ifindex)
{
	struct pmp_way way = { 0 };
	char text[IP_TEXT_MAX];
	bool is = portmap_find_way(NULL, &links, family, &way);

	assert_int_equal(is, gateway != NULL);
	if (!is)
		return;
	assert_string_equal(ip_addr_format(&way.gateway, text), gateway);
	assert_string_equal(ip_addr_format(&way.own, text), own);
	assert_int_equal(way.ifindex, ifindex);
}

static void test_one(void **state)
{
	assert_way(AF_INET, NULL, NULL, 0);
	put_route(2, "192.168.1.1", 100);
	assert_way(AF_INET, NULL, NULL, 0); /* no address there */
	put_address(1, "192.168.2.5");
	put_address(0, "2001:db8::5");
	put_address(0, "192.168.1.5");
	assert_way(AF_INET, "192.168.1.1", "192.168.1.5", 2);
	assert_way(AF_INET6, NULL, NULL, 0);
	fake_net.refuses = "route_list";
	fake_net.with = -ENOBUFS;
	assert_way(AF_INET, NULL, NULL, 0);
}

static void test_best(void **state)
{
	put_address(0, "192.168.1.5");
	put_address(1, "192.168.2.5");
	put_route(3, "192.168.2.1", 600);
	assert_way(AF_INET, "192.168.2.1", "192.168.2.5", 3);
	put_route(2, "192.168.1.1", 100);
	assert_way(AF_INET, "192.168.1.1", "192.168.1.5", 2);
	put_route(2, "192.168.1.2", 200);
	assert_way(AF_INET, "192.168.1.1", "192.168.1.5", 2);
	/* Its cable is out: the other, while there is one. */
	fake_net.routes[1].flags = fake_net.routes[2].flags = RTNH_F_LINKDOWN;
	assert_way(AF_INET, "192.168.2.1", "192.168.2.5", 3);
	fake_net.routes[0].flags = RTNH_F_DEAD;
	assert_way(AF_INET, "192.168.1.1", "192.168.1.5", 2);
}

/* By a VPN, a link that is down, one that is not known, or without a gateway. */
static void test_none(void **state)
{
	put_address(2, "10.8.0.5");
	put_address(3, "192.168.3.5");
	put_address(0, "192.168.1.5");
	put_route(4, "10.8.0.1", 10);
	put_route(5, "192.168.3.1", 20);
	put_route(9, "192.168.9.1", 30);
	put_route(2, NULL, 40);
	assert_way(AF_INET, NULL, NULL, 0);
	put_route(2, "192.168.1.1", 50);
	assert_way(AF_INET, "192.168.1.1", "192.168.1.5", 2);
}

/* One of the house's own prefix leads nobody here. */
static void test_ipv6(void **state)
{
	put_address(0, "fd00:1::5");
	put_route(2, "fe80::1", 1024);
	assert_way(AF_INET6, NULL, NULL, 0);
	put_address(0, "2001:db8::5");
	assert_way(AF_INET6, "fe80::1", "2001:db8::5", 2);
	assert_way(AF_INET, NULL, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_best, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ipv6, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
