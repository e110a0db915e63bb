/*
 * predict: which ports, and that two routers that count meet there, also where others open flows in
 * between; and what the engine does with them: when, and how many at most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/ways.h"

#define SECOND UINT64_C(1000000)
#define MS     UINT64_C(1000)
enum { BURSTS_MAX = PREDICT_BURSTS * PREDICT_PORTS };

static int ahead;

static struct predict_nat counting(uint16_t last, int16_t step)
{
	return (struct predict_nat){ DISCO_MAPPING_COUNTING, step,
		{ .addr = { AF_INET, { 192, 0, 2, 7 } }, .port = last } };
}

static size_t ports(const struct predict_nat *peer, enum disco_mapping own, bool asked,
	unsigned nth, unsigned burst, struct endpoint ret[static PREDICT_PORTS])
{
	struct predict predict = { *peer, own, asked, nth, ahead, 0, 0 };

	return predict_ports(&predict, burst, ret);
}

/* All that one call makes us ping. */
static size_t all_bursts(const struct predict_nat *peer, enum disco_mapping own, bool asked,
	struct endpoint ret[static BURSTS_MAX])
{
	struct predict predict = { .peer = *peer, .own = own, .asked = asked, .ahead = ahead };
	size_t n = 0;

	for (unsigned burst = 0; burst < PREDICT_BURSTS; burst++) {
		size_t end;

		predict_begin(&predict, burst);
		end = n + predict_ports(&predict, burst, ret + n);
		for (; n < end; n++)
			predict_pinged(&predict, &ret[n]);
	}
	return n;
}

static bool is_among(const struct endpoint *list, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].port == port)
			return true;
	return false;
}

/* Ours keeps its port: what the peer had a little earlier and a little later, each once. */
static void test_around(void **state)
{
	struct predict_nat peer = counting(40000, 1), down = counting(40000, -2);
	struct endpoint list[BURSTS_MAX];
	size_t n = all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, true, list);

	assert_int_equal(n, 2 * PREDICT_PORTS);
	assert_int_equal(list[0].port, 40001);
	for (uint16_t port = 39950; port <= 40050; port++)
		assert_int_equal(is_among(list, n, port),
			port >= 40000 - 36 && port <= 40012 && port != 40000);
	n = all_bursts(&down, DISCO_MAPPING_UNKNOWN, false, list);
	assert_int_equal(list[0].port, 39998);
	assert_true(is_among(list, n, 40000 - 2 * 12));
	assert_true(is_among(list, n, 40000 + 2 * 36));
	assert_false(is_among(list, n, 39999));
}

/* The first @n of a call's. */
static void ping_some(struct predict *p, size_t n, bool pinged[static UINT16_MAX])
{
	for (unsigned burst = 0; burst < 2; burst++) {
		struct endpoint list[PREDICT_PORTS];
		size_t has;

		predict_begin(p, burst);
		has = predict_ports(p, burst, list);
		for (size_t i = 0; i < has && n > 0; i++, n--) {
			pinged[list[i].port] = true;
			predict_pinged(p, &list[i]);
		}
	}
}

/*
 * Each call goes further back, until none is left out: also where it may not ping as many as it
 * would, and where the count has moved on. Then it begins anew.
 */
static void test_before(void **state)
{
	static const size_t paces[] = { 48, 33, 26 };
	static const int16_t steps[] = { 1, -2 };

	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 2; k++) {
			struct predict_nat peer = counting(40000, steps[k]);
			struct predict p = { .own = DISCO_MAPPING_INDEPENDENT };
			static bool pinged[UINT16_MAX];

			memset(pinged, 0, sizeof(pinged));
			for (unsigned nth = 0; nth < 17; nth++) {
				predict_called(&p, &peer);
				ping_some(&p, paces[i], pinged);
				peer.last.port = (uint16_t) (peer.last.port + 3 * steps[k]);
			}
			for (int flow = 1; flow <= 150; flow++)
				assert_true(pinged[40000 - flow * steps[k]]);
			for (int call = 0; call < 8 && p.gone > 36; call++)
				ping_some(&p, 2 * PREDICT_PORTS, pinged);
			assert_int_equal(p.gone, 36);
		}
}

/* Another address, or a count that has begun anew, is another sweep. */
static void test_before_anew(void **state)
{
	struct predict_nat peer = counting(40000, 1);
	struct predict p = { .own = DISCO_MAPPING_INDEPENDENT };
	static bool pinged[UINT16_MAX];

	predict_called(&p, &peer);
	ping_some(&p, 2 * PREDICT_PORTS, pinged);
	assert_int_equal(p.gone, 36);
	peer.last.port = 40010;
	predict_called(&p, &peer);
	assert_int_equal(p.gone, 46);
	predict_called(&p, &peer); /* the same again */
	assert_int_equal(p.gone, 46);
	peer.last.port = 40009;
	predict_called(&p, &peer);
	assert_int_equal(p.gone, 0);
	ping_some(&p, 2 * PREDICT_PORTS, pinged);
	peer.last.addr.bytes[3]++;
	predict_called(&p, &peer);
	assert_int_equal(p.gone, 0);
}

static void test_nothing(void **state)
{
	struct predict_nat peer = counting(40000, 1);
	struct endpoint list[BURSTS_MAX];

	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_RANDOM, false, list), 0);
	assert_int_equal(ports(&peer, DISCO_MAPPING_COUNTING, false, 0, PREDICT_BURSTS, list), 0);
	peer.step = 0;
	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, false, list), 0);
	peer.step = INT16_MIN;
	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, false, list), 0);
	peer = counting(40000, 1);
	peer.last.addr.bytes[0] = 10; /* somebody's house */
	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, false, list), 0);
	peer.last.addr = (struct ip_addr){ AF_INET, { 100, 64, 0, 1 } };
	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, false, list), 0);
	peer.last.addr.family = 0;
	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, false, list), 0);
	peer = counting(40000, 1);
	peer.mapping = DISCO_MAPPING_RANDOM;
	assert_int_equal(all_bursts(&peer, DISCO_MAPPING_INDEPENDENT, false, list), 0);
}

/* None is one that programs of a router listen at, and none is beyond the last. */
static void test_ends_of_range(void **state)
{
	struct predict_nat low = counting(1030, 1), high = counting(65530, 1);
	struct endpoint list[BURSTS_MAX];
	size_t n = all_bursts(&low, DISCO_MAPPING_INDEPENDENT, false, list);

	assert_int_equal(n, 12 + 6);
	for (size_t i = 0; i < n; i++)
		assert_true(list[i].port >= 1024);
	assert_int_equal(all_bursts(&high, DISCO_MAPPING_COUNTING, false, list), 5);
}

/* --- two that count --- */

struct side {
	uint16_t last, shift; /* of its router; flows of others before its pings */
	uint16_t from[BURSTS_MAX], to[BURSTS_MAX]; /* ports of each ping */
	size_t n;
};

/* One flow after the other, each by the next port; where others come, from ping @at on. */
static void send_all(struct side *side, uint16_t peer_last, bool asked, size_t at)
{
	struct predict_nat peer = counting(peer_last, 1);
	struct endpoint list[BURSTS_MAX];
	uint16_t port = side->last;

	side->n = all_bursts(&peer, DISCO_MAPPING_COUNTING, asked, list);
	for (size_t i = 0; i < side->n; i++) {
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(list[i].port, list[k].port); /* else no new flow */
		port = (uint16_t) (port + 1 + (i == at ? side->shift : 0));
		side->from[i] = port;
		side->to[i] = list[i].port;
	}
}

static unsigned meetings(const struct side *a, const struct side *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			n += a->from[i] == b->to[k] && a->to[i] == b->from[k];
	return n;
}

/* Up to two flows of others, on either side or one on both, before or amid the pings. */
static void test_both_count(void **state)
{
	for (uint16_t i = 0; i < 9; i++)
		for (size_t at = 0; at < 12; at++) {
			struct side asked = { .last = 40000, .shift = i % 3 };
			struct side other = { .last = 50000, .shift = i / 3 };

			send_all(&asked, other.last, true, at);
			send_all(&other, asked.last, false, at);
			if (asked.shift + other.shift <= 2)
				assert_true(meetings(&asked, &other) >= 4);
		}
}

/* The next call's pings begin new flows, although nobody's in between moved the count on. */
static void test_both_count_again(void **state)
{
	struct side a = { .last = 40000 }, b = { .last = 50000 }, again = { 0 };

	send_all(&a, b.last, true, 0);
	send_all(&b, a.last, false, 0);
	again.last = (uint16_t) (a.from[a.n - 1] + 1); /* that is the sample's */
	send_all(&again, (uint16_t) (b.from[b.n - 1] + 1), true, 0);
	for (size_t i = 0; i < again.n; i++)
		for (size_t k = 0; k < a.n; k++)
			assert_int_not_equal(again.to[i], a.to[k]);
}

/* One has pinged what the other has not come to yet: its next pings are new flows all the same. */
static void test_both_count_ahead(void **state)
{
	for (int n = 1; n <= 16; n++) {
		struct side a = { .last = 40000 }, b = { .last = 50000 };

		ahead = n;
		send_all(&a, b.last, true, 0);
		ahead = 0;
		send_all(&b, a.last, false, 0);
		for (size_t i = 0; i < a.n; i++)
			assert_true(a.to[i] > 50000 + n || a.to[i] < 49000);
		assert_int_equal(a.n, b.n);
		if (n < 8)
			assert_true(meetings(&a, &b) >= 8U - (unsigned) n);
	}
}

/* Nor are those that are pinged in place of others the same with the next calls. */
static void test_both_count_others(void **state)
{
	for (uint16_t moved = 0; moved <= 2 * PREDICT_PORTS; moved++) {
		struct endpoint list[BURSTS_MAX];
		static bool pinged[UINT16_MAX];

		memset(pinged, 0, sizeof(pinged));
		for (uint16_t nth = 0; nth < 16; nth++) {
			struct predict_nat peer = counting((uint16_t) (40000 + nth * moved), 1);
			size_t n;

			ahead = 8;
			n = ports(&peer, DISCO_MAPPING_COUNTING, false, nth, 0, list);
			ahead = 0;
			for (size_t i = 0; i < n; i++) {
				assert_false(pinged[list[i].port]);
				pinged[list[i].port] = true;
			}
		}
	}
}

static void test_flows_to(void **state)
{
	struct predict_nat up = counting(40000, 2), down = counting(40000, -1);
	struct endpoint at = up.last;

	assert_int_equal(predict_flows_to(&up, &at), 0);
	at.port = 40020;
	assert_int_equal(predict_flows_to(&up, &at), 10);
	assert_int_equal(predict_flows_to(&down, &at), 0);
	at.port = 39990;
	assert_int_equal(predict_flows_to(&down, &at), 10);
	at.addr.bytes[0]++;
	assert_int_equal(predict_flows_to(&down, &at), 0);
}

/* --- the engine --- */

static struct ways w;
static uint64_t now_us, tx;
static struct ways_own own;
static unsigned n_calls, n_samples, n_predicted;
static const struct endpoint relay = { .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = 5000 };

/* Until @until_us; the relay answers at once. */
static void run_until(uint64_t until_us)
{
	struct ways_action action;

	for (;;) {
		while (ways_next(&w, now_us, ++tx, &action)) {
			n_calls += action.what == WAYS_CALL;
			n_samples += action.what == WAYS_SAMPLE;
			if (action.what == WAYS_PING && endpoint_equal(&action.to, &relay))
				(void) ways_pong(&w, &relay, tx, now_us);
			else if (action.what == WAYS_PING)
				n_predicted++;
		}
		if (ways_deadline(&w) > until_us)
			break;
		now_us = ways_deadline(&w);
	}
	now_us = until_us;
}

static int set_up(void **state)
{
	ways_init(&w);
	now_us = 1000 * SECOND;
	n_calls = n_samples = n_predicted = 0;
	own = (struct ways_own){ .mapping = DISCO_MAPPING_INDEPENDENT };
	return 0;
}

static int tear_down(void **state)
{
	ways_done(&w);
	return 0;
}

static void begin(enum disco_mapping mapping)
{
	own.mapping = mapping;
	ways_own(&w, &own, now_us);
	ways_relayed(&w, &relay, now_us);
	run_until(now_us);
}

static bool take_call(const struct predict_nat *peer)
{
	ways_nat(&w, peer);
	return ways_called(&w, NULL, 0, now_us);
}

/* It calls when it is told how far its router is; or when it is not told for a while. */
static void test_sample_first(void **state)
{
	begin(DISCO_MAPPING_COUNTING);
	assert_int_equal(n_samples, 1);
	run_until(now_us + 100 * MS);
	assert_int_equal(n_calls, 0);
	ways_sampled(&w, now_us);
	run_until(now_us);
	assert_int_equal(n_calls, 1);
	ways_sampled(&w, now_us); /* once more */
	run_until(now_us + 900 * MS);
	assert_int_equal(n_calls, 1);
	run_until(now_us + 300 * MS);
	assert_int_equal(n_samples, 2);
	run_until(now_us + WAYS_SAMPLE_US);
	assert_int_equal(n_calls, 2);
}

static void test_no_sample(void **state)
{
	begin(DISCO_MAPPING_INDEPENDENT);
	run_until(now_us + 60 * SECOND);
	assert_true(n_calls > 3);
	assert_int_equal(n_samples, 0);
}

/* Ours does not count: at the moment of the peer's call. */
static void test_called(void **state)
{
	struct predict_nat peer = counting(40000, 1);

	begin(DISCO_MAPPING_INDEPENDENT);
	run_until(now_us + 500 * MS);
	assert_int_equal(n_predicted, 0);
	assert_true(take_call(&peer));
	run_until(now_us);
	assert_int_equal(n_predicted, PREDICT_PORTS);
	run_until(now_us + 400 * MS);
	assert_int_equal(n_predicted, 2 * PREDICT_PORTS);
	peer.mapping = DISCO_MAPPING_INDEPENDENT;
	assert_true(take_call(&peer));
	run_until(now_us + 400 * MS);
	assert_int_equal(n_predicted, 2 * PREDICT_PORTS);
}

/* Both count: only when each knows of a moment ago how far the other is. */
static void test_both_called(void **state)
{
	struct predict_nat peer = counting(40000, 1);

	begin(DISCO_MAPPING_COUNTING);
	ways_sampled(&w, now_us);
	run_until(now_us + 400 * MS);
	assert_int_equal(n_calls, 1);
	assert_int_equal(n_predicted, 0);
	assert_true(take_call(&peer)); /* the answer */
	run_until(now_us + 350 * MS);
	assert_int_equal(n_predicted, 24);
	assert_true(take_call(&peer)); /* it has crossed ours */
	run_until(now_us + WAYS_CALL_CROSS_US);
	n_samples = n_calls = 1;       /* and one of ours, which had none */
	assert_true(take_call(&peer)); /* none: it is answered, by one with a sample of its own */
	run_until(now_us + 50 * MS);
	assert_int_equal(n_predicted, 24);
	assert_int_equal(n_samples, 2);
	assert_int_equal(n_calls, 1);
	ways_sampled(&w, now_us);
	run_until(now_us + 350 * MS);
	assert_int_equal(n_calls, 2);
	assert_int_equal(n_predicted, 48);
}

/* Whatever a peer says how often, and never to ourselves. */
static void test_bounds(void **state)
{
	struct predict_nat peer = counting(40000, 1);
	uint64_t end_us = now_us + 3600 * SECOND;
	unsigned most;

	begin(DISCO_MAPPING_INDEPENDENT);
	for (; now_us < end_us; run_until(now_us + 100 * MS)) {
		peer.last.port = (uint16_t) (2000 + tx % 60000);
		(void) take_call(&peer);
	}
	most = WAYS_PREDICTED + 3600 * SECOND / WAYS_PREDICTED_EVERY_US;
	assert_in_range(n_predicted, most / 2, most + 1);
	own.list[0] = peer.last;
	own.n = own.n_local = 1;
	ways_own(&w, &own, now_us);
	run_until(now_us + 60 * SECOND);
	n_predicted = 0;
	assert_true(take_call(&peer));
	run_until(now_us + SECOND);
	assert_int_equal(n_predicted, 0);
}

#define ENGINE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_around),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_before_anew),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_ends_of_range),
		cmocka_unit_test(test_both_count),
		cmocka_unit_test(test_both_count_again),
		cmocka_unit_test(test_both_count_ahead),
		cmocka_unit_test(test_both_count_others),
		cmocka_unit_test(test_flows_to),
		ENGINE(test_sample_first),
		ENGINE(test_no_sample),
		ENGINE(test_called),
		ENGINE(test_both_called),
		ENGINE(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
