/* exec: output, bounds, time limit, both ways of waiting; nothing is left behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sys/exec/exec.h"

#define SHELL(text)                    \
	(const char *const[])          \
	{                              \
		"sh", "-c", text, NULL \
	}

static struct exec_options options(const char *const *argv)
{
	return (struct exec_options){
		.argv = argv, .output_max = 4096, .timeout_us = 20 * USEC_PER_SEC
	};
}

static void test_run(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	struct err e = { 0 };
	struct exec_options o = options(SHELL("cat; echo no >&2; exit 3"));

	o.input = "hello\nworld";
	o.input_len = 11;
	assert_int_equal(exec_run(&o, &r, &e), 0);
	assert_int_equal(r.status, 3);
	assert_string_equal(buf_str(&r.out), "hello\nworld");
	assert_string_equal(buf_str(&r.err), "no\n");
	assert_false(r.truncated);
	assert_int_equal(exec_check(&r, "the thing", &e), -EIO);
	assert_string_equal(e.text, "the thing: exit status 3: no");
}

static void test_input_is_a_file(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	struct exec_options o = options(SHELL("wc -c </dev/stdin"));
	static char big[200000];

	memset(big, 'x', sizeof(big));
	o.input = big;
	o.input_len = sizeof(big);
	assert_int_equal(exec_run(&o, &r, NULL), 0);
	assert_int_equal(atoi(buf_str(&r.out)), sizeof(big));
	/* A program that never reads its input harms nobody. */
	CLEANUP_EXEC_RESULT struct exec_result r2 = { 0 };

	o.argv = SHELL("exit 0");
	assert_int_equal(exec_run(&o, &r2, NULL), 0);
	assert_int_equal(r2.status, 0);
}

static void test_bounds(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	struct exec_options o =
		options(SHELL("head -c 3000000 /dev/zero | tr '\\0' a; echo done >&2"));

	o.output_max = 1000;
	assert_int_equal(exec_run(&o, &r, NULL), 0);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.out.len, 1000);
	assert_true(r.truncated);
	assert_string_equal(buf_str(&r.err), "done\n");
}

static void test_timeout(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	struct err e = { 0 };
	struct exec_options o = options(SHELL("echo begun; sleep 1000 & wait"));
	uint64_t start = clock_now_us();

	o.timeout_us = 2 * USEC_PER_SEC; /* time enough to say something on a busy machine */
	assert_int_equal(exec_run(&o, &r, &e), 0);
	assert_true(r.timed_out);
	assert_int_equal(r.status, -SIGKILL);
	assert_string_equal(buf_str(&r.out), "begun\n");
	assert_true(clock_now_us() - start < 60 * USEC_PER_SEC);
	assert_int_equal(exec_check(&r, "x", &e), -ETIMEDOUT);
}

/* A grandchild that keeps our pipes open does not hold us up. */
static void test_daemon(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	struct exec_options o = options(SHELL("sleep 1000 & echo $!"));
	uint64_t start = clock_now_us();

	assert_int_equal(exec_run(&o, &r, NULL), 0);
	assert_int_equal(r.status, 0);
	assert_true(clock_now_us() - start < 15 * USEC_PER_SEC); /* not its time limit */
	assert_int_equal(kill(atoi(buf_str(&r.out)), SIGKILL), 0);
}

static void test_errors(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	struct err e = { 0 };
	struct exec_options o = options((const char *const[]){ "no-such-program-at-all", NULL });

	assert_int_equal(exec_run(&o, &r, &e), -ENOENT);
	assert_non_null(strstr(e.text, "no-such-program-at-all"));
	o = options(SHELL("kill -TERM $$"));
	assert_int_equal(exec_run(&o, &r, &e), 0);
	assert_int_equal(r.status, -SIGTERM);
	assert_int_equal(exec_check(&r, "x", &e), -EIO);
}

static void test_signals_and_descriptors(void **state)
{
	CLEANUP_EXEC_RESULT struct exec_result r = { 0 };
	sigset_t mask, before;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &before);
	signal(SIGPIPE, SIG_IGN);
	struct exec_options o = options(
		SHELL("grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/self/fd | wc -l"));

	assert_int_equal(exec_run(&o, &r, NULL), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(fd);
	assert_non_null(strstr(buf_str(&r.out), "SigBlk:\t0000000000000000"));
	const char *ignored = strstr(buf_str(&r.out), "SigIgn:");

	assert_non_null(ignored);
	assert_false(strtoull(ignored + 7, NULL, 16) & 0x7fffffff);
	assert_non_null(strstr(buf_str(&r.out), "\n4\n")); /* 0-2 and ls's own */
}

struct seen {
	sd_event *event;
	int n, status;
	bool timed_out;
	char out[64];
};

static void on_done(void *ctx, struct exec_result *result)
{
	struct seen *s = ctx;

	s->n++;
	s->status = result->status;
	s->timed_out = result->timed_out;
	(void) snprintf(s->out, sizeof(s->out), "%s", buf_str(&result->out));
	(void) sd_event_exit(s->event, 0);
}

static void test_spawn(void **state)
{
	struct seen s = { 0 };
	struct exec *exec = NULL;

	assert_true(sd_event_new(&s.event) >= 0);
	struct exec_options o = options(SHELL("read x; echo got $x; exit 4"));

	o.input = "7\n";
	o.input_len = 2;
	assert_int_equal(exec_spawn(s.event, &o, on_done, &s, &exec, NULL), 0);
	assert_true(sd_event_loop(s.event) >= 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.status, 4);
	assert_string_equal(s.out, "got 7\n");
	sd_event_unref(s.event);

	assert_true(sd_event_new(&s.event) >= 0);
	o = options(SHELL("sleep 1000"));
	o.timeout_us = 50 * USEC_PER_MSEC;
	assert_int_equal(exec_spawn(s.event, &o, on_done, &s, NULL, NULL), 0);
	assert_true(sd_event_loop(s.event) >= 0);
	assert_int_equal(s.n, 2);
	assert_true(s.timed_out);

	o = options(SHELL("sleep 1000"));
	sd_event_unref(s.event);
	assert_true(sd_event_new(&s.event) >= 0);
	assert_int_equal(exec_spawn(s.event, &o, on_done, &s, &exec, NULL), 0);
	assert_null(exec_cancel(exec));
	assert_int_equal(s.n, 2);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child left */
	assert_int_equal(errno, ECHILD);
	sd_event_unref(s.event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_input_is_a_file),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_signals_and_descriptors),
		cmocka_unit_test(test_spawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
