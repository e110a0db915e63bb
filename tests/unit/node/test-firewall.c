/* firewall: the text nft gets. That nft takes it is tests/lab/test-mesh's. */
#include "mesh-maker.h"

#include "node/firewall.h"

static const char wanted[] =
	"add table inet hearth\n"
	"delete table inet hearth\n"
	"table inet hearth {\n"
	"\tset inside {\n"
	"\t\ttype ifname\n"
	"\t}\n"
	"\tset outside {\n"
	"\t\ttype ifname\n"
	"\t}\n"
	"\tchain strangers {\n"
	"\t\tiifname @outside counter drop\n"
	"\t\tiifname \"veth*\" accept\n"
	"\t\tiifname \"ve-*\" accept\n"
	"\t\tiifname \"vb-*\" accept\n"
	"\t\tiifname \"cali*\" accept\n"
	"\t\tiifname \"lxc*\" accept\n"
	"\t\tiifname \"cilium_*\" accept\n"
	"\t\tiifname \"eni*\" accept\n"
	"\t\tiifname \"azv*\" accept\n"
	"\t\tiifname \"gke*\" accept\n"
	"\t\tiifname \"vnet*\" accept\n"
	"\t\tiifname \"fwln*\" accept\n"
	"\t\tiifname \"fwpr*\" accept\n"
	"\t\tiifname \"qvb*\" accept\n"
	"\t\tiifname \"qvo*\" accept\n"
	"\t\tcounter drop\n"
	"\t}\n"
	"\tset senders4 {\n"
	"\t\ttype ipv4_addr\n"
	"\t\tsize 1024\n"
	"\t\tflags dynamic,timeout\n"
	"\t\ttimeout 1h\n"
	"\t}\n"
	"\tset senders6 {\n"
	"\t\ttype ipv6_addr\n"
	"\t\tsize 1024\n"
	"\t\tflags dynamic,timeout\n"
	"\t\ttimeout 1h\n"
	"\t}\n"
	"\tchain from_mesh {\n"
	"\t\tip saddr 10.77.0.1 accept\n"
	"\t\tip daddr { 10.77.0.1, 10.244.1.0/24 } accept\n"
	"\t\tip6 saddr fd12:3456:789a::1 accept\n"
	"\t\tip6 daddr { fd12:3456:789a::1, fd12:3456:789a:1001::/64 } accept\n"
	"\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } counter drop\n"
	"\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
	"parameter-problem } counter drop\n"
	"\t\tip saddr 10.77.0.0/16 update @senders4 { ip saddr }\n"
	"\t\tip saddr 10.244.0.0/16 update @senders4 { ip saddr & 255.255.255.0 }\n"
	"\t\tip6 saddr fd12:3456:789a::/64 update @senders6 { ip6 saddr }\n"
	"\t\tip6 saddr fd12:3456:789a:1000::/56 update @senders6 { ip6 saddr & "
	"ffff:ffff:ffff:ffff:: }\n"
	"\t\tcounter drop\n"
	"\t}\n"
	"\tset liars {\n"
	"\t\ttype ifname\n"
	"\t\tsize 1024\n"
	"\t\tflags dynamic,timeout\n"
	"\t\ttimeout 1h\n"
	"\t}\n"
	"\tchain lies {\n"
	"\t\tip6 saddr fe80::/10 counter drop\n"
	"\t\tupdate @liars { iifname }\n"
	"\t\tcounter drop\n"
	"\t}\n"
	"\tchain pods {\n"
	"\t\tip6 saddr :: ip6 daddr ff02::/16 accept\n"
	"\t\tfib saddr . iif oif missing goto lies\n"
	"\t\tip daddr 127.0.0.0/8 counter drop\n"
	"\t}\n"
	"\tchain guard {\n"
	"\t\ttype filter hook prerouting priority raw; policy accept;\n"
	"\t\tiifname \"hearth0\" goto from_mesh\n"
	"\t\tiifname \"hth*\" goto pods\n"
	"\t\tiifname @inside accept\n"
	"\t\tip saddr { 10.77.0.0/16, 10.244.0.0/16 } goto strangers\n"
	"\t\tip daddr { 10.77.0.0/16, 10.244.0.0/16 } goto strangers\n"
	"\t\tip daddr 10.96.0.0/16 fib daddr . iif type != local goto strangers\n"
	"\t\tip6 saddr { fd12:3456:789a::/64, fd12:3456:789a:1000::/56 } goto strangers\n"
	"\t\tip6 daddr { fd12:3456:789a::/64, fd12:3456:789a:1000::/56 } goto strangers\n"
	"\t\tip6 daddr fd12:3456:789a:f000::/112 fib daddr . iif type != local goto strangers\n"
	"\t}\n"
	"\tchain sources {\n"
	"\t\tip saddr { 10.77.0.0/16, 10.244.0.0/16 } fib saddr . iif oif missing goto strangers\n"
	"\t\tip6 saddr { fd12:3456:789a::/64, fd12:3456:789a:1000::/56 } fib saddr . iif oif "
	"missing "
	"goto strangers\n"
	"\t}\n"
	"\tchain to_board {\n"
	"\t\ttype filter hook input priority raw; policy accept;\n"
	"\t\tiifname { \"lo\", \"hearth0\" } accept\n"
	"\t\tiifname \"hth*\" accept\n"
	"\t\tgoto sources\n"
	"\t}\n"
	"\tchain to_mesh {\n"
	"\t\ttype filter hook forward priority raw; policy accept;\n"
	"\t\tiifname \"hearth0\" accept\n"
	"\t\tiifname \"hth*\" accept\n"
	"\t\toifname \"hearth0\" goto sources\n"
	"\t\toifname \"hth*\" goto sources\n"
	"\t}\n"
	"\tchain hairpin {\n"
	"\t\ttype filter hook prerouting priority dstnat + 1; policy accept;\n"
	"\t\tiifname \"hth*\" ct status dnat ct direction original fib daddr . iif oif exists meta "
	"mark "
	"set meta mark | 0x2000\n"
	"\t}\n"
	"\tchain postrouting {\n"
	"\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	"\t\tmeta mark & 0x2000 == 0x2000 masquerade\n"
	"\t\tip saddr 10.244.1.0/24 ip daddr != { 10.77.0.0/16, 10.244.0.0/16, 10.96.0.0/16, "
	"224.0.0.0/4, 255.255.255.255 } masquerade\n"
	"\t\tip6 saddr fd12:3456:789a:1001::/64 ip6 daddr != { fd12:3456:789a::/64, "
	"fd12:3456:789a:1000::/56, fd12:3456:789a:f000::/112, fe80::/10, ff00::/8 } masquerade\n"
	"\t}\n"
	"\tchain astray {\n"
	"\t\toifname @inside accept\n"
	"\t\toifname \"veth*\" accept\n"
	"\t\toifname \"ve-*\" accept\n"
	"\t\toifname \"vb-*\" accept\n"
	"\t\toifname \"cali*\" accept\n"
	"\t\toifname \"lxc*\" accept\n"
	"\t\toifname \"cilium_*\" accept\n"
	"\t\toifname \"eni*\" accept\n"
	"\t\toifname \"azv*\" accept\n"
	"\t\toifname \"gke*\" accept\n"
	"\t\toifname \"vnet*\" accept\n"
	"\t\toifname \"fwln*\" accept\n"
	"\t\toifname \"fwpr*\" accept\n"
	"\t\toifname \"qvb*\" accept\n"
	"\t\toifname \"qvo*\" accept\n"
	"\t\tcounter drop\n"
	"\t}\n"
	"\tchain leave {\n"
	"\t\ttype filter hook postrouting priority srcnat + 1; policy accept;\n"
	"\t\toifname \"hearth0\" accept\n"
	"\t\toifname \"hth*\" accept\n"
	"\t\tct direction reply accept\n"
	"\t\tiifname \"hth*\" ip saddr 10.244.1.0/24 goto astray\n"
	"\t\tiifname \"hearth0\" ip daddr 10.244.1.0/24 goto astray\n"
	"\t\tiifname \"hth*\" ip6 saddr fd12:3456:789a:1001::/64 goto astray\n"
	"\t\tiifname \"hearth0\" ip6 daddr fd12:3456:789a:1001::/64 goto astray\n"
	"\t}\n"
	"\tchain clamp {\n"
	"\t\ttype filter hook forward priority mangle; policy accept;\n"
	"\t\toifname \"hearth0\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
	"\t\tiifname \"hearth0\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
	"\t}\n"
	"}\n";
static const char wanted_links[] = "flush set inet hearth inside\n"
				   "flush set inet hearth outside\n"
				   "add element inet hearth inside { \"lo\" }\n"
				   "add element inet hearth inside { \"docker0\" }\n"
				   "add element inet hearth inside { \"virbr0\" }\n"
				   "add element inet hearth outside { \"veth0\" }\n";

static struct firewall firewall_of(const struct settings *settings, const struct node *node,
	const char (*inside)[IFNAMSIZ], size_t n)
{
	return (struct firewall){ .interface = "hearth0",
		.own4 = node->mesh4,
		.own6 = node->mesh6,
		.own_pods4 = node->pods4,
		.own_pods6 = node->pods6,
		.mesh4 = settings->mesh4,
		.mesh6 = settings->mesh6,
		.pods4 = settings->pods4,
		.pods6 = settings->pods6,
		.services4 = settings->services4,
		.services6 = settings->services6,
		.inside = inside,
		.n_inside = n };
}

static void test_board(void **state)
{
	static const char inside[][IFNAMSIZ] = { "docker0", "hearth0", "virbr0" };
	static const char outside[][IFNAMSIZ] = { "veth0" };
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	struct firewall firewall = firewall_of(&settings, &node, inside, 3);
	CLEANUP_BUF struct buf text = { 0 }, links = { 0 };

	firewall.outside = outside;
	firewall.n_outside = 1;
	firewall_add_rules(&firewall, &text);
	assert_string_equal(buf_str(&text), wanted);
	firewall_add_links(&firewall, &links);
	assert_string_equal(buf_str(&links), wanted_links);
}

/* A member has no pods: nothing is masqueraded. Nothing known of its links: all strangers but its own. */
static void test_member(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(4, 0, NULL);
	struct firewall firewall = firewall_of(&settings, &node, NULL, 0);
	CLEANUP_BUF struct buf text = { 0 };

	firewall_add_rules(&firewall, &text);
	assert_null(strstr(buf_str(&text), "masquerade"));
	assert_null(strstr(buf_str(&text), "hth"));
	assert_null(strstr(buf_str(&text), "chain pods"));
	assert_null(strstr(buf_str(&text), "chain leave"));
	assert_null(strstr(buf_str(&text), "fib ")); /* its kernel may have none */
	assert_non_null(strstr(buf_str(&text),
		"\tchain sources {\n"
		"\t\tip saddr { 10.77.0.0/16, 10.244.0.0/16 } goto strangers\n"));
	assert_non_null(
		strstr(buf_str(&text), "ip saddr { 10.77.0.0/16, 10.244.0.0/16 } goto strangers"));
	assert_non_null(strstr(buf_str(&text), "\tchain from_mesh {\n"
					       "\t\tip saddr 10.77.0.4 accept\n"
					       "\t\tip daddr { 10.77.0.4 } accept\n"
					       "\t\tip6 saddr fd12:3456:789a::4 accept\n"
					       "\t\tip6 daddr { fd12:3456:789a::4 } accept\n"));
	assert_non_null(strstr(buf_str(&text), "chain clamp"));
}

/* The kernel allows names that would end a string of nft's: such a link stays a stranger. */
static void test_odd_names(void **state)
{
	static const char names[][IFNAMSIZ] = { "a\"b", "docker0", "x;y", "e}", "d*" };
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	struct firewall firewall = firewall_of(&settings, &node, names, 5);
	CLEANUP_BUF struct buf text = { 0 };

	firewall.outside = names;
	firewall.n_outside = 5;
	firewall_add_links(&firewall, &text);
	assert_string_equal(buf_str(&text), "flush set inet hearth inside\n"
					    "flush set inet hearth outside\n"
					    "add element inet hearth inside { \"lo\" }\n"
					    "add element inet hearth inside { \"docker0\" }\n"
					    "add element inet hearth outside { \"docker0\" }\n");
}

/* Where a coordinator is, its door on the mesh is closed to pods, of this board and of others. */
static void test_coordinator(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	struct firewall firewall = firewall_of(&settings, &node, NULL, 0);
	CLEANUP_BUF struct buf text = { 0 };

	firewall.closed[firewall.n_closed++] = 41742;
	firewall.closed[firewall.n_closed++] = 8443;
	firewall_add_rules(&firewall, &text);
	assert_non_null(strstr(buf_str(&text),
		"\tchain from_mesh {\n"
		"\t\tip saddr 10.244.0.0/16 tcp dport 41742 counter drop\n"
		"\t\tip6 saddr fd12:3456:789a:1000::/56 tcp dport 41742 counter drop\n"
		"\t\tip saddr 10.244.0.0/16 tcp dport 8443 counter drop\n"
		"\t\tip6 saddr fd12:3456:789a:1000::/56 tcp dport 8443 counter drop\n"
		"\t\tip saddr 10.77.0.1 accept\n"
		"\t\tip daddr { 10.77.0.1, 10.244.1.0/24 } accept\n"));
	assert_non_null(strstr(buf_str(&text),
		"\t\tip daddr 10.77.0.1 tcp dport 41742 counter drop\n"
		"\t\tip6 daddr fd12:3456:789a::1 tcp dport 41742 counter drop\n"
		"\t\tip daddr 10.77.0.1 tcp dport 8443 counter drop\n"
		"\t\tip6 daddr fd12:3456:789a::1 tcp dport 8443 counter drop\n"
		"\t}\n"
		"\tchain guard {\n"));
}

/* Each mesh of a machine has its table, and hearth0's is what it always was. */
static void test_tables(void **state)
{
	static const struct {
		const char *ifname, *table;
	} cases[] = {
		{ "hearth0", "hearth" },
		{ "hearth1", "hearth_hearth1" },
		{ "a-b", "hearth_a_2db" },
		{ "a_b", "hearth_a_5fb" },
		{ "a.b=c+d@e:-----", "hearth_a_2eb_3dc_2bd_40e_3a_2d_2d_2d_2d_2d" },
	};
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct firewall firewall = firewall_of(&settings, &node, NULL, 0);
		CLEANUP_BUF struct buf text = { 0 }, removal = { 0 };
		char table[FIREWALL_TABLE_MAX], words[100];

		assert_string_equal(firewall_table(cases[i].ifname, table), cases[i].table);
		firewall.interface = cases[i].ifname;
		firewall_add_rules(&firewall, &text);
		firewall_add_removal(cases[i].ifname, &removal);
		assert_memory_equal(buf_str(&text), buf_str(&removal), removal.len);
		(void) snprintf(words, sizeof(words), "\ndelete table inet %s\n", cases[i].table);
		assert_non_null(strstr(buf_str(&removal), words));
		(void) snprintf(words, sizeof(words), "\ntable inet %s {\n", cases[i].table);
		assert_non_null(strstr(buf_str(&text), words));
		firewall_add_links(&firewall, &text);
		(void) snprintf(words, sizeof(words), "\nadd element inet %s inside { \"lo\" }\n",
			cases[i].table);
		assert_non_null(strstr(buf_str(&text), words));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_board),
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_coordinator),
		cmocka_unit_test(test_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
