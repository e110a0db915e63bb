/* What all verbs do with their words, and how they say that something failed. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/usage.h"
#include "cli/cli.h"

int cli_fail(int status, const char *format, ...)
{
	char text[2 * ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);

	va_end(ap);
	text_say(stderr, "hearth: %s", n < 0 ? format : text);
	return status;
}

static void print_usage(const struct cli_verb *verb)
{
	printf("usage: hearth %s %s\n  %s\n", verb->name, verb->args, verb->help);
}

int cli_getopt(struct cli_options *options, int argc, char **argv, const struct option *own)
{
	struct option all[24] = { { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' } };
	char shorts[64] = "hj";
	size_t n = 2;

	for (; own && own->name && n < ARRAY_LEN(all) - 1; own++, n++) {
		all[n] = *own;
		size_t len = strlen(shorts);

		if (own->val < 128 && len + 3 < sizeof(shorts))
			snprintf(shorts + len, sizeof(shorts) - len, "%c%s", own->val,
				own->has_arg == optional_argument ? "::"
				: own->has_arg                    ? ":"
								  : "");
	}
	for (;;) {
		char wrong[USAGE_TEXT_MAX];
		int c = usage_getopt(argc, argv, shorts, all, NULL, wrong);

		if (c == 'j') {
			options->json = true;
			continue;
		}
		if (c == 'h')
			print_usage(options->verb);
		else if (c == '?')
			cli_fail(0, "%s: %s; see hearth %s --help", options->verb->name, wrong,
				options->verb->name);
		return c;
	}
}

int cli_operands(const struct cli_options *options, int argc, char **argv, int min, int max)
{
	const struct cli_verb *verb = options->verb;
	int n = argc - optind;

	if (n < min)
		return cli_fail(CLI_USAGE, "%s: an operand is missing: hearth %s %s", verb->name,
			verb->name, verb->args);
	if (n > max)
		return cli_fail(CLI_USAGE,
			"%s: \"%.40s\" is one word too many; see hearth %s --help", verb->name,
			argv[optind + max], verb->name);
	return 0;
}
