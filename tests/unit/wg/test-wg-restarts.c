/*
 * Two boards that restart, one after the other or both at once, as hearthd sets them up: each finds the other's
 * address by a ping of its own, a moment later. Seed by seed: whatever came before, soon after the last restart
 * what one end sends arrives at the other, although that has nothing to say itself.
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

enum { EVENTS_MAX = 4, STEP_US = 50000, GIVE_UP_US = 30000000, FOUND_US = 60000 };

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct {
	uint64_t at_us; /* 0: it has it */
	struct wg_peer *peer;
	const struct endpoint *endpoint;
} finds[2];

/* As hearthd does: a keepalive, and an address as soon as a ping was answered. */
static void begin(struct net_host *host, struct net_host *other)
{
	struct wg_peer *peer = net_introduce(host, other, false);
	unsigned i = net_host_number(host) - net_host_number(&host->net->hosts[0]);

	wg_peer_set_sought(peer, true);
	wg_peer_set_keepalive(peer, 25);
	finds[i].at_us = host->net->now_us + 1 + net_random(host->net) % FOUND_US;
	finds[i].peer = peer;
	finds[i].endpoint = &other->addrs[0];
}

static void restart(struct net_host *host, struct net_host *other)
{
	net_host_restart(host);
	begin(host, other);
}

static void run(struct net *net, uint64_t duration_us)
{
	uint64_t end_us = net->now_us + duration_us;

	for (;;) {
		uint64_t next_us = end_us;

		for (unsigned i = 0; i < 2; i++)
			if (finds[i].at_us && finds[i].at_us < next_us)
				next_us = finds[i].at_us;
		net_run(net, next_us - net->now_us);
		for (unsigned i = 0; i < 2; i++) {
			if (!finds[i].at_us || finds[i].at_us > net->now_us)
				continue;
			finds[i].at_us = 0;
			wg_peer_set_endpoint(finds[i].peer, finds[i].endpoint);
		}
		if (next_us == end_us)
			break;
	}
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
		run(net, left_us < STEP_US ? left_us : STEP_US);
	}
}

/* How long until something of @from is delivered; only @from speaks. */
static uint64_t time_to_arrive(struct net *net, struct net_host *from, struct net_host *to)
{
	uint64_t start_us = net->now_us;
	unsigned before = to->delivered;

	while (to->delivered == before && net->now_us - start_us < GIVE_UP_US) {
		(void) net_ping(from, to, 1);
		run(net, STEP_US / 5);
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
		run(net, wait_us);
	for (unsigned i = 0; i < 2; i++)
		if (who == i || who == 2)
			restart(&h[i], &h[1 - i]);
	wait_us = gap_us(net);
	if (net_random(net) % 2)
		run(net, wait_us);
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
		net_host_add(&net, false)->managed = true;
	for (unsigned i = 0; i < 2; i++)
		restart(&net.hosts[i], &net.hosts[1 - i]);
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
