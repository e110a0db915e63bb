/*
 * hearth-wg: one tunnel by itself, for `wg` and `wg-quick`, in the place of `wireguard-go IFNAME`.
 * In the background by default: the caller gets its prompt back when interface and socket are
 * there, or the reason why not. The loop of the first thread serves the socket; packets have their
 * own.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/number.h"
#include "base/usage.h"
#include "tunnel/tunnel.h"
#include "tunnel/uapi-server.h"

static const char help[] =
	"Usage: hearth-wg [-f] INTERFACE\n"
	"Makes the WireGuard interface INTERFACE in userspace; configure it with wg(8) and ip(8).\n"
	"Ends when the interface or its socket /var/run/wireguard/INTERFACE.sock is removed.\n"
	"\n"
	"  -f, --foreground  stay in the foreground\n"
	"      --help        show this and exit\n"
	"      --version     show the version and exit\n"
	"\n"
	"Environment:\n"
	"  LOG_LEVEL             silent, error (default), verbose or debug\n"
	"  WG_TUN_FD             number of an open TUN device to use (IFF_NO_PI, IFF_VNET_HDR)\n"
	"  WG_UAPI_FD            number of a listening unix socket to use\n"
	"  WG_PROCESS_FOREGROUND 1: as -f\n"
	"  HEARTH_OFFLOAD        off, tun or udp: no, or only these segmentation offloads\n"
	"  HEARTH_QUEUES         1 (default) to 16: threads that carry packets\n"
	"\n"
	"Exit status: 0 done (in the background: ready), 1 failed, 2 wrong use.\n";

/* What runs; closed in the order tunnel, socket. */
struct program {
	struct tunnel *tunnel;
	struct uapi_server *server;
	char socket_path[sizeof(((struct sockaddr_un *) 0)->sun_path) + 1]; /* "": unknown */
	struct stat socket_stat;
	int signal_fd, inotify_fd;
};

/* Returns whether log lines are wanted at all. */
static bool open_log(void)
{
	enum { SILENT, ERROR, VERBOSE, DEBUG };
	static const char *const names[] = { "silent", "error", "verbose", "debug", NULL };
	int level;

	env_open_log("hearth-wg");
	log_set_level(LOG_LEVEL_ERROR);
	level = env_choice("LOG_LEVEL", names, ERROR);
	if (level == VERBOSE || level == DEBUG)
		log_set_level(LOG_LEVEL_DEBUG);
	return level != SILENT;
}

/* Who asks for a level wants to read the lines: output stays open in the background. */
static bool level_is_set(void)
{
	const char *level = getenv("LOG_LEVEL");

	return level && *level;
}

/* A descriptor named by the environment, -1 if there is none. */
static int inherited_fd(const char *variable, int *ret, struct err *err)
{
	const char *text = getenv(variable);
	uint64_t n = 0;

	*ret = -1;
	if (!text || !*text)
		return 0;
	if (number_parse(text, 0, INT_MAX, &n) < 0 || fcntl((int) n, F_GETFD) < 0)
		return err_set(
			err, -EBADF, "%s=%.32s does not name an open descriptor", variable, text);
	*ret = (int) n;
	return 0;
}

/* The path behind an inherited socket, so that its removal can be noticed. */
static void find_socket_path(int fd, struct program *p)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *) &addr, &len) == 0 && addr.sun_family == AF_UNIX)
		memcpy(p->socket_path, addr.sun_path, sizeof(addr.sun_path));
}

static int open_socket(struct program *p, struct err *err)
{
	CLEANUP(free_p) char *path = NULL;
	int fd, r = inherited_fd("WG_UAPI_FD", &fd, err);

	if (r < 0)
		return r;
	if (fd >= 0) {
		(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
		find_socket_path(fd, p);
	} else {
		path = uapi_server_path(tunnel_ifname(p->tunnel));
		if (!path)
			return err_set(err, -ENOMEM, "out of memory");
		fd = uapi_server_listen(path, err);
		if (fd < 0)
			return fd;
		memcpy(p->socket_path, path, strlen(path) + 1);
	}
	if (lstat(p->socket_path, &p->socket_stat) < 0)
		p->socket_path[0] = '\0';
	r = uapi_server_new(p->tunnel, fd, &p->server);
	errno = -r;
	return r < 0 ? err_set(err, r, "serve the socket: %m") : 0;
}

static bool socket_is_ours(const struct program *p)
{
	struct stat st;

	return lstat(p->socket_path, &st) == 0 && st.st_ino == p->socket_stat.st_ino &&
	       st.st_dev == p->socket_stat.st_dev;
}

/* Removal is seen in the directory: the socket itself stays alive while we listen. */
static void watch_socket(struct program *p)
{
	char directory[sizeof(p->socket_path)];
	char *slash;

	memcpy(directory, p->socket_path, sizeof(directory));
	slash = strrchr(directory, '/');
	if (!slash)
		return;
	*slash = '\0';
	p->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (p->inotify_fd < 0 ||
		inotify_add_watch(p->inotify_fd, directory[0] ? directory : "/",
			IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF) < 0)
		log_warning("watch %s: %m: the removal of the socket will go unnoticed", directory);
}

static int catch_signals(struct program *p, struct err *err)
{
	sigset_t mask;

	(void) sigemptyset(&mask);
	(void) sigaddset(&mask, SIGTERM);
	(void) sigaddset(&mask, SIGINT);
	(void) sigaddset(&mask, SIGHUP);
	(void) sigaddset(&mask, SIGUSR1);
	(void) sigprocmask(SIG_BLOCK, &mask, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	p->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd < 0 ? err_set(err, -errno, "signalfd: %m") : 0;
}

static int start(struct program *p, const char *ifname, struct err *err)
{
	struct tunnel_config config = { .ifname = ifname };
	int r = catch_signals(p, err);

	if (r == 0)
		r = inherited_fd("WG_TUN_FD", &config.tun_fd, err);
	if (r == 0)
		r = tunnel_open(&config, &p->tunnel, err);
	if (r == 0)
		r = open_socket(p, err);
	if (r == 0 && p->socket_path[0])
		watch_socket(p);
	return r;
}

static void stop(struct program *p)
{
	p->server = uapi_server_free(p->server);
	if (p->socket_path[0] && socket_is_ours(p))
		(void) unlink(p->socket_path);
	p->tunnel = tunnel_close(p->tunnel);
	close_p(&p->signal_fd);
	close_p(&p->inotify_fd);
}

/* True: the socket is gone, or another's. */
static bool socket_removed(struct program *p)
{
	_Alignas(struct inotify_event) char data[4096];

	while (read(p->inotify_fd, data, sizeof(data)) > 0)
		;
	return !socket_is_ours(p);
}

/* Somebody asked, so it is written whatever the level. */
static void log_counters(const struct program *p)
{
	struct tunnel_counters c = { 0 };
	bool quiet = !log_enabled(LOG_LEVEL_NOTICE);

	if (tunnel_get_counters(p->tunnel, &c) < 0)
		return;
	if (quiet)
		log_set_level(LOG_LEVEL_NOTICE);
	log_notice("%s: super-frames received %" PRIu64 ", sent %" PRIu64
		   "; super-packets written %" PRIu64 ", read %" PRIu64,
		tunnel_ifname(p->tunnel), c.rx_super, c.tx_super, c.tun_super_written,
		c.tun_super_read);
	log_notice("%s: received datagrams %" PRIu64 ", packets %" PRIu64
		   "; dropped: malformed %" PRIu64 ", denied %" PRIu64 ", bad handshakes %" PRIu64
		   ", unread handshakes %" PRIu64 ", no session %" PRIu64 ", forged %" PRIu64
		   ", replayed %" PRIu64 ", bad inside %" PRIu64 ", refused by the device %" PRIu64,
		tunnel_ifname(p->tunnel), c.rx_datagrams, c.rx_packets, c.rx_malformed, c.rx_denied,
		c.rx_handshake_bad, c.rx_handshake_shed, c.rx_no_session, c.rx_forged,
		c.rx_replayed, c.rx_inner_bad, c.tun_write_errors);
	log_notice("%s: sent datagrams %" PRIu64 ", packets %" PRIu64 "; dropped: no peer %" PRIu64
		   ", no session %" PRIu64 ", refused by the kernel %" PRIu64,
		tunnel_ifname(p->tunnel), c.tx_datagrams, c.tx_packets, c.tx_no_peer,
		c.tx_no_session, c.tx_errors);
	if (quiet)
		log_set_level(LOG_LEVEL_ERROR);
}

/* True: it is time to end. */
static bool take_signal(const struct program *p)
{
	struct signalfd_siginfo info;

	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGUSR1) {
		log_counters(p);
		return false;
	}
	log_info("signal received, ending");
	return true;
}

static void run(struct program *p)
{
	enum { AT_SIGNAL, AT_CLOSED, AT_SERVER, AT_INOTIFY, AT_N };
	struct pollfd fds[AT_N] = {
		[AT_SIGNAL] = { .fd = p->signal_fd, .events = POLLIN },
		[AT_CLOSED] = { .fd = tunnel_closed_fd(p->tunnel), .events = POLLIN },
		[AT_SERVER] = { .fd = uapi_server_fd(p->server), .events = POLLIN },
		[AT_INOTIFY] = { .fd = p->inotify_fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, AT_N, -1) < 0)
			continue;
		if (fds[AT_SIGNAL].revents && take_signal(p))
			return;
		if (fds[AT_CLOSED].revents) {
			log_info("interface removed, ending");
			return;
		}
		if (fds[AT_INOTIFY].revents && socket_removed(p)) {
			log_info("socket removed, ending");
			return;
		}
		if (fds[AT_SERVER].revents)
			uapi_server_run(p->server);
	}
}

/* The caller's terminal, directory and session are none of a daemon's. */
static void detach(bool keep_output)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void) !chdir("/");
	if (null < 0)
		return;
	(void) dup2(null, STDIN_FILENO);
	if (!keep_output) {
		(void) dup2(null, STDOUT_FILENO);
		(void) dup2(null, STDERR_FILENO);
	}
	if (null > STDERR_FILENO)
		(void) close(null);
}

/* @report: where the background's parent reads, -1 in the foreground. */
static int run_program(const char *ifname, int report, bool logging)
{
	struct program p = { .signal_fd = -1, .inotify_fd = -1 };
	struct err err = { 0 };

	(void) guard_memory(true); /* without the right to lock it does as it can */
	if (start(&p, ifname, &err) < 0) {
		if (report < 0)
			log_error("%s", err.text);
		else
			(void) !write(report, err.text, strlen(err.text));
		stop(&p);
		return EXIT_FAILURE;
	}
	log_info("interface %s is ready", tunnel_ifname(p.tunnel));
	if (report >= 0) {
		detach(logging && level_is_set());
		(void) !write(report, "\n", 1); /* the parent may be gone: nobody to tell */
		(void) close(report);
	}
	run(&p);
	stop(&p);
	return EXIT_SUCCESS;
}

/* What the child wrote before it ended, or a newline: it is ready. */
static int await_child(int fd, const char *ifname)
{
	char text[ERR_TEXT_MAX];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1) {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t) n;
		if (text[0] == '\n')
			return EXIT_SUCCESS;
	}
	text[len] = '\0';
	log_error("%s: %s", ifname, len ? text : "ended before it was ready");
	return EXIT_FAILURE;
}

static int run_in_background(const char *ifname, bool logging)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		log_error("pipe: %m");
		return EXIT_FAILURE;
	}
	pid = fork();
	if (pid < 0) {
		log_error("fork: %m");
		return EXIT_FAILURE;
	}
	if (pid == 0) {
		(void) close(fds[0]);
		(void) setsid();
		return run_program(ifname, fds[1], logging);
	}
	(void) close(fds[1]);
	return await_child(fds[0], ifname);
}

static int misuse(const char *wrong)
{
	(void) fprintf(stderr, "hearth-wg: %s; see hearth-wg --help\n", wrong);
	return USAGE_STATUS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "foreground", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'v' }, { 0 } };
	bool logging = open_log();
	bool foreground = env_number("WG_PROCESS_FOREGROUND", 0, 1, 0) == 1;
	char wrong[USAGE_TEXT_MAX];
	int c;

	while ((c = usage_getopt(argc, argv, "fh", options, NULL, wrong)) >= 0) {
		switch (c) {
		case 'f':
			foreground = true;
			break;
		case 'h':
			(void) fputs(help, stdout);
			return EXIT_SUCCESS;
		case 'v':
			(void) puts("hearth-wg " HEARTH_VERSION);
			return EXIT_SUCCESS;
		default:
			return misuse(wrong);
		}
	}
	if (optind == argc)
		return misuse("the name of the interface is missing");
	if (optind < argc - 1) {
		(void) snprintf(
			wrong, sizeof(wrong), "\"%.40s\" is one word too many", argv[optind + 1]);
		return misuse(wrong);
	}
	if (!logging && !freopen("/dev/null", "w", stderr))
		return EXIT_FAILURE;
	return foreground ? run_program(argv[optind], -1, logging)
			  : run_in_background(argv[optind], logging);
}
