/*
 * launch: what `hearthd --background` starts, as whom and with what, whose word counts that it is
 * ready, and what is told when it is not. Nothing is started: fork(2) returns what the test wants.
 */
#include "fake-core.h"
#include "fake-ipc.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/owned.h"
#include "node/launch.h"
#include "sys/priv/priv.h"

enum { HELPER = 4001, DAEMON = 4002, CHILD = 0 };

static char dir[64];

static struct {
	/* what is there */
	bool hearthd, helper; /* they answer: 0, */
	int answer;           /* or with this errno */
	uid_t euid;
	int no_exe, state, user, become; /* these fail with this errno */
	uid_t other;                     /* hearthd's user is so far from ours */
	const char *call;                /* this system call fails, */
	int with;                        /* with this errno */
	/* processes */
	pid_t forks[2]; /* what fork(2) returns, one after the other; -1: it fails */
	unsigned n_forks;
	pid_t ended;       /* this one has */
	unsigned answers;  /* hearth-helper answers after so many looks; 0: never */
	uint64_t ready_us; /* hearthd says @word after so long; 0: never */
	const char *word;
	unsigned interrupted; /* poll(2) is, so often */
	/* what was done */
	char done[1024]; /* in a child, in order */
	jmp_buf end;     /* of it */
	char program[256], args[512], notify[128], said[256];
} t;

static void did(const char *what)
{
	assert_true(strlen(t.done) + strlen(what) + 2 < sizeof(t.done));
	(void) strcat(strcat(t.done, *t.done ? " " : ""), what);
}

static bool fails(const char *call)
{
	if (!t.call || strcmp(t.call, call) != 0)
		return false;
	errno = t.with;
	return true;
}

static const char *in_dir(const char *name)
{
	static char path[4][PATH_TEXT_MAX];
	static unsigned at;

	at = (at + 1) % 4;
	return paths_join(dir, name, path[at]);
}

/* --- instead of what is below it --- */

int ipc_call(const char *path, const char *call, const json_t *args, uint64_t timeout_us,
	struct ipc_reply *ret, struct err *err)
{
	bool is_helper = !strcmp(path, in_dir("run/helper.sock"));

	assert_string_equal(call, "launch.probe");
	if (!is_helper)
		assert_string_equal(path, in_dir("run/hearthd.sock"));
	if (is_helper && t.answers && t.n_forks && --t.answers == 0)
		t.helper = true;
	return (is_helper ? t.helper : t.hearthd) ? t.answer : -ENOENT;
}

void ipc_reply_done(struct ipc_reply *reply)
{
}

int priv_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	assert_string_equal(name, "hearth");
	*ret_uid = getuid() + t.other;
	*ret_gid = getgid();
	return t.user < 0 ? err_set(err, t.user, "no user hearth") : 0;
}

int priv_become(const char *name, uint64_t caps, struct err *err)
{
	assert_string_equal(name, "hearth");
	assert_int_equal(caps, UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW);
	did("become");
	return t.become < 0 ? err_set(err, t.become, "cannot become hearth") : 0;
}

void guard_let_lock(void)
{
	did("let_lock");
}

int __wrap_owned_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid);
int __wrap_owned_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	assert_string_equal(path, in_dir("state"));
	assert_int_equal(mode, 0700);
	assert_int_equal(uid, getuid() + t.other);
	return t.state;
}

/* --- instead of the kernel --- */

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return t.euid;
}

ssize_t __wrap_readlink(const char *path, char *ret, size_t len);
ssize_t __wrap_readlink(const char *path, char *ret, size_t len)
{
	assert_string_equal(path, "/proc/self/exe");
	errno = t.no_exe;
	return t.no_exe ? -1 : snprintf(ret, len, "/usr/sbin/hearthd");
}

int __wrap_lchown(const char *path, uid_t uid, gid_t gid);
int __wrap_lchown(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(uid, getuid() + t.other);
	return fails("lchown") ? -1 : 0;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	return fails("socket") ? -1 : __real_socket(family, type, protocol);
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
	return fails("fchmod") ? -1 : __real_fchmod(fd, mode);
}

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return fails("setsockopt") ? -1 : __real_setsockopt(fd, level, name, value, len);
}

int __real_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	return fails("bind") ? -1 : __real_bind(fd, address, len);
}

pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	assert_true(t.n_forks < ARRAY_LEN(t.forks));
	errno = EAGAIN;
	return t.forks[t.n_forks++];
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	return t.ended == pid ? pid : 0;
}

/* Somebody says @word at the notification socket. */
static void notify(const char *word)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = __real_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/launch-%d.sock", dir,
		(int) getpid());
	assert_true(fd >= 0);
	assert_int_equal(
		sendto(fd, word, strlen(word), 0, (struct sockaddr *) &address, sizeof(address)),
		strlen(word));
	(void) close(fd);
}

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	uint64_t us = (uint64_t) timeout_ms * USEC_PER_MSEC;

	fake_event_pass(us);
	if (fails("poll"))
		return -1;
	if (n && t.interrupted) {
		t.interrupted--;
		errno = EINTR;
		return -1;
	}
	if (n && t.ready_us && t.ready_us <= us) {
		notify(t.word);
		t.ready_us = 0;
	} else if (n && t.ready_us) {
		t.ready_us -= us;
	}
	return __real_poll(fds, n, 0);
}

/* --- in a child --- */

pid_t __wrap_setsid(void);
pid_t __wrap_setsid(void)
{
	did("setsid");
	return fails("setsid") ? -1 : 1;
}

int __wrap_dup2(int from, int to);
int __wrap_dup2(int from, int to)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	struct stat st;

	assert_in_range(to, 0, 2);
	assert_int_equal(fstat(from, &st), 0);
	assert_int_equal(S_ISCHR(st.st_mode), to == 0); /* /dev/null, or the log */
	did(names[to]);
	return fails(names[to]) ? -1 : to;
}

int __wrap_chdir(const char *path);
int __wrap_chdir(const char *path)
{
	assert_string_equal(path, "/");
	did("chdir");
	return fails("chdir") ? -1 : 0;
}

int __wrap_execl(const char *path, const char *first, ...);
int __wrap_execl(const char *path, const char *first, ...)
{
	const char *arg = first;
	va_list args;

	did("exec");
	(void) snprintf(t.program, sizeof(t.program), "%s", path);
	(void) snprintf(t.notify, sizeof(t.notify), "%s",
		getenv("NOTIFY_SOCKET") ? getenv("NOTIFY_SOCKET") : "");
	va_start(args, first);
	for (t.args[0] = '\0'; arg; arg = va_arg(args, const char *))
		(void) strcat(strcat(t.args, *t.args ? " " : ""), arg);
	va_end(args);
	errno = ENOENT;
	return -1;
}

__attribute__((format(printf, 1, 0))) static void keep(const char *format, va_list args)
{
	(void) vsnprintf(t.said, sizeof(t.said), format, args);
}

int __wrap_dprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_dprintf(int fd, const char *format, ...)
{
	va_list args;

	assert_int_equal(fd, 2);
	va_start(args, format);
	keep(format, args);
	va_end(args);
	return 0;
}

/* The same as an optimizing build has it. */
int __wrap___dprintf_chk(int fd, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int __wrap___dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list args;

	assert_int_equal(fd, 2);
	va_start(args, format);
	keep(format, args);
	va_end(args);
	return 0;
}

void __wrap__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status)
{
	assert_int_equal(status, 127);
	longjmp(t.end, 1);
}

/* --- a machine without systemd --- */

static struct core *core; /* for its clock */
static struct launch_options options;
static struct err err;

static int set_up(void **state)
{
	(void) strcpy(dir, "/tmp/hearth-launch.XXXXXX");
	assert_non_null(mkdtemp(dir));
	core = fake_core_new();
	memset(&t, 0, sizeof(t));
	t.forks[0] = HELPER;
	t.forks[1] = DAEMON;
	t.answers = 3;
	t.ready_us = 3 * USEC_PER_SEC;
	t.word = "READY=1";
	options = (struct launch_options){ .user = "hearth" };
	err = (struct err){ 0 };
	fake_place_fails = 0;
	assert_int_equal(setenv("HEARTH_RUN", in_dir("run"), 1), 0);
	assert_int_equal(setenv("HEARTH_STATE", in_dir("state"), 1), 0);
	(void) unsetenv("NOTIFY_SOCKET");
	(void) setenv("WATCHDOG_USEC", "1", 1);
	assert_int_equal(mkdir(in_dir("run"), 0700), 0);
	return 0;
}

static int tear_down(void **state)
{
	char sock[32];

	core = fake_core_free(core);
	(void) snprintf(sock, sizeof(sock), "run/launch-%d.sock", (int) getpid());
	(void) unlink(in_dir(sock)); /* where a child was played */
	(void) unlink(in_dir("run/hearthd.log"));
	(void) unlink(in_dir("run/hearthd.pid"));
	(void) unlink(in_dir("run/hearth-helper.pid"));
	assert_int_equal(rmdir(in_dir("run")), 0); /* and no socket is left */
	return rmdir(dir);
}

static int start(void)
{
	t.n_forks = 0;
	t.done[0] = 0;
	err = (struct err){ 0 };
	return launch(&options, &err);
}

/* It cannot be started, for this reason. */
static void assert_fails(int r, const char *why)
{
	assert_int_equal(start(), r);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void log_says(const char *text)
{
	assert_int_equal(file_write_atomic(in_dir("run/hearthd.log"), text, strlen(text), 0640), 0);
}

static void assert_file(const char *name, const char *text)
{
	CLEANUP_BUF struct buf found = { 0 };

	assert_int_equal(file_read(in_dir(name), 64, &found), 0);
	assert_string_equal(buf_str(&found), text);
}

static void test_starts_both(void **state)
{
	assert_int_equal(start(), 0);
	assert_int_equal(t.n_forks, 2);
	assert_file("run/hearth-helper.pid", "4001\n");
	assert_file("run/hearthd.pid", "4002\n");
	assert_int_equal(t.answers, 0);
	assert_non_null(strstr(fake_place, "/run hearthd "));
}

static void test_runs_already(void **state)
{
	t.hearthd = true;
	assert_int_equal(start(), 1);
	t.answer = -EREMOTEIO; /* "no such call" is an answer */
	assert_int_equal(start(), 1);
	assert_int_equal(t.n_forks, 0);
}

static void test_helper_runs_already(void **state)
{
	t.helper = true;
	t.forks[0] = DAEMON;
	assert_int_equal(start(), 0);
	assert_int_equal(t.n_forks, 1);
	assert_file("run/hearthd.pid", "4002\n");
}

/* --- before anything is started --- */

static void test_cannot_prepare(void **state)
{
	static const char *const calls[] = { "socket", "fchmod", "setsockopt", "bind" };
	char place[256] = "/tmp/";

	t.euid = 1000;
	assert_fails(-EPERM, "--background needs root, to start hearth-helper; try sudo");
	t.euid = 0;
	t.no_exe = ENOENT;
	assert_fails(-ENOENT, "read /proc/self/exe: No such file");
	t.no_exe = 0;
	t.user = -ENOENT;
	assert_fails(-ENOENT, "no user hearth");
	t.user = 0;
	fake_place_fails = -ENOTDIR;
	assert_fails(-ENOTDIR, "make ");
	fake_place_fails = 0;
	t.state = -EPERM;
	assert_fails(-EPERM, "does not belong to user hearth, whom hearthd runs as");
	t.state = -ENOSPC;
	assert_fails(-ENOSPC, "/state: No space left on device");
	t.state = 0;
	t.with = EMFILE;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		t.call = calls[i];
		assert_fails(-EMFILE, "make a notification socket: Too many open files");
	}
	t.call = "lchown";
	assert_fails(-EMFILE, " to user hearth: Too many open files");
	t.call = NULL;
	memset(place + 5, 'x', 120);
	(void) setenv("HEARTH_RUN", place, 1);
	assert_fails(-ENAMETOOLONG, "is too long for a socket");
	assert_int_equal(t.n_forks, 0);
}

/* A process of our number was killed and left its socket. */
static void test_socket_is_left(void **state)
{
	char name[32];

	(void) snprintf(name, sizeof(name), "run/launch-%d.sock", (int) getpid());
	assert_int_equal(file_write_atomic(in_dir(name), "", 0, 0600), 0);
	assert_int_equal(start(), 0);
}

/* --- hearth-helper --- */

static void test_helper_cannot_start(void **state)
{
	t.forks[0] = -1;
	assert_fails(-EAGAIN, "fork: Resource temporarily unavailable");
	assert_int_equal(t.n_forks, 1);
	assert_int_equal(access(in_dir("run/hearth-helper.pid"), F_OK), -1);
	t.forks[0] = HELPER;
	t.ended = HELPER;
	log_says("one\nits last words\n\n");
	assert_fails(-EIO, "hearth-helper ended at once: its last words");
	assert_int_equal(t.n_forks, 1);
	t.ended = 0;
	t.answers = 0;
	log_says("nothing"); /* its only line */
	assert_fails(-EIO, "hearth-helper does not answer: nothing");
	log_says("");
	assert_fails(-EIO, "hearth-helper does not answer; see ");
	assert_int_equal(unlink(in_dir("run/hearthd.log")), 0);
	assert_fails(-EIO, "hearth-helper does not answer; see ");
	assert_int_equal(t.n_forks, 1);
}

/* Five seconds, and not much longer. */
static void test_helper_is_slow(void **state)
{
	t.answers = 100;
	assert_int_equal(start(), 0);
	t.helper = false;
	t.answers = 102;
	assert_fails(-EIO, "hearth-helper does not answer");
}

/* --- hearthd --- */

static void test_hearthd_cannot_start(void **state)
{
	t.forks[1] = -1;
	assert_fails(-EAGAIN, "fork: Resource temporarily unavailable");
	assert_int_equal(access(in_dir("run/hearthd.pid"), F_OK), -1);
	t.helper = true;
	t.forks[0] = DAEMON;
	t.ended = DAEMON;
	log_says("hearthd: no configuration\n");
	assert_fails(-EIO, "hearthd ended at once: hearthd: no configuration");
	t.ended = 0;
	t.call = "poll";
	t.with = EINVAL;
	assert_fails(-EINVAL, "poll: Invalid argument");
}

static void test_ready(void **state)
{
	static const char *const good[] = { "READY=1", "STATUS=x\nREADY=1", "READY=1\nSTATUS=x" };

	t.helper = true;
	t.forks[0] = DAEMON;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		t.word = good[i];
		t.ready_us = 59 * USEC_PER_SEC;
		t.interrupted = 3;
		assert_int_equal(start(), 0);
	}
}

static void test_not_ready(void **state)
{
	static const char *const bad[] = { "STATUS=READY=1", "STATUS=x", "READY=0", "" };

	t.helper = true;
	t.forks[0] = DAEMON;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		t.word = bad[i];
		t.ready_us = USEC_PER_SEC;
		assert_fails(-EIO, "hearthd runs, but is not ready after a minute");
	}
	t.word = "READY=1";
	t.ready_us = 61 * USEC_PER_SEC;
	assert_fails(-EIO, "hearthd runs, but is not ready after a minute");
}

/* Whoever got at the socket (we do here): only hearthd's user has a say. */
static void test_not_its_word(void **state)
{
	t.helper = true;
	t.forks[0] = DAEMON;
	t.other = 1;
	t.ready_us = USEC_PER_SEC;
	assert_fails(-EIO, "hearthd runs, but is not ready after a minute");
}

/* --- what becomes of a child --- */

/* The one that is started first is this process for a while. */
static void be_child(void)
{
	t.forks[0] = CHILD;
	t.n_forks = 0;
	t.done[0] = t.args[0] = t.program[0] = 0;
	if (setjmp(t.end) == 0) {
		(void) launch(&options, &err);
		fail_msg("a child went on as if it were none");
	}
}

static void test_helper_is_started(void **state)
{
	be_child();
	assert_string_equal(t.done, "setsid stdin stdout stderr chdir exec");
	assert_string_equal(t.program, "/usr/sbin/hearth-helper");
	assert_non_null(strstr(t.args, "/run/helper.sock --user hearth --idle 0"));
	assert_null(strstr(t.args, "--hosts"));
	assert_string_equal(t.said, "start /usr/sbin/hearth-helper: No such file or directory\n");
	options.hosts = "/h";
	be_child();
	assert_non_null(strstr(t.args, " --user hearth --idle 0 --hosts /h"));
}

/* With its rights, its user's name, and nothing of a systemd that may have started us. */
static void test_hearthd_is_started(void **state)
{
	t.helper = true;
	be_child();
	assert_string_equal(t.done, "setsid stdin stdout stderr chdir let_lock become exec");
	assert_string_equal(t.program, "/usr/sbin/hearthd");
	assert_string_equal(t.args, "hearthd");
	assert_non_null(strstr(t.notify, "/run/launch-"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_string_equal(t.said, "start /usr/sbin/hearthd: No such file or directory\n");
	options.config_path = "/x";
	be_child();
	assert_string_equal(t.args, "hearthd --config /x");
	t.become = -EPERM;
	be_child();
	assert_string_equal(t.done, "setsid stdin stdout stderr chdir let_lock become");
	assert_string_equal(t.said, "start /usr/sbin/hearthd: cannot become hearth\n");
}

/* Then nothing is started: it would write where it should not, or end with a terminal. */
static void test_not_detached(void **state)
{
	static const char *const calls[] = { "setsid", "stdin", "stdout", "stderr", "chdir" };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		t.call = calls[i];
		t.with = EMFILE;
		t.helper = false;
		be_child();
		assert_null(strstr(t.done, "exec"));
		assert_non_null(strstr(t.done, calls[i]));
		t.helper = true;
		be_child();
		assert_null(strstr(t.done, "become"));
	}
	t.call = NULL;
	assert_int_equal(unlink(in_dir("run/hearthd.log")), 0);
	assert_int_equal(mkdir(in_dir("run/hearthd.log"), 0700), 0); /* no log */
	be_child();
	assert_string_equal(t.done, "");
	assert_string_equal(t.said, "start /usr/sbin/hearthd: Is a directory\n");
	assert_int_equal(rmdir(in_dir("run/hearthd.log")), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(starts_both),
		TEST(runs_already),
		TEST(helper_runs_already),
		TEST(cannot_prepare),
		TEST(socket_is_left),
		TEST(helper_cannot_start),
		TEST(helper_is_slow),
		TEST(hearthd_cannot_start),
		TEST(ready),
		TEST(not_ready),
		TEST(not_its_word),
		TEST(helper_is_started),
		TEST(hearthd_is_started),
		TEST(not_detached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
