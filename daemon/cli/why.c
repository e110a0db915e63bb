/* `hearth why`: one sentence, what it is made from, and what to do. */
#include <getopt.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"

static void print_verdict(const json_t *verdict)
{
	size_t i;
	json_t *line;

	printf("%s.\n", cli_str(verdict, "sentence"));
	json_array_foreach(json_object_get(verdict, "evidence"), i, line)
		printf("%s  %s\n", i ? "" : "\n", cli_text(line, ""));
	if (*cli_str(verdict, "fix"))
		printf("\nWhat would help: %s.\n", cli_str(verdict, "fix"));
}

int cli_why(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 1, 1);

	if (r)
		return r;
	CLEANUP_JSON json_t *verdict = NULL;

	r = cli_call(CLI_HEARTHD, "why", json_pack("{s:s}", "peer", argv[optind]), &verdict);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(verdict);
	print_verdict(verdict);
	return CLI_DONE;
}
