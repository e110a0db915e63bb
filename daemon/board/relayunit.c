/* relayunit: see relayunit.h. */
#include "board/relayunit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/file.h"
#include "base/json.h"
#include "base/names.h"
#include "base/number.h"
#include "board/background.h"
#include "board/portowner.h"
#include "sys/exec/exec.h"

enum { OUTPUT_MAX = 4096, START_STEPS = 200, STEP_MS = 50, PASS_TO_PORT = 443 };
#define INIT_US UINT64_C(30000000)
#define UNIT_US UINT64_C(90000000)
#define PROGRAM "hearth-relay"
#define UNIT    PROGRAM ".service"
#define SOCKET  PROGRAM ".socket"

/* --- what is wanted --- */

static int wish_host(struct relayunit_wish *w, const char *name, const char *text, struct err *err)
{
	if (!strcmp(text, "automatic")) {
		w->automatic = true;
		w->n_hosts = 0;
		return 0;
	}
	if (!field_host_is_valid(text))
		return err_set(err, -EINVAL,
			"%s takes an IP address or a DNS name (ports have their own options), or "
			"automatic, not \"%.80s\"",
			name, text);
	if (w->n_hosts == NODE_RELAY_HOSTS_MAX)
		return err_set(err, -EINVAL, "at most %d hosts", NODE_RELAY_HOSTS_MAX);
	w->automatic = false;
	(void) snprintf(w->hosts[w->n_hosts++], FIELD_HOST_MAX, "%s", text);
	return 0;
}

static int wish_port(
	const char *name, const char *text, uint64_t least, uint16_t *ret, struct err *err)
{
	uint64_t port;

	if (number_parse(text, least, UINT16_MAX, &port) < 0)
		return err_set(err, -EINVAL, "%s takes a port, not \"%.40s\"", name, text);
	*ret = (uint16_t) port;
	return 0;
}

static int wish_pass_to(
	struct relayunit_wish *w, const char *name, const char *text, struct err *err)
{
	struct endpoint to = { .port = PASS_TO_PORT };
	const char *why = NULL;

	w->has_pass_to = true;
	w->pass_to = (struct endpoint){ 0 };
	if (!strcmp(text, "none"))
		return 0;
	if (ip_addr_parse(text, &to.addr) < 0 && endpoint_parse(text, &to) < 0)
		why = "it takes ADDRESS[:PORT], or none";
	else
		why = relayfile_pass_to_objection(&to);
	if (why)
		return err_set(err, -EINVAL, "%s \"%.80s\": %s", name, text, why);
	w->pass_to = to;
	return 0;
}

int relayunit_wish_set(struct relayunit_wish *w, const char *const names[RELAYUNIT_OPTIONS],
	enum relayunit_option option, const char *text, struct err *err)
{
	switch (option) {
	case RELAYUNIT_HOST:
		return wish_host(w, names[option], text, err);
	case RELAYUNIT_PORT:
		w->has_tcp = true;
		return wish_port(names[option], text, 1, &w->tcp, err);
	case RELAYUNIT_UDP_PORT:
		w->has_udp = true;
		return wish_port(names[option], text, 0, &w->udp, err);
	case RELAYUNIT_PASS_TO:
		return wish_pass_to(w, names[option], text, err);
	case RELAYUNIT_OPTIONS:
		break;
	}
	return -EINVAL;
}

static void follow_wish(struct relayfile *file, const struct relayunit_wish *w)
{
	struct node_relay *relay = &file->relay;

	if (w->automatic || w->n_hosts) {
		file->automatic = w->automatic;
		memcpy(relay->hosts, w->hosts, sizeof(relay->hosts));
		relay->n_hosts = w->n_hosts;
	}
	if (w->has_tcp)
		relay->tcp = w->tcp;
	if (w->has_udp)
		relay->udp = w->udp;
	if (w->has_pass_to)
		file->pass_to = w->pass_to;
}

void relayunit_done(struct relayunit *u)
{
	relayfile_done(&u->file);
	json_decref(u->before);
	*u = (struct relayunit){ 0 };
}

int relayunit_plan(struct relayunit *u, const struct paths *paths,
	const struct relayunit_wish *wish, struct err *err)
{
	int r;

	u->paths = *paths;
	r = relayfile_read(paths_join(u->paths.etc, RELAYFILE_NAME, u->path), &u->file, err);
	if (r < 0 && r != -ENOENT) {
		char text[ERR_TEXT_MAX];

		(void) snprintf(text, sizeof(text), "%s", err->text);
		return err_set(
			err, r, "%s. Mend it, or remove it to begin with the defaults", text);
	}
	u->was_there = r == 0;
	if (u->was_there) {
		u->before = relayfile_to_json(&u->file);
		u->tcp_before = u->file.relay.tcp;
		u->udp_before = u->file.relay.udp;
	} else {
		u->file.automatic = true;
		u->file.relay.tcp = RELAYFILE_TCP_DEFAULT;
		u->file.relay.udp = RELAYFILE_UDP_DEFAULT;
	}
	follow_wish(&u->file, wish);
	return 0;
}

/* --- ports --- */

/* By somebody else than our own relay. */
static bool is_taken(const struct relayunit *u, bool tcp, char who[static PORTOWNER_TEXT_MAX])
{
	uint16_t port = tcp ? u->file.relay.tcp : u->file.relay.udp;
	uint16_t before = tcp ? u->tcp_before : u->udp_before;

	return port && !(u->was_there && port == before) && portowner_find(tcp, port, who);
}

/* The kernel lets nobody have an address that this machine has not. */
static bool is_here(const struct ip_addr *addr)
{
	const struct endpoint any_port = { .addr = *addr };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&any_port, &sa);
	CLEANUP(close_p) int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *) &sa, len) == 0;
}

static int say_taken(const struct relayunit *u, const char *who,
	const char *const names[RELAYUNIT_OPTIONS], struct err *err)
{
	char to[ENDPOINT_TEXT_MAX];

	if (u->file.pass_to.port)
		return err_set(err, -EADDRINUSE,
			"TCP port %u is taken by %s. Have it listen at %s instead, where %s leads, "
			"and run this again",
			u->file.relay.tcp, who, endpoint_format(&u->file.pass_to, to),
			names[RELAYUNIT_PASS_TO]);
	return err_set(err, -EADDRINUSE,
		"TCP port %u is taken by %s. Choose another with %s. Or, if that is a web server, "
		"have it listen elsewhere, such as 127.0.0.1:8443, and name that with %s: then the "
		"relay passes on to it what is not its own",
		u->file.relay.tcp, who, names[RELAYUNIT_PORT], names[RELAYUNIT_PASS_TO]);
}

int relayunit_check(
	const struct relayunit *u, const char *const names[RELAYUNIT_OPTIONS], struct err *err)
{
	const struct endpoint *to = &u->file.pass_to;
	char who[PORTOWNER_TEXT_MAX], text[ENDPOINT_TEXT_MAX];

	if (to->port && to->port == u->file.relay.tcp && is_here(&to->addr))
		return err_set(err, -ELOOP,
			"%s %s is the relay's own port: name the one at which the other server "
			"listens",
			names[RELAYUNIT_PASS_TO], endpoint_format(to, text));
	if (is_taken(u, true, who))
		return say_taken(u, who, names, err);
	if (is_taken(u, false, who))
		return err_set(err, -EADDRINUSE,
			"UDP port %u is taken by %s. Choose another with %s, or 0 for none",
			u->file.relay.udp, who, names[RELAYUNIT_UDP_PORT]);
	return 0;
}

/* --- keys --- */

static int read_keys(const char *text, struct node_relay *relay, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(text, strlen(text), err);
	int r = json ? field_get_nonzero_key(json, "pin", relay->pin, err) : -EINVAL;

	return r < 0 ? r : field_get_nonzero_key(json, "key", relay->key, err);
}

static int make_keys(struct node_relay *relay, struct err *err)
{
	static const char *const argv[] = { PROGRAM, "init", NULL };
	const struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = INIT_US
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	int r = exec_run(&options, &result, err);

	if (r == -ENOENT)
		return err_set(err, r,
			"there is no program " PROGRAM " here: install Hearth's packages whole");
	if (r == 0)
		r = exec_check(&result, PROGRAM " init", err);
	return r < 0 ? r : read_keys(buf_str(&result.out), relay, err);
}

/* --- by systemd --- */

/* systemctl with these words behind it. */
static int systemctl(const char *verb, const char *a, const char *b, struct err *err)
{
	const char *const argv[] = { "systemctl", "-q", verb, a, b, NULL };
	const struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = UNIT_US
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	char what[64];
	int r;

	(void) snprintf(what, sizeof(what), "systemctl %s%s%s", verb, a ? " " : "", a ? a : "");
	r = exec_run(&options, &result, err);
	return r < 0 ? r : exec_check(&result, what, err);
}

/* The relay itself has no right to a port below 1024: systemd opens it. */
static int write_drop_in(uint16_t port, struct err *err)
{
	const char *etc = env_dir("HEARTH_HOST_ETC", "/etc");
	char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf text = { 0 };
	int r;

	(void) paths_join(etc, NAMES_RELAY_DROP_IN, dir);
	(void) paths_join(etc, NAMES_RELAY_DROP_IN "/port.conf", path);
	if (port == RELAYFILE_TCP_DEFAULT) {
		(void) unlink(path); /* of another port before; as a rule there is none */
		(void) rmdir(dir);
		return 0;
	}
	buf_printf(&text,
		"# Written by `hearth relay enable`.\n[Socket]\nListenStream=\nListenStream=%u\n",
		port);
	r = file_mkdirs(dir, 0755);
	if (r == 0)
		r = file_write_atomic(path, buf_str(&text), text.len, 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
}

static int start_units(uint16_t port, struct err *err)
{
	if (write_drop_in(port, err) < 0 || systemctl("daemon-reload", NULL, NULL, err) < 0 ||
		systemctl("enable", UNIT, NULL, err) < 0 ||
		systemctl("stop", UNIT, SOCKET, err) < 0)
		return err->code;
	return systemctl("start", UNIT, NULL, err); /* and the socket before it */
}

static int stop_units(struct err *err)
{
	if (systemctl("stop", UNIT, SOCKET, err) < 0 || systemctl("disable", UNIT, SOCKET, err) < 0)
		return err->code;
	(void) write_drop_in(RELAYFILE_TCP_DEFAULT, err); /* which removes it */
	return systemctl("daemon-reload", NULL, NULL, err);
}

/* --- without --- */

/* It does not say when it serves, but somebody listens then, and it has not ended. */
static int wait_background(const struct relayunit *u, pid_t pid, struct err *err)
{
	char who[PORTOWNER_TEXT_MAX];

	for (int i = 0; i < START_STEPS; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return background_failed(u->paths.run, PROGRAM, err);
		if (portowner_find(true, u->file.relay.tcp, who) &&
			!strncmp(who, PROGRAM " ", sizeof(PROGRAM)))
			return 0;
		(void) poll(NULL, 0, STEP_MS);
	}
	return err_set(err, -ETIMEDOUT, PROGRAM " runs but does not serve; see %s/" PROGRAM ".log",
		u->paths.run);
}

static int start_background(const struct relayunit *u, struct err *err)
{
	static const char *const argv[] = { PROGRAM, "serve", NULL };
	pid_t pid = 0;
	int r = background_stop(u->paths.run, PROGRAM, err);

	if (r == 0)
		r = background_start(u->paths.run, argv, &pid, err);
	return r < 0 ? r : wait_background(u, pid, err);
}

/* --- both --- */

static bool is_running(const struct relayunit *u)
{
	struct err ignored = { 0 };

	return sd_booted() > 0 ? systemctl("is-active", UNIT, NULL, &ignored) == 0
			       : background_find(u->paths.run, PROGRAM) > 0;
}

bool relayunit_is_on(const struct relayunit *u)
{
	CLEANUP_JSON json_t *now = u->was_there ? relayfile_to_json(&u->file) : NULL;

	return now && u->before && json_equal(now, u->before) && is_running(u);
}

int relayunit_turn_on(struct relayunit *u, struct err *err)
{
	int r = file_mkdirs(u->paths.etc, 0755);

	if (r < 0)
		return err_set(err, r, "make %s: %s", u->paths.etc, strerror(-r));
	if (make_keys(&u->file.relay, err) < 0 || relayfile_write(u->path, &u->file, err) < 0)
		return err->code;
	return sd_booted() > 0 ? start_units(u->file.relay.tcp, err) : start_background(u, err);
}

int relayunit_stop(const struct paths *paths, struct err *err)
{
	return sd_booted() > 0 ? stop_units(err) : background_stop(paths->run, PROGRAM, err);
}

int relayunit_turn_off(const struct paths *paths, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r;

	if (unlink(paths_join(paths->etc, RELAYFILE_NAME, path)) < 0)
		return errno == ENOENT
			       ? 0
			       : err_set(err, -errno, "remove %s: %s", path, strerror(errno));
	r = relayunit_stop(paths, err);
	return r < 0 ? r : 1;
}
