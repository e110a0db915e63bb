/*
 * The queue to one client, with a clock of its own: turns, depth, and what goes when there is too
 * much. Nothing sleeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/derp-queue.h"

enum { PACKET = 1400, MS = 1000 };

static const uint8_t bytes[65536];

static bool put(struct derp_queue *q, uint64_t sender, size_t len, uint64_t now)
{
	uint8_t head[8];

	memcpy(head, &sender, sizeof(head));
	return derp_queue_put(q, sender, head, sizeof(head), bytes, len - sizeof(head), now);
}

/* The sender of the next one, 0: none. */
static uint64_t take(struct derp_queue *q, uint64_t now, size_t *ret_len)
{
	struct derp_packet *p = derp_queue_take(q, now);
	uint64_t sender = 0;

	if (!p)
		return 0;
	memcpy(&sender, p->data, sizeof(sender));
	if (ret_len)
		*ret_len = p->len;
	(void) derp_packet_free(p);
	return sender;
}

static uint64_t dropped(const struct derp_pool *pool)
{
	uint64_t n = 0;

	for (int i = 0; i < DERP_DROPS; i++)
		n += pool->drops[i];
	return n;
}

static void test_in_order(void **state)
{
	struct derp_pool pool = { .max = 1 << 20 };
	struct derp_queue q;
	uint8_t head = 0;

	derp_queue_init(&q, &pool);
	assert_true(derp_queue_is_empty(&q));
	assert_null(derp_queue_take(&q, 0));
	for (head = 0; head < 100; head++)
		assert_true(derp_queue_put(&q, 7, &head, 1, bytes, head, 5));
	for (head = 0; head < 100; head++) {
		struct derp_packet *p = derp_queue_take(&q, 5 + head);

		assert_non_null(p);
		assert_int_equal(p->data[0], head);
		assert_int_equal(p->len, 1 + head);
		(void) derp_packet_free(p);
	}
	assert_null(derp_queue_take(&q, 200));
	assert_int_equal(pool.used, 0);
	assert_int_equal(pool.taken, 100);
	assert_int_equal(pool.delay_max_us, 99);
	assert_int_equal(dropped(&pool), 0);
	derp_queue_done(&q);
}

/* Those who flood wait for each other: one packet of another goes before all but one of theirs. */
static void test_sparse_first(void **state)
{
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;

	derp_queue_init(&q, &pool);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(put(&q, 1 + i % 20, PACKET, 0));
	for (int i = 0; i < 100; i++)
		assert_in_range(take(&q, 0, NULL), 1, 20);
	assert_true(put(&q, 21, 200, 0));
	unsigned before = 0;

	while (take(&q, 0, NULL) != 21)
		before++;
	assert_in_range(before, 0, 1);
	derp_queue_done(&q);
	assert_int_equal(pool.drops[DERP_DROP_GONE], 1000 - 100 - before);
	assert_int_equal(pool.used, 0);
}

/* Each of three gets a third of the bytes, whatever their packets. */
static void test_turns_by_bytes(void **state)
{
	static const size_t lens[] = { 60000, 1400, 100 };
	uint64_t got[3] = { 0 };
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;
	size_t len = 0, total = 0;

	derp_queue_init(&q, &pool);
	for (int s = 0; s < 3; s++)
		for (size_t n = 0; n < 1000000; n += lens[s])
			assert_true(put(&q, (uint64_t) s + 1, lens[s], 0));
	while (total < 2000000) {
		uint64_t s = take(&q, 0, &len);

		assert_in_range(s, 1, 3);
		got[s - 1] += len;
		total += len;
	}
	for (int s = 0; s < 3; s++)
		assert_in_range(got[s], 600000, 740000);
	derp_queue_done(&q);
}

/* 50 ms of 300 Mbit/s at once, and then it drains at that speed: nothing is lost. */
static void test_deep_enough(void **state)
{
	const size_t burst = 300 * 1000 * 1000 / 8 / 20;
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;
	size_t put_bytes = 0, len = 0;
	double now = 0;

	derp_queue_init(&q, &pool);
	for (; put_bytes < burst; put_bytes += PACKET)
		assert_true(put(&q, 1, PACKET, 0));
	while (take(&q, (uint64_t) now, &len)) {
		now += (double) len * 8 / 300;
		put_bytes -= len;
	}
	assert_int_equal(put_bytes, 0);
	assert_int_equal(dropped(&pool), 0);
	derp_queue_done(&q);
}

/*
 * A sender as TCP is one (a window, cut at most once per round trip when something is lost)
 * through a line of 100 Mbit/s, 50 ms: the line is used, and packets do not wait long.
 */
static void test_tcp_inside(void **state)
{
	enum { RTT = 50, MS_ALL = 20000, PER_MS = 9 /* packets: 100 Mbit/s */ };
	static unsigned acks[MS_ALL + RTT + 1];
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;
	double window = 10;
	unsigned in_flight = 0, sent_late = 0;
	uint64_t lost = 0, cut_ms = 0, delay_late = 0, taken_late = 0;

	derp_queue_init(&q, &pool);
	for (unsigned ms = 0; ms < MS_ALL; ms++) {
		uint64_t now = (uint64_t) ms * MS + 1, drops = dropped(&pool);

		in_flight -= acks[ms];
		window += lost ? acks[ms] / window : acks[ms]; /* slow start until the first loss */
		if (drops > lost) {
			in_flight -= (unsigned) (drops - lost);
			lost = drops;
			if (ms - cut_ms >= RTT) {
				cut_ms = ms;
				window *= 0.7; /* as CUBIC does */
			}
		}
		for (; in_flight < (unsigned) window; in_flight++)
			assert_true(put(&q, 1, PACKET, now));
		if (ms == MS_ALL / 2) {
			delay_late = pool.delay_us;
			taken_late = pool.taken;
		}
		for (unsigned n = 0; n < PER_MS && take(&q, now, NULL); n++) {
			acks[ms + RTT]++;
			sent_late += ms >= MS_ALL / 2;
		}
	}
	delay_late = (pool.delay_us - delay_late) / (pool.taken - taken_late);
	print_message("used %u %%, waited %u us on average, %u lost\n",
		sent_late * 100 / (PER_MS * MS_ALL / 2), (unsigned) delay_late, (unsigned) lost);
	assert_in_range(sent_late * 100 / (PER_MS * MS_ALL / 2), 85, 100);
	assert_in_range(delay_late, 0, 15 * MS);
	assert_int_equal(pool.drops[DERP_DROP_SLOW], lost);
	assert_true(lost > 0);
	derp_queue_done(&q);
}

/* One that cannot be slowed down hurts itself: the other's packets keep their short wait. */
static void test_flood_and_quiet(void **state)
{
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;
	unsigned quiet_sent = 0, quiet_got = 0;

	derp_queue_init(&q, &pool);
	for (uint64_t ms = 0; ms < 5000; ms++) {
		for (int i = 0; i < 50; i++)
			(void) put(&q, 1, PACKET, ms * MS);
		if (ms % 20 == 0) {
			assert_true(put(&q, 2, 300, ms * MS));
			quiet_sent++;
		}
		for (int i = 0; i < 9; i++)
			quiet_got += take(&q, ms * MS, NULL) == 2;
		assert_int_equal(quiet_got, quiet_sent); /* within the same millisecond */
	}
	assert_true(pool.drops[DERP_DROP_FULL] > 100000);
	derp_queue_done(&q);
}

static void test_stale(void **state)
{
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;

	derp_queue_init(&q, &pool);
	for (int i = 0; i < 100; i++)
		assert_true(put(&q, 1, PACKET, 0));
	assert_true(put(&q, 1, PACKET, 500 * MS));
	assert_int_equal(take(&q, 1001 * MS, NULL), 1);
	assert_int_equal(take(&q, 1001 * MS, NULL), 0);
	assert_int_equal(pool.drops[DERP_DROP_STALE], 100);
	derp_queue_done(&q);
}

static void test_share(void **state)
{
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;

	derp_queue_init(&q, &pool);
	for (int i = 0; i < 10000; i++) {
		assert_true(put(&q, 1, PACKET, 0));
		assert_in_range(q.bytes, 0, DERP_QUEUE_BYTES_MAX);
	}
	/* who holds most loses, not who comes */
	for (int i = 0; i < 100; i++)
		assert_true(put(&q, 2, PACKET, 0));
	unsigned of_two = 0;

	for (uint64_t s; (s = take(&q, 0, NULL));)
		of_two += s == 2;
	assert_int_equal(of_two, 100);
	assert_int_equal(pool.drops[DERP_DROP_FULL], 10000 + 100 - pool.taken);
	derp_queue_done(&q);
}

/* However many read nothing, whoever reads has room for a packet. */
static void test_pool(void **state)
{
	enum { STUCK = 300 };
	struct derp_pool pool = { .max = 8 << 20 };
	struct derp_queue stuck[STUCK], good;

	derp_queue_init(&good, &pool);
	for (int k = 0; k < STUCK; k++)
		derp_queue_init(&stuck[k], &pool);
	for (int i = 0; i < 1000; i++)
		for (int k = 0; k < STUCK; k++) {
			(void) put(&stuck[k], 1, PACKET, 0);
			assert_true(pool.used <= pool.max);
			if (k % 10 == 0) {
				assert_true(put(&good, 1, PACKET, 0));
				assert_int_equal(take(&good, 0, NULL), 1);
			}
		}
	for (int k = 0; k < STUCK; k++) {
		assert_true(stuck[k].bytes > 0);
		derp_queue_done(&stuck[k]);
	}
	derp_queue_done(&good);
	assert_int_equal(pool.used, 0);
}

static void test_too_small_a_pool(void **state)
{
	struct derp_pool pool = { .max = 1000 };
	struct derp_queue q;

	derp_queue_init(&q, &pool);
	assert_false(put(&q, 1, PACKET, 0));
	assert_int_equal(pool.drops[DERP_DROP_FULL], 1);
	assert_true(put(&q, 1, 300, 0));
	derp_queue_done(&q);
}

/* So many senders and no more; those that are silent give way, and then are forgotten. */
static void test_senders(void **state)
{
	struct derp_pool pool = { .max = 64 << 20 };
	struct derp_queue q;
	uint64_t s;

	derp_queue_init(&q, &pool);
	for (s = 1; s <= DERP_QUEUE_FLOWS_MAX; s++)
		assert_true(put(&q, s, 100, 0));
	assert_false(put(&q, s, 100, 0));
	assert_true(put(&q, 1, 100, 0));
	while (take(&q, 0, NULL))
		;
	assert_int_equal(q.n_flows, DERP_QUEUE_FLOWS_MAX);
	assert_true(put(&q, s, 100, 10));
	assert_int_equal(q.n_flows, DERP_QUEUE_FLOWS_MAX);
	assert_int_equal(take(&q, 10, NULL), s);
	assert_true(derp_queue_tidy(&q, DERP_QUEUE_IDLE_US - 1));
	assert_int_equal(take(&q, 10, NULL), 0);
	assert_false(derp_queue_tidy(&q, DERP_QUEUE_IDLE_US + 10));
	assert_int_equal(q.n_flows, 0);
	derp_queue_done(&q);
}

/* Whatever happens, each packet is taken, dropped for a reason, or waits. */
static void test_nothing_unseen(void **state)
{
	struct derp_pool pool = { .max = 1 << 20 };
	struct derp_queue q;
	uint64_t now = 0, tried = 0, took = 0;

	srand(12);
	derp_queue_init(&q, &pool);
	for (int i = 0; i < 200000; i++) {
		now += (uint64_t) rand() % 3000;
		if (rand() % 100 < 55) {
			(void) put(
				&q, 1 + (uint64_t) rand() % 300, 8 + (size_t) rand() % 9000, now);
			tried++;
		} else {
			took += take(&q, now, NULL) != 0;
		}
		if (rand() % 1000 == 0)
			(void) derp_queue_tidy(&q, now);
		assert_true(pool.used == q.bytes && pool.used <= pool.max);
	}
	derp_queue_done(&q);
	assert_int_equal(pool.used, 0);
	assert_int_equal(pool.taken, took);
	assert_int_equal(took + dropped(&pool), tried);
	for (int i = 0; i < DERP_DROP_MEMORY; i++)
		assert_true(pool.drops[i] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_sparse_first),
		cmocka_unit_test(test_turns_by_bytes),
		cmocka_unit_test(test_deep_enough),
		cmocka_unit_test(test_tcp_inside),
		cmocka_unit_test(test_flood_and_quiet),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_too_small_a_pool),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_nothing_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
