/*
 * hearth relay enable, disable: this board as a relay. They make its keys, write relay.json
 * (board/relayfile.h), start or end its unit, and let hearthd look. Who may be a relay the
 * coordinator's administrator says.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/file.h"
#include "base/json.h"
#include "base/names.h"
#include "base/number.h"
#include "board/config.h"
#include "board/portowner.h"
#include "board/relayfile.h"
#include "cli/cli.h"
#include "sys/exec/exec.h"

enum { OPT_HOST = 256, OPT_PORT, OPT_UDP_PORT, OUTPUT_MAX = 4096 };
#define INIT_US UINT64_C(30000000)
#define UNIT_US UINT64_C(90000000)
#define UNIT    "hearth-relay.service"
#define SOCKET  "hearth-relay.socket"

struct enable {
	struct cli_options o;
	struct relayfile file;
	bool was_there;
	uint16_t udp_before, tcp_before; /* the ports that our own relay has taken */
	char path[PATH_TEXT_MAX];
};

static int need_root(const struct cli_verb *verb)
{
	return geteuid() == 0
		       ? 0
		       : cli_fail(CLI_FAILED, "%s: only root may do that; try sudo", verb->name);
}

/* --- what is wanted --- */

static int add_host(struct enable *e, const char *host)
{
	struct node_relay *relay = &e->file.relay;

	if (!strcmp(host, "automatic")) {
		e->file.automatic = true;
		relay->n_hosts = 0;
		return 0;
	}
	if (!field_host_is_valid(host))
		return cli_fail(CLI_USAGE,
			"relay enable: --host takes an IP address or a DNS name (ports have their "
			"own options), or automatic, not \"%.80s\"",
			host);
	if (relay->n_hosts == NODE_RELAY_HOSTS_MAX)
		return cli_fail(CLI_USAGE, "relay enable: at most %d hosts", NODE_RELAY_HOSTS_MAX);
	e->file.automatic = false;
	(void) snprintf(relay->hosts[relay->n_hosts++], FIELD_HOST_MAX, "%s", host);
	return 0;
}

static int read_port(const char *option, uint64_t least, uint16_t *ret)
{
	uint64_t port;

	if (number_parse(optarg, least, UINT16_MAX, &port) < 0)
		return cli_fail(
			CLI_USAGE, "relay enable: %s takes a port, not \"%.40s\"", option, optarg);
	*ret = (uint16_t) port;
	return 0;
}

static int read_options(struct enable *e, int argc, char **argv)
{
	static const struct option options[] = {
		{ "host", required_argument, NULL, OPT_HOST },
		{ "port", required_argument, NULL, OPT_PORT },
		{ "udp-port", required_argument, NULL, OPT_UDP_PORT },
		{ 0 },
	};
	bool hosts = false;
	int r = 0;

	for (int c; r == 0 && (c = cli_getopt(&e->o, argc, argv, options)) != -1;)
		switch (c) {
		case OPT_HOST:
			if (!hosts)
				e->file.relay.n_hosts = 0;
			hosts = true;
			r = add_host(e, optarg);
			break;
		case OPT_PORT:
			r = read_port("--port", 1, &e->file.relay.tcp);
			break;
		case OPT_UDP_PORT:
			r = read_port("--udp-port", 0, &e->file.relay.udp);
			break;
		default:
			return c == 'h' ? -1 : CLI_USAGE;
		}
	return r ? r : cli_operands(&e->o, argc, argv, 0, 0);
}

/* What was chosen before stays. */
static int read_before(struct enable *e)
{
	struct paths paths;
	struct err err = { 0 };
	int r;

	paths_init(&paths);
	r = relayfile_read(paths_join(paths.etc, RELAYFILE_NAME, e->path), &e->file, &err);
	if (r < 0 && r != -ENOENT)
		return cli_fail(CLI_FAILED, "%s. Mend it, or remove it to begin with the defaults",
			err.text);
	e->was_there = r == 0;
	e->udp_before = e->file.relay.udp;
	e->tcp_before = e->file.relay.tcp;
	if (e->was_there)
		return 0;
	e->file.automatic = true;
	e->file.relay.tcp = RELAYFILE_TCP_DEFAULT;
	e->file.relay.udp = RELAYFILE_UDP_DEFAULT;
	return 0;
}

/* By somebody else than our own relay. */
static bool is_taken(const struct enable *e, bool tcp, char who[static PORTOWNER_TEXT_MAX])
{
	uint16_t port = tcp ? e->file.relay.tcp : e->file.relay.udp;
	uint16_t before = tcp ? e->tcp_before : e->udp_before;

	return port && !(e->was_there && port == before) && portowner_find(tcp, port, who);
}

static int check_ports(const struct enable *e)
{
	char who[PORTOWNER_TEXT_MAX];

	if (is_taken(e, true, who))
		return cli_fail(CLI_FAILED,
			"TCP port %u is taken by %s. Choose another with --port", e->file.relay.tcp,
			who);
	if (is_taken(e, false, who))
		return cli_fail(CLI_FAILED,
			"UDP port %u is taken by %s. Choose another with --udp-port, or 0 for "
			"none",
			e->file.relay.udp, who);
	return 0;
}

/* --- what is done --- */

static int read_keys(const char *text, struct node_relay *relay, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(text, strlen(text), err);
	int r = json ? field_get_nonzero_key(json, "pin", relay->pin, err) : -EINVAL;

	return r < 0 ? r : field_get_nonzero_key(json, "key", relay->key, err);
}

static int make_keys(struct node_relay *relay, struct err *err)
{
	static const char *const argv[] = { "hearth-relay", "init", NULL };
	const struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = INIT_US
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	int r = exec_run(&options, &result, err);

	if (r == -ENOENT)
		return err_set(err, r,
			"there is no program hearth-relay here: install Hearth's "
			"packages whole");
	if (r == 0)
		r = exec_check(&result, "hearth-relay init", err);
	return r < 0 ? r : read_keys(buf_str(&result.out), relay, err);
}

/* systemctl with these words behind it, where systemd runs. */
static int systemctl(const char *verb, const char *a, const char *b, struct err *err)
{
	const char *const argv[] = { "systemctl", "-q", verb, a, b, NULL };
	const struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = UNIT_US
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	char what[64];
	int r;

	if (sd_booted() <= 0)
		return 0;
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
	if (sd_booted() <= 0)
		return 0;
	if (write_drop_in(port, err) < 0 || systemctl("daemon-reload", NULL, NULL, err) < 0 ||
		systemctl("enable", UNIT, NULL, err) < 0 ||
		systemctl("stop", UNIT, SOCKET, err) < 0)
		return err->code;
	return systemctl("start", UNIT, NULL, err); /* and the socket before it */
}

static int stop_units(struct err *err)
{
	if (sd_booted() <= 0)
		return 0;
	if (systemctl("stop", UNIT, SOCKET, err) < 0 || systemctl("disable", UNIT, SOCKET, err) < 0)
		return err->code;
	(void) write_drop_in(RELAYFILE_TCP_DEFAULT, err); /* which removes it */
	return systemctl("daemon-reload", NULL, NULL, err);
}

/* hearthd looks once a minute; asked, it looks now. It need not run. */
static void let_hearthd_look(void)
{
	CLEANUP_JSON json_t *reply = NULL;

	if (cli_call(CLI_HEARTHD, "reload", NULL, &reply) != 0)
		fputs("hearth: hearthd hears of it when it runs\n", stderr);
}

static int do_enable(struct enable *e)
{
	struct err err = { 0 };

	if (make_keys(&e->file.relay, &err) < 0 || relayfile_write(e->path, &e->file, &err) < 0 ||
		start_units(e->file.relay.tcp, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	let_hearthd_look();
	return 0;
}

static int say_enabled(const struct enable *e)
{
	const struct node_relay *relay = &e->file.relay;

	if (e->o.json) {
		CLEANUP_JSON json_t *json = relayfile_to_json(&e->file);

		return json ? cli_print_json(json) : cli_fail(CLI_FAILED, "out of memory");
	}
	printf("This board serves as a relay on TCP port %u and UDP port %u, at ", relay->tcp,
		relay->udp);
	for (size_t i = 0; i < relay->n_hosts; i++)
		printf("%s%s", i ? ", " : "", relay->hosts[i]);
	printf("%s.\nOthers use it once its record says so: `hearth relay list` on the "
	       "coordinator's board shows whether\nit does, `hearth relay allow` lets it.\n",
		relay->n_hosts ? "" : "its own addresses");
	return CLI_DONE;
}

int cli_relay_enable(const struct cli_verb *verb, int argc, char **argv)
{
	struct enable e = { .o = { .verb = verb } };
	int r = read_before(&e);

	if (r == 0)
		r = read_options(&e, argc, argv);
	if (r == 0)
		r = need_root(verb);
	if (r == 0)
		r = check_ports(&e);
	if (r == 0)
		r = do_enable(&e);
	if (r == 0)
		r = say_enabled(&e);
	relayfile_done(&e.file);
	return r < 0 ? CLI_DONE : r;
}

int cli_relay_disable(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	char path[PATH_TEXT_MAX];
	struct paths paths;
	struct err err = { 0 };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r == 0)
		r = need_root(verb);
	if (r)
		return r;
	paths_init(&paths);
	if (unlink(paths_join(paths.etc, RELAYFILE_NAME, path)) < 0) {
		if (errno != ENOENT)
			return cli_fail(CLI_FAILED, "remove %s: %s", path, strerror(errno));
		printf("This board is no relay; nothing was changed.\n");
		return CLI_DONE;
	}
	if (stop_units(&err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	let_hearthd_look();
	printf("This board is no relay any more. Its keys stay, for the next time.\n");
	return CLI_DONE;
}
