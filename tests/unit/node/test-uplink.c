/*
 * uplink: which changes of the network are looked at, after how long, and what is made of them.
 * What each link is, is test-links' business.
 */
#include "fake-core.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <unistd.h>

#include "node/uplink.h"
#include "sys/net/monitor.h"
#include "sys/net/route.h"

enum { LINKS_MAX = 4, EVENTS_MAX = 4, PORT = 41741 };
#define QUIET_US (200 * USEC_PER_MSEC)

/* --- instead of the kernel --- */

static struct {
	struct link links[LINKS_MAX];
	size_t n_links;
	struct link_addr addrs[LINKS_MAX];
	size_t n_addrs;
	struct route defaults[LINKS_MAX];
	size_t n_defaults;
	unsigned looks;
	int fails;       /* looking at it, with this errno */
	int not_watched; /* or watching it */
	int fd;
	struct monitor_event events[EVENTS_MAX];
	size_t n_events;
	bool lost; /* there were more */
} net;

int links_facts_read(struct nl *nl, struct links_facts *ret, struct err *err)
{
	net.looks++;
	if (net.fails < 0)
		return err_set(err, net.fails, "the kernel says no");
	*ret = (struct links_facts){ .links = net.links,
		.n_links = net.n_links,
		.addrs = net.addrs,
		.n_addrs = net.n_addrs,
		.defaults = net.defaults,
		.n_defaults = net.n_defaults };
	return 0;
}

void links_facts_done(struct links_facts *facts)
{
}

int monitor_open(unsigned what, struct err *err)
{
	assert_int_equal(what, MONITOR_LINKS | MONITOR_ADDRS | MONITOR_ROUTES | MONITOR_SETTINGS);
	if (net.not_watched < 0)
		return err_set(err, net.not_watched, "no socket");
	net.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(net.fd >= 0);
	return net.fd;
}

int monitor_read(int fd, monitor_changed *changed, void *ctx)
{
	int n = (int) net.n_events;

	assert_int_equal(fd, net.fd);
	for (size_t i = 0; i < net.n_events; i++)
		changed(ctx, &net.events[i]);
	net.n_events = 0;
	return net.lost ? -ENOBUFS : n;
}

/* --- a board --- */

static struct core *core;
static struct uplink *uplink;
static unsigned n_changed, n_moved, n_touched;

static void on_changed(void *ctx, bool moved)
{
	assert_ptr_equal(ctx, &uplink);
	n_changed++;
	n_moved += moved;
}

static void on_touched(void *ctx)
{
	assert_ptr_equal(ctx, &uplink);
	n_touched++;
}

static const struct uplink_hooks hooks = { .changed = on_changed, .touched = on_touched };

static struct link *add_link(const char *name, const char *kind)
{
	struct link *link = &net.links[net.n_links++];

	assert_true(net.n_links <= LINKS_MAX);
	*link = (struct link){ .index = (int) net.n_links,
		.flags = IFF_UP | IFF_RUNNING | IFF_LOWER_UP,
		.mtu = 1500,
		.type = *kind ? ARPHRD_NONE : ARPHRD_ETHER,
		.carrier = true,
		.operstate = IF_OPER_UP };
	(void) strcpy(link->name, name);
	(void) strcpy(link->kind, kind);
	return link;
}

static struct link_addr addr_of(int ifindex, const char *text, uint8_t len)
{
	struct link_addr addr = { .ifindex = ifindex, .prefix_len = len };

	assert_int_equal(ip_addr_parse(text, &addr.addr), 0);
	addr.scope = ip_addr_is_link_local(&addr.addr) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	addr.flags = IFA_F_PERMANENT;
	addr.preferred_s = addr.valid_s = ADDR_FOREVER;
	return addr;
}

static void add_addr(int ifindex, const char *text)
{
	assert_true(net.n_addrs < LINKS_MAX);
	net.addrs[net.n_addrs++] = addr_of(ifindex, text, 24);
}

static struct route route_to(const char *dst, int oif, uint8_t protocol)
{
	struct route route = { .oif = oif, .table = RT_TABLE_MAIN, .protocol = protocol };

	assert_int_equal(ip_prefix_parse(dst, &route.dst), 0);
	return route;
}

enum { ETH = 1, MESH = 2, WLAN = 3 };

/* eth0 with an address and the default route; hearth0. */
static int set_up(void **state)
{
	struct settings settings = maker_settings();
	struct ip_prefix denied[SETTINGS_RANGES];

	core = fake_core_new();
	memset(&net, 0, sizeof(net));
	n_changed = n_moved = n_touched = 0;
	(void) add_link("eth0", "");
	add_addr(ETH, "192.168.50.11");
	net.defaults[net.n_defaults++] = route_to("0.0.0.0/0", ETH, RTPROT_DHCP);
	assert_int_equal(ip_addr_parse("192.168.50.1", &net.defaults[0].gateway), 0);
	(void) add_link("hearth0", "tun");
	add_addr(MESH, "10.77.0.1");
	assert_int_equal(
		uplink_new(core->event, NULL, "hearth0", &hooks, &uplink, &uplink, NULL), 0);
	uplink_set(uplink, denied, settings_ranges(&settings, denied), PORT);
	settings_done(&settings);
	assert_int_equal(uplink_look(uplink, NULL), 0);
	net.looks = 0;
	return 0;
}

static int tear_down(void **state)
{
	uplink = uplink_free(uplink);
	assert_int_equal(fcntl(net.fd, F_GETFD), -1);
	core = fake_core_free(core);
	return 0;
}

static void assert_candidates(const char *wanted)
{
	const struct candidates *c = uplink_candidates(uplink);
	char text[ENDPOINT_TEXT_MAX], all[256] = "";

	for (size_t i = 0; i < c->n_endpoints; i++)
		(void) strcat(strcat(all, i ? " " : ""), endpoint_format(&c->endpoints[i], text));
	assert_string_equal(all, wanted);
}

/* --- what the kernel tells --- */

static void tell(const struct monitor_event *event)
{
	net.events[0] = *event;
	net.n_events = 1;
	fake_event_ready(net.fd);
}

static void tell_link(const char *name, int index, unsigned flags)
{
	struct monitor_event event = { .what = MONITOR_LINKS };

	event.link.index = index;
	event.link.flags = flags;
	(void) strcpy(event.link.name, name);
	tell(&event);
}

static void tell_addr(int ifindex, const char *text, bool gone)
{
	struct monitor_event event = { .what = MONITOR_ADDRS, .gone = gone };

	event.addr = addr_of(ifindex, text, 24);
	tell(&event);
}

static void tell_route(const struct route *route, bool gone)
{
	struct monitor_event event = { .what = MONITOR_ROUTES, .gone = gone };

	event.route = *route;
	tell(&event);
}

/* Nobody is woken by what was told. */
static void assert_quiet(void)
{
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

/* It is looked at once things have settled; so many hooks are called by then. */
static void assert_settles(unsigned changed, unsigned moved, unsigned touched)
{
	n_changed = n_moved = n_touched = net.looks = 0;
	assert_int_equal(fake_event_next_us(), QUIET_US);
	fake_event_pass(QUIET_US - 1);
	assert_int_equal(net.looks, 0);
	fake_event_pass(1);
	assert_int_equal(net.looks, 1);
	assert_int_equal(n_changed, changed);
	assert_int_equal(n_moved, moved);
	assert_int_equal(n_touched, touched);
	assert_quiet();
}

static void test_look(void **state)
{
	struct err err = { 0 };

	assert_candidates("192.168.50.11:41741"); /* no address of the mesh itself */
	assert_int_equal(uplink_links(uplink)->n, 2);
	assert_int_equal(uplink_candidates(uplink)->mtu, 1500);
	net.fails = -EINTR;
	add_addr(ETH, "192.168.50.12");
	assert_int_equal(uplink_look(uplink, &err), -EINTR);
	assert_string_equal(err.text, "the kernel says no");
	assert_candidates("192.168.50.11:41741");
	net.fails = 0;
	assert_int_equal(uplink_look(uplink, &err), 0);
	assert_candidates("192.168.50.11:41741 192.168.50.12:41741");
	assert_int_equal(n_changed + n_touched, 0);
}

static void test_ranges(void **state)
{
	struct ip_prefix many[20];

	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		assert_int_equal(ip_prefix_parse("10.9.0.0/16", &many[i]), 0);
	assert_int_equal(ip_prefix_parse("192.168.50.0/24", &many[16]), 0);
	uplink_set(uplink, many, ARRAY_LEN(many), 7);
	assert_int_equal(uplink_look(uplink, NULL), 0);
	assert_candidates("192.168.50.11:7"); /* there is room for 16 */
	many[15] = many[16];
	uplink_set(uplink, many, ARRAY_LEN(many), 7);
	assert_int_equal(uplink_look(uplink, NULL), 0);
	assert_candidates("");
}

/* --- addresses --- */

static void test_address(void **state)
{
	add_addr(ETH, "192.168.50.12");
	tell_addr(ETH, "192.168.50.12", false);
	assert_settles(1, 1, 0);
	assert_candidates("192.168.50.11:41741 192.168.50.12:41741");
	tell_addr(ETH, "192.168.50.12", false); /* once more the same */
	assert_settles(0, 0, 0);
}

/* Addresses of pods come and go, too. */
static void test_link_local(void **state)
{
	tell_addr(ETH, "fe80::1", false);
	assert_quiet();
	tell_addr(MESH, "fe80::1", false);
	assert_quiet();
	tell_addr(MESH, "fe80::1", true);
	assert_settles(0, 0, 1);
}

/* Of our own interface those that go matter: the others are ours. */
static void test_own_address(void **state)
{
	tell_addr(MESH, "10.77.0.1", false);
	assert_quiet();
	tell_addr(MESH, "10.77.0.1", true);
	assert_settles(0, 0, 1);
}

/* --- a burst --- */

static void test_burst(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		tell_addr(ETH, "192.168.50.12", false);
		fake_event_pass(QUIET_US / 2);
		assert_int_equal(net.looks, 0);
	}
	tell_addr(ETH, "192.168.50.12", false); /* 800 ms after the first */
	assert_int_equal(fake_event_next_us(), QUIET_US);
	fake_event_pass(QUIET_US / 2);
	tell_addr(ETH, "192.168.50.12", false);
	assert_int_equal(fake_event_next_us(), QUIET_US / 2); /* a second, and no longer */
	fake_event_pass(QUIET_US / 2);
	assert_int_equal(net.looks, 1);
	assert_quiet();
	tell_addr(ETH, "192.168.50.12", false);
	assert_settles(0, 0, 0);
}

/* The loop had no time for it. */
static void test_late(void **state)
{
	tell_addr(ETH, "192.168.50.12", false);
	fake_event_stall(2 * USEC_PER_SEC);
	tell_addr(ETH, "192.168.50.12", false);
	assert_int_equal(fake_event_next_us(), 0);
}

/* --- links --- */

static void test_link(void **state)
{
	(void) add_link("wlan0", "");
	add_addr(WLAN, "192.168.60.11");
	tell_link("wlan0", WLAN, IFF_UP | IFF_RUNNING);
	assert_settles(1, 1, 0);
	assert_candidates("192.168.50.11:41741 192.168.60.11:41741");
}

static void test_pod(void **state)
{
	tell_link("hth0123456789a", 9, IFF_UP | IFF_RUNNING);
	assert_quiet();
}

/* Where packets go is as before. */
static void test_mtu(void **state)
{
	net.links[0].mtu = 1400;
	tell_link("eth0", ETH, IFF_UP | IFF_RUNNING);
	assert_settles(1, 0, 0);
	assert_int_equal(uplink_candidates(uplink)->mtu, 1400);
}

/* It may come back at another switch, with the same address. */
static void test_carrier(void **state)
{
	tell_link("eth0", ETH, IFF_UP | IFF_RUNNING);
	assert_settles(0, 0, 0);
	tell_link("eth0", ETH, IFF_UP);
	tell_link("eth0", ETH, IFF_UP | IFF_RUNNING);
	assert_settles(1, 1, 0);
	tell_link("eth0", ETH, IFF_UP | IFF_RUNNING);
	assert_settles(0, 0, 0);
	(void) add_link("wlan0", ""); /* one that nobody knows an address of */
	tell_link("wlan0", WLAN, IFF_UP);
	assert_settles(0, 0, 0);
	tell_link("hearth0", MESH, IFF_UP);
	assert_settles(0, 0, 1);
}

static void test_own_link(void **state)
{
	tell_link("wg7", MESH, IFF_UP | IFF_RUNNING); /* renamed */
	assert_settles(0, 0, 1);
	tell_link("hearth0", 9, IFF_UP | IFF_RUNNING); /* another one of that name */
	assert_settles(0, 0, 1);
}

/* --- routes and settings --- */

static void test_default_route(void **state)
{
	struct route route = net.defaults[0];

	tell_route(&route, false);
	assert_settles(0, 0, 0);
	assert_int_equal(ip_addr_parse("192.168.50.2", &net.defaults[0].gateway), 0);
	tell_route(&net.defaults[0], false);
	assert_settles(1, 1, 0);
	net.n_defaults = 0;
	tell_route(&route, true);
	assert_settles(1, 1, 0);
	net.defaults[net.n_defaults++] = route_to("0.0.0.0/0", ETH, RTPROT_DHCP);
	net.defaults[net.n_defaults++] = route_to("::/0", ETH, RTPROT_RA);
	tell_route(&route, false);
	assert_settles(1, 1, 0);
	route = net.defaults[0]; /* in another order */
	net.defaults[0] = net.defaults[1];
	net.defaults[1] = route;
	tell_route(&route, false);
	assert_settles(0, 0, 0);
}

static void test_our_route(void **state)
{
	struct route route = route_to("10.77.0.2/32", MESH, ROUTE_PROTOCOL_HEARTH);

	tell_route(&route, false);
	assert_quiet();
	tell_route(&route, true);
	assert_settles(0, 0, 1);
}

/* A route to what is the mesh's, by another link than ours. */
static void test_stolen(void **state)
{
	struct route route = route_to("10.77.0.2/32", ETH, RTPROT_STATIC);

	tell_route(&route, false);
	assert_settles(0, 0, 1);
	tell_route(&route, true); /* and that is good */
	assert_quiet();
	route.oif = MESH;
	tell_route(&route, false);
	assert_quiet();
	route.oif = ETH;
	route.table = 100;
	tell_route(&route, false);
	assert_quiet();
	route.table = RT_TABLE_MAIN;
	route.protocol = ROUTE_PROTOCOL_HEARTH; /* another mesh's: iface tells of it */
	tell_route(&route, false);
	assert_quiet();
	route.protocol = ROUTE_PROTOCOL_HEARTH_CNI;
	tell_route(&route, false);
	assert_quiet();
	route = route_to("10.99.0.0/16", ETH, RTPROT_STATIC);
	tell_route(&route, false);
	assert_quiet();
}

static void test_settings(void **state)
{
	struct monitor_event event = { .what = MONITOR_SETTINGS };

	tell(&event);
	assert_settles(0, 0, 1);
}

/* --- what goes wrong --- */

static void test_events_lost(void **state)
{
	net.lost = true;
	fake_event_ready(net.fd);
	assert_settles(0, 0, 1);
}

/* Interrupted by yet another change: again, and nothing is forgotten meanwhile. */
static void test_look_fails(void **state)
{
	tell_link("eth0", ETH, IFF_UP);
	tell_link("hearth0", MESH, IFF_UP | IFF_RUNNING);
	net.fails = -EINTR;
	fake_event_pass(QUIET_US);
	assert_int_equal(net.looks, 1);
	assert_int_equal(n_changed + n_touched, 0);
	net.fails = 0;
	assert_settles(1, 1, 1);
}

static void test_cannot_watch(void **state)
{
	struct uplink *other = NULL;
	struct err err = { 0 };
	int fd = net.fd;

	net.not_watched = -EMFILE;
	assert_int_equal(
		uplink_new(core->event, NULL, "hearth0", &hooks, NULL, &other, &err), -EMFILE);
	assert_string_equal(err.text, "no socket");
	net.not_watched = 0;
	fake_event_fails = -ENOMEM;
	assert_int_equal(
		uplink_new(core->event, NULL, "hearth0", &hooks, NULL, &other, &err), -ENOMEM);
	assert_string_equal(err.text, "cannot watch the network: Cannot allocate memory");
	assert_null(other);
	assert_int_equal(fcntl(net.fd, F_GETFD), -1);
	net.fd = fd;
	assert_null(uplink_free(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(look),
		TEST(ranges),
		TEST(address),
		TEST(link_local),
		TEST(own_address),
		TEST(burst),
		TEST(late),
		TEST(link),
		TEST(pod),
		TEST(mtu),
		TEST(carrier),
		TEST(own_link),
		TEST(default_route),
		TEST(our_route),
		TEST(stolen),
		TEST(settings),
		TEST(events_lost),
		TEST(look_fails),
		TEST(cannot_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
