/*
 * guess: who does what, at which pace, and when it ends; that nobody is pinged more than is said; and
 * how soon two boards meet, in seeded runs with a model of both routers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/guess.h"

#define SECOND UINT64_C(1000000)
#define MS     UINT64_C(1000)
#define BEGIN  (1000 * SECOND)

static const struct endpoint there = { .addr = { AF_INET, { 198, 51, 100, 7 } }, .port = 41741 };

static struct predict_nat nat(enum disco_mapping mapping, const char *last)
{
	struct predict_nat ret = { .mapping = mapping };

	if (*last)
		assert_int_equal(endpoint_parse(last, &ret.last), 0);
	return ret;
}

static void test_sides(void **state)
{
	static const struct {
		enum disco_mapping own, peer;
		const char *last;
		enum guess_side side;
	} cases[] = {
		{ DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, "198.51.100.7:41741",
			GUESS_HARD },
		{ DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, "198.51.100.7:41741",
			GUESS_EASY },
		{ DISCO_MAPPING_RANDOM, DISCO_MAPPING_RANDOM, "198.51.100.7:41741", GUESS_NEITHER },
		{ DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_INDEPENDENT, "198.51.100.7:41741",
			GUESS_NEITHER },
		{ DISCO_MAPPING_COUNTING, DISCO_MAPPING_RANDOM, "198.51.100.7:41741",
			GUESS_NEITHER },
		{ DISCO_MAPPING_UNKNOWN, DISCO_MAPPING_RANDOM, "198.51.100.7:41741",
			GUESS_NEITHER },
		{ DISCO_MAPPING_RANDOM, DISCO_MAPPING_UNKNOWN, "198.51.100.7:41741",
			GUESS_NEITHER },
		/* Nobody's, or somebody's in a house or in a provider's network. */
		{ DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, "", GUESS_NEITHER },
		{ DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, "192.168.1.7:41741",
			GUESS_NEITHER },
		{ DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, "100.64.0.7:41741",
			GUESS_NEITHER },
		{ DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, "[2001:db8::7]:41741",
			GUESS_NEITHER },
		/* Somebody's service. */
		{ DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, "198.51.100.7:53",
			GUESS_NEITHER },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct predict_nat peer = nat(cases[i].peer, cases[i].last);
		struct endpoint at;

		assert_int_equal(guess_side(cases[i].own, &peer, &at), cases[i].side);
		if (cases[i].side != GUESS_NEITHER)
			assert_true(endpoint_equal(&at, &peer.last));
	}
}

/* --- a try --- */

struct told {
	unsigned pings, sockets, asked;
	enum guess_end end;
	bool over;
};

/* What is due now. STUN answers at once if it @answers. */
static void take(struct guess *g, uint64_t now_us, bool answers, struct told *told)
{
	struct guess_action action;

	while (guess_next(g, now_us, &action))
		switch (action.what) {
		case GUESS_ASK:
			told->asked++;
			if (answers)
				(void) guess_answered(g, now_us);
			break;
		case GUESS_PING:
			assert_true(ip_addr_equal(&action.to.addr, &there.addr));
			assert_true(action.to.port >= GUESS_PORT_MIN);
			told->pings++;
			break;
		case GUESS_PING_BY:
			assert_true(endpoint_equal(&action.to, &there));
			assert_int_equal(action.socket, told->sockets % GUESS_SOCKETS);
			told->sockets++;
			break;
		case GUESS_OVER:
			told->end = action.end;
			told->over = true;
			break;
		}
}

/* As its deadline says, until @until_us. Returns when it was over, or that. */
static uint64_t pass(
	struct guess *g, uint64_t from_us, uint64_t until_us, bool answers, struct told *told)
{
	uint64_t now_us = from_us;

	while (now_us < until_us && !told->over) {
		uint64_t next_us = guess_deadline(g);

		take(g, now_us, answers, told);
		assert_true(told->over || guess_deadline(g) > now_us);
		next_us = guess_deadline(g);
		if (!told->over)
			now_us = next_us < until_us ? next_us : until_us;
	}
	return now_us;
}

/* Nothing is pinged before it is known that others get through; then 100 in a second. */
static void test_easy(void **state)
{
	struct told told = { 0 };
	struct guess g;
	uint64_t now_us;

	guess_begin(&g, GUESS_EASY, &there, 0xdeadbeef, BEGIN);
	take(&g, BEGIN, false, &told);
	assert_int_equal(told.asked, 1);
	assert_int_equal(told.pings, 0);
	assert_true(guess_answered(&g, BEGIN + 30 * MS));
	assert_false(guess_answered(&g, BEGIN + 30 * MS));
	now_us = pass(&g, BEGIN + 30 * MS, BEGIN + SECOND + 30 * MS, true, &told);
	assert_in_range(told.pings, 99, 101);
	now_us = pass(&g, now_us, BEGIN + 60 * SECOND, true, &told);
	assert_true(told.over);
	assert_int_equal(told.end, GUESS_END_TIME);
	assert_int_equal(told.pings, GUESS_PINGS);
	assert_in_range(now_us - BEGIN, 20 * SECOND, 20 * SECOND + 100 * MS);
	assert_in_range(told.asked, 35, 45);
	assert_int_equal(told.sockets, 0);
	assert_true(guess_deadline(&g) == GUESS_NEVER);
	assert_false(guess_next(&g, now_us + SECOND, &(struct guess_action){ 0 }));
}

/* 256 ports soon, and others in their place three times. */
static void test_hard(void **state)
{
	struct told told = { 0 };
	struct guess g;
	uint64_t now_us;

	guess_begin(&g, GUESS_HARD, &there, 1, BEGIN);
	now_us = pass(&g, BEGIN, BEGIN + 1400 * MS, true, &told);
	assert_int_equal(told.sockets, GUESS_SOCKETS);
	now_us = pass(&g, now_us, BEGIN + 5 * SECOND, true, &told);
	assert_int_equal(told.sockets, GUESS_SOCKETS);
	now_us = pass(&g, now_us, BEGIN + 7 * SECOND, true, &told);
	assert_int_equal(told.sockets, 2 * GUESS_SOCKETS);
	now_us = pass(&g, now_us, BEGIN + 60 * SECOND, true, &told);
	assert_int_equal(told.sockets, 4 * GUESS_SOCKETS);
	assert_int_equal(told.end, GUESS_END_TIME);
	assert_int_equal(told.pings, 0);
	assert_in_range(now_us - BEGIN, 20 * SECOND, 20 * SECOND + 100 * MS);
}

/* Each port that may be, once. */
static void test_order(void **state)
{
	static bool seen[65536];

	for (uint32_t chance = 0; chance < 20; chance++) {
		struct guess_action action;
		struct guess g;
		unsigned n = 0;

		memset(seen, 0, sizeof(seen));
		guess_begin(&g, GUESS_EASY, &there, chance * 0x9e3779b9, BEGIN);
		for (uint64_t now_us = BEGIN; n < 65536 - GUESS_PORT_MIN; now_us += 10 * MS) {
			g.n = 0; /* more than a try has */
			if (g.begun_us)
				g.begun_us = now_us;
			while (guess_next(&g, now_us, &action)) {
				if (action.what == GUESS_ASK)
					(void) guess_answered(&g, now_us);
				if (action.what != GUESS_PING)
					continue;
				assert_false(seen[action.to.port]);
				seen[action.to.port] = true;
				n++;
			}
		}
	}
}

/* A loop that was held up does not make up for it. */
static void test_held_up(void **state)
{
	struct told told = { 0 };
	struct guess g;

	guess_begin(&g, GUESS_EASY, &there, 7, BEGIN);
	(void) pass(&g, BEGIN, BEGIN + SECOND, true, &told);
	told.pings = 0;
	take(&g, BEGIN + 5 * SECOND, true, &told);
	assert_in_range(told.pings, 1, 6);
}

/* --- whether others suffer --- */

static void test_deaf(void **state)
{
	struct told told = { 0 };
	struct guess g;
	uint64_t now_us;

	guess_begin(&g, GUESS_HARD, &there, 7, BEGIN);
	now_us = pass(&g, BEGIN, BEGIN + 60 * SECOND, false, &told);
	assert_true(told.over);
	assert_int_equal(told.end, GUESS_END_DEAF);
	assert_int_equal(told.sockets + told.pings, 0);
	assert_int_equal(told.asked, GUESS_LATE);
	assert_in_range(now_us - BEGIN, 2 * SECOND, 4 * SECOND);
}

/* Three answers in a row stay away: it is over within two seconds. Two do no harm. */
static void test_hurt(void **state)
{
	struct told told = { 0 };
	struct guess g;
	uint64_t now_us, hurt_us;

	guess_begin(&g, GUESS_EASY, &there, 7, BEGIN);
	now_us = pass(&g, BEGIN, BEGIN + 2 * SECOND, true, &told);
	for (int i = 0; i < 4; i++) {
		unsigned asked = told.asked;

		while (told.asked < asked + 2)
			now_us = pass(&g, now_us, now_us + 50 * MS, false, &told);
		now_us = pass(&g, now_us, now_us + SECOND, true, &told);
		assert_false(told.over);
	}
	hurt_us = now_us;
	now_us = pass(&g, now_us, BEGIN + 60 * SECOND, false, &told);
	assert_true(told.over);
	assert_int_equal(told.end, GUESS_END_HURT);
	assert_in_range(now_us - hurt_us, 1 * SECOND, 2 * SECOND);
	assert_true(told.pings < GUESS_PINGS);
}

/* An answer that takes much longer than the first counts as none. */
static void test_slow(void **state)
{
	struct guess_action action;
	struct guess g;
	uint64_t now_us = BEGIN;
	bool over = false;

	guess_begin(&g, GUESS_EASY, &there, 7, now_us);
	while (!over && now_us < BEGIN + 15 * SECOND) {
		uint64_t rtt_us = now_us < BEGIN + 3 * SECOND ? 40 * MS : 400 * MS;

		while (!over && guess_next(&g, now_us, &action))
			over = action.what == GUESS_OVER;
		now_us += 5 * MS;
		if (g.asking && now_us - g.asked_us >= rtt_us)
			(void) guess_answered(&g, now_us);
	}
	assert_true(over);
	assert_int_equal(action.end, GUESS_END_HURT);
	assert_in_range(now_us - BEGIN, 4 * SECOND, 6 * SECOND);
}

/* --- how often --- */

static void test_addresses(void **state)
{
	static struct guess_addresses addresses;
	struct ip_addr one = there.addr, other = there.addr;
	uint64_t now_us = BEGIN;

	for (int i = 0; i < GUESS_ADDRESS_TRIES; i++)
		assert_true(guess_may_try(&addresses, &one, now_us += SECOND));
	assert_false(guess_may_try(&addresses, &one, now_us));
	assert_false(guess_may_try(&addresses, &one, now_us + GUESS_ADDRESS_US / 2));
	/* Whoever names many has so many at most. */
	for (int i = 1; i < GUESS_ADDRESSES; i++) {
		other.bytes[2] = (uint8_t) i;
		assert_true(guess_may_try(&addresses, &other, now_us));
	}
	other.bytes[2] = 250;
	assert_false(guess_may_try(&addresses, &other, now_us));
	guess_forgive(&addresses, &other); /* it is not there */
	guess_forgive(&addresses, &one);
	assert_true(guess_may_try(&addresses, &other, now_us));
	assert_false(guess_may_try(&addresses, &one, now_us));
	now_us += GUESS_ADDRESS_US + 10 * SECOND;
	assert_true(guess_may_try(&addresses, &one, now_us));
}

/* --- odds --- */

static uint64_t seed;

static uint32_t chance(void)
{
	seed += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);

	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t) (z >> 32);
}

struct world {
	struct guess hard, easy;
	uint16_t ports[GUESS_SOCKETS]; /* outside, of each socket; 0: none yet */
	bool open[65536];              /* of these */
	bool pinged[65536];            /* by the easy side: what comes from there is let in */
	bool stolen[65536];            /* by its router, which took what came unasked */
	bool steals;
	unsigned lost; /* of a hundred packets */
	bool met;
};

static bool arrives(const struct world *w)
{
	return chance() % 100 >= w->lost;
}

static void from_hard(struct world *w, size_t socket)
{
	uint16_t port;

	w->open[w->ports[socket]] = false;
	do
		port = (uint16_t) chance();
	while (port < GUESS_PORT_MIN || w->open[port]);
	w->ports[socket] = port;
	w->open[port] = true;
	if (!arrives(w))
		return;
	if (w->pinged[port] && !w->stolen[port])
		w->met = true;
	else if (w->steals)
		w->stolen[port] = true;
}

static void from_easy(struct world *w, uint16_t port)
{
	w->pinged[port] = true;
	w->met |= w->open[port] && !w->stolen[port] && arrives(w);
}

static void turn(struct world *w, struct guess *g, uint64_t now_us)
{
	struct guess_action action;

	while (!w->met && guess_next(g, now_us, &action)) {
		if (action.what == GUESS_ASK)
			(void) guess_answered(g, now_us);
		else if (action.what == GUESS_PING)
			from_easy(w, action.to.port);
		else if (action.what == GUESS_PING_BY)
			from_hard(w, action.socket);
	}
}

/* How long it takes, GUESS_FOR_US: it is in vain. */
static uint64_t meet(uint64_t run, bool steals, unsigned lost)
{
	static struct world w;
	uint64_t now_us = BEGIN;

	seed = run;
	memset(&w, 0, sizeof(w));
	w.steals = steals;
	w.lost = lost;
	guess_begin(&w.hard, GUESS_HARD, &there, chance(), BEGIN);
	guess_begin(&w.easy, GUESS_EASY, &there, chance(), BEGIN + 30 * MS);
	for (; !w.met && now_us < BEGIN + GUESS_FOR_US; now_us += 5 * MS) {
		turn(&w, &w.hard, now_us);
		if (now_us >= BEGIN + 30 * MS)
			turn(&w, &w.easy, now_us);
	}
	return now_us - BEGIN;
}

/* In so many of a thousand runs they have met after @us. */
static void odds(bool steals, unsigned lost, uint64_t us, unsigned least)
{
	unsigned n = 0;

	for (uint64_t run = 1; run <= 1000; run++)
		n += meet(run, steals, lost) < us;
	print_message("met after %.1f s%s, %u of 100 packets lost: %.1f of 100\n",
		(double) us / 1e6, steals ? " (the easy router steals)" : "", lost, n / 10.0);
	assert_true(n >= least);
}

static void test_odds(void **state)
{
	odds(false, 0, 7 * SECOND, 900);
	odds(false, 0, 11 * SECOND, 970);
	odds(false, 0, 17 * SECOND, 995);
	odds(false, 10, 17 * SECOND, 990);
	odds(true, 0, 7 * SECOND, 800);
	odds(true, 0, 12 * SECOND, 985);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sides),
		cmocka_unit_test(test_easy),
		cmocka_unit_test(test_hard),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_held_up),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_hurt),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_odds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
