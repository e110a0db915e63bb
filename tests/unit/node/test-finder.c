/*
 * finder: what it sends through the tunnel's port, to whom and how often; what it believes of what
 * comes in there; what it tells the tunnel. What it decides from that is test-ways'.
 */
#include "fake-core.h"

#include <sodium.h>
#include <stdio.h>

#include "node/finder-probe.h"
#include "node/finder.h"
#include "wire/stun.h"

#define SECOND USEC_PER_SEC

enum { FD = 77, SENT_MAX = 4096, EVENTS_MAX = 512, BIG = 1500 };

/* --- instead of the tunnel --- */

static struct {
	struct endpoint to;
	struct ip_addr from;
	uint8_t data[BIG];
	size_t len;
} sent[SENT_MAX];
static size_t n_sent;
static int sending_fails;

static struct queued {
	struct tunnel_event event;
	uint8_t data[BIG];
} queue[EVENTS_MAX];
static size_t n_queued, next_queued;

static struct {
	uint8_t key[TUNNEL_KEY_LEN];
	struct endpoint endpoint;
} last_set;
static unsigned n_endpoints, n_initiated;
static int refuses;

int tunnel_event_fd(const struct tunnel *tunnel)
{
	return FD;
}

bool tunnel_next_event(struct tunnel *tunnel, struct tunnel_event *ret)
{
	if (next_queued == n_queued)
		return false;
	*ret = queue[next_queued].event;
	ret->data = queue[next_queued++].data;
	return true;
}

int tunnel_send_aside(struct tunnel *tunnel, const struct endpoint *to, const struct ip_addr *from,
	const uint8_t *data, size_t len)
{
	assert_true(len <= BIG);
	assert_true(n_sent < SENT_MAX);
	if (sending_fails < 0)
		return sending_fails;
	sent[n_sent].to = *to;
	sent[n_sent].from = *from;
	sent[n_sent].len = len;
	memcpy(sent[n_sent++].data, data, len);
	return 0;
}

static unsigned n_whole; /* of what was sent */

int tunnel_send_whole(struct tunnel *t, const struct endpoint *to, const uint8_t *data, size_t len)
{
	static const struct ip_addr as_routed;

	n_whole++;
	return tunnel_send_aside(t, to, &as_routed, data, len);
}

int tunnel_set_endpoint(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN],
	const struct endpoint *endpoint)
{
	n_endpoints++;
	memcpy(last_set.key, key, TUNNEL_KEY_LEN);
	last_set.endpoint = *endpoint;
	return refuses;
}

static bool tells_quiet;

int tunnel_tell_quiet(struct tunnel *t, bool on)
{
	tells_quiet = on;
	return 0;
}

int tunnel_initiate(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	n_initiated++;
	return 0;
}

static unsigned keepalive_s; /* that was said last */

int tunnel_set_peer(struct tunnel *tunnel, const struct tunnel_peer *peer)
{
	keepalive_s = peer->keepalive_s;
	assert_true(peer->n_allowed > 0 && peer->allowed[0].addr.family);
	return 0;
}

int tunnel_remove_peer(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_get_stats(struct tunnel *tunnel, struct tunnel_peer_stats **ret, size_t *ret_n)
{
	return -ENODEV;
}

/* --- we are board 1; 2 and 3 have keys of their own --- */

static struct tunnel *const tunnel = (struct tunnel *) &sent; /* not looked into */
static struct core *core;
static struct seen *seen;
static struct peers *peers;
static struct finder *finder;
static struct pair_self board[4];

static void on_moved(void *ctx, uint32_t id)
{
}

static void on_lost(void *ctx, uint32_t id)
{
}

static const struct peers_hooks hooks = { .moved = on_moved, .lost = on_lost };

static struct {
	uint32_t id;
	unsigned times;
	uint64_t bytes;
} missed;

static void on_missed(void *ctx, uint32_t id, uint64_t bytes)
{
	assert_ptr_equal(ctx, &missed);
	missed.id = id;
	missed.bytes = bytes;
	missed.times++;
}

static unsigned n_left;

static void on_left(void *ctx, uint32_t id)
{
	assert_ptr_equal(ctx, &missed);
	assert_int_equal(id, 2);
	n_left++;
}

static struct tunnel_event aside;

static void on_aside(void *ctx, const struct tunnel_event *event)
{
	assert_ptr_equal(ctx, &missed);
	aside = *event;
}

static unsigned n_elsewhere;

static void on_elsewhere(void *ctx, uint32_t id)
{
	n_elsewhere++;
}

static struct {
	uint32_t id;
	struct endpoint to;
	size_t len;
	uint64_t rtt_us;
	unsigned times;
} probed;

static void on_probed(
	void *ctx, uint32_t id, const struct endpoint *to, size_t len, uint64_t rtt_us)
{
	probed.id = id;
	probed.to = *to;
	probed.len = len;
	probed.rtt_us = rtt_us;
	probed.times++;
}

static struct {
	uint32_t id;
	bool guess;
	unsigned times;
} called;

static void on_called(void *ctx, uint32_t id, bool guess)
{
	called.id = id;
	called.guess = guess;
	called.times++;
}

static unsigned n_samples;

static void on_sample(void *ctx)
{
	n_samples++;
}

static const struct finder_hooks finder_hooks = { .missed = on_missed,
	.sample = on_sample,
	.left = on_left,
	.called = on_called,
	.aside = on_aside,
	.elsewhere = on_elsewhere,
	.probed = on_probed };

static void put(uint32_t id, uint8_t seed)
{
	const struct node *before = netmap_by_id(book_netmap(core->book), id);
	CLEANUP_NODE struct node node = { 0 };
	uint8_t bytes[32] = { seed, (uint8_t) id };

	assert_int_equal(node_copy(before, &node), 0);
	assert_int_equal(node_revoke_identity(&node), 0);
	pair_self_init(&board[id], bytes);
	memcpy(node.identity, board[id].identity, sizeof(node.identity));
	fake_core_put_node(&node);
}

static int set_up(void **state)
{
	uint8_t seed[32] = { 9 };

	n_sent = n_queued = next_queued = 0;
	n_endpoints = n_initiated = 0;
	sending_fails = refuses = 0;
	n_left = 0;
	memset(&missed, 0, sizeof(missed));
	memset(&probed, 0, sizeof(probed));
	memset(&called, 0, sizeof(called));
	n_whole = n_elsewhere = 0;
	core = fake_core_new();
	memcpy(core->identity_seed, seed, sizeof(seed));
	pair_self_init(&board[1], seed);
	put(2, 1);
	put(3, 1);
	seen = seen_new("/dev/null/seen", NULL);
	peers = peers_new(core->book, seen, 1, &hooks, NULL);
	assert_int_equal(finder_new(core, peers, &finder_hooks, &missed, &finder, NULL), 0);
	assert_int_equal(finder_use(finder, tunnel, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	finder = finder_free(finder);
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

static void announce(uint32_t id, const char *one, const char *other)
{
	struct presence *p = fake_core_announce(id);

	p->n_endpoints = 0;
	if (one)
		p->endpoints[p->n_endpoints++] = at(one);
	if (other)
		p->endpoints[p->n_endpoints++] = at(other);
}

static void follow(void)
{
	assert_true(peers_apply(peers, tunnel, NULL, 0, NULL) >= 0);
	finder_follow(finder);
}

static struct peer *peer(uint32_t id)
{
	size_t n;
	struct peer *list = peers_all(peers, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].id == id)
			return &list[i];
	fail_msg("there is no peer %u", id);
	return NULL;
}

/* What was sent @i-th, as board @id reads it. */
static struct disco read_sent(size_t i, uint32_t id)
{
	uint8_t key[PAIR_KEY_LEN], hint[DISCO_HINT_LEN];
	const uint8_t *found;
	struct disco disco;

	assert_true(i < n_sent);
	assert_int_equal(pair_key(&board[id], board[1].identity, PAIR_LABEL_DISCO, key), 0);
	disco_hint(key, board[1].identity, hint);
	assert_true(disco_looks(sent[i].data, sent[i].len, &found));
	assert_memory_equal(found, hint, sizeof(hint));
	assert_int_equal(disco_open(key, sent[i].data, sent[i].len, &disco), 0);
	return disco;
}

static struct queued *push(enum tunnel_event_kind kind, const char *from)
{
	struct queued *q = &queue[n_queued++];

	assert_true(n_queued <= EVENTS_MAX);
	*q = (struct queued){ .event = { .kind = kind, .from = at(from) } };
	assert_int_equal(ip_addr_parse("192.0.2.1", &q->event.to), 0);
	return q;
}

/* Board @id sends @disco from @from. */
static struct queued *push_disco(uint32_t id, const char *from, const struct disco *disco)
{
	uint8_t key[PAIR_KEY_LEN], hint[DISCO_HINT_LEN], nonce[DISCO_NONCE_LEN] = { 5 };
	struct queued *q = push(TUNNEL_ASIDE, from);

	assert_int_equal(pair_key(&board[id], board[1].identity, PAIR_LABEL_DISCO, key), 0);
	disco_hint(key, board[id].identity, hint);
	disco_seal(key, hint, nonce, disco, disco_len(disco), q->data);
	q->event.len = disco_len(disco);
	return q;
}

static void push_ping(uint32_t id, const char *from, uint64_t tx)
{
	const struct disco ping = { .type = DISCO_PING, .run = 7, .tx = tx };

	(void) push_disco(id, from, &ping);
}

static void push_pong(uint32_t id, const char *from, uint64_t tx, uint64_t run)
{
	const struct disco pong = {
		.type = DISCO_PONG, .run = run, .tx = tx, .seen = at("192.0.2.1:1")
	};

	(void) push_disco(id, from, &pong);
}

static void deliver(void)
{
	fake_event_ready(FD);
}

/* --- searching --- */

static void test_search(void **state)
{
	struct endpoint first = at("192.0.2.2:41741"), other = at("[2001:db8::2]:41741");
	struct disco a, b;

	announce(2, "192.0.2.2:41741", "[2001:db8::2]:41741");
	follow();
	assert_true(tells_quiet);
	assert_int_equal(n_sent, 2); /* of 3 nothing is known */
	assert_true(endpoint_equal(&sent[0].to, &first));
	assert_true(endpoint_equal(&sent[1].to, &other));
	assert_int_equal(sent[0].from.family, 0);
	a = read_sent(0, 2);
	b = read_sent(1, 2);
	assert_int_equal(a.type, DISCO_PING);
	assert_true(a.run && a.run == b.run);
	assert_true(a.tx && b.tx && a.tx != b.tx);
	follow();
	assert_int_equal(n_sent, 2);
	assert_int_equal(fake_event_next_us(), WAYS_FIRST_US);
	fake_event_pass(WAYS_FIRST_US);
	assert_int_equal(n_sent, 4);
	fake_event_pass(3600 * SECOND);
	assert_in_range(n_sent, 2 * 240, 2 * 300);
	assert_int_equal(finder_counters(finder)->pings_sent, n_sent);
	assert_int_equal(n_endpoints, 0);
}

static void test_found(void **state)
{
	struct endpoint where = at("[2001:db8::2]:41741");

	announce(2, "192.0.2.2:41741", "[2001:db8::2]:41741");
	follow();
	fake_event_pass(30000);
	push_pong(2, "[2001:db8::2]:41741", read_sent(1, 2).tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 1);
	assert_int_equal(n_initiated, 1);
	assert_int_equal(n_elsewhere, 1);
	assert_true(endpoint_equal(&last_set.endpoint, &where));
	assert_memory_equal(last_set.key, peer(2)->told.key, TUNNEL_KEY_LEN);
	assert_int_equal(ways_in_use(&peer(2)->ways)->rtt_us, 30000);
	assert_int_equal(peer(2)->pair.run, 7);
	/* And then there is quiet. */
	n_sent = 0;
	assert_true(fake_event_next_us() == UINT64_MAX);
}

/* The slower one answers too, and changes nothing. */
static void test_second_answer(void **state)
{
	struct disco first, second;

	announce(2, "192.0.2.2:41741", "[2001:db8::2]:41741");
	follow();
	first = read_sent(0, 2);
	second = read_sent(1, 2);
	n_sent = 0;
	push_pong(2, "[2001:db8::2]:41741", second.tx, 7);
	push_pong(2, "192.0.2.2:41741", first.tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 1);
	assert_int_equal(n_sent, 0);
	assert_int_equal(finder_counters(finder)->pongs, 2);
	follow();
	assert_int_equal(n_endpoints, 1);
	assert_true(fake_event_next_us() == UINT64_MAX);
}

/* The tunnel does not take it: it is told again with the next that happens. */
static void test_tunnel_refuses(void **state)
{
	announce(2, "192.0.2.2:41741", NULL);
	follow();
	refuses = -ENODEV;
	push_pong(2, "192.0.2.2:41741", read_sent(0, 2).tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 1);
	assert_int_equal(n_initiated, 0);
	refuses = 0;
	follow();
	assert_int_equal(n_endpoints, 2);
	assert_int_equal(n_initiated, 1);
	follow();
	assert_int_equal(n_endpoints, 2);
}

/* What could not be sent is sent with the next round. */
static void test_sending_fails(void **state)
{
	announce(2, "192.0.2.2:41741", NULL);
	sending_fails = -EAGAIN;
	follow();
	assert_int_equal(finder_counters(finder)->pings_sent, 0);
	sending_fails = 0;
	fake_event_pass(WAYS_FIRST_US);
	assert_int_equal(n_sent, 1);
}

/* --- answering --- */

static void test_answers(void **state)
{
	struct endpoint from = at("198.51.100.9:20188");
	struct disco pong;

	follow();
	push_ping(2, "198.51.100.9:20188", 99);
	deliver();
	assert_int_equal(n_sent, 2);
	pong = read_sent(0, 2);
	assert_int_equal(pong.type, DISCO_PONG);
	assert_true(pong.tx == 99);
	assert_true(endpoint_equal(&pong.seen, &from));
	assert_true(endpoint_equal(&sent[0].to, &from));
	assert_true(ip_addr_equal(&sent[0].from, &queue[0].event.to)); /* from where it was asked */
	assert_true(sent[0].len <= queue[0].event.len);
	/* It is not believed that the peer is there, but asked. */
	assert_int_equal(read_sent(1, 2).type, DISCO_PING);
	assert_true(endpoint_equal(&sent[1].to, &from));
	assert_int_equal(n_endpoints, 0);
	push_pong(2, "198.51.100.9:20188", read_sent(1, 2).tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 1);
	assert_true(endpoint_equal(&last_set.endpoint, &from));
}

/* An old ping from elsewhere is answered, and costs one ping; a pong to nothing costs nothing. */
static void test_replayed(void **state)
{
	announce(2, "192.0.2.2:41741", NULL);
	follow();
	push_pong(2, "192.0.2.2:41741", read_sent(0, 2).tx, 7);
	deliver();
	n_sent = 0;
	push_ping(2, "203.0.113.66:1", 99);
	push_pong(2, "203.0.113.66:1", 1234, 666);
	deliver();
	assert_int_equal(n_sent, 3); /* a pong, and pings to both */
	push_pong(2, "192.0.2.2:41741", read_sent(1, 2).tx, 7);
	push_pong(2, "192.0.2.2:41741", read_sent(2, 2).tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 1);
	assert_int_equal(peer(2)->pair.run, 7);
}

/* Another's affair, whoever sent it and whatever is behind its head. */
static void test_stun(void **state)
{
	struct queued *q = push(TUNNEL_ASIDE, "198.51.100.1:3478");

	aside = (struct tunnel_event){ 0 };
	stun_request_format((const uint8_t[STUN_TX_LEN]){ 7 }, q->data);
	q->event.len = STUN_REQUEST_LEN;
	deliver();
	assert_int_equal(aside.len, STUN_REQUEST_LEN);
	assert_int_equal(aside.from.port, 3478);
	assert_int_equal(finder_counters(finder)->strange, 0);
	assert_int_equal(n_sent, 0);
}

static void test_strangers(void **state)
{
	const struct disco ping = { .type = DISCO_PING, .run = 7, .tx = 9 };
	const struct disco later = { .type = (enum disco_type) 4 };
	struct queued *q;

	announce(2, "192.0.2.2:41741", NULL);
	follow();
	/* Ours, sent back. */
	q = push(TUNNEL_ASIDE, "192.0.2.2:41741");
	memcpy(q->data, sent[0].data, sent[0].len);
	q->event.len = sent[0].len;
	n_sent = 0;
	/* No disco, short, long, and of a board that we do not know. */
	push(TUNNEL_ASIDE, "192.0.2.2:41741")->event.len = BIG;
	push(TUNNEL_ASIDE, "192.0.2.2:41741")->event.len = 4;
	push_disco(2, "192.0.2.2:41741", &ping)->data[4] ^= 1; /* the hint */
	push_disco(2, "192.0.2.2:41741", &ping)->event.len--;
	deliver();
	assert_int_equal(finder_counters(finder)->strange, 5);
	/* Spoilt, or of a later version. */
	push_disco(2, "192.0.2.2:41741", &ping)->data[60] ^= 1;
	(void) push_disco(2, "192.0.2.2:41741", &later);
	deliver();
	assert_int_equal(finder_counters(finder)->bad, 2);
	assert_int_equal(n_sent, 0);
	assert_int_equal(finder_counters(finder)->pings, 0);
	/* Board 3 knows its own key, not that of 2: it cannot speak for 2. */
	(void) push_disco(3, "192.0.2.2:41741", &ping);
	memcpy(queue[n_queued - 1].data + 4, peer(2)->pair.hint_in, DISCO_HINT_LEN);
	deliver();
	assert_int_equal(finder_counters(finder)->bad, 3);
	assert_int_equal(n_sent, 0);
}

/* Pings of one board without end: the answers have one, and another's is answered all the same. */
static void test_flood(void **state)
{
	follow();
	for (int i = 0; i < 20; i++) {
		n_queued = next_queued = 0;
		for (unsigned k = 0; k < 60; k++) {
			char from[40];

			(void) snprintf(
				from, sizeof(from), "203.0.113.%u:%u", k + 1, 1 + (unsigned) i);
			push_ping(2, from, k + 1);
		}
		deliver();
		fake_event_pass(SECOND / 20);
	}
	assert_int_equal(finder_counters(finder)->pings, 1200);
	assert_in_range(finder_counters(finder)->pongs_sent, 30, 60);
	assert_int_equal(
		finder_counters(finder)->pongs_sent + finder_counters(finder)->unanswered, 1200);
	assert_in_range(finder_counters(finder)->pings_sent, 1, 100);
	n_queued = next_queued = n_sent = 0;
	push_ping(3, "192.0.2.3:41741", 5);
	deliver();
	assert_true(n_sent >= 2);
	assert_int_equal(read_sent(0, 3).type, DISCO_PONG);
}

/* Much at once is taken in turns, and none of it is lost. */
static void test_turns(void **state)
{
	follow();
	for (unsigned k = 0; k < 150; k++)
		push(TUNNEL_ASIDE, "192.0.2.9:9")->event.len = 10;
	deliver();
	assert_int_equal(finder_counters(finder)->strange, 64);
	deliver();
	deliver();
	assert_int_equal(finder_counters(finder)->strange, 150);
}

/* --- what the tunnel tells --- */

static void found(uint32_t id, const char *where)
{
	announce(id, where, NULL);
	n_sent = 0;
	follow();
	push_pong(id, where, read_sent(0, id).tx, 7);
	deliver();
	n_sent = n_endpoints = 0;
}

/* Somebody plays old pings again as from everywhere: who is where it was is answered all the same. */
static void test_flood_elsewhere(void **state)
{
	found(2, "192.0.2.2:41741");
	for (unsigned k = 0; k < 60; k++)
		push_ping(2, "203.0.113.66:1", k + 1);
	deliver();
	assert_true(finder_counters(finder)->unanswered > 0);
	n_queued = next_queued = n_sent = 0;
	push_ping(2, "192.0.2.2:41741", 99);
	deliver();
	assert_true(n_sent >= 1);
	assert_int_equal(read_sent(0, 2).type, DISCO_PONG);
}

static void test_heard(void **state)
{
	struct endpoint from = at("198.51.100.9:20188");
	struct queued *q;

	found(2, "192.0.2.2:41741");
	q = push(TUNNEL_HEARD, "198.51.100.9:20188");
	memcpy(q->data, peer(2)->told.key, TUNNEL_KEY_LEN);
	deliver();
	assert_int_equal(n_sent, 2);
	assert_int_equal(n_endpoints, 0);
	for (size_t i = 0; i < 2; i++)
		if (endpoint_equal(&sent[i].to, &from))
			push_pong(2, "198.51.100.9:20188", read_sent(i, 2).tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 0);
	fake_event_pass(WAYS_GRACE_US); /* it is not where it was */
	assert_int_equal(n_endpoints, 1);
	assert_true(endpoint_equal(&last_set.endpoint, &from));
	/* Of a peer that is none any more. */
	n_sent = 0;
	q = push(TUNNEL_HEARD, "198.51.100.10:1");
	deliver();
	assert_int_equal(n_sent, 0);
}

static void test_unanswered(void **state)
{
	struct queued *q;

	found(2, "192.0.2.2:41741");
	q = push(TUNNEL_UNANSWERED, "0.0.0.0:1");
	memcpy(q->data, peer(2)->told.key, TUNNEL_KEY_LEN);
	deliver();
	assert_int_equal(n_sent, 1);
	assert_int_equal(missed.id, 2);
	fake_event_pass(SECOND);
	assert_true(n_sent > 2);
}

/* Nobody has sent anything, and nothing has come from it: that is no reason to wait for words. */
static void test_lost(void **state)
{
	found(2, "192.0.2.2:41741");
	finder_doubt(finder, 2);
	assert_int_equal(n_sent, 1);
	assert_int_equal(missed.id, 2);
	assert_true(missed.bytes == UINT64_MAX);
	finder_doubt(finder, 77); /* nobody */
	assert_int_equal(missed.times, 1);
}

/* For a moment: only where it is, at first; and the relays hear of it. */
static void test_quiet(void **state)
{
	struct queued *q;

	announce(2, "192.0.2.2:41741", "[2001:db8::2]:41741");
	follow();
	push_pong(2, "192.0.2.2:41741", read_sent(0, 2).tx, 7);
	deliver();
	n_sent = 0;
	q = push(TUNNEL_QUIET, "0.0.0.0:1");
	memcpy(q->data, peer(2)->told.key, TUNNEL_KEY_LEN);
	q->event.sent = 700;
	deliver();
	assert_int_equal(n_sent, 1);
	assert_int_equal(missed.id, 2);
	assert_int_equal(missed.bytes, 700);
	assert_int_equal(missed.times, 1);
	fake_event_pass(WAYS_GRACE_US);
	assert_int_equal(n_sent, 4); /* it once more, then both */
}

/* By a relay, which is told to the tunnel as any other. */
static void test_relayed(void **state)
{
	struct endpoint by_relay = at("127.0.0.1:5000");

	follow();
	ways_relayed(&peer(2)->ways, &by_relay, clock_now_us());
	peer(2)->relay = 3;
	finder_follow(finder);
	assert_int_equal(n_sent, 1);
	assert_true(endpoint_equal(&sent[0].to, &by_relay));
	push_pong(2, "127.0.0.1:5000", read_sent(0, 2).tx, 7);
	deliver();
	assert_int_equal(n_endpoints, 1);
	assert_true(endpoint_equal(&last_set.endpoint, &by_relay));
	assert_int_equal(fake_core_logged("board 2 is reached by relay 3"), 1);
	assert_int_equal(n_left, 0);
}

static void test_left(void **state)
{
	struct endpoint by_relay = at("127.0.0.1:5000");

	found(2, "192.0.2.2:41741");
	ways_relayed(&peer(2)->ways, &by_relay, clock_now_us());
	finder_doubt(finder, 2);
	for (size_t i = 0; i < n_sent; i++)
		if (endpoint_equal(&sent[i].to, &by_relay))
			push_pong(2, "127.0.0.1:5000", read_sent(i, 2).tx, 7);
	fake_event_pass(10000);
	deliver();
	assert_int_equal(n_left, 0);
	fake_event_pass(WAYS_GRACE_US);
	assert_int_equal(n_left, 1);
}

/* --- calls --- */

static const struct finder_own own = {
	.at.list = { { { AF_INET, { 192, 168, 1, 5 } }, .port = 41741 },
		{ { AF_INET, { 192, 0, 2, 99 } }, .port = 40001 } },
	.at.n = 2,
	.at.n_local = 1,
	.at.mapping = DISCO_MAPPING_COUNTING,
	.step = -3,
	.outside = { { AF_INET, { 192, 0, 2, 99 } }, .port = 40001 },
};

/* Board 2 is reached by relay 3, and by nothing else. */
static void be_relayed(void)
{
	struct endpoint by_relay = at("127.0.0.1:5000");

	follow();
	ways_relayed(&peer(2)->ways, &by_relay, clock_now_us());
	peer(2)->relay = 3;
	finder_follow(finder);
	fake_event_pass(10000);
	push_pong(2, "127.0.0.1:5000", read_sent(n_sent - 1, 2).tx, 7);
	n_sent = 0;
}

static void test_call(void **state)
{
	struct endpoint by_relay = at("127.0.0.1:5000");
	struct disco call;

	const struct endpoint now = at("192.0.2.99:39990");

	n_samples = 0;
	finder_own(finder, &own);
	be_relayed();
	deliver();
	assert_int_equal(n_samples, 1); /* first */
	assert_int_equal(n_sent, 0);
	finder_sampled(finder, &now);
	assert_int_equal(n_sent, 1);
	assert_true(endpoint_equal(&sent[0].to, &by_relay));
	call = read_sent(0, 2);
	assert_int_equal(call.type, DISCO_CALL);
	assert_int_equal(call.mapping, DISCO_MAPPING_COUNTING);
	assert_int_equal(call.step, -3);
	assert_true(endpoint_equal(&call.seen, &now));
	assert_int_equal(call.n, 2);
	assert_true(endpoint_equal(&call.list[0], &own.at.list[1])); /* from outside first */
	assert_true(endpoint_equal(&call.list[1], &own.at.list[0]));
	assert_int_equal(finder_counters(finder)->calls_sent, 1);
	/* The same again is no news; another place is. */
	finder_own(finder, &own);
	assert_int_equal(n_sent, 1);
}

/* A way out by our NAT is kept open; others may have their rest. */
static void test_keepalive(void **state)
{
	struct endpoint house = at("192.168.1.9:41741");

	found(2, "198.51.100.2:41741");
	assert_int_equal(keepalive_s, 25);
	finder_own(finder, &own);
	assert_int_equal(keepalive_s, 18);
	peer(2)->is_told = false; /* the tunnel is told of the peer again, as by a new record */
	follow();
	assert_int_equal(keepalive_s, 18);
	announce(2, "192.168.1.9:41741", NULL);
	follow();
	for (size_t i = 0; i < n_sent; i++)
		if (endpoint_equal(&sent[i].to, &house))
			push_pong(2, "192.168.1.9:41741", read_sent(i, 2).tx, 7);
	deliver();
	fake_event_pass(WAYS_GRACE_US);
	assert_int_equal(peer(2)->told.keepalive_s, 25);
	assert_int_equal(keepalive_s, 25);
}

static void test_call_anew(void **state)
{
	struct finder_own other = own;
	size_t before;

	be_relayed();
	deliver();
	assert_int_equal(read_sent(0, 2).n, 0);
	fake_event_pass(500000);
	before = n_sent;
	push_pong(2, "127.0.0.1:5000", read_sent(n_sent - 1, 2).tx, 7);
	deliver();
	assert_int_equal(n_sent, before);
	other.at.list[1].port = 40002;
	other.at.mapping = DISCO_MAPPING_INDEPENDENT;
	finder_own(finder, &other);
	assert_int_equal(n_sent, before + 1);
	assert_int_equal(read_sent(before, 2).type, DISCO_CALL);
}

static void test_called(void **state)
{
	struct endpoint where = at("203.0.113.7:40001");
	const struct disco call = {
		.type = DISCO_CALL, .run = 7, .tx = 5, .list = { where }, .n = 1
	};

	be_relayed();
	deliver();
	fake_event_pass(10 * SECOND);
	n_sent = 0;
	/* From elsewhere, it is none. */
	(void) push_disco(2, "203.0.113.7:40001", &call);
	deliver();
	assert_int_equal(finder_counters(finder)->unheeded, 1);
	assert_int_equal(n_sent, 0);
	assert_int_equal(called.times, 0);
	(void) push_disco(2, "127.0.0.1:5000", &call);
	deliver();
	assert_int_equal(called.times, 1);
	assert_int_equal(called.id, 2);
	assert_false(called.guess);
	assert_int_equal(finder_counters(finder)->calls, 1);
	assert_int_equal(n_sent, 2); /* our own call, and a ping */
	assert_int_equal(read_sent(0, 2).type, DISCO_CALL);
	assert_int_equal(read_sent(1, 2).type, DISCO_PING);
	assert_true(endpoint_equal(&sent[1].to, &where));
	for (int i = 0; i < 100; i++)
		(void) push_disco(2, "127.0.0.1:5000", &call);
	deliver();
	deliver();
	assert_int_equal(finder_counters(finder)->calls + finder_counters(finder)->unheeded, 102);
	assert_in_range(finder_counters(finder)->calls, 2, WAYS_CALL_BURST);
}

/* --- for who guesses --- */

/* A call goes at once, and says that ports are open while they are. */
static void test_guess_call(void **state)
{
	struct disco call = { .type = DISCO_CALL, .run = 7, .tx = 5, .guess = true };

	be_relayed();
	deliver();
	assert_false(read_sent(0, 2).guess);
	fake_event_pass(100000);
	n_sent = 0;
	peer(2)->guess.open = true;
	finder_call(finder, 2);
	assert_int_equal(read_sent(0, 2).type, DISCO_CALL);
	assert_true(read_sent(0, 2).guess);
	finder_call(finder, 9); /* nobody */
	(void) push_disco(2, "127.0.0.1:5000", &call);
	deliver();
	assert_int_equal(called.times, 1);
	assert_true(called.guess);
}

/* Pings for where a peer may be, and what is believed of what comes to other sockets than the tunnel's. */
static void test_guess_pings(void **state)
{
	struct endpoint where = at("203.0.113.7:1024");
	uint8_t data[DISCO_MIN_LEN];

	follow();
	n_sent = 0;
	finder_guess(finder, 2, &where);
	assert_int_equal(n_sent, 1);
	assert_true(endpoint_equal(&sent[0].to, &where));
	assert_int_equal(sent[0].len, DISCO_MIN_LEN);
	assert_int_equal(read_sent(0, 2).type, DISCO_PING);
	assert_true(finder_seal(finder, 2, data));
	memcpy(sent[0].data, data, sizeof(data));
	assert_int_equal(read_sent(0, 2).type, DISCO_PING);
	assert_int_equal(finder_counters(finder)->pings_sent, 2);
	push_ping(2, "203.0.113.7:1024", 5);
	assert_true(finder_recognises(
		finder, 2, queue[n_queued - 1].data, queue[n_queued - 1].event.len));
	assert_false(finder_recognises(
		finder, 3, queue[n_queued - 1].data, queue[n_queued - 1].event.len));
	assert_false(finder_recognises(finder, 2, queue[n_queued - 1].data, DISCO_MIN_LEN - 1));
	queue[n_queued - 1].data[60] ^= 1;
	assert_false(finder_recognises(
		finder, 2, queue[n_queued - 1].data, queue[n_queued - 1].event.len));
	/* Nobody. */
	n_sent = 0;
	finder_guess(finder, 9, &where);
	assert_int_equal(n_sent, 0);
	assert_false(finder_seal(finder, 9, data));
	assert_false(finder_recognises(finder, 9, data, sizeof(data)));
}

/* --- what happens to boards --- */

/* The peer's hearthd is another one: its way is to be proved again, which takes one ping. */
static void test_started_anew(void **state)
{
	found(2, "192.0.2.2:41741");
	finder_doubt(finder, 2);
	push_pong(2, "192.0.2.2:41741", read_sent(0, 2).tx, 8);
	deliver();
	assert_int_equal(fake_core_logged("board 2 has started anew"), 1);
	assert_int_equal(n_sent, 2);
	assert_true(peer(2)->ways.doubtful);
	push_pong(2, "192.0.2.2:41741", read_sent(1, 2).tx, 8);
	deliver();
	assert_false(peer(2)->ways.doubtful);
	assert_int_equal(n_endpoints, 0);
	assert_true(fake_event_next_us() == UINT64_MAX);
}

static void test_slept(void **state)
{
	found(2, "192.0.2.2:41741");
	for (int i = 0; i < 5; i++) {
		fake_event_pass(5 * SECOND);
		finder_look(finder);
	}
	assert_int_equal(n_sent, 0);
	fake_event_pass(3600 * SECOND);
	finder_look(finder);
	assert_int_equal(n_sent, 1);
	assert_int_equal(fake_core_logged("this board slept"), 1);
	fake_event_pass(5 * SECOND);
	n_sent = 0;
	finder_look(finder);
	assert_int_equal(n_sent, 0);
}

/* Traffic that lasts, by a way that is not quick: now and then others are looked at. */
static void test_active(void **state)
{
	announce(2, "192.0.2.2:41741", "[2001:db8::2]:41741");
	follow();
	fake_event_pass(30000);
	push_pong(2, "192.0.2.2:41741", read_sent(0, 2).tx, 7);
	deliver();
	n_sent = 0;
	for (int i = 0; i < 20; i++) { /* keepalives only */
		peer(2)->stats.tx_bytes += 32;
		fake_event_pass(5 * SECOND);
		finder_look(finder);
	}
	assert_int_equal(n_sent, 0);
	for (int i = 0; i < 20; i++) { /* and a question each 20 s */
		peer(2)->stats.tx_bytes += i % 4 < 2 ? 1500 : 0;
		fake_event_pass(5 * SECOND);
		finder_look(finder);
	}
	assert_int_equal(n_sent, 0);
	for (int i = 0; i < 3; i++) {
		peer(2)->stats.tx_bytes += 1 << 20;
		fake_event_pass(5 * SECOND);
		finder_look(finder);
	}
	assert_int_equal(n_sent, 2);
}

static void test_moved(void **state)
{
	found(2, "192.0.2.2:41741");
	found(3, "192.0.2.3:41741");
	finder_moved(finder);
	assert_int_equal(n_sent, 2);
	assert_true(fake_event_next_us() <= WAYS_FIRST_US);
}

/* --- keys, tunnels --- */

static void test_another_identity(void **state)
{
	struct pair_self old = board[2];
	struct disco ping = { .type = DISCO_PING, .run = 7, .tx = 9 };

	found(2, "192.0.2.2:41741");
	put(2, 77);
	follow();
	finder_moved(finder);
	assert_int_equal(read_sent(0, 2).type, DISCO_PING);
	assert_int_equal(peer(2)->pair.run, 0);
	n_sent = 0;
	board[2] = old;
	(void) push_disco(2, "192.0.2.2:41741", &ping);
	deliver();
	assert_int_equal(finder_counters(finder)->strange, 1);
	assert_int_equal(n_sent, 0);
}

/* Its key is none: it is said once, and it is not looked for. */
static void test_bad_identity(void **state)
{
	CLEANUP_NODE struct node node = { 0 };

	assert_int_equal(node_copy(netmap_by_id(book_netmap(core->book), 2), &node), 0);
	assert_int_equal(node_revoke_identity(&node), 0);
	memset(node.identity, 0xaa, sizeof(node.identity)); /* not a point */
	fake_core_put_node(&node);
	announce(2, "192.0.2.2:41741", NULL);
	follow();
	follow();
	assert_int_equal(n_sent, 0);
	assert_int_equal(fake_core_logged("is none that pings can be sealed with"), 1);
	assert_true(fake_event_next_us() == UINT64_MAX);
}

/* --- probes --- */

/* Long pings, in one piece; their answers are told, once, and say nothing of the ways. */
static void test_probe(void **state)
{
	struct endpoint to = at("192.0.2.2:41741");
	struct disco ping;

	announce(2, "192.0.2.2:41741", NULL);
	follow();
	n_sent = 0;
	finder_probe(finder, 2, &to, 1452);
	assert_int_equal(n_sent, 1);
	assert_int_equal(n_whole, 1);
	assert_int_equal(sent[0].len, 1452);
	assert_true(endpoint_equal(&sent[0].to, &to));
	ping = read_sent(0, 2);
	assert_int_equal(ping.type, DISCO_PING);
	fake_event_pass(30000);
	push_pong(3, "192.0.2.2:41741", ping.tx, 7); /* of another board */
	push_pong(2, "192.0.2.3:41741", ping.tx, 7); /* from elsewhere */
	deliver();
	assert_int_equal(probed.times, 0);
	push_pong(2, "192.0.2.2:41741", ping.tx, 7);
	push_pong(2, "192.0.2.2:41741", ping.tx, 7); /* again */
	deliver();
	assert_int_equal(probed.times, 1);
	assert_int_equal(probed.id, 2);
	assert_int_equal(probed.len, 1452);
	assert_int_equal(probed.rtt_us, 30000);
	assert_true(endpoint_equal(&probed.to, &to));
	assert_int_equal(n_endpoints, 0);
}

/* Whom it is not sent to. One that does not leave is not waited for. */
static void test_probe_in_vain(void **state)
{
	struct endpoint to = at("192.0.2.2:41741");
	uint64_t before;

	announce(2, "192.0.2.2:41741", NULL);
	follow();
	before = finder_counters(finder)->pings_sent;
	finder_probe(finder, 9, &to, 1452);
	sending_fails = -EMSGSIZE;
	finder_probe(finder, 2, &to, 1452);
	assert_int_equal(n_whole, 1);
	assert_int_equal(finder_use(finder, NULL, NULL), 0);
	finder_probe(finder, 2, &to, 1452);
	assert_int_equal(n_whole, 1);
	assert_int_equal(finder_counters(finder)->pings_sent, before);
}

/* The oldest of too many is forgotten. */
static void test_many_probes(void **state)
{
	struct endpoint to = at("192.0.2.2:41741");
	struct disco first, second;

	announce(2, "192.0.2.2:41741", NULL);
	follow();
	n_sent = 0;
	for (int i = 0; i <= FINDER_PROBES_MAX; i++)
		finder_probe(finder, 2, &to, 600);
	first = read_sent(0, 2);
	second = read_sent(1, 2);
	push_pong(2, "192.0.2.2:41741", first.tx, 7);
	deliver();
	assert_int_equal(probed.times, 0);
	push_pong(2, "192.0.2.2:41741", second.tx, 7);
	deliver();
	assert_int_equal(probed.times, 1);
}

/* One peer's answers count, however many others are probed meanwhile. */
static void test_probes_of_many(void **state)
{
	struct endpoint to = at("192.0.2.2:41741"), other = at("192.0.2.3:41741");
	struct disco first;

	announce(2, "192.0.2.2:41741", NULL);
	announce(3, "192.0.2.3:41741", NULL);
	follow();
	n_sent = 0;
	finder_probe(finder, 2, &to, 1452);
	first = read_sent(0, 2);
	for (int i = 0; i < 1000; i++) {
		n_sent = 1;
		finder_probe(finder, 3, &other, 600);
	}
	push_pong(2, "192.0.2.2:41741", first.tx, 7);
	deliver();
	assert_int_equal(probed.times, 1);
	assert_int_equal(probed.len, 1452);
}

static void test_no_tunnel(void **state)
{
	announce(2, "192.0.2.2:41741", NULL);
	assert_int_equal(finder_use(finder, NULL, NULL), 0);
	follow();
	finder_moved(finder);
	assert_int_equal(n_sent, 0);
	assert_true(fake_event_next_us() == UINT64_MAX);
	assert_int_equal(finder_use(finder, tunnel, NULL), 0);
	finder_follow(finder);
	assert_int_equal(n_sent, 1);
}

static void test_no_loop(void **state)
{
	struct finder *other = NULL;
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	assert_int_equal(finder_new(core, peers, &finder_hooks, &missed, &other, &err), -EMFILE);
	assert_null(other);
	assert_non_null(strstr(err.text, "timer"));
	assert_int_equal(finder_use(finder, tunnel, &err), -EMFILE);
	fake_event_fails = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(search),
		TEST(found),
		TEST(second_answer),
		TEST(tunnel_refuses),
		TEST(sending_fails),
		TEST(answers),
		TEST(replayed),
		TEST(stun),
		TEST(strangers),
		TEST(flood),
		TEST(flood_elsewhere),
		TEST(turns),
		TEST(heard),
		TEST(unanswered),
		TEST(lost),
		TEST(quiet),
		TEST(relayed),
		TEST(left),
		TEST(call),
		TEST(keepalive),
		TEST(call_anew),
		TEST(called),
		TEST(guess_call),
		TEST(guess_pings),
		TEST(started_anew),
		TEST(slept),
		TEST(active),
		TEST(moved),
		TEST(another_identity),
		TEST(bad_identity),
		TEST(probe),
		TEST(probe_in_vain),
		TEST(many_probes),
		TEST(probes_of_many),
		TEST(no_tunnel),
		TEST(no_loop),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
