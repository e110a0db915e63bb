/*
 * iface: the mesh's interface in the kernel: up, its MTU, addresses and routes. Applying the same
 * state again changes nothing and makes no noise.
 */
#pragma once

#include <net/if.h>

#include "node/routes.h"
#include "sys/net/nl.h"
#include "wire/node.h"

enum { IFACE_ALIAS_MAX = 128 };

struct iface_want {
	int index;
	const char *alias; /* iface_alias() */
	unsigned mtu;
	struct ip_addr own4, own6, link_local;
	struct routes *routes; /* with this index; without IPv6 changed */
};

/* Whether our interface has it; it may be switched off there, or not in the kernel at all. */
enum iface_ipv6 { IFACE_IPV6_UP, IFACE_IPV6_DISABLED, IFACE_IPV6_NONE };

/* The index of @name, or -ENODEV with @err. */
int iface_find(struct nl *nl, const char *name, struct err *err);

/* What iface_apply() found to be otherwise. */
enum iface_change { IFACE_MTU = 1, IFACE_DOWN = 2, IFACE_ADDRS = 4, IFACE_ROUTES = 8 };

/* By this our device is known whatever it is called; people see it in `ip link`. Returns @ret. */
const char *iface_alias(const char *mesh, uint32_t node, char ret[static IFACE_ALIAS_MAX]);

/*
 * Makes it so. Addresses on it that are none of ours go, and so do routes of our protocol number
 * through it in the main table that are not wanted. 0, or the first failure with @err (the rest is
 * tried). That there is no IPv6 is no failure: *ret_ipv6 tells. *ret_changed: a set of enum
 * iface_change.
 */
int iface_apply(struct nl *nl, const struct iface_want *want, enum iface_ipv6 *ret_ipv6,
	unsigned *ret_changed, struct err *err);

/* Renames the link @index. -EEXIST: the name is another's, @err says whose. */
int iface_rename(struct nl *nl, int index, const char *name, struct err *err);

/*
 * A device of ours, by its @alias, that a hearthd which ended left under another name: it gets
 * @name back, or is removed if @name is there. 1 renamed, 2 removed, with the name it had; 0 there
 * is none; -errno.
 */
int iface_reclaim(struct nl *nl, const char *name, const char *alias,
	char ret_was[static IF_NAMESIZE], struct err *err);

/* Takes addresses and routes off and the interface down; it stays. */
int iface_clear(struct nl *nl, const char *name, struct err *err);

/* Removes it, if it is a TUN device. -ENODEV if it is not there. */
int iface_remove(struct nl *nl, const char *name, struct err *err);

/*
 * A stable address that tells nothing about the machine (RFC 7217), from our secret @seed, the
 * mesh's name and the interface's. In fe80::/64.
 */
struct ip_addr iface_link_local(
	const uint8_t seed[static FIELD_KEY_LEN], const char *mesh, const char *ifname);
