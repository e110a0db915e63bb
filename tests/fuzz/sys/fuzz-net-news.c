/* The kernel's news of links, addresses and routes, as hearthd and as the tunnel read them. */
#include <stdlib.h>
#include <string.h>

#include "fake-kernel.h"
#include "sys/net/monitor.h"

static void check(void *ctx, const struct monitor_event *event)
{
	int *n = ctx;

	(*n)++;
	switch (event->what) {
	case MONITOR_LINKS:
		if (!memchr(event->link.name, 0, sizeof(event->link.name)) ||
			!memchr(event->link.alias, 0, sizeof(event->link.alias)))
			abort();
		break;
	case MONITOR_ADDRS:
		if (!ip_bits(event->addr.addr.family) ||
			event->addr.prefix_len > ip_bits(event->addr.addr.family))
			abort();
		break;
	case MONITOR_SETTINGS:
		break;
	case MONITOR_ROUTES:
		if (event->route.dst.len > ip_bits(event->route.dst.addr.family))
			abort();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int told = 0, r;

	fake_kernel_begin(data, size);
	r = monitor_read(-1, check, &told);
	fake_kernel_end();
	if (r >= 0 && r != told)
		abort();
	fake_kernel_begin(data, size);
	r = monitor_drain(-1);
	fake_kernel_end();
	if (r < 0 || r & ~(MONITOR_LINKS | MONITOR_ADDRS | MONITOR_WAYS))
		abort();
	return 0;
}
