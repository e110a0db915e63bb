/*
 * uapi-server: clients that write in pieces, too much, garbage, or do not read. The tunnel behind it
 * is played by this file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tunnel/uapi-server.h"
#include "wire/uapi.h"

static struct uapi_server *server;
static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static socklen_t addr_len;
static size_t n_peers; /* that a get shows */
static size_t n_sets;
static uint16_t last_port;

int tunnel_uapi_get(struct tunnel *tunnel, struct uapi_get *ret)
{
	*ret = (struct uapi_get){ .listen_port = 7, .n_peers = n_peers };
	ret->peers = calloc(n_peers + 1, sizeof(*ret->peers));
	return ret->peers ? 0 : -ENOMEM;
}

int tunnel_uapi_set(struct tunnel *tunnel, const struct uapi_set *set)
{
	n_sets++;
	last_port = set->listen_port;
	return set->listen_port == 1 ? -EADDRINUSE : 0;
}

static int setup(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* An abstract name of its own: no file. */
	addr_len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 +
				(size_t) snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1,
					"hearth-test-uapi-%d", getpid()));
	if (fd < 0 || bind(fd, (struct sockaddr *) &addr, addr_len) < 0 || listen(fd, 32) < 0)
		return -1;
	n_peers = n_sets = 0;
	return uapi_server_new(NULL, fd, &server);
}

static int teardown(void **state)
{
	server = uapi_server_free(server);
	return 0;
}

static void run(void)
{
	struct pollfd p = { .fd = uapi_server_fd(server), .events = POLLIN };

	while (poll(&p, 1, 0) > 0)
		uapi_server_run(server);
}

static int client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *) &addr, addr_len), 0);
	run();
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	run();
}

static void expect(int fd, const char *want)
{
	char got[512] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	if (n < 0)
		fail_msg("no answer, expected %s", want);
	assert_string_equal(got, want);
}

static bool is_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void test_pieces(void **state)
{
	CLEANUP(close_p) int a = client(), b = client();

	put(a, "set=1\nlisten_p");
	put(b, "get=1\n\n"); /* a is not waited for */
	expect(b, "listen_port=7\nerrno=0\n\n");
	put(a, "ort=99\n");
	assert_int_equal(n_sets, 0);
	put(a, "\nget=1\n\nset=1\nlisten_port=1\n\n");
	expect(a, "errno=0\n\nlisten_port=7\nerrno=0\n\nerrno=-98\n\n");
	assert_int_equal(n_sets, 2);
	put(a, "get=1\n\n"); /* a refused change does not end the connection */
	expect(a, "listen_port=7\nerrno=0\n\n");
}

static void test_many_at_once(void **state)
{
	CLEANUP(close_p) int a = client();
	char want[100 * 32] = "", got[sizeof(want)] = "";

	for (int i = 0; i < 100; i++) {
		assert_int_equal(send(a, "get=1\n\n", 7, MSG_NOSIGNAL), 7);
		strcat(want, "listen_port=7\nerrno=0\n\n");
	}
	run();
	for (size_t len = 0; len < strlen(want);) {
		ssize_t n = recv(a, got + len, sizeof(got) - len, 0);

		if (n < 0)
			fail_msg("answers are missing after %zu bytes", len);
		len += (size_t) n;
		run(); /* more fits in */
	}
	assert_string_equal(got, want);
}

static void test_garbage(void **state)
{
	static const char *const bad[] = { "hello\n\n", "\n", "get=1\nset=1\n\n",
		"set=1\nbad=1\n\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\n" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(close_p) int a = client();

		put(a, bad[i]);
		expect(a, "errno=-71\n\n");
		assert_true(is_closed(a));
	}
	CLEANUP(close_p) int a = client();

	put(a, "set=1\nlisten_port=x\n\n");
	expect(a, "errno=-22\n\n");
	put(a, "get=1\n\n");
	expect(a, "listen_port=7\nerrno=0\n\n");
	assert_int_equal(n_sets, 0);
}

static void test_too_long(void **state)
{
	CLEANUP(close_p) int a = client(), b = -1;
	char block[65536];
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	while (sent < 2 * (size_t) UAPI_REQUEST_MAX) {
		ssize_t n = send(a, block, sizeof(block), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t) n : 0;
		run();
	}
	assert_true(sent < UAPI_REQUEST_MAX + 1024 * 1024);
	expect(a, "errno=-7\n\n");
	b = client();
	put(b, "get=1\n\n");
	expect(b, "listen_port=7\nerrno=0\n\n");
}

/* One that does not read its reply keeps nobody, and gets all of it when it does. */
static void test_slow_reader(void **state)
{
	CLEANUP(close_p) int a = client(), b = client();
	size_t got = 0;
	char data[65536], end[16] = "";

	n_peers = 5000;
	put(a, "get=1\n\nget=1\n\n");
	n_peers = 0;
	put(b, "get=1\n\n");
	expect(b, "listen_port=7\nerrno=0\n\n");
	for (;;) {
		ssize_t n = recv(a, data, sizeof(data), 0);

		if (n <= 0)
			break;
		got += (size_t) n;
		if ((size_t) n >= 9)
			memcpy(end, data + n - 9, 9);
		run();
	}
	assert_true(got > 5000 * 250);
	assert_string_equal(end, "errno=0\n\n");
}

/* A 17th client takes the place of the one that has been silent longest. */
static void test_too_many(void **state)
{
	int fds[UAPI_CLIENTS_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = client();
		put(fds[i], "set=1\n");
		(void) usleep(1000); /* another microsecond of the clock */
	}
	assert_true(is_closed(fds[0]));
	put(fds[ARRAY_LEN(fds) - 1], "\n");
	expect(fds[ARRAY_LEN(fds) - 1], "errno=0\n\n");
	put(fds[1], "\n");
	expect(fds[1], "errno=0\n\n");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void) close(fds[i]);
	run();
}

static void test_gone(void **state)
{
	int a = client();

	put(a, "set=1\nlisten");
	(void) close(a);
	run();
	n_peers = 5000;
	a = client();
	assert_int_equal(send(a, "get=1\n\nget=1\n\n", 14, MSG_NOSIGNAL), 14);
	(void) close(a); /* before the answer */
	run();
	assert_int_equal(n_sets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
