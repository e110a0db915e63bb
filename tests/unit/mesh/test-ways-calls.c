/*
 * ways: calls and the rounds that they arrange; what was lost and proves itself; better ways; and
 * the bounds of what anybody can make us send.
 */
#include "ways-world.h"

#include <string.h>

/* --- calls --- */

/* As soon as the relay answers; our pings leave when the call has arrived, half a round trip later. */
static void test_call_at_once(void **state)
{
	rtt[RELAYED] = 80 * MS;
	announce(PUBLIC - 1, 3);
	send_pings();
	count_anew();
	relay(RELAYED);
	run(79 * MS);
	assert_int_equal(n_calls, 0);
	assert_int_equal(pings[PUBLIC], 0);
	run(2 * MS);
	assert_int_equal(n_calls, 1);
	assert_int_equal(pings[PUBLIC], 0);
	run(40 * MS);
	assert_int_equal(pings[PUBLIC], 1);
	assert_int_equal(pings[PUBLIC + 1], 1);
	assert_true(pinged_us[PUBLIC] == called_us + 40 * MS);
	run(300 * MS);
	assert_int_equal(pings[PUBLIC], WAYS_PUNCHES);
}

/* Ever more seldom; and between them public addresses, which never answered, have their rest. */
static void test_call_pauses(void **state)
{
	uint64_t rest_us = 0;

	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	announce(PUBLIC - 1, 2);
	run(400 * MS);
	assert_int_equal(n_calls, 1);
	run(1200 * MS);
	assert_int_equal(n_calls, 2);
	run(5 * SECOND);
	assert_int_equal(n_calls, 3);
	run(25 * SECOND);
	assert_int_equal(n_calls, 6);
	for (int i = 0; i < 40; i++) {
		uint64_t before_us = pinged_us[PUBLIC];

		run(SECOND);
		if (pinged_us[PUBLIC] - before_us > rest_us)
			rest_us = pinged_us[PUBLIC] - before_us;
	}
	assert_in_range(n_calls, 7, 8);
	assert_true(rest_us > 31 * SECOND);
	run(300 * SECOND);
	count_anew();
	run(3600 * SECOND);
	assert_in_range(n_calls, 29, 31);
	assert_int_equal(pings[PUBLIC], n_calls * WAYS_PUNCHES);
	/* While packets flow, somebody waits for it. */
	count_anew();
	ways_active(&w, now_us);
	run(100 * MS);
	assert_int_equal(n_calls, 1);
	count_anew();
	for (int i = 0; i < 720; i++) {
		ways_active(&w, now_us);
		run(5 * SECOND);
	}
	assert_in_range(n_calls, 3 * 3600 / 50 - 10, 3 * 3600 / 50 + 5);
}

/* No port is the same in the house and outside, of the peer or of us: all are pinged in rounds, too. */
static void test_no_rest(void **state)
{
	struct ways_own own = { .list = { at(9), at(PUBLIC + 9) }, .n = 2, .n_local = 1 };

	own.list[1].port = 1001;
	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	announce(PUBLIC, 1);
	ways_own(&w, &own, now_us);
	run(100 * SECOND);
	assert_in_range(pings[PUBLIC], 30, 60);
	own.list[1].port = 1000;
	ways_own(&w, &own, now_us);
	run(100 * SECOND);
	count_anew();
	run(1000 * SECOND);
	assert_int_equal(pings[PUBLIC], n_calls * WAYS_PUNCHES);
}

/* A router that forgot is not kept from it by our pings: what answered long ago has its rest, too. */
static void test_rest_of_lost(void **state)
{
	uint64_t rest_us = 0;

	rtt[RELAYED] = 20 * MS;
	announce(PUBLIC - 1, 2);
	use(PUBLIC);
	relay(RELAYED);
	rtt[PUBLIC] = DEAD;
	ways_quiet(&w, now_us);
	run(62 * SECOND);
	assert_int_equal(in_use(), RELAYED);
	for (int i = 0; i < 100; i++) {
		uint64_t before_us = pinged_us[PUBLIC];

		run(SECOND);
		if (pinged_us[PUBLIC] - before_us > rest_us)
			rest_us = pinged_us[PUBLIC] - before_us;
	}
	assert_true(rest_us > 31 * SECOND);
}

/* Nobody is called who could not hear it, or is found. */
static void test_call_in_vain(void **state)
{
	announce(PUBLIC, 1);
	relay(RELAYED);
	run(600 * SECOND);
	assert_int_equal(n_calls, 0);
	rtt[PUBLIC] = 20 * MS; /* no relay: it is pinged as any other */
	run(WAYS_SELDOM_US + 20 * MS);
	assert_int_equal(in_use(), PUBLIC);
	rtt[RELAYED] = 10 * MS;
	run(600 * SECOND);
	assert_int_equal(n_calls, 0);
	/* While it has its time to answer, nobody is called either. */
	ways_doubt(&w, now_us);
	run(600 * SECOND);
	assert_int_equal(n_calls, 0);
	assert_int_equal(in_use(), PUBLIC);
}

/* We are seen elsewhere: the peer is told at once, but not all the time. */
static void test_call_own(void **state)
{
	struct ways_own own = { .n = 1, .n_local = 1 };

	own.list[0] = at(9);
	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	announce(PUBLIC, 1);
	run(100 * SECOND);
	count_anew();
	ways_own(&w, &own, now_us);
	run(100 * MS);
	assert_int_equal(n_calls, 1);
	for (int i = 0; i < 1000; i++) {
		ways_own(&w, &own, now_us);
		run(100 * MS);
	}
	assert_in_range(n_calls, 10, 10 + 100 / 5 + WAYS_CALL_BURST);
}

/* Who is called pings all that the call names, at once, and says where it is itself. */
static void test_called(void **state)
{
	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	run(200 * SECOND);
	count_anew();
	assert_true(call(PUBLIC, 3));
	send_pings();
	assert_int_equal(n_calls, 1);
	assert_int_equal(pings[PUBLIC], 1);
	assert_int_equal(pings[PUBLIC + 2], 1);
	run(SECOND - MS);
	assert_int_equal(n_calls, 1);
	assert_int_equal(pings[PUBLIC], WAYS_PUNCHES);
	/* The answer of the peer, which was called, is none to be answered. */
	assert_true(call(PUBLIC + 3, 1));
	send_pings();
	assert_int_equal(n_calls, 1);
	assert_int_equal(pings[PUBLIC + 3], 1);
	assert_int_equal(w.n, 2); /* the others are not named any more */
	rtt[PUBLIC + 3] = 30 * MS;
	run(WAYS_PUNCH_US + 31 * MS);
	assert_int_equal(in_use(), PUBLIC + 3);
}

/* The pauses of two that call each other are one pause: each call puts off the other's. */
static void test_called_lately(void **state)
{
	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	announce(PUBLIC - 1, 2);
	run(60 * SECOND);
	for (int i = 0; i < 20; i++) {
		assert_true(call(PUBLIC - 1, 2));
		run(30 * SECOND);
	}
	count_anew();
	assert_true(call(PUBLIC - 1, 2));
	run(30 * SECOND);
	assert_int_equal(n_calls, 1); /* the answer */
	assert_int_equal(pings[PUBLIC], WAYS_PUNCHES);
}

/* Our way to the peer works, its way to us does not: it is answered, and nothing changes. */
static void test_called_content(void **state)
{
	announce(1, 1);
	use(1);
	rtt[RELAYED] = 5 * MS;
	relay(RELAYED);
	assert_true(call(PUBLIC, 1));
	run(SECOND);
	assert_int_equal(n_calls, 1);
	assert_int_equal(pings[PUBLIC], WAYS_PUNCHES);
	assert_int_equal(in_use(), 1);
	run(600 * SECOND);
	assert_int_equal(n_calls, 1);
	assert_int_equal(pings[PUBLIC], WAYS_PUNCHES);
	/* It calls because it does not hear us: what comes from it by the relay keeps us content. */
	rtt[1] = DEAD;
	assert_true(call(PUBLIC, 1));
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), RELAYED);
}

static void test_called_flood(void **state)
{
	unsigned heeded = 0;

	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	run(SECOND);
	count_anew();
	for (int i = 0; i < 10000; i++) {
		heeded += call(PUBLIC, 20);
		run(10 * MS);
	}
	assert_in_range(heeded, 10, WAYS_CALL_BURST + 100 / 5 + 1);
	assert_in_range(n_calls, 1, WAYS_CALL_BURST + 100 / 5 + 1);
}

/* --- who may be pinged, and how much --- */

static void check_refused(const char *text)
{
	struct endpoint to;

	assert_int_equal(endpoint_parse(text, &to), 0);
	ways_announced(&w, &to, 1, now_us);
	assert_int_equal(w.n, 0);
	(void) ways_called(&w, &to, 1, now_us);
	assert_int_equal(w.n, 0);
	ways_heard(&w, &to, now_us);
	assert_int_equal(w.n, 0);
	now_us += 60 * SECOND;
}

static void test_never(void **state)
{
	static const char *const bad[] = { "127.0.0.1:41741", "127.255.255.255:1", "[::1]:41741",
		"224.0.0.1:1", "239.255.255.250:1900", "255.255.255.255:67", "[ff02::1]:5353",
		"0.0.0.0:1", "0.1.2.3:1", "[::]:1", "[::ffff:127.0.0.1]:1", "[fe80::1]:1",
		"240.0.0.1:1", "10.0.0.9:41741", "10.0.0.9:53", "192.0.2.7:40001",
		"[2001:db8::9]:80" };
	struct ways_own own = { .n = 3, .n_local = 2 };
	struct endpoint to;

	assert_int_equal(endpoint_parse("10.0.0.9:41741", &own.list[0]), 0);
	assert_int_equal(endpoint_parse("[2001:db8::9]:41741", &own.list[1]), 0);
	assert_int_equal(endpoint_parse("192.0.2.7:40001", &own.list[2]), 0);
	ways_own(&w, &own, now_us);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_refused(bad[i]);
	/* The neighbour behind the same NAT. */
	assert_int_equal(endpoint_parse("192.0.2.7:40002", &to), 0);
	ways_announced(&w, &to, 1, now_us);
	assert_int_equal(w.n, 1);
	/* What turns out to be our own is forgotten. */
	own.list[own.n++] = to;
	ways_own(&w, &own, now_us);
	assert_int_equal(w.n, 0);
	send_pings();
	assert_int_equal(n_pings, 0);
}

/* Whatever the peer and others say: the header's bounds, for one address and for all together. */
static void test_bounds(void **state)
{
	enum { SPAN_S = 1000 };

	rtt[RELAYED] = 20 * MS;
	relay(RELAYED);
	run(SECOND);
	count_anew();
	for (int i = 0; i < SPAN_S * 20; i++) {
		(void) call(PUBLIC, 20);
		announce(1, 32 - (unsigned) i % 2);
		heard(33 + (unsigned) i % 7);
		ways_moved(&w, now_us);
		ways_restarted(&w, now_us);
		ways_doubt(&w, now_us);
		run(50 * MS);
	}
	for (unsigned i = 1; i < RELAYED; i++) /* some are forgotten over that, and are new again */
		if (i < 32 || i >= PUBLIC)
			assert_in_range(pings[i], 1, WAYS_TRIES + SPAN_S / 2 + 1);
	assert_in_range(n_pings - pings[RELAYED], 1000, WAYS_PEER_TRIES + SPAN_S * 10 + 1);
	assert_int_equal(in_use(), RELAYED);
}

/* A thousand links come and go: what is done about it is done at once, then seldom, and at last. */
static void test_storm(void **state)
{
	announce(1, 3);
	use(1);
	for (int i = 0; i < 10000; i++) {
		ways_moved(&w, now_us);
		run(10 * MS);
	}
	assert_in_range(n_pings, 3 * 5, 3 * 12);
	assert_int_equal(in_use(), 1);
	rtt[1] = DEAD;
	rtt[2] = 10 * MS;
	run(31 * SECOND);
	assert_int_equal(in_use(), 2);
	count_anew();
	run(600 * SECOND);
	assert_int_equal(n_pings, 0);
}

/* --- proof --- */

/* Until a way that has been in use is used again, from its first answer on. */
static uint64_t take_back(unsigned n)
{
	uint64_t begin_us;

	rtt[n] = DEAD;
	ways_quiet(&w, now_us);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), RELAYED);
	run(3 * SECOND);
	rtt[n] = 10 * MS;
	begin_us = now_us;
	while (in_use() != n && now_us - begin_us < 100 * SECOND)
		run(MS);
	assert_int_equal(in_use(), n);
	return now_us - begin_us;
}

/* Back within a second; the longer the more often it was lost, as long as the relay works. */
static void test_flapping(void **state)
{
	uint64_t took_us = 0;

	rtt[RELAYED] = 30 * MS;
	announce(1, 1);
	use(1);
	relay(RELAYED);
	took_us = take_back(1);
	assert_in_range(took_us, WAYS_PROOF_US, SECOND);
	for (int i = 0; i < 7; i++) {
		uint64_t now_took_us;

		run(5 * SECOND);
		now_took_us = take_back(1);
		assert_true(now_took_us > took_us);
		took_us = now_took_us;
	}
	assert_in_range(took_us, WAYS_PROOF_MOST_US, WAYS_PROOF_MOST_US + 3 * SECOND);
	/* It has worked for a while: that is forgiven, however often it was. */
	for (int i = 0; i < 20; i++) {
		run(5 * SECOND);
		assert_in_range(take_back(1), WAYS_PROOF_MOST_US, WAYS_PROOF_MOST_US + 3 * SECOND);
	}
	run(4 * WAYS_FORGIVEN_US);
	assert_in_range(take_back(1), WAYS_PROOF_US, SECOND);
}

/* After a bad minute, losses that are a minute apart do not add up. */
static void test_flapping_once(void **state)
{
	rtt[RELAYED] = 30 * MS;
	announce(1, 1);
	use(1);
	relay(RELAYED);
	for (int i = 0; i < 6; i++) {
		run(2 * SECOND);
		(void) take_back(1);
	}
	for (int i = 0; i < 10; i++) {
		run(2 * WAYS_FORGIVEN_US);
		assert_in_range(take_back(1), WAYS_PROOF_US, 2 * SECOND);
	}
}

/* A peer that is met at many ports, of which never the same one is lost. */
static void test_flapping_ports(void **state)
{
	struct endpoint ports[8];
	uint64_t took_us = 0;

	rtt[RELAYED] = 30 * MS;
	rtt[1] = 10 * MS;
	for (uint16_t i = 0; i < 8; i++)
		ports[i] = (struct endpoint){ .addr = at(1).addr, .port = (uint16_t) (2000 + i) };
	ways_announced(&w, ports, 7, now_us);
	relay(RELAYED);
	run(20 * SECOND);
	for (int i = 0; i < 5; i++) {
		uint64_t begin_us;

		if (i == 4)
			ways_announced(&w, ports, 8, now_us); /* a new one is no better */
		dead_port = ways_in_use(&w)->to.port;
		ways_quiet(&w, now_us);
		run(WAYS_GRACE_US + MS);
		assert_int_equal(in_use(), RELAYED);
		begin_us = now_us;
		while (in_use() != 1 && now_us - begin_us < 100 * SECOND)
			run(MS);
		assert_int_equal(in_use(), 1);
		assert_true(now_us - begin_us > took_us);
		took_us = now_us - begin_us;
		assert_in_range(took_us, WAYS_PROOF_US << i, 2 * SECOND << i);
		run(SECOND);
	}
}

/* A bad minute counts no more after an hour, though another way has been used since. */
static void test_flapping_long_ago(void **state)
{
	rtt[RELAYED] = 30 * MS;
	announce(1, 2);
	use(1);
	relay(RELAYED);
	for (int i = 0; i < 6; i++) {
		run(2 * SECOND);
		(void) take_back(1);
	}
	rtt[1] = DEAD;
	rtt[2] = 60 * MS;
	ways_moved(&w, now_us);
	run(10 * SECOND);
	assert_int_equal(in_use(), 2);
	rtt[1] = 10 * MS;
	for (int i = 0; i < 720; i++) {
		ways_active(&w, now_us);
		run(5 * SECOND);
	}
	assert_int_equal(in_use(), 1);
}

/* One answer is no proof: silence in between begins it anew. */
static void test_proof_gap(void **state)
{
	rtt[RELAYED] = 30 * MS;
	announce(1, 1);
	use(1);
	relay(RELAYED);
	for (int i = 0; i < 4; i++) {
		(void) take_back(1);
		run(3 * SECOND);
	}
	rtt[1] = DEAD;
	ways_quiet(&w, now_us);
	run(5 * SECOND);
	for (int i = 0; i < 10; i++) {
		rtt[1] = 10 * MS;
		run(2 * SECOND); /* the proof takes 4 */
		rtt[1] = DEAD;
		run(4 * SECOND);
		assert_int_equal(in_use(), RELAYED);
	}
}

/* Where nothing else works, it is used at once, however often it was lost. */
static void test_proof_alone(void **state)
{
	rtt[RELAYED] = 30 * MS;
	announce(1, 1);
	use(1);
	relay(RELAYED);
	for (int i = 0; i < 6; i++) {
		(void) take_back(1);
		run(3 * SECOND);
	}
	rtt[1] = DEAD;
	ways_quiet(&w, now_us);
	run(5 * SECOND);
	rtt[RELAYED] = DEAD;
	run(5 * SECOND);
	rtt[1] = 10 * MS;
	run(WAYS_BACK_US + 11 * MS);
	assert_int_equal(in_use(), 1);
}

/* --- doubt --- */

/* This board was held up: an answer that waited for it says nothing of the way as it is now. */
static void test_doubt_late_answer(void **state)
{
	struct endpoint one = at(1);
	struct ways_action action;
	uint64_t tx = 0;

	rtt[RELAYED] = 30 * MS;
	announce(1, 1);
	use(1);
	relay(RELAYED);
	ways_quiet(&w, now_us);
	for (; ways_next(&w, now_us, next_tx, &action); next_tx++)
		if (endpoint_equal(&action.to, &one))
			tx = next_tx;
	now_us += 4 * SECOND;
	assert_true(ways_pong(&w, &one, tx, now_us));
	rtt[1] = DEAD;
	ways_quiet(&w, now_us);
	run(WAYS_GRACE_MOST_US);
	assert_int_equal(in_use(), RELAYED);
}

/* A way that was slow until a moment ago has not more time to answer than it needs now. */
static void test_doubt_queue_gone(void **state)
{
	static const uint64_t slow[] = { 100, 200, 300, 500, 700, 900 };

	rtt[RELAYED] = 30 * MS;
	announce(1, 1);
	use(1);
	relay(RELAYED);
	for (size_t i = 0; i < 6 * 30; i++) {
		rtt[1] = slow[i / 30] * MS;
		ways_quiet(&w, now_us);
		run(3 * SECOND);
		assert_int_equal(in_use(), 1);
	}
	rtt[1] = 20 * MS;
	ways_quiet(&w, now_us);
	run(3 * SECOND);
	rtt[1] = DEAD;
	ways_quiet(&w, now_us);
	run(WAYS_GRACE_US + MS);
	assert_int_equal(in_use(), RELAYED);
}

/* The one in use every 250 ms, and the relay; left in time, also where only the relay answers late. */
static void test_doubt_often(void **state)
{
	announce(1, 1);
	use(1);
	relay(RELAYED);
	rtt[1] = DEAD;
	ways_quiet(&w, now_us);
	run(3 * SECOND);
	assert_in_range(pings[1], 12, 20);
	assert_int_equal(in_use(), 1);
	rtt[RELAYED] = 100 * MS;
	run(WAYS_BACK_US + 101 * MS);
	assert_int_equal(in_use(), RELAYED);
}

/* One ping that is lost is no reason to leave. */
static void test_doubt_one_lost(void **state)
{
	announce(1, 1);
	use(1);
	rtt[RELAYED] = 5 * MS;
	relay(RELAYED);
	rtt[1] = DEAD;
	ways_quiet(&w, now_us);
	run(100 * MS);
	rtt[1] = 40 * MS;
	run(SECOND);
	assert_int_equal(in_use(), 1);
	assert_int_equal(pings[1], 2);
}

/* Who only sends asks now and then, and notices in time. */
static void test_heartbeat(void **state)
{
	uint64_t cut_us;

	announce(1, 1);
	use(1);
	rtt[RELAYED] = 30 * MS;
	relay(RELAYED);
	for (int i = 0; i < 750; i++) { /* ten minutes */
		ways_quiet(&w, now_us);
		run(800 * MS);
	}
	assert_in_range(pings[1], 600 / 3, 600 / 2);
	assert_int_equal(in_use(), 1);
	rtt[1] = DEAD;
	cut_us = now_us;
	while (in_use() == 1) {
		ways_quiet(&w, now_us);
		run(100 * MS);
	}
	assert_true(now_us - cut_us < 3 * SECOND);
	/* And nothing goes on once there is no more to send. */
	rtt[1] = 20 * MS;
	run(10 * SECOND);
	assert_int_equal(in_use(), 1);
	count_anew();
	run(3600 * SECOND);
	assert_int_equal(n_pings, 0);
}

/* --- the peer starts anew --- */

static void test_restarted(void **state)
{
	announce(1, 2);
	use(1);
	ways_restarted(&w, now_us);
	assert_true(w.doubtful);
	run(SECOND);
	assert_int_equal(pings[1], 1);
	assert_int_equal(pings[2], 1);
	assert_false(w.doubtful);
	/* It says so all the time. */
	count_anew();
	for (int i = 0; i < 10000; i++) {
		ways_restarted(&w, now_us);
		run(10 * MS);
	}
	assert_in_range(n_pings, 2, 2 * 12);
}

/* --- better ways --- */

static void active_for(unsigned s)
{
	for (unsigned i = 0; i < s; i += 5) {
		ways_active(&w, now_us);
		run(5 * SECOND);
	}
}

static void test_better(void **state)
{
	announce(1, 3);
	rtt[1] = 20 * MS;
	use(1);
	rtt[2] = 14 * MS; /* not clearly */
	active_for(300);
	assert_int_equal(in_use(), 1);
	assert_in_range(pings[1], 3 * 4, 3 * 6); /* three each minute */
	rtt[3] = 8 * MS;
	active_for(70);
	assert_int_equal(in_use(), 3);
	rtt[1] = 7 * MS;
	active_for(600);
	assert_int_equal(in_use(), 3);
	/* Nobody talks: it costs nothing. */
	run(60 * SECOND);
	count_anew();
	rtt[1] = MS;
	run(3600 * SECOND);
	assert_int_equal(n_pings, 0);
	assert_int_equal(in_use(), 3);
}

/* Two that take turns in being the quicker one do not make us take turns for long. */
static void test_better_turns(void **state)
{
	unsigned changes = 0, before;

	announce(1, 2);
	use(1);
	for (int i = 0; i < 7200 / 50; i++) {
		rtt[1] = (i % 2 ? 10 : 60) * MS;
		rtt[2] = (i % 2 ? 60 : 10) * MS;
		before = in_use();
		active_for(50);
		changes += in_use() != before;
	}
	assert_in_range(changes, 1, 10);
}

static void test_quick_enough(void **state)
{
	announce(1, 3);
	rtt[1] = 4 * MS;
	rtt[2] = MS / 2;
	run(SECOND);
	assert_int_equal(in_use(), 2);
	rtt[3] = MS / 10;
	count_anew();
	active_for(600);
	assert_int_equal(n_pings, 0);
}

/* The first that answers is used; one in the same house just behind it is taken instead. */
static void test_house(void **state)
{
	struct endpoint list[2] = { at(PUBLIC), at(1) };

	rtt[PUBLIC] = MS;
	rtt[1] = 3 * MS;
	ways_announced(&w, list, 2, now_us);
	run(2 * MS);
	assert_int_equal(in_use(), PUBLIC);
	run(2 * MS);
	assert_int_equal(in_use(), 1);
	/* And not the other way round. */
	ways_doubt(&w, now_us);
	run(SECOND);
	assert_int_equal(in_use(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(call_at_once),
		TEST(call_pauses),
		TEST(no_rest),
		TEST(rest_of_lost),
		TEST(call_in_vain),
		TEST(call_own),
		TEST(called),
		TEST(called_lately),
		TEST(called_content),
		TEST(called_flood),
		TEST(never),
		TEST(bounds),
		TEST(storm),
		TEST(flapping),
		TEST(flapping_once),
		TEST(flapping_long_ago),
		TEST(flapping_ports),
		TEST(proof_gap),
		TEST(proof_alone),
		TEST(doubt_late_answer),
		TEST(doubt_queue_gone),
		TEST(doubt_often),
		TEST(doubt_one_lost),
		TEST(heartbeat),
		TEST(restarted),
		TEST(better),
		TEST(better_turns),
		TEST(quick_enough),
		TEST(house),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
