/* background: a program without systemd is found by its file, ended, and its words kept. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "board/background.h"

static char dir[64], run[80];

static const char *in_run(const char *name)
{
	static char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", run, name);
	return path;
}

static int set_up(void **state)
{
	(void) snprintf(dir, sizeof(dir), "/tmp/hearth-background-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void) snprintf(run, sizeof(run), "%s/run", dir);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "sleep.pid", "sleep.log", "sh.pid", "sh.log",
		"no-such-program.pid", "no-such-program.log" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void) unlink(in_run(names[i]));
	(void) rmdir(run);
	return rmdir(dir);
}

static void test_life(void **state)
{
	static const char *const argv[] = { "sleep", "600", NULL };
	struct err err = { 0 };
	pid_t pid = 0;

	assert_int_equal(background_find(run, "sleep"), 0);
	assert_int_equal(background_stop(run, "sleep", &err), 0);
	if (background_start(run, argv, &pid, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(pid > 0);
	for (int i = 0; i < 2000 && !background_find(run, "sleep"); i++)
		(void) usleep(5000); /* it is still us until it is that program */
	assert_int_equal(background_find(run, "sleep"), pid);
	assert_int_equal(getsid(pid), pid);
	assert_int_equal(background_stop(run, "sleep", &err), 0);
	assert_int_equal(background_find(run, "sleep"), 0);
	assert_int_equal(kill(pid, 0), -1); /* no zombie either */
}

/* The number in the file may be anybody's by now. */
static void test_others(void **state)
{
	static const char *const texts[] = { "", "x\n", "0\n", "1\n", "-1\n", "2147483648\n" };
	char own[32];

	assert_int_equal(file_mkdirs(run, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(
			file_write_atomic(in_run("sleep.pid"), texts[i], strlen(texts[i]), 0644),
			0);
		assert_int_equal(background_find(run, "sleep"), 0);
	}
	(void) snprintf(own, sizeof(own), "%d\n", (int) getpid());
	assert_int_equal(file_write_atomic(in_run("sleep.pid"), own, strlen(own), 0644), 0);
	assert_int_equal(background_find(run, "sleep"), 0);
}

static void test_last_words(void **state)
{
	static const char *const argv[] = { "sh", "-c", "echo one; echo two", NULL };
	static const char *const none[] = { "no-such-program", NULL };
	struct err err = { 0 };
	pid_t pid = 0;

	assert_int_equal(background_start(run, argv, &pid, &err), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(background_failed(run, "sh", &err), -EIO);
	assert_string_equal(err.text, "sh ended at once: two");
	assert_int_equal(background_start(run, none, &pid, &err), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(background_failed(run, "no-such-program", &err), -EIO);
	assert_non_null(strstr(err.text, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_last_words, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
