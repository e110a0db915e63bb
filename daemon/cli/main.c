/*
 * hearth: the command-line client. One table drives dispatch and usage, which completion.bash
 * reads.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guard.h"
#include "base/text.h"
#include "base/usage.h"
#include "cli/cli.h"

static const struct cli_verb verbs[] = {
	{ "status", "[--verbose] [--json]", "this board, its peers and how they are reached",
		cli_status },
	{ "ping",
		"[-4|-6] [-c COUNT] [--size BYTES] [--timeout SECONDS] [--until-direct] [--json] "
		"PEER",
		"round trips to a peer through the mesh, and by which way they go", cli_ping },
	{ "why", "[--json] PEER", "why a peer is reached as it is, and what would make it better",
		cli_why },
	{ "ip", "[-4|-6] [--json] [PEER]", "mesh addresses of this board or of a peer", cli_ip },
	{ "netcheck", "[--json]", "the network around this board: NAT, UDP, relays, port mapping",
		cli_netcheck },
	{ "reload", "", "let hearthd read its configuration again", cli_reload },
	{ "log", "[--json] [PEER]",
		"every change of the mesh: who was let in, who was given other keys", cli_log },
	{ "relay enable",
		"[--host HOST] [--port PORT] [--udp-port PORT] [--pass-to ADDRESS[:PORT]] [--json]",
		"make this board a relay for boards that have no other way to each other",
		cli_relay_enable },
	{ "relay disable", "", "this board is no relay any more", cli_relay_disable },
	{ "kube publish", "[--ttl MINUTES] [--control-plane]",
		"on a control plane: give every board what it needs for kubeadm join",
		cli_kube_publish },
	{ "kube approve", "[--wait[=SECONDS]] [--json]",
		"on a control plane: "
		"approve the certificates with which kubectl logs and exec work",
		cli_kube_approve },
	{ "token create",
		"[--role R] [--name N] [--ttl MINUTES] [--reusable] [--relay] [--replace NODE] "
		"[--tag T] [--label K=V] [--json]",
		"on the coordinator: a token that lets one board in", cli_token_create },
	{ "token list", "[--json]", "on the coordinator: tokens and what became of them",
		cli_token_list },
	{ "token revoke", "ID", "on the coordinator: a token that nobody shall use any more",
		cli_token_revoke },
	{ "node list", "[--json]", "on the coordinator: every board of the mesh", cli_node_list },
	{ "node remove", "NODE", "on the coordinator: shut a board out for good", cli_node_remove },
	{ "node rename", "NODE NAME", "on the coordinator: give a board another name",
		cli_node_rename },
	{ "node label", "NODE KEY=VALUE|KEY- [MORE] [--json]",
		"on the coordinator: set labels of a board, or take them away", cli_node_label },
	{ "settings get", "[--json]", "on the coordinator: what all boards have in common",
		cli_settings_get },
	{ "settings set",
		"[--url URL|automatic]... [--stun HOST[:PORT]|none]... "
		"[--relay HOST[:PORT][,name=N][,stun=PORT|none][,pin=PIN|web]|none]... [--json]",
		"on the coordinator: where boards find it, STUN servers and relays of others",
		cli_settings_set },
	{ "relay list", "[--json]",
		"boards that are relays, or ask to be, and who reached them from outside",
		cli_relay_list },
	{ "relay allow", "NODE", "on the coordinator: let a board that asks be a relay",
		cli_relay_allow },
	{ "relay deny", "NODE", "on the coordinator: a board that shall be no relay (any more)",
		cli_relay_deny },
	{ "relay add", "HOST[:PORT] [--json]",
		"on the coordinator: a relay is there that it shall connect out to",
		cli_relay_add },
	{ "relay remove", "HOST [--json]", "on the coordinator: no relay is found there any more",
		cli_relay_remove },
	{ 0 },
};

static void print_help(FILE *out)
{
	fprintf(out, "usage: hearth VERB [OPTION...]\n\n");
	for (const struct cli_verb *v = verbs; v->name; v++)
		fprintf(out, "  %-14s %s\n", v->name, v->help);
	fprintf(out, "\n`hearth VERB --help` tells a verb's options; hearth(1) tells the rest.\n");
}

/* The verb that the first words name, and how many words that took. */
static const struct cli_verb *find_verb(int argc, char **argv, int *ret_words)
{
	for (const struct cli_verb *v = verbs; v->name; v++) {
		const char *blank = strchr(v->name, ' ');
		size_t len = blank ? (size_t) (blank - v->name) : strlen(v->name);

		if (strlen(argv[1]) != len || strncmp(argv[1], v->name, len) != 0)
			continue;
		if (blank && (argc < 3 || strcmp(argv[2], blank + 1) != 0))
			continue;
		*ret_words = blank ? 2 : 1;
		return v;
	}
	return NULL;
}

enum { WORD_MAX = 40, VERBS_MAX = 32 };

/* Which words may stand behind @group ("token"), or in the first place (NULL). Returns how many. */
static size_t list_words(const char *group, char words[][WORD_MAX], const char **ret)
{
	size_t n = 0;

	for (const struct cli_verb *v = verbs; v->name && n < VERBS_MAX; v++) {
		size_t first = strcspn(v->name, " ");

		if (!group)
			(void) snprintf(words[n], WORD_MAX, "%.*s", (int) first, v->name);
		else if (v->name[first] && strlen(group) == first &&
			 !strncmp(v->name, group, first))
			(void) snprintf(words[n], WORD_MAX, "%s", v->name + first + 1);
		else
			continue;
		ret[n] = words[n];
		n++;
	}
	ret[n] = NULL;
	return n;
}

/* The first words name no verb: says which one does not, and what it may have been meant to be. */
static int refuse_verb(int argc, char **argv)
{
	char words[VERBS_MAX][WORD_MAX];
	const char *list[VERBS_MAX + 1], *near;
	size_t n = list_words(argv[1], words, list);

	if (n && argc < 3)
		return cli_fail(CLI_USAGE, "\"%s\" alone is no verb: %s what? See hearth --help",
			argv[1], argv[1]);
	if (n) {
		near = usage_nearest(argv[2], list);
		return cli_fail(CLI_USAGE,
			near ? "there is no verb \"%s %.40s\"; did you mean \"%s %s\"?"
			     : "there is no verb \"%s %.40s\"; see hearth --help",
			argv[1], argv[2], argv[1], near);
	}
	(void) list_words(NULL, words, list);
	near = usage_nearest(argv[1], list);
	return cli_fail(CLI_USAGE,
		near ? "there is no verb \"%.40s\"; did you mean \"%s\"?"
		     : "there is no verb \"%.40s\"; see hearth --help",
		argv[1], near);
}

int main(int argc, char **argv)
{
	(void) guard_memory(false); /* tokens and certificate keys pass through it */
	if (cli_open_output() < 0)
		return CLI_FAILED;
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("hearth %s\n", HEARTH_VERSION);
		return CLI_DONE;
	}
	int words;
	const struct cli_verb *verb = find_verb(argc, argv, &words);

	if (!verb)
		return refuse_verb(argc, argv);
	argv[words] = argv[0];
	int status = verb->run(verb, argc - words, argv + words);

	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(CLI_FAILED, "write to standard output: %s", strerror(errno));
	return status;
}
