/* hearthd.yaml, from its text to what is used. */
#include "base/yaml.h"
#include "board/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = yaml_parse((const char *) data, size, &err);

	if (!json || config_from_json(json, &config, &err) < 0) {
		if (!err.text[0])
			abort(); /* a refusal without a word */
		return 0;
	}
	if (!config.node || !config.port || !config.n_urls || !config.n_pins ||
		!memchr(config.interface, 0, sizeof(config.interface)))
		abort();
	return 0;
}
