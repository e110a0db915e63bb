/*
 * ipv6: whether our interface has IPv6. A board may have it switched off for all links (sysctl
 * disable_ipv6): the mesh's interface gets it all the same, as pods' links do, by hearth-helper.
 * Where the kernel has none, or the helper cannot (problem "ipv6"), it is missing: the presence
 * says so, and nobody is sent to an address that swallows packets.
 */
#pragma once

#include "node/core.h"
#include "node/iface.h"

struct ipv6;

struct ipv6_hooks {
	/* hearth-helper has been at it: look at the interface again. */
	void (*answered)(void *ctx);
};

/* @core is borrowed. NULL: out of memory. */
struct ipv6 *ipv6_new(struct core *core, const struct ipv6_hooks *hooks, void *ctx);
struct ipv6 *ipv6_free(struct ipv6 *ipv6);

/* What the interface was found to have; asks hearth-helper for what is switched off. */
void ipv6_found(struct ipv6 *ipv6, enum iface_ipv6 found);

bool ipv6_is_missing(const struct ipv6 *ipv6);
/* Whether it leads to node @id, ourselves included: nowhere where we have none. */
bool ipv6_leads_to(const struct ipv6 *ipv6, uint32_t id);
/* There is no mesh any more that would need it. */
void ipv6_forget(struct ipv6 *ipv6);
