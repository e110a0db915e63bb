/* options: see options.h. */
#include "provision/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/number.h"
#include "base/usage.h"
#include "provision/relay.h"
#include "wire/node-name.h"

enum { OPT_RELAY = 256 }; /* and what of it */
enum { WAIT_MAX_S = 3600 };

static const char usage[] =
	"Usage: enroll-node [OPTION...]\n"
	"Make this machine part of a mesh; unless it is a mere member, write what kubeadm needs.\n"
	"\n"
	"The token of `hearth token create` comes from a file, standard input or a prompt. Run "
	"again,\n"
	"it does what is left to do and says what is done.\n"
	"\n"
	"  --token-file FILE       read the token from FILE (\"-\": standard input)\n"
	"  --name NAME             the board's name in the mesh; default: the host name\n"
	"  --kubeadm-version V     write for this kubeadm, such as v1.37.2; default: the one "
	"found\n"
	"  --facts FILE            what the board is, recorded, instead of looking (for a lab)\n"
	"  --wait SECONDS          for peers to answer, at most; default: 15. With --relay also "
	"for\n"
	"                          the coordinator; default: until Ctrl-C\n"
	"  --proxy-file FILE       read the URL of the proxy to the coordinator from FILE;\n"
	"                          default: the environment (https_proxy, no_proxy)\n"
	"  --allow-public-ranges   take a mesh whose address ranges are not private\n"
	"  --fix                   let pods through a firewall of Docker or ufw that drops them\n"
	"  --relay                 be a relay as well, even before the coordinator can be reached\n"
	"  --relay-host HOST       an address or a name at which others reach it; default: its "
	"own\n"
	"                          addresses; may be said again\n"
	"  --relay-port PORT       its TCP port; default: 3340\n"
	"  --relay-udp-port PORT   its UDP port; default: 3478; 0: none\n"
	"  --pass-to ADDRESS[:PORT]  where its TCP port leads for other servers, such as a web "
	"server\n"
	"                          that had it before\n"
	"  --leave                 undo it: stop hearthd, remove its keys and files\n"
	"  --dry-run               say what would be done and change nothing\n"
	"  --json                  print the outcome as JSON\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done or nothing to do, 1 failed, 2 wrong use.\n";

static const struct option options[] = {
	{ "token-file", required_argument, NULL, 't' },
	{ "name", required_argument, NULL, 'n' },
	{ "kubeadm-version", required_argument, NULL, 'k' },
	{ "facts", required_argument, NULL, 'f' },
	{ "wait", required_argument, NULL, 'w' },
	{ "proxy-file", required_argument, NULL, 'P' },
	{ "fix", no_argument, NULL, 'x' },
	{ "allow-public-ranges", no_argument, NULL, 'p' },
	{ "relay", no_argument, NULL, 'r' },
	{ "relay-host", required_argument, NULL, OPT_RELAY + RELAYUNIT_HOST },
	{ "relay-port", required_argument, NULL, OPT_RELAY + RELAYUNIT_PORT },
	{ "relay-udp-port", required_argument, NULL, OPT_RELAY + RELAYUNIT_UDP_PORT },
	{ "pass-to", required_argument, NULL, OPT_RELAY + RELAYUNIT_PASS_TO },
	{ "leave", no_argument, NULL, 'l' },
	{ "dry-run", no_argument, NULL, 'd' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

int options_misuse(const char *format, ...)
{
	va_list ap;

	fputs("enroll-node: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("; see enroll-node --help\n", stderr);
	return USAGE_STATUS;
}

/* 0, or the exit status. */
static int parse_wait(const char *text, struct enroll *e)
{
	uint64_t wait_s;

	if (number_parse(text, 0, WAIT_MAX_S, &wait_s) < 0)
		return options_misuse(
			"--wait takes seconds, from 0 to %d, not \"%.40s\"", WAIT_MAX_S, text);
	e->wait_s = (unsigned) wait_s;
	e->has_wait = true;
	return 0;
}

/* The same. */
static int parse_relay(int c, const char *text, struct enroll *e)
{
	struct err err = { 0 };
	int r = relayunit_wish_set(
		&e->relay_wish, relay_options, (enum relayunit_option)(c - OPT_RELAY), text, &err);

	return r < 0 ? options_misuse("%s", err.text) : 0;
}

/* What goes with what. The same. */
static int check_options(const struct enroll *e)
{
	const struct relayunit_wish *w = &e->relay_wish;

	if (e->relay && e->leave)
		return options_misuse(
			"--relay does not go with --leave, which ends the relay, too");
	if (!e->relay && (w->automatic || w->n_hosts || w->has_tcp || w->has_udp || w->has_pass_to))
		return options_misuse("what the relay is to be like goes with --relay");
	return 0;
}

int options_parse(int argc, char **argv, struct enroll *e)
{
	struct err err = { 0 };
	struct kubeadm_version version;
	char wrong[USAGE_TEXT_MAX];

	for (int c; (c = usage_getopt(argc, argv, "h", options, NULL, wrong)) != -1;) {
		switch (c) {
		case 't':
			e->token_file = optarg;
			break;
		case 'n':
			if (node_name_choose(optarg, e->name, &err) < 0)
				return options_misuse("--name: %s", err.text);
			break;
		case 'k':
			e->kubeadm_version = optarg;
			if (kubeadm_version_parse(optarg, &version, &err) < 0)
				return options_misuse("--kubeadm-version: %s", err.text);
			break;
		case 'f':
			e->facts_file = optarg;
			break;
		case 'w':
			if (parse_wait(optarg, e) != 0)
				return USAGE_STATUS;
			break;
		case 'P':
			e->proxy_file = optarg;
			break;
		case 'x':
			e->fix = true;
			break;
		case 'p':
			e->allow_public_ranges = true;
			break;
		case 'r':
			e->relay = true;
			break;
		case OPT_RELAY + RELAYUNIT_HOST:
		case OPT_RELAY + RELAYUNIT_PORT:
		case OPT_RELAY + RELAYUNIT_UDP_PORT:
		case OPT_RELAY + RELAYUNIT_PASS_TO:
			if (parse_relay(c, optarg, e) != 0)
				return USAGE_STATUS;
			break;
		case 'l':
			e->leave = true;
			break;
		case 'd':
			e->dry_run = e->talk.dry_run = true;
			break;
		case 'j':
			e->talk.json_output = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("enroll-node " HEARTH_VERSION);
			return 0;
		default:
			return options_misuse("%s", wrong);
		}
	}
	return check_options(e) ? USAGE_STATUS : -1;
}
