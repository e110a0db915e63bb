/*
 * ground: what Hearth stands on and does not own: forwarding, for the pods' sake, and that nobody
 * else's rules and routes take the mesh's packets. It sets no sysctl and no rule (design.md section
 * 11): what is not as it must be is a problem, which says who should.
 */
#pragma once

#include "node/core.h"

struct ground;

struct ground_hooks {
	/* Whether IPv6 leads to node @id. */
	bool (*ipv6_leads_to)(void *ctx, uint32_t id);
};

/* @core is borrowed. NULL: out of memory. */
struct ground *ground_new(struct core *core, const struct ground_hooks *hooks, void *ctx);
struct ground *ground_free(struct ground *ground);

/*
 * Looks at all of it. @ifindex: of the mesh's interface; 0: that is not as it should be, and where
 * packets go says nothing of others.
 */
void ground_look(struct ground *ground, const struct node *self, int ifindex);
/* There is no mesh any more that anything could stand in the way of. */
void ground_forget(struct ground *ground);
