/* notify: what the service manager hears, and that nobody waits for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sys/notify/notify.h"

static int listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = 0;
	assert_int_equal(
		bind(fd, (struct sockaddr *) &address,
			(socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void hears(int fd, const char *want)
{
	char text[2048];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = 0;
	assert_string_equal(text, want);
}

static void test_said(void **state)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "/tmp/hearth-test-notify.%d", (int) getpid());
	for (int i = 0; i < 2; i++) {
		CLEANUP(close_p) int fd = -1;

		if (i == 1)
			(void) snprintf(
				path, sizeof(path), "@hearth-test-notify.%d", (int) getpid());
		fd = listen_at(path);
		assert_int_equal(notify_send("READY=1"), 1);
		hears(fd, "READY=1");
		assert_int_equal(notify_send("STATUS=%d of %s\nREADY=1", 3, "peers"), 1);
		hears(fd, "STATUS=3 of peers\nREADY=1");
		/* A coordinator's reason ends no line of ours, and begins none. */
		assert_int_equal(notify_status("said: %s", "no\nMAINPID=1\nREADY=1\x1b[2J"), 1);
		hears(fd, "STATUS=said: no\\x0aMAINPID=1\\x0aREADY=1\\x1b[2J");
		(void) unlink(path);
	}
}

static void test_nobody(void **state)
{
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	assert_int_equal(notify_send("READY=1"), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
	assert_int_equal(notify_send("READY=1"), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	assert_int_equal(notify_send("READY=1"), -EINVAL);
	assert_int_equal(setenv("NOTIFY_SOCKET", "/nowhere/to/be/found", 1), 0);
	assert_int_equal(notify_send("READY=1"), -ENOENT);
}

/* A manager that is frozen reads nothing: its queue is full after a while. */
static void test_frozen(void **state)
{
	CLEANUP(close_p) int fd = -1;
	char name[64];
	int r = 1, sent = 0;

	(void) snprintf(name, sizeof(name), "@hearth-test-notify.%d", (int) getpid());
	fd = listen_at(name);
	(void) alarm(20); /* one that waits ends the test */
	while (r == 1 && sent < 100000) {
		r = notify_send("STATUS=%d", sent);
		sent += r == 1;
	}
	assert_int_equal(r, -EAGAIN);
	hears(fd, "STATUS=0");
	assert_int_equal(notify_send("READY=1"), 1);
	(void) alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
