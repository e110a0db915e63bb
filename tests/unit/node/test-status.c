/* status: what systemd is told and when, and what there is to tell. */
#include "fake-subjects.h"

static struct hearthd *h;

static int set_up(void **state)
{
	h = fake_hearthd_new();
	fake_hearthd_is_in(h);
	fake_hearthd_open(h);
	return 0;
}

static int tear_down(void **state)
{
	fake_hearthd_close(h);
	h = fake_hearthd_free(h);
	return 0;
}

static void begin(void)
{
	struct err err = { 0 };

	assert_int_equal(mesh_update(h, CHANGE_ALL, &err), 0);
	(void) fake_asked();
}

static void test_look(void **state)
{
	status_look(h);
	fake_assert_asked("peers_clear");
	begin();
	status_look(h);
	fake_assert_asked("peers_look-1");
	overlay_close(h->overlay);
	(void) fake_asked();
	status_look(h);
	fake_assert_asked("peers_look-0");
}

/* What `hearth why` is made from, beside the peers. */
static void test_fill_why(void **state)
{
	struct why_sources sources;

	fake.own.n_endpoints = 1;
	fake.sync.connected = true;
	fake.home = 3;
	status_fill_why(h, &sources);
	assert_int_equal(sources.self, WHY_SELF_WAITING);
	begin();
	status_fill_why(h, &sources);
	fake_assert_asked("peers_look-1");
	assert_int_equal(sources.self, WHY_SELF_UP);
	assert_true(sources.connected);
	assert_ptr_equal(sources.own, &fake.own);
	assert_int_equal(sources.n_relays, 1);
	assert_int_equal(sources.relays[0].id, 3);
	assert_true(sources.relays[0].home);
	assert_false(sources.relays[0].udp || sources.relays[0].tcp);
	h->mesh_state = MESH_REMOVED;
	status_fill_why(h, &sources);
	assert_int_equal(sources.self, WHY_SELF_REMOVED);
	h->mesh_state = MESH_REPLACED;
	status_fill_why(h, &sources);
	assert_int_equal(sources.self, WHY_SELF_REPLACED);
	h->mesh_state = MESH_UP;
}

/* What STUN and the gateway say: before what relays show. */
static void test_fill_why_net(void **state)
{
	struct why_sources sources;

	begin();
	fake.sides[NAT_IPV4] = (struct nat_side){ .udp = NAT_UDP_NONE };
	status_fill_why(h, &sources);
	assert_int_equal(sources.net.udp[WHY_IPV4], WHY_NO);
	assert_int_equal(sources.net.udp[WHY_IPV6], WHY_UNKNOWN);
	assert_int_equal(sources.net.mapping, WHY_MAPPING_UNKNOWN);
	assert_int_equal(sources.net.portmap, WHY_PORTMAP_NONE);
	assert_null(sources.net.portmap_by);
	assert_string_equal(sources.net.router, "02:00:5e:10:00:01");
	fake.sides[NAT_IPV4] = (struct nat_side){ .udp = NAT_UDP_WORKS,
		.mapping = NAT_MAPPING_RANDOM,
		.outside = { { .port = 5 } },
		.n_outside = 1 };
	status_fill_why(h, &sources);
	assert_int_equal(sources.net.udp[WHY_IPV4], WHY_YES);
	assert_int_equal(sources.net.mapping, WHY_MAPPING_RANDOM);
	assert_int_equal(sources.net.n_outside, 1);
	assert_int_equal(sources.net.outside[0].port, 5);
	fake.sides[NAT_IPV4].open = true;
	status_fill_why(h, &sources);
	assert_int_equal(sources.net.mapping, WHY_MAPPING_NONE);
}

static void test_fill(void **state)
{
	struct err wrong = { 0 }, forked = { 0 };
	struct report report;

	fake.own.mtu = 1400;
	fake.own.n_endpoints = 2;
	fake.n_peers = 3;
	fake.n_reachable = 2;
	begin();
	err_set(&wrong, -EIO, "something");
	err_set(&forked, -ENOTUNIQ, "a fork");
	problem_set(&h->core.problems, "x", &wrong);
	problem_set(&h->core.problems, "log", &forked);
	status_fill(h, &report);
	assert_string_equal(report.mesh, "home");
	assert_int_equal(report.state, MESH_UP);
	assert_int_equal(report.id, 1);
	assert_ptr_equal(report.self, core_self(&h->core));
	assert_string_equal(report.ifname, "hearth0");
	assert_int_equal(report.mtu, 1320);
	assert_int_equal(report.port, 41741);
	assert_ptr_equal(report.endpoints, fake.own.endpoints);
	assert_int_equal(report.n_endpoints, 2);
	assert_int_equal(report.seq, 1);
	assert_ptr_equal(report.peers, fake.peers);
	assert_int_equal(report.n_peers, 3);
	assert_int_equal(report.n_reachable, 2);
	assert_int_equal(report.node_of(report.ctx, 2)->id, 2);
	assert_string_equal(report.log_problem, "a fork");
	assert_int_equal(report.n_problems, 2);
	assert_string_equal(report.problems[0], "something");
	assert_int_equal(report.now_us, clock_now_us());
	assert_false(report.systemd);
	fake.booted = -ENOENT; /* it is not known */
	status_fill(h, &report);
	assert_false(report.systemd);
	fake.booted = 1;
	status_fill(h, &report);
	assert_true(report.systemd);
	overlay_close(h->overlay);
	status_fill(h, &report);
	assert_int_equal(report.port, 0);
}

/* Each word wakes PID 1: only what is new. */
static void test_sentence(void **state)
{
	status_tell(h);
	fake_assert_asked(""); /* not before it has begun */
	fake.n_peers = 1;
	begin();
	assert_non_null(strstr(fake.status, "0 of 1 peers reachable"));
	status_tell(h);
	fake_assert_asked("");
	fake.n_reachable = 1;
	status_tell(h);
	fake_assert_asked("notify_status");
	assert_non_null(strstr(fake.status, "1 of 1 peers reachable"));
	/* What it did not hear is said again. */
	fake.n_reachable = 0;
	fake.is_deaf = true;
	status_tell(h);
	fake.is_deaf = false;
	status_tell(h);
	fake_assert_asked("notify_status");
	assert_non_null(strstr(fake.status, "0 of 1 peers reachable"));
	status_tell(h);
	fake_assert_asked("");
}

static void test_ready(void **state)
{
	fake.wall_busy = true;
	begin();
	assert_string_equal(fake.notes, "");
	fake.wall_busy = false;
	fake.is_deaf = true;
	status_tell(h);
	assert_int_equal(fake_core_logged("ready"), 0);
	fake.is_deaf = false;
	status_tell(h);
	assert_string_equal(fake.notes, "READY=1;");
	assert_int_equal(fake_core_logged("ready"), 1);
	status_tell(h);
	assert_string_equal(fake.notes, "READY=1;");
}

/* Removed and replaced are answers, too. */
static void test_not_ready(void **state)
{
	h->core.config.node = 5;
	begin();
	assert_int_equal(h->mesh_state, MESH_WAITING);
	assert_string_equal(fake.notes, "");
	h->mesh_state = MESH_REMOVED;
	status_tell(h);
	assert_string_equal(fake.notes, "READY=1;");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(look),
		TEST(fill_why),
		TEST(fill_why_net),
		TEST(fill),
		TEST(sentence),
		TEST(ready),
		TEST(not_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
