/* json_parse(): what it accepts, it can print, and reading that again gives the same. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);

	if (!json)
		return 0;
	CLEANUP(free_p) char *text = json_text(json);
	CLEANUP_JSON json_t *again = text ? json_parse(text, strlen(text), &err) : NULL;

	if (!again || !json_equal(json, again))
		abort();
	return 0;
}
