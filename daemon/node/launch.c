/*
 * hearthd tells of its readiness here just as it tells systemd: through NOTIFY_SOCKET.
 */
#include "node/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/names.h"
#include "base/owned.h"
#include "sys/ipc/ipc.h"
#include "sys/priv/priv.h"

#define READY_TIMEOUT_US (60 * USEC_PER_SEC)
enum { LOG_TAIL = 65536 };

struct launch {
	const struct launch_options *options;
	struct paths paths;
	char log[PATH_TEXT_MAX], helper_sock[PATH_TEXT_MAX], hearthd_sock[PATH_TEXT_MAX];
	char here[PATH_MAX]; /* the directory of our programs */
	uid_t uid;
	gid_t gid;
	int notify;
	char notify_path[PATH_TEXT_MAX]; /* "": none */
};

static bool answers(const char *path)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	int r = ipc_call(path, "launch.probe", NULL, 2 * USEC_PER_SEC, &reply, NULL);

	return r == 0 || r == -EREMOTEIO; /* "no such call" is an answer */
}

/* What is in it is hearthd's, and was made by its user: nothing there is given to anybody. */
static int make_state(const struct launch *l, struct err *err)
{
	int r = owned_make_dir(l->paths.state, 0700, l->uid, l->gid);

	if (r == -EPERM)
		return err_set(err, r,
			"%s does not belong to user %s, whom hearthd runs as. If it is Hearth's: "
			"`chown -R %u:%u %s`",
			l->paths.state, l->options->user, (unsigned) l->uid, (unsigned) l->gid,
			l->paths.state);
	return r < 0 ? err_set(err, r, "make %s: %s", l->paths.state, strerror(-r)) : 0;
}

/*
 * hearthd's word that it is ready, and nobody else's: a socket in a directory of root's that only
 * its user may write to (a name in the abstract namespace is anybody's to take, and to write to),
 * and the kernel says who wrote.
 */
static int open_notify(struct launch *l, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int yes = 1;
	int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/launch-%d.sock",
		l->paths.run, (int) getpid());

	if (len < 0 || (size_t) len >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s is too long for a socket", l->paths.run);
	(void) unlink(address.sun_path); /* of a process of our number that was killed */
	l->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->notify < 0 || fchmod(l->notify, 0600) < 0 ||
		setsockopt(l->notify, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0 ||
		bind(l->notify, (struct sockaddr *) &address, sizeof(address)) < 0)
		return err_set(err, -errno, "make a notification socket: %m");
	(void) snprintf(l->notify_path, sizeof(l->notify_path), "%s", address.sun_path);
	return lchown(l->notify_path, l->uid, l->gid) < 0
		       ? err_set(err, -errno, "give %s to user %s: %m", l->notify_path,
				 l->options->user)
		       : 0;
}

static void close_notify(struct launch *l)
{
	close_p(&l->notify);
	if (l->notify_path[0])
		(void) unlink(l->notify_path);
}

static void write_pid(const struct launch *l, const char *name, pid_t pid)
{
	char path[PATH_TEXT_MAX], text[32];
	int len = snprintf(text, sizeof(text), "%d\n", (int) pid);

	/* For people and scripts; nothing of ours reads it. */
	(void) file_write_atomic(paths_join(l->paths.run, name, path), text, (size_t) len, 0644);
}

int launch_open_log(const char *path)
{
	CLEANUP(close_p)
	int fd = open(path,
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return -EMLINK;
	return take_fd(&fd);
}

/* In the child: a session of its own, nothing of the terminal. */
static int detach(const struct launch *l)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = launch_open_log(l->log);

	if (log < 0)
		errno = -log;

	if (null < 0 || log < 0 || setsid() < 0)
		return -errno;
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

static pid_t start_helper(const struct launch *l, struct err *err)
{
	char program[PATH_MAX + 32];
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? err_set(err, -errno, "fork: %m") : pid;
	(void) snprintf(program, sizeof(program), "%s/hearth-helper", l->here);
	if (detach(l) == 0)
		(void) execl(program, "hearth-helper", "--listen", l->helper_sock, "--user",
			l->options->user, "--idle", "0", l->options->hosts ? "--hosts" : NULL,
			l->options->hosts, NULL);
	dprintf(2, "start %s: %s\n", program, strerror(errno));
	_exit(127);
}

static pid_t start_daemon(const struct launch *l, struct err *err)
{
	static const uint64_t caps = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW;
	char program[PATH_MAX + 32];
	struct err why = { 0 };
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? err_set(err, -errno, "fork: %m") : pid;
	(void) snprintf(program, sizeof(program), "%s/hearthd", l->here);
	if (detach(l) == 0 && setenv("NOTIFY_SOCKET", l->notify_path, 1) == 0 &&
		unsetenv("WATCHDOG_USEC") == 0) {
		guard_let_lock();
		if (priv_become(l->options->user, caps, &why) == 0)
			(void) execl(program, "hearthd",
				l->options->config_path ? "--config" : NULL,
				l->options->config_path, NULL);
	}
	dprintf(2, "start %s: %s\n", program, why.code ? why.text : strerror(errno));
	_exit(127);
}

static bool is_from(struct msghdr *m, uid_t uid)
{
	struct ucred creds;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS &&
			h->cmsg_len == CMSG_LEN(sizeof(creds))) {
			memcpy(&creds, CMSG_DATA(h), sizeof(creds));
			return creds.uid == uid;
		}
	return false;
}

static bool became_ready(const struct launch *l)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char text[4096];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(l->notify, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n <= 0 || !is_from(&m, l->uid))
		return false;
	text[n] = 0;
	return !strncmp(text, "READY=1", 7) || strstr(text, "\nREADY=1");
}

/* The last line hearthd wrote, which says why it ended. */
static int failed(const struct launch *l, const char *what, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char *line;

	if (file_read(l->log, LOG_TAIL, &text) < 0 || !text.len)
		return err_set(err, -EIO, "%s; see %s", what, l->log);
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	line = strrchr(buf_str(&text), '\n');
	return err_set(err, -EIO, "%s: %.500s", what, line ? line + 1 : buf_str(&text));
}

static int wait_ready(const struct launch *l, pid_t pid, struct err *err)
{
	uint64_t end = clock_now_us() + READY_TIMEOUT_US;
	struct pollfd poll_fd = { .fd = l->notify, .events = POLLIN };
	int status;

	while (clock_now_us() < end) {
		int r = poll(&poll_fd, 1, 100);

		if (r < 0 && errno != EINTR)
			return err_set(err, -errno, "poll: %m");
		if (r > 0 && became_ready(l))
			return 0;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return failed(l, "hearthd ended at once", err);
	}
	return failed(l, "hearthd runs, but is not ready after a minute", err);
}

static int wait_helper(const struct launch *l, pid_t pid, struct err *err)
{
	int status;

	for (int i = 0; i < 100; i++) {
		if (answers(l->helper_sock))
			return 0;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return failed(l, "hearth-helper ended at once", err);
		(void) poll(NULL, 0, 50);
	}
	return failed(l, "hearth-helper does not answer", err);
}

static int prepare(struct launch *l, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", l->here, sizeof(l->here) - 1);
	int r;

	if (geteuid() != 0)
		return err_set(
			err, -EPERM, "--background needs root, to start hearth-helper; try sudo");
	if (n < 0)
		return err_set(err, -errno, "read /proc/self/exe: %m");
	l->here[n] = 0;
	(void) dirname(l->here); /* cuts in place: the path is absolute and names a file */
	paths_init(&l->paths);
	paths_join(l->paths.run, "hearthd.log", l->log);
	paths_join(l->paths.run, NAMES_HELPER_SOCK, l->helper_sock);
	paths_join(l->paths.run, NAMES_HEARTHD_SOCK, l->hearthd_sock);
	r = priv_find_user(l->options->user, &l->uid, &l->gid, err);
	if (r == 0)
		r = ipc_make_place(l->paths.run, "hearthd", l->uid, l->gid, err);
	if (r == 0)
		r = make_state(l, err);
	return r < 0 ? r : open_notify(l, err);
}

int launch(const struct launch_options *options, struct err *err)
{
	struct launch l = { .options = options, .notify = -1 };
	pid_t helper, daemon;
	int r = prepare(&l, err);

	if (r == 0 && answers(l.hearthd_sock))
		r = 1;
	if (r == 0 && !answers(l.helper_sock)) {
		r = helper = start_helper(&l, err);
		if (helper > 0) {
			write_pid(&l, "hearth-helper.pid", helper);
			r = wait_helper(&l, helper, err);
		}
	}
	if (r == 0) {
		r = daemon = start_daemon(&l, err);
		if (daemon > 0) {
			write_pid(&l, "hearthd.pid", daemon);
			r = wait_ready(&l, daemon, err);
		}
	}
	close_notify(&l);
	return r;
}
