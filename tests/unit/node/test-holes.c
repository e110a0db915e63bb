/*
 * holes: with whom a port is guessed and when, what leaves by how many sockets, what of that is
 * believed, and what a peer that lies can make of it. Where a peer would be is a socket of the test's;
 * how the plan goes on by itself is test-guess', what the ferry does with a hole test-ferry's.
 */
#include "fake-core.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake-ferry.h"
#include "mesh/guess.h"
#include "node/hole-ways.h"
#include "node/holes.h"
#include "wire/stun.h"

#define MS     USEC_PER_MSEC
#define SECOND USEC_PER_SEC

enum { HINT = 0x55, FDS = 400 };

static struct tunnel *const tunnel = (struct tunnel *) &fake_tunnel;
static const struct endpoint relayed_at = { .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = 4000 };

static struct core *core;
static struct seen *seen;
static struct peers *peers;
static struct holes *holes;
static struct ways_own own;
static int far_fd, stun_fd; /* what is connected to leads to the first, but for what asks STUN */
static struct endpoint stun_at;
static bool has_server, answers, relay_is_silent, is_reached[4];
static unsigned n_calls, n_pings, n_changed, n_stun, n_there;
static struct sockaddr_storage last_there; /* who sent it */
static uint64_t call_us;
static struct ip_addr pinged[64]; /* each address that was pinged */
static size_t n_pinged;

int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct endpoint to;
	struct sockaddr_storage far;
	socklen_t far_len = sizeof(far);

	assert_int_equal(endpoint_from_sockaddr(sa, &to), 0);
	if (ip_addr_is_loopback(&to.addr))
		return __real_connect(fd, sa, len);
	assert_int_equal(getsockname(far_fd, (struct sockaddr *) &far, &far_len), 0);
	return __real_connect(fd, (struct sockaddr *) &far, far_len);
}

/* --- hooks --- */

static bool server(void *ctx, struct endpoint *ret)
{
	assert_ptr_equal(ctx, &own);
	*ret = stun_at;
	return has_server;
}

static void call(void *ctx, uint32_t id)
{
	assert_true(peers_get(peers, id)->guess.open);
	n_calls++;
	call_us = clock_now_us();
}

static void note_address(const struct ip_addr *addr)
{
	for (size_t i = 0; i < n_pinged; i++)
		if (ip_addr_equal(&pinged[i], addr))
			return;
	assert_true(n_pinged < sizeof(pinged) / sizeof(pinged[0]));
	pinged[n_pinged++] = *addr;
}

static void ping(void *ctx, uint32_t id, const struct endpoint *to)
{
	assert_true(to->port >= 1024);
	note_address(&to->addr);
	n_pings++;
}

static bool seal(void *ctx, uint32_t id, uint8_t ret[static DISCO_MIN_LEN])
{
	memset(ret, (int) id, DISCO_MIN_LEN);
	return true;
}

static bool recognises(void *ctx, uint32_t id, const uint8_t *data, size_t len)
{
	return len == DISCO_MIN_LEN && data[0] == HINT + id;
}

static void changed(void *ctx)
{
	n_changed++;
}

static const struct holes_hooks hooks = { .server = server,
	.call = call,
	.ping = ping,
	.seal = seal,
	.recognises = recognises,
	.changed = changed };

static void on_peer(void *ctx, uint32_t id)
{
}

static const struct peers_hooks peers_hooks = { .moved = on_peer, .lost = on_peer };

/* --- the world --- */

static int open_there(struct endpoint *ret_at)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = 4 << 20;

	assert_true(fd >= 0);
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, ret_at), 0);
	return fd;
}

static struct peer *peer(uint32_t id)
{
	struct peer *p = peers_change(peers, id);

	assert_non_null(p);
	return p;
}

static int set_up(void **state)
{
	struct endpoint unused;

	n_calls = n_pings = n_changed = n_stun = n_there = 0;
	own = (struct ways_own){ 0 };
	n_pinged = 0;
	has_server = answers = true;
	relay_is_silent = false;
	memset(is_reached, 0, sizeof(is_reached));
	far_fd = open_there(&unused);
	stun_fd = open_there(&stun_at);
	fake_ferry_reset();
	fake_tunnel.port = 41741;
	core = fake_core_new();
	core->config.guessing = true;
	seen = seen_new("/dev/null/seen", NULL);
	peers = peers_new(core->book, seen, 1, &peers_hooks, NULL);
	assert_true(peers_apply(peers, tunnel, NULL, 0, NULL) >= 0);
	assert_int_equal(holes_new(core, peers, &hooks, &own, &holes, NULL), 0);
	holes_use(holes, tunnel);
	return 0;
}

static int tear_down(void **state)
{
	holes_use(holes, NULL);
	holes = holes_free(holes);
	fake_ferry_check();
	peers = peers_free(peers);
	seen = seen_free(seen);
	core = fake_core_free(core);
	(void) close(far_fd);
	(void) close(stun_fd);
	return 0;
}

/* What our NAT does, and peer @id's, that is seen at @at; the relay leads to it, nothing else does. */
static void meet(uint32_t id, enum disco_mapping ours, enum disco_mapping its, const char *at)
{
	struct predict_nat nat = { .mapping = its };
	struct peer *p = peer(id);
	struct endpoint relay = relayed_at;

	assert_int_equal(endpoint_parse(at, &nat.last), 0);
	own.mapping = ours;
	p->pair.usable = true;
	relay.port = (uint16_t) (relay.port + id);
	ways_own(&p->ways, &own, clock_now_us());
	ways_nat(&p->ways, &nat);
	ways_relayed(&p->ways, &relay, clock_now_us());
}

static void answer_stun(void)
{
	uint8_t data[STUN_REQUEST_LEN], answer[STUN_ANSWER_MAX_LEN];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	while (recvfrom(stun_fd, data, sizeof(data), 0, (struct sockaddr *) &from, &len) > 0) {
		struct stun_request request;
		struct endpoint at;
		size_t n;

		n_stun++;
		len = sizeof(from);
		if (!answers)
			continue;
		assert_int_equal(stun_request_parse(data, sizeof(data), &request), 0);
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &from, &at), 0);
		n = stun_answer_format(&request, &at, answer);
		assert_int_equal(
			sendto(stun_fd, answer, n, 0, (struct sockaddr *) &from, sizeof(from)), n);
	}
}

static void deliver(void)
{
	for (int fd = 3; fd < FDS; fd++)
		if (fd != far_fd && fd != stun_fd)
			fake_event_ready(fd);
}

/* Relays answer; what else is pinged does where the peer is reached. */
static void answer_pings(void)
{
	static uint64_t tx = 1;
	size_t n;
	struct peer *list = peers_all(peers, &n);
	struct ways_action action;

	for (size_t i = 0; i < n; i++)
		while (list[i].pair.usable &&
			ways_next(&list[i].ways, clock_now_us(), ++tx, &action)) {
			bool relay = action.to.port < 5000;

			if (action.what == WAYS_PING &&
				(relay ? !relay_is_silent : is_reached[list[i].id]))
				(void) ways_pong(&list[i].ways, &action.to, tx, clock_now_us());
		}
}

/* What came to where the peer is. */
static void read_there(void)
{
	uint8_t data[DISCO_MIN_LEN + 1];
	socklen_t len = sizeof(last_there);

	while (recvfrom(far_fd, data, sizeof(data), 0, (struct sockaddr *) &last_there, &len) ==
		DISCO_MIN_LEN) {
		assert_in_range(data[0], 2, 3);
		len = sizeof(last_there);
		n_there++;
	}
}

static void pass(uint64_t us)
{
	for (uint64_t end_us = clock_now_us() + us; clock_now_us() < end_us;) {
		uint64_t left_us = end_us - clock_now_us();
		/* Finely where something may be under way. */
		uint64_t step_us = fake_event_next_us() < SECOND ? 10 * MS : 500 * MS;

		fake_event_pass(left_us < step_us ? left_us : step_us);
		answer_stun();
		deliver();
		read_there();
		answer_pings();
		if (clock_now_us() % (5 * SECOND) < step_us)
			holes_look(holes);
	}
}

/* Board @first - HINT, to whom the last came from. */
static void say(uint8_t first)
{
	uint8_t data[DISCO_MIN_LEN] = { first };

	assert_int_equal(sendto(far_fd, data, sizeof(data), 0,
				 (const struct sockaddr *) &last_there, sizeof(struct sockaddr_in)),
		sizeof(data));
}

static struct holes_counters counters(void)
{
	return holes_counters(holes);
}

static const char *const easy_at = "198.51.100.7:41741", *const hard_at = "203.0.113.9:20001";

/* We are the hard side, and it has begun. */
static void dig(void)
{
	meet(2, DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, easy_at);
	pass(100 * MS);
	holes_called(holes, 2, false);
	pass(3 * SECOND);
}

/* --- the hard side --- */

static void test_hard(void **state)
{
	const struct way *way;
	uint64_t begun_us = clock_now_us();

	dig();
	pass(1500 * MS);
	assert_int_equal(n_calls, 1);
	assert_in_range(call_us - begun_us, 3 * SECOND, 3300 * MS);
	assert_true(n_stun >= 2);
	assert_int_equal(n_there, GUESS_SOCKETS);
	assert_int_equal(n_pings, 0); /* none from the tunnel's port */
	/* A stranger, and another board. */
	say(1);
	say(HINT + 3);
	pass(50 * MS);
	assert_int_equal(fake_ferry.open, 0);
	is_reached[2] = true;
	say(HINT + 2);
	pass(50 * MS);
	assert_int_equal(n_changed, 1);
	assert_true(fake_holes[2].open);
	assert_true(fake_tunnel.allowed[2]);
	way = ways_get_hole(&peer(2)->ways);
	assert_non_null(way);
	assert_ptr_equal(way, ways_in_use(&peer(2)->ways));
	assert_int_equal(way->beyond.port, 41741);
	assert_int_equal(way->beyond.addr.bytes[0], 198);
	assert_false(peer(2)->guess.open);
	assert_int_equal(counters().met, 1);
	assert_int_equal(counters().tries, 1);
	assert_int_equal(counters().now, 1);
	assert_int_equal(counters().pings, GUESS_SOCKETS);
	/* The others are closed, and there is nothing more to do. */
	pass(60 * SECOND);
	assert_int_equal(n_there, GUESS_SOCKETS);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_int_equal(n_calls, 1);
}

/* It ends after twenty seconds, and then again ever more seldom. */
static void test_in_vain(void **state)
{
	unsigned tries[4];

	dig();
	pass(25 * SECOND);
	assert_int_equal(n_there, 4 * GUESS_SOCKETS);
	assert_int_equal(counters().in_vain, 1);
	assert_false(peer(2)->guess.open);
	for (unsigned hour = 0; hour < 4; hour++) {
		for (int i = 0; i < 30; i++) {
			holes_called(holes, 2, false);
			pass(120 * SECOND);
		}
		tries[hour] = (unsigned) counters().tries;
	}
	assert_in_range(tries[0], 4, 6);
	assert_in_range(tries[3], 5, 8);
	assert_int_equal(fake_ferry.open, 0);
}

/* One that does not answer any more is left, and after a minute closed; a new try may take its place. */
static void test_hole_ends(void **state)
{
	dig();
	pass(SECOND);
	is_reached[2] = true;
	say(HINT + 2);
	pass(6 * SECOND);
	assert_true(fake_holes[2].open);
	is_reached[2] = false;
	ways_quiet(&peer(2)->ways, clock_now_us());
	pass(2 * SECOND);
	assert_true(ways_is_relayed(&peer(2)->ways));
	assert_true(fake_holes[2].open);
	n_there = 0;
	holes_called(holes, 2, false);
	pass(5 * SECOND);
	assert_true(n_there > 0);
	is_reached[2] = true;
	say(HINT + 2);
	pass(SECOND);
	assert_int_equal(fake_holes[2].opened, 2);
	assert_false(ways_is_relayed(&peer(2)->ways));
	is_reached[2] = false;
	ways_quiet(&peer(2)->ways, clock_now_us());
	pass(70 * SECOND);
	assert_false(fake_holes[2].open);
	assert_null(ways_get_hole(&peer(2)->ways));
	assert_int_equal(fake_ferry.open, 0);
	assert_int_equal(counters().now, 0);
}

/* Somebody has sent again what was the peer's once: it is not used, and there is no next try for that. */
static void test_replayed(void **state)
{
	dig();
	pass(SECOND);
	say(HINT + 2);
	pass(SECOND);
	assert_true(fake_holes[2].open);
	assert_true(ways_is_relayed(&peer(2)->ways));
	n_there = 0;
	for (int i = 0; i < 5; i++) {
		holes_called(holes, 2, false);
		pass(10 * SECOND);
	}
	assert_int_equal(n_there, 0);
	pass(30 * SECOND);
	assert_false(fake_holes[2].open);
	assert_true(n_there > 0); /* after a minute */
}

static void test_tunnel_ends(void **state)
{
	dig();
	pass(SECOND);
	say(HINT + 2);
	pass(50 * MS);
	fake_tunnel.port = 7;
	holes_look(holes);
	assert_int_equal(fake_ferry.port, 7);
	holes_use(holes, NULL);
	assert_false(fake_holes[2].open);
	assert_int_equal(fake_ferry.open, 0);
	holes_called(holes, 2, false);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	/* In the middle of a try. */
	holes_use(holes, tunnel);
	peer(2)->guess = (struct peer_guess){ 0 };
	holes_called(holes, 2, false);
	n_there = 0;
	pass(4 * SECOND);
	assert_in_range(n_there, 1, GUESS_SOCKETS - 1);
	holes_use(holes, NULL);
	n_there = 0;
	pass(SECOND);
	assert_int_equal(n_there, 0);
}

static void test_no_hole(void **state)
{
	dig();
	pass(SECOND);
	fake_ferry.holes_fail = -ENOSPC;
	say(HINT + 2);
	pass(50 * MS);
	assert_null(ways_get_hole(&peer(2)->ways));
	assert_int_equal(fake_ferry.open, 0);
	assert_int_equal(fake_core_logged("a port was guessed in vain"), 1);
}

/* --- the easy side --- */

static void invite(void)
{
	meet(2, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, hard_at);
	pass(100 * MS);
	holes_called(holes, 2, false);
	pass(5 * SECOND);
	assert_int_equal(n_pings, 0); /* nobody has asked for it */
	holes_called(holes, 2, true);
}

static void test_easy(void **state)
{
	invite();
	pass(SECOND);
	assert_in_range(n_pings, 90, 101);
	assert_int_equal(n_pinged, 1);
	assert_int_equal(n_calls, 0);
	/* It is met: the peer is heard, and answers there. */
	is_reached[2] = true;
	ways_heard(&peer(2)->ways, &(struct endpoint){ .addr = pinged[0], .port = 33333 },
		clock_now_us());
	pass(60 * SECOND);
	assert_false(ways_is_relayed(&peer(2)->ways));
	assert_in_range(n_pings, 90, 110);
	assert_int_equal(counters().met, 1);
}

/*
 * It lies, and calls every second: 2,000 pings go to one address, then none for a while, and in a
 * day six times as many.
 */
static void test_liar(void **state)
{
	uint64_t until_us;

	invite();
	pass(22 * SECOND);
	assert_int_equal(n_pings, GUESS_PINGS);
	assert_int_equal(counters().in_vain, 1);
	until_us = clock_now_us() + 25 * SECOND;
	while (clock_now_us() < until_us) {
		holes_called(holes, 2, true);
		pass(SECOND);
	}
	assert_int_equal(n_pings, GUESS_PINGS);
	assert_true(counters().refused > 10);
	for (int i = 0; i < 23 * 60; i++) {
		holes_called(holes, 2, true);
		pass(60 * SECOND);
	}
	assert_int_equal(n_pings, GUESS_ADDRESS_TRIES * GUESS_PINGS);
	assert_int_equal(n_pinged, 1);
}

/* It is reached elsewhere meanwhile: that says nothing of the address that it named. */
static void test_liar_is_reached(void **state)
{
	struct endpoint home = { .addr = { AF_INET, { 192, 168, 1, 9 } }, .port = 41741 };

	invite();
	for (int i = 0; i < 12 * 60; i++) {
		is_reached[2] = false;
		ways_doubt(&peer(2)->ways, clock_now_us());
		pass(2 * SECOND);
		holes_called(holes, 2, true);
		pass(SECOND);
		is_reached[2] = true;
		ways_announced(&peer(2)->ways, &home, 1, clock_now_us());
		pass(57 * SECOND);
		assert_false(ways_is_relayed(&peer(2)->ways));
	}
	assert_int_equal(counters().met, 0);
	assert_true(counters().tries <= GUESS_ADDRESS_TRIES);
	assert_true(n_pings > 100);
}

/* Two of them name one address; each names many. */
static void test_liars(void **state)
{
	invite();
	meet(3, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, hard_at);
	for (int i = 0; i < 12 * 60; i++) {
		holes_called(holes, 2, true);
		holes_called(holes, 3, true);
		pass(60 * SECOND);
	}
	assert_int_equal(n_pings, GUESS_ADDRESS_TRIES * GUESS_PINGS);
	assert_int_equal(n_pinged, 1);
	n_pings = 0;
	for (unsigned i = 0; i < 12 * 60; i++) {
		char at[32];

		(void) snprintf(at, sizeof(at), "203.0.113.%u:20001", i % 250);
		meet(2, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, at);
		holes_called(holes, 2, true);
		pass(60 * SECOND);
	}
	assert_in_range(n_pings, GUESS_PINGS, 12 * GUESS_PINGS);
}

/* --- who else is there --- */

/* In the middle of it others do not get through any more: nobody is tried for an hour. */
static void test_hurt(void **state)
{
	unsigned before;

	invite();
	pass(5 * SECOND);
	answers = false;
	pass(3 * SECOND);
	before = n_pings;
	assert_int_equal(counters().hurt, 1);
	assert_int_equal(fake_core_logged("no port is guessed for an hour"), 1);
	answers = true;
	meet(3, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, "203.0.113.77:1024");
	for (int i = 0; i < 58; i++) {
		holes_called(holes, 2, true);
		holes_called(holes, 3, true);
		pass(60 * SECOND);
	}
	assert_int_equal(n_pings, before);
	pass(180 * SECOND);
	holes_called(holes, 3, true);
	pass(5 * SECOND);
	assert_true(n_pings > before);
}

/* Without a server that answers there is no knowing. */
static void test_deaf(void **state)
{
	answers = false;
	dig();
	pass(10 * SECOND);
	assert_int_equal(n_stun, GUESS_LATE);
	assert_int_equal(n_calls, 0);
	assert_int_equal(n_there, 0);
	assert_int_equal(counters().tries, 0);
	assert_int_equal(counters().hurt, 0);
	has_server = false;
	holes_called(holes, 2, false);
	pass(100 * SECOND);
	assert_int_equal(n_stun, GUESS_LATE);
	assert_int_equal(n_there, 0);
}

static void expect_quiet(void)
{
	for (int i = 0; i < 5; i++) {
		holes_called(holes, 2, true);
		pass(5 * SECOND);
	}
	assert_int_equal(n_there + n_pings + n_calls + n_stun, 0);
}

static void test_off(void **state)
{
	core->config.guessing = false;
	meet(2, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, hard_at);
	pass(SECOND);
	expect_quiet();
	meet(2, DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, easy_at);
	expect_quiet();
}

/* Switched off in the middle. */
static void test_off_now(void **state)
{
	unsigned before;

	invite();
	pass(SECOND);
	core->config.guessing = false;
	pass(20 * MS);
	before = n_pings;
	pass(30 * SECOND);
	assert_int_equal(n_pings, before);
}

static void test_not_both_hard(void **state)
{
	meet(2, DISCO_MAPPING_RANDOM, DISCO_MAPPING_RANDOM, hard_at);
	pass(SECOND);
	expect_quiet();
}

static void test_own_address(void **state)
{
	own = (struct ways_own){
		.list = { { { AF_INET, { 203, 0, 113, 9 } }, .port = 5 } }, .n = 1, .n_local = 1
	};
	meet(2, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, hard_at);
	pass(SECOND);
	expect_quiet();
}

static void test_reached(void **state)
{
	struct endpoint home = { .addr = { AF_INET, { 192, 168, 1, 9 } }, .port = 41741 };

	is_reached[2] = true;
	meet(2, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, hard_at);
	ways_announced(&peer(2)->ways, &home, 1, clock_now_us());
	pass(SECOND);
	assert_false(ways_is_relayed(&peer(2)->ways));
	expect_quiet();
}

/* What is known of it goes while a try lasts: no way is in use then, and none in doubt. */
static void test_forgotten(void **state)
{
	invite();
	pass(SECOND);
	peer(2)->ways = (struct ways){ 0 };
	pass(SECOND);
	assert_int_equal(holes_counters(holes).met, 0);
}

static void test_relay_silent(void **state)
{
	relay_is_silent = true;
	meet(2, DISCO_MAPPING_INDEPENDENT, DISCO_MAPPING_RANDOM, hard_at);
	pass(SECOND);
	expect_quiet();
}

/* One after the other. */
static void test_two(void **state)
{
	meet(3, DISCO_MAPPING_RANDOM, DISCO_MAPPING_INDEPENDENT, easy_at);
	dig();
	holes_called(holes, 3, false);
	pass(10 * SECOND);
	assert_true(peer(2)->guess.open);
	assert_false(peer(3)->guess.open);
	pass(13 * SECOND);
	assert_false(peer(2)->guess.open);
	assert_true(peer(3)->guess.open);
	pass(20 * SECOND);
	assert_false(peer(3)->guess.open);
	assert_int_equal(counters().tries, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(hard),
		TEST(in_vain),
		TEST(hole_ends),
		TEST(replayed),
		TEST(tunnel_ends),
		TEST(no_hole),
		TEST(easy),
		TEST(liar),
		TEST(liar_is_reached),
		TEST(liars),
		TEST(hurt),
		TEST(deaf),
		TEST(off),
		TEST(off_now),
		TEST(not_both_hard),
		TEST(own_address),
		TEST(reached),
		TEST(forgotten),
		TEST(relay_silent),
		TEST(two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
