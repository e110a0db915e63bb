/*
 * hearthd-calls PID: counts the system calls of a process, of its first thread ("loop") and of all
 * others ("rest"), and how often it asks rtnetlink for a whole list. Says "ready" once all threads
 * are watched, and for each line of its input, until that ends, "THREAD CALL COUNT" for each call
 * since the last line, and "end". Lists are counted beside the calls that ask for them, as
 *
 *	dump:links, dump:addresses, dump:routes, dump:other
 *
 * for each request with NLM_F_DUMP in sendto() or sendmsg() to an address of the family
 * AF_NETLINK.
 *
 * Not by a preloaded library: libraries make system calls that no wrapper sees. It slows the
 * process down, so nobody measures time meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* That of the kernel's header clashes with glibc's, whose older ones lack the struct. */
#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif
enum { SYSCALL_INFO_ENTRY = 1, ARGS = 6 };
struct syscall_info {
	uint8_t op;
	uint32_t arch;
	uint64_t instruction_pointer, stack_pointer;
	uint64_t nr, args[ARGS]; /* where op is SYSCALL_INFO_ENTRY */
	uint64_t spare[4];
};

enum { CALLS_MAX = 1024, NAME_MAX_LEN = 32 };
enum dump { DUMP_LINKS, DUMP_ADDRESSES, DUMP_ROUTES, DUMP_OTHER, DUMPS };
enum thread { THREAD_LOOP, THREAD_REST, THREADS };

/* What a daemon may be seen to do; others are shown by number. */
#define CALL(name) [SYS_##name] = #name
static const char *const names[CALLS_MAX] = {
	CALL(accept4), CALL(bind), CALL(brk), CALL(clock_gettime), CALL(clock_nanosleep),
	CALL(clone3), CALL(close), CALL(connect), CALL(epoll_ctl), CALL(epoll_pwait),
	CALL(eventfd2), CALL(exit), CALL(faccessat), CALL(faccessat2), CALL(fcntl), CALL(fdatasync),
	CALL(fstat), CALL(fstatfs), CALL(fsync), CALL(ftruncate), CALL(futex), CALL(getdents64),
	CALL(getpeername), CALL(getpid), CALL(getrandom), CALL(getsockname), CALL(getsockopt),
	CALL(gettid), CALL(inotify_add_watch), CALL(inotify_rm_watch), CALL(ioctl), CALL(kill),
	CALL(listen), CALL(lseek), CALL(madvise), CALL(mkdirat), CALL(mmap), CALL(mprotect),
	CALL(munmap), CALL(newfstatat), CALL(openat), CALL(pidfd_open), CALL(ppoll), CALL(pread64),
	CALL(prlimit64), CALL(pwrite64), CALL(read), CALL(readlinkat), CALL(readv), CALL(recvfrom),
	CALL(recvmmsg), CALL(recvmsg), CALL(renameat), CALL(rseq), CALL(rt_sigaction),
	CALL(rt_sigprocmask), CALL(sched_yield), CALL(sendmmsg), CALL(sendmsg), CALL(sendto),
	CALL(set_robust_list), CALL(setsockopt), CALL(shutdown), CALL(socket), CALL(socketpair),
	CALL(statfs), CALL(statx), CALL(timerfd_settime), CALL(tgkill), CALL(umask), CALL(uname),
	CALL(unlinkat), CALL(waitid), CALL(wait4), CALL(write), CALL(writev),
#ifdef SYS_open /* newer machines have none of these */
	CALL(access), CALL(chmod), CALL(epoll_wait), CALL(getdents), CALL(mkdir), CALL(open),
	CALL(pipe), CALL(poll), CALL(readlink), CALL(rename), CALL(stat), CALL(lstat), CALL(unlink),
	CALL(time), CALL(vfork)
#endif
};

static const char *const thread_names[] = { "loop", "rest" };
static const char *const dump_names[] = { "dump:links", "dump:addresses", "dump:routes",
	"dump:other" };

static pid_t process;
static unsigned long calls[THREADS][CALLS_MAX], dumps[THREADS][DUMPS];

static __attribute__((noreturn)) void die(const char *what)
{
	fprintf(stderr, "hearthd-calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static const char *name_of(unsigned nr, char room[static NAME_MAX_LEN])
{
	if (names[nr])
		return names[nr];
	(void) snprintf(room, NAME_MAX_LEN, "number-%u", nr);
	return room;
}

static bool read_memory(uint64_t at, void *ret, size_t len)
{
	struct iovec here = { ret, len }, there = { (void *) (uintptr_t) at, len };

	return process_vm_readv(process, &here, 1, &there, 1, 0) == (ssize_t) len;
}

static void look_at_request(enum thread thread, uint64_t data, uint64_t address)
{
	struct nlmsghdr request;
	sa_family_t family = AF_UNSPEC;

	if (!address || !read_memory(address, &family, sizeof(family)) || family != AF_NETLINK ||
		!read_memory(data, &request, sizeof(request)) ||
		(request.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		return;
	dumps[thread][request.nlmsg_type == RTM_GETLINK    ? DUMP_LINKS
		      : request.nlmsg_type == RTM_GETADDR  ? DUMP_ADDRESSES
		      : request.nlmsg_type == RTM_GETROUTE ? DUMP_ROUTES
							   : DUMP_OTHER]++;
}

static void count(pid_t tid)
{
	enum thread thread = tid == process ? THREAD_LOOP : THREAD_REST;
	struct syscall_info info = { 0 };
	struct msghdr message;
	struct iovec iov;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0 ||
		info.op != SYSCALL_INFO_ENTRY)
		return;
	calls[thread][info.nr < CALLS_MAX ? info.nr : CALLS_MAX - 1]++;
	if (info.nr == SYS_sendto)
		look_at_request(thread, info.args[1], info.args[4]);
	else if (info.nr == SYS_sendmsg && read_memory(info.args[1], &message, sizeof(message)) &&
		 message.msg_iovlen && read_memory((uintptr_t) message.msg_iov, &iov, sizeof(iov)))
		look_at_request(thread, (uintptr_t) iov.iov_base, (uintptr_t) message.msg_name);
}

static void print(void)
{
	char room[NAME_MAX_LEN];

	for (int t = 0; t < THREADS; t++) {
		for (unsigned i = 0; i < CALLS_MAX; i++)
			if (calls[t][i])
				printf("%s %s %lu\n", thread_names[t], name_of(i, room),
					calls[t][i]);
		for (int d = 0; d < DUMPS; d++)
			if (dumps[t][d])
				printf("%s %s %lu\n", thread_names[t], dump_names[d], dumps[t][d]);
	}
	puts("end");
	memset(calls, 0, sizeof(calls));
	memset(dumps, 0, sizeof(dumps));
}

/* All threads of now; later ones come by themselves. */
static void seize_all(void)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
	char path[64];
	const struct dirent *entry;
	DIR *dir;

	(void) snprintf(path, sizeof(path), "/proc/%d/task", (int) process);
	dir = opendir(path);
	if (!dir)
		die(path);
	while ((entry = readdir(dir))) {
		pid_t tid = (pid_t) atoi(entry->d_name);

		if (!tid)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, 0, options) < 0)
			die("watch a thread");
		if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 || waitpid(tid, NULL, __WALL) != tid ||
			ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
			die("begin to watch a thread");
	}
	closedir(dir);
}

/* What happened to thread @tid; it goes on. */
static void take_stop(pid_t tid, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (!WIFSTOPPED(status)) {
		if (tid == process)
			exit(0);
		return;
	}
	if (signal == (SIGTRAP | 0x80)) {
		count(tid);
		signal = 0;
	} else if (event) {
		signal = 0;
	}
	(void) ptrace(PTRACE_SYSCALL, tid, 0, signal); /* it may have been killed meanwhile */
}

int main(int argc, char **argv)
{
	sigset_t child;
	char line[64];
	int fd, status;
	pid_t tid;

	if (argc != 2 || (process = (pid_t) atoi(argv[1])) < 1) {
		fprintf(stderr, "usage: hearthd-calls PID\n");
		return 2;
	}
	(void) setvbuf(stdout, NULL, _IOLBF, 0);
	(void) sigemptyset(&child);
	(void) sigaddset(&child, SIGCHLD);
	(void) sigprocmask(SIG_BLOCK, &child, NULL);
	fd = signalfd(-1, &child, SFD_CLOEXEC);
	if (fd < 0)
		die("signals");
	seize_all();
	puts("ready");
	for (;;) {
		struct pollfd polls[] = { { fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
		struct signalfd_siginfo info;

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			die("wait");
		if (polls[0].revents && read(fd, &info, sizeof(info)) < 0)
			die("read a signal");
		while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
			take_stop(tid, status);
		if (!polls[1].revents)
			continue;
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			return 0; /* the kernel lets all threads go */
		print();
	}
}
