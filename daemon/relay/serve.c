/*
 * serve: see serve.h. The TCP port is opened (or comes from systemd), then root is given up for
 * good, then the keys are read, the other ports opened, and hearthd asked who may use them.
 */
#include "relay/serve.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/names.h"
#include "base/usage.h"
#include "relay/names.h"
#include "relay/own-keys.h"
#include "relay/serve-internal.h"
#include "sys/notify/notify.h"
#include "sys/priv/priv.h"

static void usage(void)
{
	fputs("usage: hearth-relay serve [OPTION...]\n"
	      "Runs the relay in the foreground until SIGTERM, as " NAMES_ETC "/" RELAYFILE_NAME
	      " says\n(`hearth relay enable` writes it).\n\n"
	      "  --state DIR    where its keys are (" NAMES_RELAY_STATE ")\n"
	      "  --user USER    whom to become if run as root (" RELAY_USER ")\n"
	      "  --help, --version\n",
		stdout);
}

static int bad_use(const char *text)
{
	fprintf(stderr, "hearth-relay serve: %s; see hearth-relay serve --help\n", text);
	return USAGE_STATUS;
}

/* 0 to go on, -1 when all was said, else the exit status. */
static int read_options(struct serve *s, int argc, char **argv)
{
	enum { OPT_STATE = 256, OPT_USER };
	static const struct option options[] = {
		{ "state", required_argument, NULL, OPT_STATE },
		{ "user", required_argument, NULL, OPT_USER },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char wrong[USAGE_TEXT_MAX];

	optind = 1;
	for (int c; (c = usage_getopt(argc, argv, "h", options, NULL, wrong)) != -1;)
		switch (c) {
		case OPT_STATE:
			s->state_dir = optarg;
			break;
		case OPT_USER:
			s->user = optarg;
			break;
		case 'h':
			usage();
			return -1;
		default:
			return bad_use(wrong);
		}
	if (optind < argc) {
		usage_surplus(argv[optind], wrong);
		return bad_use(wrong);
	}
	return 0;
}

/* --- who is served --- */

/* Who is here by one of the two ways and who is here by the other reach each other. */
static void join_ways(struct serve *s)
{
	if (s->udp)
		bridge_join(&s->bridge, s->udp, s->derp);
}

/* Until now connections were passed to coordinators that relay.json names, and that was all. */
static void begin_to_serve(struct serve *s)
{
	struct err err = { 0 };

	s->waiting = false;
	log_notice("this board is enrolled: its mesh's members are served from now on");
	if (serve_open_udp(s, &err) == 0) {
		join_ways(s);
		return;
	}
	log_error("%s", err.text);
	(void) sd_event_exit(s->core.event, -err.code); /* as at a start: it is tried anew */
}

static void begin_to_wait(struct serve *s)
{
	s->waiting = s->file.n_waits_for > 0;
	if (!s->waiting)
		return;
	pass_follow(s->pass, s->file.waits_for, s->file.n_waits_for);
	log_notice("waits for its enrolment: until hearthd says who the mesh's members are, "
		   "connections are passed to coordinators that " RELAYFILE_NAME
		   " names, and nobody else is served");
}

static void on_members(void *ctx)
{
	struct serve *s = ctx;
	size_t n, n_pins, n_members;
	const struct ip_prefix *ranges = admit_ranges(s->admit, &n);
	const uint8_t(*pins)[FIELD_KEY_LEN] = admit_pins(s->admit, &n_pins);

	(void) members_list(s->core.members, &n_members);
	if (s->waiting && n_members)
		begin_to_serve(s);
	if (s->waiting)
		return;
	if (s->udp && (udp_deny(s->udp, ranges, n) < 0 || udp_follow(s->udp) < 0))
		log_error("out of memory: newcomers are not served yet");
	derp_follow(s->derp); /* who goes says so unless he is bound still */
	pass_follow(s->pass, pins, n_pins);
	serve_say_status(s);
}

/* Each time hearthd is asked: once in 25 s at least. */
static json_t *on_reached(void *ctx)
{
	struct serve *s = ctx;
	uint64_t now_us = clock_now_us();

	outsiders_look(&s->core, s->udp, s->derp, now_us, &s->reached);
	return reached_to_json(&s->reached, now_us);
}

static const struct admit_hooks admit_hooks = { .changed = on_members, .reached = on_reached };

/* --- the TCP port --- */

/* Whose name is not the relay's, by its file or by the log. */
static bool wants_another(const struct serve *s, const char *name)
{
	const struct node_relay *relay = &s->file.relay;
	size_t n;
	const char(*hosts)[FIELD_HOST_MAX] = admit_hosts(s->admit, &n);

	return s->elsewhere && elsewhere_asks(name, relay->hosts, relay->n_hosts) &&
	       elsewhere_asks(name, hosts, n);
}

static void on_arrived(void *ctx, int fd, const struct endpoint *peer, const char *name,
	const void *first, size_t first_len)
{
	struct serve *s = ctx;

	if (pass_serves(name)) {
		pass_take(s->pass, fd, peer, name, first, first_len);
	} else if (wants_another(s, name)) {
		elsewhere_take(s->elsewhere, fd, peer, first, first_len);
	} else if (s->waiting) {
		s->unserved++;
		(void) close(fd);
	} else {
		derp_take(s->derp, fd, peer, first, first_len);
	}
}

static const struct front_hooks front_hooks = { .arrived = on_arrived };

/* --- its life --- */

static int read_file(struct serve *s, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r = relayfile_read(paths_join(s->paths.etc, RELAYFILE_NAME, path), &s->file, err);

	return r == -ENOENT
		       ? err_set(err, r, "%s is not there: `hearth relay enable` makes it", path)
		       : r;
}

static int read_keys(struct serve *s, struct err *err)
{
	CLEANUP_OWN_KEYS struct own_keys keys = { 0 };
	int r = own_keys_read(s->state_dir, &keys, err);

	if (r < 0)
		return r;
	memcpy(s->core.secret, keys.secret, sizeof(keys.secret));
	memcpy(s->core.key, keys.key, sizeof(keys.key));
	memcpy(s->tls_seed, keys.tls_seed, sizeof(keys.tls_seed));
	if (memcmp(keys.key, s->file.relay.key, sizeof(keys.key)) != 0 ||
		memcmp(keys.pin, s->file.relay.pin, sizeof(keys.pin)) != 0)
		return err_set(err, -EKEYREJECTED,
			RELAYFILE_NAME " names other keys than %s holds: run `hearth relay enable` "
				       "again",
			s->state_dir);
	s->core.members = members_new();
	return s->core.members ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int start(struct serve *s, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r = read_keys(s, err);

	if (r == 0 && !s->file.n_waits_for)
		r = serve_open_udp(s, err);
	if (r == 0)
		r = serve_open_tcp(s, &front_hooks, err);
	if (r == 0)
		join_ways(s);
	if (r == 0)
		begin_to_wait(s);
	if (r == 0 && s->file.metrics)
		r = metrics_new(&s->core, s->file.metrics, serve_say_metrics, s, &s->metrics, err);
	if (r == 0)
		r = admit_new(&s->core, paths_join(s->paths.run, NAMES_HEARTHD_SOCK, path),
			&admit_hooks, s, &s->admit, err);
	return r == 0 ? serve_say_begin(s, err) : r;
}

/* Those who are here hear of it, and come back a moment later. */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct serve *s = ctx;

	front_close(s->front);
	derp_say_restart(s->derp);
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int prepare_loop(struct serve *s, struct err *err)
{
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	(void) sigprocmask(SIG_BLOCK, &mask, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	r = sd_event_new(&s->core.event);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

/* A signal that came before waits until now. */
static int catch_signals(struct serve *s, struct err *err)
{
	int r = sd_event_add_signal(s->core.event, NULL, SIGTERM, on_signal, s);

	if (r >= 0)
		r = sd_event_add_signal(s->core.event, NULL, SIGINT, on_signal, s);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static void serve_done(struct serve *s)
{
	(void) notify_send("STOPPING=1\nSTATUS=Ending");
	sd_event_source_disable_unref(s->on_status);
	s->admit = admit_free(s->admit);
	s->metrics = metrics_free(s->metrics);
	s->front = front_free(s->front);
	s->elsewhere = elsewhere_free(s->elsewhere);
	s->pass = pass_free(s->pass);
	s->derp = derp_free(s->derp);
	s->udp = udp_free(s->udp);
	members_free(s->core.members);
	sd_event_unref(s->core.event);
	close_p(&s->listen_fd);
	relayfile_done(&s->file);
	sodium_memzero(s->core.secret, sizeof(s->core.secret));
	sodium_memzero(s->tls_seed, sizeof(s->tls_seed));
}

int serve_run(int argc, char **argv)
{
	struct serve s = {
		.state_dir = env_dir("HEARTH_RELAY_STATE", NAMES_RELAY_STATE),
		.user = relay_user(),
		.listen_fd = -1,
	};
	struct err err = { 0 };
	int r = read_options(&s, argc, argv);

	if (r)
		return r < 0 ? 0 : r;
	umask(077);
	paths_init(&s.paths);
	r = read_file(&s, &err);
	if (r == 0)
		r = serve_listen_tcp(&s, &err);
	if (r == 0)
		r = priv_drop(s.user, &err);
	if (r == 0 && !guard_memory(true))
		log_info("may not lock all its memory (RLIMIT_MEMLOCK): some of it may be swapped "
			 "to disk");
	if (r == 0)
		r = prepare_loop(&s, &err);
	if (r == 0)
		r = start(&s, &err);
	if (r == 0)
		r = catch_signals(&s, &err);
	if (r == 0) {
		(void) notify_send("READY=1");
		if (!s.waiting)
			log_notice("relaying on UDP port %u and TCP port %u",
				s.udp ? udp_port(s.udp) : 0, s.tcp_port);
		r = sd_event_loop(s.core.event);
		if (r < 0)
			err_set(&err, r, "event loop: %s", strerror(-r));
	}
	if (r < 0)
		log_error("%s", err.text);
	serve_done(&s);
	return r != 0;
}
