/* Addresses, prefixes, endpoints: what is accepted is printed and read again as the same. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	struct ip_prefix p, q;
	struct endpoint e, f;
	char back[ENDPOINT_TEXT_MAX];

	if (ip_prefix_parse(text, &p) == 0 &&
		(ip_prefix_parse(ip_prefix_format(&p, back), &q) < 0 || !ip_prefix_equal(&p, &q)))
		abort();
	if (endpoint_parse(text, &e) == 0 &&
		(endpoint_parse(endpoint_format(&e, back), &f) < 0 || !endpoint_equal(&e, &f)))
		abort();
	return 0;
}
