/*
 * Two boards that restart, one after the other or both at once, as hearthd sets them up: candidates of which
 * some are nobody's, an address of last time, a handshake at once. Seed by seed: whatever came before, soon
 * after the last restart what one end sends arrives at the other, although that has nothing to say itself.
 *
 * HEARTH_SEEDS=N plays N seeds instead of a few, HEARTH_SEED=S only that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "wg-net.h"

#define SECOND UINT64_C(1000000)

enum { EVENTS_MAX = 4, STEP_US = 50000, GIVE_UP_US = 30000000 };

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* As peers.c and control.c do: endpoint of last time, candidates, keepalive, a handshake. */
static void begin(struct net_host *host, struct net_host *other, bool seen)
{
	struct endpoint candidates[3];
	struct wg_peer *peer = net_introduce(host, other, seen);
	size_t n = 0, at = net_random(host->net) % 3;

	for (size_t i = 0; i < 3; i++) {
		if (i == at)
			candidates[n++] = other->addrs[0];
		else if (net_random(host->net) % 2)
			assert_int_equal(endpoint_parse(i ? "203.0.113.6:6" : "[2001:db8::6]:6",
						 &candidates[n++]),
				0);
	}
	assert_int_equal(wg_peer_set_candidates(peer, candidates, n), 0);
	wg_peer_set_keepalive(peer, 25);
	wg_peer_initiate(peer);
}

static void restart(struct net_host *host, struct net_host *other)
{
	net_host_restart(host);
	begin(host, other, net_random(host->net) % 2);
}

/* From nothing to seconds, the short ones as often as the long. */
static uint64_t gap_us(struct net *net)
{
	return net_random(net) % (UINT64_C(1) << (12 + net_random(net) % 12));
}

static void chatter(struct net *net, uint64_t duration_us)
{
	uint64_t end_us = net->now_us + duration_us;

	while (net->now_us < end_us) {
		uint64_t r = net_random(net), left_us = end_us - net->now_us;

		if (r % 3 == 0)
			(void) net_ping(&net->hosts[0], &net->hosts[1], 1);
		if (r % 3 == 1)
			(void) net_ping(&net->hosts[1], &net->hosts[0], 1);
		net_run(net, left_us < STEP_US ? left_us : STEP_US);
	}
}

/* How long until something of @from is delivered; only @from speaks. */
static uint64_t time_to_arrive(struct net *net, struct net_host *from, struct net_host *to)
{
	uint64_t start_us = net->now_us;
	unsigned before = to->delivered;

	while (to->delivered == before && net->now_us - start_us < GIVE_UP_US) {
		(void) net_ping(from, to, 1);
		net_run(net, STEP_US / 5);
	}
	return net->now_us - start_us;
}

static void upheaval(struct net *net)
{
	uint64_t wait_us = gap_us(net), who = net_random(net) % 3;
	struct net_host *h = net->hosts;

	if (net_random(net) % 2)
		chatter(net, wait_us);
	else
		net_run(net, wait_us);
	for (unsigned i = 0; i < 2; i++)
		if (who == i || who == 2)
			restart(&h[i], &h[1 - i]);
	wait_us = gap_us(net);
	if (net_random(net) % 2)
		net_run(net, wait_us);
}

/* The longer of the times that one end, and then perhaps the other, speaks to no avail. */
static uint64_t play(uint64_t seed, unsigned loss)
{
	struct net net;
	uint64_t us, back_us = 0;

	net_init(&net, seed);
	net.loss = loss;
	net.delay_min_us = net_random(&net) % 2000;
	net.delay_max_us = net.delay_min_us + net_random(&net) % 25000;
	for (unsigned i = 0; i < 2; i++)
		(void) net_host_add(&net, false);
	for (unsigned i = 0; i < 2; i++)
		begin(&net.hosts[i], &net.hosts[1 - i], false);
	for (unsigned n = 1 + net_random(&net) % EVENTS_MAX; n > 0; n--)
		upheaval(&net);
	net.loss = 0;
	unsigned first = net_random(&net) % 2;

	us = time_to_arrive(&net, &net.hosts[first], &net.hosts[1 - first]);
	if (net_random(&net) % 2)
		back_us = time_to_arrive(&net, &net.hosts[1 - first], &net.hosts[first]);
	net_done(&net);
	return us > back_us ? us : back_us;
}

static void play_all(uint64_t n, unsigned loss, uint64_t limit_us)
{
	uint64_t only = number_of("HEARTH_SEED", 0), first = only ? only : 1;
	uint64_t worst_us = 0, late = 0, last = only ? only : number_of("HEARTH_SEEDS", n);

	for (uint64_t seed = first; seed <= last; seed++) {
		uint64_t us = play(seed, loss);

		if (us > worst_us)
			worst_us = us;
		if (us > limit_us && late++ < 10)
			print_error("seed %u: nothing arrived for %u ms\n", (unsigned) seed,
				(unsigned) (us / 1000));
	}
	print_message("%u seeds, %u lost of a thousand: at most %u ms, %u too late\n",
		(unsigned) (last - first + 1), loss, (unsigned) (worst_us / 1000), (unsigned) late);
	assert_int_equal(late, 0);
}

static void test_restarts(void **state)
{
	play_all(300, 0, SECOND / 2);
}

/* What was lost in the upheaval is sent again 5 s later. */
static void test_restarts_with_loss(void **state)
{
	play_all(150, 100, 6 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_restarts_with_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
