/*
 * Connections for other servers: which those are; and, over loopback with both ends in one loop,
 * that bytes and their end go both ways, and that no crowd, circle or silence goes on for ever. Its
 * clock can be put forward.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "relay/duct.h"
#include "relay/elsewhere.h"
#include "sys/listen/listen.h"

enum { MAX = 8, PER_SOURCE = 4, LARGE = 8 << 20 };

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

/* --- names --- */

static void test_names(void **state)
{
	static const char hosts[2][FIELD_HOST_MAX] = { "VPS.example.org", "relay.example.net." };
	static const struct {
		const char *name;
		bool asks;
	} cases[] = {
		{ "", false }, /* an address, nobody, no TLS */
		{ "park.hearth.internal", false },
		{ "c-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.hearth.internal", false },
		{ "anything.hearth.internal", false },
		{ "vps.example.org", false },
		{ "relay.example.net", false },
		{ "www.vps.example.org", true },
		{ "example.org", true },
		{ "vps.example.org.evil.example", true },
		{ "hearth.internal", true },
		{ "xhearth.internal", true },
		{ "hearth.internal.example", true },
		{ "www.example.com", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (elsewhere_asks(cases[i].name, hosts, ARRAY_LEN(hosts)) != cases[i].asks)
			fail_msg("%s", cases[i].name);
	assert_true(elsewhere_asks("vps.example.org", NULL, 0));
}

/* --- the other server --- */

static struct relay_core core;
static struct elsewhere *elsewhere;
static int server = -1; /* it listens */

static struct elsewhere_counters counters(void)
{
	struct elsewhere_counters c;

	elsewhere_counters(elsewhere, &c);
	return c;
}

static void open_elsewhere(uint16_t port)
{
	const struct elsewhere_config config = {
		.to = { .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = port },
		.max = MAX,
		.per_source = PER_SOURCE,
	};
	struct err err = { 0 };

	elsewhere = elsewhere_free(elsewhere);
	if (elsewhere_new(&core, &config, &elsewhere, &err) < 0)
		fail_msg("%s", err.text);
}

static int start(void **state)
{
	struct err err = { 0 };

	assert_true(sd_event_new(&core.event) >= 0);
	assert_int_equal(listen_open("127.0.0.1:0", &server, &err), 0);
	open_elsewhere(listen_port(server));
	return 0;
}

static int stop(void **state)
{
	elsewhere = elsewhere_free(elsewhere);
	close_p(&server);
	server = -1;
	core.event = sd_event_unref(core.event);
	ahead_us = 0;
	return 0;
}

static void run_once(void)
{
	assert_true(sd_event_run(core.event, 1000) >= 0);
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

static struct endpoint peer_of(uint8_t host)
{
	return (struct endpoint){ .addr = { AF_INET, { 192, 0, 2, host } }, .port = 1000 };
}

/* A client whose ClientHello was "hello". */
static int come(uint8_t host)
{
	const struct endpoint peer = peer_of(host);
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	elsewhere_take(elsewhere, pair[0], &peer, "hello", 5);
	return pair[1];
}

static int try_accept(int *ret)
{
	*ret = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return *ret;
}

static int take(void)
{
	char text[8] = "";
	int fd;

	UNTIL(try_accept(&fd) >= 0);
	UNTIL(recv(fd, text, sizeof(text), 0) == 5);
	assert_string_equal(text, "hello");
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hears(int fd, const char *expected)
{
	char text[64] = "";

	UNTIL(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, expected);
}

static bool is_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* Who has said his last word still hears the other's. */
static void test_both_ways(void **state)
{
	int client = come(1), other = take();

	say(client, "from the client");
	hears(other, "from the client");
	say(other, "from the server");
	hears(client, "from the server");
	assert_int_equal(counters().carried, 1);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	UNTIL(is_closed(other));
	say(other, "and more");
	hears(client, "and more");
	(void) close(other);
	UNTIL(is_closed(client));
	UNTIL(counters().carried == 0);
	assert_int_equal(counters().bytes_there, 5 + 15);
	assert_int_equal(counters().bytes_back, 15 + 8);
	(void) close(client);
}

/* Nothing is lost of much that comes at once, to a reader who takes his time. */
static void test_much(void **state)
{
	CLEANUP(free_p) char *data = calloc(1, LARGE);
	int client = come(1), other = take();
	size_t sent = 0, got = 0;

	while (got < LARGE) {
		char part[5000];
		ssize_t n = sent < LARGE ? send(other, data + sent, LARGE - sent, MSG_NOSIGNAL) : 0;

		sent += n > 0 ? (size_t) n : 0;
		if (sent == LARGE && n > 0)
			assert_int_equal(shutdown(other, SHUT_WR), 0);
		assert_true(sd_event_run(core.event, 0) >= 0);
		n = recv(client, part, sizeof(part), 0);
		got += n > 0 ? (size_t) n : 0;
		assert_true(n != 0 || got == LARGE);
	}
	UNTIL(is_closed(client));
	(void) close(client);
	UNTIL(is_closed(other));
	UNTIL(counters().carried == 0);
	assert_int_equal(counters().bytes_back, LARGE);
	(void) close(other);
}

/* A client that goes without a word: the server hears of it. */
static void test_gone(void **state)
{
	int client = come(1), other = take();

	(void) close(client);
	UNTIL(is_closed(other));
	say(other, "nobody hears this");
	(void) close(other);
	UNTIL(counters().carried == 0);
}

static void test_nobody_there(void **state)
{
	int client;

	close_p(&server);
	server = -1;
	client = come(1);
	UNTIL(counters().unreachable == 1);
	assert_true(is_closed(client));
	assert_int_equal(counters().carried, 0);
	(void) close(client);
}

static void test_crowd(void **state)
{
	int clients[16], first = come(9), other = take();

	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		clients[i] = come(1);
	assert_int_equal(counters().carried, 1 + PER_SOURCE);
	assert_int_equal(counters().crowded, ARRAY_LEN(clients) - PER_SOURCE);
	assert_true(is_closed(clients[0]));
	assert_false(is_closed(clients[15]));
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		(void) close(clients[i]);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		clients[i] = come((uint8_t) (20 + i));
	assert_true(counters().carried <= MAX);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		(void) close(clients[i]);
	(void) close(first);
	(void) close(other);
}

/* What we pass on comes back to us: once, and no further. */
static void test_circle(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct endpoint peer;
	int client = come(1), other;

	UNTIL(try_accept(&other) >= 0);
	assert_int_equal(getpeername(other, (struct sockaddr *) &sa, &len), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, &peer), 0);
	elsewhere_take(elsewhere, other, &peer, "hello", 5);
	assert_int_equal(counters().circles, 1);
	assert_int_equal(counters().carried, 1);
	UNTIL(is_closed(client));
	(void) close(client);
	UNTIL(counters().carried == 0);
}

static void test_idle(void **state)
{
	int client = come(1), other = take(), half = come(2), half_other = take();

	assert_int_equal(shutdown(half, SHUT_WR), 0);
	UNTIL(is_closed(half_other));
	put_forward(DUCT_ENDING_US - USEC_PER_SEC);
	run_once();
	assert_int_equal(counters().carried, 2);
	put_forward(USEC_PER_SEC);
	UNTIL(counters().carried == 1);
	assert_true(is_closed(half));
	say(client, "x");
	hears(other, "x");
	put_forward(DUCT_IDLE_US - USEC_PER_SEC);
	run_once();
	assert_int_equal(counters().carried, 1);
	put_forward(USEC_PER_SEC);
	UNTIL(counters().carried == 0);
	assert_true(is_closed(client) && is_closed(other));
	(void) close(client);
	(void) close(other);
	(void) close(half);
	(void) close(half_other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		TEST(test_both_ways),
		TEST(test_much),
		TEST(test_gone),
		TEST(test_nobody_there),
		TEST(test_crowd),
		TEST(test_circle),
		TEST(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
