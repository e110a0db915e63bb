/* relay-hosts: addresses and names at which no other board finds a relay. */
#include "mesh-maker.h"

#include <stdio.h>

#include "mesh/relay-hosts.h"

static void test_addresses(void **state)
{
	static const struct {
		const char *addr, *why; /* NULL: it may be found there */
	} cases[] = {
		{ "203.0.113.5", NULL },
		{ "2001:db8::5", NULL },
		{ "192.168.50.11", NULL }, /* for the boards of one house */
		{ "10.76.255.255", NULL },
		{ "10.78.0.0", NULL },
		{ "fd12:3456:789b::1", NULL },
		{ "0.0.0.0", "no single machine has it" },
		{ "0.1.2.3", "no single machine has it" },
		{ "::", "no single machine has it" },
		{ "255.255.255.255", "no single machine has it" },
		{ "224.0.0.251", "no single machine has it" },
		{ "ff02::1", "no single machine has it" },
		{ "127.0.0.1", "that machine itself" },
		{ "127.200.0.9", "that machine itself" },
		{ "::1", "that machine itself" },
		{ "169.254.169.254", "one link only" },
		{ "fe80::1", "one link only" },
		{ "10.77.0.0", "mesh's own ranges" },
		{ "10.77.255.255", "mesh's own ranges" },
		{ "fd12:3456:789a::1", "mesh's own ranges" },
		{ "10.244.3.7", "mesh's own ranges" },
		{ "fd12:3456:789a:1000::9", "mesh's own ranges" },
		{ "10.96.0.1", "mesh's own ranges" },
		{ "fd12:3456:789a:f000::1", "mesh's own ranges" },
		{ "::ffff:203.0.113.5", NULL },
		{ "::ffff:127.0.0.1", "that machine itself" },
		{ "::ffff:0.0.0.0", "no single machine has it" },
		{ "::ffff:10.77.0.1", "mesh's own ranges" },
		{ "::fffe:127.0.0.1", NULL },
	};
	struct settings settings = maker_settings();

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_addr addr;

		assert_int_equal(ip_addr_parse(cases[i].addr, &addr), 0);
		const char *why = relay_host_refused(&settings, &addr);

		if (!why != !cases[i].why || (why && !strstr(why, cases[i].why)))
			fail_msg("%s: %s", cases[i].addr, why ? why : "not refused");
	}
	settings_done(&settings);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host, *says; /* NULL: it may be one */
	} cases[] = {
		{ "vps.example.org", NULL },
		{ "home.internal.example.org", NULL },
		{ "myhome.internal", NULL },
		{ "other.internal", NULL },
		{ "notlocalhost", NULL },
		{ "198.51.100.9", NULL },
		{ "home.internal", "home.internal is a name of this mesh" },
		{ "pi3.Home.Internal", "pi3.Home.Internal is a name of this mesh" },
		{ "localhost", "localhost is not for all boards: on every machine" },
		{ "x.LOCALHOST", "x.LOCALHOST is not for all boards" },
		{ "10.77.0.3", "10.77.0.3 lies in this mesh's own range" },
		{ "::1", "::1 is not for all boards" },
		{ "::ffff:10.77.0.3", "::ffff:10.77.0.3 lies in" },
		{ "VPS.example.org", "write vps.example.org" },
		{ "vps.example.org.", "write vps.example.org" },
		{ "2001:DB8:0::5", "write 2001:db8::5" },
		{ "::ffff:198.51.100.9", "write 198.51.100.9" },
	};
	struct settings settings = maker_settings();
	struct node_relay none = { 0 };

	assert_int_equal(relay_hosts_check(&settings, &none, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_relay relay = { .hosts = { "203.0.113.5" }, .n_hosts = 2 };
		struct err err = { 0 };

		(void) snprintf(relay.hosts[1], sizeof(relay.hosts[1]), "%s", cases[i].host);
		int r = relay_hosts_check(&settings, &relay, &err);

		if (r != (cases[i].says ? -EINVAL : 0) ||
			(r && (!strstr(err.text, cases[i].says) || !strstr(err.text, "name"))))
			fail_msg("%s: %d, %s", cases[i].host, r, err.text);
	}
	settings_done(&settings);
}

static void test_own(void **state)
{
	static const struct {
		const char *addrs[6], *hosts;
	} cases[] = {
		{ { "192.168.1.7", "203.0.113.9", "fe80::1", "203.0.113.5", "2001:db8::5" },
			"203.0.113.5 203.0.113.9 2001:db8::5" },
		{ { "fd00::1", "192.168.1.7", "10.0.0.7", "10.0.0.7" },
			"10.0.0.7 192.168.1.7 fd00::1" },
		{ { "1.0.0.5", "1.0.0.4", "1.0.0.3", "1.0.0.2", "1.0.0.1" },
			"1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4" },
		{ { "fe80::1" }, "" },
		{ { NULL }, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_relay relay = { .n_hosts = 3 };
		struct ip_addr addrs[6];
		char text[512] = "";
		size_t n = 0;

		for (; n < 6 && cases[i].addrs[n]; n++)
			assert_int_equal(ip_addr_parse(cases[i].addrs[n], &addrs[n]), 0);
		relay_hosts_own(addrs, n, &relay);
		for (size_t k = 0; k < relay.n_hosts; k++)
			(void) strcat(strcat(text, k ? " " : ""), relay.hosts[k]);
		assert_string_equal(text, cases[i].hosts);
	}
}

static void add_relay(struct netmap *map, uint32_t id, uint16_t tcp, size_t n_hosts)
{
	struct node node = maker_node(id, 0, "x");

	(void) snprintf(node.name, sizeof(node.name), "node-%u", (unsigned) id);
	node.relay.n_hosts = n_hosts;
	for (size_t i = 0; i < n_hosts; i++)
		(void) snprintf(node.relay.hosts[i], sizeof(node.relay.hosts[i]), "%c%u.example",
			(int) ('a' + i), (unsigned) id);
	node.relay.tcp = tcp;
	memset(node.relay.pin, (int) id, sizeof(node.relay.pin));
	memset(node.relay.key, (int) id, sizeof(node.relay.key));
	assert_int_equal(maker_apply(map, "node", node_to_json(&node), NULL, NULL), 1);
	node_done(&node);
}

static void assert_chosen(const struct netmap *map, size_t max, const char *expected)
{
	struct outside list[8];
	char text[512] = "";
	size_t n = relay_hosts_choose(map, list, max);

	assert_true(n <= max);
	for (size_t i = 0; i < n; i++) {
		char one[OUTSIDE_TEXT_MAX];

		(void) strcat(strcat(text, i ? " " : ""), outside_format(&list[i], one));
	}
	assert_string_equal(text, expected);
}

/* Each relay comes before the second host of any, the coordinator's last. */
static void test_choice(void **state)
{
	struct settings settings = maker_settings();

	settings.coordinators[0] = (struct settings_coordinator){ .node = 5, .port = 8443 };
	settings.n_coordinators = 1;
	CLEANUP_NETMAP struct netmap *map = maker_netmap(&settings), *empty = netmap_new();

	assert_chosen(empty, 4, "");
	assert_chosen(map, 4, "");
	add_relay(map, 1, 443, 1);
	assert_chosen(map, 4, "a1.example:443");
	add_relay(map, 2, 0, 0);
	add_relay(map, 3, 3340, 3);
	add_relay(map, 5, 3341, 2);
	assert_chosen(map, 8,
		"a3.example:3340 a1.example:443 b3.example:3340 c3.example:3340 a5.example:3341 "
		"b5.example:3341");
	assert_chosen(map, 4, "a3.example:3340 a1.example:443 b3.example:3340 c3.example:3340");
	assert_chosen(map, 1, "a3.example:3340");
	assert_chosen(map, 0, "");
	settings_done(&settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
