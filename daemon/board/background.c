/* background: see background.h. */
#include "board/background.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/number.h"
#include "board/config.h"

enum { PID_BYTES_MAX = 64, PROC_BYTES_MAX = 65536, LOG_MAX = 1 << 20 };
enum { STOP_STEPS = 200, STEP_MS = 50 };

static const char *path_of(
	const char *run, const char *name, const char *end, char ret[static PATH_TEXT_MAX])
{
	(void) snprintf(ret, PATH_TEXT_MAX, "%s/%s.%s", run, name, end);
	return ret;
}

static int read_proc(pid_t pid, const char *file, struct buf *ret)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
	return file_read(path, PROC_BYTES_MAX, ret);
}

/* A process of that number may be another's by now, or a zombie, which has no command line. */
static bool is_program(pid_t pid, const char *name)
{
	CLEANUP_BUF struct buf comm = { 0 }, line = { 0 };

	return read_proc(pid, "comm", &comm) == 0 && read_proc(pid, "cmdline", &line) == 0 &&
	       line.len && !strncmp(buf_str(&comm), name, strlen(name));
}

pid_t background_find(const char *run, const char *name)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	uint64_t pid;

	if (file_read(path_of(run, name, "pid", path), PID_BYTES_MAX, &text) < 0)
		return 0;
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[text.len - 1] = '\0';
	if (number_parse(buf_str(&text), 2, INT32_MAX, &pid) < 0)
		return 0;
	return is_program((pid_t) pid, name) ? (pid_t) pid : 0;
}

/* In the child. Only returns if that cannot be. */
static void become(const char *log_path, const char *const *argv)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	sigset_t none;

	if (null < 0 || log < 0 || setsid() < 0 || chdir("/") < 0 || dup2(null, 0) < 0 ||
		dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return;
	sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) execvp(argv[0], (char *const *) (uintptr_t) argv);
	dprintf(2, "start %s: %s\n", argv[0], strerror(errno));
}

int background_start(const char *run, const char *const *argv, pid_t *ret, struct err *err)
{
	char log[PATH_TEXT_MAX], path[PATH_TEXT_MAX], text[32];
	int len, r = file_mkdirs(run, 0755);
	pid_t pid;

	if (r < 0)
		return err_set(err, r, "make %s: %s", run, strerror(-r));
	(void) path_of(run, argv[0], "log", log);
	pid = fork();
	if (pid < 0)
		return err_set(err, -errno, "start %s: %s", argv[0], strerror(errno));
	if (pid == 0) {
		become(log, argv);
		_exit(127);
	}
	len = snprintf(text, sizeof(text), "%d\n", (int) pid);
	r = file_write_atomic(path_of(run, argv[0], "pid", path), text, (size_t) len, 0644);
	if (r < 0) {
		(void) kill(pid, SIGTERM);
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	}
	*ret = pid;
	return 0;
}

/* One of ours is a zombie until it is asked for. */
static bool has_ended(pid_t pid, const char *name)
{
	(void) waitpid(pid, NULL, WNOHANG);
	return !is_program(pid, name);
}

int background_stop(const char *run, const char *name, struct err *err)
{
	pid_t pid = background_find(run, name);

	if (!pid)
		return 0;
	if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
		return err_set(err, -errno, "stop %s: %s", name, strerror(errno));
	for (int i = 0; i < STOP_STEPS && !has_ended(pid, name); i++)
		(void) poll(NULL, 0, STEP_MS);
	if (!has_ended(pid, name))
		(void) kill(pid, SIGKILL);
	return 0;
}

int background_failed(const char *run, const char *name, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	char *line;

	if (file_read(path_of(run, name, "log", path), LOG_MAX, &text) < 0 || !text.len)
		return err_set(err, -EIO, "%s ended at once; see %s", name, path);
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	line = strrchr(buf_str(&text), '\n');
	return err_set(
		err, -EIO, "%s ended at once: %.500s", name, line ? line + 1 : buf_str(&text));
}
