/*
 * exec: see exec.h. Standard input is a sealed memory file, so that no pipe can block or raise
 * SIGPIPE; the end is seen through a pidfd, so that no SIGCHLD handler of the program is touched.
 */
#include "sys/exec/exec.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"

enum { READ_CHUNK = 16384, READ_ROUNDS = 64, QUOTE_MAX = 400 };

struct exec {
	pid_t pid;
	int pidfd, out_fd, err_fd;
	size_t output_max;
	struct exec_result result;

	sd_event_source *on_end, *on_out, *on_err, *on_timeout; /* exec_spawn() only */
	exec_done_fn done;
	void *ctx;
};

void exec_result_done(struct exec_result *result)
{
	buf_done(&result->out);
	buf_done(&result->err);
}

/* Descriptors below 3 would be overwritten while the child's 0-2 are put in place. */
static int above_stdio(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int e = errno;

	(void) close(fd);
	errno = e;
	return moved;
}

static int input_open(const struct exec_options *o)
{
	if (!o->input)
		return above_stdio(open("/dev/null", O_RDONLY | O_CLOEXEC));
	CLEANUP(close_p)
	int fd = above_stdio(memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (fd < 0)
		return -1;
	if (file_write_all(fd, o->input, o->input_len) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	(void) fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	return take_fd(&fd);
}

static int output_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = above_stdio(fds[0]);
	*ret_write = above_stdio(fds[1]);
	if (*ret_read < 0 || *ret_write < 0 || fcntl(*ret_read, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int spawn(const struct exec_options *o, int in, int out, int err, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigemptyset(&all);
	for (int n = 1; n <= SIGRTMAX; n++)
		if (n < 32 || n >= SIGRTMIN) /* libc's own lie between */
			sigaddset(&all, n);
	r = posix_spawn_file_actions_init(&files);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&files);
		return -r;
	}
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, in, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, out, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, err, 2);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (r == 0)
		r = posix_spawnattr_setflags(&attr,
			POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&attr, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attr, &none);
	if (r == 0)
		r = posix_spawnp(ret, o->argv[0], &files, &attr, (char *const *) o->argv,
			o->envp ? (char *const *) o->envp : environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

static void exec_done(struct exec *e)
{
	e->on_end = sd_event_source_disable_unref(e->on_end);
	e->on_out = sd_event_source_disable_unref(e->on_out);
	e->on_err = sd_event_source_disable_unref(e->on_err);
	e->on_timeout = sd_event_source_disable_unref(e->on_timeout);
	close_p(&e->pidfd);
	close_p(&e->out_fd);
	close_p(&e->err_fd);
	exec_result_done(&e->result);
}

static int start(struct exec *e, const struct exec_options *o, struct err *err)
{
	CLEANUP(close_p) int in = -1;
	CLEANUP(close_p) int out = -1;
	CLEANUP(close_p) int errors = -1;
	int r;

	*e = (struct exec){ .pidfd = -1, .out_fd = -1, .err_fd = -1, .output_max = o->output_max };
	in = input_open(o);
	if (in < 0)
		return err_set(err, -errno, "run %s: prepare its input: %m", o->argv[0]);
	r = output_pipe(&e->out_fd, &out);
	if (r == 0)
		r = output_pipe(&e->err_fd, &errors);
	if (r < 0)
		return err_set(err, r, "run %s: make a pipe: %s", o->argv[0], strerror(-r));
	r = spawn(o, in, out, errors, &e->pid);
	if (r < 0)
		return err_set(err, r, "run %s: %s", o->argv[0], strerror(-r));
	e->pidfd = (int) syscall(SYS_pidfd_open, e->pid, 0);
	if (e->pidfd < 0) {
		r = -errno;
		(void) kill(-e->pid, SIGKILL);
		(void) waitpid(e->pid, NULL, 0);
		return err_set(err, r, "run %s: watch process %d: %s", o->argv[0], (int) e->pid,
			strerror(-r));
	}
	(void) fcntl(e->pidfd, F_SETFD, FD_CLOEXEC);
	return 0;
}

/*
 * Reads what is there. False at the end of the stream. Bounded, so that a chatterer starves nobody.
 */
static bool drain(int fd, struct buf *buf, size_t max, bool *truncated)
{
	char chunk[READ_CHUNK];

	for (int i = 0; i < READ_ROUNDS; i++) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		size_t room = buf->len < max ? max - buf->len : 0;

		if ((size_t) n > room)
			*truncated = true;
		buf_add(buf, chunk, (size_t) n < room ? (size_t) n : room);
	}
	return true;
}

static void reap(struct exec *e)
{
	siginfo_t info = { 0 };

	while (waitid(P_PID, (id_t) e->pid, &info, WEXITED) < 0 && errno == EINTR)
		continue;
	e->result.status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	if (e->out_fd >= 0)
		(void) drain(e->out_fd, &e->result.out, e->output_max, &e->result.truncated);
	if (e->err_fd >= 0)
		(void) drain(e->err_fd, &e->result.err, e->output_max, &e->result.truncated);
}

/* The group's id is the child's pid, which stays taken until it is reaped. */
static void kill_group(struct exec *e)
{
	(void) kill(-e->pid, SIGKILL);
	(void) kill(e->pid, SIGKILL);
}

static int poll_timeout_ms(uint64_t deadline_us)
{
	if (!deadline_us)
		return -1;
	uint64_t now = clock_now_us();
	uint64_t left = deadline_us > now ? deadline_us - now : 0;

	return left > UINT64_C(3600000000) ? 3600000 : (int) ((left + 999) / 1000);
}

int exec_run(const struct exec_options *options, struct exec_result *ret, struct err *err)
{
	CLEANUP(exec_done) struct exec e = { .pidfd = -1, .out_fd = -1, .err_fd = -1 };
	uint64_t deadline = options->timeout_us ? clock_now_us() + options->timeout_us : 0;
	int r = start(&e, options, err);

	assert(!ret->out.data && !ret->err.data);
	if (r < 0)
		return r;
	for (;;) {
		struct pollfd fds[] = { { e.pidfd, POLLIN, 0 }, { e.out_fd, POLLIN, 0 },
			{ e.err_fd, POLLIN, 0 } };
		int n = poll(fds, 3, poll_timeout_ms(deadline));

		if (n < 0 && errno != EINTR) {
			r = err_set(err, -errno, "run %s: poll: %m", options->argv[0]);
			kill_group(&e);
			reap(&e);
			return r;
		}
		if (n > 0 && fds[1].revents &&
			!drain(e.out_fd, &e.result.out, e.output_max, &e.result.truncated)) {
			close_p(&e.out_fd);
			e.out_fd = -1;
		}
		if (n > 0 && fds[2].revents &&
			!drain(e.err_fd, &e.result.err, e.output_max, &e.result.truncated)) {
			close_p(&e.err_fd);
			e.err_fd = -1;
		}
		if (n > 0 && fds[0].revents)
			break;
		if (deadline && clock_now_us() >= deadline) {
			e.result.timed_out = true;
			kill_group(&e);
			deadline = 0;
		}
	}
	reap(&e);
	*ret = e.result;
	e.result = (struct exec_result){ 0 };
	return 0;
}

int exec_check(const struct exec_result *result, const char *what, struct err *err)
{
	char quote[QUOTE_MAX];
	size_t len = result->err.len < sizeof(quote) - 1 ? result->err.len : sizeof(quote) - 1;

	if (result->status == 0 && !result->timed_out)
		return 0;
	if (result->timed_out)
		return err_set(err, -ETIMEDOUT, "%s: took too long and was stopped", what);
	memcpy(quote, buf_str(&result->err), len);
	while (len && (quote[len - 1] == '\n' || quote[len - 1] == ' '))
		len--;
	quote[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (quote[i] == '\n')
			quote[i] = ' ';
	if (result->status < 0)
		return err_set(err, -EIO, "%s: ended by signal %d%s%s", what, -result->status,
			len ? ": " : "", quote);
	return err_set(
		err, -EIO, "%s: exit status %d%s%s", what, result->status, len ? ": " : "", quote);
}

static struct exec *exec_free(struct exec *e)
{
	if (e)
		exec_done(e);
	free(e);
	return NULL;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct exec *e = ctx;
	bool out = fd == e->out_fd;

	if (!drain(fd, out ? &e->result.out : &e->result.err, e->output_max, &e->result.truncated))
		(void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct exec *e = ctx;
	exec_done_fn done = e->done;
	void *done_ctx = e->ctx;
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	reap(e);
	result = e->result;
	e->result = (struct exec_result){ 0 };
	(void) exec_free(e);
	done(done_ctx, &result);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct exec *e = ctx;

	e->result.timed_out = true;
	kill_group(e);
	return 0;
}

int exec_spawn(sd_event *event, const struct exec_options *options, exec_done_fn done, void *ctx,
	struct exec **ret, struct err *err)
{
	struct exec *e = calloc(1, sizeof(*e));

	if (!e)
		return err_set(err, -ENOMEM, "run %s: out of memory", options->argv[0]);
	int r = start(e, options, err);

	if (r < 0) {
		(void) exec_free(e);
		return r;
	}
	e->done = done;
	e->ctx = ctx;
	r = sd_event_add_io(event, &e->on_end, e->pidfd, EPOLLIN, on_end, e);
	if (r >= 0)
		r = sd_event_add_io(event, &e->on_out, e->out_fd, EPOLLIN, on_output, e);
	if (r >= 0)
		r = sd_event_add_io(event, &e->on_err, e->err_fd, EPOLLIN, on_output, e);
	if (r >= 0 && options->timeout_us)
		r = sd_event_add_time_relative(event, &e->on_timeout, CLOCK_BOOTTIME,
			options->timeout_us, USEC_PER_MSEC, on_timeout, e);
	/* The end is looked at last, so that output read in the same wakeup comes first. */
	if (r >= 0)
		r = sd_event_source_set_priority(e->on_end, SD_EVENT_PRIORITY_NORMAL + 10);
	if (r < 0) {
		(void) exec_cancel(e);
		return err_set(err, r, "run %s: event loop: %s", options->argv[0], strerror(-r));
	}
	if (ret)
		*ret = e;
	return 0;
}

pid_t exec_pid(const struct exec *exec)
{
	return exec->pid;
}

struct exec *exec_cancel(struct exec *exec)
{
	if (!exec)
		return NULL;
	kill_group(exec);
	reap(exec);
	return exec_free(exec);
}
