/* A lease file's text. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/lease/leases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = malloc(size + 1);
	struct lease lease;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	if (lease_parse(text, "x", &lease) == 0 &&
		(!*lease.container || !*lease.ifname || lease.n_addrs > LEASES_ADDRS_MAX))
		abort();
	return 0;
}
