/* listen: where one may listen, and what systemd passes. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/listen/listen.h"

static int passed, is_socket;

int sd_listen_fds(int unset);
int sd_listen_fds(int unset)
{
	return passed;
}

int sd_is_socket(int fd, int family, int type, int listening);
int sd_is_socket(int fd, int family, int type, int listening)
{
	assert_int_equal(fd, 3);
	return is_socket;
}

static void test_places(void **state)
{
	static const char *const bad[] = { "", "x", "1.2.3.4", "localhost:80", "70000", "-1" };
	struct err err = { 0 };
	char where[32];
	int fd, other;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(listen_open(bad[i], &fd, &err), -EINVAL);
	assert_int_equal(listen_open("127.0.0.1:0", &fd, &err), 0);
	assert_true(listen_port(fd) > 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	(void) snprintf(where, sizeof(where), "127.0.0.1:%u", listen_port(fd));
	assert_int_equal(listen_open(where, &other, &err), -EADDRINUSE);
	(void) close(fd);
	assert_int_equal(listen_open(where, &other, &err), 0);
	(void) close(other);
	assert_int_equal(listen_open("0", &fd, &err), 0); /* all addresses */
	assert_true(listen_port(fd) > 0);
	(void) close(fd);
}

static void test_inherited(void **state)
{
	struct err err = { 0 };
	int kept = dup(3), own = socket(AF_UNIX, SOCK_STREAM, 0), fd = -1;

	assert_int_equal(listen_inherited(&fd, &err), 0);
	passed = 2;
	assert_int_equal(listen_inherited(&fd, &err), -EINVAL);
	passed = 1;
	assert_int_equal(listen_inherited(&fd, &err), -EINVAL);
	is_socket = 1;
	assert_int_equal(dup2(own, 3), 3);
	assert_int_equal(listen_inherited(&fd, &err), 1);
	assert_int_equal(fd, 3);
	assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
	assert_int_equal(listen_port(fd), 0); /* a unix socket has none */
	(void) close(own);
	(void) close(3);
	if (kept >= 0) {
		assert_int_equal(dup2(kept, 3), 3);
		(void) close(kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
