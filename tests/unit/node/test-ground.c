/* ground: what is looked at, for whom, and as which problem it is told. */
#include "fake-core.h"
#include "fake-net.h"

#include <linux/if_addr.h>

#include "base/names.h"
#include "board/stops.h"
#include "node/ground.h"

/* --- instead of board/stops --- */

static unsigned n_looks;
static struct stops asked;         /* with what it was called last */
static struct err findings[STOPS]; /* what it finds */

void stops_look(struct stops *stops, struct nl *nl, struct err ret[static STOPS])
{
	n_looks++;
	asked = *stops;
	stops->forwarded4 = true;
	memcpy(ret, findings, sizeof(findings));
}

/* --- ours is link 1, hearth0; link 2 is eth0 --- */

enum { OURS = 1, OTHER = 2 };

static struct core *core;
static struct ground *ground;
static uint32_t without_ipv6; /* the node that IPv6 does not lead to */

static bool leads_to(void *ctx, uint32_t id)
{
	assert_ptr_equal(ctx, &ground);
	return id != without_ipv6;
}

static const struct ground_hooks hooks = { .ipv6_leads_to = leads_to };

static int set_up(void **state)
{
	n_looks = 0;
	without_ipv6 = 0;
	memset(findings, 0, sizeof(findings));
	fake_net_reset();
	(void) fake_net_link("hearth0", "tun");
	(void) fake_net_link("eth0", "");
	(void) fake_net_route("10.77.0.0/16", OURS);
	(void) fake_net_route("fd12:3456:789a::/64", OURS);
	core = fake_core_new();
	ground = ground_new(core, &hooks, &ground);
	assert_non_null(ground);
	return 0;
}

static int tear_down(void **state)
{
	ground = ground_free(ground);
	core = fake_core_free(core);
	fake_net_reset();
	return 0;
}

static void look(int ifindex)
{
	ground_look(ground, core_self(core), ifindex);
}

/* --- what stops pods --- */

static const char *const stop_names[STOPS] = { "forwarding", "boot", "dropped", "input",
	"kernel-ipv6", "cni", "dns", "containerd", "kubelet" };

static void test_stops(void **state)
{
	struct settings settings = maker_settings();

	for (int i = 0; i < STOPS; i++)
		err_set(&findings[i], -EPERM, "%s, found", stop_names[i]);
	look(OURS);
	for (int i = 0; i < STOPS; i++) {
		char words[64];

		(void) snprintf(words, sizeof(words), "%s, found", stop_names[i]);
		fake_core_wrong(core, stop_names[i], words);
		findings[i] = (struct err){ 0 };
	}
	assert_string_equal(asked.etc, "/etc");
	assert_string_equal(asked.own, "/etc/hearth");
	assert_string_equal(asked.cni.dir, "/etc/cni/net.d");
	assert_string_equal(asked.cni.plugin, NAMES_CNI_PLUGIN);
	assert_string_equal(asked.ifname, "hearth0");
	assert_true(ip_addr_equal(&asked.mesh4, &core_self(core)->mesh4));
	assert_true(ip_prefix_equal(&asked.pods4, &settings.pods4));
	assert_true(ip_prefix_equal(&asked.pods6, &settings.pods6));
	assert_true(ip_prefix_equal(&asked.range4, &settings.mesh4));
	assert_true(ip_prefix_equal(&asked.range6, &settings.mesh6));
	assert_false(asked.forwarded4 || asked.ahead);
	look(OURS);
	assert_true(asked.forwarded4); /* what was seen once is remembered */
	for (int i = 0; i < STOPS; i++)
		fake_core_wrong(core, stop_names[i], NULL);
	settings_done(&settings);
}

/* A board that runs no pods is not asked for what these need. */
static void test_member(void **state)
{
	CLEANUP_NODE struct node member = maker_node(1, 0, NULL);

	err_set(&findings[STOP_DNS], -ENOENT, "no name server");
	look(OURS);
	fake_core_wrong(core, "dns", "no name server");
	ground_look(ground, &member, OURS);
	assert_int_equal(n_looks, 1);
	fake_core_wrong(core, "dns", NULL);
}

/* --- who takes the mesh's packets --- */

static void test_all_ours(void **state)
{
	look(OURS);
	fake_core_wrong(core, "routes", NULL);
	assert_int_equal(fake_net.lookups, 4); /* two peers, both families; not ourselves */
}

static void test_stolen(void **state)
{
	(void) fake_net_route("10.77.0.3/32", OTHER);
	look(OURS);
	fake_core_wrong(
		core, "routes", "packets for node-3 leave by interface eth0, not by hearth0");
	fake_core_wrong(core, "routes", "`ip route get 10.77.0.3`");
	fake_net.n_routes--;
	look(OURS);
	fake_core_wrong(core, "routes", NULL);
}

static void test_stolen6(void **state)
{
	(void) fake_net_route("fd12:3456:789a::2/128", OTHER);
	look(OURS);
	fake_core_wrong(core, "routes", "packets for node-2 leave by interface eth0");
	without_ipv6 = 2;
	look(OURS);
	fake_core_wrong(core, "routes", NULL);
}

/* Our own address is on a link of ours; where packets to it go is nobody's business. */
static void test_self(void **state)
{
	(void) fake_net_route("10.77.0.1/32", OTHER);
	look(OURS);
	fake_core_wrong(core, "routes", NULL);
}

static void test_no_route(void **state)
{
	fake_net.n_routes = 0;
	look(OURS);
	fake_core_wrong(core, "routes", "packets for node-2 leave by interface none, not by");
}

/* With an interface that is not whole nobody is accused, nor cleared. */
static void test_not_whole(void **state)
{
	(void) fake_net_route("10.77.0.3/32", OTHER);
	look(0);
	assert_int_equal(fake_net.lookups, 0);
	fake_core_wrong(core, "routes", NULL);
	look(OURS);
	fake_net.n_routes--;
	look(0);
	fake_core_wrong(core, "routes", "node-3");
	assert_int_equal(n_looks, 3);
}

/* A thousand peers are not a thousand questions to the kernel. */
static void test_many(void **state)
{
	for (uint32_t id = 4; id <= 100; id++)
		fake_core_put(id, id, NULL);
	look(OURS);
	assert_int_equal(fake_net.lookups, 2 * 63);
}

/* --- an address of a router that will not be heard --- */

static void test_adverts(void **state)
{
	static const struct {
		int forwarding6, accept_ra;
		const char *addr;
		uint8_t scope;
		uint32_t flags, valid_s;
		bool expires;
	} cases[] = {
		{ 1, 1, "2001:db8::5", RT_SCOPE_UNIVERSE, 0, 1800, true },
		{ 1, 2, "2001:db8::5", RT_SCOPE_UNIVERSE, 0, 1800, false },
		{ 1, 0, "2001:db8::5", RT_SCOPE_UNIVERSE, 0, 1800, false },
		{ 0, 1, "2001:db8::5", RT_SCOPE_UNIVERSE, 0, 1800, false },
		{ -1, -1, "2001:db8::5", RT_SCOPE_UNIVERSE, 0, 1800, false },
		{ 1, 1, "fe80::5", RT_SCOPE_LINK, 0, 1800, false },
		{ 1, 1, "2001:db8::5", RT_SCOPE_UNIVERSE, IFA_F_PERMANENT, 1800, false },
		{ 1, 1, "2001:db8::5", RT_SCOPE_UNIVERSE, 0, ADDR_FOREVER, false },
		{ 1, 1, "192.0.2.5", RT_SCOPE_UNIVERSE, 0, 1800, false },
	};

	fake_net.n_addrs = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fake_net_get("eth0")->forwarding6 = cases[i].forwarding6;
		fake_net_get("eth0")->accept_ra = cases[i].accept_ra;
		fake_net.addrs[0] = (struct link_addr){ .ifindex = OTHER,
			.scope = cases[i].scope,
			.flags = cases[i].flags,
			.valid_s = cases[i].valid_s };
		assert_int_equal(ip_addr_parse(cases[i].addr, &fake_net.addrs[0].addr), 0);
		look(OURS);
		fake_core_wrong(core, "adverts",
			cases[i].expires ? "net.ipv6.conf.eth0.accept_ra=2" : NULL);
	}
}

/* What cannot be looked at is as it was. */
static void test_adverts_unknown(void **state)
{
	fake_net_get("eth0")->forwarding6 = fake_net_get("eth0")->accept_ra = 1;
	fake_net.addrs[fake_net.n_addrs++] = (struct link_addr){ .ifindex = OTHER, .valid_s = 9 };
	assert_int_equal(ip_addr_parse("2001:db8::5", &fake_net.addrs[0].addr), 0);
	look(OURS);
	fake_core_wrong(core, "adverts", "eth0");
	fake_net.refuses = "link_list";
	fake_net.with = -ENOBUFS;
	look(OURS);
	fake_core_wrong(core, "adverts", "eth0");
	fake_net.refuses = "addr_list";
	look(OURS);
	fake_core_wrong(core, "adverts", NULL);
}

/* --- */

static void test_forget(void **state)
{
	for (int i = 0; i < STOPS; i++)
		err_set(&findings[i], -EPERM, "found");
	fake_net.n_routes = 0;
	fake_net_get("eth0")->forwarding6 = fake_net_get("eth0")->accept_ra = 1;
	fake_net.addrs[fake_net.n_addrs++] = (struct link_addr){ .ifindex = OTHER, .valid_s = 9 };
	assert_int_equal(ip_addr_parse("2001:db8::5", &fake_net.addrs[0].addr), 0);
	look(OURS);
	fake_core_wrong(core, "routes", "none");
	fake_core_wrong(core, "adverts", "eth0");
	ground_forget(ground);
	fake_core_wrong(core, "routes", NULL);
	fake_core_wrong(core, "adverts", NULL);
	for (int i = 0; i < STOPS; i++)
		fake_core_wrong(core, stop_names[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stops),
		TEST(member),
		TEST(all_ours),
		TEST(stolen),
		TEST(stolen6),
		TEST(self),
		TEST(no_route),
		TEST(not_whole),
		TEST(many),
		TEST(adverts),
		TEST(adverts_unknown),
		TEST(forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
