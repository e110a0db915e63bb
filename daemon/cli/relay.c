/*
 * hearth relay enable, disable: this board as a relay (board/relayunit.h), and hearthd is asked to
 * look. Who may be a relay the coordinator's administrator says.
 */
#include <getopt.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "board/relayunit.h"
#include "cli/cli.h"

static const char *const names[RELAYUNIT_OPTIONS] = { "--host", "--port", "--udp-port",
	"--pass-to" };

static int need_root(const struct cli_verb *verb)
{
	return geteuid() == 0
		       ? 0
		       : cli_fail(CLI_FAILED, "%s: only root may do that; try sudo", verb->name);
}

static int read_options(struct cli_options *o, struct relayunit_wish *wish, int argc, char **argv)
{
	enum { OPT = 256 };
	static const struct option options[] = {
		{ "host", required_argument, NULL, OPT + RELAYUNIT_HOST },
		{ "port", required_argument, NULL, OPT + RELAYUNIT_PORT },
		{ "udp-port", required_argument, NULL, OPT + RELAYUNIT_UDP_PORT },
		{ "pass-to", required_argument, NULL, OPT + RELAYUNIT_PASS_TO },
		{ 0 },
	};
	struct err err = { 0 };

	for (int c; (c = cli_getopt(o, argc, argv, options)) != -1;) {
		if (c < OPT)
			return c == 'h' ? -1 : CLI_USAGE;
		if (relayunit_wish_set(
			    wish, names, (enum relayunit_option)(c - OPT), optarg, &err) < 0)
			return cli_fail(CLI_USAGE, "relay enable: %s", err.text);
	}
	return cli_operands(o, argc, argv, 0, 0);
}

/* hearthd looks once a minute; asked, it looks now. It need not run. */
static void let_hearthd_look(void)
{
	CLEANUP_JSON json_t *reply = NULL;

	if (cli_call(CLI_HEARTHD, "reload", NULL, &reply) != 0)
		fputs("hearth: hearthd hears of it when it runs\n", stderr);
}

static int say_enabled(const struct cli_options *o, const struct relayunit *unit)
{
	const struct relayfile *file = &unit->file;
	const struct node_relay *relay = &file->relay;
	char to[ENDPOINT_TEXT_MAX];

	if (o->json) {
		CLEANUP_JSON json_t *json = relayfile_to_json(file);

		return json ? cli_print_json(json) : cli_fail(CLI_FAILED, "out of memory");
	}
	printf("This board serves as a relay on TCP port %u and UDP port %u, at ", relay->tcp,
		relay->udp);
	for (size_t i = 0; i < relay->n_hosts; i++)
		printf("%s%s", i ? ", " : "", relay->hosts[i]);
	printf("%s.\n", relay->n_hosts ? "" : "its own addresses");
	if (file->pass_to.port)
		printf("What asks there for other servers is passed on to %s.\n",
			endpoint_format(&file->pass_to, to));
	if (sd_booted() <= 0)
		printf("Process 1 is not systemd: have `hearth-relay serve` started at boot. Its "
		       "log is %s/hearth-relay.log.\n",
			unit->paths.run);
	printf("Others use it once its record says so: `hearth relay list` on the "
	       "coordinator's board shows whether\nit does, `hearth relay allow` lets it.\n");
	return CLI_DONE;
}

int cli_relay_enable(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP_RELAYUNIT struct relayunit unit = { 0 };
	struct relayunit_wish wish = { 0 };
	struct paths paths;
	struct err err = { 0 };
	int r = read_options(&o, &wish, argc, argv);

	if (r == 0)
		r = need_root(verb);
	if (r)
		return r < 0 ? CLI_DONE : r;
	paths_init(&paths);
	if (relayunit_plan(&unit, &paths, &wish, &err) < 0 ||
		relayunit_check(&unit, names, &err) < 0 || relayunit_turn_on(&unit, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	let_hearthd_look();
	return say_enabled(&o, &unit);
}

int cli_relay_disable(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
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
	r = relayunit_turn_off(&paths, &err);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	if (r == 0) {
		printf("This board is no relay; nothing was changed.\n");
		return CLI_DONE;
	}
	let_hearthd_look();
	printf("This board is no relay any more. Its keys stay, for the next time.\n");
	return CLI_DONE;
}
