/*
 * resolv: the subject of the name servers of pods. They follow those of the board, which a router
 * hands out anew (DHCP) or somebody sets. Whether they changed is for hearth-helper to find out;
 * here is seen that they may have.
 *
 * Its problem is "resolv": the helper cannot.
 */
#pragma once

#include "node/core.h"

struct resolv;

/* @core is borrowed. NULL: out of memory. */
struct resolv *resolv_new(struct core *core);
struct resolv *resolv_free(struct resolv *resolv);

/* Do pods ask the name servers of now? Has the helper look where something changed. */
void resolv_look(struct resolv *resolv);
/* Again what failed, when its pause is over. */
void resolv_retry(struct resolv *resolv);
/* Without that pause. */
void resolv_hurry(struct resolv *resolv);
