/*
 * netmap: what the log says the mesh is now: settings and nodes. Computed from records in order,
 * one at a time, each costing a constant. A node leaves it only by a tombstone: no record that is
 * missing, refused or not understood can take a peer away.
 *
 * Pointers handed out are borrowed until the next netmap_apply().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mesh/log.h"
#include "wire/node.h"
#include "wire/record.h"
#include "wire/settings.h"

struct netmap;

enum netmap_change_kind {
	NETMAP_CHANGE_NONE,
	NETMAP_CHANGE_SETTINGS,
	NETMAP_CHANGE_NODE, /* new or different */
	NETMAP_CHANGE_REMOVED,
};

struct netmap_change {
	enum netmap_change_kind kind;
	uint32_t id; /* of the node */
};

/* NULL: out of memory. */
struct netmap *netmap_new(void);
/* NULL is fine. Returns NULL. */
struct netmap *netmap_free(struct netmap *netmap);
static inline void netmap_free_p(struct netmap **netmap)
{
	netmap_free(*netmap);
}
#define CLEANUP_NETMAP CLEANUP(netmap_free_p)

/*
 * Takes in the next record of an accepted log; those of other types change nothing. Returns 1 if
 * the netmap changed, 0 if not, or refuses the record: the netmap stays as it was, but the record
 * counts as seen and its id as used. @err tells why:
 *	-EINVAL		a payload that is not well formed, or addresses that do not fit the settings
 *	-EADDRINUSE	settings whose ranges overlap
 *	-EEXIST		a name, key, address or pod range of another node
 *	-EKEYREVOKED	an identity key that was revoked
 *	-EPERM		a removed node, changed ranges, or pods other than it had
 *	-ENOENT		a node before the first settings, or a tombstone of a node that is not there
 *	-ERANGE		not the next record; it does not count as seen
 *	-ENOMEM		nothing was done; it does not count as seen
 * @ret_change may be NULL.
 */
int netmap_apply(struct netmap *netmap, const struct record *record,
	struct netmap_change *ret_change, struct err *err);

/*
 * Applies what @log holds and the netmap has not seen. Returns 0 or -ENOMEM. *@ret_refused (may be
 * NULL) counts records that were refused, @err is about the last of them.
 */
int netmap_follow(
	struct netmap *netmap, const struct mesh_log *log, size_t *ret_refused, struct err *err);

/* What netmap_apply() would say of this payload, without applying it: 0 or as above. */
int netmap_check_node(const struct netmap *netmap, const struct node *node, struct err *err);
int netmap_check_settings(
	const struct netmap *netmap, const struct settings *settings, struct err *err);

/* The number of the last record seen. */
uint64_t netmap_seq(const struct netmap *netmap);
/* NULL before the first settings record. */
const struct settings *netmap_settings(const struct netmap *netmap);

/* Nodes that are there. */
size_t netmap_count(const struct netmap *netmap);
/* The node with the lowest id above @id, NULL at the end: for (n = NULL; (n = next(map, n));) */
const struct node *netmap_next(const struct netmap *netmap, const struct node *after);

const struct node *netmap_by_id(const struct netmap *netmap, uint32_t id);
const struct node *netmap_by_name(const struct netmap *netmap, const char *name);
/* The node that a person means (wire/node-name.h), NULL if there is none. */
const struct node *netmap_find(const struct netmap *netmap, const char *text);
/* The one that runs kubeadm init: the control plane with the lowest id. NULL: there is none. */
const struct node *netmap_first_control_plane(const struct netmap *netmap);
/*
 * A node that is there, is called otherwise now, and was called @name by a record of @log; NULL if
 * none was. What others know by its name (Kubernetes) may still mean that one. Costs a look at
 * every record.
 */
const struct node *netmap_once_named(
	const struct netmap *netmap, const struct mesh_log *log, const char *name);
const struct node *netmap_by_wg(
	const struct netmap *netmap, const uint8_t key[static NODE_KEY_LEN]);
/* The node that has @addr as its own or in its pods. */
const struct node *netmap_by_addr(const struct netmap *netmap, const struct ip_addr *addr);

/* What is known of an identity key. */
enum netmap_identity {
	NETMAP_IDENTITY_UNKNOWN,
	NETMAP_IDENTITY_CURRENT, /* of a node that is there */
	NETMAP_IDENTITY_REVOKED, /* of a node that has another now */
	NETMAP_IDENTITY_REMOVED, /* of a removed node */
};
/* @ret_id (may be NULL): the node's, unless unknown. */
enum netmap_identity netmap_identity(
	const struct netmap *netmap, const uint8_t key[static NODE_KEY_LEN], uint32_t *ret_id);
/* True if a node ever had this WireGuard key; @ret_id (may be NULL): which. */
bool netmap_wg_was_used(
	const struct netmap *netmap, const uint8_t key[static NODE_KEY_LEN], uint32_t *ret_id);

/* True if @id was removed; @ret (may be NULL): its last record, for people. */
bool netmap_was_removed(const struct netmap *netmap, uint32_t id, const struct node **ret);

/* For mesh/alloc: the highest id that any record used, 0 if none. */
uint32_t netmap_highest_id(const struct netmap *netmap);
/* The lowest pod range number from 1 on that no record ever had; it may lie beyond the range. */
uint32_t netmap_free_pods(const struct netmap *netmap);
/* The pod range number that node @id has for life, 0 if it never had one. */
uint32_t netmap_pods_of(const struct netmap *netmap, uint32_t id);
