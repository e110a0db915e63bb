/*
 * The relay's TCP port over loopback, both ends in one loop: who arrives with which name, and who
 * does not. Its clock can be put forward.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/clock.h"
#include "relay/front.h"
#include "sys/listen/listen.h"
#include "wire/hello.h"

enum { PLACES = 8, PER_SOURCE = 4 };

static uint64_t ahead_us;

uint64_t __real_clock_now_us(void);
uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_us(void)
{
	return __real_clock_now_us() + ahead_us;
}

static sd_event_source *timer;

/* The kernel does not know of the time that has been put forward. */
int __real_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec)
{
	timer = s;
	return __real_sd_event_source_set_time(s, usec);
}

static struct relay_core core;
static struct front *front;
static uint16_t port;

static struct {
	unsigned n;
	int fd;
	struct endpoint peer;
	char name[HELLO_NAME_MAX];
	struct buf first;
} last;

static void arrived(void *ctx, int fd, const struct endpoint *peer, const char *name,
	const void *first, size_t first_len)
{
	if (last.n++)
		(void) close(last.fd);
	last.fd = fd;
	last.peer = *peer;
	(void) snprintf(last.name, sizeof(last.name), "%s", name);
	buf_done(&last.first);
	buf_add(&last.first, first, first_len);
}

static const struct front_hooks hooks = { .arrived = arrived };

static int start(void **state)
{
	struct front_config config = { .places = PLACES, .per_source = PER_SOURCE };
	struct err err = { 0 };

	assert_true(sd_event_new(&core.event) >= 0);
	assert_int_equal(listen_open("127.0.0.1:0", &config.listen_fd, &err), 0);
	port = listen_port(config.listen_fd);
	assert_true(port > 0);
	if (front_new(&core, &config, &hooks, NULL, &front, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int stop(void **state)
{
	front = front_free(front);
	if (last.n)
		(void) close(last.fd);
	buf_done(&last.first);
	memset(&last, 0, sizeof(last));
	core.event = sd_event_unref(core.event);
	ahead_us = 0;
	return 0;
}

static struct front_counters counters(void)
{
	struct front_counters c;

	front_counters(front, &c);
	return c;
}

#define UNTIL(condition)                                                                        \
	do {                                                                                    \
		uint64_t end_ = __real_clock_now_us() + 20 * USEC_PER_SEC;                      \
		while (!(condition)) {                                                          \
			if (__real_clock_now_us() > end_)                                       \
				fail_msg("line %d: not within 20 s: %s", __LINE__, #condition); \
			assert_true(sd_event_run(core.event, 100000) >= 0);                     \
		}                                                                               \
	} while (0)

/* From 127.0.0.@host. */
static int knock(uint8_t host)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f000000u + host) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(port);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

/* What OpenSSL would say first to a server called @name (NULL: it does not say). */
static void make_hello(const char *name, struct buf *ret)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char *data;
	long n;

	assert_non_null(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	if (name)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
	assert_int_equal(SSL_do_handshake(ssl), -1);
	n = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
	buf_add(ret, data, (size_t) n);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void test_names(void **state)
{
	static const char *const names[] = { "relay.example.org", "c-abc.hearth.internal", NULL };

	for (size_t i = 0; i < 3; i++) {
		CLEANUP_BUF struct buf hello = { 0 };
		int fd = knock(1);

		make_hello(names[i], &hello);
		buf_add_str(&hello, "and more");
		say(fd, hello.data, hello.len);
		UNTIL(last.n == i + 1);
		assert_string_equal(last.name, names[i] ? names[i] : "");
		assert_int_equal(last.first.len, hello.len);
		assert_memory_equal(last.first.data, hello.data, hello.len);
		assert_true(ip_addr_equal(
			&last.peer.addr, &(struct ip_addr){ AF_INET, { 127, 0, 0, 1 } }));
		assert_int_equal(counters().waiting, 0);
		/* The socket is alive, and the hook's. */
		assert_int_equal(send(last.fd, "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), 1);
		(void) close(fd);
	}
}

/* A byte at a time: nothing arrives before the last. */
static void test_trickle(void **state)
{
	CLEANUP_BUF struct buf hello = { 0 };
	int fd = knock(1);

	make_hello("relay.example.org", &hello);
	for (size_t i = 0; i < hello.len; i++) {
		assert_int_equal(last.n, 0);
		say(fd, hello.data + i, 1);
		assert_true(sd_event_run(core.event, 0) >= 0);
	}
	UNTIL(last.n == 1);
	assert_string_equal(last.name, "relay.example.org");
	(void) close(fd);
}

/* What is no ClientHello is somebody else's to refuse. */
static void test_garbage(void **state)
{
	int fd = knock(1);

	say(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	UNTIL(last.n == 1);
	assert_string_equal(last.name, "");
	assert_int_equal(last.first.len, 18);
	(void) close(fd);
}

/* Its records are good, and it has no end. */
static void test_endless(void **state)
{
	static const uint8_t record[] = { 22, 3, 1, 0, 4, 1, 0, 0x3f, 0xff };
	static const uint8_t next[] = { 22, 3, 1, 0, 1, 0 };
	int fd = knock(1);
	char c;

	say(fd, record, sizeof(record));
	while (!counters().too_long) {
		say(fd, next, sizeof(next));
		assert_true(sd_event_run(core.event, 0) >= 0);
	}
	assert_int_equal(last.n, 0);
	assert_int_equal(counters().waiting, 0);
	assert_true(recv(fd, &c, 1, 0) <= 0);
	(void) close(fd);
}

static void test_slow(void **state)
{
	int slow = knock(1), other;
	char c;

	say(slow, "\x16\x03", 2);
	UNTIL(counters().waiting == 1);
	ahead_us += FRONT_LIMIT_US - USEC_PER_SEC;
	other = knock(1);
	UNTIL(counters().waiting == 2);
	ahead_us += USEC_PER_SEC;
	assert_true(__real_sd_event_source_set_time(timer, 0) >= 0);
	UNTIL(counters().slow == 1);
	assert_int_equal(recv(slow, &c, 1, 0), 0);
	assert_int_equal(counters().waiting, 1);
	assert_int_equal(last.n, 0);
	(void) close(slow);
	(void) close(other);
	UNTIL(counters().closed == 1);
}

/* One source cannot take the places of others, and all together no more than there are. */
static void test_crowd(void **state)
{
	CLEANUP_BUF struct buf hello = { 0 };
	int fds[64], first = knock(2);
	char c;

	UNTIL(counters().waiting == 1);
	for (size_t i = 0; i < 64; i++) {
		fds[i] = knock(1);
		UNTIL(counters().accepted == i + 2);
	}
	assert_int_equal(counters().waiting, 1 + PER_SOURCE);
	assert_int_equal(counters().crowded, 64 - PER_SOURCE);
	assert_int_equal(recv(fds[0], &c, 1, 0), 0);
	make_hello("relay.example.org", &hello);
	say(first, hello.data, hello.len);
	UNTIL(last.n == 1);
	for (size_t i = 0; i < 64; i++)
		(void) close(fds[i]);
	for (size_t i = 0; i < 64; i++) {
		fds[i] = knock((uint8_t) (10 + i));
		UNTIL(counters().accepted == i + 66);
	}
	assert_true(counters().waiting <= PLACES);
	for (size_t i = 0; i < 64; i++)
		(void) close(fds[i]);
	(void) close(first);
}

/* Without a descriptor for whoever comes it rests for a second, and then goes on. */
static void test_no_descriptors(void **state)
{
	int first = knock(1), waits, next;
	struct rlimit before, none;

	UNTIL(counters().waiting == 1);
	waits = knock(1);
	next = dup(first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t) next; /* the lowest that is free */
	(void) close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; sd_event_run(core.event, 0) > 0; i++)
		assert_in_range(i, 0, 100); /* it is not woken again and again */
	say(first, "x", 1);                 /* who is here already is served */
	UNTIL(last.n == 1);
	assert_int_equal(counters().accepted, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	ahead_us += 2 * USEC_PER_SEC;
	assert_true(__real_sd_event_source_set_time(timer, 0) >= 0);
	UNTIL(counters().waiting == 1);
	(void) close(waits);
	(void) close(first);
}

static void test_close(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int waits = knock(1), fd;

	UNTIL(counters().waiting == 1);
	front_close(front);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	(void) close(fd);
	(void) close(waits);
	UNTIL(counters().closed == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, start, stop),
		cmocka_unit_test_setup_teardown(test_trickle, start, stop),
		cmocka_unit_test_setup_teardown(test_garbage, start, stop),
		cmocka_unit_test_setup_teardown(test_endless, start, stop),
		cmocka_unit_test_setup_teardown(test_slow, start, stop),
		cmocka_unit_test_setup_teardown(test_crowd, start, stop),
		cmocka_unit_test_setup_teardown(test_no_descriptors, start, stop),
		cmocka_unit_test_setup_teardown(test_close, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
