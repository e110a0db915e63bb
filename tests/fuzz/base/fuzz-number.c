/* number_parse(): what a command line, an environment or a file calls a number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = strndup((const char *) data, size);
	uint64_t n = 0, bounded = 0;
	char back[24];

	if (!text)
		return 0;
	if (number_parse(text, 0, UINT64_MAX, &n) == 0) {
		(void) snprintf(back, sizeof(back), "%llu", (unsigned long long) n);
		if (strcmp(back, text))
			abort();
	}
	if (number_parse(text, 1, 65535, &bounded) == 0 && (bounded != n || !n || n > 65535))
		abort();
	return 0;
}
