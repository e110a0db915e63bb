/* log, clock, files: what depends on the process: its stderr, environment and limits. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/env.h"
#include "base/log.h"

/* What @talk writes to stderr, in a process of its own (levels and names are global). */
static void hear(void (*talk)(void), struct buf *ret)
{
	int ends[2], status = 0;

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		(void) dup2(ends[1], STDERR_FILENO);
		(void) close(ends[0]);
		(void) close(ends[1]);
		talk();
		_exit(0);
	}
	(void) close(ends[1]);
	char chunk[4096];

	for (ssize_t n; (n = read(ends[0], chunk, sizeof(chunk))) > 0;)
		buf_add(ret, chunk, (size_t) n);
	(void) close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void talk_plainly(void)
{
	(void) unsetenv("JOURNAL_STREAM");
	(void) unsetenv("HEARTH_LOG");
	env_open_log("prog");
	log_error("a %d", 1);
	log_warning("b");
	log_notice("c");
	log_info("d\ne\x1b[2J");
	log_debug("not shown");
	log_set_level(LOG_LEVEL_ERROR);
	log_info("nor this");
	errno = EACCES;
	log_error("open: %m");
	if (errno != EACCES)
		_exit(1);
}

static void talk_to_journal(void)
{
	(void) setenv("JOURNAL_STREAM", "1:2", 1);
	(void) setenv("HEARTH_LOG", "debug", 1);
	env_open_log("prog");
	log_error("a");
	log_warning("b");
	log_notice("c");
	log_info("d");
	log_debug("e");
}

static void talk_at_length(void)
{
	static char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	env_open_log("prog");
	log_error("%s", text);
	log_error("next");
}

static void test_log(void **state)
{
	CLEANUP_BUF struct buf plain = { 0 }, journal = { 0 }, large = { 0 };

	hear(talk_plainly, &plain);
	assert_string_equal(buf_str(&plain), "prog: error: a 1\n"
					     "prog: warning: b\n"
					     "prog: c\n"
					     "prog: d\\x0ae\\x1b[2J\n"
					     "prog: error: open: Permission denied\n");
	hear(talk_to_journal, &journal);
	assert_string_equal(buf_str(&journal), "<3>a\n<4>b\n<5>c\n<6>d\n<7>e\n");
	hear(talk_at_length, &large);
	const char *end = strchr(buf_str(&large), '\n');

	assert_non_null(end);
	assert_true(end - large.data > 1000);
	assert_string_equal(end + 1, "prog: error: next\n");
}

/*
 * A pipe that nobody reads is full; then it is read, and the next line tells what was lost. The same for
 * a socket, and for a pipe that another user made, which cannot be opened again.
 */
static void test_log_never_waits(void **state)
{
	CLEANUP_BUF struct buf heard = { 0 };
	static char chunk[1 << 20];
	int ends[2], before[2], old = dup(STDERR_FILENO);
	ssize_t n;

	for (int kind = 0; kind < (geteuid() == 0 ? 3 : 2); kind++) {
		(void) unsetenv("JOURNAL_STREAM");
		assert_int_equal(
			kind == 1 ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
		assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
		env_open_log("prog");
		before[0] = fcntl(STDERR_FILENO, F_GETFL);
		assert_int_equal(kind == 2 ? seteuid(65534) : 0, 0);
		(void) alarm(20); /* a log that waits ends the test */
		for (int i = 0; i < 20000; i++)
			log_notice("line %d of many that nobody reads", i);
		before[1] = fcntl(STDERR_FILENO, F_GETFL);
		n = read(ends[0], chunk, sizeof(chunk) - 1);
		assert_true(n > 4096);
		while (recv(ends[0], chunk, sizeof(chunk), MSG_DONTWAIT) > 0)
			;
		log_notice("read again");
		log_notice("and on");
		(void) alarm(0);
		assert_int_equal(kind == 2 ? seteuid(0) : 0, 0);
		assert_true(dup2(old, STDERR_FILENO) >= 0);
		(void) close(ends[1]);
		assert_int_equal(before[0], before[1]); /* it is not ours alone */
		heard.len = 0;
		while ((n = read(ends[0], chunk, sizeof(chunk))) > 0)
			buf_add(&heard, chunk, (size_t) n);
		(void) close(ends[0]);
		assert_non_null(strstr(buf_str(&heard), " lines were lost here"));
		assert_string_equal(
			strstr(buf_str(&heard), "prog: read"), "prog: read again\nprog: and on\n");
	}
	(void) close(old);
}

/* stderr of a pipe that only its maker may open again; and a file, which is written at its place. */
static void test_log_places(void **state)
{
	char path[] = "/tmp/hearth-test-log.XXXXXX";
	CLEANUP_BUF struct buf text = { 0 };
	int fd = mkstemp(path), old = dup(STDERR_FILENO);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "before\n", 7), 7);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	env_open_log("prog");
	log_notice("in a file");
	(void) close(STDERR_FILENO);
	log_notice("nowhere");
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	(void) close(old);
	(void) close(fd);
	assert_int_equal(file_read(path, 1000, &text), 0);
	assert_string_equal(buf_str(&text), "before\nprog: in a file\n");
	(void) unlink(path);
}

static void talk_seldom(void)
{
	(void) unsetenv("JOURNAL_STREAM");
	env_open_log("prog");
	for (int i = 0; i < 1000; i++)
		log_seldom(LOG_LEVEL_NOTICE, "somebody again (%d)", i);
	log_seldom(LOG_LEVEL_NOTICE, "another place");
}

static void test_log_seldom(void **state)
{
	CLEANUP_BUF struct buf heard = { 0 };
	size_t lines = 0;

	hear(talk_seldom, &heard);
	for (const char *p = buf_str(&heard); (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 11);
	assert_non_null(strstr(buf_str(&heard), "prog: another place\n"));
}

static void talk_of_time(void)
{
	(void) setenv("HEARTH_CLOCK_OFFSET", "-86400", 1);
	uint64_t real = (uint64_t) time(NULL), ours = clock_wall_us() / USEC_PER_SEC;
	uint64_t before = clock_now_us();

	log_error("%d %d", ours + 86400 >= real && ours + 86400 <= real + 5,
		clock_now_us() >= before);
}

static void talk_of_early_time(void)
{
	(void) setenv("HEARTH_CLOCK_OFFSET", "-99999999999", 1);
	log_error("%llu", (unsigned long long) clock_wall_us());
}

static void test_clock(void **state)
{
	CLEANUP_BUF struct buf shifted = { 0 }, early = { 0 };

	hear(talk_of_time, &shifted);
	assert_string_equal(buf_str(&shifted), "hearth: error: 1 1\n");
	hear(talk_of_early_time, &early);
	assert_string_equal(buf_str(&early), "hearth: error: 0\n");
}

/* A disk that is full in mid-write (here a limit on file sizes): the old file stays, no litter. */
static void test_full_disk(void **state)
{
	char dir[] = "/tmp/hearth-test-process.XXXXXX", path[64];
	static char large[100000];
	struct rlimit old, small;
	CLEANUP_BUF struct buf b = { 0 };
	int files = 0;

	assert_non_null(mkdtemp(dir));
	(void) snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_equal(file_write_atomic(path, "old", 3, 0600), 0);
	(void) signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = file_write_atomic(path, large, sizeof(large), 0600);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(file_read(path, 100, &b), 0);
	assert_string_equal(buf_str(&b), "old");
	DIR *d = opendir(dir);

	assert_non_null(d);
	while (readdir(d))
		files++;
	(void) closedir(d);
	assert_int_equal(files, 3); /* ".", "..", "f" */
	(void) unlink(path);
	(void) rmdir(dir);
}

/* Killed at any moment of a write, a reader finds the old or the new file, whole. */
static void test_killed(void **state)
{
	char dir[] = "/tmp/hearth-test-process.XXXXXX", path[64], command[80];
	static char one[20000], two[20000];

	assert_non_null(mkdtemp(dir));
	(void) snprintf(path, sizeof(path), "%s/f", dir);
	memset(one, '1', sizeof(one));
	memset(two, '2', sizeof(two));
	assert_int_equal(file_write_atomic(path, one, sizeof(one), 0600), 0);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			for (bool odd = false;; odd = !odd)
				(void) file_write_atomic(path, odd ? one : two, sizeof(one), 0600);
		struct timespec t = { .tv_nsec = 300000 + i * 170000 };

		(void) nanosleep(&t, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		CLEANUP_BUF struct buf b = { 0 };

		assert_int_equal(file_read(path, sizeof(one), &b), 0);
		assert_int_equal(b.len, sizeof(one));
		assert_true(!memcmp(b.data, one, b.len) || !memcmp(b.data, two, b.len));
	}
	(void) snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_log_seldom),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_log_never_waits),
		cmocka_unit_test(test_log_places),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
