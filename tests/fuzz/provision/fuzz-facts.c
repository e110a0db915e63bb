/* Recorded facts that are accepted are printable, and read again as the same. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "provision/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	struct facts facts, again;
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);

	if (!json || facts_from_json(json, &facts, &err) < 0)
		return 0;
	for (const char *p = facts.model; *p; p++)
		if (!isprint((unsigned char) *p))
			abort();
	CLEANUP_JSON json_t *back = facts_to_json(&facts);

	if (!back || facts_from_json(back, &again, &err) < 0 ||
		memcmp(&facts, &again, sizeof(facts)) != 0)
		abort();
	return 0;
}
