/* record_from_json(); a record that was not signed never verifies. */
#include "round-trip.h"

#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, NULL);
	CLEANUP_RECORD struct record record = { 0 };
	uint8_t hash[RECORD_HASH_LEN], seed[RECORD_SEED_LEN] = { 1 };

	if (!json)
		return 0;
	ROUND_TRIP(struct record, record, json);
	if (record_from_json(json, &record, NULL))
		return 0;
	(void) record_verify_signature(&record);
	json_decref(record_payload_json(&record, NULL));
	if (record_hash(&record, hash) || record_sign(&record, seed) ||
		record_verify_signature(&record))
		abort();
	record.seq ^= 1;
	if (record_verify_signature(&record) == 0)
		abort();
	return 0;
}
