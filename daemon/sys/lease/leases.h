/*
 * leases: which address belongs to which attachment (container and interface), in files under
 * /run/hearth/cni/NETWORK ($HEARTH_RUN/cni/NETWORK), on a tmpfs:
 *
 *   lock         locked (flock) by whoever reads or changes the rest
 *   boot         boot id for which the leases hold: after a reboot all are dropped
 *   next         per range, where the search for a free address goes on (round robin)
 *   released     addresses given back within the last two seconds, not handed out yet
 *   hth...       one file per attachment, named as its link: boot id, container, interface,
 *                addresses
 *   10.244.1.7   one per address: another name (hard link) of its attachment's file
 *
 *   runtime      which run of containerd was looked after: see leases_runtime_is_new()
 *
 * A lease says in which network namespace it was made, and is locked (flock) by the ADD that works
 * on it: one that is not, and whose link is gone from that namespace, is of a pod that went without
 * DEL. It also says in which namespace the pod is, and for which run of containerd it was made: one
 * that lost its state leaves the namespaces of its pods pinned, with links that are up, and knows
 * nothing of them.
 *
 * A lease file appears whole or not at all; whatever the moment of a kill -9, leases_release() by
 * the same owner leaves nothing, and no address is handed out twice. Nothing is synced: no lease
 * needs to outlive the boot.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "sys/net/link.h"
#include "sys/net/nl.h"

enum {
	LEASES_ADDRS_MAX = 4,
	LEASES_CONTAINER_MAX = 190, /* so that the link's alias can hold it */
	LEASES_NAME_MAX = 14,       /* "hth" + 10 digits */
	LEASES_POD_MAX = 256,
	LEASES_RUNTIME_MAX = 64,
	LEASES_REUSE_DELAY_MS = 2000,
};

/* What the alias of a link says: network, container, interface. */
#define LEASES_ALIAS "hearth/%s/%s/%s"

struct leases;

/*
 * What a lease belongs to. @key is the link's name; strings borrowed. @pod, for leases_take(): path
 * of the pod's network namespace; NULL: not known.
 */
struct lease_owner {
	const char *key, *container, *ifname, *pod;
};

struct lease {
	char key[LEASES_NAME_MAX];
	char container[LEASES_CONTAINER_MAX + 1];
	char ifname[IFNAMSIZ];
	uint64_t netns;           /* inode of the namespace in which its link is, 0: not known */
	char pod[LEASES_POD_MAX]; /* as in the owner, "" not known */
	uint64_t pod_netns;       /* its inode */
	char runtime[LEASES_RUNTIME_MAX]; /* the run of containerd there was, "" none */
	struct ip_addr addrs[LEASES_ADDRS_MAX];
	size_t n_addrs;
};

/*
 * Opens (and makes) the store of @network and drops the leases of an earlier boot. -ETIMEDOUT: the
 * lock was held for ten seconds.
 */
int leases_open(const char *network, struct leases **ret, struct err *err);
/*
 * As above without making or dropping anything; -ENOENT if there is none, or one of an earlier
 * boot.
 */
int leases_open_existing(const char *network, struct leases **ret, struct err *err);
struct leases *leases_close(struct leases *store);
static inline void leases_close_p(struct leases **store)
{
	*store = leases_close(*store);
}
#define CLEANUP_LEASES CLEANUP(leases_close_p)

/*
 * Leases one address per family of @subnets (the first range of a family with room), or those of
 * @want. 1: a new lease. 0: @owner had one already, @ret is that. -ENOSPC: no address is left.
 * -EADDRINUSE: a wanted address is taken or not in a range. -EEXIST: the key belongs to another
 * owner. Waits up to two seconds if all that is free was released just now; -EBUSY if
 * others were faster. The lease is held, and
 * leases_reclaim() leaves it alone, until @store takes another one or is closed.
 */
int leases_take(struct leases *store, const struct lease_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, struct err *err);

/* 0, or -ENOENT. */
int leases_find(
	struct leases *store, const struct lease_owner *owner, struct lease *ret, struct err *err);

/* Somebody took the lease and still works on its link. */
bool leases_is_held(struct leases *store, const struct lease_owner *owner);

/* Gives back what @owner has, whole or half-made. 1 if there was something, 0 if not. */
int leases_release(struct leases *store, const struct lease_owner *owner, struct err *err);

/*
 * All leases, one entry per attachment (heap, the caller frees). Entries whose files are damaged
 * have an empty container: leases_remove_damaged() gives those back.
 */
int leases_list(struct leases *store, struct lease **ret, size_t *ret_n, struct err *err);
int leases_remove_damaged(struct leases *store, struct err *err);

struct leases_census {
	size_t dead;          /* given back: their links are gone */
	size_t forgotten;     /* lost by containerd, without a process: given back, links deleted */
	size_t living;        /* their links are there */
	size_t orphans;       /* of these: lost by containerd, with processes */
	size_t held;          /* as leases_is_held() */
	size_t elsewhere;     /* made in another network namespace: not known */
	size_t damaged;       /* files that are no leases */
	struct lease example; /* one of the living, if there are any */
};
enum {
	LEASES_WAIT = 1,      /* else -EAGAIN if somebody has the lock now */
	LEASES_FORGOTTEN = 2, /* those, too; only who sees all processes knows (root) */
};
/*
 * Gives back the leases of pods that went without DEL: made in the network namespace of this
 * process (and of @nl), not held, without a link of their name or alias. And those of pods that
 * containerd lost: made for an earlier run of it, not among the sandboxes it keeps, in a namespace
 * of its own in which no process is. @flags as above.
 */
int leases_reclaim(struct leases *store, struct nl *nl, unsigned flags, struct leases_census *ret,
	struct err *err);

/*
 * containerd was started anew since leases_reclaim(LEASES_FORGOTTEN) last left nothing to look
 * after.
 */
bool leases_runtime_is_new(const struct leases *store);

/*
 * Whether anybody is where the other end of @link is, that of @lease. True, too, if that cannot be
 * known: the lease does not say where, the link's other end is elsewhere, or not all processes are
 * to be seen.
 */
bool leases_is_used(struct nl *nl, const struct lease *lease, const struct link *link);

/* How many addresses of @subnet there are to use. */
uint64_t leases_capacity(const struct ip_prefix *subnet);
/* The directory, for messages. */
const char *leases_path(const struct leases *store);

/* A lease file's text. 0 or -EBADMSG; -ESTALE if it is of another boot than @boot. */
int lease_parse(const char *text, const char *boot, struct lease *ret);
