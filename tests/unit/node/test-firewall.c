/* firewall: the text nft gets. That nft takes it is tests/lab/test-mesh's. */
#include "mesh-maker.h"

#include "node/firewall.h"

static const char wanted[] =
	"add table inet hearth\n"
	"delete table inet hearth\n"
	"table inet hearth {\n"
	"\tset uplinks {\n"
	"\t\ttype ifname\n"
	"\t\telements = { \"eth0\", \"wlan0\" }\n"
	"\t}\n"
	"\tchain guard {\n"
	"\t\ttype filter hook prerouting priority raw; policy accept;\n"
	"\t\tiifname @uplinks ip saddr { 10.77.0.0/16, 10.244.0.0/16 } counter drop\n"
	"\t\tiifname @uplinks ip daddr 10.77.0.1 counter drop\n"
	"\t\tiifname \"hth*\" ip saddr { 10.77.0.0/16, 10.244.0.0/16 } ip saddr != 10.244.1.0/24 "
	"counter drop\n"
	"\t\tiifname @uplinks ip6 saddr { fd12:3456:789a::/64, fd12:3456:789a:1000::/56 } counter "
	"drop\n"
	"\t\tiifname @uplinks ip6 daddr fd12:3456:789a::1 counter drop\n"
	"\t\tiifname \"hth*\" ip6 saddr { fd12:3456:789a::/64, fd12:3456:789a:1000::/56 } ip6 "
	"saddr "
	"!= fd12:3456:789a:1001::/64 counter drop\n"
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
	"\tchain clamp {\n"
	"\t\ttype filter hook forward priority mangle; policy accept;\n"
	"\t\toifname \"hearth0\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
	"\t\tiifname \"hearth0\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
	"\t}\n"
	"}\n";

static struct firewall firewall_of(const struct settings *settings, const struct node *node,
	const char (*uplinks)[IFNAMSIZ], size_t n)
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
		.uplinks = uplinks,
		.n_uplinks = n };
}

static void test_board(void **state)
{
	static const char uplinks[][IFNAMSIZ] = { "eth0", "wlan0" };
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	struct firewall firewall = firewall_of(&settings, &node, uplinks, 2);
	CLEANUP_BUF struct buf text = { 0 };

	firewall_add_text(&firewall, &text);
	assert_string_equal(buf_str(&text), wanted);
}

/* A member has no pods: nothing is masqueraded. */
static void test_member(void **state)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(4, 0, NULL);
	struct firewall firewall = firewall_of(&settings, &node, NULL, 0);
	CLEANUP_BUF struct buf text = { 0 };

	firewall_add_text(&firewall, &text);
	assert_null(strstr(buf_str(&text), "masquerade"));
	assert_null(strstr(buf_str(&text), "hth"));
	assert_non_null(strstr(buf_str(&text),
		"iifname @uplinks ip saddr { 10.77.0.0/16, 10.244.0.0/16 } counter drop"));
	assert_null(strstr(buf_str(&text), "elements"));
	assert_non_null(strstr(buf_str(&text), "chain clamp"));
}

/* The kernel allows names that would end a string of nft's. */
static void test_odd_names(void **state)
{
	static const char uplinks[][IFNAMSIZ] = { "a\"b", "eth0", "x;y", "e}" };
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	struct firewall firewall = firewall_of(&settings, &node, uplinks, 4);
	CLEANUP_BUF struct buf text = { 0 };

	firewall_add_text(&firewall, &text);
	assert_non_null(strstr(buf_str(&text), "elements = { \"eth0\" }"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_board),
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_odd_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
