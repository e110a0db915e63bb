/*
 * mtus: which way is probed, what is told of it and when, and that what is idle costs nothing. What
 * it decides from that is test-mtu's.
 */
#include "fake-core.h"

#include "node/mtus.h"
#include "wire/wg.h"

#define MS     USEC_PER_MSEC
#define SECOND USEC_PER_SEC

enum { TOP = 1420, SENT_MAX = 512 };

/* --- instead of the tunnel: it knows of nobody --- */

int tunnel_set_peer(struct tunnel *t, const struct tunnel_peer *peer)
{
	return 0;
}

int tunnel_remove_peer(struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_initiate(struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_get_stats(struct tunnel *t, struct tunnel_peer_stats **ret, size_t *ret_n)
{
	return -ENODEV;
}

/* --- */

static struct core *core;
static struct seen *seen;
static struct peers *peers;
static struct mtus *mtus;
static int ctx;

static void on_moved(void *unused, uint32_t id)
{
}

static const struct peers_hooks peers_hooks = { .moved = on_moved, .lost = on_moved };

static struct {
	uint32_t id;
	struct endpoint to;
	size_t len;
	bool answered;
} sent[SENT_MAX];
static size_t n_sent;
static unsigned n_changed;

static void on_probe(void *c, uint32_t id, const struct endpoint *to, size_t len)
{
	assert_ptr_equal(c, &ctx);
	assert_true(n_sent < SENT_MAX);
	sent[n_sent].id = id;
	sent[n_sent].to = *to;
	sent[n_sent].answered = false;
	sent[n_sent++].len = len;
}

static void on_changed(void *c)
{
	assert_ptr_equal(c, &ctx);
	n_changed++;
}

static const struct mtus_hooks hooks = { .probe = on_probe, .changed = on_changed };

static int set_up(void **state)
{
	n_sent = n_changed = 0;
	core = fake_core_new();
	seen = seen_new("/dev/null/seen", NULL);
	peers = peers_new(core->book, seen, 1, &peers_hooks, NULL);
	assert_true(peers_apply(peers, NULL, NULL, 0, NULL) >= 0);
	assert_int_equal(mtus_new(core, peers, &hooks, &ctx, &mtus, NULL), 0);
	mtus_set_top(mtus, TOP);
	return 0;
}

static int tear_down(void **state)
{
	mtus = mtus_free(mtus);
	peers = peers_free(peers);
	seen = seen_free(seen);
	core = fake_core_free(core);
	return 0;
}

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

/* Peer @id is reached at @text, @rtt_us away. */
static void reach(uint32_t id, const char *text, uint64_t rtt_us)
{
	struct peer *peer = peers_change(peers, id);
	struct endpoint to = at(text);
	struct ways_action action;
	uint64_t now_us = clock_now_us();

	ways_done(&peer->ways);
	ways_announced(&peer->ways, &to, 1, now_us);
	ways_doubt(&peer->ways, now_us);
	assert_true(ways_next(&peer->ways, now_us, 1, &action));
	assert_true(ways_pong(&peer->ways, &to, 1, now_us + rtt_us));
	mtus_follow(mtus);
}

/* Probes of up to @carries bytes of a packet are answered @rtt_us after the last of them. */
static void answer(unsigned carries, uint64_t rtt_us)
{
	fake_event_pass(rtt_us);
	for (size_t i = 0; i < n_sent; i++) {
		if (sent[i].answered || sent[i].len > carries + WG_DATA_MIN_LEN)
			continue;
		sent[i].answered = true;
		mtus_probed(mtus, sent[i].id, &sent[i].to, sent[i].len, rtt_us);
	}
}

static void test_search(void **state)
{
	struct endpoint to = at("192.0.2.2:41741");

	assert_int_equal(mtus_of(mtus, 2), 1280);
	assert_int_equal(mtus_of(mtus, 9), 1280); /* nobody */
	reach(2, "192.0.2.2:41741", 10 * MS);
	assert_int_equal(n_sent, 0); /* from its own timer only */
	fake_event_pass(0);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].id, 2);
	assert_int_equal(sent[0].len, TOP + 32);
	assert_true(endpoint_equal(&sent[0].to, &to));
	answer(TOP, 10 * MS);
	assert_int_equal(n_changed, 0);
	assert_int_equal(mtus_of(mtus, 2), 1280); /* until it is told */
	fake_event_pass(MTUS_TOGETHER_US);
	assert_int_equal(n_changed, 1);
	assert_int_equal(mtus_of(mtus, 2), TOP);
	assert_int_equal(peer_mtu(peers_get(peers, 2)), TOP);
	assert_true(fake_event_next_us() == UINT64_MAX);
	mtus_look(mtus);
	mtus_follow(mtus);
	mtus_set_top(mtus, TOP);
	assert_true(fake_event_next_us() == UINT64_MAX);
}

/* What is found of several at once is told as one. */
static void test_together(void **state)
{
	reach(2, "192.0.2.2:41741", 10 * MS);
	reach(3, "[2001:db8::3]:41741", 10 * MS);
	fake_event_pass(0);
	assert_int_equal(n_sent, 2);
	answer(TOP, 10 * MS);
	fake_event_pass(SECOND);
	assert_int_equal(n_changed, 1);
	assert_int_equal(mtus_of(mtus, 3), TOP);
}

/* Exactly the least: nothing changes for the routes, but it is known. */
static void test_least(void **state)
{
	mtus_set_top(mtus, 1280);
	reach(2, "192.0.2.2:41741", 10 * MS);
	fake_event_pass(0);
	assert_int_equal(peers_get(peers, 2)->mtu.told, 0);
	answer(1280, 10 * MS);
	fake_event_pass(SECOND);
	assert_int_equal(n_changed, 0);
	assert_int_equal(peers_get(peers, 2)->mtu.told, 1280);
}

/* An answer by the way of before says nothing of this one. */
static void test_elsewhere(void **state)
{
	reach(2, "192.0.2.2:41741", 10 * MS);
	fake_event_pass(0);
	reach(2, "198.51.100.2:41741", 10 * MS);
	mtus_probed(mtus, 2, &sent[0].to, sent[0].len, 10 * MS);
	fake_event_pass(MTUS_TOGETHER_US);
	assert_int_equal(n_changed, 0);
	assert_int_equal(n_sent, 2);
	assert_int_equal(mtus_of(mtus, 2), 1280);
	answer(TOP, 10 * MS);
	fake_event_pass(MTUS_TOGETHER_US);
	assert_int_equal(mtus_of(mtus, 2), TOP);
}

/* The same address of ours, but another relay behind it. */
static void test_another_relay(void **state)
{
	struct peer *peer = peers_change(peers, 2);
	struct endpoint to = at("127.0.0.1:7000");
	struct ways_action action;
	uint64_t now_us = clock_now_us();

	ways_relayed(&peer->ways, &to, now_us);
	peer->relay = 3;
	ways_doubt(&peer->ways, now_us);
	assert_true(ways_next(&peer->ways, now_us, 1, &action));
	assert_true(ways_pong(&peer->ways, &to, 1, now_us));
	mtus_follow(mtus);
	fake_event_pass(0);
	answer(TOP, MS);
	fake_event_pass(SECOND);
	assert_int_equal(n_sent, 1);
	peer->relay = 4;
	mtus_follow(mtus);
	fake_event_pass(0);
	assert_int_equal(n_sent, 2);
}

/* --- traffic --- */

static void look(uint32_t id, uint64_t more)
{
	peers_change(peers, id)->stats.tx_bytes += more;
	mtus_look(mtus);
	fake_event_pass(0);
}

static void begin(unsigned carries)
{
	reach(2, "192.0.2.2:41741", 10 * MS);
	for (int i = 0; i < 20; i++) {
		fake_event_pass(MS);
		answer(carries, 100 * MS);
	}
	fake_event_pass(SECOND);
	n_sent = n_changed = 0;
}

static void test_traffic(void **state)
{
	begin(TOP);
	look(2, MTUS_SOME - 1);
	look(2, MTUS_MUCH - 1);
	assert_int_equal(n_sent, 0);
	look(2, MTUS_MUCH);
	assert_int_equal(n_sent, 2);
	assert_int_equal(sent[0].len, TOP + 32);
	assert_int_equal(sent[1].len, 92);
	answer(TOP, 10 * MS);
	fake_event_pass(10 * SECOND);
	assert_int_equal(n_sent, 2);
	/* Another tunnel counts from 0. */
	peers_change(peers, 2)->stats.tx_bytes = 0;
	look(2, MTUS_MUCH);
	assert_int_equal(n_sent, 4);
}

static void test_shrinks(void **state)
{
	begin(TOP);
	look(2, MTUS_MUCH);
	for (int i = 0; i < 30; i++)
		answer(1340, 50 * MS);
	assert_int_equal(mtus_of(mtus, 2), 1328);
	assert_int_equal(n_changed, 1);
	/* And grows, with little being sent. */
	for (int i = 0; i < 12; i++) {
		look(2, MTUS_SOME);
		for (int k = 0; k < 50; k++)
			answer(TOP, 100 * MS);
	}
	assert_int_equal(mtus_of(mtus, 2), TOP);
}

static void test_doubt(void **state)
{
	begin(TOP);
	mtus_doubt(mtus, 9, UINT64_MAX); /* nobody */
	mtus_doubt(mtus, 2, UINT64_MAX);
	fake_event_pass(0);
	assert_int_equal(n_sent, 2);
}

static void test_no_loop(void **state)
{
	struct mtus *other = NULL;
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	assert_int_equal(mtus_new(core, peers, &hooks, &ctx, &other, &err), -EMFILE);
	assert_null(other);
	assert_non_null(strstr(err.text, "timer"));
	fake_event_fails = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(search),
		TEST(together),
		TEST(least),
		TEST(elsewhere),
		TEST(another_relay),
		TEST(traffic),
		TEST(shrinks),
		TEST(doubt),
		TEST(no_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
