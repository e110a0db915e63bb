/* What another user may have put in his directory: none of it is read, waited for, or given away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/owned.h"

struct place {
	char dir[64], path[96], other[96];
};

static void begin(struct place *p)
{
	(void) snprintf(p->dir, sizeof(p->dir), "/tmp/hearth-test-owned.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void) snprintf(p->path, sizeof(p->path), "%s/f", p->dir);
	(void) snprintf(p->other, sizeof(p->other), "%s/other", p->dir);
	assert_int_equal(file_write_atomic(p->other, "secret", 6, 0600), 0);
}

static void end(struct place *p)
{
	(void) unlink(p->path);
	(void) rmdir(p->path);
	(void) unlink(p->other);
	assert_int_equal(rmdir(p->dir), 0); /* nothing else was left behind */
}

static int read_it(const char *path, struct stat *ret_stat)
{
	CLEANUP_BUF struct buf text = { 0 };

	return owned_read(path, 100, &text, ret_stat);
}

static void test_read(void **state)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	struct place p;

	begin(&p);
	assert_int_equal(owned_read(p.other, 6, &text, &st), 0);
	assert_string_equal(buf_str(&text), "secret");
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(owned_read(p.other, 5, &text, &st), -EFBIG);
	assert_int_equal(read_it(p.path, &st), -ENOENT);
	assert_int_equal(symlink(p.other, p.path), 0);
	assert_int_equal(read_it(p.path, &st), -ELOOP);
	assert_int_equal(unlink(p.path), 0);
	assert_int_equal(link(p.other, p.path), 0);
	assert_int_equal(read_it(p.path, &st), -EMLINK);
	assert_int_equal(unlink(p.path), 0);
	assert_int_equal(read_it(p.dir, &st), -EISDIR);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", p.path);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(read_it(p.path, &st), -ENXIO);
	(void) close(fd);
	assert_int_equal(unlink(p.path), 0);
	assert_int_equal(read_it("/dev/zero", &st), -EMEDIUMTYPE);
	end(&p);
}

/* Nobody ever writes into it: whoever opens it as usual waits for ever. */
static void test_fifo(void **state)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct stat st;
	struct place p;

	begin(&p);
	assert_int_equal(mkfifo(p.path, 0600), 0);
	(void) alarm(10);
	assert_int_equal(read_it(p.path, &st), -EMEDIUMTYPE);
	assert_int_equal(file_read(p.path, 100, &text), -EMEDIUMTYPE);
	(void) alarm(0);
	end(&p);
}

static void test_make_dir(void **state)
{
	char deep[128];
	struct stat st;
	struct place p;

	begin(&p);
	(void) snprintf(deep, sizeof(deep), "%s/f/g//", p.dir);
	assert_int_equal(owned_make_dir(deep, 0750, geteuid(), getegid()), 1);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(owned_make_dir(deep, 0700, geteuid(), getegid()), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750); /* what is there is left as it is */
	assert_int_equal(owned_make_dir(deep, 0700, geteuid() + 1, getegid()), -EPERM);
	assert_int_equal(rmdir(deep), 0);
	assert_int_equal(rmdir(p.path), 0);
	assert_int_equal(owned_make_dir(p.other, 0700, geteuid(), getegid()), -ENOTDIR);
	assert_int_equal(symlink("/", p.path), 0);
	assert_int_equal(owned_make_dir(p.path, 0700, geteuid(), getegid()), -ENOTDIR);
	assert_int_equal(owned_make_dir("", 0700, geteuid(), getegid()), -EINVAL);
	assert_int_equal(lstat(p.path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_make_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
