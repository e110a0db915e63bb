/* The kernel's news of nftables. A removal in our table names it. */
#include <stdlib.h>
#include <string.h>

#include "fake-kernel.h"
#include "sys/nft/monitor.h"

static bool holds(const uint8_t *data, size_t size, const char *text)
{
	return memmem(data, size, text, strlen(text) + 1) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool removed;

	fake_kernel_begin(data, size);
	removed = nft_monitor_drain(-1, "hearth");
	fake_kernel_end();
	if (removed && !holds(data, size, "hearth"))
		abort();
	return 0;
}
