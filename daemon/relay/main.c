/*
 * hearth-relay: carries what members of a mesh send each other when they have no better way. One
 * table of verbs.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/guard.h"
#include "base/usage.h"
#include "relay/init.h"
#include "relay/serve.h"

static const struct {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "init", "make the relay's keys", init_run },
	{ "serve", "run the relay", serve_run },
};

static void usage(FILE *f)
{
	fputs("usage: hearth-relay VERB [OPTION...]\nThe relay of a Hearth mesh.\n\n", f);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(f, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	fputs("\n`hearth-relay VERB --help` says more. To make this board a relay: `hearth relay "
	      "enable`.\n",
		f);
}

static void refuse_verb(const char *verb)
{
	const char *names[ARRAY_LEN(verbs) + 1] = { NULL }, *near;

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		names[i] = verbs[i].name;
	near = usage_nearest(verb, names);
	fprintf(stderr,
		near ? "hearth-relay: there is no verb \"%.40s\"; did you mean \"%s\"?\n"
		     : "hearth-relay: there is no verb \"%.40s\"; see hearth-relay --help\n",
		verb, near);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	env_open_log("hearth-relay");
	(void) guard_memory(false); /* serve says so if it is not */
	if (sodium_init() < 0) {
		fputs("hearth-relay: libsodium cannot be used\n", stderr);
		return 1;
	}
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--version")) {
			puts("hearth-relay " HEARTH_VERSION);
			return 0;
		}
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h") || !strcmp(verb, "help")) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verb, verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	if (argc < 2)
		usage(stderr);
	else
		refuse_verb(verb);
	return USAGE_STATUS;
}
