/*
 * store: which address belongs to which attachment (container and interface), in files under
 * /run/hearth/cni/NETWORK ($HEARTH_RUN/cni/NETWORK), on a tmpfs:
 *
 *   lock         locked (flock) by whoever reads or changes the rest
 *   boot         boot id for which the leases hold: after a reboot all are dropped
 *   next         per range, where the search for a free address goes on (round robin)
 *   released     addresses given back within the last two seconds, not handed out yet
 *   hth...       one file per attachment, named as its link: boot id, container, interface, addresses
 *   10.244.1.7   one per address: another name (hard link) of its attachment's file
 *
 * A lease file appears whole or not at all; whatever the moment of a kill -9, store_release() by
 * the same owner leaves nothing, and no address is handed out twice. Nothing is synced: no lease
 * needs to outlive the boot.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

enum {
	STORE_ADDRS_MAX = 4,
	STORE_CONTAINER_MAX = 190, /* so that the link's alias can hold it */
	STORE_NAME_MAX = 14,       /* "hth" + 10 digits */
	STORE_REUSE_DELAY_MS = 2000,
};

struct store;

/* What a lease belongs to. @key is the link's name; strings borrowed. */
struct store_owner {
	const char *key, *container, *ifname;
};

struct lease {
	char key[STORE_NAME_MAX];
	char container[STORE_CONTAINER_MAX + 1];
	char ifname[IFNAMSIZ];
	struct ip_addr addrs[STORE_ADDRS_MAX];
	size_t n_addrs;
};

/*
 * Opens (and makes) the store of @network and drops the leases of an earlier boot. -ETIMEDOUT: the
 * lock was held for ten seconds.
 */
int store_open(const char *network, struct store **ret, struct err *err);
/* As above without making or changing anything; -ENOENT if there is none. */
int store_open_readonly(const char *network, struct store **ret, struct err *err);
struct store *store_close(struct store *store);
static inline void store_close_p(struct store **store)
{
	*store = store_close(*store);
}
#define CLEANUP_STORE CLEANUP(store_close_p)

/*
 * Leases one address per family of @subnets (the first range of a family with room), or those of
 * @want. 1: a new lease. 0: @owner had one already, @ret is that. -ENOSPC: no address is left.
 * -EADDRINUSE: a wanted address is taken or not in a range. -EEXIST: the key belongs to another
 * owner. Waits up to two seconds if all that is free was released just now.
 */
int store_take(struct store *store, const struct store_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, struct err *err);

/* 0, or -ENOENT. */
int store_find(
	struct store *store, const struct store_owner *owner, struct lease *ret, struct err *err);

/* Gives back what @owner has, whole or half-made. 1 if there was something, 0 if not. */
int store_release(struct store *store, const struct store_owner *owner, struct err *err);

/*
 * All leases, one entry per attachment (heap, the caller frees). Entries whose files are damaged
 * have an empty container: store_remove_damaged() gives those back.
 */
int store_list(struct store *store, struct lease **ret, size_t *ret_n, struct err *err);
int store_remove_damaged(struct store *store, struct err *err);

/* Addresses of @subnet in use, and how many there are to use. */
int store_count(
	struct store *store, const struct ip_prefix *subnet, uint64_t *ret_used, struct err *err);
uint64_t store_capacity(const struct ip_prefix *subnet);

/* A lease file's text. 0 or -EBADMSG; -ESTALE if it is of another boot than @boot. */
int lease_parse(const char *text, const char *boot, struct lease *ret);
