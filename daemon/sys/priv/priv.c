/*
 * After priv_become() the real, effective and saved ids are the user's, the supplementary groups
 * its own, and every capability set is exactly what was asked for.
 */
#include "sys/priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"

int priv_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	struct passwd entry, *found = NULL;
	char text[4096];
	int r = getpwnam_r(name, &entry, text, sizeof(text), &found);

	if (!found)
		return err_set(err, r ? -r : -ENOENT,
			"there is no user \"%s\" on this machine; "
			"make it with `systemd-sysusers` or `useradd --system %s`",
			name, name);
	*ret_uid = entry.pw_uid;
	*ret_gid = entry.pw_gid;
	return 0;
}

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = data[i].inheritable =
			(uint32_t) (caps >> 32 * i);
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int set_bounds(uint64_t caps)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(caps & UINT64_C(1) << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static int set_ambient(uint64_t caps)
{
	for (unsigned cap = 0; cap < 64; cap++)
		if (caps & UINT64_C(1) << cap &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	return 0;
}

int priv_become(const char *name, uint64_t caps, struct err *err)
{
	uid_t uid;
	gid_t gid;
	int r = priv_find_user(name, &uid, &gid, err);

	if (r < 0)
		return r;
	r = set_bounds(caps);
	if (r < 0)
		return err_set(err, r, "drop capabilities: %s", strerror(-r));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresgid(gid, gid, gid) < 0 ||
		initgroups(name, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_set(err, -errno, "become user %s: %m", name);
	r = set_caps(caps);
	if (r == 0)
		r = set_ambient(caps);
	if (r < 0)
		return err_set(err, r, "keep the capabilities: %s", strerror(-r));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "set no_new_privs: %m");
	return 0;
}

int priv_drop(const char *name, struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid;
	int r = uid == 0 ? priv_find_user(name, &uid, &gid, err) : 0;

	if (r < 0)
		return r;
	if (geteuid() == 0 && uid != 0)
		return priv_become(name, 0, err);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "set no_new_privs: %m");
	return 0;
}

enum { LOOK_EVERY_MS = 100 };
#define PATIENCE_US (60 * USEC_PER_SEC)

/* What comes back before the shared bytes. */
struct verdict {
	int r;
	struct err err;
};

/* The user may stop what is his: root does not wait for that, nor for ever. */
static int wait_for_word(int fd, pid_t pid, uint64_t end_us)
{
	struct pollfd p = { fd, POLLIN, 0 };
	siginfo_t info = { 0 };

	while (poll(&p, 1, LOOK_EVERY_MS) <= 0) {
		if (waitid(P_PID, (id_t) pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
			info.si_pid == pid)
			return -EPERM;
		if (clock_now_us() >= end_us)
			return -ETIMEDOUT;
	}
	return 0;
}

static int read_whole(int fd, pid_t pid, uint64_t end_us, void *ret, size_t len)
{
	for (size_t at = 0; at < len;) {
		int r = wait_for_word(fd, pid, end_us);

		if (r < 0)
			return r;
		ssize_t n = read(fd, (char *) ret + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		at += (size_t) n;
	}
	return 0;
}

__attribute__((noreturn)) static void be_child(
	int fd, const char *user, priv_fn fn, void *ctx, const void *share, size_t len)
{
	struct verdict verdict = { 0 };

	verdict.r = priv_become(user, 0, &verdict.err);
	(void) guard_memory(false);
	if (verdict.r == 0)
		verdict.r = fn(ctx, &verdict.err);
	if (file_write_all(fd, &verdict, sizeof(verdict)) < 0 || file_write_all(fd, share, len) < 0)
		_exit(1);
	_exit(0);
}

static int hear_child(int fd, pid_t pid, const char *user, void *share, size_t len, struct err *err)
{
	struct verdict verdict = { 0 };
	uint64_t end_us = clock_now_us() + PATIENCE_US;
	int r = read_whole(fd, pid, end_us, &verdict, sizeof(verdict));

	if (r == 0)
		r = read_whole(fd, pid, end_us, share, len);
	if (r < 0)
		(void) kill(pid, SIGKILL); /* it has not been waited for: the number is its own */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_set(err, r, "the process of user %s %s", user,
			r == -EPERM       ? "was stopped by somebody"
			: r == -ETIMEDOUT ? "did not end in a minute"
					  : "ended early");
	if (verdict.r < 0)
		return err_set(err, verdict.r, "%.*s", (int) sizeof(verdict.err.text) - 1,
			verdict.err.text);
	return verdict.r;
}

int priv_run_as(const char *user, priv_fn fn, void *ctx, void *share, size_t len, struct err *err)
{
	int ends[2];
	uid_t uid;
	gid_t gid;
	pid_t pid;
	int r;

	if (geteuid() != 0)
		return fn(ctx, err);
	r = priv_find_user(user, &uid, &gid, err);
	if (r < 0)
		return r;
	if (uid == 0)
		return fn(ctx, err);
	(void) fflush(NULL); /* or the child would print it again */
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, -errno, "make a pipe: %m");
	pid = fork();
	if (pid == 0) {
		(void) close(ends[0]);
		be_child(ends[1], user, fn, ctx, share, len);
	}
	(void) close(ends[1]);
	CLEANUP(close_p) int fd = ends[0];

	return pid < 0 ? err_set(err, -errno, "fork: %m")
		       : hear_child(fd, pid, user, share, len, err);
}
