/* relays: by which of the two ways to a relay, and what comes by the one that is a stream. */
#include "relays-world.h"

#include <sodium.h>

/* The relay @id, dialled, lets us in. */
static struct dial_conn *let_in(uint32_t id)
{
	struct dial *d = NULL;
	struct dial_conn *c;

	for (size_t i = 0; i < fake_dials_n; i++)
		if (fake_dials[i].asked && fake_dials[i].addr.bytes[3] == id)
			d = &fake_dials[i];
	assert_non_null(d);
	c = fake_dial_stands(d);
	fake_dial_lets_in(c, world_secret_of(id));
	assert_true(fake_streams[id].open);
	return c;
}

static void refuse(const char *why)
{
	while (fake_dial_asked())
		fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, why);
}

static void frame(uint32_t relay, uint8_t type, const void *data, size_t len)
{
	struct ferry_event *event = fake_ferry_push(FERRY_FRAME, relay);

	event->frame = type;
	event->len = len;
	memcpy(fake_ferry_data(), data, len);
	fake_streams[relay].heard_us = clock_now_us();
	world_deliver();
}

static void gone(uint32_t relay, const uint8_t *key)
{
	uint8_t data[DERP_PEER_GONE_LEN];

	derp_peer_gone_put(key, DERP_GONE_NOT_HERE, data);
	frame(relay, DERP_PEER_GONE, data + DERP_HEAD_LEN, DERP_KEY_LEN + 1);
}

static const uint8_t *key_of_2(void)
{
	return netmap_by_id(book_netmap(NULL), 2)->wg;
}

/* Both are begun at once; the first carries, then UDP, and then the other is given up. */
static void test_both(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world.arrives[2][4] = true;
	world_begin();
	assert_int_equal(fake_carriers[4].n_binds, 1);
	assert_int_equal(fake_dials_n, 1);
	fake_event_pass(20 * MS);
	(void) let_in(4);
	assert_string_equal(world_report(4)->state, "bound");
	assert_string_equal(world_report(4)->way, "tcp");
	assert_int_equal(world_report(4)->at.port, 443);
	assert_string_equal(
		world_report(4)->why, "UDP to 203.0.113.4:3478 is not answered, for 0 s");
	assert_int_equal(relays_home(world.relays), 4);
	assert_true(world_is_relayed());
	fake_event_pass(20 * MS);
	world_bind_to(4);
	assert_string_equal(world_report(4)->way, "udp");
	assert_int_equal(world_report(4)->at.port, 3478);
	assert_string_equal(world_report(4)->why, "");
	world.alive[4] = true;
	world_pass(RELAY_WAYS_BESIDE_US - SECOND);
	assert_true(fake_streams[4].open);
	world_pass(2 * SECOND);
	assert_false(fake_streams[4].open);
	assert_string_equal(world_report(4)->way, "udp");
	assert_int_equal(fake_passengers[2].by, 4);
	assert_int_equal(fake_passengers[2].changes, 1);
	world_pass(300 * SECOND);
	assert_int_equal(fake_streams[4].opened, 1);
	assert_int_equal(fake_dials_n, 1);
	assert_int_equal(world.n_homed, 1);
}

/* UDP does not get through any more: the other is there a second later. And back. */
static void test_udp_goes(void **state)
{
	unsigned changes;

	world_put_relay(4, "203.0.113.4", NULL);
	world.arrives[2][4] = true;
	world_begin();
	world.alive[4] = true;
	world_bind_to(4);
	world_pass(40 * SECOND);
	assert_int_equal(
		fake_dial_asked(), 0); /* it was not even let in before it was not needed */
	world.alive[4] = false;
	fake_carriers[4].n_binds = 0;
	relays_missed(world.relays, 2);
	fake_event_pass(RELAY_LINK_PATIENCE_US);
	assert_int_equal(fake_dial_asked(), 1);
	assert_int_equal(fake_carriers[4].session, 0); /* the ferry is told, too */
	(void) let_in(4);
	assert_int_equal(fake_passengers[2].by, 4);
	assert_true(world_is_relayed());
	changes = fake_passengers[2].changes;
	fake_carriers[4].n_binds = 0;
	world_pass(300 * SECOND);
	assert_in_range(
		fake_carriers[4].n_binds, 30, 80); /* it is tried still, and not all the time */
	assert_string_equal(world_report(4)->way, "tcp");
	world.alive[4] = true;
	world_pass(50 * SECOND);
	assert_string_equal(world_report(4)->way, "udp");
	world_pass(RELAY_WAYS_BESIDE_US);
	assert_false(fake_streams[4].open);
	assert_int_equal(fake_passengers[2].changes, changes);
	assert_int_equal(world.n_homed, 1);
}

/* Without a UDP port it is a relay like any other. */
static void test_only_tcp(void **state)
{
	CLEANUP_NODE struct node node = { 0 };
	uint8_t pong[DERP_PING_LEN] = { 0 };

	world_put_relay(4, "203.0.113.4", NULL);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(world.core->book), 4), &node), 0);
	node.relay.udp = 0;
	fake_core_put_node(&node);
	world.arrives[2][4] = true;
	world_begin();
	assert_false(fake_carriers[4].open);
	refuse("Connection refused");
	assert_string_equal(world_report(4)->state, "silent");
	assert_string_equal(world_report(4)->why, "TLS to 203.0.113.4:443: Connection refused");
	fake_event_pass(SECOND);
	(void) let_in(4);
	assert_string_equal(world_report(4)->why, "");
	assert_int_equal(relays_home(world.relays), 4);
	assert_true(world_is_relayed());
	assert_int_equal(fake_streams[4].n_pings, 1);
	frame(4, DERP_PONG, pong, sizeof(pong)); /* which is no answer to it */
	assert_int_equal(world_report(4)->rtt_us, 0);
	world_pass(600 * SECOND);
	assert_int_equal(fake_streams[4].opened, 1);
	assert_in_range(fake_streams[4].n_pings, 5, 8);
	assert_int_equal(fake_carriers[4].opened, 0);
	/* It ends, and comes again. */
	fake_streams[4].heard_us = 0;
	fake_ferry_push(FERRY_ENDED, 4);
	world_deliver();
	assert_string_equal(world_report(4)->why, "TLS to 203.0.113.4:443: it hung up");
	assert_int_equal(fake_passengers[2].by, 0);
	fake_event_pass(SECOND);
	(void) let_in(4);
	assert_int_equal(fake_passengers[2].by, 4);
	assert_int_equal(world.n_homed, 1);
}

/* A peer is known by its key there. */
static void test_by_key(void **state)
{
	static const uint8_t nobody[DERP_KEY_LEN] = { 99 };
	struct ferry_event *event;

	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world_begin();
	(void) let_in(4);
	(void) let_in(5);
	assert_int_equal(fake_passengers[2].by, 4);
	gone(4, nobody);
	gone(5, key_of_2()); /* by that it does not go */
	assert_int_equal(fake_passengers[2].by, 4);
	gone(4, key_of_2());
	assert_int_equal(fake_passengers[2].by, 5);
	/* It lies, all the time: bounded, and another one is tried in its turn. */
	for (int i = 0; i < 100; i++) {
		gone(4, key_of_2());
		gone(5, key_of_2());
	}
	assert_in_range(fake_passengers[2].changes, 2, 6);
	/* From who is no passenger yet. */
	relays_use(world.relays, NULL);
	world.direct[2] = true;
	relays_use(world.relays, world_tunnel);
	world_announce_2("192.0.2.2:41741");
	(void) let_in(4);
	assert_false(fake_passengers[2].there);
	event = fake_ferry_push(FERRY_HEARD, 4);
	memcpy(fake_ferry_data(), nobody, sizeof(nobody));
	world_deliver();
	assert_int_equal(fake_ferry.passengers, 0);
	event = fake_ferry_push(FERRY_HEARD, 4);
	event->len = FERRY_KEY_LEN;
	memcpy(fake_ferry_data(), key_of_2(), FERRY_KEY_LEN);
	world_deliver();
	assert_int_equal(fake_passengers[2].by, 4);
}

/* Nothing leads there: a person is told of both ways. */
static void test_problem_of_both(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_begin();
	world_announce_2("192.0.2.2:41741");
	for (int i = 0; i < 20; i++) {
		refuse("Connection refused");
		world_pass(SECOND);
	}
	fake_core_wrong(world.core, "relay",
		"no relay answers, and no direct way leads to node-2. Relay node-4: "
		"UDP to 203.0.113.4:3478 is not answered, for 20 s; "
		"TLS to 203.0.113.4:443: Connection refused");
	for (int i = 0; i < 120 && !fake_dial_asked(); i++)
		world_pass(SECOND);
	(void) let_in(4);
	relays_look(world.relays);
	fake_core_wrong(world.core, "relay", NULL);
}

/* The way home is the nearer one, by whichever it is. */
static void test_home_of_both(void **state)
{
	world_put_relay(4, "203.0.113.4", NULL);
	world_put_relay(5, "203.0.113.5", NULL);
	world_begin();
	(void) let_in(4);
	fake_event_pass(200 * MS);
	assert_int_equal(relays_home(world.relays), 4);
	fake_dial_hangs_up(&fake_dials[1].conn, 0);
	fake_streams[4].heard_us = 0;
	fake_ferry_push(FERRY_ENDED, 4);
	world_deliver();
	refuse("Connection refused");
	world_bind_to(5);
	fake_event_pass(RELAY_LINK_TRY_US);
	refuse("Connection refused");
	assert_int_equal(relays_home(world.relays), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both),
		TEST(udp_goes),
		TEST(only_tcp),
		TEST(by_key),
		TEST(problem_of_both),
		TEST(home_of_both),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
