/* The relays that were added, as stored: what is taken is written so that it is taken again. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/added.h"

static void apply(const struct added_list *added)
{
	struct node_relay relay = { .n_hosts = 2, .hosts = { "192.0.2.1", "vps.example.org" } };

	for (size_t i = 0; i < added->n; i++) {
		memcpy(relay.pin, added->list[i].pin, sizeof(relay.pin));
		added_apply(added, &relay);
		if (!relay.n_hosts || relay.n_hosts > NODE_RELAY_HOSTS_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct added_list added, again;
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);
	CLEANUP_JSON json_t *printed = NULL, *twice = NULL;

	added.n = again.n = 0;
	if (!json)
		return 0;
	if (added_from_json(json, &added, &err) < 0) {
		if (!err.text[0] || added.n)
			abort();
		return 0;
	}
	printed = added_to_json(&added);
	if (!printed || added_from_json(printed, &again, &err) < 0)
		abort();
	twice = added_to_json(&again);
	if (!json_equal(printed, twice))
		abort();
	apply(&added);
	return 0;
}
