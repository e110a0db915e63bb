/* candidates: which addresses are offered, of what kinds of links. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <linux/rtnetlink.h>

#include "node/candidates.h"

enum { MAX = 16 };

struct machine {
	struct link links[MAX];
	struct link_addr addrs[MAX];
	struct route defaults[MAX];
	struct candidates_input input;
};

static struct machine *machine(void)
{
	static struct machine m;
	static const char *const denied[] = { "10.77.0.0/16", "10.244.0.0/16", "10.96.0.0/16",
		"fd12:3456:789a::/48" };
	static struct ip_prefix prefixes[4];

	memset(&m, 0, sizeof(m));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(ip_prefix_parse(denied[i], &prefixes[i]), 0);
	m.input = (struct candidates_input){ .links = m.links,
		.addrs = m.addrs,
		.defaults = m.defaults,
		.denied = prefixes,
		.n_denied = 4,
		.own_ifname = "hearth0",
		.port = 41741 };
	return &m;
}

static void add_link(struct machine *m, const char *name, const char *kind, unsigned mtu)
{
	struct link *link = &m->links[m->input.n_links++];

	link->index = (int) m->input.n_links;
	strcpy(link->name, name);
	strcpy(link->kind, kind);
	link->flags = IFF_UP | (strcmp(name, "lo") ? 0 : IFF_LOOPBACK);
	link->mtu = mtu;
}

static struct link_addr *add_addr(struct machine *m, const char *text)
{
	struct link_addr *addr = &m->addrs[m->input.n_addrs++];
	char copy[64];

	strcpy(copy, text);
	*strchr(copy, '/') = 0;
	addr->ifindex = (int) m->input.n_links;
	assert_int_equal(ip_addr_parse(copy, &addr->addr), 0);
	addr->prefix_len = (uint8_t) atoi(strchr(text, '/') + 1);
	return addr;
}

static void add_default(struct machine *m)
{
	m->defaults[m->input.n_defaults].dst.addr.family = AF_INET;
	m->defaults[m->input.n_defaults++].oif = (int) m->input.n_links;
}

static void expect(struct machine *m, const char *wanted)
{
	struct candidates found;
	char text[ENDPOINT_TEXT_MAX], all[2048] = "";

	candidates_find(&m->input, &found);
	for (size_t i = 0; i < found.n_endpoints; i++) {
		strcat(all, i ? " " : "");
		strcat(all, endpoint_format(&found.endpoints[i], text));
	}
	assert_string_equal(all, wanted);
}

static void test_board(void **state)
{
	struct machine *m = machine();
	struct candidates found;

	add_link(m, "lo", "", 65536);
	add_addr(m, "127.0.0.1/8");
	add_link(m, "eth0", "", 1500);
	add_default(m);
	add_addr(m, "192.168.50.11/24");
	add_addr(m, "fe80::1/64")->scope = RT_SCOPE_LINK;
	add_addr(m, "2001:db8::11/64");
	add_link(m, "wlan0", "", 1500);
	add_addr(m, "192.168.60.11/24");
	add_link(m, "hearth0", "tun", 1420);
	add_addr(m, "10.77.0.1/32");
	add_link(m, "hth0123456789", "veth", 1420);
	add_addr(m, "169.254.1.1/32");
	add_link(m, "tailscale0", "tun", 1280);
	add_addr(m, "100.100.1.2/32");
	expect(m, "192.168.50.11:41741 192.168.60.11:41741 [2001:db8::11]:41741");
	candidates_find(&m->input, &found);
	assert_int_equal(found.n_uplinks, 2);
	assert_string_equal(found.uplinks[0], "eth0");
	assert_int_equal(found.mtu, 1500);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *name, *kind;
		bool has_default, candidate;
	} cases[] = {
		{ "eth0", "", false, true },
		{ "bond0", "bond", false, true },
		{ "eth0.5", "vlan", false, true },
		{ "ppp0", "ppp", true, true },
		{ "host0", "veth", true, true }, /* a container, a lab */
		{ "host0", "veth", false, false },
		{ "br0", "bridge", true, true }, /* a bridged uplink */
		{ "br0", "bridge", false, false },
		{ "docker0", "bridge", true, false },
		{ "br-1a2b3c4d5e6f", "bridge", true, false },
		{ "br-lan", "bridge", true, true },
		{ "cni0", "bridge", true, false },
		{ "hth0", "veth", true, false },
		{ "flannel.1", "vxlan", false, false },
		{ "wg0", "wireguard", true, false },
		{ "tun0", "tun", true, false },
		{ "hearth0", "", true, false },
		{ "kube-ipvs0", "dummy", false, false },
		{ "strange0", "somethingnew", false, false },
		{ "strange0", "somethingnew", true, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct machine *m = machine();

		add_link(m, cases[i].name, cases[i].kind, 1500);
		if (cases[i].has_default)
			add_default(m);
		add_addr(m, "192.0.2.7/24");
		expect(m, cases[i].candidate ? "192.0.2.7:41741" : "");
	}
}

static void test_addresses(void **state)
{
	struct machine *m = machine();

	add_link(m, "eth0", "", 1500);
	add_default(m);
	add_addr(m, "10.77.3.4/16");  /* of the mesh */
	add_addr(m, "10.244.1.1/24"); /* of the pods */
	add_addr(m, "10.96.0.1/32");
	add_addr(m, "169.254.7.7/16");
	add_addr(m, "2001:db8::1/64")->flags = IFA_F_DEPRECATED;
	add_addr(m, "2001:db8::2/64")->flags = IFA_F_TENTATIVE;
	add_addr(m, "2001:db8::3/64")->flags = IFA_F_DADFAILED | IFA_F_PERMANENT;
	add_addr(m, "2001:db8::4/64")->flags = IFA_F_TENTATIVE | IFA_F_OPTIMISTIC;
	add_addr(m, "192.0.2.1/24");
	add_addr(m, "192.0.2.2/24")->flags = IFA_F_SECONDARY; /* IPv6's bit for temporary */
	expect(m, "192.0.2.1:41741 192.0.2.2:41741 [2001:db8::4]:41741");
}

static void test_temporary(void **state)
{
	struct machine *m = machine();

	add_link(m, "eth0", "", 1500);
	add_default(m);
	add_addr(m, "2001:db8:1::aaaa/64")->flags = IFA_F_TEMPORARY;
	add_addr(m, "2001:db8:1::1/64");
	add_addr(m, "2001:db8:2::bbbb/64")->flags = IFA_F_TEMPORARY; /* the only one there */
	expect(m, "[2001:db8:1::1]:41741 [2001:db8:2::bbbb]:41741");
}

static void test_down_and_order(void **state)
{
	struct machine *m = machine();

	add_link(m, "eth1", "", 9000);
	m->links[0].flags = 0;
	add_addr(m, "192.0.2.9/24");
	expect(m, "");
	/* The kernel's order does not matter. */
	add_link(m, "eth0", "", 1500);
	add_addr(m, "192.0.2.8/24");
	add_addr(m, "2001:db8::1/64");
	add_addr(m, "192.0.2.7/24");
	add_addr(m, "192.0.2.8/24");
	expect(m, "192.0.2.7:41741 192.0.2.8:41741 [2001:db8::1]:41741");
}

static void test_mtu(void **state)
{
	assert_int_equal(candidates_interface_mtu(0), 1420);
	assert_int_equal(candidates_interface_mtu(1500), 1420);
	assert_int_equal(candidates_interface_mtu(1492), 1412);
	assert_int_equal(candidates_interface_mtu(9000), 8920);
	assert_int_equal(candidates_interface_mtu(1280), 1280);
	assert_int_equal(candidates_interface_mtu(576), 1280);
	assert_int_equal(candidates_interface_mtu(4000000), 65455);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_board),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_temporary),
		cmocka_unit_test(test_down_and_order),
		cmocka_unit_test(test_mtu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
