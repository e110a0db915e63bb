/*
 * The engine's data structures: replay window, allowed addresses (against a plain list, with random
 * operations), session indexes, deadlines, handshake rates and timestamps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wg/heap.h"
#include "wg/index.h"
#include "wg/ratelimit.h"
#include "wg/replay.h"
#include "wg/stamp.h"
#include "wg/trie.h"

static uint64_t seed;

/* splitmix64: the same numbers in every run */
static uint64_t next_random(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return (unsigned) (next_random() % n);
}

static int setup(void **state)
{
	seed = 1;
	return sodium_init() < 0 ? -1 : 0;
}

/* Replay */

static void test_replay_cases(void **state)
{
	enum { W = WG_REPLAY_WINDOW };
	const uint64_t limit = UINT64_MAX - 8192;
	const struct {
		uint64_t counter;
		bool accepted;
	} cases[] = {
		{ 0, true },
		{ 0, false },
		{ 1, true },
		{ 1, false },
		{ 9, true },
		{ 8, true },
		{ 7, true },
		{ 7, false },
		{ 8, false },
		{ 63, true },
		{ 64, true },
		{ 63, false },
		{ 62, true },
		{ W, true },
		{ W, false },
		{ 0, false },
		{ 2, true },
		{ W + 16, true },
		{ 14, false },
		{ 15, false },
		{ 16, false },
		{ 17, true },
		{ 17, false },
		{ W + 64, true },
		{ W + 65, true },
		{ 65, false },
		{ 66, true },
		{ 3 * W, true },
		{ 2 * W, false },
		{ 2 * W + 1, true },
		{ 2 * W + 1, false },
		{ limit - 1, true },
		{ limit, false },
		{ limit + 1, false },
		{ UINT64_MAX, false },
		{ limit - 1, false },
		{ limit - 2, true },
		{ limit - W, true },
		{ limit - W - 1, false },
		{ 3, false },
	};
	struct wg_replay replay = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (wg_replay_accept(&replay, cases[i].counter, limit) != cases[i].accepted)
			fail_msg(
				"case %zu, counter %llu", i, (unsigned long long) cases[i].counter);
}

/* Against a plain array of what was seen, with jumps of every size. */
static void test_replay_model(void **state)
{
	enum { N = 400000 };
	CLEANUP(free_p) uint8_t *seen = calloc(N, 1);
	struct wg_replay replay = { 0 };
	uint64_t top = 0;
	bool any = false;

	assert_non_null(seen);
	for (unsigned i = 0; i < 300000; i++) {
		uint64_t c;

		switch (below(8)) {
		case 0:
			c = top + below(64);
			break;
		case 1:
			c = i % 97 ? top + 1 : top + below(20000);
			break;
		default:
			c = top - below(9000);
		}
		if (c >= N)
			continue;
		bool expected = !seen[c] && (!any || c > top || top - c < WG_REPLAY_WINDOW);

		if (wg_replay_accept(&replay, c, UINT64_MAX) != expected)
			fail_msg("step %u counter %llu top %llu", i, (unsigned long long) c,
				(unsigned long long) top);
		if (!expected)
			continue;
		seen[c] = 1;
		any = true;
		if (c > top)
			top = c;
	}
	assert_true(top > N / 2);
}

/* Allowed addresses */

enum { OWNERS = 20, MODEL_MAX = 3000 };

struct model {
	struct {
		struct ip_prefix prefix;
		int owner;
	} rows[MODEL_MAX];
	size_t n;
};

static int model_find(const struct model *m, const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < m->n; i++)
		if (ip_prefix_equal(&m->rows[i].prefix, prefix))
			return (int) i;
	return -1;
}

static int model_lookup(const struct model *m, const struct ip_addr *addr)
{
	int owner = -1, best = -1;

	for (size_t i = 0; i < m->n; i++)
		if (m->rows[i].prefix.len > best && ip_prefix_contains(&m->rows[i].prefix, addr)) {
			best = m->rows[i].prefix.len;
			owner = m->rows[i].owner;
		}
	return owner;
}

/* Few distinct bits, so that prefixes nest and collide. */
static struct ip_addr random_addr(void)
{
	struct ip_addr a = { .family = below(2) ? AF_INET : AF_INET6 };

	for (unsigned i = 0; i < ip_bytes(a.family); i++)
		a.bytes[i] = (uint8_t) (below(3) ? 0 : below(4) ? 1u << below(8) : below(256));
	return a;
}

static struct ip_prefix random_prefix(void)
{
	struct ip_addr a = random_addr();

	return ip_prefix_of(&a, (uint8_t) below(ip_bits(a.family) + 1));
}

static void each(const struct wg_trie_list *list,
	void (*fn)(void *ctx, const struct ip_prefix *prefix), void *ctx)
{
	const struct wg_trie_node *at = NULL;

	wg_trie_some(list, &at, SIZE_MAX, fn, ctx);
	assert_null(at);
}

static void count_one(void *ctx, const struct ip_prefix *prefix)
{
	size_t *n = ctx;

	(*n)++;
}

static void test_trie_model(void **state)
{
	CLEANUP(free_p) struct model *m = calloc(1, sizeof(*m));
	struct wg_trie trie = { 0 };
	struct wg_trie_list lists[OWNERS] = { 0 };

	assert_non_null(m);
	for (unsigned i = 0; i < OWNERS; i++)
		lists[i].owner = &lists[i];
	for (unsigned step = 0; step < 60000; step++) {
		struct ip_prefix prefix = random_prefix();
		int owner = (int) below(OWNERS), at = model_find(m, &prefix);
		unsigned what = below(100);

		if (what < 30 && m->n < MODEL_MAX) {
			assert_int_equal(wg_trie_insert(&trie, &prefix, &lists[owner]), 0);
			if (at < 0)
				m->rows[at = (int) m->n++].prefix = prefix;
			m->rows[at].owner = owner;
		} else if (what < 45) {
			if (m->n && below(4)) { /* mostly one that exists */
				at = (int) below((unsigned) m->n);
				prefix = m->rows[at].prefix;
				owner = below(8) ? m->rows[at].owner : owner;
			}
			int r = wg_trie_remove(&trie, &prefix, &lists[owner]);

			assert_int_equal(r, at >= 0 && m->rows[at].owner == owner ? 0 : -ENOENT);
			if (r == 0)
				m->rows[at] = m->rows[--m->n];
		} else if (what == 45 && !below(4)) {
			wg_trie_remove_oldest(&trie, &lists[owner], SIZE_MAX);
			for (size_t i = 0; i < m->n;)
				if (m->rows[i].owner == owner)
					m->rows[i] = m->rows[--m->n];
				else
					i++;
		} else {
			struct ip_addr addr = random_addr();
			struct wg_trie_list *got = wg_trie_lookup(&trie, addr.family, addr.bytes);
			int expected = model_lookup(m, &addr);

			assert_ptr_equal(got, expected < 0 ? NULL : &lists[expected]);
		}
	}
	size_t listed = 0;

	for (unsigned i = 0; i < OWNERS; i++)
		each(&lists[i], count_one, &listed);
	assert_int_equal(listed, m->n);
	assert_true(m->n > 100);
	for (unsigned i = 0; i < OWNERS; i++)
		wg_trie_remove_oldest(&trie, &lists[i], SIZE_MAX);
	assert_null(trie.root4);
	assert_null(trie.root6);
	wg_trie_done(&trie);
}

static void remember(void *ctx, const struct ip_prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	strcat(strcat(ctx, ip_prefix_format(prefix, text)), " ");
}

static void test_trie_edges(void **state)
{
	struct wg_trie trie = { 0 };
	struct wg_trie_list a = { .owner = &a }, b = { .owner = &b };
	const struct wg_trie_node *at = NULL;
	static const char *const texts[] = { "10.0.0.0/8", "::/0", "10.1.2.3/32", "fd00::1/128",
		"0.0.0.0/0", "fd00::/63", "fd00::/64", "fd00::/65" };
	char listed[400] = "";
	struct ip_prefix p;
	struct ip_addr addr;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(ip_prefix_parse(texts[i], &p), 0);
		assert_int_equal(wg_trie_insert(&trie, &p, &a), 0);
		assert_int_equal(wg_trie_insert(&trie, &p, &a), 0); /* again: nothing changes */
	}
	assert_int_equal(a.n, ARRAY_LEN(texts));
	each(&a, remember, listed);
	assert_string_equal(listed, "10.0.0.0/8 ::/0 10.1.2.3/32 fd00::1/128 0.0.0.0/0 fd00::/63 "
				    "fd00::/64 fd00::/65 ");
	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &p), 0);
	assert_int_equal(wg_trie_insert(&trie, &p, &b), 0); /* another takes it */
	assert_int_equal(a.n, ARRAY_LEN(texts) - 1);
	assert_int_equal(wg_trie_remove(&trie, &p, &a), -ENOENT);
	assert_int_equal(ip_addr_parse("10.9.9.9", &addr), 0);
	assert_ptr_equal(wg_trie_lookup(&trie, AF_INET, addr.bytes), &b);
	assert_int_equal(ip_addr_parse("10.1.2.3", &addr), 0);
	assert_ptr_equal(wg_trie_lookup(&trie, AF_INET, addr.bytes), &a);
	assert_int_equal(wg_trie_remove(&trie, &p, &b), 0);
	assert_null(b.first);
	assert_null(wg_trie_lookup(&trie, AF_UNSPEC, addr.bytes));
	wg_trie_remove_oldest(&trie, &a, 0);
	assert_int_equal(a.n, ARRAY_LEN(texts) - 1);
	wg_trie_remove_oldest(&trie, &a, 3); /* not more, and in order */
	listed[0] = '\0';
	each(&a, remember, listed);
	assert_string_equal(listed, "0.0.0.0/0 fd00::/63 fd00::/64 fd00::/65 ");
	listed[0] = '\0';
	wg_trie_some(&a, &at, 1, remember, listed);
	assert_string_equal(listed, "0.0.0.0/0 ");
	wg_trie_some(&a, &at, 2, remember, listed);
	assert_string_equal(listed, "0.0.0.0/0 fd00::/63 fd00::/64 ");
	assert_non_null(at);
	wg_trie_some(&a, &at, 9, remember, listed);
	assert_string_equal(listed, "0.0.0.0/0 fd00::/63 fd00::/64 fd00::/65 ");
	assert_null(at);

	p.len = 33;
	assert_int_equal(wg_trie_insert(&trie, &p, &a), -EINVAL);
	p.len = 7;
	p.addr.bytes[0] = 1; /* a bit behind the prefix */
	assert_int_equal(wg_trie_insert(&trie, &p, &a), -EINVAL);
	p.addr.family = AF_UNIX;
	assert_int_equal(wg_trie_insert(&trie, &p, &a), -EINVAL);
	assert_int_equal(wg_trie_remove(&trie, &p, &a), -ENOENT);
	wg_trie_done(&trie);
}

/* 100,000 prefixes; a look-up takes at most as many steps as the address has bits. */
static void test_trie_many(void **state)
{
	enum { N = 100000 };
	struct wg_trie trie = { 0 };
	static struct wg_trie_list lists[1000];

	for (unsigned i = 0; i < ARRAY_LEN(lists); i++)
		lists[i] = (struct wg_trie_list){ .owner = &lists[i] };
	for (uint32_t i = 0; i < N; i++) {
		uint32_t v = i * UINT32_C(2654435761); /* odd factor: all different */
		struct ip_prefix p = { .addr = { .family = AF_INET,
					       .bytes = { (uint8_t) (v >> 24), (uint8_t) (v >> 16),
						       (uint8_t) (v >> 8), (uint8_t) v } },
			.len = 32 };

		assert_int_equal(wg_trie_insert(&trie, &p, &lists[i % ARRAY_LEN(lists)]), 0);
	}
	for (uint32_t i = 0; i < N; i++) {
		uint32_t v = i * UINT32_C(2654435761);
		const uint8_t addr[4] = { (uint8_t) (v >> 24), (uint8_t) (v >> 16),
			(uint8_t) (v >> 8), (uint8_t) v };

		assert_ptr_equal(
			wg_trie_lookup(&trie, AF_INET, addr), &lists[i % ARRAY_LEN(lists)]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
		assert_int_equal(lists[i].n, N / ARRAY_LEN(lists));
		wg_trie_remove_oldest(&trie, &lists[i], SIZE_MAX);
	}
	assert_null(trie.root4);
}

/* Session indexes */

static void test_index(void **state)
{
	enum { N = 20000 };
	struct wg_index index = { 0 };
	static uint32_t values[N];
	static char owners[N]; /* their addresses stand for peers */

	assert_null(wg_index_find(&index, 5));
	wg_index_remove(&index, 5);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++)
			if (!values[i])
				assert_int_equal(wg_index_add(&index, (struct wg_peer *) &owners[i],
							 NULL, &values[i]),
					0);
		assert_int_equal(index.used, N);
		for (unsigned i = 0; i < N; i++)
			assert_ptr_equal(wg_index_find(&index, values[i])->peer, &owners[i]);
		for (unsigned i = 0; i < N; i++)
			if (below(3)) {
				wg_index_remove(&index, values[i]);
				assert_null(wg_index_find(&index, values[i]));
				values[i] = 0;
			}
		for (unsigned i = 0; i < N; i++)
			if (values[i])
				assert_ptr_equal(
					wg_index_find(&index, values[i])->peer, &owners[i]);
	}
	wg_index_done(&index);
}

/* Deadlines */

static void test_heap(void **state)
{
	enum { N = 2000 };
	static struct wg_heap_node nodes[N];
	struct wg_heap heap = { 0 };

	assert_null(wg_heap_first(&heap));
	assert_int_equal(wg_heap_reserve(&heap, N), 0);
	for (unsigned step = 0; step < 40000; step++) {
		struct wg_heap_node *node = &nodes[below(N)];

		if (below(3))
			wg_heap_set(&heap, node, below(1000000));
		else
			wg_heap_remove(&heap, node);
	}
	uint64_t last = 0;
	size_t n = heap.n;

	while (wg_heap_first(&heap)) {
		struct wg_heap_node *first = wg_heap_first(&heap);

		assert_true(first->at_us >= last);
		last = first->at_us;
		wg_heap_remove(&heap, first);
		assert_int_equal(first->place, 0);
		n--;
	}
	assert_int_equal(n, 0);
	wg_heap_done(&heap);
}

/* Handshake rates */

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static unsigned allowed_of(
	struct wg_ratelimit *limit, const struct ip_addr *source, unsigned n, uint64_t now)
{
	unsigned allowed = 0;

	for (unsigned i = 0; i < n; i++)
		allowed += wg_ratelimit_allow(limit, source, now);
	return allowed;
}

static void test_ratelimit(void **state)
{
	struct wg_ratelimit *limit = wg_ratelimit_new();
	uint64_t now = 10000000;
	struct ip_addr a = addr_of("192.0.2.1"), b = addr_of("192.0.2.2");
	struct ip_addr six = addr_of("2001:db8::1"), same64 = addr_of("2001:db8::ffff:0:0:1"),
		       other64 = addr_of("2001:db8:0:1::1"), mixed = addr_of("c000:201::");

	assert_non_null(limit);
	assert_int_equal(allowed_of(limit, &a, 20, now), 5);
	assert_int_equal(allowed_of(limit, &b, 20, now), 5);
	assert_int_equal(allowed_of(limit, &mixed, 20, now), 5); /* same bytes, other family */
	assert_int_equal(allowed_of(limit, &six, 3, now), 3);
	assert_int_equal(allowed_of(limit, &same64, 20, now), 2);
	assert_int_equal(allowed_of(limit, &other64, 20, now), 5);
	assert_int_equal(allowed_of(limit, &a, 20, now + 49999), 0);
	assert_int_equal(allowed_of(limit, &a, 20, now + 50000), 1);
	assert_int_equal(allowed_of(limit, &a, 20, now + 150000), 2);
	assert_int_equal(allowed_of(limit, &a, 20, now + 99000000), 5);
	unsigned allowed = 0;

	now += 200000000;
	for (unsigned i = 0; i < 10000; i++) /* one each millisecond for 10 s */
		allowed += wg_ratelimit_allow(limit, &a, now + i * 1000);
	assert_in_range(allowed, 200, 205);
	wg_ratelimit_free(limit);
}

static void test_ratelimit_full(void **state)
{
	struct wg_ratelimit *limit = wg_ratelimit_new();
	uint64_t now = 5000000;
	struct ip_addr a = { .family = AF_INET };

	for (unsigned i = 0; i < WG_RATELIMIT_SOURCES; i++) {
		memcpy(a.bytes, &i, 4);
		assert_true(wg_ratelimit_allow(limit, &a, now + i));
	}
	a.bytes[3] = 77;
	assert_false(wg_ratelimit_allow(limit, &a, now + 999999)); /* all still young */
	assert_true(wg_ratelimit_allow(limit, &a, now + 1000000)); /* the oldest is forgotten */
	a.bytes[3] = 78;
	assert_false(wg_ratelimit_allow(limit, &a, now + 1000000));
	for (unsigned i = 0; i < 3 * WG_RATELIMIT_SOURCES; i++) {
		unsigned v = i * 2654435761u;

		memcpy(a.bytes, &v, 4);
		assert_true(wg_ratelimit_allow(limit, &a, now + 5000000 + i * 1000));
	}
	wg_ratelimit_free(limit);
}

/* Timestamps */

static void test_stamps(void **state)
{
	struct wg_stamp_clock clock;
	struct wg_stamp last = { 0 }, stamp;
	const uint64_t wall = UINT64_C(1700000000999999), now = 1000;
	static const uint8_t expected[12] = { 0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x3b, 0, 0,
		0 };
	uint8_t bytes[12];

	wg_stamp_clock_init(&clock, 0);
	stamp = wg_stamp_next(&clock, &last, now, wall);
	assert_true(stamp.s == 1700000000);
	assert_int_equal(stamp.ns, 0x3b000000); /* rounded down to 2^24 ns */
	wg_stamp_format(&stamp, bytes);
	assert_memory_equal(bytes, expected, 12);
	last = stamp;
	stamp = wg_stamp_next(
		&clock, &last, now, wall); /* at once: the next step, over the second */
	assert_true(stamp.s == 1700000001 && stamp.ns == 0);
	last = stamp;
	stamp = wg_stamp_next(
		&clock, &last, now + 60000000, wall - 86400000000); /* clock set back */
	assert_true(stamp.s == 1700000060);
	last = stamp;
	stamp = wg_stamp_next(&clock, &last, now + 61000000, wall + 86400000000); /* and forward */
	assert_true(stamp.s == 1700086400);

	wg_stamp_clock_init(&clock, 1700000000); /* a board whose clock is years behind */
	memset(&last, 0, sizeof(last));
	stamp = wg_stamp_next(&clock, &last, now, 0);
	assert_true(stamp.s == 1700000000);
	assert_true(stamp.s >= clock.reserved_s);
	for (unsigned i = 0; i < 1000; i++) {
		last = stamp;
		stamp = wg_stamp_next(&clock, &last, now + i * 1000, i * 1000);
		assert_true(stamp.s > last.s || (stamp.s == last.s && stamp.ns > last.ns));
		assert_int_equal(stamp.ns % (1 << 24), 0);
		assert_true(stamp.ns < 1000000000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_cases),
		cmocka_unit_test(test_replay_model),
		cmocka_unit_test(test_trie_model),
		cmocka_unit_test(test_trie_edges),
		cmocka_unit_test(test_trie_many),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_ratelimit),
		cmocka_unit_test(test_ratelimit_full),
		cmocka_unit_test(test_stamps),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
