/*
 * sim-nat, sim-net and sim-site: the model network behaves as its kinds of routers are named, so
 * that what the simulation says of the path engine can be believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim-net.h"
#include "sim-site.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

static struct sim_rng rng;
static struct sim_nat nat;
static const struct ip_addr outside = { AF_INET, { 198, 18, 0, 1 } };
static const struct endpoint inside = { { AF_INET, { 192, 168, 1, 10 } }, 41741, 0 };
static const struct endpoint neighbour = { { AF_INET, { 192, 168, 1, 11 } }, 41741, 0 };
/* Two ports of one address, and another address. */
static const struct endpoint a1 = { { AF_INET, { 203, 0, 113, 1 } }, 1000, 0 };
static const struct endpoint a2 = { { AF_INET, { 203, 0, 113, 1 } }, 2000, 0 };
static const struct endpoint b1 = { { AF_INET, { 203, 0, 113, 2 } }, 1000, 0 };

static void make(enum sim_mapping mapping, enum sim_filter filter)
{
	struct sim_nat_kind kind = { .mapping = mapping, .filter = filter };

	rng.state = 1;
	sim_nat_init(&nat, &kind, &outside, 30 * SECOND, &rng);
}

static struct endpoint out(const struct endpoint *from, const struct endpoint *to, uint64_t now_us)
{
	struct endpoint seen = { 0 };

	assert_true(sim_nat_out(&nat, from, to, now_us, &seen));
	return seen;
}

static bool lets_in(const struct endpoint *from, const struct endpoint *to, uint64_t now_us)
{
	struct endpoint at;
	bool in = sim_nat_in(&nat, from, to, now_us, &at);

	if (in)
		assert_true(endpoint_equal(&at, &inside));
	return in;
}

/* --- mapping: RFC 4787, section 4.1 --- */

static void test_one_mapping(void **state)
{
	struct endpoint seen, other;

	make(SIM_MAPPING_ONE, SIM_FILTER_PORT);
	seen = out(&inside, &a1, 0);
	assert_true(ip_addr_equal(&seen.addr, &outside));
	other = out(&inside, &b1, 0);
	assert_true(endpoint_equal(&seen, &other));
	other = out(&neighbour, &a1, 0);
	assert_int_not_equal(other.port, seen.port);
}

static void test_random_mapping(void **state)
{
	struct endpoint x, y, z;

	make(SIM_MAPPING_RANDOM, SIM_FILTER_PORT);
	x = out(&inside, &a1, 0);
	y = out(&inside, &a2, 0);
	z = out(&inside, &b1, 0);
	assert_int_not_equal(x.port, y.port);
	assert_int_not_equal(y.port, z.port);
	assert_true(z.port - y.port > 1 || y.port - z.port > 1);
	y = out(&inside, &a1, SECOND); /* the same as before */
	assert_int_equal(x.port, y.port);
}

static void test_counting_mapping(void **state)
{
	struct endpoint x, y, z;

	make(SIM_MAPPING_COUNTING, SIM_FILTER_PORT);
	nat.next_port = SIM_FIRST_PORT + SIM_PORTS - 3;
	x = out(&inside, &a1, 0);
	y = out(&inside, &a2, 0);
	z = out(&neighbour, &b1, 0);
	assert_int_equal(y.port, x.port + 1);
	assert_int_equal(z.port, SIM_FIRST_PORT); /* round the end */
}

/* As Linux does: the port stays while nobody else has it towards that one. */
static void test_keeping_mapping(void **state)
{
	struct endpoint x, y;

	make(SIM_MAPPING_KEEP, SIM_FILTER_PORT);
	x = out(&inside, &a1, 0);
	assert_int_equal(x.port, inside.port);
	y = out(&neighbour, &b1, 0);
	assert_int_equal(y.port, neighbour.port);
	y = out(&neighbour, &a1, 0);
	assert_int_not_equal(y.port, neighbour.port);
}

static void test_no_mapping(void **state)
{
	struct endpoint seen;

	make(SIM_MAPPING_NONE, SIM_FILTER_PORT);
	seen = out(&inside, &a1, 0);
	assert_true(endpoint_equal(&seen, &inside));
	assert_true(lets_in(&a1, &inside, 0));
	assert_false(lets_in(&b1, &inside, 0));
	assert_false(lets_in(&a1, &neighbour, 0));
}

/* --- filtering: section 5 --- */

static void test_filters(void **state)
{
	static const struct {
		enum sim_filter filter;
		bool same, other_port, other_addr;
	} cases[] = {
		{ SIM_FILTER_ANY, true, true, true },
		{ SIM_FILTER_ADDR, true, true, false },
		{ SIM_FILTER_PORT, true, false, false },
	};

	for (size_t i = 0; i < 3; i++) {
		struct endpoint seen, none;

		make(SIM_MAPPING_ONE, cases[i].filter);
		seen = out(&inside, &a1, 0);
		assert_int_equal(lets_in(&a1, &seen, SECOND), cases[i].same);
		assert_int_equal(lets_in(&a2, &seen, SECOND), cases[i].other_port);
		assert_int_equal(lets_in(&b1, &seen, SECOND), cases[i].other_addr);
		none = seen;
		none.port++;
		assert_false(lets_in(&a1, &none, SECOND));
	}
}

static void test_lifetime(void **state)
{
	struct endpoint seen, later;

	make(SIM_MAPPING_ONE, SIM_FILTER_PORT);
	seen = out(&inside, &a1, 0);
	assert_true(lets_in(&a1, &seen, 29 * SECOND)); /* which keeps nothing (REQ-6) */
	assert_false(lets_in(&a1, &seen, 30 * SECOND));
	later = out(&inside, &a1, 31 * SECOND);
	assert_int_not_equal(later.port, seen.port);
	seen = out(&inside, &a1, 60 * SECOND); /* from inside it is kept */
	assert_int_equal(later.port, seen.port);
	assert_true(lets_in(&a1, &seen, 89 * SECOND));
}

static void test_forgets(void **state)
{
	static const struct ip_addr new = { AF_INET, { 198, 18, 0, 2 } };
	struct endpoint seen, later;

	make(SIM_MAPPING_ONE, SIM_FILTER_ANY);
	seen = out(&inside, &a1, 0);
	sim_nat_forget(&nat);
	assert_false(lets_in(&a1, &seen, 0));
	later = out(&inside, &a1, 0);
	assert_int_not_equal(later.port, seen.port);
	sim_nat_renumber(&nat, &new);
	later = out(&inside, &a1, 0);
	assert_true(ip_addr_equal(&later.addr, &new));
}

static void test_keeps_briefly(void **state)
{
	struct endpoint seen;

	make(SIM_MAPPING_KEEP, SIM_FILTER_PORT);
	nat.lifetime_us = 120 * SECOND;
	seen = out(&inside, &a1, 0);
	assert_true(lets_in(&a1, &seen, 29 * SECOND));
	assert_false(lets_in(&a1, &seen, 30 * SECOND)); /* that was no answer to anything since */
	seen = out(&inside, &a1, 40 * SECOND);
	assert_true(lets_in(&a1, &seen, 41 * SECOND));
	seen = out(&inside, &a1, 42 * SECOND);
	assert_true(lets_in(&a1, &seen, 160 * SECOND));
	assert_false(lets_in(&a1, &seen, 163 * SECOND));
}

/* What comes first from outside costs our own port, for 30 s after the last of it. */
static void test_open_input(void **state)
{
	struct endpoint seen = { outside, 41741, 0 }, own;

	make(SIM_MAPPING_KEEP, SIM_FILTER_PORT);
	nat.kind.open_input = true;
	assert_false(lets_in(&a1, &seen, 0));
	assert_false(lets_in(&a1, &seen, 20 * SECOND));
	own = out(&inside, &a1, 40 * SECOND);
	assert_int_not_equal(own.port, inside.port);
	assert_false(lets_in(&a1, &seen, 40 * SECOND));
	assert_true(lets_in(&a1, &own, 40 * SECOND));
	own = out(&inside, &b1, 40 * SECOND);
	assert_int_equal(own.port, inside.port); /* it is free towards the others */
	own = out(&inside, &a1, 120 * SECOND);
	assert_int_equal(own.port, inside.port);
	assert_true(lets_in(&a1, &seen, 120 * SECOND));
}

static void test_blocks(void **state)
{
	static const struct endpoint stun = { { AF_INET, { 203, 0, 113, 1 } }, SIM_STUN_PORT, 0 };
	struct endpoint seen;

	make(SIM_MAPPING_ONE, SIM_FILTER_PORT);
	nat.kind.blocks = SIM_BLOCKS_ALL_BUT_STUN;
	assert_false(sim_nat_out(&nat, &inside, &a1, 0, &seen));
	seen = out(&inside, &stun, 0);
	assert_true(lets_in(&stun, &seen, 0));
	nat.kind.blocks = SIM_BLOCKS_ALL;
	assert_false(sim_nat_out(&nat, &inside, &stun, 0, &seen));
}

/* A table that is full loses what would end first. */
static void test_full(void **state)
{
	struct endpoint to = a1, seen;

	make(SIM_MAPPING_RANDOM, SIM_FILTER_PORT);
	seen = out(&inside, &to, 0);
	for (unsigned i = 1; i <= SIM_FLOWS_MAX; i++) {
		to.port++;
		(void) out(&inside, &to, i);
	}
	assert_int_equal(nat.n, SIM_FLOWS_MAX);
	assert_false(lets_in(&a1, &seen, SECOND));
}

/* --- places: who reaches whom, in what order --- */

static struct sim_queue queue;
static struct sim_net net;
static struct sim_place places[2];
static uint64_t now_us;

static int tear_down(void **state)
{
	sim_net_done(&net);
	sim_queue_done(&queue);
	return 0;
}

static void build(const struct sim_pair *pair)
{
	rng.state = 7;
	queue.n = 0;
	now_us = SIM_BEGIN_US;
	sim_net_init(&net, &rng, &queue);
	net.lans[SIM_INTERNET].delay_us = 10 * MS;
	sim_pair_build(&net, pair, 30 * SECOND, places);
}

/* What is sent by board @from to @to arrives: *ret_from is where from. */
static bool arrives(unsigned from, const struct endpoint *to, struct endpoint *ret_from)
{
	struct sim_packet packet = { .to = *to, .sender = from, .target = 1 - from }, got;
	int host = to->addr.family == AF_INET ? places[from].host4 : places[from].host6;
	struct sim_event event;
	unsigned at;

	if (host < 0)
		return false;
	sim_net_send(&net, (unsigned) host, &packet, now_us);
	if (!sim_queue_take(&queue, now_us + SECOND, &event))
		return false;
	now_us = event.at_us;
	if (!sim_net_arrive(&net, event.x, now_us, &got, &at))
		return false;
	assert_int_equal(net.hosts[at].board, 1 - from);
	*ret_from = got.from;
	return true;
}

/* Where the world sees a board: at a STUN server of its own. */
static struct endpoint seen_of(unsigned board)
{
	static uint8_t last;
	struct endpoint stun = { { AF_INET, { 203, 0, 113, 100 } }, SIM_STUN_PORT, 0 };
	struct sim_packet ask = { .kind = SIM_ASK, .sender = board, .target = SIM_NOBODY }, got;
	struct endpoint seen = { 0 };
	struct sim_event event;
	unsigned at;

	if (places[board].host4 < 0)
		return seen;
	stun.addr.bytes[3] = (uint8_t) (100 + last++ % 100);
	(void) sim_net_add_host(&net, SIM_INTERNET, &stun, SIM_NOBODY);
	ask.to = stun;
	sim_net_send(&net, (unsigned) places[board].host4, &ask, now_us);
	while (sim_queue_take(&queue, now_us + SECOND, &event)) {
		now_us = event.at_us;
		if (sim_net_arrive(&net, event.x, now_us, &got, &at))
			seen = got.seen;
	}
	net.n_hosts--;
	return seen;
}

static void add(struct endpoint *list, size_t *n, const struct endpoint *at)
{
	if (at->addr.family)
		list[(*n)++] = *at;
}

/*
 * Both try all they know of each other, again and again, and answer where they are heard: what the
 * best of engines could do without guessing.
 */
static bool meet(void)
{
	struct endpoint known[2][64], from;
	size_t n[2] = { 0 };
	bool heard[2] = { false };

	for (unsigned i = 0; i < 2; i++) { /* where board i is */
		struct endpoint seen = seen_of(i);

		if (places[i].host4 >= 0)
			add(known[i], &n[i], &net.hosts[places[i].host4].at);
		if (places[i].host6 >= 0)
			add(known[i], &n[i], &net.hosts[places[i].host6].at);
		add(known[i], &n[i], &seen);
	}
	for (int round = 0; round < 5; round++)
		for (unsigned i = 0; i < 2; i++)
			for (size_t k = 0; k < n[1 - i]; k++) {
				if (!arrives(i, &known[1 - i][k], &from))
					continue;
				heard[i] = true;
				if (n[i] < 60)
					add(known[i], &n[i], &from);
			}
	return heard[0] && heard[1];
}

/* The table of the pairs says what the model network does. */
static void test_table(void **state)
{
	for (size_t i = 0; i < sim_pairs_count(); i++) {
		struct sim_pair pair = sim_pair_nth(i);
		enum sim_hope hope = sim_pair_hope(&pair);
		char name[80];
		bool met;

		build(&pair);
		met = meet();
		(void) sim_pair_format(&pair, name, sizeof(name));
		if (hope != SIM_DIRECT_LATE && met != (hope <= SIM_DIRECT_PAUSE))
			fail_msg("%s: %s", name, met ? "direct" : "not direct");
	}
}

/* Packets that cross on their way open both routers; one that comes too early does not harm. */
static void test_crossing(void **state)
{
	struct sim_pair pair = { SIM_APART, SIM_EASY, SIM_EASY };
	struct sim_packet packet = { 0 }, got;
	struct endpoint at[2];
	struct sim_event event;
	unsigned host, n = 0;

	build(&pair);
	at[0] = seen_of(0);
	at[1] = seen_of(1);
	for (unsigned i = 0; i < 2; i++) {
		packet.sender = i;
		packet.target = 1 - i;
		packet.to = at[1 - i];
		sim_net_send(&net, (unsigned) places[i].host4, &packet, now_us);
	}
	while (sim_queue_take(&queue, now_us + SECOND, &event))
		n += sim_net_arrive(&net, event.x, event.at_us, &got, &host);
	assert_int_equal(n, 2);
}

static void test_cuts(void **state)
{
	struct sim_pair pair = { SIM_APART, SIM_PUBLIC, SIM_PUBLIC };
	struct endpoint to[2], from;

	build(&pair);
	for (unsigned i = 0; i < 2; i++)
		to[i] = net.hosts[places[i].host4].at;
	net.cut[0][1] = true;
	assert_false(arrives(0, &to[1], &from));
	assert_true(arrives(1, &to[0], &from));
	assert_true(endpoint_equal(&from, &to[1]));
	net.cut[0][1] = false;
	assert_true(arrives(0, &to[1], &from));
}

/* A board that is carried elsewhere is not where it was. */
static void test_carried(void **state)
{
	struct sim_pair pair = { SIM_APART, SIM_PUBLIC, SIM_PUBLIC };
	struct endpoint before, to, from;

	build(&pair);
	before = net.hosts[places[1].host4].at;
	assert_true(arrives(0, &before, &from));
	sim_net_remove_host(&net, places[1].host4);
	sim_net_remove_host(&net, places[1].host6);
	places[1] = sim_site_build(&net, SIM_CONE, 1, 30 * SECOND);
	assert_false(arrives(0, &before, &from));
	to = seen_of(1);
	assert_true(arrives(0, &to, &from));
	sim_net_remove_host(&net, -1); /* it had none */
}

/* Loss, jitter and duplicates are what they are set to. */
static void test_weather(void **state)
{
	struct sim_pair pair = { SIM_APART, SIM_PUBLIC, SIM_PUBLIC };
	struct sim_packet packet = { .sender = 0, .target = 1 }, got;
	struct sim_event event;
	unsigned host, n = 0, others = 0;
	uint64_t last = 0;

	build(&pair);
	net.lans[SIM_INTERNET].loss = 100;
	net.lans[SIM_INTERNET].twice = 50;
	net.lans[SIM_INTERNET].jitter_us = 10 * MS;
	packet.to = net.hosts[places[1].host4].at;
	for (packet.tx = 0; packet.tx < 10000; packet.tx++)
		sim_net_send(&net, (unsigned) places[0].host4, &packet, now_us);
	while (sim_queue_take(&queue, now_us + SECOND, &event)) {
		assert_in_range(event.at_us - now_us, 10 * MS, 20 * MS);
		assert_true(sim_net_arrive(&net, event.x, event.at_us, &got, &host));
		n++;
		others += got.tx < last;
		last = got.tx;
	}
	assert_in_range(n, 9450 - 150, 9450 + 150); /* 10000, 0.9 of 1.05 */
	assert_true(others > 1000);
}

static void test_relay(void **state)
{
	struct sim_pair pair = { SIM_APART, SIM_BLOCKED, SIM_BLOCKED };
	struct sim_packet packet = { .sender = 0, .target = 1 }, got;
	struct sim_event event;

	build(&pair);
	net.relay = (struct sim_relay){ .up = true, .delay_us = MS, .bound_us = { 0, UINT64_MAX } };
	sim_relay_send(&net, &packet, now_us);
	assert_int_equal(queue.n, 0); /* the other is not bound */
	net.relay.bound_us[1] = now_us;
	sim_relay_send(&net, &packet, now_us);
	assert_true(sim_queue_take(&queue, now_us + SECOND, &event));
	assert_true(sim_relay_arrive(&net, event.x, event.at_us, &got));
	sim_relay_send(&net, &packet, now_us);
	net.relay.up = false;
	assert_true(sim_queue_take(&queue, now_us + SECOND, &event));
	assert_false(sim_relay_arrive(&net, event.x, event.at_us, &got));
}

/* The queue keeps time and order. */
static void test_queue(void **state)
{
	struct sim_queue q = { 0 };
	struct sim_event event = { 0 }, last = { 0 };

	rng.state = 3;
	for (event.x = 0; event.x < 1000; event.x++) {
		event.at_us = sim_rng_below(&rng, 50);
		sim_queue_put(&q, &event);
	}
	assert_false(sim_queue_take(&q, 0, &event) && event.at_us > 0);
	for (size_t left = q.n; left; left--) {
		assert_true(sim_queue_take(&q, 50, &event));
		assert_true(event.at_us > last.at_us ||
			    (event.at_us == last.at_us && event.x >= last.x));
		last = event;
	}
	assert_false(sim_queue_take(&q, 50, &event));
	sim_queue_done(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_mapping),
		cmocka_unit_test(test_random_mapping),
		cmocka_unit_test(test_counting_mapping),
		cmocka_unit_test(test_keeping_mapping),
		cmocka_unit_test(test_no_mapping),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_keeps_briefly),
		cmocka_unit_test(test_open_input),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_full),
		cmocka_unit_test_teardown(test_table, tear_down),
		cmocka_unit_test_teardown(test_crossing, tear_down),
		cmocka_unit_test_teardown(test_cuts, tear_down),
		cmocka_unit_test_teardown(test_carried, tear_down),
		cmocka_unit_test_teardown(test_weather, tear_down),
		cmocka_unit_test_teardown(test_relay, tear_down),
		cmocka_unit_test(test_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
