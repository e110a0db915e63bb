/* relay.json: what is taken, is written so that it is taken again. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "board/relayfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_RELAYFILE struct relayfile file = { 0 }, again = { 0 };
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);
	CLEANUP_JSON json_t *printed = NULL;

	if (!json)
		return 0;
	if (relayfile_from_json(json, &file, &err) < 0) {
		if (!err.text[0] || file.automatic || file.relay.tcp || file.metrics ||
			file.n_waits_for || file.pass_to.port)
			abort();
		return 0;
	}
	printed = relayfile_to_json(&file);
	if (!printed || relayfile_from_json(printed, &again, &err) < 0 ||
		again.automatic != file.automatic || again.metrics != file.metrics ||
		again.n_waits_for != file.n_waits_for ||
		memcmp(again.waits_for, file.waits_for, sizeof(file.waits_for)) != 0 ||
		!endpoint_equal(&again.pass_to, &file.pass_to) ||
		!node_relay_equal(&again.relay, &file.relay))
		abort();
	return 0;
}
