/*
 * Devices on a bad network, seed by seed: hours of traffic with loss, doubling, delay, reordering
 * and spoiled bytes. Nothing arrives twice, spoiled or from the wrong peer; what was not lost
 * arrives; the tunnel is up when the network is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wg-net.h"

#define SECOND UINT64_C(1000000)

/*
 * One or both ends send, in bursts with pauses of up to @pause_us, for @duration_us. Packets
 * written and delivered.
 */
static void traffic(struct net *net, struct net_host *a, struct net_host *b, bool both,
	uint64_t duration_us, uint64_t pause_us, unsigned *ret_written)
{
	uint64_t end = net->now_us + duration_us;
	uint32_t number = 0;

	while (net->now_us < end) {
		unsigned burst = 1 + (unsigned) (net_random(net) % 8);

		for (unsigned i = 0; i < burst; i++) {
			bool back = both && net_random(net) % 2;
			int r = back ? net_ping(b, a, number++) : net_ping(a, b, number++);

			assert_int_equal(r, 0);
			(*ret_written)++;
		}
		net_run(net, 1 + net_random(net) % pause_us);
	}
	net_run(net, 30 * SECOND);
}

static void two_hosts(
	struct net *net, uint64_t seed, struct net_host **ret_a, struct net_host **ret_b)
{
	net_init(net, seed);
	*ret_a = net_host_add(net, false);
	*ret_b = net_host_add(net, false);
	net_introduce(*ret_a, *ret_b, true);
	net_introduce(*ret_b, *ret_a, true);
}

/* Reordered and slow, but whole: every packet arrives, through all rekeys of two hours. */
static void test_reordered(void **state)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct net net;
		struct net_host *a, *b;
		unsigned written = 0;

		two_hosts(&net, seed, &a, &b);
		net.delay_min_us = 1000;
		net.delay_max_us = 400000;
		traffic(&net, a, b, seed % 2, 7200 * SECOND, seed % 3 ? 5 * SECOND : 60 * SECOND,
			&written);
		assert_int_equal(a->delivered + b->delivered, written);
		assert_true(a->events[WG_EVENT_SESSION] > 7200 / 181);
		net_done(&net);
	}
}

/* Doubled: everything arrives once. */
static void test_doubled(void **state)
{
	for (uint64_t seed = 10; seed < 13; seed++) {
		struct net net;
		struct net_host *a, *b;
		unsigned written = 0;

		two_hosts(&net, seed, &a, &b);
		net.delay_max_us = 200000;
		net.doubled = 500;
		traffic(&net, a, b, true, 3600 * SECOND, 3 * SECOND, &written);
		assert_int_equal(a->delivered + b->delivered, written);
		assert_true(wg_device_counters(a->device)->replayed > 100);
		net_done(&net);
	}
}

/*
 * Loss, doubling and spoiled bytes up to every fifth datagram: what gets through is right, and
 * enough does.
 */
static void test_everything(void **state)
{
	for (uint64_t seed = 20; seed < 32; seed++) {
		struct net net;
		struct net_host *a, *b;
		unsigned written = 0;

		two_hosts(&net, seed, &a, &b);
		net.delay_max_us = 10000 + net_random(&net) % 500000;
		net.loss = (unsigned) (net_random(&net) % 200);
		net.doubled = (unsigned) (net_random(&net) % 200);
		net.spoiled = (unsigned) (net_random(&net) % 200);
		traffic(&net, a, b, true, 3600 * SECOND, 2 * SECOND, &written);
		unsigned arrived = a->delivered + b->delivered;

		assert_true(arrived <= written);
		assert_true(arrived > written / 2);
		net.loss = net.spoiled = 0; /* calm: whole again */
		net_run(&net, 200 * SECOND);
		arrived = a->delivered;
		assert_int_equal(net_ping(b, a, 1), 0);
		net_run(&net, 20 * SECOND);
		assert_int_equal(a->delivered, arrived + 1);
		net_done(&net);
	}
}

/* One end restarts, moves and is cut off at random moments; after a minute's calm all works. */
static void test_upheaval(void **state)
{
	struct net net;
	struct net_host *a, *b;

	two_hosts(&net, 99, &a, &b);
	net.delay_max_us = 60000;
	net.loss = 50;
	for (unsigned round = 0; round < 60; round++) {
		uint64_t what = net_random(&net);
		struct net_host *who = what & 1 ? a : b, *other = who == a ? b : a;

		switch (what >> 1 & 3) {
		case 0:
			net_host_restart(who);
			net_introduce(who, other, true);
			break;
		case 1:
			who->addrs[0].port = (uint16_t) (2000 + net_random(&net) % 60000);
			assert_int_equal(net_ping(who, other, 9), 0); /* tells the other */
			break;
		case 2:
			net.cut = 1u << (net_random(&net) % 2);
			net_run(&net, net_random(&net) % (200 * SECOND));
			net.cut = 0;
			break;
		case 3:
			net_run(&net, net_random(&net) % (700 * SECOND));
		}
		for (unsigned i = 0; i < 60; i++) {
			assert_int_equal(net_ping(who, other, i), 0);
			net_run(&net, SECOND);
		}
		unsigned before = a->delivered, before_b = b->delivered;

		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(net_ping(a, b, i), 0);
			assert_int_equal(net_ping(b, a, i), 0);
		}
		net_run(&net, SECOND);
		if (a->delivered < before + 3 || b->delivered < before_b + 3)
			fail_msg("round %u, kind %u: %u and %u of 10", round,
				(unsigned) (what >> 1 & 3), a->delivered - before,
				b->delivered - before_b);
	}
	net_done(&net);
}

/* Three hosts in a triangle do not get into each other's way. */
static void test_triangle(void **state)
{
	struct net net;
	struct net_host *h[3];
	unsigned written[3] = { 0 };

	net_init(&net, 7);
	for (unsigned i = 0; i < 3; i++)
		h[i] = net_host_add(&net, i == 2);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 3; k++)
			if (i != k)
				net_introduce(h[i], h[k], true);
	net.delay_max_us = 90000;
	for (unsigned i = 0; i < 3000; i++) {
		unsigned from = (unsigned) (net_random(&net) % 3), to = (from + 1 + i % 2) % 3;

		assert_int_equal(net_ping(h[from], h[to], i), 0);
		written[to]++;
		net_run(&net, net_random(&net) % (4 * SECOND));
	}
	net_run(&net, 30 * SECOND);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h[i]->delivered, written[i]);
	net_done(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reordered),
		cmocka_unit_test(test_doubled),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_upheaval),
		cmocka_unit_test(test_triangle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
