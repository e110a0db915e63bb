/*
 * job: what hearth-helper is asked to do, one call at a time. It may be missing or slow: nobody
 * waits for it, and what failed is tried again by whoever wanted it, soon, then ever more seldom,
 * for it may stay so for years.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/pace.h"
#include "node/core.h"
#include "sys/ipc/ipc.h"

/* Zero-initialise. */
struct job {
	struct ipc_async *call; /* under way */
	struct backoff backoff;
};

/*
 * Asks. @done is called once, from within for what fails at once (without a reply), unless it is
 * cancelled; it begins with job_ended(). None may be under way.
 */
void job_ask(struct job *job, const struct core *core, const char *call, const json_t *args,
	uint64_t timeout_us, ipc_done_fn done, void *ctx);
static inline bool job_is_under_way(const struct job *job)
{
	return job->call;
}
void job_ended(struct job *job);
/* Forgets what is under way; what failed is still to be tried again. */
void job_cancel(struct job *job);

void job_failed(struct job *job);
/* It worked, or it is something else that is wanted now: failures do not count any more. */
void job_clear(struct job *job);
static inline bool job_has_failed(const struct job *job)
{
	return job->backoff.failures;
}
/* It failed, its pause is over, and nothing is under way. */
bool job_is_due(const struct job *job);
/* Without that pause: somebody has mended something. */
void job_hurry(struct job *job);
