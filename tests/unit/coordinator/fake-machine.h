/*
 * fake-machine: what this machine's network is to the coordinator: its addresses, and word of their
 * changes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { FAKE_ADDRS_MAX = 4, FAKE_MONITOR_FD = 1000000 };

struct fake_machine {
	const char
		*addrs[FAKE_ADDRS_MAX];   /* as getifaddrs() tells them; NULL: a link without any */
	const char *urls[FAKE_ADDRS_MAX]; /* as addrs_urls() finds them, the best first */
	const char *locals[FAKE_ADDRS_MAX]; /* prefixes, as locals_read() finds them */
	bool tailscale;
	int addrs_fail, urls_fail, locals_fail, monitor_fails; /* an errno each */
	unsigned asked, asked_urls;                            /* how often */
	unsigned lists; /* that getifaddrs() gave out and nobody has released */
};
extern struct fake_machine fake_machine;

/* What monitor_read() tells the next time: an event each. */
void fake_monitor_link(const char *name, int gone);
void fake_monitor_addr(const char *addr, int gone);
/* Or that some were lost. */
void fake_monitor_lost(void);
