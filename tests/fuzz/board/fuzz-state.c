/* hearthd's state file: what is taken, is written so that it is taken again. And the timestamp's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "board/state.h"

static void read_timestamp(const char *data, size_t size)
{
	char text[32];
	uint64_t until_s = state_parse_timestamp(data, size);
	int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long) until_s);

	if (until_s && ((size_t) len != size || memcmp(text, data, size)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state state = { .port = 7 }, again = { 0 };
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);
	CLEANUP_JSON json_t *printed = NULL;

	read_timestamp((const char *) data, size);
	if (!json)
		return 0;
	if (state_from_json(json, &state, &err) < 0) {
		if (!err.text[0] || state.port != 7)
			abort();
		return 0;
	}
	printed = state_to_json(&state);
	if (!printed || state_from_json(printed, &again, &err) < 0 || again.port != state.port ||
		again.port_wanted != state.port_wanted || again.counter != state.counter ||
		strcmp(again.kube_done, state.kube_done))
		abort();
	return 0;
}
