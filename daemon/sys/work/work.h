/*
 * work: one thread beside an event loop, for what blocks (fsync on a worn card takes seconds). Jobs
 * are carried out one after another, in the order in which they were handed over, and reported to
 * the loop in that order.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/err.h"

enum { WORK_MAX = 64 }; /* jobs that wait, are carried out, or are to be reported */

struct work;
typedef void (*work_fn)(void *job);

/* @name (at most 15 bytes) is the thread's. 0, or -errno with @err. */
int work_new(sd_event *event, const char *name, struct work **ret, struct err *err);
/* work_drain(), then ends the thread. NULL is fine. Returns NULL. */
struct work *work_free(struct work *work);

/*
 * Hands @job over: @run is called with it in the thread, which alone may touch it until @done is
 * called with it from the loop. 0, or -EBUSY without a call of either: WORK_MAX jobs are under way.
 */
int work_do(struct work *work, work_fn run, work_fn done, void *job);

/*
 * Waits until all is carried out and reported, also what @done handed over meanwhile. Not within
 * @done.
 */
void work_drain(struct work *work);
