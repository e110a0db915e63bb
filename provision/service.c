/*
 * service: hearthd runs, and the peers that can be reached answer. Under systemd by its unit;
 * elsewhere hearthd starts itself in the background, and enroll-node says that nothing will start
 * it at boot.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/names.h"
#include "board/background.h"
#include "board/relayunit.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"
#include "sys/ipc/ipc.h"

enum {
	START_LIMIT_S = 30,
	POLL_MS = 100,
	QUIET_S = 3, /* without a further answer: the rest is off or cannot be reached */
	OUTPUT_MAX = 16 * 1024,
};

static int run(const char *const *argv, const char *what, struct exec_result *ret, struct err *err)
{
	struct exec_options options = { .argv = argv,
		.output_max = OUTPUT_MAX,
		.timeout_us = (START_LIMIT_S + 30) * USEC_PER_SEC };
	int r = exec_run(&options, ret, err);

	return r < 0 ? r : exec_check(ret, what, err);
}

static int ask_status(struct enroll *e, json_t **ret, struct err *err)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	char path[PATH_TEXT_MAX];
	int r = ipc_call(paths_join(e->paths.run, NAMES_HEARTHD_SOCK, path), "status", NULL,
		2 * USEC_PER_SEC, &reply, err);

	if (r == 0)
		*ret = TAKE(reply.ok);
	return r;
}

static bool answers(struct enroll *e)
{
	json_t *status = NULL;
	bool yes = ask_status(e, &status, NULL) == 0;

	json_decref(status);
	return yes;
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void) nanosleep(&t, NULL); /* interrupted: asked again a little sooner */
}

/* What hearthd said last, for the person who would otherwise look for it. */
static void add_journal(struct err *err)
{
	const char *const argv[] = { "journalctl", "--quiet", "--no-pager", "--output=cat",
		"--unit=hearthd.service", "--lines=3", NULL };
	CLEANUP_EXEC_RESULT struct exec_result out = { 0 };
	struct err ignored = { 0 };
	char text[ERR_TEXT_MAX];

	if (run(argv, "journalctl", &out, &ignored) < 0 || !out.out.len)
		return;
	for (char *p = out.out.data; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ';' : 0;
	(void) snprintf(text, sizeof(text), "%s", err->text);
	err_set(err, err->code, "%.300s. It said: %.300s. More: `journalctl -u hearthd`", text,
		out.out.data);
}

static int start_unit(struct err *err)
{
	const char *const enable[] = { "systemctl", "--quiet", "enable", "hearthd.service", NULL };
	const char *const reset[] = { "systemctl", "--quiet", "reset-failed", "hearthd.service",
		NULL };
	const char *const start[] = { "systemctl", "--quiet", "start", "hearthd.service", NULL };
	CLEANUP_EXEC_RESULT struct exec_result a = { 0 };
	CLEANUP_EXEC_RESULT struct exec_result b = { 0 };
	CLEANUP_EXEC_RESULT struct exec_result c = { 0 };
	struct err ignored = { 0 };
	int r = run(enable, "systemctl enable hearthd.service", &a, err);

	if (r)
		return r;
	(void) run(reset, "systemctl reset-failed", &b, &ignored); /* says no if it never failed */
	r = run(start, "systemctl start hearthd.service", &c, err);
	if (r)
		add_journal(err);
	return r;
}

/* Beside this program as it was installed or built, else wherever PATH finds it. */
static const char *program_beside(const char *name, char ret[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 64);

	if (n > 0) {
		ret[n] = 0;
		char *slash = strrchr(ret, '/');

		if (slash) {
			(void) snprintf(slash + 1, 64, "%s", name);
			if (access(ret, X_OK) == 0)
				return ret;
		}
	}
	return name;
}

static int start_background(struct enroll *e, struct err *err)
{
	char path[PATH_MAX], hosts[PATH_TEXT_MAX];
	const char *const argv[] = { program_beside("hearthd", path), "--background", "--user",
		e->user, "--hosts", paths_join(e->host, "hosts", hosts), NULL };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	return run(argv, "hearthd --background", &result, err);
}

static int wait_for_answer(struct enroll *e, struct err *err)
{
	uint64_t until = clock_now_us() + START_LIMIT_S * USEC_PER_SEC;
	json_t *status = NULL;
	struct err last = { 0 };

	while (ask_status(e, &status, &last) < 0) {
		if (clock_now_us() > until)
			return err_set(err, -ETIMEDOUT,
				"hearthd was started but has not answered for %d s: %.300s",
				START_LIMIT_S, last.text);
		pause_ms(POLL_MS);
	}
	json_decref(status);
	return 0;
}

static bool says_removed(struct enroll *e)
{
	CLEANUP_JSON json_t *status = NULL;
	struct err ignored = { 0 };

	if (ask_status(e, &status, &ignored) < 0)
		return false;
	const char *code =
		json_string_value(json_object_get(json_object_get(status, "coordinator"), "code"));
	const char *state = json_string_value(json_object_get(status, "state"));

	return (code && !strcmp(code, "removed")) ||
	       (state && (!strcmp(state, "removed") || !strcmp(state, "replaced")));
}

static int kill_background(struct enroll *e, const char *name, struct err *err)
{
	pid_t pid = background_find(e->paths.run, name);

	if (!pid)
		return err_set(err, -ESRCH,
			"%s runs, but %s/%s.pid does not name its process; stop it by hand", name,
			e->paths.run, name);
	return kill(pid, SIGTERM) < 0 ? err_set(err, -errno, "stop %s: %s", name, strerror(errno))
				      : 0;
}

int service_stop(struct enroll *e, struct err *err)
{
	const char *const stop[] = { "systemctl", "--quiet", "stop", "hearthd.service", NULL };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	if (!answers(e))
		return 0;
	int r = e->systemd ? run(stop, "systemctl stop hearthd.service", &result, err)
			   : kill_background(e, "hearthd", err);
	uint64_t until = clock_now_us() + START_LIMIT_S * USEC_PER_SEC;

	while (r == 0 && answers(e)) {
		if (clock_now_us() > until)
			return err_set(err, -ETIMEDOUT, "hearthd does not stop");
		pause_ms(POLL_MS);
	}
	return r;
}

static bool enabled(void)
{
	const char *const argv[] = { "systemctl", "--quiet", "is-enabled", "hearthd.service",
		NULL };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	struct err ignored = { 0 };

	return run(argv, "systemctl is-enabled", &result, &ignored) == 0;
}

int service_start(struct enroll *e, struct err *err)
{
	if (answers(e) && (!e->systemd || enabled())) {
		talk_step(&e->talk, TALK_KEPT, "service", "hearthd runs");
		return 0;
	}
	if (e->dry_run) {
		talk_step(&e->talk, TALK_WOULD, "service", "start hearthd%s",
			e->systemd ? ", now and at every boot" : "");
		return 0;
	}
	talk_wait(&e->talk, "service", "starting hearthd");
	int r = e->systemd ? start_unit(err) : start_background(e, err);

	if (r == 0)
		r = wait_for_answer(e, err);
	if (r)
		return r;
	talk_step(&e->talk, TALK_DONE, "service", "started hearthd%s",
		e->systemd ? ", now and at every boot" : " in the background");
	if (!e->systemd)
		talk_step(&e->talk, TALK_NOTE, "service",
			"process 1 is not systemd: have `hearthd --background` started at boot");
	return 0;
}

/* The helper made it for hearthd, which may not remove it. Only if nobody serves it. */
static void remove_wg_socket(struct enroll *e)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	(void) snprintf(name.sun_path, sizeof(name.sun_path), "/var/run/wireguard/%s.sock",
		e->config.interface);
	CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0 &&
		errno == ECONNREFUSED)
		(void) unlink(name.sun_path);
}

/*
 * Interface, routes, firewall and names. A damaged configuration must not keep a board from
 * leaving.
 */
static void take_down(struct enroll *e)
{
	char path[PATH_MAX], config[PATH_TEXT_MAX];
	const char *const argv[] = { program_beside("hearthd", path), "--down", NULL };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	struct err why = { 0 };

	if (access(paths_join(e->paths.etc, "hearthd.yaml", config), F_OK) < 0)
		return;
	if (run(argv, "hearthd --down", &result, &why) < 0)
		talk_step(&e->talk, TALK_NOTE, "service",
			"%.400s: what is left of the mesh's interface goes with the next boot",
			why.text);
}

int service_down(struct enroll *e, struct err *err)
{
	const char *const disable[] = { "systemctl", "--quiet", "disable", "hearthd.service",
		NULL };
	const char *const helper[] = { "systemctl", "--quiet", "stop", "hearth-helper.socket",
		"hearth-helper.service", NULL };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	CLEANUP_EXEC_RESULT struct exec_result stopped = { 0 };
	struct err none = { 0 };
	bool ran = answers(e);
	int r = service_stop(e, err);

	if (r == 0 && e->systemd && enabled())
		r = run(disable, "systemctl disable hearthd.service", &result, err);
	if (r)
		return r;
	take_down(e);
	remove_wg_socket(e);
	if (e->systemd) /* started by hearthd's unit, not stopped by it */
		r = run(helper, "systemctl stop hearth-helper", &stopped, err);
	else
		(void) kill_background(e, "hearth-helper", &none); /* not there: nothing to end */
	if (r)
		return r;
	talk_step(&e->talk, ran ? TALK_DONE : TALK_KEPT, "service",
		ran ? "stopped hearthd" : "is down");
	return 0;
}

int service_relay_down(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];

	if (access(paths_join(e->paths.etc, RELAYFILE_NAME, path), F_OK) < 0)
		return 0;
	return relayunit_stop(&e->paths, err);
}

int service_reload_units(struct enroll *e, struct err *err)
{
	const char *const argv[] = { "systemctl", "daemon-reload", NULL };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	return e->systemd ? run(argv, "systemctl daemon-reload", &result, err) : 0;
}

/* --- peers --- */

struct peers_seen {
	size_t all, answered;
};

static void count_peers(const json_t *status, struct peers_seen *ret)
{
	size_t i;
	json_t *peer;

	*ret = (struct peers_seen){ 0 };
	json_array_foreach(json_object_get(status, "peers"), i, peer)
	{
		const char *state = json_string_value(json_object_get(peer, "state"));

		ret->all++;
		ret->answered += state && (!strcmp(state, "direct") || !strcmp(state, "relayed"));
	}
}

int service_wait(struct enroll *e, struct err *err)
{
	uint64_t start = clock_now_us(), last = start;
	struct peers_seen seen = { 0 };
	bool said = false;

	if (e->dry_run)
		return 0;
	for (;;) {
		CLEANUP_JSON json_t *status = NULL;
		size_t before = seen.answered;
		int r = ask_status(e, &status, err);

		if (r)
			return err_prefix(err, "hearthd has stopped answering");
		count_peers(status, &seen);
		uint64_t now = clock_now_us();

		if (seen.answered > before)
			last = now;
		if (seen.answered == seen.all || now > start + e->wait_s * USEC_PER_SEC ||
			now > last + QUIET_S * USEC_PER_SEC)
			break;
		if (!said || seen.answered > before)
			talk_wait(&e->talk, "peers", "%zu of %zu have answered", seen.answered,
				seen.all);
		said = true;
		pause_ms(POLL_MS);
	}
	if (says_removed(e))
		return err_set(err, -ESTALE,
			"the coordinator says that this board was removed from mesh %s. "
			"If that is so, its log proves it to this board in a moment: "
			"run enroll-node again, with a new token to enrol it anew",
			e->settings.mesh);
	if (!seen.all)
		talk_step(&e->talk, TALK_KEPT, "peers", "this is the first board of the mesh");
	else if (seen.answered == seen.all)
		talk_step(&e->talk, TALK_KEPT, "peers", "all %zu have answered", seen.all);
	else
		talk_step(&e->talk, TALK_NOTE, "peers",
			"%zu of %zu have answered; the others are off or cannot be reached "
			"(`hearth status`)",
			seen.answered, seen.all);
	return 0;
}
