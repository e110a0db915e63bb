/* The coordinator's stored grants, and their uses: the first line is the key, the rest the value. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/tokens.h"

static void read_grant(const char *text, size_t len)
{
	struct err err = { 0 };
	enum api_code code;
	CLEANUP_GRANT struct grant grant = { 0 }, again = { 0 };
	CLEANUP_JSON json_t *json = json_parse(text, len, NULL);

	if (!json)
		return;
	if (grant_from_json(json, &grant, &err) < 0) {
		if (!err.text[0])
			abort();
		return;
	}
	CLEANUP_JSON json_t *printed = grant_to_json(&grant);

	if (!printed || grant_from_json(printed, &again, &err) < 0)
		abort();
	CLEANUP_JSON json_t *twice = grant_to_json(&again);

	if (!json_equal(printed, twice))
		abort();
	if ((grant_check(&grant, 1000, &code, &err) == 0) !=
		!strcmp(grant_state(&grant, 1000), "valid"))
		abort();
}

static void read_use(const char *key, const char *text, size_t len)
{
	struct grant_use use;
	char id[FIELD_ID_MAX], printed[GRANT_USE_KEY_MAX];
	CLEANUP_JSON json_t *json = json_parse(text, len, NULL);

	if (!json || grant_use_from_json(key, json, id, &use) < 0)
		return;
	grant_use_key(id, use.identity, printed);
	if (strcmp(printed, key) || use.node > NODE_ID_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	CLEANUP(free_p) char *key = NULL;

	read_grant((const char *) data, size);
	if (!end)
		return 0;
	key = strndup((const char *) data, (size_t) (end - data));
	if (key)
		read_use(key, (const char *) end + 1, size - (size_t) (end + 1 - data));
	return 0;
}
