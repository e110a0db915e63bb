/*
 * hearthd: the mesh daemon of a board.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/env.h"
#include "base/log.h"
#include "base/usage.h"
#include "node/hearthd.h"
#include "node/launch.h"
#include "sys/notify/notify.h"
#include "sys/portmap/upnp.h"

static const char usage_text[] =
	"Usage: hearthd [OPTION...]\n"
	"Joins this board to its mesh: interface, tunnel, routes, names, firewall. Enrol the board "
	"first\n"
	"(enroll-node). systemd runs it as hearthd.service; it stays in the foreground.\n"
	"\n"
	"  --config FILE   default /etc/hearth/hearthd.yaml\n"
	"  --check         read the configuration, say what is wrong with it, and end\n"
	"  --down          remove interface, routes, firewall and names that a hearthd left, and "
	"end\n"
	"  --background    start hearthd and hearth-helper without systemd, and return when they "
	"are ready\n"
	"  --user NAME     with --background: who hearthd runs as; default hearth\n"
	"  --hosts FILE    with --background: the hosts file; default /etc/hosts\n"
	"  --help, --version\n"
	"\n"
	"Environment: HEARTH_ETC, HEARTH_STATE, HEARTH_RUN (directories), HEARTH_LOG (error, "
	"warning,\n"
	"notice, info, debug).\n";

/* EX_CONFIG of sysexits.h; hearthd.service knows of it. */
enum { STATUS_WRONG = 78 };
#define PATIENCE_US  (200 * USEC_PER_SEC) /* with the last pause within TimeoutStartSec */
#define PAUSE_MAX_US (32 * USEC_PER_SEC)
#define RAN_US       (10 * USEC_PER_SEC) /* it had begun */

enum action { ACTION_RUN, ACTION_CHECK, ACTION_DOWN, ACTION_BACKGROUND };

struct arguments {
	enum action action;
	struct hearthd_options run;
	struct launch_options launch;
};

/* Two of these at once, or an option of another: -1, and what is wrong. */
static int set_action(struct arguments *a, enum action action, const char *name,
	char wrong[static USAGE_TEXT_MAX])
{
	if (a->action != ACTION_RUN && a->action != action) {
		(void) snprintf(wrong, USAGE_TEXT_MAX,
			"--%s does not go with --check, --down or --background", name);
		return -1;
	}
	a->action = action;
	return 0;
}

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 'k' },
	{ "down", no_argument, NULL, 'd' },
	{ "background", no_argument, NULL, 'b' },
	{ "user", required_argument, NULL, 'u' },
	{ "hosts", required_argument, NULL, 'H' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

static int parse(struct arguments *a, int argc, char **argv, char wrong[static USAGE_TEXT_MAX])
{
	const char *background_only = NULL;
	int c, index = 0, r = 0;

	while (r == 0 && (c = usage_getopt(argc, argv, "", long_options, &index, wrong)) >= 0) {
		switch (c) {
		case 'c':
			a->run.config_path = a->launch.config_path = optarg;
			break;
		case 'k':
			r = set_action(a, ACTION_CHECK, long_options[index].name, wrong);
			break;
		case 'd':
			r = set_action(a, ACTION_DOWN, long_options[index].name, wrong);
			break;
		case 'b':
			r = set_action(a, ACTION_BACKGROUND, long_options[index].name, wrong);
			break;
		case 'u':
			a->launch.user = optarg;
			background_only = "user";
			break;
		case 'H':
			a->launch.hosts = optarg;
			background_only = "hosts";
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		case 'v':
			puts("hearthd " HEARTH_VERSION);
			exit(0);
		default:
			return -1;
		}
	}
	if (r == 0 && optind < argc) {
		usage_surplus(argv[optind], wrong);
		return -1;
	}
	if (r == 0 && background_only && a->action != ACTION_BACKGROUND) {
		(void) snprintf(
			wrong, USAGE_TEXT_MAX, "--%s goes with --background only", background_only);
		return -1;
	}
	return r;
}

static int check(const struct arguments *a, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct config config;
	struct paths paths;
	const char *file = a->run.config_path;

	paths_init(&paths);
	return config_read(file ? file : paths_join(paths.etc, "hearthd.yaml", path), &config, err);
}

/* Until @pause_us are over. True: we are to end. */
static bool is_told_to_end(uint64_t pause_us)
{
	struct timespec wait = { .tv_sec = (time_t) (pause_us / USEC_PER_SEC) };
	sigset_t ends;
	int r;

	(void) sigemptyset(&ends);
	(void) sigaddset(&ends, SIGTERM);
	(void) sigaddset(&ends, SIGINT);
	(void) sigprocmask(SIG_BLOCK, &ends, NULL);
	do
		r = sigtimedwait(&ends, NULL, &wait);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/*
 * Returns the exit status. systemd would start what cannot begin each second for ever, with four
 * lines each time; so it is tried again here, and said once. Not for ever, because services that
 * start after us wait.
 */
static int run(const struct hearthd_options *options)
{
	bool is_patient = getenv("INVOCATION_ID") != NULL; /* systemd started us */
	uint64_t end = clock_now_us() + PATIENCE_US, pause_us = USEC_PER_SEC;
	int told = 0;

	for (;;) {
		uint64_t began = clock_now_us();
		struct err err = { 0 };
		int r = hearthd_run(options, &err);

		if (r >= 0)
			return 0;
		if (told != err.code)
			log_error("%s", err.text);
		told = err.code;
		if (r == -ENOTRECOVERABLE)
			return STATUS_WRONG;
		if (!is_patient || clock_now_us() > end || clock_now_us() - began > RAN_US)
			return 1;
		(void) notify_status("cannot begin, tried again: %s", err.text);
		if (is_told_to_end(pause_us))
			return 0;
		pause_us = pause_us < PAUSE_MAX_US ? 2 * pause_us : pause_us;
	}
}

int main(int argc, char **argv)
{
	struct arguments a = { .launch = { .user = "hearth" } };
	struct err err = { 0 };
	char wrong[USAGE_TEXT_MAX];
	int r = 0;

	if (argc == 2 && !strcmp(argv[1], UPNP_ARGUMENT))
		_exit(upnp_main()); /* it opens no file any more, nor does a sanitizer at its end */
	env_open_log("hearthd");
	(void) umask(0022);
	if (parse(&a, argc, argv, wrong) < 0) {
		fprintf(stderr, "hearthd: %s; see hearthd --help\n", wrong);
		return USAGE_STATUS;
	}
	if (!guard_memory(a.action == ACTION_RUN) && a.action == ACTION_RUN)
		log_info("may not lock all its memory (RLIMIT_MEMLOCK): some of it may be swapped "
			 "to disk");
	switch (a.action) {
	case ACTION_RUN:
		return run(&a.run);
	case ACTION_CHECK:
		r = check(&a, &err);
		break;
	case ACTION_DOWN:
		r = hearthd_down(&a.run, &err);
		break;
	case ACTION_BACKGROUND:
		r = launch(&a.launch, &err);
		if (r >= 0)
			puts(r > 0 ? "hearthd runs already" : "hearthd is ready");
		break;
	}
	if (r < 0)
		log_error("%s", err.text);
	return r < 0 ? 1 : 0;
}
