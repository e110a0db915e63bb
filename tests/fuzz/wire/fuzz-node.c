/* node_from_json() and the payloads beside it. */
#include "round-trip.h"

#include "wire/node.h"
#include "wire/record.h"

static void tombstone_done(struct tombstone *tombstone)
{
}

static void record_key_done(struct record_key *key)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, NULL);

	if (!json)
		return 0;
	ROUND_TRIP(struct node, node, json);
	ROUND_TRIP(struct tombstone, tombstone, json);
	ROUND_TRIP(struct record_key, record_key, json);
	return 0;
}
