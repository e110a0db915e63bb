/* relays: whom it has carried by which relay, and when no more. */
#include "relays-world.h"

#include <sodium.h>
#include <stdio.h>

#include "node/relayed.h"

static void test_carried(void **state)
{
	struct endpoint at = fake_ferry_loopback(2);

	world.arrives[2][4] = true;
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	assert_false(fake_passengers[2].there); /* nothing carries yet */
	world_bind_to(4);
	assert_true(fake_passengers[2].there);
	assert_true(fake_tunnel.allowed[2]);
	assert_int_equal(fake_passengers[2].by, 4);
	assert_int_equal(world_peer(2)->relay, 4);
	assert_true(world_is_relayed());
	assert_true(endpoint_equal(&ways_in_use(&world_peer(2)->ways)->to, &at));
	assert_false(fake_passengers[3].there); /* it cannot be pinged */
	/* A direct one is used at once; the other stays for a while. */
	world.direct[2] = true;
	world_announce_2("192.0.2.2:41741");
	assert_false(world_is_relayed());
	world.alive[4] = true;
	world_pass(290 * SECOND);
	assert_true(fake_passengers[2].there);
	world_pass(20 * SECOND);
	assert_false(fake_passengers[2].there);
	assert_false(fake_tunnel.allowed[2]);
	assert_int_equal(world_peer(2)->relay, 0);
	/* It is gone: with the first doubt. */
	world.direct[2] = false;
	ways_quiet(&world_peer(2)->ways, clock_now_us());
	relays_missed(world.relays, 2);
	assert_true(fake_passengers[2].there);
	world_pass(WAYS_GRACE_US + 50 * MS);
	assert_true(world_is_relayed());
}

/* The record goes, the tunnel goes: nothing stays, and the tunnel would be told again. */
static void test_no_more(void **state)
{
	struct endpoint at = fake_ferry_loopback(2);
	struct netmap *map;
	struct tombstone tombstone = { .id = 2 };

	world.arrives[2][4] = true;
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	world_bind_to(4);
	assert_true(world_is_relayed());
	world_peer(2)->told.endpoint = at;
	relays_use(world.relays, NULL);
	assert_false(fake_passengers[2].there);
	assert_null(ways_in_use(&world_peer(2)->ways));
	assert_int_equal(world_peer(2)->told.endpoint.addr.family, AF_UNSPEC);
	relays_use(world.relays, world_tunnel);
	world_bind_to(4);
	assert_true(world_is_relayed());
	map = (struct netmap *) book_netmap(world.core->book);
	assert_int_equal(
		maker_apply(map, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone), NULL, NULL),
		1);
	assert_true(peers_apply(world.peers, world_tunnel, NULL, 0, NULL) >= 0);
	relays_follow(world.relays);
	assert_false(fake_passengers[2].there);
	assert_false(fake_tunnel.allowed[2]);
}

/* A peer that has left, and come back before anybody looked: it is taken up anew. */
static void test_comes_back(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world.arrives[2][4] = true;
	world_begin();
	world_bind_to(4);
	assert_true(world_is_relayed());
	peers_clear(world.peers);
	world_follow();
	assert_false(world_is_relayed());
	relays_look(world.relays);
	assert_true(world_is_relayed());
	assert_int_equal(fake_ferry.passengers, 1);
}

/* Another machine in its place: the ferry knows peers by their keys. */
static void test_another_key(void **state)
{
	CLEANUP_NODE struct node node = { 0 };

	world_put_relay(4, "203.0.113.4", NULL);
	world.arrives[2][4] = true;
	world_begin();
	world_bind_to(4);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(world.core->book), 2), &node), 0);
	node.wg[9]++;
	fake_core_put_node(&node);
	world_follow();
	relays_look(world.relays);
	assert_memory_equal(fake_passengers[2].key, node.wg, sizeof(node.wg));
	assert_true(world_is_relayed());
}

static void test_by_its_home(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world.arrives[2][4] = world.arrives[2][5] = true;
	fake_core_announce(2)->relay = 5;
	world_begin();
	world_bind_to(4);
	assert_int_equal(fake_passengers[2].by, 4); /* better than nothing */
	world_bind_to(5);
	assert_int_equal(fake_passengers[2].by, 4); /* which works */
	fake_core_announce(2)->relay = 0;
	relays_heard(world.relays, 2);
	fake_core_announce(2)->relay = 5;
	relays_heard(world.relays, 2);
	assert_int_equal(fake_passengers[2].by, 5);
	assert_true(world_is_relayed());
}

/* It is not answered by one relay: the next, with ever more patience, and no storm. */
static void test_by_next(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world_begin();
	world_bind_to(4);
	world_bind_to(5);
	assert_int_equal(fake_passengers[2].by, 4);
	world_pass(RELAYED_PATIENCE_US - 50 * MS);
	assert_int_equal(fake_passengers[2].by, 4);
	world_pass(100 * MS);
	assert_int_equal(fake_passengers[2].by, 5);
	world.alive[4] = world.alive[5] = true;
	world_pass(200 * SECOND);
	assert_in_range(fake_passengers[2].changes, 6, 12);
	assert_in_range(world.n_pings, 20, 80);
	/* It is at the other. */
	world.arrives[2][4] = world.arrives[2][5] = true;
	world_pass(20 * SECOND);
	assert_true(world_is_relayed());
}

/* In vain for five minutes: not again, until there is a reason. */
static void test_in_vain(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	world.alive[4] = true;
	world_pass(290 * SECOND);
	assert_true(fake_passengers[2].there);
	world_pass(20 * SECOND);
	assert_false(fake_passengers[2].there);
	world_pass(100 * SECOND);
	assert_false(fake_passengers[2].there);
	world.arrives[2][4] = true;
	world_heard(4, 2);
	assert_true(fake_passengers[2].there);
	assert_true(world_is_relayed());
}

/* Neither says anything of a home: ours comes first. */
static void test_by_our_home(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world.direct[2] = world.arrives[2][4] = world.arrives[2][5] = true;
	world_begin();
	world_announce_2("192.0.2.2:41741");
	world_bind_to(5);
	world_bind_to(4);
	assert_int_equal(relays_home(world.relays), 5);
	assert_false(fake_passengers[2].there);
	ways_quiet(&world_peer(2)->ways, clock_now_us());
	relays_missed(world.relays, 2);
	assert_int_equal(fake_passengers[2].by, 5);
}

/* A ping that is lost is a reason to ask again, not to leave. */
static void test_one_lost_ping(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world.arrives[2][4] = true;
	world_begin();
	world.alive[4] = world.alive[5] = true;
	world_bind_to(4);
	world_bind_to(5);
	world_pass(20 * SECOND);
	assert_int_equal(fake_passengers[2].by, 4);
	world.arrives[2][4] = false;
	ways_relayed_anew(&world_peer(2)->ways);
	world_ping();
	world.arrives[2][4] = true;
	fake_event_pass(RELAYED_PATIENCE_US);
	world.n_pings = 0;
	relays_look(world.relays);
	assert_int_equal(world.n_pings, 1);
	world_pass(10 * SECOND);
	assert_int_equal(fake_passengers[2].by, 4);
	assert_int_equal(fake_passengers[2].changes, 1);
}

static void test_heard(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world.arrives[2][4] = true;
	world_begin();
	world_bind_to(4);
	world_bind_to(5);
	assert_true(world_is_relayed());
	/* It comes by the other one, and this one works: it stays. */
	world_heard(5, 2);
	assert_int_equal(fake_passengers[2].by, 4);
	world_pass(3100 * MS);
	assert_int_equal(fake_passengers[2].by, 4);
	/* It does not work any more. */
	world.arrives[2][4] = false;
	world.arrives[2][5] = true;
	world_heard(5, 2);
	world_pass(RELAYED_PATIENCE_US + 100 * MS);
	assert_int_equal(fake_passengers[2].by, 5);
	assert_true(world_is_relayed());
	/* From who is no peer, or by no relay: nothing. */
	world_heard(5, 99);
	world_heard(77, 2);
	world_heard(5, 3);
	assert_int_equal(fake_ferry.passengers, 1);
}

/* It goes to where it was heard, not to the next. */
static void test_heard_by_a_third(void **state)
{
	for (uint32_t id = 4; id <= 6; id++) {
		char host[32];

		(void) snprintf(host, sizeof(host), "203.0.113.%u", id);
		world_put_relay(id, host, NULL);
		world.alive[id] = true;
	}
	world.arrives[2][4] = true;
	world_begin();
	for (uint32_t id = 4; id <= 6; id++)
		world_bind_to(id);
	world_pass(10 * SECOND);
	world.arrives[2][4] = false;
	world.arrives[2][5] = world.arrives[2][6] = true;
	world_heard(6, 2);
	world_pass(RELAYED_PATIENCE_US + 100 * MS);
	assert_int_equal(fake_passengers[2].by, 6);
	assert_int_equal(fake_passengers[2].changes, 2);
}

/* A peer that sends by a relay although we reach it directly is taken up: else it is not heard. */
static void test_heard_though_direct(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world.direct[2] = world.arrives[2][4] = true;
	world_begin();
	world_announce_2("192.0.2.2:41741");
	world_bind_to(4);
	assert_false(fake_passengers[2].there);
	world_heard(4, 2);
	assert_true(fake_passengers[2].there);
	assert_int_equal(fake_passengers[2].by, 4);
	assert_false(world_is_relayed());
}

static void test_absent(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world_begin();
	world_bind_to(4);
	world_absent(4, 2);
	assert_int_equal(fake_passengers[2].by, 4); /* there is no other */
	world_bind_to(5);
	world_absent(4, 2);
	assert_int_equal(fake_passengers[2].by, 5);
	world_absent(4, 2); /* that is not by which it goes */
	fake_carriers[5].session++;
	world_absent(5, 2); /* of another session than ours */
	fake_carriers[5].session--;
	assert_int_equal(fake_passengers[2].by, 5);
	world_absent(5, 2);
	assert_int_equal(fake_passengers[2].by, 4);
	for (int i = 0; i < 100; i++) {
		world_absent(4, 2);
		world_absent(5, 2);
	}
	assert_in_range(fake_passengers[2].changes, 3, 6);
}

/* The relay by which it goes is silent: another at once, and home as well. */
static void test_relay_dies(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world.arrives[2][4] = world.arrives[2][5] = true;
	world_begin();
	world_bind_to(4);
	world_bind_to(5);
	world_pass(10 * SECOND);
	world.arrives[2][4] = false;
	/* The tunnel notices first. */
	ways_quiet(&world_peer(2)->ways, clock_now_us());
	fake_carriers[4].n_binds = 0;
	relays_missed(world.relays, 2);
	assert_int_equal(fake_carriers[4].n_binds, 1);
	world_pass(RELAYED_PATIENCE_US + 100 * MS);
	assert_int_equal(fake_passengers[2].by, 5);
	assert_true(world_is_relayed());
	world_pass(RELAY_LINK_TRY_US);
	assert_int_equal(relays_home(world.relays), 5);
}

/* The only relay dies, and comes back: so does what it carries. */
static void test_relay_comes_back(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world.arrives[2][4] = true;
	world_begin();
	world_bind_to(4);
	fake_ferry_push(FERRY_REFUSED, 4)->error = -ECONNREFUSED;
	world_deliver();
	assert_int_equal(fake_carriers[4].n_binds, 2);
	world_pass(SECOND + 50 * MS);
	assert_int_equal(fake_passengers[2].by, 0);
	assert_true(fake_passengers[2].there);
	world_say_bound(4, 55);
	assert_int_equal(fake_passengers[2].by, 4);
	assert_int_equal(relays_home(world.relays), 4);
	assert_int_equal(world.n_homed, 1);
}

/* As many as there may be: those that are of use stay. */
static void test_many_peers(void **state)
{
	size_t n;
	struct peer *list;

	world_put_relay(4, "203.0.113.4", NULL);
	for (uint32_t id = 20; id < 20 + RELAYED_MAX + 20; id++)
		fake_core_put(id, 0, NULL);
	world.arrives[2][4] = true;
	world_begin();
	list = peers_all(world.peers, &n);
	for (size_t i = 0; i < n; i++)
		list[i].pair.usable = true;
	world_bind_to(4);
	world.alive[4] = true;
	assert_int_equal(fake_ferry.passengers, RELAYED_MAX);
	world_pass(50 * SECOND);
	assert_false(fake_passengers[275].there);
	/* They have had their time: others get it. */
	world_pass(20 * SECOND);
	assert_int_equal(fake_ferry.passengers, RELAYED_MAX);
	assert_true(fake_passengers[2].there && fake_passengers[275].there);
	assert_false(fake_passengers[20].there);
	/* No more sockets: later, then. */
	relays_use(world.relays, NULL);
	fake_ferry.peers_fail = -EMFILE;
	relays_use(world.relays, world_tunnel);
	world_bind_to(4);
	assert_int_equal(fake_ferry.passengers, 0);
	fake_ferry.peers_fail = 0;
	relays_look(world.relays);
	assert_int_equal(fake_ferry.passengers, RELAYED_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(carried),
		TEST(no_more),
		TEST(comes_back),
		TEST(another_key),
		TEST(by_its_home),
		TEST(by_next),
		TEST(in_vain),
		TEST(by_our_home),
		TEST(one_lost_ping),
		TEST(heard),
		TEST(heard_by_a_third),
		TEST(heard_though_direct),
		TEST(absent),
		TEST(relay_dies),
		TEST(relay_comes_back),
		TEST(many_peers),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
