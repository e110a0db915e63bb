/*
 * trie: prefixes and their owners, as a path-compressed binary trie per address family. A prefix
 * has one owner; a look-up finds the longest prefix that contains an address in at most as many
 * steps as the address has bits, however many there are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

struct wg_trie_node;

struct wg_trie {
	struct wg_trie_node *root4, *root6; /* owned */
};

/*
 * The prefixes of one owner, oldest first. Embedded in the owner, zero-initialised but for @owner.
 */
struct wg_trie_list {
	void *owner;
	struct wg_trie_node *first, *last; /* borrowed from the trie */
	size_t n;
};

/* Frees all nodes. The lists are then stale: their owners go as well. */
void wg_trie_done(struct wg_trie *trie);

/*
 * Gives @prefix to @list, taking it from its owner before. -EINVAL (family, length, host bits),
 * -ENOMEM.
 */
int wg_trie_insert(struct wg_trie *trie, const struct ip_prefix *prefix, struct wg_trie_list *list);
/* -ENOENT if the prefix is not in @list. */
int wg_trie_remove(struct wg_trie *trie, const struct ip_prefix *prefix, struct wg_trie_list *list);
/* The @n oldest of @list, or all. */
void wg_trie_remove_oldest(struct wg_trie *trie, struct wg_trie_list *list, size_t n);

/* The owner of the longest prefix around the 4 or 16 bytes at @addr, or NULL. */
void *wg_trie_lookup(const struct wg_trie *trie, int family, const uint8_t *addr);

/*
 * Calls @fn for the prefixes of a list, in steps: for at most @n from *@at on (NULL: from the
 * first), which is then the next one, or NULL after the last. The list must not change between two
 * steps.
 */
void wg_trie_some(const struct wg_trie_list *list, const struct wg_trie_node **at, size_t n,
	void (*fn)(void *ctx, const struct ip_prefix *prefix), void *ctx);
