/*
 * monitor: the kernel's news about nftables (NETLINK_NETFILTER, group NFTABLES), reduced to one
 * question: may something have been removed from our table? In sys/nft only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A non-blocking socket that the caller owns, or -errno. */
int nft_monitor_open(void);

/*
 * Reads all that waits. True if the table @table (family inet) was removed or put to sleep, or something
 * in it removed, or if news were lost (somebody's large change), so that it cannot be known: look.
 */
bool nft_monitor_drain(int fd, const char *table);

/* The same question for one datagram of the kernel. For tests. */
bool nft_monitor_is_removal(const void *data, size_t len, const char *table);
