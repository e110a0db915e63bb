/*
 * mesh: which state this board is in, who is asked what when something changed, in which order, and
 * what becomes of a failure. The subjects are the test's.
 */
#include "fake-subjects.h"

#include <stdio.h>

#include "base/json.h"

static struct hearthd *h;
static struct err err;

static int set_up(void **state)
{
	h = fake_hearthd_new();
	err = (struct err){ 0 };
	fake_hearthd_is_in(h);
	return 0;
}

static int tear_down(void **state)
{
	if (h->overlay)
		fake_hearthd_close(h);
	h = fake_hearthd_free(h);
	return 0;
}

static int update(unsigned changes)
{
	err = (struct err){ 0 };
	return mesh_update(h, changes, &err);
}

/* It is in the mesh, and nothing has changed since. */
static void begin(void)
{
	fake_hearthd_open(h);
	assert_int_equal(update(CHANGE_ALL), 0);
	assert_int_equal(h->mesh_state, MESH_UP);
	assert_true(h->begun);
	(void) fake_asked();
	(void) fake_core_logged("");
}

/* A record takes node @id out of the mesh. */
static void remove_node(uint32_t id)
{
	struct netmap *map = (struct netmap *) book_netmap(NULL);
	struct tombstone tombstone = { .id = id };

	assert_int_equal(
		maker_apply(map, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone), NULL, NULL),
		1);
}

#define FIRST                                                                                                                                                                                                     \
	"wall_begin device_reclaim overlay_open-41741 keep_save_state uplink_set-41741 "                                                                                                                          \
	"uapi_open relays_use-1 mapped_use-1 holes_use-1 finder_use-1 uplink_look announce_check-1 peers_apply finder_own finder_follow relays_follow mapped_follow device_apply mtus_set_top-1420 wall_apply-1 " \
	"names_write-0 cluster_follow_record-1 cluster_look_at_boards-1 exchange_follow-1 offer_look-1 beacon_follow-0 portmap_follow announce_look"

/* --- its states --- */

static void test_up(void **state)
{
	fake_hearthd_open(h);
	assert_int_equal(update(0), 0);
	fake_assert_asked(FIRST " roster_follow-1 notify_status");
	assert_int_equal(h->mesh_state, MESH_UP);
	assert_true(h->begun);
	assert_int_equal(fake_core_logged("node 1 of mesh home"), 1);
	assert_int_equal(update(0), 0);
	fake_assert_asked("device_hold-7 wall_begin announce_check-1");
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_waiting(void **state)
{
	h->core.config.node = 5; /* nothing in the log yet */
	fake_hearthd_open(h);
	assert_int_equal(update(CHANGE_ALL), 0);
	fake_assert_asked("roster_follow-0 notify_status");
	assert_int_equal(h->mesh_state, MESH_WAITING);
	assert_int_equal(fake_core_logged("the log does not name this board (node 5) yet"), 1);
	assert_true(h->begun);
	fake_core_put(5, 5, NULL);
	fake_hearthd_is_in(h);
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_int_equal(h->mesh_state, MESH_UP);
}

static void test_replaced(void **state)
{
	begin();
	h->core.wg_public[9]++;
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_int_equal(h->mesh_state, MESH_REPLACED);
	fake_assert_asked(
		"portmap_remove uapi_close finder_use-0 relays_use-0 mapped_use-0 holes_use-0 overlay_close peers_forget device_clear wall_take_down "
		"names_write-1 ground_forget ipv6_forget pods_forget exchange_follow-0 beacon_follow-0 announce_check-0 "
		"roster_follow-0 notify_status");
	assert_int_equal(
		fake_core_logged(
			"another machine was enrolled in this board's place; taking the interface"),
		1);
	h->core.wg_public[9]--;
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_int_equal(h->mesh_state, MESH_UP);
	h->core.identity[9]++;
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_int_equal(h->mesh_state, MESH_REPLACED);
	(void) fake_asked();
	assert_int_equal(update(CHANGE_RECORDS), 0); /* once */
	fake_assert_asked("roster_follow-0");
}

static void test_removed(void **state)
{
	struct err wrong = { 0 };

	begin();
	err_set(&wrong, -EIO, "no tunnel");
	problem_set(&h->core.problems, "tunnel", &wrong);
	remove_node(1);
	(void) fake_core_logged("");
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_int_equal(h->mesh_state, MESH_REMOVED);
	fake_core_wrong(&h->core, "tunnel", NULL);
	assert_int_equal(
		fake_core_logged("this board was removed from the mesh; taking the interface"), 1);
	assert_false(fake.open);
}

/* --- the first time --- */

static void test_no_memory(void **state)
{
	static const char *const each[] = { "overlay", "peers", "device", "ipv6", "ground",
		"portmap", "announce" };

	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		fake.missing = each[i];
		h->keep = (struct keep *) &fake;
		assert_int_equal(mesh_open(h, &err), -ENOMEM);
		mesh_close(h);
	}
	fake.missing = NULL;
	fake.fails = "beacon_new";
	fake.with = -ENOMEM;
	assert_int_equal(mesh_open(h, &err), -ENOMEM);
	mesh_close(h);
	fake.fails = "wall_new";
	fake.with = -EPERM;
	assert_int_equal(mesh_open(h, &err), -EPERM);
	mesh_close(h);
	(void) fake_asked();
	mesh_close(h); /* of nothing */
	fake_assert_asked("");
}

static void test_cannot_begin(void **state)
{
	fake_hearthd_open(h);
	fake.fails = "overlay_open";
	fake.with = -EBUSY;
	assert_int_equal(update(CHANGE_ALL), -EBUSY);
	assert_string_equal(err.text, "overlay_open: it fails");
	assert_false(h->begun);
	fake_assert_asked("wall_begin device_reclaim overlay_open-41741");
	assert_int_equal(fake.state.port, 0);
}

/* What makes all else impossible, too. What is wrong with the device otherwise may pass. */
static void test_no_right(void **state)
{
	fake_hearthd_open(h);
	fake.fails = "device_apply";
	fake.with = -EPERM;
	assert_int_equal(update(CHANGE_ALL), -EPERM);
	assert_string_equal(err.text, "device_apply: it fails; CAP_NET_ADMIN is needed");
	assert_false(h->begun);
	fake.with = -EIO;
	assert_int_equal(update(CHANGE_ALL), 0);
	assert_true(h->begun);
	fake.with = -EPERM;
	assert_int_equal(update(CHANGE_ALL), 0);
}

/* The port of last time, as long as the configuration says what it said then. */
static void test_port(void **state)
{
	static const struct {
		uint16_t port, wanted, config;
		const char *opened;
	} cases[] = { { 0, 0, 41741, "overlay_open-41741" },
		{ 41743, 41741, 41741, "overlay_open-41743" },
		{ 41743, 41741, 5000, "overlay_open-5000" },
		{ 0, 41741, 41741, "overlay_open-41741" } };

	fake_hearthd_open(h);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fake.state =
			(struct state){ .port = cases[i].port, .port_wanted = cases[i].wanted };
		h->core.config.port = cases[i].config;
		fake.port = (uint16_t) (cases[i].config + 1);
		assert_int_equal(update(0), 0);
		assert_non_null(strstr(fake_asked(), cases[i].opened));
		assert_int_equal(fake.state.port, cases[i].config + 1);
		assert_int_equal(fake.state.port_wanted, cases[i].config);
		overlay_close(h->overlay);
		(void) fake_asked();
	}
}

/* --- what changed, and whom it concerns --- */

static void test_changes(void **state)
{
	static const struct {
		unsigned change;
		const char *asked;
	} cases[] = {
		{ CHANGE_RECORDS,
			"peers_apply finder_own finder_follow relays_follow mapped_follow device_apply wall_apply-1 names_write-0 "
			"cluster_follow_record-1 cluster_look_at_boards-1 exchange_follow-1 offer_look-1 portmap_follow announce_look roster_follow-1" },
		{ CHANGE_UPLINK,
			"peers_apply finder_own finder_follow wall_apply-1 offer_look-1 beacon_follow-0 portmap_follow announce_look" },
		{ CHANGE_MTU,
			"peers_apply finder_own finder_follow device_apply mtus_set_top-1420" },
		{ CHANGE_TUNNEL,
			"peers_apply finder_own finder_follow relays_follow mapped_follow device_apply mtus_set_top-1420 wall_apply-1 names_write-0 portmap_follow announce_look" },
		{ CHANGE_IPV6, "device_apply names_write-0 announce_look" },
		{ CHANGE_CONFIG,
			"device_apply wall_apply-1 names_write-0 offer_look-1 beacon_follow-0 portmap_follow" },
	};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char all[512];

		assert_int_equal(update(cases[i].change), 0);
		(void) snprintf(all, sizeof(all), "device_hold-7 wall_begin announce_check-1 %s",
			cases[i].asked);
		fake_assert_asked(all);
	}
}

/* Where a coordinator is, records and configuration say. */
static void test_asks_others(void **state)
{
	begin();
	(void) snprintf(h->core.config.urls[h->core.config.n_urls++], FIELD_URL_MAX,
		"https://other.example");
	assert_int_equal(update(CHANGE_UPLINK | CHANGE_MTU | CHANGE_TUNNEL | CHANGE_IPV6), 0);
	assert_null(strstr(fake_asked(), "sync_configure"));
	assert_int_equal(update(CHANGE_CONFIG), 0);
	assert_non_null(strstr(fake_asked(), "sync_configure"));
	h->core.config.n_urls = 0;
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_non_null(strstr(fake_asked(), "sync_configure"));
}

/* Another MTU is noticed whatever was said to have changed; none says nothing. */
static void test_mtu(void **state)
{
	fake.own.mtu = 1500;
	begin();
	assert_int_equal(fake.mtu, 1420);
	assert_int_equal(fake.view.mtu, 1420);
	fake.own.mtu = 1400;
	assert_int_equal(update(CHANGE_UPLINK), 0);
	assert_non_null(strstr(fake_asked(), "device_apply"));
	assert_int_equal(fake.view.mtu, 1320);
	fake.own.mtu = 0;
	assert_int_equal(update(CHANGE_UPLINK), 0);
	assert_null(strstr(fake_asked(), "device_apply"));
	assert_int_equal(h->uplink_mtu, 1400);
}

static void test_view(void **state)
{
	begin();
	assert_int_equal(update(CHANGE_MTU), 0);
	assert_int_equal(fake.view.changes, CHANGE_MTU);
	assert_ptr_equal(fake.view.map, book_netmap(NULL));
	assert_ptr_equal(fake.view.settings, netmap_settings(book_netmap(NULL)));
	assert_ptr_equal(fake.view.self, core_self(&h->core));
	assert_ptr_equal(fake.view.own, &fake.own);
	assert_ptr_equal(fake.view.tunnel, &fake);
	assert_int_equal(fake.view.ifindex, 7);
}

static void test_peers_fail(void **state)
{
	begin();
	fake.fails = "peers_apply";
	fake.with = -ENOSPC;
	assert_int_equal(update(CHANGE_UPLINK), 0);
	fake_core_wrong(&h->core, "tunnel", "peers_apply: it fails");
	fake.fails = NULL;
	assert_int_equal(update(CHANGE_UPLINK), 0);
	fake_core_wrong(&h->core, "tunnel", NULL);
}

/* The tunnel works all the same, with what was known. */
static void test_addresses_unknown(void **state)
{
	fake_hearthd_open(h);
	fake.fails = "uplink_look";
	fake.with = -EINTR;
	assert_int_equal(update(CHANGE_ALL), 0);
	fake_assert_asked(FIRST " roster_follow-1 notify_status");
	assert_int_equal(
		fake_core_logged("uplink_look: it fails; the addresses of before count"), 1);
	assert_int_equal(fake_core_logged(""), 0);
}

/* --- the tunnel goes --- */

static void test_moved_away(void **state)
{
	begin();
	fake.fails = "device_hold";
	fake.with = -ENODEV;
	assert_int_equal(update(0), 0);
	fake_assert_asked(
		"device_hold-7 uapi_close finder_use-0 relays_use-0 mapped_use-0 holes_use-0 overlay_close peers_forget " FIRST);
	fake.with = -EIO; /* that says nothing */
	assert_int_equal(update(0), 0);
	fake_assert_asked("device_hold-7 wall_begin announce_check-1");
}

static void test_lost(void **state)
{
	begin();
	fake.overlay->lost(h);
	fake_assert_asked(
		"uapi_close finder_use-0 relays_use-0 mapped_use-0 holes_use-0 overlay_close peers_forget " FIRST
		" roster_follow-1");
	assert_int_equal(fake_core_logged(""), 0);
	fake.fails = "overlay_open";
	fake.with = -EBUSY;
	fake.overlay->lost(h);
	assert_int_equal(fake_core_logged("overlay_open: it fails"), 1);
	assert_true(fake_event_is_ending(h->core.event));
}

/* --- what subjects ask of each other --- */

static void test_announced_facts(void **state)
{
	struct announce_facts facts;
	CLEANUP_JSON json_t *doc = json_string("doc");
	uint64_t last = 0;

	fake.state.counter = 12;
	begin();
	assert_int_equal(fake.number, 12);
	fake.announce->look(fake.ctx, &facts);
	assert_ptr_equal(facts.own, &fake.own);
	assert_int_equal(facts.n_more, 0);
	assert_int_equal(endpoint_parse("203.0.113.7:2000", &fake.port_mapped), 0);
	fake.announce->look(fake.ctx, &facts);
	assert_int_equal(facts.n_more, 1);
	assert_true(endpoint_equal(&facts.more[0], &fake.port_mapped));
	fake.portmap->changed(h);
	fake_assert_asked("finder_own announce_look");
	assert_false(facts.no_ipv6);
	assert_string_equal(facts.kube, "tried");
	assert_string_equal(facts.kube_problem, "problem");
	fake.ipv6_missing = true;
	fake.announce->look(fake.ctx, &facts);
	assert_true(facts.no_ipv6);
	assert_false(fake.announce->take_number(fake.ctx, 6, &last));
	assert_int_equal(last, 7);
	fake.number_is_there = true;
	assert_true(fake.announce->take_number(fake.ctx, 6, &last));
	fake.announce->tell(fake.ctx, doc);
	fake_assert_asked("sync_set_presence-doc beacon_tell");
}

/* Where it is allowed, and the board is in the mesh. What it hears goes where a poll's goes. */
static void test_beacon(void **state)
{
	const struct book_heard heard = { .id = 2 };

	begin();
	h->core.config.beacon = true;
	assert_int_equal(update(CHANGE_CONFIG), 0);
	assert_non_null(strstr(fake_asked(), "beacon_follow-1"));
	fake.beacon->heard(fake.ctx, &heard);
	fake_assert_asked(
		"peers_apply_one-2 finder_follow relays_heard-2 cluster_look_at_boards-1");
	remove_node(1);
	assert_int_equal(update(CHANGE_RECORDS), 0);
	assert_non_null(strstr(fake_asked(), "beacon_follow-0"));
	fake.beacon->heard(fake.ctx, &heard);
	fake_assert_asked("");
}

static void test_ipv6(void **state)
{
	begin();
	assert_true(fake.ground->ipv6_leads_to(fake.ctx, 2));
	assert_false(fake.ground->ipv6_leads_to(fake.ctx, 3));
	fake.ipv6_hooks->answered(fake.ctx);
	fake_assert_asked("device_hold-7 wall_begin announce_check-1 device_apply names_write-0 "
			  "announce_look");
	/* It may work the next time. */
	overlay_close(h->overlay);
	fake.fails = "overlay_open";
	fake.with = -EBUSY;
	fake.ipv6_hooks->answered(fake.ctx);
	assert_int_equal(fake_core_logged("overlay_open: it fails"), 1);
	assert_false(fake_event_is_ending(h->core.event));
}

static void test_wall_settled(void **state)
{
	fake.wall_busy = true;
	begin();
	assert_false(h->ready);
	fake.wall_busy = false;
	fake.wall->settled(fake.ctx);
	assert_true(h->ready);
}

/* --- news --- */

static void test_heard(void **state)
{
	struct book_heard own = { .id = 1 }, other = { .id = 2 },
			  ipv6 = { .id = 3, .ipv6_changed = true };

	begin();
	mesh_news_hooks.heard(h, &own);
	fake_assert_asked("announce_look");
	mesh_news_hooks.heard(h, &other);
	fake_assert_asked(
		"peers_apply_one-2 finder_follow relays_heard-2 cluster_look_at_boards-1");
	mesh_news_hooks.heard(h, &ipv6);
	fake_assert_asked(
		"peers_apply_one-3 finder_follow relays_heard-3 names_write-0 cluster_look_at_boards-1");
	fake.fails = "peers_apply_one";
	fake.with = -ENOSPC;
	mesh_news_hooks.heard(h, &other);
	fake_core_wrong(&h->core, "tunnel", "peers_apply_one: it fails");
	overlay_close(h->overlay);
	(void) fake_asked();
	mesh_news_hooks.heard(h, &other);
	fake_assert_asked("finder_follow relays_heard-2 cluster_look_at_boards-1");
	h->mesh_state = MESH_REMOVED;
	mesh_news_hooks.heard(h, &own);
	mesh_news_hooks.heard(h, &ipv6);
	fake_assert_asked("");
}

static void test_news(void **state)
{
	struct kube_bundle bundle = { .id = "x" };

	begin();
	mesh_news_hooks.came(h);
	fake_assert_asked("keep_log");
	assert_int_equal(mesh_news_hooks.bundle(h, &bundle), 0);
	fake_assert_asked("cluster_take-x");
	fake.fails = "cluster_take";
	fake.with = -EAGAIN;
	assert_int_equal(mesh_news_hooks.bundle(h, &bundle), -EAGAIN);
	(void) fake_asked();
	mesh_news_hooks.records(h);
	assert_non_null(strstr(fake_asked(), "cluster_follow_record"));
	assert_false(fake_event_is_ending(h->core.event));
}

/* --- now and then --- */

#define ROUND                                                                                    \
	"names_retry uapi_retry cluster_retry resolv_retry names_look resolv_look cluster_look " \
	"keep_book keep_save_state"

static void test_retry(void **state)
{
	begin();
	mesh_retry(h);
	fake_assert_asked(
		"device_hold-7 device_look ground_look-1-7 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " ROUND);
	fake.whole = false; /* no saying where packets go */
	mesh_retry(h);
	fake_assert_asked(
		"device_hold-7 device_look ground_look-1-0 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " ROUND);
}

static void test_retry_without_a_mesh(void **state)
{
	h->core.config.node = 5;
	fake_hearthd_open(h);
	assert_int_equal(update(CHANGE_ALL), 0);
	(void) fake_asked();
	mesh_retry(h);
	fake_assert_asked(ROUND);
}

/* What finder and relays tell each other, and whom a new home concerns. */
static void test_relays(void **state)
{
	struct announce_facts facts;

	begin();
	fake.finder->missed(h, 3, 700);
	fake_assert_asked("relays_missed-3 mtus_doubt-3-700");
	fake.relays->changed(h);
	fake_assert_asked("finder_follow mtus_follow mapped_follow");
	fake.relays->homed(h);
	fake_assert_asked("announce_look");
	fake.home = 2;
	fake.announce->look(h, &facts);
	assert_int_equal(facts.relay, 2);
	h->mesh_state = MESH_REMOVED;
	fake.relays->homed(h);
	fake_assert_asked("");
}

/* Who has STUN, what comes of it, and where others are told to try us. */
static void test_mapped(void **state)
{
	const struct tunnel_event event = { .len = 28 };
	struct mapped_server servers[NAT_SERVERS_MAX];
	struct announce_facts facts;

	begin();
	fake.finder->aside(h, &event);
	fake_assert_asked("mapped_take-28");
	fake.finder->left(h, 2);
	fake_assert_asked("mapped_moved");
	fake.mapped->changed(h);
	fake_assert_asked("finder_own announce_look");
	assert_ptr_equal(fake.mapped->own(h), &fake.own);
	assert_int_equal(fake.mapped->relays(h, servers, NAT_SERVERS_MAX), 0);
	fake.home = 2;
	assert_int_equal(fake.mapped->relays(h, servers, NAT_SERVERS_MAX), 1);
	assert_int_equal(servers[0].relay, 2);
	fake.announce->look(h, &facts);
	assert_int_equal(facts.n_more, 0);
	assert_int_equal(endpoint_parse("203.0.113.2:20007", &fake.outside), 0);
	fake.announce->look(h, &facts);
	assert_int_equal(facts.n_more, 1);
	assert_true(endpoint_equal(&facts.more[0], &fake.outside));
}

/* Where it is seen, and what its router does: behind what its links have. */
static void test_own(void **state)
{
	begin();
	assert_int_equal(endpoint_parse("203.0.113.2:20007", &fake.outside), 0);
	assert_int_equal(endpoint_parse("203.0.113.2:7", &fake.port_mapped), 0);
	fake.sides[NAT_IPV4] = (struct nat_side){ .mapping = NAT_MAPPING_COUNTING,
		.step = -2,
		.outside = { fake.outside },
		.n_outside = 1 };
	fake.mapped->changed(h);
	assert_int_equal(fake.told.at.n_local, fake.own.n_endpoints);
	assert_int_equal(fake.told.at.n, fake.own.n_endpoints + 2);
	assert_true(endpoint_equal(&fake.told.at.list[fake.told.at.n - 2], &fake.port_mapped));
	assert_true(endpoint_equal(&fake.told.at.list[fake.told.at.n - 1], &fake.outside));
	assert_int_equal(fake.told.at.mapping, DISCO_MAPPING_COUNTING);
	assert_int_equal(fake.told.step, -2);
	assert_true(endpoint_equal(&fake.told.outside, &fake.outside));
}

/* What finder and mtus tell each other, and that the routes follow. */
static void test_mtus(void **state)
{
	const struct endpoint to = { 0 };

	begin();
	fake.finder->elsewhere(h, 3);
	fake_assert_asked("mtus_follow");
	fake.mtus->probe(h, 3, &to, 1452);
	fake_assert_asked("finder_probe-3-1452");
	fake.finder->probed(h, 3, &to, 1452, 700);
	fake_assert_asked("mtus_probed-3-1452-700");
	fake.mtus->changed(h);
	fake_assert_asked(
		"device_hold-7 wall_begin announce_check-1 peers_apply finder_own finder_follow device_apply mtus_set_top-1420");
	assert_int_equal(fake.device->mtu(h, 3), 1283);
}

/* What guesses ports, and by whom it does. */
static void test_holes(void **state)
{
	const struct endpoint to = { .port = 4711 };
	uint8_t data[DISCO_MIN_LEN];
	struct endpoint server;

	begin();
	fake.finder->called(h, 3, true);
	fake_assert_asked("holes_called-3-1");
	assert_false(fake.holes->server(h, &server));
	assert_int_equal(endpoint_parse("203.0.113.2:20007", &fake.outside), 0);
	assert_true(fake.holes->server(h, &server));
	assert_true(endpoint_equal(&server, &fake.outside));
	fake.holes->call(h, 3);
	fake.holes->ping(h, 3, &to);
	assert_true(fake.holes->seal(h, 3, data));
	assert_true(fake.holes->recognises(h, 3, data, sizeof(data)));
	fake.holes->changed(h);
	fake_assert_asked(
		"finder_call-3 finder_guess-3-4711 finder_seal-3 finder_recognises-3-92 finder_follow");
}

static void test_retry_held_back(void **state)
{
	begin();
	fake.held_back = true;
	mesh_retry(h);
	fake_assert_asked(
		"device_hold-7 device_hold-7 wall_begin announce_check-1 peers_apply finder_own finder_follow "
		"relays_follow mapped_follow device_apply mtus_set_top-1420 wall_apply-1 names_write-0 cluster_follow_record-1 "
		"cluster_look_at_boards-1 exchange_follow-1 offer_look-1 beacon_follow-0 portmap_follow announce_look roster_follow-1 device_look ground_look-1-7 "
		"wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " ROUND);
}

/* It is a problem of the tunnel; all else waits until there is one. */
static void test_retry_tunnel(void **state)
{
	begin();
	overlay_close(h->overlay);
	fake.fails = "overlay_open";
	fake.with = -EBUSY;
	(void) fake_asked();
	mesh_retry(h);
	fake_assert_asked("wall_begin device_reclaim overlay_open-41741");
	fake_core_wrong(&h->core, "tunnel", "overlay_open: it fails");
	fake.fails = NULL;
	mesh_retry(h);
	fake_assert_asked(FIRST
		" roster_follow-1 device_look ground_look-1-7 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " ROUND);
	fake_core_wrong(&h->core, "tunnel", NULL);
}

static void test_retry_peers(void **state)
{
	begin();
	fake.fails = "peers_apply";
	fake.with = -ENOSPC;
	assert_int_equal(update(CHANGE_UPLINK), 0);
	fake.fails = NULL;
	(void) fake_asked();
	mesh_retry(h);
	fake_assert_asked(
		"device_hold-7 peers_apply finder_own finder_follow device_look ground_look-1-7 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " ROUND);
	fake_core_wrong(&h->core, "tunnel", NULL);
}

/* What the device is found to have concerns names and the others. */
static void test_retry_ipv6(void **state)
{
	begin();
	fake.ipv6 = IFACE_IPV6_NONE;
	mesh_retry(h);
	fake_assert_asked(
		"device_hold-7 device_look ipv6_found-2 ground_look-1-7 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 "
		"names_write-0 announce_look " ROUND);
	mesh_retry(h);
	fake_assert_asked(
		"device_hold-7 device_look ipv6_found-2 ground_look-1-7 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " ROUND);
}

/* What other boards, and people here, ask about ways. */
static void test_why(void **state)
{
	struct why_sources sources;
	CLEANUP_JSON json_t *told = NULL;

	fake_hearthd_open(h);
	assert_int_equal(update(CHANGE_ALL), 0);
	told = fake.exchange->why(fake.ctx, 3);
	assert_int_equal(json_integer_value(json_object_get(told, "about")), 3);
	fake.why->look(fake.ctx, &sources);
	assert_int_equal(sources.self, WHY_SELF_UP);
	assert_ptr_equal(sources.own, &fake.own);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(up),
		TEST(waiting),
		TEST(replaced),
		TEST(removed),
		TEST(no_memory),
		TEST(cannot_begin),
		TEST(no_right),
		TEST(port),
		TEST(changes),
		TEST(asks_others),
		TEST(mtu),
		TEST(view),
		TEST(peers_fail),
		TEST(addresses_unknown),
		TEST(moved_away),
		TEST(lost),
		TEST(announced_facts),
		TEST(beacon),
		TEST(ipv6),
		TEST(wall_settled),
		TEST(heard),
		TEST(news),
		TEST(retry),
		TEST(retry_without_a_mesh),
		TEST(relays),
		TEST(mapped),
		TEST(own),
		TEST(mtus),
		TEST(holes),
		TEST(retry_held_back),
		TEST(retry_tunnel),
		TEST(retry_peers),
		TEST(retry_ipv6),
		TEST(why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
