/* The arguments of a poll: lines NAME=VALUE. What is accepted is in its bounds. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "coordinator/poll.h"

static const char *get(void *ctx, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = ctx; *p; p += strlen(p) + 1)
		if (!strncmp(p, name, len) && (p[len] == '=' || !p[len]))
			return p + len + (p[len] == '=');
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *vars = malloc(size + 2);
	struct poll_query query;
	struct api_cursor cursor;
	struct err err = { 0 };

	if (!vars)
		return 0;
	memcpy(vars, data, size);
	vars[size] = vars[size + 1] = 0;
	for (size_t i = 0; i < size; i++)
		if (vars[i] == '\n')
			vars[i] = 0;
	if (poll_query_read(get, vars, &query, &err) < 0) {
		if (!err.text[0])
			abort();
		return 0;
	}
	if (query.wait_s > API_WAIT_MAX_S || !memchr(query.cursor, 0, sizeof(query.cursor)) ||
		(*query.kube && (!query.wants_kube || strlen(query.kube) != KUBE_ID_MAX - 1)))
		abort();
	if (api_cursor_parse(query.cursor, &cursor) == 0) {
		char text[API_CURSOR_MAX];

		if (strcmp(api_cursor_format(&cursor, text), query.cursor))
			abort();
	}
	return 0;
}
