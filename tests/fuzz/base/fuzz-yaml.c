/* yaml_parse_all(): what it accepts, yaml_add_all() writes, and reading that again gives the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *docs = yaml_parse_all((const char *) data, size, &err);

	if (!docs) {
		if (!err.code)
			abort();
		return 0;
	}
	CLEANUP_BUF struct buf out = { 0 };

	if (yaml_add_all(&out, docs) < 0)
		abort();
	if (out.len > YAML_SIZE_MAX) /* quoting may make it longer than what is accepted */
		return 0;
	CLEANUP_JSON json_t *again = yaml_parse_all(buf_str(&out), out.len, &err);

	if (!again || !json_equal(docs, again))
		abort();
	return 0;
}
