/* verbs: see verbs.h. */
#include "base/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/guard.h"
#include "base/usage.h"

enum { VERBS_MAX = 16 };

static void print_help(const struct verbs *v, FILE *to)
{
	fprintf(to, "usage: %s VERB [OPTION...]\n%s\n\n", v->program, v->what);
	for (size_t i = 0; i < v->n; i++)
		fprintf(to, "  %-8s %s\n", v->list[i].name, v->list[i].help);
	fprintf(to, "\n`%s VERB --help` says more.%s%s\n", v->program, v->more ? " " : "",
		v->more ? v->more : "");
}

static void refuse(const struct verbs *v, const char *word)
{
	const char *names[VERBS_MAX + 1] = { NULL }, *near;

	for (size_t i = 0; i < v->n && i < VERBS_MAX; i++)
		names[i] = v->list[i].name;
	near = usage_nearest(word, names);
	fprintf(stderr, "%s: there is no verb \"%.40s\"; ", v->program, word);
	if (near)
		fprintf(stderr, "did you mean \"%s\"?\n", near);
	else
		fprintf(stderr, "see %s --help\n", v->program);
}

int verbs_main(const struct verbs *v, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	env_open_log(v->program);
	(void) guard_memory(false); /* whoever serves says so if it is not */
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--version")) {
			printf("%s " HEARTH_VERSION "\n", v->program);
			return 0;
		}
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
		print_help(v, stdout);
		return 0;
	}
	for (size_t i = 0; i < v->n; i++)
		if (!strcmp(word, v->list[i].name))
			return v->list[i].run(argc - 1, argv + 1);
	if (argc < 2)
		print_help(v, stderr);
	else
		refuse(v, word);
	return USAGE_STATUS;
}
