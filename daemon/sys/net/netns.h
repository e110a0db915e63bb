/*
 * netns: other network namespaces: which one the other end of a link is in, and whether anybody is
 * there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/net/nl.h"

/* --- each returns a negative errno if that cannot be known --- */

/*
 * Opens the namespace that is pinned or linked at @path, if its inode is @ino: a descriptor.
 * -ESTALE: another one is there; -EINVAL: no namespace is. Nothing else is opened, whatever is
 * there.
 */
int netns_open(const char *path, uint64_t ino);

/*
 * As in struct link's peer_netnsid. -ENOENT: nothing in the namespace of @nl has its other end
 * there.
 */
int netns_id(struct nl *nl, int fd);
/* The same, but gives it an id if it has none. */
int netns_id_make(struct nl *nl, int fd);

struct netns_use {
	uint64_t ino;
	bool used;
};
/*
 * Sets @used of those in which a thread of any process is. On failure (not all are to be seen) of
 * all.
 */
int netns_mark_used(struct netns_use *list, size_t n);
