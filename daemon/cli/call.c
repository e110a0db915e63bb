/* Calls over the local sockets, and what to do when one fails. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/json.h"
#include "base/names.h"
#include "base/text.h"
#include "cli/cli.h"
#include "sys/ipc/ipc.h"

enum { CALL_TIMEOUT_S = 30 };

static const char *const programs[] = {
	[CLI_HEARTHD] = "hearthd", [CLI_COORDINATOR] = "hearth-coord"
};
static const char *const sockets[] = {
	[CLI_HEARTHD] = NAMES_HEARTHD_SOCK, [CLI_COORDINATOR] = NAMES_COORD_SOCK
};

static void explain(enum cli_server server, int r, const char *path, const struct err *err)
{
	if (r == -ENOENT || r == -ECONNREFUSED)
		cli_fail(0, "%s does not run on this machine (nobody listens on %s). %s",
			programs[server], path,
			server == CLI_HEARTHD ? "Start it: systemctl start hearthd; "
						"why it stopped: journalctl -u hearthd"
					      : "This verb is for the board with the coordinator; "
						"there: systemctl start hearth-coord");
	else if (r == -EACCES || r == -EPERM)
		cli_fail(0, "not allowed to ask %s: run it as root (sudo)", programs[server]);
	else
		cli_fail(0, "%s: %s", programs[server], err->text);
}

int cli_call_unless(
	enum cli_server server, const char *call, json_t *args, const char *code, json_t **ret)
{
	char path[PATH_MAX];
	CLEANUP_JSON json_t *owned = args;
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	struct err err = { 0 };

	(void) snprintf(
		path, sizeof(path), "%s/%s", env_dir("HEARTH_RUN", NAMES_RUN), sockets[server]);
	int r = ipc_call(path, call, owned, CALL_TIMEOUT_S * USEC_PER_SEC, &reply, &err);

	if (r == -EREMOTEIO && code && !strcmp(reply.code, code))
		return CLI_USAGE + 1;
	if (r < 0) {
		explain(server, r, path, &err);
		return r == -EREMOTEIO && server == CLI_COORDINATOR &&
				       !strcmp(reply.code, "bad_request")
			       ? CLI_USAGE
			       : CLI_FAILED;
	}
	*ret = TAKE(reply.ok);
	return 0;
}

int cli_call(enum cli_server server, const char *call, json_t *args, json_t **ret)
{
	return cli_call_unless(server, call, args, NULL, ret);
}

int cli_print_json(const json_t *json)
{
	/* As it came, and no byte of it does anything to a terminal. */
	CLEANUP(free_p)
	char *text = json_dumps(
		json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	if (!text)
		return cli_fail(CLI_FAILED, "out of memory");
	for (char *p = text; *p; p++) /* ASCII to Jansson, but a control character all the same */
		if (*p == 0x7f)
			fputs("\\u007f", stdout);
		else
			putchar(*p);
	putchar('\n');
	return CLI_DONE;
}

const char *cli_text(json_t *string, const char *fallback)
{
	const char *text = json_string_value(string);
	size_t len = json_string_length(string);

	if (!text || text_is_clean(text, len, TEXT_LINE))
		return text ? text : fallback;
	CLEANUP(free_p) char *clean = malloc(TEXT_GROWTH * len + 1);

	if (!clean)
		return fallback;
	(void) text_clean(text, len, TEXT_LINE, clean, TEXT_GROWTH * len + 1);
	(void) json_string_set_nocheck(string, clean);
	return json_string_value(string);
}

const char *cli_join(const json_t *list, struct buf *buf)
{
	size_t i;
	json_t *one;

	json_array_foreach((json_t *) list, i, one)
		buf_printf(buf, "%s%s", i ? "," : "", cli_text(one, "?"));
	return buf_str(buf);
}

const char *cli_str(const json_t *obj, const char *key)
{
	return cli_text(json_object_get(obj, key), "");
}

uint64_t cli_u64(const json_t *obj, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(obj, key));

	return n > 0 ? (uint64_t) n : 0;
}
