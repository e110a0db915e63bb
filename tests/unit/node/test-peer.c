/*
 * peer: the one table of the others. The tunnel, the book and what they know are the test's: what the tunnel is told
 * and when, what becomes of its answers.
 */
#include "mesh-maker.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "node/peer.h"

#define SECOND UINT64_C(1000000)

/* --- below it --- */

static struct netmap *map;
static struct presence presences[8];
static bool announced[8];

const struct netmap *book_netmap(const struct book *book)
{
	return map;
}

const struct presence *book_presence(const struct book *book, uint32_t id)
{
	return id < 8 && announced[id] ? &presences[id] : NULL;
}

static int n_set, n_removed, n_begun, refuses, keeps;
static bool is_deaf; /* it says nothing of its peers */
static struct tunnel_peer last_set;
static uint8_t last_removed[TUNNEL_KEY_LEN];
static struct tunnel_peer_stats answers[8];
static size_t n_answers;

int tunnel_set_peer(struct tunnel *tunnel, const struct tunnel_peer *peer)
{
	n_set++;
	last_set = *peer;
	return refuses;
}

int tunnel_remove_peer(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	n_removed++;
	memcpy(last_removed, key, TUNNEL_KEY_LEN);
	return keeps;
}

int tunnel_initiate(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	n_begun++;
	return 0;
}

int tunnel_get_stats(struct tunnel *tunnel, struct tunnel_peer_stats **ret, size_t *ret_n)
{
	if (is_deaf)
		return -ENODEV;
	*ret = calloc(n_answers + 1, sizeof(**ret));
	memcpy(*ret, answers, n_answers * sizeof(**ret));
	*ret_n = n_answers;
	return 0;
}

static uint32_t moved_id, lost_id;
static unsigned n_lost;

static void on_lost(void *ctx, uint32_t id)
{
	lost_id = id;
	n_lost++;
}

static void on_moved(void *ctx, uint32_t id)
{
	moved_id = id;
}

/* --- a mesh of three; we are number 1 --- */

static const struct peers_hooks hooks = { .moved = on_moved, .lost = on_lost };
static struct tunnel *const tunnel = (struct tunnel *) &hooks; /* not looked into */
static struct peers *peers;
static struct seen *seen;

static void put(struct node node)
{
	assert_true(maker_apply(map, RECORD_TYPE_NODE, node_to_json(&node), NULL, NULL) >= 0);
	node_done(&node);
}

static void announce(uint32_t id, const char *endpoint)
{
	presences[id] = (struct presence){ .node = id, .n_endpoints = 1 };
	assert_int_equal(endpoint_parse(endpoint, &presences[id].endpoints[0]), 0);
	announced[id] = true;
}

static int set_up(void **state)
{
	struct settings settings = maker_settings();

	map = maker_netmap(&settings);
	settings_done(&settings);
	for (uint32_t id = 1; id <= 3; id++)
		put(maker_node(id, id, NULL));
	memset(announced, 0, sizeof(announced));
	n_set = n_removed = n_begun = refuses = keeps = 0;
	is_deaf = false;
	n_answers = 0;
	moved_id = lost_id = n_lost = 0;
	seen = seen_new("/dev/null/seen", NULL);
	peers = peers_new(NULL, seen, 1, &hooks, NULL);
	assert_non_null(peers);
	return 0;
}

static int tear_down(void **state)
{
	peers = peers_free(peers);
	seen = seen_free(seen);
	map = netmap_free(map);
	return 0;
}

static int apply(void)
{
	return peers_apply(peers, tunnel, NULL, 0, NULL);
}

static void answer(uint32_t id, const char *endpoint, uint64_t received_us, bool session)
{
	struct tunnel_peer_stats *s = &answers[n_answers++];

	*s = (struct tunnel_peer_stats){ .last_receive_us = received_us, .session = session };
	memcpy(s->key, netmap_by_id(map, id)->wg, sizeof(s->key));
	assert_int_equal(endpoint_parse(endpoint, &s->endpoint), 0);
}

/* The others, once; nothing twice; what is sent to one that announces an address waits for it. */
static void test_told_once(void **state)
{
	size_t n;

	announce(2, "192.0.2.2:41741");
	assert_int_equal(apply(), 2);
	assert_int_equal(n_set, 2);
	assert_false(last_set.sought); /* 3 */
	assert_true(peers_get(peers, 2)->told.sought);
	assert_int_equal(peers_get(peers, 2)->ways.n, 1);
	assert_int_equal(apply(), 0);
	assert_int_equal(n_set, 2);
	assert_non_null(peers_list(peers, &n));
	assert_int_equal(n, 2);
	assert_null(peers_get(peers, 1));
	assert_true(peers_get(peers, 2)->has_presence);
	assert_false(peers_get(peers, 3)->has_presence);
	assert_null(peers_get(peers, 4));
}

/* A new presence is the work of that one peer. */
static void test_one(void **state)
{
	(void) apply();
	announce(2, "192.0.2.22:41741");
	announce(3, "192.0.2.3:41741");
	n_set = 0;
	assert_int_equal(peers_apply_one(peers, tunnel, 2, NULL, 0, NULL), 1);
	assert_int_equal(n_set, 1);
	assert_true(last_set.sought);
	assert_memory_equal(last_set.key, netmap_by_id(map, 2)->wg, TUNNEL_KEY_LEN);
	assert_int_equal(peers_apply_one(peers, tunnel, 2, NULL, 0, NULL), 0);
	assert_int_equal(peers_apply_one(peers, tunnel, 1, NULL, 0, NULL), 0); /* ourselves */
	assert_int_equal(peers_apply_one(peers, tunnel, 7, NULL, 0, NULL), 0);
	/* Another address is news to the finder alone. */
	announce(2, "192.0.2.23:41741");
	assert_int_equal(peers_apply_one(peers, tunnel, 2, NULL, 0, NULL), 0);
	assert_int_equal(n_set, 1);
	assert_int_equal(peers_get(peers, 2)->ways.list[0].to.addr.bytes[3], 23);
	/* Fewer prefixes are told. */
	presences[2].no_ipv6 = true;
	assert_int_equal(peers_apply_one(peers, tunnel, 2, NULL, 0, NULL), 1);
	assert_int_equal(last_set.n_allowed, 2);
}

/* What the tunnel refused it is told again; a board with other keys is another peer. */
static void test_again(void **state)
{
	struct node wiped;
	uint8_t old[TUNNEL_KEY_LEN];
	struct err err = { 0 };

	announce(2, "192.0.2.2:41741");
	refuses = -ENOSPC;
	assert_int_equal(peers_apply(peers, tunnel, NULL, 0, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "does not take peer node-"));
	refuses = 0;
	assert_int_equal(apply(), 2);
	memcpy(old, netmap_by_id(map, 2)->wg, sizeof(old));
	assert_int_equal(node_copy(netmap_by_id(map, 2), &wiped), 0);
	assert_int_equal(node_revoke_identity(&wiped), 0);
	memset(wiped.identity, 0x77, sizeof(wiped.identity));
	memset(wiped.wg, 0x78, sizeof(wiped.wg));
	put(wiped);
	n_removed = 0;
	assert_int_equal(apply(), 1);
	assert_int_equal(n_removed, 1);
	assert_memory_equal(last_removed, old, sizeof(old));
	assert_memory_equal(last_set.key, netmap_by_id(map, 2)->wg, TUNNEL_KEY_LEN);
	/* A tunnel that was opened anew knows nobody. */
	peers_forget(peers);
	n_removed = 0;
	assert_int_equal(apply(), 2);
	assert_int_equal(n_removed, 0);
}

/* Only a record's end removes a peer. */
static void test_gone(void **state)
{
	size_t n;

	(void) apply();
	assert_int_equal(
		maker_apply(map, RECORD_TYPE_TOMBSTONE, json_pack("{s:i}", "id", 2), NULL, NULL),
		1);
	n_removed = 0;
	assert_int_equal(apply(), 1);
	assert_int_equal(n_removed, 1);
	assert_null(peers_get(peers, 2));
	(void) peers_list(peers, &n);
	assert_int_equal(n, 1);
	peers_clear(peers);
	(void) peers_list(peers, &n);
	assert_int_equal(n, 0);
}

/* What the tunnel does not drop is told, and gone all the same; one that it had no more is fine. */
static void test_not_dropped(void **state)
{
	struct tombstone tombstone = { .id = 2 };
	struct err err = { 0 };

	(void) apply();
	(void) maker_apply(map, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone), NULL, NULL);
	keeps = -ENODEV;
	assert_int_equal(peers_apply(peers, tunnel, NULL, 0, &err), -ENODEV);
	assert_non_null(strstr(err.text, "the tunnel does not drop a peer: No such device"));
	assert_null(peers_get(peers, 2));
	tombstone.id = 3;
	(void) maker_apply(map, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone), NULL, NULL);
	keeps = -ENOENT;
	assert_int_equal(apply(), 1);
	assert_null(peers_get(peers, 3));
}

/* Our own addresses are no way to anybody: two boards behind one address, or a presence that lies. */
static void test_own_addresses(void **state)
{
	struct endpoint own;

	announce(2, "192.0.2.2:41741");
	assert_int_equal(endpoint_parse("192.0.2.3:41741", &presences[2].endpoints[1]), 0);
	presences[2].n_endpoints = 2;
	own = presences[2].endpoints[0];
	(void) peers_apply(peers, tunnel, &own, 1, NULL);
	assert_int_equal(peers_get(peers, 2)->ways.n, 1);
	assert_int_equal(peers_get(peers, 2)->ways.list[0].to.addr.bytes[3], 3);
	(void) apply();
	assert_int_equal(peers_get(peers, 2)->ways.n, 2);
	announced[2] = false;
	(void) apply();
	assert_int_equal(peers_get(peers, 2)->ways.n, 0);
	assert_false(peers_get(peers, 2)->told.sought);
}

/* Where it was found to be; and a tunnel that was opened anew is told that at once. */
static void test_found(void **state)
{
	struct ways_action action;
	struct peer *list;
	size_t n;

	announce(2, "192.0.2.2:41741");
	(void) apply();
	list = peers_all(peers, &n);
	assert_int_equal(n, 2);
	assert_true(ways_next(&list[0].ways, clock_now_us(), 5, &action));
	assert_true(ways_pong(&list[0].ways, &action.to, 5, clock_now_us()));
	assert_int_equal(apply(), 0);
	peers_forget(peers);
	(void) peers_apply_one(peers, tunnel, 2, NULL, 0, NULL);
	assert_true(endpoint_equal(&last_set.endpoint, &action.to));
}

/* Every peer is asked, whatever became of the others. */
static void test_initiate(void **state)
{
	(void) apply();
	n_begun = 0;
	peers_initiate(peers, tunnel);
	assert_int_equal(n_begun, 2);
}

/* A tunnel that says nothing: what was said before does not count any more. */
static void test_deaf(void **state)
{
	const uint64_t now_us = 1000 * SECOND;

	(void) apply();
	answer(2, "192.0.2.2:41741", now_us, true);
	peers_look(peers, tunnel, now_us);
	assert_int_equal(peers_reachable(peers), 1);
	is_deaf = true;
	peers_look(peers, tunnel, now_us);
	assert_int_equal(peers_reachable(peers), 0);
}

/*
 * IPv6 over a narrow IPv6 goes in fragments of ours; elsewhere routers do it, or a relay's way is
 * meant. That it is, or is not any more, is news to the tunnel.
 */
static void test_fragments(void **state)
{
	static const struct {
		const char *at;
		unsigned told, fragment;
	} cases[] = { { "[2001:db8::2]:41741", 1280, 0 }, { "[2001:db8::2]:41741", 1216, 1296 },
		{ "[2001:db8::2]:41741", 1200, 1280 }, { "[2001:db8::2]:41741", 1056, 1280 },
		{ "[2001:db8::2]:41741", 0, 0 }, { "192.0.2.2:41741", 1056, 0 },
		{ "127.0.0.1:7000", 1056, 0 } };

	(void) apply();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct peer *peer = peers_change(peers, 2);
		bool relayed = !strncmp(cases[i].at, "127", 3);
		struct way way = { .relayed = relayed };
		unsigned before = peer->told.fragment;
		int n = n_set;

		ways_done(&peer->ways);
		assert_int_equal(endpoint_parse(cases[i].at, &way.to), 0);
		peer->ways.list = malloc(sizeof(way));
		peer->ways.list[0] = way;
		peer->ways.n = peer->ways.room = 1;
		peer->ways.in_use = 0;
		peer->mtu.told = cases[i].told;
		(void) peers_apply_one(peers, tunnel, 2, NULL, 0, NULL);
		assert_int_equal(peers_get(peers, 2)->told.fragment, cases[i].fragment);
		assert_int_equal(n_set - n, i == 0 || before != cases[i].fragment);
		assert_int_equal(last_set.fragment, cases[i].fragment);
	}
}

/* Whose presence came since the tunnel was told last. */
static void test_presence_came(void **state)
{
	(void) apply();
	peers_look(peers, tunnel, 1000 * SECOND);
	assert_false(peers_get(peers, 2)->has_presence);
	announce(2, "192.0.2.2:41741");
	peers_look(peers, tunnel, 1000 * SECOND);
	assert_true(peers_get(peers, 2)->has_presence);
	assert_false(peers_get(peers, 3)->has_presence);
}

/* Reachable is who said something within a minute, in a session. */
static void test_reachable(void **state)
{
	const uint64_t now_us = 1000 * SECOND;

	(void) apply();
	answer(2, "192.0.2.2:41741", now_us - 59 * SECOND, true);
	answer(3, "192.0.2.3:41741", now_us - 60 * SECOND, true);
	peers_look(peers, tunnel, now_us);
	assert_int_equal(peers_reachable(peers), 1);
	assert_true(peers_get(peers, 2)->reachable);
	assert_false(peers_get(peers, 3)->reachable);
	assert_true(peers_get(peers, 2)->ever);
	assert_false(peers_get(peers, 3)->ever);
	assert_int_equal(peers_get(peers, 2)->state_us, now_us);
	assert_int_equal(n_lost, 0); /* who never was cannot be lost */
	n_answers = 0;
	answer(2, "192.0.2.2:41741", now_us, false);
	peers_look(peers, tunnel, now_us + SECOND);
	assert_int_equal(peers_reachable(peers), 0);
	assert_int_equal(lost_id, 2);
	peers_look(peers, tunnel, now_us + 2 * SECOND);
	assert_int_equal(n_lost, 1);
	assert_true(peers_get(peers, 2)->ever);
	n_answers = 0;
	answer(2, "192.0.2.2:41741", 0, true); /* nothing was heard yet */
	peers_look(peers, tunnel, now_us + SECOND);
	assert_int_equal(peers_reachable(peers), 0);
	peers_look(peers, NULL, now_us + SECOND);
	assert_int_equal(peers_get(peers, 2)->stats.session, false);
}

/* It is told when a peer answers from elsewhere; what it does not announce itself is remembered. */
static void test_moved(void **state)
{
	const uint64_t now_us = 1000 * SECOND;
	struct endpoint endpoint;

	announce(2, "192.0.2.2:41741");
	(void) apply();
	answer(2, "192.0.2.2:41741", now_us, true);
	peers_look(peers, tunnel, now_us);
	assert_int_equal(moved_id, 0); /* the first one is no move */
	assert_false(seen_get(seen, 2, &endpoint));
	n_answers = 0;
	answer(2, "198.51.100.9:20188", now_us, false); /* where it might be */
	peers_look(peers, tunnel, now_us);
	assert_int_equal(moved_id, 0);
	n_answers = 0;
	answer(2, "198.51.100.9:20188", now_us, true);
	peers_look(peers, tunnel, now_us);
	assert_int_equal(moved_id, 2);
	assert_true(seen_get(seen, 2, &endpoint));
	/* When we start again it is looked for there, too. */
	peers_clear(peers);
	(void) peers_apply_one(peers, tunnel, 2, NULL, 0, NULL);
	assert_int_equal(peers_get(peers, 2)->ways.n, 2);
	assert_true(peers_get(peers, 2)->recalled_us); /* nothing was heard there */
	n_answers = 0;
	answer(2, "192.0.2.2:41741", now_us, true);
	peers_look(peers, tunnel, now_us);
	assert_false(seen_get(seen, 2, &endpoint));
}

/* By a relay it is at an address of this board, which is worth no memory; where it was before is. */
static void test_moved_to_a_relay(void **state)
{
	const uint64_t now_us = 1000 * SECOND;
	struct endpoint before, after;

	(void) apply();
	answer(2, "198.51.100.9:20188", now_us, true);
	peers_look(peers, tunnel, now_us);
	assert_true(seen_get(seen, 2, &before));
	n_answers = 0;
	answer(2, "127.0.0.1:5000", now_us, true);
	peers_look(peers, tunnel, now_us);
	assert_true(peers_get(peers, 2)->reachable);
	assert_int_equal(moved_id, 2);
	assert_true(seen_get(seen, 2, &after));
	assert_true(endpoint_equal(&before, &after));
}

/* However the boards are numbered, they are found. */
static void test_many(void **state)
{
	size_t n;

	for (uint32_t id = 4; id < 200; id++)
		put(maker_node(id, id, NULL));
	assert_int_equal(apply(), 198);
	for (uint32_t id = 2; id < 200; id++)
		assert_int_equal(peers_get(peers, id)->id, id);
	(void) peers_list(peers, &n);
	assert_int_equal(n, 198);
	assert_int_equal(apply(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_told_once),
		TEST(test_fragments),
		TEST(test_one),
		TEST(test_again),
		TEST(test_gone),
		TEST(test_not_dropped),
		TEST(test_own_addresses),
		TEST(test_found),
		TEST(test_initiate),
		TEST(test_deaf),
		TEST(test_presence_came),
		TEST(test_reachable),
		TEST(test_moved),
		TEST(test_moved_to_a_relay),
		TEST(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
