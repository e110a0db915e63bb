/*
 * monitor: the kernel's news about nftables (NETLINK_NETFILTER, group NFTABLES), reduced to one
 * question: may something have been removed from our table? In sys/nft only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A non-blocking socket that the caller owns, or -errno. */
int nft_monitor_open(void);

enum nft_news {
	NFT_NEWS_NONE,
	NFT_NEWS_REMOVED, /* the table was removed or put to sleep, or something in it removed */
	NFT_NEWS_LOST,    /* somebody's large change; so it cannot be known: look */
};

/*
 * Reads all that waits about table @table (family inet), and carries on with what was known before
 * (*@news). What process @own (0: none) did there is no news, and what others removed before that
 * does not matter any more.
 */
void nft_monitor_drain(int fd, const char *table, pid_t own, enum nft_news *news);

/* The same for one datagram of the kernel. For tests. */
void nft_monitor_read(
	const void *data, size_t len, const char *table, pid_t own, enum nft_news *news);
