/* iface: what the kernel is told, and only where it has it otherwise; which failure is told. */
#include "mesh-maker.h"

#include "fake-net.h"

#include <stdio.h>

#include "node/iface.h"

static struct settings settings;
static struct node self, peer;
static struct routes routes;
static enum iface_ipv6 ipv6;
static unsigned changed;
static struct err err;

static int set_up(void **state)
{
	fake_net_reset();
	settings = maker_settings();
	self = maker_node(1, 1, NULL);
	peer = maker_node(2, 2, NULL);
	routes = (struct routes){ 0 };
	err = (struct err){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	routes_done(&routes);
	node_done(&peer);
	node_done(&self);
	settings_done(&settings);
	fake_net_reset();
	return 0;
}

/* Applies it all to the link hearth0. */
static int apply(void)
{
	static const uint8_t seed[FIELD_KEY_LEN] = { 7 };
	char alias[IFACE_ALIAS_MAX];
	struct iface_want want = { .index = fake_net_get("hearth0")->index,
		.alias = iface_alias("home", 1, alias),
		.mtu = 1420,
		.own4 = self.mesh4,
		.own6 = self.mesh6,
		.link_local = iface_link_local(seed, "home", "hearth0"),
		.routes = &routes };

	routes_done(&routes);
	assert_int_equal(routes_add_peer(&routes, &self, &peer, want.index, 1280), 0);
	err = (struct err){ 0 };
	return iface_apply(NULL, &want, &ipv6, &changed, &err);
}

/* As the tunnel makes it. */
static struct link *fresh(void)
{
	struct link *link = fake_net_link("hearth0", "tun");

	link->flags = 0;
	return link;
}

static size_t count_addrs(int family)
{
	size_t n = 0;

	for (size_t i = 0; i < fake_net.n_addrs; i++)
		n += fake_net.addrs[i].addr.family == family;
	return n;
}

static void test_fresh(void **state)
{
	const struct link *link = fresh();

	assert_int_equal(apply(), 0);
	assert_int_equal(ipv6, IFACE_IPV6_UP);
	assert_int_equal(changed, IFACE_MTU | IFACE_DOWN | IFACE_ADDRS | IFACE_ROUTES);
	assert_true(link->flags & IFF_UP);
	assert_int_equal(link->mtu, 1420);
	assert_string_equal(link->alias, "Hearth mesh home, node 1");
	assert_int_equal(count_addrs(AF_INET), 1);
	assert_int_equal(count_addrs(AF_INET6), 2);
	assert_int_equal(fake_net.n_routes, 4);
	/* Alias, no automatic address, MTU, up; three addresses, four routes. */
	assert_int_equal(fake_net.changes, 11);
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, 0);
	assert_int_equal(fake_net.changes, 11);
}

static void test_addresses(void **state)
{
	struct link_addr foreign = { .ifindex = 1, .prefix_len = 24 };

	(void) fresh();
	assert_int_equal(apply(), 0);
	assert_int_equal(ip_addr_parse("192.0.2.1", &foreign.addr), 0);
	fake_net.addrs[fake_net.n_addrs++] = foreign;
	foreign.ifindex = 2; /* another link's are not ours to look at */
	fake_net.addrs[fake_net.n_addrs++] = foreign;
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, 0); /* nothing of ours */
	assert_int_equal(fake_net.n_addrs, 4);
	for (size_t i = 0; i < 4; i++)
		fake_net.addrs[i].ifindex = 1;
	assert_int_equal(apply(), 0);
	assert_int_equal(fake_net.n_addrs, 3);
	for (size_t i = 0; i < 3; i++) { /* each of ours, taken off: what was added comes last */
		memmove(fake_net.addrs, fake_net.addrs + 1, 2 * sizeof(fake_net.addrs[0]));
		fake_net.n_addrs--;
		assert_int_equal(apply(), 0);
		assert_int_equal(fake_net.n_addrs, 3);
		assert_int_equal(count_addrs(AF_INET), 1);
	}
	fake_net.n_addrs = 0;
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, IFACE_ADDRS);
	assert_int_equal(fake_net.n_addrs, 3);
	/* Ours, with another length: it is not ours. */
	fake_net.addrs[0].prefix_len = 16;
	assert_int_equal(apply(), 0);
	assert_int_equal(fake_net.n_addrs, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_not_equal(fake_net.addrs[i].prefix_len, 16);
}

/* By address and length: what has only one of them in common with ours is not ours. */
static void test_foreign_addresses(void **state)
{
	static const struct {
		const char *addr;
		uint8_t len;
	} cases[] = { { "10.77.0.9", 32 }, { "10.77.0.1", 24 }, { "fd00::9", 128 },
		{ "fd12:3456:789a::1", 64 }, { "fe80::9", 64 } };

	(void) fresh();
	assert_int_equal(apply(), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct link_addr foreign = { .ifindex = 1, .prefix_len = cases[i].len };

		assert_int_equal(ip_addr_parse(cases[i].addr, &foreign.addr), 0);
		fake_net.addrs[fake_net.n_addrs++] = foreign;
		assert_int_equal(apply(), 0);
		assert_int_equal(fake_net.n_addrs, 3);
	}
	for (size_t i = 0; i < 3; i++) {
		const struct link_addr *addr = &fake_net.addrs[i];

		assert_int_equal(addr->scope,
			ip_addr_is_link_local(&addr->addr) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
		assert_int_equal(addr->flags, addr->addr.family == AF_INET6 ? IFA_F_NODAD : 0);
	}
}

static void test_down(void **state)
{
	struct link *link = fresh();

	assert_int_equal(apply(), 0);
	link->flags = 0;
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, IFACE_DOWN);
	link->mtu = 1500;
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, IFACE_MTU);
	fake_net.changes = 0;
	link->alias[0] = 'x';
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, 0);
	assert_int_equal(fake_net.changes, 1);
}

static void test_without_ipv6(void **state)
{
	static const struct {
		int code;
		enum iface_ipv6 ipv6;
	} cases[] = { { -EACCES, IFACE_IPV6_DISABLED }, { -EOPNOTSUPP, IFACE_IPV6_NONE },
		{ -EAFNOSUPPORT, IFACE_IPV6_NONE } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fake_net_reset();
		(void) fresh();
		fake_net.refuses = "addr_add6";
		fake_net.with = cases[i].code;
		assert_int_equal(apply(), 0);
		assert_int_equal(ipv6, cases[i].ipv6);
		assert_int_equal(fake_net.n_addrs, 1);
		assert_int_equal(fake_net.refusals, 1); /* the second one is not tried */
		assert_int_equal(fake_net.n_routes, 2); /* IPv4's */
		assert_int_equal(apply(), 0);
		assert_int_equal(changed, 0); /* nobody took anything */
	}
}

/* Another reason says nothing of IPv6, and is a failure. */
static void test_address_fails(void **state)
{
	(void) fresh();
	fake_net.refuses = "addr_add6";
	fake_net.with = -ENOBUFS;
	assert_int_equal(apply(), -ENOBUFS);
	assert_string_equal(err.text, "addr_add6: No buffer space available");
	assert_int_equal(ipv6, IFACE_IPV6_UP);
	assert_int_equal(fake_net.refusals, 1);
	assert_int_equal(fake_net.n_routes, 4);
}

/* The first failure is told, the rest is done all the same. */
static void test_first_failure(void **state)
{
	static const char *const calls[] = { "link_set_mtu", "link_set_up", "addr_list", "addr_add",
		"route_list", "route_replace" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		char words[64];
		struct link *link;

		fake_net_reset();
		link = fresh();
		fake_net.refuses = calls[i];
		fake_net.with = -ENOBUFS;
		assert_int_equal(apply(), -ENOBUFS);
		(void) snprintf(words, sizeof(words), "%s: No buffer space available", calls[i]);
		assert_string_equal(err.text, words);
		assert_int_equal(link->flags & IFF_UP ? 1 : 0, i != 1);
		assert_int_equal(link->mtu, i == 0 ? 1500 : 1420);
		assert_int_equal(fake_net.n_addrs, i == 2 ? 0 : i == 3 ? 2 : 3);
		assert_int_equal(fake_net.n_routes, i >= 4 ? 0 : 4);
	}
}

static void test_routes(void **state)
{
	struct link *other;

	(void) fresh();
	other = fake_net_link("hearth1", "tun");
	assert_int_equal(apply(), 0);
	(void) fake_net_route("10.77.0.9/32", 1);            /* of a node that is gone */
	(void) fake_net_route("10.78.0.9/32", other->index); /* another mesh's */
	fake_net_route("10.79.0.9/32", 1)->protocol = RTPROT_STATIC;
	assert_int_equal(apply(), 0);
	assert_int_equal(fake_net.n_routes, 6);
	assert_int_equal(changed, 0);
	fake_net.routes[0].mtu = 1500;
	assert_int_equal(apply(), 0);
	assert_int_equal(changed, IFACE_ROUTES);
	assert_int_equal(fake_net.routes[0].mtu, 1280);
	/* It has what we want, and keeps it. */
	fake_net.routes[0].oif = other->index;
	assert_int_equal(apply(), -EEXIST);
	assert_string_equal(err.text, "10.77.0.2/32 leads through hearth1 already: another mesh on "
				      "this machine has the same addresses, and keeps them");
	assert_int_equal(fake_net.routes[0].oif, other->index);
}

static void test_gone(void **state)
{
	struct iface_want want = { .index = 5, .routes = &routes };

	assert_int_equal(iface_apply(NULL, &want, &ipv6, &changed, &err), -ENODEV);
	assert_int_equal(ipv6, IFACE_IPV6_UP);
	assert_int_equal(iface_find(NULL, "hearth0", &err), -ENODEV);
	assert_int_equal(iface_clear(NULL, "hearth0", &err), -ENODEV);
	assert_int_equal(iface_remove(NULL, "hearth0", &err), -ENODEV);
}

static void test_clear(void **state)
{
	struct link *link = fresh();

	assert_int_equal(apply(), 0);
	(void) fake_net_link("hearth1", "tun");
	(void) fake_net_route("10.78.0.9/32", 2);
	assert_int_equal(iface_find(NULL, "hearth0", &err), 1);
	assert_int_equal(iface_clear(NULL, "hearth0", &err), 0);
	assert_int_equal(fake_net.n_addrs, 0);
	assert_int_equal(fake_net.n_routes, 1);
	assert_false(link->flags & IFF_UP);
}

static void test_remove(void **state)
{
	(void) fresh();
	(void) fake_net_link("dummy0", "dummy");
	assert_int_equal(iface_remove(NULL, "dummy0", &err), -EEXIST);
	assert_int_equal(iface_remove(NULL, "hearth0", &err), 0);
	assert_int_equal(fake_net.n_links, 1);
	assert_string_equal(fake_net.links[0].name, "dummy0");
}

/* --- its name --- */

static void test_rename(void **state)
{
	struct link *link = fresh();

	link->flags = IFF_UP;
	assert_int_equal(iface_rename(NULL, 1, "wg7", &err), 0);
	assert_string_equal(link->name, "wg7");
	assert_true(link->flags & IFF_UP);
	fake_net.busy_while_up = true; /* before Linux 6.2 it is taken down for that */
	assert_int_equal(iface_rename(NULL, 1, "wg8", &err), 0);
	assert_string_equal(link->name, "wg8");
	assert_false(link->flags & IFF_UP);
	link->flags = IFF_UP;
	fake_net.refuses = "link_set_up";
	fake_net.with = -EPERM;
	assert_int_equal(iface_rename(NULL, 1, "wg9", &err), -EPERM);
	assert_string_equal(link->name, "wg8");
	fake_net.refuses = "link_set_name";
	fake_net.busy_while_up = false;
	assert_int_equal(iface_rename(NULL, 1, "wg9", &err), -EPERM);
	assert_string_equal(err.text, "link_set_name: Operation not permitted");
	(void) fake_net_link("wg9", "dummy");
	(void) fake_net_link("eth0", "");
	assert_int_equal(iface_rename(NULL, 1, "wg9", &err), -EEXIST);
	assert_string_equal(err.text, "wg9 is the name of another link now (number 2, a dummy)");
	assert_int_equal(iface_rename(NULL, 1, "eth0", &err), -EEXIST);
	assert_string_equal(err.text, "eth0 is the name of another link now (number 3)");
	fake_net.refuses = "link_find"; /* whose is not known */
	assert_int_equal(iface_rename(NULL, 1, "eth0", &err), -EEXIST);
	assert_string_equal(err.text, "eth0 exists");
}

static int reclaim(char was[static IF_NAMESIZE])
{
	char alias[IFACE_ALIAS_MAX];

	return iface_reclaim(NULL, "hearth0", iface_alias("home", 1, alias), was, &err);
}

/* By its kind and its alias; if its name is another's, it goes. */
static void test_reclaim(void **state)
{
	char was[IF_NAMESIZE] = "";
	struct link *link = fake_net_link("wg7", "dummy");

	(void) iface_alias("home", 1, link->alias);
	link = fake_net_link("wg8", "tun");
	(void) iface_alias("home", 2, link->alias);
	assert_int_equal(reclaim(was), 0);
	assert_int_equal(fake_net.changes, 0);
	(void) iface_alias("home", 1, link->alias);
	fake_net.refuses = "link_set_name";
	fake_net.with = -EPERM;
	assert_int_equal(reclaim(was), -EPERM);
	fake_net.refuses = "link_list";
	assert_int_equal(reclaim(was), -EPERM);
	fake_net.refuses = NULL;
	assert_int_equal(reclaim(was), 1);
	assert_string_equal(was, "wg8");
	assert_int_equal(fake_net_get("hearth0")->index, 2);
	assert_int_equal(reclaim(was), 0); /* it has its name */
	(void) strcpy(link->name, "wg9");
	(void) fake_net_link("hearth0", "tun");
	assert_int_equal(reclaim(was), 2);
	assert_string_equal(was, "wg9");
	assert_int_equal(fake_net.n_links, 2);
	assert_int_equal(fake_net_get("hearth0")->index, 3);
}

/*
 * It is always the same, another one for each secret, mesh and interface, and none of RFC 5453's.
 */
static void test_link_local(void **state)
{
	static const uint8_t seed[FIELD_KEY_LEN] = { 1 }, seed2[FIELD_KEY_LEN] = { 2 };
	struct ip_addr one = iface_link_local(seed, "home", "hearth0"), other;

	assert_true(ip_addr_is_link_local(&one));
	other = iface_link_local(seed, "home", "hearth0");
	assert_true(ip_addr_equal(&one, &other));
	other = iface_link_local(seed2, "home", "hearth0");
	assert_false(ip_addr_equal(&one, &other));
	other = iface_link_local(seed, "homf", "hearth0");
	assert_false(ip_addr_equal(&one, &other));
	other = iface_link_local(seed, "home", "hearth1");
	assert_false(ip_addr_equal(&one, &other));
	for (int i = 0; i < 64; i++) {
		char name[IFNAMSIZ];

		(void) snprintf(name, sizeof(name), "h%d", i);
		other = iface_link_local(seed, "home", name);
		assert_int_equal(other.bytes[8] & 0x80, 0);
		assert_int_equal(other.bytes[15] & 1, 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fresh),
		TEST(addresses),
		TEST(foreign_addresses),
		TEST(down),
		TEST(without_ipv6),
		TEST(address_fails),
		TEST(first_failure),
		TEST(routes),
		TEST(gone),
		TEST(clear),
		TEST(remove),
		TEST(rename),
		TEST(reclaim),
		TEST(link_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
