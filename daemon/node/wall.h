/*
 * wall: the firewall's table of nftables (firewall.h has its text). It is put in place whole, and
 * again when somebody takes something out of it; more and more slowly if that goes on. Until it is
 * there, and while it cannot be, nothing that comes by the tunnel is passed on: the gate is shut.
 *
 * Problems: "firewall" (the rules are not, or not the newest), "rules" (somebody keeps removing
 * them), "astray" and "liars" (who did wrong within the hour, as the rules remember it).
 */
#pragma once

#include "node/candidates.h"
#include "node/core.h"

struct wall;

struct wall_hooks {
	/* The rules are in place, or cannot be: wall_is_busy() may be over. */
	void (*settled)(void *ctx);
};

/* @core is borrowed. */
int wall_new(struct core *core, const struct wall_hooks *hooks, void *ctx, struct wall **ret,
	struct err *err);
/* The rules stay. */
struct wall *wall_free(struct wall *wall);

/* Before anything can come by the tunnel: nothing is passed on unless the rules are there. */
void wall_begin(struct wall *wall);
/*
 * The rules of the moment, for @self and links as @own has them; those of last time are not put in
 * place again.
 */
void wall_apply(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own);
/* Again what failed, and what somebody removed. */
void wall_retry(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own);
/* There is no mesh any more. */
void wall_take_down(struct wall *wall);

/* Whether rules are on their way into the kernel. */
bool wall_is_busy(const struct wall *wall);
