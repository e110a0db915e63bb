/*
 * ways: against a net in which each address answers after a while of its own or not at all; and two
 * of them against each other, with a relay between them and without.
 */
#include "ways-world.h"

#include <stdlib.h>
#include <string.h>

/* --- at first --- */

static void test_nothing_known(void **state)
{
	assert_true(ways_deadline(&w) == WAYS_NEVER);
	ways_doubt(&w, now_us);
	ways_moved(&w, now_us);
	run(100 * SECOND);
	assert_int_equal(n_pings, 0);
	assert_null(ways_in_use(&w));
}

static void test_first_answer(void **state)
{
	rtt[1] = 30 * MS;
	rtt[3] = 20 * MS;
	announce(1, 3);
	run(19 * MS);
	assert_int_equal(n_pings, 3);
	assert_int_equal(in_use(), 0);
	run(2 * MS);
	assert_int_equal(in_use(), 3);
	assert_int_equal(ways_in_use(&w)->rtt_us, 20 * MS);
	run(3600 * SECOND);
	assert_int_equal(in_use(), 3);
	assert_int_equal(n_pings, 3); /* and then it is quiet */
}

/* Nobody answers: often at first, never in a storm, never silent for long. */
static void test_no_answer(void **state)
{
	unsigned before;

	announce(1, 3);
	run(SECOND);
	assert_in_range(pings[1], 3, 4);
	run(9 * SECOND);
	assert_in_range(pings[1], 6, 8);
	run(110 * SECOND);
	assert_in_range(pings[1], 25, 35);
	run(60 * SECOND);
	before = pings[1];
	run(3600 * SECOND);
	assert_in_range(pings[1] - before, 235, 245);
	assert_int_equal(pings[1], pings[3]);
	rtt[2] = MS;
	run(15 * SECOND + MS);
	assert_int_equal(in_use(), 2);
}

/* It has been away for an hour, and announces another address: that is tried at once, and often. */
static void test_new_address(void **state)
{
	announce(1, 2);
	run(3600 * SECOND);
	announce(1, 3);
	send_pings();
	assert_int_equal(pings[3], 1);
	run(SECOND);
	assert_in_range(pings[3], 3, 4);
	rtt[3] = MS;
	run(2 * SECOND);
	assert_int_equal(in_use(), 3);
}

static void test_pongs(void **state)
{
	struct endpoint one = at(1), two = at(2), to;
	struct ways_action action;

	announce(1, 2);
	assert_true(ways_next(&w, now_us, 77, &action));
	assert_int_equal(action.what, WAYS_PING);
	assert_true(endpoint_equal(&action.to, &one));
	assert_true(ways_next(&w, now_us, 78, &action));
	assert_false(ways_next(&w, now_us, 79, &action));
	assert_false(ways_pong(&w, &one, 78, now_us)); /* that was the other's */
	assert_false(ways_pong(&w, &one, 76, now_us));
	assert_false(ways_pong(&w, &one, 0, now_us));
	to = at(9);
	assert_false(ways_pong(&w, &to, 77, now_us));
	assert_null(ways_in_use(&w));
	assert_true(ways_pong(&w, &two, 78, now_us + 5));
	assert_int_equal(in_use(), 2);
	assert_false(ways_pong(&w, &two, 78, now_us + 6)); /* once */
	assert_true(ways_pong(&w, &one, 77, now_us + 7));  /* late, and nothing follows */
	assert_int_equal(in_use(), 2);
}

/* --- doubt --- */

static void test_doubt_unfounded(void **state)
{
	announce(1, 3);
	use(1);
	rtt[2] = rtt[3] = MS; /* quicker, and no reason to change */
	ways_doubt(&w, now_us);
	run(100 * SECOND);
	assert_int_equal(in_use(), 1);
	assert_int_equal(n_pings, 3);
}

static void test_doubt_founded(void **state)
{
	announce(1, 3);
	use(1);
	rtt[1] = DEAD;
	rtt[2] = 90 * MS;
	rtt[3] = 60 * MS;
	ways_doubt(&w, now_us);
	run(WAYS_GRACE_US - MS);
	assert_int_equal(in_use(), 1);
	run(2 * MS);
	assert_int_equal(in_use(), 3); /* the quicker one */
	run(100 * SECOND);
	assert_int_equal(n_pings, 3 + 3 + 1);
}

/* All that answers does so late: the first then. */
static void test_doubt_slow(void **state)
{
	announce(1, 3);
	use(1);
	rtt[1] = DEAD;
	rtt[2] = 900 * MS;
	ways_doubt(&w, now_us);
	run(899 * MS);
	assert_int_equal(in_use(), 1);
	run(2 * MS);
	assert_int_equal(in_use(), 2);
}

/* Doubted again and again, as of a board that is off: it does not begin anew each time. */
static void test_doubt_repeated(void **state)
{
	announce(1, 3);
	use(1);
	rtt[1] = DEAD;
	for (int i = 0; i < 240; i++) {
		ways_doubt(&w, now_us);
		run(15 * SECOND);
	}
	assert_in_range(pings[1], 240, 300 + 240 + 80);
	assert_int_equal(in_use(), 1); /* it may come back there */
	/* Our own addresses are others: as at the beginning. */
	n_pings = 0;
	ways_moved(&w, now_us);
	run(SECOND);
	assert_in_range(n_pings, 9, 14);
}

static void test_announced_elsewhere(void **state)
{
	announce(1, 2);
	use(1);
	rtt[1] = DEAD;
	rtt[12] = 10 * MS;
	announce(11, 2);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), 12);
	announce(11, 2); /* and now 1 is forgotten */
	ways_doubt(&w, now_us);
	n_pings = 0;
	run(SECOND);
	assert_int_equal(n_pings, 2);
}

/* The same again, and others beside it, are no reason to doubt; nor is what is known forgotten. */
static void test_announced_again(void **state)
{
	announce(1, 3);
	use(1);
	announce(1, 3);
	announce(1, 5);
	announce(1, 3);
	run(100 * SECOND);
	assert_int_equal(n_pings, 0);
	assert_int_equal(w.n, 3);
	assert_true(ways_in_use(&w)->answered_us > 0);
	/* Nor do they make who is looked for be looked for more often. */
	rtt[1] = DEAD;
	ways_doubt(&w, now_us);
	run(3600 * SECOND);
	n_pings = 0;
	for (int i = 0; i < 60; i++) {
		announce(1, 3);
		run(SECOND);
	}
	assert_in_range(n_pings, 9, 15);
}

/* The address in use is announced no more, and answers: there is none that is better. */
static void test_announced_no_more(void **state)
{
	announce(1, 2);
	use(1);
	announce(2, 1);
	run(10 * SECOND);
	assert_int_equal(in_use(), 1);
	announce(0, 0);
	run(10 * SECOND);
	assert_int_equal(in_use(), 1);
}

/* --- heard --- */

static void test_heard_first(void **state)
{
	rtt[40] = 5 * MS;
	heard(40);
	run(6 * MS);
	assert_int_equal(in_use(), 40);
	assert_int_equal(n_pings, 1);
	heard(40);
	heard(40);
	run(10 * SECOND);
	assert_int_equal(n_pings, 1);
}

/* It is behind a NAT, or has moved: who is silent at the old place is followed. */
static void test_heard_moved(void **state)
{
	announce(1, 3);
	use(1);
	rtt[1] = DEAD;
	rtt[40] = 10 * MS;
	heard(40);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), 40);
	assert_int_equal(pings[2], 0); /* it was enough to ask there */
}

/* In doubt all are pinged anyway: one more is, for its sake alone. */
static void test_heard_in_doubt(void **state)
{
	announce(1, 2);
	use(1);
	rtt[1] = DEAD;
	ways_doubt(&w, now_us);
	send_pings();
	assert_int_equal(n_pings, 2);
	heard(40);
	send_pings();
	assert_int_equal(n_pings, 3);
	assert_int_equal(pings[40], 1);
}

/* It sends by another way than we do. Both work: so it stays, and is looked at ever more seldom. */
static void test_heard_elsewhere(void **state)
{
	announce(1, 3);
	use(1);
	rtt[2] = MS;
	for (int i = 0; i < 3600; i++) {
		heard(2);
		run(SECOND);
		assert_int_equal(in_use(), 1);
	}
	assert_in_range(pings[2], 12, 18);
	assert_int_equal(pings[1], pings[2]);
	assert_int_equal(pings[3], 0);
	/* It comes back there after a while: that is looked at at once, for nothing else works. */
	rtt[1] = rtt[2] = DEAD;
	ways_doubt(&w, now_us);
	run(600 * SECOND);
	heard(2);
	run(2 * SECOND);
	rtt[2] = MS;
	heard(2);
	run(2 * MS);
	assert_int_equal(in_use(), 2);
}

/* Somebody sends old pings again from everywhere. */
static void test_heard_flood(void **state)
{
	announce(1, 3);
	use(1);
	for (int i = 0; i < 100000; i++) {
		heard(10 + (unsigned) i % 50);
		run(SECOND / 10000);
	}
	assert_in_range(n_pings, 20, 2 * (WAYS_HEARD_BURST + 41));
	assert_int_equal(in_use(), 1);
	rtt[1] = DEAD;
	rtt[3] = 10 * MS;
	ways_doubt(&w, now_us);
	for (int i = 0; i < 10000; i++) {
		heard(10 + (unsigned) i % 50);
		run(SECOND / 10000);
	}
	assert_int_equal(in_use(), 3); /* what it announces is not forgotten over that */
}

/* --- relayed --- */

/* The relay answers first, and is used; the direct way does, and is used. Then it is quiet. */
static void test_relayed_at_first(void **state)
{
	rtt[1] = 30 * MS;
	rtt[RELAYED] = 20 * MS;
	announce(1, 2);
	relay(RELAYED);
	run(19 * MS);
	assert_int_equal(in_use(), 0);
	run(2 * MS);
	assert_int_equal(in_use(), RELAYED);
	run(10 * MS);
	assert_int_equal(in_use(), 1);
	n_pings = 0;
	run(3600 * SECOND);
	assert_int_equal(n_pings, 0);
	assert_int_equal(in_use(), 1);
}

/* The direct way answers first: a relay that is quicker than that later changes nothing. */
static void test_relayed_late(void **state)
{
	announce(1, 2);
	use(1);
	rtt[RELAYED] = MS;
	relay(RELAYED);
	run(10 * SECOND);
	assert_int_equal(n_pings, 0);
	ways_doubt(&w, now_us);
	run(10 * SECOND);
	assert_int_equal(in_use(), 1);
	assert_int_equal(pings[RELAYED], 1);
}

/* Nothing but the relay: direct ways are looked for as long as that is so, and ever more seldom. */
static void test_relayed_alone(void **state)
{
	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	run(21 * MS);
	assert_int_equal(in_use(), RELAYED); /* nothing else is known */
	announce(1, 2);
	send_pings();
	assert_int_equal(pings[1], 1);
	run(3600 * SECOND);
	assert_int_equal(in_use(), RELAYED);
	assert_in_range(pings[2], 250, 300);
	n_pings = 0;
	run(150 * SECOND);
	assert_in_range(n_pings, 9 * 3, 11 * 3);
	/* A new address of the peer's, or one where it is heard, is used as soon as it answers. */
	rtt[3] = 5 * MS;
	announce(1, 3);
	run(6 * MS);
	assert_int_equal(in_use(), 3);
}

/* As long as nothing at all works, the relay is asked each second if somebody waits for it. */
static void test_relayed_awaited(void **state)
{
	relay(RELAYED);
	run(20 * SECOND);
	assert_in_range(pings[RELAYED], 7, 9);
	ways_active(&w, now_us);
	count_anew();
	run(10 * SECOND);
	assert_in_range(pings[RELAYED], 11, 13);
	rtt[RELAYED] = 20 * MS;
	run(WAYS_ALONE_US + 20 * MS);
	assert_int_equal(in_use(), RELAYED);
	count_anew();
	run(20 * SECOND);
	assert_in_range(pings[RELAYED], 3, 6);
}

static void test_relayed_heard_direct(void **state)
{
	rtt[RELAYED] = 20 * MS;
	announce(1, 2);
	relay(RELAYED);
	run(600 * SECOND);
	rtt[2] = 5 * MS;
	heard(2);
	run(6 * MS);
	assert_int_equal(in_use(), 2);
}

/* The direct way goes silently: after the grace the relay, until a direct one is back. */
static void test_relayed_instead(void **state)
{
	announce(1, 2);
	use(1);
	rtt[RELAYED] = 50 * MS;
	relay(RELAYED);
	rtt[1] = DEAD;
	ways_doubt(&w, now_us);
	run(WAYS_GRACE_US - MS);
	assert_int_equal(in_use(), 1);
	run(2 * MS);
	assert_int_equal(in_use(), RELAYED);
	run(30 * SECOND);
	rtt[1] = 10 * MS;
	run(WAYS_OFTEN_US + 10 * MS);
	assert_int_equal(in_use(), 1);
	n_pings = 0;
	run(600 * SECOND);
	assert_int_equal(n_pings, 0);
}

/* Of those that answer while the one in use does not, the relay is the last, however quick it is. */
static void test_relayed_is_last(void **state)
{
	announce(1, 3);
	use(1);
	rtt[1] = DEAD;
	rtt[2] = 90 * MS;
	rtt[RELAYED] = MS;
	relay(RELAYED);
	ways_doubt(&w, now_us);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), 2);
}

/* The relay's turn ends: as at the beginning, and nothing is left of it. */
static void test_relayed_no_more(void **state)
{
	rtt[RELAYED] = rtt[RELAYED + 1] = 20 * MS;
	announce(1, 2);
	relay(RELAYED);
	run(600 * SECOND);
	n_pings = 0;
	relay(RELAYED + 1);
	send_pings();
	assert_int_equal(n_pings, 3);
	assert_int_equal(in_use(), 0);
	run(21 * MS);
	assert_int_equal(in_use(), RELAYED + 1);
	relay(RELAYED + 1); /* the same */
	send_pings();
	assert_int_equal(n_pings, 3);
	relay(0);
	assert_int_equal(in_use(), 0);
	assert_int_equal(w.n, 2);
	run(600 * SECOND);
	assert_int_equal(in_use(), 0);
	use(1);
	relay(RELAYED);
	relay(0);
	run(600 * SECOND);
	assert_int_equal(n_pings, 0);
	assert_int_equal(in_use(), 1);
}

/* It is by another relay now. */
static void test_relayed_anew(void **state)
{
	announce(1, 2);
	ways_relayed_anew(&w);
	use(1);
	relay(RELAYED);
	ways_relayed_anew(&w);
	run(10 * SECOND);
	assert_int_equal(n_pings, 0);
	rtt[1] = DEAD;
	rtt[RELAYED] = 50 * MS;
	ways_doubt(&w, now_us);
	run(600 * SECOND);
	assert_int_equal(in_use(), RELAYED);
	n_pings = 0;
	rtt[RELAYED] = 10 * MS;
	ways_relayed_anew(&w);
	run(11 * MS);
	assert_int_equal(n_pings, 1);
	assert_int_equal(ways_in_use(&w)->last_rtt_us, 10 * MS);
}

/* The peer sends by the relay, though our way to it works: that is looked at, and stays. */
static void test_relayed_heard(void **state)
{
	announce(1, 2);
	use(1);
	rtt[RELAYED] = MS;
	relay(RELAYED);
	for (int i = 0; i < 600; i++) {
		heard(RELAYED);
		run(SECOND);
		assert_int_equal(in_use(), 1);
	}
	assert_in_range(pings[1], 10, 20);
	rtt[1] = DEAD;
	run(60 * SECOND);
	heard(RELAYED);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), RELAYED);
	run(60 * SECOND);
	pings[RELAYED] = 0;
	for (int i = 0; i < 50; i++) {
		heard(RELAYED);
		run(SECOND);
	}
	assert_in_range(pings[RELAYED], 9, 11); /* only with the others */
}

/* Of this machine's own addresses, nothing but what is the relayed one is a way. */
static void test_relayed_foreign(void **state)
{
	relay(RELAYED);
	run(SECOND);
	n_pings = 0;
	heard(RELAYED + 1);
	assert_int_equal(w.n, 1);
	send_pings();
	assert_int_equal(n_pings, 0);
}

/* --- quiet --- */

/* It only needed no answer. */
static void test_quiet_unfounded(void **state)
{
	ways_quiet(&w, now_us);
	announce(1, 3);
	ways_quiet(&w, now_us);
	use(1);
	rtt[RELAYED] = MS;
	relay(RELAYED);
	for (int i = 0; i < 10; i++) {
		ways_quiet(&w, now_us);
		ways_quiet(&w, now_us);
		run(2 * SECOND);
		assert_int_equal(in_use(), 1);
	}
	assert_in_range(pings[1], 8, 10);
	assert_int_equal(pings[RELAYED], pings[1]);
	assert_int_equal(pings[2], 0);
}

static void test_quiet_founded(void **state)
{
	announce(1, 3);
	use(1);
	rtt[1] = DEAD;
	rtt[RELAYED] = 50 * MS;
	relay(RELAYED);
	ways_quiet(&w, now_us);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), RELAYED);
	/* Now that it is, quiet is nothing new: the search goes on as it did. */
	run(600 * SECOND);
	n_pings = 0;
	for (int i = 0; i < 100; i++) {
		ways_quiet(&w, now_us);
		run(SECOND);
	}
	assert_in_range(n_pings, 6 * 4, 8 * 4);
	/* Without a relay, another direct one takes over just as soon. */
	rtt[2] = 10 * MS;
	run(20 * SECOND);
	assert_int_equal(in_use(), 2);
	relay(0);
	rtt[2] = DEAD;
	rtt[3] = 10 * MS;
	run(5 * SECOND);
	ways_quiet(&w, now_us);
	run(WAYS_GRACE_US + 11 * MS);
	assert_int_equal(in_use(), 3);
}

/* --- anything at all --- */

static void test_monkey(void **state)
{
	uint64_t seed = 88172645463325252;

	for (int i = 0; i < 200000; i++) {
		unsigned what, n;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		what = (unsigned) (seed >> 32) % 24;
		n = (unsigned) seed % ADDRESSES;
		if (what < 3)
			heard(n);
		else if (what < 5)
			announce(n % RELAYED, (unsigned) (seed >> 40) % (RELAYED - n % RELAYED));
		else if (what == 16)
			relay((seed >> 40) % 4 ? RELAYED + n % 4 : 0);
		else if (what == 17)
			ways_relayed_anew(&w);
		else if (what == 18)
			ways_quiet(&w, now_us);
		else if (what == 19)
			ways_active(&w, now_us);
		else if (what == 20)
			(void) call(n % RELAYED, (unsigned) (seed >> 40) % (RELAYED - n % RELAYED));
		else if (what == 21)
			ways_restarted(&w, now_us);
		else if (what == 22)
			ways_own(&w, NULL, now_us);
		else if (what < 6)
			ways_doubt(&w, now_us);
		else if (what < 7)
			ways_moved(&w, now_us);
		else if (what < 12)
			rtt[n] = (seed >> 48) % 3 ? (seed >> 50) * 10 : DEAD;
		else
			run((seed >> 44) % (400 * MS));
	}
	/* And in the end it finds what works. */
	memset(rtt, 0, sizeof(rtt));
	relay(RELAYED);
	announce(1, 5);
	rtt[RELAYED] = 10 * MS;
	ways_moved(&w, now_us);
	run(31 * SECOND); /* it moved all the time */
	assert_int_equal(in_use(), RELAYED);
	rtt[4] = 50 * MS;
	run(WAYS_OFTEN_US + WAYS_PROOF_MOST_US + 5 * SECOND);
	assert_int_equal(in_use(), 4);
}

/* --- two boards --- */

enum { WAYS = 3, BY_RELAY = WAYS, ALL_WAYS };

/*
 * A way by which one sends and the other receives: each of a's WAYS addresses reaches b's of the same
 * number, as of one family or network; and BY_RELAY is what each has on its loopback for the other.
 * Where a ping comes in, the sender is heard.
 */
struct board {
	struct ways ways;
	unsigned changes, last;
};

struct letter {
	uint64_t at_us, tx;
	int to;
	unsigned way;
	bool pong;
};

static struct board boards[2];
static struct letter letters[4096];
static size_t n_letters;
static bool works[ALL_WAYS];
static uint64_t takes_us[ALL_WAYS];

static struct endpoint end_of(unsigned way)
{
	return at(way == BY_RELAY ? RELAYED : way);
}

static unsigned way_of(const struct endpoint *end)
{
	return end->addr.bytes[3] == RELAYED ? BY_RELAY : end->addr.bytes[3];
}

static void post(int to, unsigned way, bool pong, uint64_t tx)
{
	if (!works[way])
		return;
	assert_true(n_letters < sizeof(letters) / sizeof(letters[0]));
	letters[n_letters++] = (struct letter){ now_us + takes_us[way], tx, to, way, pong };
}

static void board_send(int i)
{
	const struct way *way;
	struct ways_action action;
	unsigned using;

	while (ways_next(&boards[i].ways, now_us, next_tx++, &action))
		if (action.what == WAYS_PING)
			post(!i, way_of(&action.to), false, next_tx - 1);
	way = ways_in_use(&boards[i].ways);
	using = way ? way_of(&way->to) + 1U : 0;
	boards[i].changes += using != boards[i].last;
	boards[i].last = using;
}

static void deliver(const struct letter *letter)
{
	struct endpoint from = end_of(letter->way);

	if (!works[letter->way])
		return;
	if (letter->pong) {
		(void) ways_pong(&boards[letter->to].ways, &from, letter->tx, now_us);
	} else {
		post(!letter->to, letter->way, true, letter->tx);
		ways_heard(&boards[letter->to].ways, &from, now_us);
	}
}

/* To the millisecond, when something happens. */
static uint64_t next_two(uint64_t end_us)
{
	uint64_t next_us = end_us;

	for (size_t i = 0; i < n_letters; i++)
		next_us = letters[i].at_us < next_us ? letters[i].at_us : next_us;
	for (int i = 0; i < 2; i++) {
		uint64_t at_us = ways_deadline(&boards[i].ways);

		next_us = at_us < next_us ? at_us : next_us;
	}
	return next_us > now_us + MS ? next_us : now_us + MS;
}

static void run_two(uint64_t for_us)
{
	for (uint64_t end_us = now_us + for_us; now_us < end_us; now_us = next_two(end_us)) {
		for (size_t i = 0; i < n_letters; i++) {
			struct letter letter = letters[i];

			if (letter.at_us > now_us)
				continue;
			letters[i--] = letters[--n_letters];
			deliver(&letter);
		}
		for (int i = 0; i < 2; i++)
			board_send(i);
	}
}

/* A packet of each to the other, as a tunnel sends them: heard where it comes from. */
static void talk(void)
{
	for (int i = 0; i < 2; i++) {
		const struct way *way = ways_in_use(&boards[i].ways);
		struct endpoint from;

		if (!way || !works[way_of(&way->to)])
			continue;
		from = way->to;
		ways_heard(&boards[!i].ways, &from, now_us);
	}
}

static bool reaches(int i)
{
	const struct way *way = ways_in_use(&boards[i].ways);

	return way && works[way_of(&way->to)];
}

/* Both know of each other's addresses, @relay: and have a relay between them. */
static void make_two(bool relay)
{
	struct endpoint by_relay = at(RELAYED);

	n_letters = 0;
	for (unsigned i = 0; i < ALL_WAYS; i++) {
		works[i] = i != BY_RELAY || relay;
		takes_us[i] = (1 + 7 * i) * MS;
	}
	for (int i = 0; i < 2; i++) {
		boards[i] = (struct board){ 0 };
		ways_init(&boards[i].ways);
		ways_relayed(&boards[i].ways, relay ? &by_relay : NULL, now_us);
	}
}

static void end_two(void)
{
	for (int i = 0; i < 2; i++)
		ways_done(&boards[i].ways);
}

static void announce_two(int i)
{
	struct endpoint all[WAYS];

	for (unsigned k = 0; k < WAYS; k++)
		all[k] = at(k);
	ways_announced(&boards[i].ways, all, WAYS, now_us);
}

static bool is_relayed(int i)
{
	const struct way *way = ways_in_use(&boards[i].ways);

	return way && way->relayed;
}

/* Ways fail and come back; whoever notices says so to itself. Both are there again soon, and rest. */
static void test_two(void **state)
{
	make_two(false);
	announce_two(0);
	run_two(3 * SECOND);
	assert_true(reaches(0) && reaches(1)); /* b knew of no address of a's */
	announce_two(1);
	srandom(1);
	for (int round = 0; round < 200; round++) {
		int who = (int) (random() % 2);

		for (unsigned i = 0; i < WAYS; i++)
			works[i] = random() % 2;
		works[random() % WAYS] = true;
		if (!reaches(who) || !reaches(!who)) {
			if (random() % 2)
				ways_moved(&boards[who].ways, now_us);
			else
				ways_doubt(&boards[who].ways, now_us);
		}
		run_two(2 * SECOND);
		/* The other hears of it by the pings, if its way has failed too. */
		assert_true(reaches(who));
		if (!reaches(!who))
			ways_doubt(&boards[!who].ways, now_us);
		run_two(2 * SECOND);
		assert_true(reaches(0) && reaches(1));
		boards[0].changes = boards[1].changes = 0;
		for (int i = 0; i < 100; i++) {
			talk();
			run_two(100 * MS);
		}
		assert_true(reaches(0) && reaches(1));
		assert_int_equal(boards[0].changes + boards[1].changes, 0);
	}
	end_two();
}

/* Each says that it hears nothing, as a tunnel does of what it sends without an answer. */
static void miss(void)
{
	for (int i = 0; i < 2; i++)
		if (!reaches(i))
			ways_quiet(&boards[i].ways, now_us);
}

/*
 * Direct ways fail and come back, sometimes all of them, and the relay never: it takes over in a
 * moment, at both ends, and gives way again as soon as a direct one is there. Then both rest.
 */
static void test_two_relayed(void **state)
{
	make_two(true);
	run_two(SECOND);
	assert_true(is_relayed(0) && is_relayed(1));
	announce_two(0);
	announce_two(1);
	run_two(100 * MS);
	assert_true(reaches(0) && reaches(1));
	assert_false(is_relayed(0) || is_relayed(1));
	srandom(2);
	for (int round = 0; round < 200; round++) {
		bool direct = false;

		for (unsigned i = 0; i < WAYS; i++) {
			works[i] = random() % 3 == 0;
			direct = direct || works[i];
		}
		miss();
		run_two(WAYS_GRACE_US + 60 * MS);
		assert_true(reaches(0) && reaches(1));
		/* They come and go all the time: it takes a while until one is believed again. */
		run_two(WAYS_SELDOM_US + WAYS_PROOF_MOST_US + 5 * SECOND);
		assert_int_equal(is_relayed(0), !direct);
		assert_int_equal(is_relayed(1), !direct);
		boards[0].changes = boards[1].changes = 0;
		for (int i = 0; i < 100; i++) {
			talk();
			run_two(100 * MS);
		}
		assert_true(reaches(0) && reaches(1));
		assert_int_equal(boards[0].changes + boards[1].changes, 0);
	}
	end_two();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(nothing_known),
		TEST(first_answer),
		TEST(no_answer),
		TEST(new_address),
		TEST(pongs),
		TEST(doubt_unfounded),
		TEST(doubt_founded),
		TEST(doubt_slow),
		TEST(doubt_repeated),
		TEST(announced_elsewhere),
		TEST(announced_again),
		TEST(announced_no_more),
		TEST(heard_first),
		TEST(heard_moved),
		TEST(heard_in_doubt),
		TEST(heard_elsewhere),
		TEST(heard_flood),
		TEST(relayed_at_first),
		TEST(relayed_late),
		TEST(relayed_alone),
		TEST(relayed_awaited),
		TEST(relayed_heard_direct),
		TEST(relayed_instead),
		TEST(relayed_is_last),
		TEST(relayed_no_more),
		TEST(relayed_anew),
		TEST(relayed_heard),
		TEST(relayed_foreign),
		TEST(quiet_unfounded),
		TEST(quiet_founded),
		TEST(monkey),
		TEST(two),
		TEST(two_relayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
