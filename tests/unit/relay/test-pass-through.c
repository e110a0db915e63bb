/*
 * Pass-through: coordinators and clients on socket pairs, all in one loop with the relay. Its clock
 * can be put forward.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "relay/pass.h"
#include "sys/tls/pump.h"
#include "sys/x509/x509.h"

enum { CLIENTS_MAX = 64, PER_SOURCE = 16, COORDS = 64 };

static const uint8_t relay_seed[TLS_SEED_LEN] = { 9 };
static const uint8_t seeds[2][TLS_SEED_LEN] = { { 1 }, { 2 } }; /* only the first is known */

/* --- a clock that can be put forward --- */

static uint64_t ahead_us;
static sd_event_source *timer;

uint64_t __real_clock_now_us(void);
uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_us(void)
{
	return __real_clock_now_us() + ahead_us;
}

int __real_sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec)
{
	timer = s;
	return __real_sd_event_source_set_time_relative(s, usec);
}

/* And the timer fires. */
static void put_forward(uint64_t us)
{
	ahead_us += us;
	assert_true(__real_sd_event_source_set_time_relative(timer, 0) >= 0);
}

/* --- the relay --- */

static struct relay_core core;
static struct pass *pass;
static struct tls_party *parties[2];
static uint8_t pins[2][PASS_PIN_LEN];
static char name[PASS_NAME_MAX];

static struct pass_counters counters(void)
{
	struct pass_counters c;

	pass_counters(pass, &c);
	return c;
}

static void pin_of(const uint8_t *seed, uint8_t ret[static PASS_PIN_LEN])
{
	uint8_t key[X509_KEY_LEN];
	char text[X509_PIN_TEXT_LEN];

	assert_int_equal(x509_public_key(seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, text), 0);
	assert_int_equal(key_from_base64(text, ret), 0);
}

/* --- a coordinator's connection --- */

struct coord {
	struct tls_stream *tls;
	uint8_t in[65536];
	size_t len;
	bool closed;
};

static struct coord coords[COORDS];

static struct endpoint peer_of(uint8_t host)
{
	return (struct endpoint){ .addr = { AF_INET, { 192, 0, 2, host } }, .port = 1000 };
}

static void make_pair(int ret[static 2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret), 0);
}

static void step(struct coord *c)
{
	ssize_t n = 1;

	while (c->tls && !c->closed && n > 0) {
		n = tls_stream_read(c->tls, c->in + c->len, sizeof(c->in) - c->len);
		c->len += n > 0 ? (size_t) n : 0;
		c->closed = n <= 0 && n != -EAGAIN;
	}
	if (c->tls && !c->closed)
		(void) tls_stream_flush(c->tls);
}

static void run_once(void)
{
	assert_true(sd_event_run(core.event, 1000) >= 0);
	for (size_t i = 0; i < COORDS; i++)
		step(&coords[i]);
}

#define UNTIL(condition)                                                                        \
	do {                                                                                    \
		uint64_t end_ = __real_clock_now_us() + 20 * USEC_PER_SEC;                      \
		while (!(condition)) {                                                          \
			if (__real_clock_now_us() > end_)                                       \
				fail_msg("line %d: not within 20 s: %s", __LINE__, #condition); \
			run_once();                                                             \
		}                                                                               \
	} while (0)

static struct coord *coord_connect(size_t i, int who)
{
	struct coord *c = &coords[i];
	struct endpoint peer = peer_of((uint8_t) (100 + who));
	int wire[2];

	make_pair(wire);
	c->tls = tls_stream_connect(parties[who], wire[0], PASS_PARK_NAME);
	assert_non_null(c->tls);
	pass_take(pass, wire[1], &peer, PASS_PARK_NAME, NULL, 0);
	UNTIL(tls_stream_is_open(c->tls) || c->closed);
	return c;
}

static void say(struct coord *c, enum pass_type type, const char *more)
{
	uint8_t data[PASS_FRAME_LEN + 256];

	pass_frame_put(&(struct pass_frame){ .type = type }, data);
	memcpy(data + PASS_FRAME_LEN, more, strlen(more));
	assert_int_equal(tls_stream_write(c->tls, data, PASS_FRAME_LEN + strlen(more)), 0);
}

static struct coord *park(size_t i)
{
	struct coord *c = coord_connect(i, 0);
	struct pass_frame frame;

	say(c, PASS_PARK, "");
	UNTIL(c->len >= PASS_FRAME_LEN);
	assert_int_equal(pass_frame_parse(c->in, &frame), 0);
	assert_int_equal(frame.type, PASS_PING);
	c->len -= PASS_FRAME_LEN;
	memmove(c->in, c->in + PASS_FRAME_LEN, c->len);
	say(c, PASS_PONG, "");
	return c;
}

/* Its frame has come, and @text behind it, and nothing else. */
static struct pass_frame heard(struct coord *c, const char *text)
{
	struct pass_frame frame;

	UNTIL(c->len >= PASS_FRAME_LEN + strlen(text) || c->closed);
	assert_int_equal(c->len, PASS_FRAME_LEN + strlen(text));
	assert_int_equal(pass_frame_parse(c->in, &frame), 0);
	assert_memory_equal(c->in + PASS_FRAME_LEN, text, strlen(text));
	c->len = 0;
	return frame;
}

static void hang_up(struct coord *c)
{
	c->tls = tls_stream_free(c->tls);
	memset(c, 0, sizeof(*c));
}

/* --- a client --- */

static int client(uint8_t host, const char *first)
{
	struct endpoint peer = peer_of(host);
	int pair[2];

	make_pair(pair);
	pass_take(pass, pair[1], &peer, name, first, strlen(first));
	return pair[0];
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void reads(int fd, const char *text)
{
	char got[256];
	size_t len = 0;

	while (len < strlen(text)) {
		ssize_t n = recv(fd, got + len, strlen(text) - len, 0);

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		len += n > 0 ? (size_t) n : 0;
		run_once();
	}
	assert_memory_equal(got, text, len);
}

/* --- the tests --- */

static int start(void **state)
{
	const struct pass_config config = { .tls_seed = relay_seed,
		.name = "relay",
		.clients_max = CLIENTS_MAX,
		.per_source_max = PER_SOURCE };
	struct err err = { 0 };

	ahead_us = 0;
	assert_true(sd_event_new(&core.event) >= 0);
	if (pass_new(&core, &config, &pass, &err) < 0)
		fail_msg("%s", err.text);
	for (int i = 0; i < 2; i++) {
		const struct tls_options options = {
			.client = true, .seed = seeds[i], .name = "c"
		};

		pin_of(seeds[i], pins[i]);
		assert_int_equal(tls_party_new(&options, &parties[i], &err), 0);
	}
	pass_name_of_pin(pins[0], name);
	pass_follow(pass, pins, 1);
	return 0;
}

static int stop(void **state)
{
	for (size_t i = 0; i < COORDS; i++)
		hang_up(&coords[i]);
	pass = pass_free(pass);
	tls_party_free(parties[0]);
	tls_party_free(parties[1]);
	core.event = sd_event_unref(core.event);
	return 0;
}

static void test_names(void **state)
{
	assert_true(pass_serves(PASS_PARK_NAME));
	assert_true(pass_serves(name));
	assert_false(pass_serves(""));
	assert_false(pass_serves("relay.example.org"));
}

static void test_carried(void **state)
{
	struct coord *c = park(0);
	int fd = client(7, "hello");
	struct pass_frame frame = heard(c, "hello");
	struct endpoint peer = peer_of(7);

	assert_int_equal(frame.type, PASS_OPEN);
	assert_true(endpoint_equal(&frame.client, &peer));
	assert_int_equal(frame.waiting, 0);
	assert_int_equal(counters().carried, 0);
	say(c, PASS_TAKEN, "welcome");
	reads(fd, "welcome");
	assert_int_equal(counters().carried, 1);
	assert_int_equal(send(fd, "and", 3, MSG_NOSIGNAL), 3);
	UNTIL(c->len == 3);
	assert_memory_equal(c->in, "and", 3);
	assert_int_equal(tls_stream_write(c->tls, "more", 4), 0);
	reads(fd, "more");
	(void) close(fd);
	UNTIL(c->closed);
	assert_int_equal(counters().carried, 0);
	assert_int_equal(counters().bytes_in, 8);
	assert_int_equal(counters().bytes_out, 11);
	assert_int_equal(counters().dead, 0);
}

/* Who comes first waits; how many more there are is said. */
static void test_waits(void **state)
{
	int a = client(1, "a"), b = client(2, "b");
	struct coord *c, *d;
	struct pass_frame frame;

	assert_int_equal(counters().waiting, 2);
	c = park(0);
	frame = heard(c, "a");
	assert_int_equal(frame.waiting, 1);
	d = park(1);
	(void) heard(d, "b");
	say(d, PASS_TAKEN, "for b");
	say(c, PASS_TAKEN, "for a");
	reads(a, "for a");
	reads(b, "for b");
	(void) close(a);
	(void) close(b);
}

/* Only a coordinator's key may be parked, and only a frame that has its place there. */
static void test_strangers(void **state)
{
	struct coord *c = coord_connect(0, 1);
	int fd = client(1, "a");

	if (!c->closed)
		say(c, PASS_PARK, "");
	UNTIL(c->closed);
	assert_int_equal(counters().strangers, 1);
	assert_int_equal(counters().parks, 0);
	assert_int_equal(counters().waiting, 1);

	c = coord_connect(1, 0);
	say(c, PASS_TAKEN, "");
	UNTIL(c->closed);
	c = coord_connect(2, 0);
	say(c, PASS_PARK, "far more than a frame has");
	UNTIL(c->closed);
	assert_int_equal(counters().dead, 2);
	assert_int_equal(counters().parks, 0);
	(void) close(fd);
	UNTIL(counters().waiting == 0);
}

/* And of a coordinator that the mesh does not have nobody hears anything. */
static void test_unknown(void **state)
{
	struct endpoint peer = peer_of(1);
	char other[PASS_NAME_MAX];
	int pair[2];

	pass_name_of_pin(pins[1], other);
	make_pair(pair);
	pass_take(pass, pair[1], &peer, other, "a", 1);
	assert_true(is_closed(pair[0]));
	assert_int_equal(counters().unknown, 1);
	(void) close(pair[0]);
}

static void test_full(void **state)
{
	struct coord *c = park(0);
	int fd = client(1, "a");

	(void) heard(c, "a");
	say(c, PASS_FULL, "");
	UNTIL(is_closed(fd));
	assert_int_equal(counters().full, 1);
	assert_int_equal(counters().waiting, 0);
	(void) close(fd);
}

/* A coordinator that does not take him, in whatever way, is not the last. */
static void test_next_one(void **state)
{
	struct coord *dead = park(0), *slow, *good;
	int fd = client(1, "hello");

	(void) heard(dead, "hello");
	hang_up(dead);
	UNTIL(counters().dead == 1);
	assert_false(is_closed(fd));
	slow = park(1);
	(void) heard(slow, "hello");
	put_forward(PASS_OPEN_US);
	UNTIL(slow->closed);
	good = park(2);
	(void) heard(good, "hello");
	say(good, PASS_TAKEN, "at last");
	reads(fd, "at last");
	(void) close(fd);
}

static void test_times(void **state)
{
	struct coord *lives = park(0), *dead = park(1), *joins = coord_connect(2, 0);
	int fd;

	put_forward(PASS_JOIN_US);
	UNTIL(joins->closed);
	put_forward(PASS_PING_US - PASS_JOIN_US);
	assert_int_equal(heard(lives, "").type, PASS_PING);
	assert_int_equal(heard(dead, "").type, PASS_PING);
	say(lives, PASS_PONG, "");
	put_forward(PASS_PONG_US / 2);
	run_once();
	put_forward(PASS_PONG_US / 2);
	UNTIL(dead->closed);
	assert_int_equal(counters().parked, 1);
	hang_up(lives);
	UNTIL(counters().parked == 0);

	fd = client(1, "a");
	put_forward(PASS_WAIT_US - USEC_PER_SEC);
	run_once();
	assert_false(is_closed(fd));
	put_forward(USEC_PER_SEC);
	UNTIL(is_closed(fd));
	assert_int_equal(counters().waited, 1);
	(void) close(fd);
}

/* A crowd from one address waits for itself: who comes alone is served first. */
static void test_crowd(void **state)
{
	int crowd[40], alone, others[CLIENTS_MAX];
	struct coord *c;

	for (int i = 0; i < 40; i++)
		crowd[i] = client(1, "crowd");
	assert_int_equal(counters().waiting, PER_SOURCE);
	assert_int_equal(counters().crowded, 40 - PER_SOURCE);
	alone = client(2, "alone");
	c = park(0);
	(void) heard(c, "alone");
	say(c, PASS_TAKEN, "yes");
	reads(alone, "yes");
	for (int i = 0; i < CLIENTS_MAX; i++)
		others[i] = client((uint8_t) (10 + i), "other");
	assert_int_equal(counters().waiting + counters().carried, CLIENTS_MAX);
	assert_int_equal(send(alone, "x", 1, MSG_NOSIGNAL), 1); /* he is still there */
	UNTIL(c->len == 1);
	for (int i = 0; i < 40; i++)
		(void) close(crowd[i]);
	for (int i = 0; i < CLIENTS_MAX; i++)
		(void) close(others[i]);
	(void) close(alone);
	UNTIL(counters().waiting + counters().carried == 0);
}

static void test_many_parked(void **state)
{
	for (size_t i = 0; i < PASS_PARKED_MAX + 4; i++)
		(void) park(i);
	UNTIL(coords[0].closed && coords[3].closed);
	assert_int_equal(counters().parked, PASS_PARKED_MAX);
	assert_false(coords[4].closed);
}

/* Strangers who come to be parked do not keep a coordinator out. */
static void test_many_joining(void **state)
{
	struct endpoint peer = peer_of(1);
	int fds[3 * PASS_JOINING_MAX];

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		int pair[2];

		peer.addr.bytes[3] = (uint8_t) i;
		make_pair(pair);
		fds[i] = pair[0];
		pass_take(pass, pair[1], &peer, PASS_PARK_NAME, "\x16\x03\x01", 3);
	}
	assert_true(counters().joining <= PASS_JOINING_MAX);
	(void) park(0);
	assert_int_equal(counters().parked, 1);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		(void) close(fds[i]);
}

static void test_follow(void **state)
{
	struct coord *c = park(0), *d;
	int carried, waits;

	carried = client(1, "a");
	(void) heard(c, "a");
	say(c, PASS_TAKEN, "b");
	reads(carried, "b");
	d = park(1);
	pass_follow(pass, pins, 1);
	assert_int_equal(counters().carried, 1);
	pass_follow(pass, pins + 1, 1);
	UNTIL(c->closed && d->closed && is_closed(carried));
	waits = client(1, "a");
	assert_true(is_closed(waits));
	(void) close(carried);
	(void) close(waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, start, stop),
		cmocka_unit_test_setup_teardown(test_carried, start, stop),
		cmocka_unit_test_setup_teardown(test_waits, start, stop),
		cmocka_unit_test_setup_teardown(test_strangers, start, stop),
		cmocka_unit_test_setup_teardown(test_unknown, start, stop),
		cmocka_unit_test_setup_teardown(test_full, start, stop),
		cmocka_unit_test_setup_teardown(test_next_one, start, stop),
		cmocka_unit_test_setup_teardown(test_times, start, stop),
		cmocka_unit_test_setup_teardown(test_crowd, start, stop),
		cmocka_unit_test_setup_teardown(test_many_parked, start, stop),
		cmocka_unit_test_setup_teardown(test_many_joining, start, stop),
		cmocka_unit_test_setup_teardown(test_follow, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
