/* relays: to which relays it binds itself and how it finds them, and what is told of them. */
#include "relays-world.h"

#include <sodium.h>
#include <stdio.h>

#include "wire/udprelay.h"

/* --- one relay --- */

static void test_bound(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	assert_int_equal(fake_ferry.open, 1);
	assert_int_equal(fake_ferry.port, 41741);
	world_assert_to(4, "203.0.113.4:3478");
	assert_int_equal(fake_carriers[4].n_binds, 1);
	assert_string_equal(world_report(4)->state, "silent");
	fake_event_pass(30 * MS);
	world_bind_to(4);
	assert_int_equal(world.n_homed, 1);
	assert_int_equal(relays_home(world.relays), 4);
	assert_string_equal(world_report(4)->state, "bound");
	assert_true(world_report(4)->home);
	assert_int_equal(world_report(4)->rtt_us, 30 * MS);
	assert_string_equal(world_report(4)->why, "");
	/* And again in time, by the same session; one slow answer does not say much. */
	fake_event_pass(20 * SECOND);
	assert_int_equal(fake_carriers[4].n_binds, 2);
	fake_event_pass(110 * MS);
	world_bind_to(4);
	assert_int_equal(world_report(4)->rtt_us, 50 * MS);
	assert_int_equal(fake_carriers[4].opened, 1);
	assert_int_equal(world.n_homed, 1);
	/* It has started anew. */
	fake_event_pass(20 * SECOND);
	world_say_bound(4, 77);
	assert_int_equal(fake_carriers[4].session, 77);
}

/* Where there is no relay, or no tunnel, there is no ferry. */
static void test_none(void **state)
{
	struct settings settings = maker_settings();

	world_begin();
	assert_int_equal(fake_ferry.open, 0);
	assert_true(fake_event_next_us() == UINT64_MAX);
	world_put_relay(4, "203.0.113.4", NULL);
	world_follow();
	assert_int_equal(fake_ferry.open, 1);
	world_bind_to(4);
	relays_use(world.relays, NULL);
	assert_int_equal(fake_ferry.open, 0);
	assert_string_equal(world_report(4)->state, "unused");
	assert_true(fake_event_next_us() == UINT64_MAX);
	relays_use(world.relays, world_tunnel);
	assert_int_equal(fake_ferry.open, 1);
	world_bind_to(4);
	assert_int_equal(world.n_homed, 1); /* it was home all the time */
	world_put_relay(4, NULL, NULL);     /* a relay no more */
	world_follow();
	assert_int_equal(fake_ferry.open, 0);
	assert_int_equal(relays_home(world.relays), 0);
	assert_int_equal(world.n_homed, 2);
	settings_done(&settings);
}

/* What we have announced before the start is home until it has had its time. */
static void test_home_of_before(void **state)
{
	fake_core_announce(1)->relay = 5;
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world_begin();
	assert_int_equal(relays_home(world.relays), 5);
	world_bind_to(4);
	assert_int_equal(relays_home(world.relays), 5);
	fake_event_pass(RELAY_LINK_TRY_US - MS);
	assert_int_equal(world.n_homed, 0);
	fake_event_pass(SECOND);
	assert_int_equal(relays_home(world.relays), 4);
	assert_int_equal(world.n_homed, 1);
}

static void test_ferry_fails(void **state)
{
	fake_ferry.fails = -EMFILE;
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	assert_int_equal(fake_core_logged("no relay can be used: no ferry"), 1);
	fake_ferry.fails = 0;
	relays_look(world.relays);
	assert_int_equal(fake_ferry.open, 1);
	world_bind_to(4);
	fake_tunnel.port = 999;
	relays_look(world.relays);
	assert_int_equal(fake_ferry.port, 999);
}

static void test_bad_key(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	CLEANUP_NODE struct node node = { 0 };

	assert_int_equal(node_copy(netmap_by_id(book_netmap(world.core->book), 4), &node), 0);
	memset(node.relay.key, 0, sizeof(node.relay.key));
	node.relay.key[0] = 1; /* of low order */
	fake_core_put_node(&node);
	world_begin();
	assert_false(fake_carriers[4].open);
	assert_int_equal(fake_core_logged("the relay key in the record of board"), 1);
	assert_string_equal(world_report(4)->state, "unused");
	assert_string_equal(world_report(4)->why, "its record has no usable key");
}

/* A relay whose record has another's key could go to that one in our name: it is not gone to. */
static void test_twin(void **state)
{
	CLEANUP_NODE struct node node = { 0 };

	world_put_relay(5, "203.0.113.5", NULL);
	world_begin();
	world_bind_to(5);
	world_put_relay(6, "203.0.113.6", NULL);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(world.core->book), 6), &node), 0);
	(void) crypto_scalarmult_base(node.relay.key, world_secret_of(5));
	fake_core_put_node(&node);
	world_follow();
	assert_false(fake_carriers[6].open);
	assert_true(fake_carriers[5].open);
	assert_string_equal(world_report(6)->state, "unused");
	assert_string_equal(world_report(6)->why,
		"its record has the key of relay node-5, and only one of them can be that");
	/* The other is none any more. */
	world_put_relay(5, NULL, NULL);
	world_follow();
	assert_true(fake_carriers[6].open);
}

/* --- its addresses --- */

static void test_next_address(void **state)
{
	world_put_relay(4, "203.0.113.4", "2001:db8::4");
	world_begin();
	fake_event_pass(RELAY_LINK_TRY_US - MS);
	world_assert_to(4, "203.0.113.4:3478");
	fake_event_pass(MS);
	world_assert_to(4, "[2001:db8::4]:3478");
	fake_event_pass(RELAY_LINK_TRY_US);
	world_assert_to(4, "203.0.113.4:3478");
	fake_event_pass(RELAY_LINK_TRY_US);
	world_bind_to(4);
	fake_event_pass(20 * SECOND - MS);
	world_assert_to(4, "[2001:db8::4]:3478");
	/* It does not answer any more. */
	fake_event_pass(SECOND + MS);
	assert_string_equal(world_report(4)->state, "silent");
	world_assert_to(4, "[2001:db8::4]:3478");
	fake_event_pass(RELAY_LINK_TRY_US - SECOND);
	world_assert_to(4, "203.0.113.4:3478");
}

static void test_no_family(void **state)
{
	fake_ferry.unreachable4 = true;
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", "2001:db8::5");
	world_begin();
	assert_false(fake_carriers[4].open);
	world_assert_to(5, "[2001:db8::5]:3478");
	assert_string_equal(world_report(4)->why, "connect: Network is unreachable");
	fake_ferry.unreachable4 = false;
	fake_event_pass(RELAY_LINK_TRY_US);
	world_assert_to(4, "203.0.113.4:3478");
}

static void test_names(void **state)
{
	world_put_relay(4, "vps.example.org", NULL);
	world_begin();
	assert_int_equal(fake_lookups_n, 1);
	assert_string_equal(fake_lookups[0].name, "vps.example.org");
	assert_false(fake_carriers[4].open);
	fake_resolved("", NULL);
	assert_string_equal(
		world_report(4)->why, "vps.example.org cannot be looked up: no such name");
	fake_event_pass(RELAY_ADDRS_ASK_US + RELAY_LINK_TRY_US);
	assert_int_equal(fake_lookups_n, 2);
	fake_resolved("2001:db8::4", "203.0.113.4");
	world_assert_to(4, "[2001:db8::4]:3478");
	world_bind_to(4);
	fake_event_pass(19 * SECOND);
	assert_int_equal(fake_lookups_n, 2);
	/* It has moved: the name knows where to, and is asked again and again. */
	fake_event_pass(9 * SECOND);
	assert_int_equal(fake_lookups_n, 3);
	fake_resolved("198.51.100.4", NULL);
	world_assert_to(4, "198.51.100.4:3478");
	world_bind_to(4);
}

/* An address is tried while the name is still looked up. */
static void test_names_and_addresses(void **state)
{
	world_put_relay(4, "203.0.113.4", "vps.example.org");
	world_begin();
	world_assert_to(4, "203.0.113.4:3478");
	fake_resolved("203.0.113.4", "2001:db8::4");
	assert_int_equal(fake_carriers[4].opened, 1);
	fake_event_pass(RELAY_LINK_TRY_US);
	world_assert_to(4, "[2001:db8::4]:3478");
	/* Also while it is looked up anew. */
	fake_event_pass(2 * RELAY_LINK_TRY_US);
	assert_int_equal(fake_lookups_n, 2);
	world_assert_to(4, "[2001:db8::4]:3478");
}

/* What leads into the mesh, or to ourselves, is no relay's. */
static void test_denied(void **state)
{
	world_put_relay(4, "10.77.0.4", "10.244.3.9");
	world_put_relay(5, "vps.example.org", NULL);
	world_begin();
	fake_resolved("127.0.0.1", "10.96.0.10");
	assert_false(fake_carriers[4].open);
	assert_false(fake_carriers[5].open);
	assert_non_null(
		strstr(world_report(4)->why, "10.244.3.9 is not used: it lies in the mesh"));
	assert_non_null(
		strstr(world_report(5)->why, "10.96.0.10 is not used: it lies in the mesh"));
}

/* A relay on this board is found whatever its hosts are. */
static void test_own(void **state)
{
	world_put_relay(1, "203.0.113.1", NULL);
	world_begin();
	world_assert_to(1, "127.0.0.1:3478");
	fake_event_pass(RELAY_LINK_TRY_US);
	world_assert_to(1, "203.0.113.1:3478");
}

static void test_moved(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "vps.example.org", NULL);
	world_begin();
	fake_resolved("203.0.113.5", NULL);
	world_bind_to(4);
	world_bind_to(5);
	relays_moved(world.relays);
	assert_int_equal(fake_carriers[4].opened, 2);
	assert_int_equal(fake_carriers[4].session, 0);
	assert_int_equal(fake_carriers[4].n_binds, 2);
	assert_int_equal(fake_lookups_n, 2);
	fake_resolved("203.0.113.6", NULL);
	world_assert_to(5, "203.0.113.5:3478"); /* until it does not answer */
	world_bind_to(4);
	world_bind_to(5);
	fake_event_pass(19 * SECOND);
	world_assert_to(5, "203.0.113.5:3478");
	fake_event_pass(SECOND + RELAY_LINK_TRY_US);
	world_assert_to(5, "203.0.113.6:3478");
}

/* From the first address on, as at the start. */
static void test_moved_begins_anew(void **state)
{
	world_put_relay(4, "203.0.113.4", "2001:db8::4");
	world_begin();
	fake_event_pass(RELAY_LINK_TRY_US);
	world_assert_to(4, "[2001:db8::4]:3478");
	relays_moved(world.relays);
	world_assert_to(4, "203.0.113.4:3478");
	relays_moved(world.relays);
	world_assert_to(4, "203.0.113.4:3478");
}

/* A host that is new, or another key: it is another relay. */
static void test_record(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	world_bind_to(4);
	world_follow();
	assert_int_equal(fake_carriers[4].opened, 1);
	world_put_relay(4, "203.0.113.9", NULL);
	world_follow();
	world_assert_to(4, "203.0.113.9:3478");
	assert_int_equal(fake_carriers[4].session, 0);
}

/* More than we bind to: home, those that carry, that somebody is at; a silent one yields. */
static void test_many_relays(void **state)
{
	unsigned n = 0;

	for (uint32_t id = 10; id < 30; id++) {
		char host[32];

		(void) snprintf(host, sizeof(host), "203.0.113.%u", id);
		world_put_relay(id, host, NULL);
	}
	world_begin();
	for (uint32_t id = 10; id < 30; id++)
		n += fake_carriers[id].open;
	assert_int_equal(n, RELAYS_AT_ONCE);
	for (uint32_t id = 10; id < 10 + RELAYS_AT_ONCE - 2; id++)
		world.alive[id] = true;
	world.alive[29] = world.arrives[2][29] = true;
	fake_core_announce(2)->relay = 29;
	relays_heard(world.relays, 2);
	world_pass(10 * SECOND);
	assert_true(fake_carriers[29].open);
	assert_true(fake_carriers[relays_home(world.relays)].open);
	world_pass(2 * SECOND);
	assert_int_equal(fake_passengers[2].by, 29);
	n = 0;
	for (uint32_t id = 10; id < 30; id++)
		n += fake_carriers[id].open;
	assert_int_equal(n, RELAYS_AT_ONCE);
}

/* --- a relay that is away for days --- */

struct work {
	unsigned wakeups, binds, carriers, dials, lookups;
};

/* An hour in which no name is found, or it is at @addr, where nobody is. */
static struct work spend_hour(const char *addr)
{
	struct work work = { 0 };
	unsigned opened = fake_carriers[4].opened, binds = fake_carriers[4].n_binds;

	for (uint64_t end_us = clock_now_us() + 3600 * SECOND; clock_now_us() < end_us;) {
		fake_event_pass(fake_event_next_us());
		work.wakeups++;
		(void) fake_core_logged("");
		for (size_t i = 0; i < fake_dials_n; i++)
			if (fake_dials[i].asked)
				fake_dial_fails_with(&fake_dials[i], -ECONNREFUSED, "refused");
		work.dials += (unsigned) fake_dials_n;
		fake_dial_reset();
		work.lookups += fake_lookups_n;
		if (fake_lookups_n && fake_lookups[fake_lookups_n - 1].asked)
			fake_resolved(addr, NULL);
		fake_lookups_n = 0;
	}
	work.carriers = fake_carriers[4].opened - opened;
	work.binds = fake_carriers[4].n_binds - binds;
	return work;
}

static void assert_seldom(struct work work)
{
	assert_in_range(work.wakeups, 100, 1300);
	assert_in_range(work.binds, 100, 1200);
	assert_in_range(work.carriers, 100, 180);
	assert_in_range(work.dials, 40, 100);
	assert_in_range(work.lookups, 100, 250);
}

/* A minute after it has gone it costs little, and it is found soon once it is back. */
static void test_away_for_days(void **state)
{
	world_put_relay(4, "vps.example.org", NULL);
	world_begin();
	fake_resolved("203.0.113.4", NULL);
	fake_lookups_n = 0;
	assert_seldom(spend_hour("203.0.113.4"));
	assert_seldom(spend_hour("203.0.113.4"));
	assert_string_equal(world_report(4)->state, "silent");
	world.alive[4] = true;
	world_pass(13 * SECOND);
	assert_string_equal(world_report(4)->state, "bound");
	fake_lookups_n = 0;
}

/* Nor does a name that nobody here knows, whether or not its relay is reached by the proxy. */
static void test_name_for_days(void **state)
{
	world_put_relay(4, "vps.example.org", NULL);
	world_begin();
	fake_resolved("", NULL);
	fake_lookups_n = 0;
	(void) spend_hour("");
	assert_in_range(spend_hour("").lookups, 100, 250);
	assert_false(fake_carriers[4].open);
}

/* --- what is told --- */

static void test_problem(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	world_announce_2("192.0.2.2:41741");
	world_pass(10 * SECOND);
	fake_core_wrong(world.core, "relay", NULL);
	world_pass(10 * SECOND);
	fake_core_wrong(world.core, "relay",
		"no relay answers, and no direct way leads to node-2. Relay node-4: "
		"UDP to 203.0.113.4:3478 is not answered, for 20 s");
	world_bind_to(4);
	relays_look(world.relays);
	fake_core_wrong(world.core, "relay", NULL);
}

/* As long as nobody needs one, it is nothing to speak of. */
static void test_no_problem(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world.direct[2] = true;
	world_begin();
	world_announce_2("192.0.2.2:41741");
	world_peer(2)->reachable = true;
	world_pass(60 * SECOND);
	fake_core_wrong(world.core, "relay", NULL);
}

static void test_refused(void **state)
{
	struct udprelay_cookie cookie = { .cookie = { 1 } };
	struct ferry_event *event;

	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	memcpy(cookie.echo, udprelay_bind_head(fake_carriers[4].bind).nonce, sizeof(cookie.echo));
	event = fake_ferry_push(FERRY_CONTROL, 4);
	event->len = UDPRELAY_COOKIE_MSG_LEN;
	udprelay_cookie_format(&cookie, fake_ferry_data());
	world_deliver();
	assert_int_equal(fake_carriers[4].n_binds, 2);
	assert_string_equal(world_report(4)->state, "refused");
	assert_string_equal(world_report(4)->why,
		"it answers at 203.0.113.4:3478, but does not know this board");
}

static void test_no_loop(void **state)
{
	struct relays *other = NULL;
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	assert_int_equal(
		relays_new(world.core, world.peers, &world_hooks, NULL, &other, &err), -EMFILE);
	assert_null(other);
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	assert_int_equal(fake_ferry.open, 0);
	fake_event_fails = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bound),
		TEST(none),
		TEST(home_of_before),
		TEST(ferry_fails),
		TEST(bad_key),
		TEST(twin),
		TEST(next_address),
		TEST(no_family),
		TEST(names),
		TEST(names_and_addresses),
		TEST(denied),
		TEST(own),
		TEST(moved),
		TEST(moved_begins_anew),
		TEST(record),
		TEST(many_relays),
		TEST(away_for_days),
		TEST(name_for_days),
		TEST(problem),
		TEST(no_problem),
		TEST(refused),
		TEST(no_loop),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
