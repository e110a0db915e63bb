/*
 * pods: the subject of pods that went without a word. Their runtime was killed, or lost its state,
 * and their leases hold addresses that nobody uses. The plugin would hear of them by GC, which
 * container runtimes do not call, so they are looked for here. Links and routes need nobody: they
 * go with the pod's namespace.
 *
 * Its problem is "pods": no address is left.
 */
#pragma once

#include "node/core.h"

struct pods;

/* @core is borrowed. NULL: out of memory. */
struct pods *pods_new(struct core *core);
struct pods *pods_free(struct pods *pods);

/* Gives their addresses back, now and then: twice a minute however often it is called. */
void pods_look(struct pods *pods, uint64_t now_us);
/* The next time at once. */
void pods_hurry(struct pods *pods);
/* There is no mesh any more that gives them addresses. */
void pods_forget(struct pods *pods);
