/*
 * iface: the mesh's interface in the kernel: up, its MTU, addresses and routes. Applying the same
 * state again changes nothing and makes no noise.
 */
#pragma once

#include "node/routes.h"
#include "sys/net/nl.h"
#include "wire/node.h"

struct iface_want {
	const char *name;
	unsigned mtu;
	struct ip_addr own4, own6, link_local;
	struct routes *routes; /* with this interface's index: iface_find(); without IPv6 changed */
};

/* Whether our interface has it; it may be switched off there, or not in the kernel at all. */
enum iface_ipv6 { IFACE_IPV6_UP, IFACE_IPV6_DISABLED, IFACE_IPV6_NONE };

/* The index of @name, or -ENODEV with @err. */
int iface_find(struct nl *nl, const char *name, struct err *err);

/*
 * Makes it so. Addresses on it that are none of ours go, and so do routes of our protocol number
 * through it in the main table that are not wanted. 0, or the first failure with @err (the rest is tried).
 * That there is no IPv6 is no failure: *ret_ipv6 tells.
 */
int iface_apply(
	struct nl *nl, const struct iface_want *want, enum iface_ipv6 *ret_ipv6, struct err *err);

/* Takes addresses and routes off and the interface down; it stays. */
int iface_clear(struct nl *nl, const char *name, struct err *err);

/* Removes it, if it is a TUN device. -ENODEV if it is not there. */
int iface_remove(struct nl *nl, const char *name, struct err *err);

/*
 * A stable address that tells nothing about the machine (RFC 7217), from our secret @seed, the mesh's
 * name and the interface's. In fe80::/64.
 */
struct ip_addr iface_link_local(
	const uint8_t seed[static FIELD_KEY_LEN], const char *mesh, const char *ifname);
