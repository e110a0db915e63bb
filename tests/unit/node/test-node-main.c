/* main: what the command line asks for, how often a start is tried again, and how it ends. */
#include "fake-core.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/usage.h"
#include "node/hearthd.h"
#include "node/launch.h"
#include "sys/notify/notify.h"

int hearthd_main(int argc, char **argv); /* main() of the program */

enum { TRIES_MAX = 32 };

static struct {
	/* what these say */
	int run, down, check, launch;
	uint64_t run_us; /* so long it runs */
	int ends_at;     /* told to end in this pause, 0: never */
	bool interrupted;
	bool locked; /* its memory may be */
	/* what came */
	unsigned runs, pauses;
	unsigned pause_s[TRIES_MAX];
	char done[64], config[64], user[32], hosts[32], status[256];
	int guarded; /* for a program that keeps its rights */
} t;

int hearthd_run(const struct hearthd_options *options, struct err *err)
{
	assert_true(t.runs < TRIES_MAX);
	t.runs++;
	(void) strcpy(t.done, "run");
	(void) snprintf(
		t.config, sizeof(t.config), "%s", options->config_path ? options->config_path : "");
	fake_event_pass(t.run_us);
	return t.run < 0 ? err_set(err, t.run, "it cannot begin (%u)", t.runs) : t.run;
}

int hearthd_down(const struct hearthd_options *options, struct err *err)
{
	(void) strcpy(t.done, "down");
	(void) snprintf(
		t.config, sizeof(t.config), "%s", options->config_path ? options->config_path : "");
	return t.down < 0 ? err_set(err, t.down, "it stays") : 0;
}

int __wrap_config_read(const char *path, struct config *ret, struct err *err);
int __wrap_config_read(const char *path, struct config *ret, struct err *err)
{
	(void) strcpy(t.done, "check");
	(void) snprintf(t.config, sizeof(t.config), "%s", path);
	return t.check < 0 ? err_set(err, t.check, "line 3 is wrong") : 0;
}

int launch(const struct launch_options *options, struct err *err)
{
	(void) strcpy(t.done, "launch");
	(void) snprintf(
		t.config, sizeof(t.config), "%s", options->config_path ? options->config_path : "");
	(void) snprintf(t.user, sizeof(t.user), "%s", options->user);
	(void) snprintf(t.hosts, sizeof(t.hosts), "%s", options->hosts ? options->hosts : "");
	return t.launch < 0 ? err_set(err, t.launch, "no root") : t.launch;
}

bool guard_memory(bool keeps_rights)
{
	t.guarded = keeps_rights;
	return t.locked;
}

int notify_status(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(t.status, sizeof(t.status), format, args);
	va_end(args);
	return 1;
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	assert_true(sigismember(set, SIGTERM) && sigismember(set, SIGINT));
	if (t.interrupted) {
		t.interrupted = false;
		errno = EINTR;
		return -1;
	}
	assert_true(t.pauses < TRIES_MAX);
	t.pause_s[t.pauses++] = (unsigned) timeout->tv_sec;
	if (t.ends_at && t.pauses == (unsigned) t.ends_at)
		return SIGTERM;
	fake_event_pass((uint64_t) timeout->tv_sec * USEC_PER_SEC);
	errno = EAGAIN;
	return -1;
}

/* --- */

static struct core *core;  /* its log is asked */
static char said[2][8192]; /* to stdout and stderr */

static int set_up(void **state)
{
	memset(&t, 0, sizeof(t));
	t.locked = true;
	core = fake_core_new();
	(void) unsetenv("INVOCATION_ID");
	(void) unsetenv("HEARTH_ETC");
	return 0;
}

static int tear_down(void **state)
{
	core = fake_core_free(core);
	return 0;
}

/* With up to four words. Its exit status. */
static int run(const char *a, const char *b, const char *c, const char *d)
{
	const char *words[] = { "hearthd", a, b, c, d, NULL };
	FILE *files[2] = { tmpfile(), tmpfile() };
	int kept[2] = { dup(1), dup(2) }, argc = 1, r;

	while (words[argc])
		argc++;
	(void) fflush(NULL);
	for (int i = 0; i < 2; i++)
		assert_true(dup2(fileno(files[i]), i + 1) >= 0);
	optind = 0; /* getopt(3) of glibc begins anew */
	r = hearthd_main(argc, (char **) (uintptr_t) words);
	(void) fflush(NULL);
	for (int i = 0; i < 2; i++) {
		size_t n;

		assert_true(dup2(kept[i], i + 1) >= 0);
		(void) close(kept[i]);
		rewind(files[i]);
		n = fread(said[i], 1, sizeof(said[i]) - 1, files[i]);
		said[i][n] = '\0';
		(void) fclose(files[i]);
	}
	return r;
}

/* The command line is refused for this, and nothing is done. */
static void assert_wrong(const char *a, const char *b, const char *c, const char *why)
{
	t.done[0] = 0;
	assert_int_equal(run(a, b, c, NULL), USAGE_STATUS);
	assert_string_equal(t.done, "");
	if (!strstr(said[1], why) || !strstr(said[1], "; see hearthd --help"))
		fail_msg("\"%s\" does not say \"%s\"", said[1], why);
}

static void test_actions(void **state)
{
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_string_equal(t.done, "run");
	assert_string_equal(t.config, "");
	assert_int_equal(t.guarded, 1);
	assert_int_equal(run("--config", "/x", NULL, NULL), 0);
	assert_string_equal(t.done, "run");
	assert_string_equal(t.config, "/x");
	assert_int_equal(run("--check", NULL, NULL, NULL), 0);
	assert_string_equal(t.done, "check");
	assert_string_equal(t.config, "/etc/hearth/hearthd.yaml");
	assert_int_equal(t.guarded, 0);
	assert_int_equal(run("--check", "--config", "/x", NULL), 0);
	assert_string_equal(t.config, "/x");
	assert_int_equal(run("--down", "--config", "/x", NULL), 0);
	assert_string_equal(t.done, "down");
	assert_string_equal(t.config, "/x");
	assert_int_equal(run("--background", "--config", "/x", NULL), 0);
	assert_string_equal(t.done, "launch");
	assert_string_equal(t.config, "/x");
	assert_string_equal(t.user, "hearth");
	assert_string_equal(t.hosts, "");
	assert_string_equal(said[0], "hearthd is ready\n");
	t.launch = 1;
	assert_int_equal(run("--user", "me", "--background", NULL), 0);
	assert_string_equal(t.user, "me");
	assert_string_equal(said[0], "hearthd runs already\n");
	assert_int_equal(run("--background", "--hosts", "/h", NULL), 0);
	assert_string_equal(t.hosts, "/h");
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_actions_fail(void **state)
{
	t.check = t.down = t.launch = -EINVAL;
	assert_int_equal(run("--check", NULL, NULL, NULL), 1);
	assert_int_equal(fake_core_logged("line 3 is wrong"), 1);
	assert_int_equal(run("--down", NULL, NULL, NULL), 1);
	assert_int_equal(fake_core_logged("it stays"), 1);
	assert_int_equal(run("--background", NULL, NULL, NULL), 1);
	assert_int_equal(fake_core_logged("no root"), 1);
	assert_string_equal(said[0], "");
}

static void test_wrong(void **state)
{
	assert_wrong("--chekc", NULL, NULL, "--chekc");
	assert_wrong("word", NULL, NULL, "word");
	assert_wrong("--check", "--down", NULL,
		"--down does not go with --check, --down or --background");
	assert_wrong("--background", "--check", NULL, "--check does not go with");
	assert_wrong("--down", "--background", NULL, "--background does not go with");
	assert_wrong("--user", "me", NULL, "--user goes with --background only");
	assert_wrong("--hosts", "/h", "--check", "--hosts goes with --background only");
	assert_int_equal(run("--check", "--check", NULL, NULL), 0); /* that is no contradiction */
}

/* Only who holds keys for long is told that they may be swapped. */
static void test_memory(void **state)
{
	t.locked = false;
	assert_int_equal(run("--check", NULL, NULL, NULL), 0);
	assert_int_equal(fake_core_logged(""), 0);
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(fake_core_logged("may not lock all its memory"), 1);
}

/* --- a start that fails --- */

static void test_fails(void **state)
{
	t.run = -EBUSY;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_int_equal(t.runs, 1);
	assert_int_equal(fake_core_logged("it cannot begin (1)"), 1);
	t.run = -ENOTRECOVERABLE;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 78);
	assert_int_equal(t.pauses, 0);
}

/* systemd would try each second for ever, with four lines each time. */
static void test_tries_again(void **state)
{
	static const unsigned pauses[] = { 1, 2, 4, 8, 16, 32, 32, 32, 32, 32, 32 };

	(void) setenv("INVOCATION_ID", "x", 1);
	t.run = -EBUSY;
	t.interrupted = true;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	/* 200 seconds, and the pause in which they end. */
	assert_int_equal(t.pauses, 11);
	for (size_t i = 0; i < t.pauses; i++)
		assert_int_equal(t.pause_s[i], pauses[i]);
	assert_int_equal(t.runs, 12);
	assert_int_equal(fake_core_logged("it cannot begin"), 1);
	assert_string_equal(t.status, "cannot begin, tried again: it cannot begin (11)");
}

static void test_told_to_end(void **state)
{
	(void) setenv("INVOCATION_ID", "x", 1);
	t.run = -EBUSY;
	t.ends_at = 3;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(t.runs, 3);
}

static void test_only_a_person(void **state)
{
	(void) setenv("INVOCATION_ID", "x", 1);
	t.run = -ENOTRECOVERABLE;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 78);
	assert_int_equal(t.runs, 1);
	assert_int_equal(fake_core_logged("it cannot begin (1)"), 1);
}

/* One that had begun is systemd's to start again. */
static void test_had_begun(void **state)
{
	(void) setenv("INVOCATION_ID", "x", 1);
	t.run = -EIO;
	t.run_us = 10 * USEC_PER_SEC + 1;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_int_equal(t.runs, 1);
	t.run_us = 10 * USEC_PER_SEC;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(t.runs > 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(actions),
		TEST(actions_fail),
		TEST(wrong),
		TEST(memory),
		TEST(fails),
		TEST(tries_again),
		TEST(told_to_end),
		TEST(only_a_person),
		TEST(had_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
