/* priv_run_as(): what happens as the other user, and what comes back of it. As root; else it is done here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/priv/priv.h"

struct job {
	uid_t uid;
	int opened; /* a file of root's alone */
	int not_shared;
	pid_t pid;
};

static char secret[] = "/tmp/hearth-priv.XXXXXX";

static int look(void *ctx, struct err *err)
{
	struct job *job = ctx;

	job->uid = geteuid();
	job->not_shared = 1;
	int fd = open(secret, O_RDONLY | O_CLOEXEC);

	job->opened = fd < 0 ? -errno : 0;
	if (fd >= 0)
		(void) close(fd);
	return 7;
}

static int refuse(void *ctx, struct err *err)
{
	return err_set(err, -EBADMSG, "it is %s", (const char *) ctx);
}

static int die(void *ctx, struct err *err)
{
	_exit(0);
}

static int stop(void *ctx, struct err *err)
{
	return kill(getpid(), SIGSTOP);
}

static void test_as_another(void **state)
{
	struct job job = { .not_shared = 0 };
	struct err err = { 0 };

	if (geteuid() != 0)
		skip();
	int fd = mkstemp(secret);

	assert_true(fd >= 0);
	(void) close(fd);
	assert_int_equal(priv_run_as("nobody", look, &job, &job.uid, sizeof(job.uid), &err), 7);
	assert_int_not_equal(job.uid, 0);
	assert_int_equal(job.opened, 0); /* not shared */
	assert_int_equal(priv_run_as("nobody", look, &job, &job, sizeof(job), &err), 7);
	assert_int_equal(job.opened, -EACCES);
	assert_int_equal(
		priv_run_as("nobody", refuse, (void *) (uintptr_t) "so", NULL, 0, &err), -EBADMSG);
	assert_string_equal(err.text, "it is so");
	assert_int_equal(priv_run_as("nobody", die, NULL, &job, sizeof(job), &err), -EPIPE);
	assert_non_null(strstr(err.text, "nobody"));
	assert_int_equal(priv_run_as("nobody", stop, NULL, NULL, 0, &err), -EPERM);
	assert_non_null(strstr(err.text, "stopped"));
	assert_int_equal(priv_run_as("no-such-user", look, &job, NULL, 0, &err), -ENOENT);
	assert_int_equal(geteuid(), 0);
	(void) unlink(secret);
}

/* What a process that has called priv_drop() may still do, in bits; 0: it was refused, and is as it was. */
enum { IS_ROOT = 1, IS_OTHER = 2, MAY_BE_ROOT = 4, MAY_GAIN = 8, REFUSED = 16 };

static int after_drop(const char *user)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct err err = { 0 };
		int r = priv_drop(user, &err);
		int is = geteuid() == 0 && getuid() == 0 ? IS_ROOT : IS_OTHER;

		if (r < 0)
			is |= REFUSED;
		is |= prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? MAY_GAIN : 0;
		is |= setresuid(0, 0, 0) == 0 || prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 1
			      ? MAY_BE_ROOT
			      : 0;
		_exit(is);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_drop(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(after_drop("nobody"), IS_OTHER);
	assert_int_equal(after_drop("root"), IS_ROOT | MAY_BE_ROOT);
	int gain = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? MAY_GAIN : 0;

	assert_int_equal(after_drop("no-such-user"), IS_ROOT | MAY_BE_ROOT | gain | REFUSED);
}

/* Who is not root has nothing to drop, and does not ask who @name is. */
static void test_drop_here(void **state)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct err err = { 0 };

		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		if (priv_drop("no-such-user", &err) < 0 || geteuid() == 0)
			_exit(2);
		_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_here(void **state)
{
	struct job job = { .uid = 1 };
	struct err err = { 0 };

	assert_int_equal(priv_run_as("root", look, &job, NULL, 0, &err), 7);
	assert_int_equal(job.uid, geteuid());
	assert_int_equal(job.not_shared, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_another),
		cmocka_unit_test(test_here),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_drop_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
