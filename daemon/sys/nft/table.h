/*
 * table: what one nftables table (family inet) holds, as the kernel tells it: a number for the
 * table, each chain, rule and element of a named set. Counters are no part of it. In sys/nft only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/net/nl.h"

enum { NFT_TABLE_ITEMS_MAX = 1024, NFT_TABLE_SETS_MAX = 8, NFT_TABLE_NAME_MAX = 32 };

/* Zero-initialise. */
struct nft_table {
	uint64_t items[NFT_TABLE_ITEMS_MAX]; /* what comes after so many is not looked at */
	size_t n;
	char sets[NFT_TABLE_SETS_MAX]
		 [NFT_TABLE_NAME_MAX]; /* those with a name that packets do not fill */
	size_t n_sets;
};

/*
 * Asks the kernel through @nl, a socket of NETLINK_NETFILTER. 0 (with nothing in it, if there is no
 * such table) or -errno: then nothing is known.
 */
int nft_table_read(struct nl *nl, const char *name, struct nft_table *ret);

/*
 * The number of the state in which all rules of the kernel are: another one after each change by
 * anybody (NFT_MSG_GETGEN). 0 or -errno.
 */
int nft_table_generation(struct nl *nl, uint32_t *ret);

/* One key of a set, as the kernel has it. */
typedef void nft_table_key(void *ctx, const void *key, size_t len);

/* Calls @each for all elements of the set. 0 (for none, if there is no such set) or -errno. */
int nft_table_keys(
	struct nl *nl, const char *table, const char *set, nft_table_key *each, void *ctx);

/* Whether all that was in @before is in @now: nothing was removed or replaced. */
bool nft_table_holds(const struct nft_table *now, const struct nft_table *before);

/* Adds what a message of the kernel says of table @name. */
void nft_table_add(struct nft_table *table, const char *name, const struct nlmsghdr *nlh);
