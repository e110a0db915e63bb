/*
 * ferry between a socket that stands for the tunnel and others that stand for relays, on the loopback.
 * Nothing is faked: what arrives has gone through the ferry's thread and the kernel twice.
 */
#include "tunnel/ferry.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "sys/sock/sock.h"
#include "wire/derp.h"
#include "wire/udprelay.h"

enum {
	ADA = 7,
	BOB = 8,
	RELAY = 20,
	SECOND_RELAY = 21,
	SESSION = 0xcafe0001,
	HEAD = UDPRELAY_DATA_HEAD_LEN,
	CAPACITY = 65535,
	LEN_MAX = 9300,
};

struct world {
	struct ferry *ferry;
	struct sock tunnel, relay, second;
	struct endpoint ada, bob;      /* their places for the tunnel */
	struct endpoint at, second_at; /* where the ferry is for the relays */
	struct sock_batch *batch;
	struct sock_msg msgs[SOCK_BATCH_MAX]; /* the batch that is looked at */
	size_t n_msgs, next_msg, next_at;
	unsigned supers; /* messages of several datagrams among them, ever */
	uint8_t slots[SOCK_BATCH_MAX][CAPACITY];
	uint8_t text[4 << 20], out[CAPACITY];
};

static atomic_uint wholes; /* messages that nobody may fragment */

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	int discover = 0;
	socklen_t len = sizeof(discover);

	(void) getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, &len);
	if (discover == IP_PMTUDISC_PROBE)
		wholes += n;
	return __real_sendmmsg(fd, msgs, n, flags);
}

static struct endpoint local(uint16_t port)
{
	return (struct endpoint){ .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = port };
}

static const uint8_t *key_of(uint32_t node)
{
	static uint8_t key[FERRY_KEY_LEN];

	memset(key, 0x42, sizeof(key)); /* all in one bucket */
	memcpy(key + sizeof(node), &node, sizeof(node));
	return key;
}

static int add_peer(struct world *w, uint32_t node, struct endpoint *ret)
{
	return ferry_peer_add(w->ferry, node, key_of(node), ret);
}

/* --- sending and receiving as the ends do --- */

static void send_to(struct world *w, struct sock *from, const struct endpoint *to, const void *data,
	size_t len, size_t segment)
{
	struct sock_msg msg = {
		.data = (uint8_t *) data, .len = len, .segment = segment, .remote = *to
	};

	assert_int_equal(sock_send(w->batch, from, &msg, 1), 1);
	assert_int_equal(msg.failed, 0);
}

static void receive(struct world *w, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	assert_int_equal(poll(&p, 1, 5000), 1);
	for (size_t i = 0; i < SOCK_BATCH_MAX; i++)
		w->msgs[i].data = w->slots[i];
	n = sock_recv(w->batch, fd, w->msgs, SOCK_BATCH_MAX, CAPACITY);
	assert_true(n > 0);
	w->n_msgs = (size_t) n;
	w->next_msg = w->next_at = 0;
}

/* The next datagram at @fd; all that came with it must be taken before another socket is looked at. */
static const uint8_t *next(struct world *w, int fd, struct endpoint *ret_from, size_t *ret_len)
{
	const struct sock_msg *msg;
	size_t at, size;

	if (w->next_msg == w->n_msgs)
		receive(w, fd);
	msg = &w->msgs[w->next_msg];
	at = w->next_at;
	size = sock_msg_datagrams(msg) > 1 ? msg->segment : msg->len;
	w->supers += at == 0 && size < msg->len;
	*ret_len = msg->len - at < size ? msg->len - at : size;
	*ret_from = msg->remote;
	w->next_at += *ret_len;
	if (w->next_at == msg->len) {
		w->next_msg++;
		w->next_at = 0;
	}
	return msg->data + at;
}

static void expect_nothing(const struct world *w, const struct sock *sock)
{
	uint8_t byte;

	assert_int_equal(w->next_msg, w->n_msgs);
	assert_int_equal(recv(sock->fd4, &byte, 1, MSG_DONTWAIT), -1);
}

static void expect_for_node(
	struct world *w, const struct sock *relay, uint32_t node, const void *data, size_t len)
{
	struct endpoint from;
	uint32_t session, to;
	size_t got;
	const uint8_t *at = next(w, relay->fd4, &from, &got);

	assert_int_equal(got, HEAD + len);
	assert_true(udprelay_data_parse(at, got, &session, &to));
	assert_int_equal(session, SESSION);
	assert_int_equal(to, node);
	assert_memory_equal(at + HEAD, data, len);
}

static void expect_at_tunnel(
	struct world *w, const struct endpoint *from, const void *data, size_t len)
{
	struct endpoint source;
	size_t got;
	const uint8_t *at = next(w, w->tunnel.fd4, &source, &got);

	assert_int_equal(got, len);
	assert_memory_equal(at, data, len);
	assert_true(endpoint_equal(&source, from));
}

/* As the relay does it: a head before each, all in one message where they are equally long. */
static size_t wrap(
	struct world *w, uint8_t *out, uint32_t session, uint32_t node, size_t at, size_t len)
{
	udprelay_data_head(out, session, node);
	memcpy(out + HEAD, w->text + at, len);
	return HEAD + len;
}

static void from_relay(struct world *w, uint32_t node, size_t at, size_t len)
{
	size_t n = wrap(w, w->out, SESSION, node, at, len);

	send_to(w, &w->relay, &w->at, w->out, n, 0);
}

static struct ferry_counters counters(struct world *w)
{
	struct ferry_counters c;

	assert_int_equal(ferry_get_counters(w->ferry, &c), 0);
	return c;
}

/* Until the counter at @offset is @wanted, which it must not exceed. */
static void await(struct world *w, size_t offset, uint64_t wanted)
{
	uint64_t end_us = clock_now_us() + 5 * USEC_PER_SEC, is;

	do {
		struct ferry_counters c = counters(w);

		memcpy(&is, (const uint8_t *) &c + offset, sizeof(is));
		assert_true(is <= wanted);
		assert_true(clock_now_us() < end_us);
	} while (is < wanted);
}
#define AWAIT(w, counter, wanted) await(w, offsetof(struct ferry_counters, counter), wanted)

static struct ferry_event next_event(struct world *w)
{
	struct pollfd p = { .fd = ferry_event_fd(w->ferry), .events = POLLIN };
	struct ferry_event event;

	if (ferry_next_event(w->ferry, &event))
		return event;
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(ferry_next_event(w->ferry, &event));
	return event;
}

static void expect_no_event(struct world *w)
{
	struct ferry_event event;

	assert_false(ferry_next_event(w->ferry, &event));
}

/* --- the world --- */

/* Opens a relay and learns where the ferry is for it. */
static struct endpoint join(struct world *w, uint32_t relay, const struct sock *sock)
{
	struct endpoint to = local(sock->port), from;
	struct err err = { 0 };
	size_t len;

	if (ferry_relay_open(w->ferry, relay, &to, 0, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(ferry_send_control(w->ferry, relay, (const uint8_t *) "bind", 4), 0);
	assert_memory_equal(next(w, sock->fd4, &from, &len), "bind", 4);
	assert_int_equal(len, 4);
	return from;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = { 0 };

	assert_non_null(w);
	w->batch = sock_batch_new();
	assert_int_equal(sock_open(0, 0, true, &w->tunnel, &err), 0);
	assert_int_equal(sock_open(0, 0, true, &w->relay, &err), 0);
	assert_int_equal(sock_open(0, 0, true, &w->second, &err), 0);
	assert_int_equal(ferry_new(w->tunnel.port, &w->ferry, &err), 0);
	assert_int_equal(add_peer(w, ADA, &w->ada), 0);
	assert_int_equal(add_peer(w, BOB, &w->bob), 0);
	w->at = join(w, RELAY, &w->relay);
	assert_int_equal(ferry_relay_session(w->ferry, RELAY, SESSION), 0);
	assert_int_equal(ferry_peer_carrier(w->ferry, ADA, RELAY), 0);
	assert_int_equal(ferry_peer_carrier(w->ferry, BOB, RELAY), 0);
	for (size_t i = 0; i < sizeof(w->text); i++)
		w->text[i] = (uint8_t) (i / 251 + i);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	assert_null(ferry_free(w->ferry));
	sock_close(&w->tunnel);
	sock_close(&w->relay);
	sock_close(&w->second);
	sock_batch_free(w->batch);
	free(w);
	return 0;
}

/* --- trains --- */

static const struct {
	unsigned n; /* datagrams of @size, and one of @last if that is not 0 */
	size_t size, last;
	unsigned supers; /* messages of several that the relay gets */
} trains[] = {
	{ 1, 1, 0, 0 }, { 1, 1452, 0, 0 }, { 2, 1452, 0, 1 }, { 1, 1452, 1, 1 },
	{ 43, 1452, 733, 1 }, { 44, 1452, 0, 1 }, { 63, 32, 31, 1 }, { 64, 32, 0, 1 },
	{ 64, 1000, 0, 1 }, { 7, 9000, 1, 1 }, { 7, UDPRELAY_PAYLOAD_MAX, 77, 1 },
	{ 45, 1448, 300, 2 }, /* with their heads they are more than one message can be */
};

/* Each size and the order are kept both ways, and they stay together. */
static void test_trains(void **state)
{
	struct world *w = *state;
	uint64_t sent = 0;

	for (size_t i = 0; i < ARRAY_LEN(trains); i++) {
		size_t len = trains[i].n * trains[i].size + trains[i].last, size = trains[i].size,
		       n = 0;
		unsigned supers = w->supers;

		send_to(w, &w->tunnel, &w->ada, w->text, len, size);
		for (size_t at = 0; at < len; at += size)
			expect_for_node(
				w, &w->relay, ADA, w->text + at, len - at < size ? len - at : size);
		expect_nothing(w, &w->relay);
		if (w->relay.gro)
			assert_int_equal(w->supers - supers, trains[i].supers);
		sent += trains[i].n + (trains[i].last > 0);
		assert_int_equal(counters(w).to_relay, sent);

		/* And back, as much as a message with heads can be. */
		for (size_t at = 0; at < len && n + HEAD + size <= SOCK_MESSAGE_MAX; at += size)
			n += wrap(
				w, w->out + n, SESSION, BOB, at, len - at < size ? len - at : size);
		supers = w->supers;
		send_to(w, &w->relay, &w->at, w->out, n, HEAD + size);
		len = n - (n + HEAD + size - 1) / (HEAD + size) * HEAD;
		for (size_t at = 0; at < len; at += size)
			expect_at_tunnel(
				w, &w->bob, w->text + at, len - at < size ? len - at : size);
		expect_nothing(w, &w->tunnel);
		if (w->tunnel.gro)
			assert_int_equal(w->supers - supers, len > size);
	}
	assert_int_equal(counters(w).from_relay, counters(w).to_tunnel);
	assert_int_equal(counters(w).malformed, 0);
}

/* A padded ping goes to the relay in one piece, also from the middle of a train. */
static void test_padded_ping(void **state)
{
	enum { SIZE = 1452, N = 5, PING = 2 };
	static const uint8_t magic[] = { 0xf0, 'H', 'D', '1' };
	struct world *w = *state;
	unsigned before = wholes;

	memcpy(w->text + PING * SIZE, magic, sizeof(magic));
	send_to(w, &w->tunnel, &w->ada, w->text, N * SIZE, SIZE);
	for (size_t i = 0; i < N; i++)
		expect_for_node(w, &w->relay, ADA, w->text + i * SIZE, SIZE);
	expect_nothing(w, &w->relay);
	assert_int_equal(wholes - before, 1);
	assert_int_equal(counters(w).to_relay, N);
	/* A plain ping is as all else. */
	send_to(w, &w->tunnel, &w->ada, w->text + PING * SIZE, 92, 92);
	expect_for_node(w, &w->relay, ADA, w->text + PING * SIZE, 92);
	assert_int_equal(wholes - before, 1);
}

/* --- holes --- */

/* A socket that leads to @to, and where that sees it. */
static int lead_to(const struct sock *to, struct endpoint *ret_at)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(to->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	*ret_at = local(ntohs(sa.sin_port));
	return fd;
}

static void expect_there(struct world *w, const struct sock *peer, const struct endpoint *at,
	const void *data, size_t len)
{
	struct endpoint from;
	size_t got;
	const uint8_t *found = next(w, peer->fd4, &from, &got);

	assert_int_equal(got, len);
	assert_memory_equal(found, data, len);
	assert_true(endpoint_equal(&from, at));
}

/* No head is before what goes to the peer itself, and trains stay together both ways. */
static void test_hole(void **state)
{
	enum { CAT = 9, SIZE = 1452, N = 30 };
	struct world *w = *state;
	struct endpoint cat, at;
	unsigned supers;

	assert_int_equal(add_peer(w, CAT, &cat), 0);
	assert_int_equal(ferry_hole_open(w->ferry, CAT, lead_to(&w->second, &at), AF_INET), 0);
	supers = w->supers;
	send_to(w, &w->tunnel, &cat, w->text, N * SIZE - 100, SIZE);
	for (size_t i = 0; i < N; i++)
		expect_there(w, &w->second, &at, w->text + i * SIZE, i < N - 1 ? SIZE : SIZE - 100);
	send_to(w, &w->second, &at, w->text, N * SIZE - 100, SIZE);
	for (size_t i = 0; i < N; i++)
		expect_at_tunnel(w, &cat, w->text + i * SIZE, i < N - 1 ? SIZE : SIZE - 100);
	if (w->second.gro)
		assert_int_equal(w->supers - supers, 2);
	assert_int_equal(counters(w).to_relay, N);
	assert_int_equal(counters(w).from_relay, N);
	expect_no_event(w);
	/* Those of the others go on by their relay. */
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	expect_for_node(w, &w->relay, ADA, w->text, 100);
	from_relay(w, BOB, 0, 50);
	expect_at_tunnel(w, &w->bob, w->text, 50);
}

/* Also a padded ping, in one piece; who is not at the other end is not heard. */
static void test_hole_strangers(void **state)
{
	enum { CAT = 9, SIZE = 1300 };
	static const uint8_t magic[] = { 0xf0, 'H', 'D', '1' };
	struct world *w = *state;
	struct endpoint cat, at;
	unsigned before = wholes;

	assert_int_equal(add_peer(w, CAT, &cat), 0);
	assert_int_equal(ferry_hole_open(w->ferry, CAT, lead_to(&w->second, &at), AF_INET), 0);
	memcpy(w->text, magic, sizeof(magic));
	send_to(w, &w->tunnel, &cat, w->text, SIZE, 0);
	expect_there(w, &w->second, &at, w->text, SIZE);
	assert_int_equal(wholes - before, 1);
	send_to(w, &w->relay, &at, w->text, SIZE, 0);
	send_to(w, &w->second, &at, w->text + 7, SIZE, 0);
	expect_at_tunnel(w, &cat, w->text + 7, SIZE);
	expect_nothing(w, &w->tunnel);
}

/* Another in its place, none, and what cannot be. */
static void test_hole_ends(void **state)
{
	enum { CAT = 9, NOBODY = 10 };
	struct world *w = *state;
	struct endpoint cat, at, other;
	int fd = lead_to(&w->second, &at);

	assert_int_equal(ferry_hole_open(w->ferry, 0, fd, AF_INET), -EINVAL);
	assert_int_equal(close(fd), -1); /* it was taken all the same */
	assert_int_equal(add_peer(w, CAT, &cat), 0);
	assert_int_equal(ferry_hole_open(w->ferry, CAT, lead_to(&w->second, &at), AF_INET), 0);
	assert_int_equal(ferry_hole_open(w->ferry, CAT, lead_to(&w->second, &other), AF_INET), 0);
	send_to(w, &w->tunnel, &cat, "a", 1, 0);
	expect_there(w, &w->second, &other, "a", 1);
	ferry_hole_close(w->ferry, CAT);
	ferry_hole_close(w->ferry, CAT);
	send_to(w, &w->tunnel, &cat, "b", 1, 0);
	AWAIT(w, no_relay, 1);
	assert_int_equal(
		ferry_hole_open(w->ferry, NOBODY, lead_to(&w->second, &at), AF_INET), -ENOENT);
	/* Who has gone before his hole has: what comes by it is nobody's. */
	assert_int_equal(ferry_hole_open(w->ferry, CAT, lead_to(&w->second, &at), AF_INET), 0);
	ferry_peer_remove(w->ferry, CAT);
	send_to(w, &w->second, &at, "c", 1, 0);
	AWAIT(w, unknown_node, 1);
}

/* Sizes and peers in a jumble, many at once: for each peer all of it, in order. */
static void test_mixed(void **state)
{
	enum { N = 2000 };
	static const size_t sizes[] = { 32, 1452, 1452, 1452, 1, 148, 9000, 700, 1452 };
	struct world *w = *state;
	struct {
		size_t at, len;
	} sent[2][N];
	size_t n[2] = { 0 }, got[2] = { 0 }, at = 0;

	for (size_t i = 0; i < N; i++) {
		size_t who = i * 7 % 3 == 0, len = sizes[i * 31 % ARRAY_LEN(sizes)];

		from_relay(w, who ? BOB : ADA, at, len);
		sent[who][n[who]].at = at;
		sent[who][n[who]++].len = len;
		at = (at + len) % (sizeof(w->text) - LEN_MAX);
		while (i % 20 == 19 && got[0] + got[1] <= i) {
			struct endpoint from;
			size_t is;
			const uint8_t *data = next(w, w->tunnel.fd4, &from, &is);

			who = endpoint_equal(&from, &w->bob);
			assert_true(who || endpoint_equal(&from, &w->ada));
			assert_true(got[who] < n[who]);
			assert_int_equal(is, sent[who][got[who]].len);
			assert_memory_equal(data, w->text + sent[who][got[who]].at, is);
			got[who]++;
		}
	}
	expect_nothing(w, &w->tunnel);
	assert_int_equal(got[0] + got[1], N);
}

/* Peers take turns within one train: each gets its own as a train. */
static void test_interleaved(void **state)
{
	enum { N = 40, SIZE = 1000 };
	struct world *w = *state;
	size_t n = 0;
	unsigned of_ada = 0, of_bob = 0;

	for (size_t i = 0; i < N; i++)
		n += wrap(w, w->out + n, SESSION, i % 2 ? BOB : ADA, i * SIZE, SIZE);
	send_to(w, &w->relay, &w->at, w->out, n, HEAD + SIZE);
	for (size_t i = 0; i < N; i++) {
		struct endpoint from;
		size_t len;
		const uint8_t *data = next(w, w->tunnel.fd4, &from, &len);
		size_t nth = endpoint_equal(&from, &w->bob) ? 2 * of_bob++ + 1 : 2 * of_ada++;

		assert_int_equal(len, SIZE);
		assert_memory_equal(data, w->text + nth * SIZE, SIZE);
	}
	assert_int_equal(of_ada, N / 2);
	if (w->relay.gro && w->tunnel.gro)
		assert_int_equal(w->supers, 2);
	expect_nothing(w, &w->tunnel);
}

/* --- who may --- */

/* What is not the tunnel's does not get in, nor what is too long for a relay. */
static void test_local_user(void **state)
{
	struct world *w = *state;
	struct sock other;
	uint8_t byte = 1;

	assert_int_equal(sock_open(0, 0, false, &other, NULL), 0);
	for (int i = 0; i < 100; i++)
		send_to(w, &other, i % 2 ? &w->ada : &w->bob, w->text, 200, 0);
	/* The kernel says that nobody listens there. */
	for (int i = 0; i < 2; i++) {
		struct endpoint to = i ? w->ada : w->bob;
		struct sockaddr_storage sa;
		socklen_t len = endpoint_to_sockaddr(&to, &sa);
		CLEANUP(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_int_equal(connect(fd, (struct sockaddr *) &sa, len), 0);
		assert_int_equal(send(fd, "x", 1, 0), 1);
		assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, ECONNREFUSED);
	}
	send_to(w, &w->tunnel, &w->ada, w->text, UDPRELAY_PAYLOAD_MAX + 1, 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	expect_for_node(w, &w->relay, ADA, w->text, 100);
	expect_nothing(w, &w->relay);
	assert_int_equal(counters(w).foreign, 0);
	assert_int_equal(counters(w).too_long, 1);
	assert_int_equal(counters(w).to_relay, 1);
	sock_close(&other);
}

static const struct {
	const char *what;
	size_t counter;
	size_t len; /* of all of it */
	uint32_t session, node;
	int at; /* this byte is another, -1: none */
	uint8_t byte;
} hostile[] = {
#define COUNTED(name) offsetof(struct ferry_counters, name)
	{ "one byte", COUNTED(malformed), 1, SESSION, ADA, -1, 0 },
	{ "a part of the head", COUNTED(malformed), 11, SESSION, ADA, -1, 0 },
	{ "no payload", COUNTED(malformed), 12, SESSION, ADA, -1, 0 },
	{ "too long", COUNTED(malformed), HEAD + UDPRELAY_PAYLOAD_MAX + 1, SESSION, ADA, -1, 0 },
	{ "as long as can be", COUNTED(malformed), SOCK_MESSAGE_MAX, SESSION, ADA, -1, 0 },
	{ "disco", COUNTED(malformed), 100, SESSION, ADA, 0, 0xf0 },
	{ "another protocol", COUNTED(malformed), 100, SESSION, ADA, 1, 'h' },
	{ "another version", COUNTED(malformed), 100, SESSION, ADA, 2, 2 },
	{ "type 0", COUNTED(malformed), 100, SESSION, ADA, 3, 0 },
	{ "type 7", COUNTED(malformed), 100, SESSION, ADA, 3, 7 },
	{ "a BIND", COUNTED(malformed), UDPRELAY_BIND_LEN, SESSION, ADA, 3, UDPRELAY_BIND },
	{ "BOUND, one byte more", COUNTED(malformed), UDPRELAY_BOUND_LEN + 1, SESSION, ADA, 3,
		UDPRELAY_BOUND },
	{ "WireGuard", COUNTED(malformed), 148, SESSION, ADA, 0, 1 },
	{ "STUN", COUNTED(malformed), 20, SESSION, ADA, 0, 0 },
	{ "no session", COUNTED(bad_session), 100, 0, ADA, -1, 0 },
	{ "another's session", COUNTED(bad_session), 100, SESSION + 1, ADA, -1, 0 },
	{ "nobody", COUNTED(malformed), 100, SESSION, 0, -1, 0 },
	{ "a stranger", COUNTED(unknown_node), 100, SESSION, 9, -1, 0 },
	{ "another stranger", COUNTED(unknown_node), 100, SESSION, ADA + 1024, -1, 0 },
	{ "the last one", COUNTED(unknown_node), 100, SESSION, UINT32_MAX, -1, 0 },
};

/* Each is dropped for its reason, alone and within a train; what comes after it is delivered. */
static void test_hostile_relay(void **state)
{
	struct world *w = *state;
	static uint8_t bad[SOCK_MESSAGE_MAX];
	struct ferry_counters before;

	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		uint64_t wanted;
		size_t len = hostile[i].len;

		memset(bad, 0, sizeof(bad));
		udprelay_data_head(bad, hostile[i].session, hostile[i].node);
		if (hostile[i].at >= 0)
			bad[hostile[i].at] = hostile[i].byte;
		before = counters(w);
		memcpy(&wanted, (uint8_t *) &before + hostile[i].counter, sizeof(wanted));
		send_to(w, &w->relay, &w->at, bad, len, 0);
		from_relay(w, ADA, 0, 100);
		expect_at_tunnel(w, &w->ada, w->text, 100);
		if (len > HEAD && len < 1000) {
			wrap(w, w->out, SESSION, BOB, 0, len - HEAD);
			memcpy(w->out + len, bad, len);
			memcpy(w->out + 2 * len, w->out, len);
			send_to(w, &w->relay, &w->at, w->out, 3 * len, len);
			expect_at_tunnel(w, &w->bob, w->text, len - HEAD);
			expect_at_tunnel(w, &w->bob, w->text, len - HEAD);
			wanted++;
		}
		await(w, hostile[i].counter, wanted + 1);
	}
	expect_nothing(w, &w->tunnel);
	assert_int_equal(counters(w).control + counters(w).control_lost, 0);
	/* Nor from elsewhere, whatever it says. */
	wrap(w, w->out, SESSION, ADA, 0, 100);
	send_to(w, &w->second, &w->at, w->out, HEAD + 100, 0);
	from_relay(w, ADA, 0, 50);
	expect_at_tunnel(w, &w->ada, w->text, 50);
	expect_nothing(w, &w->tunnel);
}

/* --- what is told --- */

/* What is no DATA goes to the control thread as it is; of a flood, some. */
static void test_control(void **state)
{
	enum { FLOOD = 5000 };
	struct world *w = *state;
	uint8_t cookie[UDPRELAY_COOKIE_MSG_LEN], bound[UDPRELAY_BOUND_LEN],
		unknown[UDPRELAY_UNKNOWN_LEN], absent[UDPRELAY_ABSENT_LEN];
	const struct {
		const uint8_t *data;
		size_t len;
	} messages[] = { { cookie, sizeof(cookie) }, { bound, sizeof(bound) },
		{ unknown, sizeof(unknown) }, { absent, sizeof(absent) } };
	const struct udprelay_cookie c = { .cookie = { 5 } };
	const struct udprelay_bound b = { .tx = 1, .session = 2, .seen = local(3) };
	const uint8_t key[PAIR_KEY_LEN] = { 1 }, hint[UDPRELAY_HINT_LEN] = { 2 },
		      nonce[UDPRELAY_NONCE_LEN] = { 3 };
	struct ferry_event event;
	uint64_t told = 0, began_us, lasted_us;
	struct ferry_counters n;

	udprelay_cookie_format(&c, cookie);
	udprelay_bound_seal(key, hint, nonce, &b, bound);
	udprelay_unknown_format(SESSION, unknown);
	udprelay_absent_format(SESSION, ADA, absent);
	expect_no_event(w);
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		send_to(w, &w->relay, &w->at, messages[i].data, messages[i].len, 0);
		event = next_event(w);
		assert_int_equal(event.kind, FERRY_CONTROL);
		assert_int_equal(event.relay, RELAY);
		assert_int_equal(event.len, messages[i].len);
		assert_memory_equal(event.data, messages[i].data, event.len);
		expect_no_event(w);
	}
	began_us = clock_now_us();
	for (size_t i = 0; i < FLOOD; i++) {
		send_to(w, &w->relay, &w->at, unknown, sizeof(unknown), 0);
		while (ferry_next_event(w->ferry, &event))
			told++;
		if (i % 100 == 99) { /* packets go on */
			from_relay(w, ADA, i, 100);
			expect_at_tunnel(w, &w->ada, w->text + i, 100);
		}
	}
	do
		n = counters(w);
	while (n.control + n.control_lost < FLOOD + ARRAY_LEN(messages));
	lasted_us = clock_now_us() - began_us;
	while (ferry_next_event(w->ferry, &event))
		told++;
	assert_int_equal(n.control + n.control_lost, FLOOD + ARRAY_LEN(messages));
	assert_int_equal(told, n.control - ARRAY_LEN(messages));
	assert_true(told >= 32 && told <= 65 + lasted_us / (20 * USEC_PER_MSEC));
}

/* Somebody is heard who is no peer, or by a relay that he is not answered by. */
static void test_heard(void **state)
{
	struct world *w = *state;
	struct ferry_event event;
	struct endpoint eve;

	from_relay(w, 5, 0, 100);
	event = next_event(w);
	assert_int_equal(event.kind, FERRY_HEARD);
	assert_int_equal(event.relay, RELAY);
	assert_int_equal(event.node, 5);
	for (int i = 0; i < 10; i++) /* not again at once */
		from_relay(w, 5, 0, 100);
	from_relay(w, 6, 0, 100);
	assert_int_equal(next_event(w).node, 6);
	AWAIT(w, unknown_node, 12);
	expect_no_event(w);
	/* He is made a peer, and heard before it is said by which relay he is answered. */
	assert_int_equal(add_peer(w, 5, &eve), 0);
	from_relay(w, 5, 100, 100);
	expect_at_tunnel(w, &eve, w->text + 100, 100);
	assert_int_equal(next_event(w).node, 5);
	from_relay(w, 5, 100, 100);
	expect_at_tunnel(w, &eve, w->text + 100, 100);
	expect_no_event(w);
	assert_int_equal(ferry_peer_carrier(w->ferry, 5, RELAY), 0);
	/* Ada comes by another relay. */
	w->second_at = join(w, SECOND_RELAY, &w->second);
	assert_int_equal(ferry_relay_session(w->ferry, SECOND_RELAY, SESSION), 0);
	wrap(w, w->out, SESSION, ADA, 0, 100);
	send_to(w, &w->second, &w->second_at, w->out, HEAD + 100, 0);
	expect_at_tunnel(w, &w->ada, w->text, 100);
	event = next_event(w);
	assert_int_equal(event.kind, FERRY_HEARD);
	assert_int_equal(event.relay, SECOND_RELAY);
	assert_int_equal(event.node, ADA);
	/* Of a thousand strangers, some, so that there are words left for others. */
	for (uint32_t i = 1000; i < 2000; i++)
		from_relay(w, i, 0, 10);
	AWAIT(w, unknown_node, 1012);
	for (unsigned n = 0;; n++) {
		if (ferry_next_event(w->ferry, &event))
			continue;
		assert_true(n >= 4 && n < 50);
		break;
	}
}

/* --- relays and peers come and go --- */

static void test_relays(void **state)
{
	struct world *w = *state;
	const uint8_t *data;
	struct endpoint from;
	uint32_t session, node;
	size_t len;

	assert_int_equal(ferry_peer_carrier(w->ferry, 99, RELAY), -ENOENT);
	assert_int_equal(ferry_peer_carrier(w->ferry, ADA, 99), -ENOENT);
	assert_int_equal(ferry_relay_session(w->ferry, 99, 1), -ENOENT);
	assert_int_equal(ferry_send_control(w->ferry, 99, w->text, 1), -ENOENT);
	assert_true(ferry_relay_open(w->ferry, FERRY_NO_RELAY, &w->ada, 0, NULL) == -EINVAL);
	/* Ada by the second, before and after that is bound. */
	w->second_at = join(w, SECOND_RELAY, &w->second);
	assert_int_equal(ferry_peer_carrier(w->ferry, ADA, SECOND_RELAY), 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 3000, 1000);
	AWAIT(w, no_relay, 3);
	assert_int_equal(ferry_relay_session(w->ferry, SECOND_RELAY, 77), 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	data = next(w, w->second.fd4, &from, &len);
	assert_true(udprelay_data_parse(data, len, &session, &node));
	assert_true(session == 77 && node == ADA && endpoint_equal(&from, &w->second_at));
	send_to(w, &w->tunnel, &w->bob, w->text, 100, 0);
	expect_for_node(w, &w->relay, BOB, w->text, 100);
	/* Another socket takes its place: another port, not bound; then bound again. */
	from = join(w, SECOND_RELAY, &w->second);
	assert_false(endpoint_equal(&from, &w->second_at));
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	AWAIT(w, no_relay, 4);
	assert_int_equal(ferry_relay_session(w->ferry, SECOND_RELAY, SESSION), 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	expect_for_node(w, &w->second, ADA, w->text, 100);
	/* Unbound; closed; none. */
	assert_int_equal(ferry_relay_session(w->ferry, SECOND_RELAY, 0), 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	AWAIT(w, no_relay, 5);
	len = wrap(w, w->out, 0, ADA, 0, 100);
	from = join(w, SECOND_RELAY, &w->second);
	send_to(w, &w->second, &from, w->out, len, 0);
	AWAIT(w, bad_session, 1);
	ferry_relay_close(w->ferry, SECOND_RELAY);
	ferry_relay_close(w->ferry, SECOND_RELAY);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	AWAIT(w, no_relay, 6);
	assert_int_equal(ferry_peer_carrier(w->ferry, BOB, FERRY_NO_RELAY), 0);
	send_to(w, &w->tunnel, &w->bob, w->text, 100, 0);
	AWAIT(w, no_relay, 7);
	expect_nothing(w, &w->relay);
	expect_nothing(w, &w->second);
}

/* The relay's program has ended: told once, and what is sent meanwhile is lost without a stall. */
static void test_refused(void **state)
{
	struct world *w = *state;
	struct ferry_event event;
	struct err err = { 0 };
	uint16_t port = w->relay.port;

	sock_close(&w->relay);
	for (int i = 0; i < 5; i++)
		send_to(w, &w->tunnel, &w->ada, w->text, 1000, 100);
	event = next_event(w);
	assert_int_equal(event.kind, FERRY_REFUSED);
	assert_int_equal(event.relay, RELAY);
	assert_int_equal(event.error, -ECONNREFUSED);
	AWAIT(w, to_relay, 50);
	assert_int_equal(counters(w).to_relay_refused, 0);
	assert_int_equal(sock_open(port, 0, true, &w->relay, &err), 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 1000, 100);
	for (int i = 0; i < 10; i++)
		expect_for_node(w, &w->relay, ADA, w->text + (size_t) i * 100, 100);
}

static void test_tunnel_moves(void **state)
{
	struct world *w = *state;
	struct sock old = w->tunnel;

	assert_int_equal(sock_open(0, 0, true, &w->tunnel, NULL), 0);
	ferry_set_tunnel_port(w->ferry, w->tunnel.port);
	send_to(w, &old, &w->ada, w->text, 100, 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 200, 0);
	expect_for_node(w, &w->relay, ADA, w->text, 200);
	from_relay(w, BOB, 0, 300);
	expect_at_tunnel(w, &w->bob, w->text, 300);
	expect_nothing(w, &old);
	sock_close(&old);
	/* Nobody has the port at all: nothing stalls, and all is well when there is somebody again. */
	uint16_t port = w->tunnel.port;

	sock_close(&w->tunnel);
	for (int i = 0; i < 20; i++)
		from_relay(w, BOB, 0, 300);
	AWAIT(w, from_relay, 21);
	assert_int_equal(sock_open(port, 0, true, &w->tunnel, NULL), 0);
	from_relay(w, BOB, 10, 300);
	expect_at_tunnel(w, &w->bob, w->text + 10, 300);
	expect_nothing(w, &w->tunnel);
}

static void test_peers(void **state)
{
	struct world *w = *state;
	static struct endpoint at[FERRY_PEERS_MAX];
	struct endpoint again;

	if (descriptors_allow(FERRY_PEERS_MAX + 64) < FERRY_PEERS_MAX + 64)
		skip();
	assert_int_equal(add_peer(w, 0, &again), -EINVAL);
	assert_int_equal(add_peer(w, ADA, &again), 0);
	assert_true(endpoint_equal(&again, &w->ada));
	for (uint32_t i = 2; i < FERRY_PEERS_MAX; i++)
		assert_int_equal(add_peer(w, i * 500, &at[i]), 0);
	assert_int_equal(add_peer(w, 1, &again), -ENOSPC);
	for (uint32_t i = 2; i < FERRY_PEERS_MAX; i++) {
		from_relay(w, i * 500, i, 100);
		expect_at_tunnel(w, &at[i], w->text + i, 100);
	}
	while (ferry_next_event(w->ferry, &(struct ferry_event){ 0 }))
		;
	for (uint32_t i = 2; i < FERRY_PEERS_MAX; i += 2)
		ferry_peer_remove(w->ferry, i * 500);
	ferry_peer_remove(w->ferry, 1000);
	from_relay(w, 2000, 0, 100);
	from_relay(w, 1500, 0, 100);
	expect_at_tunnel(w, &at[3], w->text, 100);
	assert_int_equal(counters(w).unknown_node, 1);
	assert_int_equal(next_event(w).node, 2000);
	assert_int_equal(add_peer(w, 2000, &again), 0);
	from_relay(w, 2000, 0, 100);
	expect_at_tunnel(w, &again, w->text, 100);
}

static void test_many_relays(void **state)
{
	struct world *w = *state;
	struct endpoint to = local(w->second.port);
	struct err err = { 0 };

	for (uint32_t i = 1; i < FERRY_RELAYS_MAX; i++)
		assert_int_equal(ferry_relay_open(w->ferry, 100 + i, &to, 0, &err), 0);
	assert_int_equal(ferry_relay_open(w->ferry, 1, &to, 0, &err), -ENOSPC);
	assert_int_equal(ferry_relay_open(w->ferry, 101, &to, 0, &err), 0); /* takes a place */
	ferry_relay_close(w->ferry, 102);
	assert_int_equal(ferry_relay_open(w->ferry, 1, &to, 0, &err), 0);
	to.port = 0;
	assert_int_equal(ferry_relay_open(w->ferry, 1, &to, 0, &err), -EINVAL);
	to = (struct endpoint){ .addr = { AF_INET, { 255, 255, 255, 255 } }, .port = 1 };
	assert_true(ferry_relay_open(w->ferry, 1, &to, 0, &err) < 0); /* EACCES: a broadcast */
	assert_non_null(strstr(err.text, "255.255.255.255:1"));
}

/* --- streams --- */

static ssize_t stream_receive(void *ctx, void *ret, size_t len)
{
	ssize_t n = recv(*(const int *) ctx, ret, len, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static ssize_t stream_send(void *ctx, const void *data, size_t len)
{
	ssize_t n = send(*(const int *) ctx, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

/* Both ends of one: the ferry's, and the relay's, which waits. */
struct stream {
	int ours, theirs;
	struct derp_reader reader;
	uint8_t in[65536];
	const uint8_t *at; /* of what was read, to be looked at */
	size_t left;
};

static struct stream *stream_open(struct world *w, uint32_t relay)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct ferry_stream stream = {
		.receive = stream_receive, .send = stream_send, .ctx = &s->ours
	};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->ours = stream.fd = fds[0];
	s->theirs = fds[1];
	assert_int_equal(ferry_stream_open(w->ferry, relay, &stream), 0);
	return s;
}

static void stream_close(struct world *w, uint32_t relay, struct stream *s)
{
	ferry_stream_close(w->ferry, relay);
	close_p(&s->ours);
	close_p(&s->theirs);
	derp_reader_done(&s->reader);
	free(s);
}

/* The next frame that the relay gets. */
static struct derp_frame stream_next(struct stream *s)
{
	struct derp_frame frame;
	int r;

	while ((r = derp_reader_next(
			&s->reader, DERP_STAGE_SERVER_OPEN, &s->at, &s->left, &frame)) == 0) {
		struct pollfd p = { .fd = s->theirs, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 5000), 1);
		n = recv(s->theirs, s->in, sizeof(s->in), 0);
		assert_true(n > 0);
		s->at = s->in;
		s->left = (size_t) n;
	}
	assert_int_equal(r, 1);
	return frame;
}

static void expect_packet(struct stream *s, uint32_t node, const void *data, size_t len)
{
	struct derp_frame frame = stream_next(s);

	assert_int_equal(frame.type, DERP_SEND);
	assert_int_equal(frame.len, DERP_KEY_LEN + len);
	assert_memory_equal(frame.data, key_of(node), DERP_KEY_LEN);
	assert_memory_equal(frame.data + DERP_KEY_LEN, data, len);
}

static void write_all(const struct stream *s, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(s->theirs, data, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		data += n;
		len -= (size_t) n;
	}
}

static size_t put_packet(struct world *w, uint8_t *out, uint32_t node, size_t at, size_t len)
{
	derp_packet_head(DERP_RECV, key_of(node), len, out);
	memcpy(out + DERP_PACKET_HEAD_LEN, w->text + at, len);
	return DERP_PACKET_HEAD_LEN + len;
}

static void write_frame(const struct stream *s, uint8_t type, const void *data, size_t len)
{
	uint8_t head[DERP_HEAD_LEN] = { type, 0, 0, (uint8_t) (len >> 8), (uint8_t) len };

	write_all(s, head, sizeof(head));
	write_all(s, data, len);
}

/* Trains come out as frames, and frames as trains, in whatever pieces the stream brings them. */
static void test_stream(void **state)
{
	static const size_t pieces[] = { 1, 4, 5, 36, 37, 38, 1000, 1489, 5000, 70000, 1 << 20 };
	static uint8_t out[1 << 20];
	struct world *w = *state;
	struct stream *s = stream_open(w, SECOND_RELAY);

	assert_int_equal(ferry_peer_carrier(w->ferry, ADA, SECOND_RELAY), 0);
	for (size_t i = 0; i < ARRAY_LEN(trains); i++) {
		size_t len = trains[i].n * trains[i].size + trains[i].last, size = trains[i].size;

		send_to(w, &w->tunnel, &w->ada, w->text, len, size);
		for (size_t at = 0; at < len; at += size)
			expect_packet(s, ADA, w->text + at, len - at < size ? len - at : size);
	}
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		enum { N = 60, SIZE = 1452 };
		unsigned supers = w->supers;
		size_t n = 0;

		for (size_t k = 0; k < N; k++)
			n += put_packet(w, out + n, k % 3 ? ADA : BOB, k * SIZE, SIZE - k / 58);
		for (size_t at = 0; at < n; at += pieces[i])
			write_all(s, out + at, n - at < pieces[i] ? n - at : pieces[i]);
		for (size_t ada = 1, bob = 0; ada < N || bob < N;) {
			struct endpoint from;
			size_t got;
			const uint8_t *data = next(w, w->tunnel.fd4, &from, &got);
			bool is_ada = endpoint_equal(&from, &w->ada);
			size_t *k = is_ada ? &ada : &bob;

			assert_true(is_ada || endpoint_equal(&from, &w->bob));
			assert_int_equal(got, SIZE - *k / 58);
			assert_memory_equal(data, w->text + *k * SIZE, got);
			*k += is_ada && *k % 3 == 1 ? 1 : is_ada ? 2 : 3;
		}
		if (w->tunnel.gro && pieces[i] > n)
			assert_true(w->supers > supers);
	}
	expect_nothing(w, &w->tunnel);
	assert_int_equal(counters(w).to_relay_full, 0);
	stream_close(w, SECOND_RELAY, s);
}

/* With both, UDP is used while it is bound. What comes is taken from both. */
static void test_both_ways(void **state)
{
	struct world *w = *state;
	struct stream *s = stream_open(w, RELAY);
	const struct ferry_stream none = { .fd = -1 }, another = { .fd = s->ours };

	assert_int_equal(ferry_stream_open(w->ferry, RELAY, &another), -EEXIST);
	assert_int_equal(ferry_stream_open(w->ferry, SECOND_RELAY, &none), -EINVAL);
	assert_int_equal(ferry_stream_open(w->ferry, FERRY_NO_RELAY, &another), -EINVAL);
	for (size_t i = 0; i < 3; i++) {
		uint8_t out[200];

		send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
		expect_for_node(w, &w->relay, ADA, w->text, 100);
		assert_int_equal(ferry_relay_session(w->ferry, RELAY, 0), 0);
		send_to(w, &w->tunnel, &w->ada, w->text + 1, 100, 0);
		expect_packet(s, ADA, w->text + 1, 100);
		assert_int_equal(ferry_relay_session(w->ferry, RELAY, SESSION), 0);
		write_all(s, out, put_packet(w, out, BOB, i, 100));
		expect_at_tunnel(w, &w->bob, w->text + i, 100);
	}
	expect_no_event(w); /* it is the same relay */
	ferry_relay_close(w->ferry, RELAY);
	send_to(w, &w->tunnel, &w->ada, w->text + 2, 100, 0);
	expect_packet(s, ADA, w->text + 2, 100);
	stream_close(w, RELAY, s);
	send_to(w, &w->tunnel, &w->ada, w->text + 2, 100, 0);
	AWAIT(w, no_relay, 1);
}

/* A relay that does not read keeps nobody else waiting; what it reads in the end are whole frames. */
static void test_slow_stream(void **state)
{
	struct world *w = *state;
	struct stream *s = stream_open(w, SECOND_RELAY);
	uint8_t pong[DERP_PING_FRAME_LEN];
	struct ferry_counters c;

	derp_ping_put(DERP_PONG, (const uint8_t[8]){ 1 }, pong);
	assert_int_equal(ferry_peer_carrier(w->ferry, ADA, SECOND_RELAY), 0);
	for (size_t i = 0; i < 40; i++) {
		send_to(w, &w->tunnel, &w->ada, w->text + i, 60 * 1000, 1000);
		send_to(w, &w->tunnel, &w->bob, w->text + i, 500, 0);
		expect_for_node(w, &w->relay, BOB, w->text + i, 500);
	}
	AWAIT(w, from_tunnel, 40 * 61);
	c = counters(w);
	assert_true(c.to_relay_full > 100);
	for (uint64_t i = 0; i < c.to_relay - 40; i++)
		assert_int_equal(stream_next(s).len, DERP_KEY_LEN + 1000);
	assert_int_equal(ferry_stream_send(w->ferry, SECOND_RELAY, pong, sizeof(pong)), 0);
	send_to(w, &w->tunnel, &w->ada, w->text, 700, 0);
	assert_int_equal(stream_next(s).type, DERP_PONG);
	expect_packet(s, ADA, w->text, 700);
	stream_close(w, SECOND_RELAY, s);
	assert_int_equal(ferry_stream_send(w->ferry, SECOND_RELAY, pong, sizeof(pong)), -ENOENT);
}

/* What is no packet is told; packets that are none, or a stranger's, are dropped. */
static void test_frames(void **state)
{
	struct world *w = *state;
	uint64_t opened_us = clock_now_us();
	struct stream *s = stream_open(w, SECOND_RELAY);
	static uint8_t data[UDPRELAY_PAYLOAD_MAX + DERP_KEY_LEN + 1];
	struct ferry_event event;

	write_frame(s, DERP_KEEP_ALIVE, data, 0);
	write_frame(s, 0x77, data, 5000); /* of a later version */
	assert_in_range(ferry_stream_heard_us(w->ferry, SECOND_RELAY), opened_us, clock_now_us());
	assert_int_equal(ferry_stream_heard_us(w->ferry, 30), 0);
	write_frame(s, DERP_PONG, "87654321", 8);
	event = next_event(w);
	assert_int_equal(event.frame, DERP_PONG);
	assert_memory_equal(event.data, "87654321", 8);
	write_frame(s, DERP_PING, "12345678", 8);
	event = next_event(w);
	assert_int_equal(event.kind, FERRY_FRAME);
	assert_int_equal(event.relay, SECOND_RELAY);
	assert_int_equal(event.frame, DERP_PING);
	assert_int_equal(event.len, 8);
	assert_memory_equal(event.data, "12345678", 8);
	memcpy(data, key_of(ADA), DERP_KEY_LEN);
	write_frame(s, DERP_RECV, data, DERP_KEY_LEN - 1);
	write_frame(s, DERP_RECV, data, DERP_KEY_LEN);
	write_frame(s, DERP_RECV, data, sizeof(data));
	write_frame(s, DERP_HEALTH, data, DERP_HEALTH_MAX + 1);
	AWAIT(w, malformed, 4);
	memcpy(data, key_of(99), DERP_KEY_LEN);
	write_frame(s, DERP_RECV, data, 100);
	event = next_event(w);
	assert_int_equal(event.kind, FERRY_HEARD);
	assert_int_equal(event.node, 0);
	assert_int_equal(event.len, FERRY_KEY_LEN);
	assert_memory_equal(event.data, key_of(99), FERRY_KEY_LEN);
	write_frame(s, DERP_RECV, data, 100);
	AWAIT(w, unknown_node, 2);
	expect_no_event(w);
	expect_nothing(w, &w->tunnel);
	stream_close(w, SECOND_RELAY, s);
}

/* As much of a frame that nobody has a use for, one behind the other, as it takes. */
static size_t flood_stream(struct world *w, const struct stream *s, uint8_t type)
{
	static uint8_t out[DERP_HEAD_LEN + 60000];
	size_t sum = 0;

	out[0] = type;
	out[3] = 60000 >> 8;
	out[4] = 60000 & 0xff;
	memcpy(out + DERP_HEAD_LEN, key_of(99), DERP_KEY_LEN);
	while (ferry_stream_heard_us(w->ferry, SECOND_RELAY) && sum < 64 << 20) {
		size_t at = sum % sizeof(out);
		ssize_t n =
			send(s->theirs, out + at, sizeof(out) - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		sum += n > 0 ? (size_t) n : 0;
	}
	return sum;
}

/* What is of no use may come now and then, not without end; what is for a peer may. */
static void test_useless(void **state)
{
	static const uint8_t types[] = { DERP_RECV, 0x77 };
	struct world *w = *state;
	uint8_t out[DERP_PACKET_HEAD_LEN + 8000];
	struct stream *s = stream_open(w, SECOND_RELAY);
	struct ferry_event event;

	for (uint64_t i = 1; i <= 2000; i++) {
		write_all(s, out, put_packet(w, out, ADA, 0, 8000));
		if (i % 16 == 0)
			AWAIT(w, from_relay, i);
	}
	assert_true(ferry_stream_heard_us(w->ferry, SECOND_RELAY) > 0);
	for (size_t i = 0; i < sizeof(types); i++) {
		size_t sum = flood_stream(w, s, types[i]);

		assert_in_range(sum, 8 << 20, 24 << 20);
		do
			event = next_event(w);
		while (event.kind != FERRY_ENDED);
		assert_int_equal(event.error, -EDQUOT);
		stream_close(w, SECOND_RELAY, s);
		s = stream_open(w, SECOND_RELAY);
	}
	stream_close(w, SECOND_RELAY, s);
}

/* Whose ends are told even if the ring is full of what they had to say before. */
static void test_streams_end(void **state)
{
	struct world *w = *state;
	struct stream *s = stream_open(w, SECOND_RELAY), *other = stream_open(w, 30);
	uint8_t data[DERP_HEALTH_MAX] = { 'x' };
	struct ferry_event event;
	unsigned ended = 0, told = 0;

	assert_int_equal(ferry_peer_carrier(w->ferry, ADA, SECOND_RELAY), 0);
	for (int i = 0; i < 200; i++) {
		write_frame(s, DERP_HEALTH, data, sizeof(data));
		write_frame(other, DERP_HEALTH, data, sizeof(data));
	}
	write_frame(s, DERP_CLIENT_INFO, data, 40); /* it is no client */
	(void) shutdown(other->theirs, SHUT_RDWR);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	while (counters(w).control + counters(w).control_lost < 400)
		;
	while (ended < 2) {
		event = next_event(w);
		told += event.kind == FERRY_FRAME;
		if (event.kind != FERRY_ENDED)
			continue;
		ended++;
		assert_int_equal(event.error, event.relay == 30 ? 0 : -EPROTO);
	}
	assert_int_equal(told, counters(w).control);
	assert_true(told > 50 && told < 200);
	send_to(w, &w->tunnel, &w->ada, w->text, 100, 0);
	while (counters(w).no_relay == 0)
		;
	assert_int_equal(ferry_stream_send(w->ferry, SECOND_RELAY, data, 10), -EAGAIN);
	stream_close(w, SECOND_RELAY, s);
	stream_close(w, 30, other);
	/* One that tears while a frame is on its way. */
	s = stream_open(w, SECOND_RELAY);
	write_all(s, data, 3);
	close_p(&s->theirs);
	s->theirs = -1;
	assert_int_equal(next_event(w).kind, FERRY_ENDED);
	stream_close(w, SECOND_RELAY, s);
}

/* --- more than it can carry, and calls meanwhile --- */

struct flood {
	struct world *w;
	struct sock *from;
	struct endpoint to;
	atomic_bool stop;
	uint64_t n;
	uint8_t data[HEAD + 1000];
};

static void *flood_main(void *ctx)
{
	struct flood *f = ctx;
	struct sock_batch *batch = sock_batch_new();

	while (!atomic_load(&f->stop)) {
		struct sock_msg msgs[SOCK_BATCH_MAX];

		for (size_t i = 0; i < SOCK_BATCH_MAX; i++)
			msgs[i] = (struct sock_msg){
				.data = f->data, .len = sizeof(f->data), .remote = f->to
			};
		f->n += sock_send(batch, f->from, msgs, SOCK_BATCH_MAX);
	}
	sock_batch_free(batch);
	return NULL;
}

/* Both ways at once, with nobody who takes it, and the calls @round in between. */
static void under_flood(
	struct world *w, struct flood floods[2], void (*round)(struct world *w, uint32_t i))
{
	struct ferry_counters c = counters(w);
	const uint64_t to_relay = c.to_relay + 5000, to_tunnel = c.to_tunnel + 5000;
	pthread_t threads[2];

	udprelay_data_head(floods[1].data, SESSION, BOB);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood_main, &floods[i]), 0);
	for (uint32_t i = 0; i < 300 || c.to_relay < to_relay || c.to_tunnel < to_tunnel; i++) {
		uint64_t before_us = clock_now_us();

		round(w, i);
		c = counters(w);
		assert_true(clock_now_us() - before_us < 5 * USEC_PER_SEC);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&floods[i].stop, true);
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
}

static void all_calls(struct world *w, uint32_t i)
{
	struct endpoint other, to = local(w->second.port);
	struct ferry_event event;

	assert_int_equal(add_peer(w, 100 + i, &other), 0);
	assert_int_equal(ferry_relay_open(w->ferry, SECOND_RELAY, &to, 0, NULL), 0);
	assert_int_equal(ferry_relay_session(w->ferry, SECOND_RELAY, i), 0);
	(void) ferry_send_control(w->ferry, SECOND_RELAY, w->text, 100);
	assert_int_equal(ferry_peer_carrier(w->ferry, 100 + i, SECOND_RELAY), 0);
	while (ferry_next_event(w->ferry, &event))
		;
	ferry_peer_remove(w->ferry, 100 + i);
	ferry_relay_close(w->ferry, SECOND_RELAY);
}

static void move(struct world *w, uint32_t i)
{
	ferry_set_tunnel_port(w->ferry, i % 2 ? w->tunnel.port : 9);
}

/* Every datagram has gone, or is counted once. */
static void test_flood(void **state)
{
	struct world *w = *state;
	struct flood floods[2] = { { .w = w, .from = &w->tunnel, .to = w->ada },
		{ .w = w, .from = &w->relay, .to = w->at } };
	struct ferry_counters c;

	under_flood(w, floods, all_calls);
	do
		c = counters(w);
	while (c.to_relay + c.to_relay_full + c.to_relay_refused < floods[0].n ||
		c.from_relay + c.from_relay_full < floods[1].n);
	assert_int_equal(c.to_relay + c.to_relay_full + c.to_relay_refused, floods[0].n);
	assert_int_equal(c.from_relay + c.from_relay_full, floods[1].n);
	assert_int_equal(c.to_tunnel + c.to_tunnel_full + c.to_tunnel_refused, c.from_relay);
}

static void test_flood_and_moves(void **state)
{
	struct world *w = *state;
	struct flood floods[2] = { { .w = w, .from = &w->tunnel, .to = w->ada },
		{ .w = w, .from = &w->relay, .to = w->at } };

	under_flood(w, floods, move);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_trains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_padded_ping, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hole_strangers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hole_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mixed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interleaved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_local_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile_relay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_control, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_heard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tunnel_moves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_peers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_relays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_useless, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_streams_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flood_and_moves, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
