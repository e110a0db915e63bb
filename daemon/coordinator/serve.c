/*
 * serve: see serve.h. Sockets are opened first (or come from systemd), then root is given up for
 * good, then the state is read and proved, and only then is anything answered.
 */
#include "coordinator/serve.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/env.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/number.h"
#include "base/pace.h"
#include "base/usage.h"
#include "coordinator/names.h"
#include "coordinator/open.h"
#include "coordinator/place.h"
#include "coordinator/presence.h"
#include "sys/listen/listen.h"
#include "sys/notify/notify.h"
#include "sys/priv/priv.h"

enum {
	CONNECTIONS_DEFAULT = 8192,
	PER_ADDRESS_DEFAULT = 512,
	DESCRIPTORS_SPARE = 64,
	STATUS_EVERY_S = 10,
	LOOK_EVERY_S = 60, /* for this machine's mesh address */
	COUNT_MAX = 1000000,
};

#define FULL_OVER_US (60 * USEC_PER_SEC)

struct serve {
	const char *state_dir, *run_dir, *listen, *user, *group;
	unsigned connections_max, per_address_max;
	int listen_fd;
	struct coord *coord;
	sd_event_source *on_status;
	uint64_t status_us, looked_us;
	bool watchdog; /* systemd waits for our word */
	char said[160];
	struct trouble full; /* connections are refused */
	uint64_t refused, full_us;
};

static void usage(void)
{
	fputs("usage: hearth-coord serve [OPTION...]\n"
	      "Runs the coordinator in the foreground until SIGTERM.\n\n"
	      "  --listen [ADDR:]PORT   HTTPS for boards (8443 on all addresses; or a socket from "
	      "systemd)\n"
	      "  --state DIR            what `init` made (" NAMES_COORD_STATE ")\n"
	      "  --run DIR              where " NAMES_COORD_SOCK
	      " is made, for `hearth` (" NAMES_RUN ")\n"
	      "  --user USER            whom to become if run as root (" COORD_USER ")\n"
	      "  --group GROUP          who beside root may administer (the user's own group)\n"
	      "  --connections N        connections in all (8192)\n"
	      "  --per-address N        and from one address, or one /64 of IPv6 (512)\n"
	      "  --help, --version\n",
		stdout);
}

static int bad_use(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int bad_use(const char *format, ...)
{
	va_list args;

	fputs("hearth-coord serve: ", stderr);
	va_start(args, format);
	(void) vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see hearth-coord serve --help\n", stderr);
	return USAGE_STATUS;
}

enum {
	OPT_LISTEN = 256,
	OPT_STATE,
	OPT_RUN,
	OPT_USER,
	OPT_GROUP,
	OPT_CONNECTIONS,
	OPT_PER_ADDRESS
};

static int read_count(const char *option, unsigned *ret)
{
	uint64_t n;

	if (number_parse(optarg, 1, COUNT_MAX, &n) < 0)
		return bad_use("--%s takes a number from 1 to %d, not \"%.40s\"", option, COUNT_MAX,
			optarg);
	*ret = (unsigned) n;
	return 0;
}

/* 0 to go on, -1 when all was said, else the exit status. */
static int read_options(struct serve *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, OPT_LISTEN },
		{ "state", required_argument, NULL, OPT_STATE },
		{ "run", required_argument, NULL, OPT_RUN },
		{ "user", required_argument, NULL, OPT_USER },
		{ "group", required_argument, NULL, OPT_GROUP },
		{ "connections", required_argument, NULL, OPT_CONNECTIONS },
		{ "per-address", required_argument, NULL, OPT_PER_ADDRESS },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char wrong[USAGE_TEXT_MAX];
	int r = 0;

	optind = 1;
	for (int c; r == 0 && (c = usage_getopt(argc, argv, "h", options, NULL, wrong)) != -1;)
		switch (c) {
		case OPT_LISTEN:
			s->listen = optarg;
			break;
		case OPT_STATE:
			s->state_dir = optarg;
			break;
		case OPT_RUN:
			s->run_dir = optarg;
			break;
		case OPT_USER:
			s->user = optarg;
			break;
		case OPT_GROUP:
			s->group = optarg;
			break;
		case OPT_CONNECTIONS:
			r = read_count("connections", &s->connections_max);
			break;
		case OPT_PER_ADDRESS:
			r = read_count("per-address", &s->per_address_max);
			break;
		case 'h':
			usage();
			return -1;
		default:
			return bad_use("%s", wrong);
		}
	if (r == 0 && optind < argc) {
		usage_surplus(argv[optind], wrong);
		return bad_use("%s", wrong);
	}
	return r;
}

/* A listening socket that systemd passed, or one of our own. */
static int open_socket(struct serve *s, struct err *err)
{
	int r = listen_inherited(&s->listen_fd, err);

	if (r)
		return r < 0 ? r : 0;
	return listen_open(s->listen, &s->listen_fd, err);
}

static uint16_t port_of(int fd)
{
	uint16_t port = listen_port(fd);

	return port ? port : API_PORT;
}

/* Root makes where the local socket goes: without systemd there is nobody else to do it. */
static int make_place(const struct serve *s, struct err *err)
{
	struct stat st;
	uid_t uid;
	gid_t gid;
	int r = priv_find_user(s->user, &uid, &gid, err);

	if (r < 0 || uid == 0 || (stat(s->run_dir, &st) == 0 && st.st_uid != 0))
		return r;
	return ipc_make_place(s->run_dir, COORD_PLACE, uid, gid, err);
}

/* Nothing that parses foreign bytes runs as root, but if somebody says --user root. */
static int drop_root(const struct serve *s, struct err *err)
{
	int r = geteuid() == 0 ? make_place(s, err) : 0;

	return r == 0 ? priv_drop(s->user, err) : r;
}

/* As many as asked for, or what the limit on descriptors leaves beside files and local calls. */
static unsigned connection_limit(const struct serve *s)
{
	unsigned reserve = DESCRIPTORS_SPARE + IPC_CLIENTS_MAX;
	unsigned allowed = descriptors_allow(s->connections_max + reserve);

	if (allowed >= s->connections_max + reserve)
		return s->connections_max;
	unsigned n = allowed > 2 * reserve ? allowed - reserve : allowed / 2;

	log_warning("only %u descriptors are allowed (ulimit -n, LimitNOFILE=): %u connections at "
		    "a time, not %u",
		allowed, n, s->connections_max);
	return n;
}

/* That strangers crowd the door is said once, and once when it is over. */
static void say_full(struct serve *s)
{
	uint64_t now = clock_now_us();
	uint64_t refused = httpd_put_out(s->coord->httpd) + httpd_turned_away(s->coord->httpd);
	struct trouble_end end;
	char span[PACE_SPAN_MAX];

	if (refused != s->refused) {
		s->full_us = now;
		if (trouble_is(&s->full, EBUSY, now))
			log_warning(
				"more connections come than are let in (%u are open): strangers "
				"are closed or turned away, boards keep theirs",
				httpd_connections(s->coord->httpd));
	} else if (now - s->full_us > FULL_OVER_US && trouble_over(&s->full, now, &end)) {
		log_notice("all connections are let in again, after %s; %llu were closed or turned "
			   "away",
			pace_span_format(end.lasted_us, span), (unsigned long long) refused);
	}
	s->refused = refused;
}

static void say_status(struct serve *s)
{
	char text[sizeof(s->said)];
	const struct coord *c = s->coord;
	size_t nodes = netmap_count(coord_netmap(c));

	snprintf(text, sizeof(text), "Mesh %s: %zu node%s, %u open poll%s, %llu records, port %u",
		coord_settings(c)->mesh, nodes, nodes == 1 ? "" : "s", feed_polls(c->feed),
		feed_polls(c->feed) == 1 ? "" : "s",
		(unsigned long long) mesh_log_head(ledger_log(c->ledger)), c->port);
	if (strcmp(text, s->said) != 0 && notify_status("%s", text) >= 0)
		(void) snprintf(s->said, sizeof(s->said), "%s", text);
}

static int on_status(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct serve *s = ctx;

	say_status(s);
	if (clock_now_us() - s->looked_us >= LOOK_EVERY_S * USEC_PER_SEC) {
		s->looked_us = clock_now_us();
		place_refresh(s->coord);
	}
	say_full(s);
	if (s->watchdog)
		(void) notify_send("WATCHDOG=1");
	(void) sd_event_source_set_time_relative(source, s->status_us);
	(void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int begin_status(struct serve *s, sd_event *event, struct err *err)
{
	uint64_t limit_us = 0;
	int r;

	s->status_us = STATUS_EVERY_S * USEC_PER_SEC;
	s->watchdog = sd_watchdog_enabled(0, &limit_us) > 0;
	if (s->watchdog && limit_us / 3 < s->status_us)
		s->status_us = limit_us / 3;
	r = sd_event_add_time_relative(
		event, &s->on_status, CLOCK_MONOTONIC, s->status_us, 0, on_status, s);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int find_admins(const struct serve *s, gid_t *ret, struct err *err)
{
	const struct group *group = s->group ? getgrnam(s->group) : NULL;

	if (s->group && !group)
		return err_set(err, -ENOENT, "there is no group %s", s->group);
	*ret = group ? group->gr_gid : (gid_t) -1;
	return 0;
}

static int start(struct serve *s, sd_event *event, struct err *err)
{
	struct open_config config = {
		.state_dir = s->state_dir,
		.run_dir = s->run_dir,
		.listen_fd = s->listen_fd,
		.port = port_of(s->listen_fd),
		.connections_max = connection_limit(s),
		.per_source_max = s->per_address_max,
	};
	int r = find_admins(s, &config.admins, err);

	if (r < 0)
		return r;
	s->listen_fd = -1;
	r = coord_open(event, &config, &s->coord, err);
	return r == 0 ? begin_status(s, event, err) : r;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int prepare_loop(sd_event **ret, struct err *err)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	(void) sigprocmask(SIG_BLOCK, &mask, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	int r = sd_event_new(ret);

	if (r >= 0)
		r = sd_event_add_signal(*ret, NULL, SIGTERM, on_signal, NULL);
	if (r >= 0)
		r = sd_event_add_signal(*ret, NULL, SIGINT, on_signal, NULL);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static void serve_done(struct serve *s, sd_event *event)
{
	(void) notify_send("STOPPING=1\nSTATUS=Ending");
	sd_event_source_disable_unref(s->on_status);
	s->coord = coord_close(s->coord);
	close_p(&s->listen_fd);
	sd_event_unref(event);
}

int serve_run(int argc, char **argv)
{
	struct serve s = {
		.state_dir = env_dir("HEARTH_COORD_STATE", NAMES_COORD_STATE),
		.run_dir = env_dir("HEARTH_RUN", NAMES_RUN),
		.listen = "8443",
		.user = COORD_USER,
		.connections_max = CONNECTIONS_DEFAULT,
		.per_address_max = PER_ADDRESS_DEFAULT,
		.listen_fd = -1,
	};
	struct err err = { 0 };
	sd_event *event = NULL;
	int r = read_options(&s, argc, argv);

	if (r)
		return r < 0 ? 0 : r;
	umask(077);
	r = open_socket(&s, &err);
	if (r == -EINVAL && sd_listen_fds(0) <= 0)
		return bad_use("--listen: %s", err.text);
	if (r == 0)
		r = drop_root(&s, &err);
	if (r == 0 && !guard_memory(true))
		log_info("may not lock all its memory (RLIMIT_MEMLOCK): some of it may be swapped "
			 "to disk");
	if (r == 0)
		r = prepare_loop(&event, &err);
	if (r == 0)
		r = start(&s, event, &err);
	if (r == 0) {
		(void) notify_send("READY=1");
		log_notice("serving the mesh %s on port %u, instance %s",
			coord_settings(s.coord)->mesh, s.coord->port,
			presences_instance(s.coord->presences));
		say_status(&s);
		r = sd_event_loop(event);
		if (r < 0)
			(void) err_set(&err, r, "event loop: %s", strerror(-r));
	}
	if (r < 0) {
		log_error("%s", err.text);
		(void) notify_status("%s", err.text);
		(void) notify_send("ERRNO=%d", -err.code);
	}
	serve_done(&s, event);
	return r < 0 ? 1 : 0;
}
