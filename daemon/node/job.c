/* job: see job.h. */
#include "node/job.h"

#include <assert.h>

#include "base/clock.h"

#define RETRY_MIN_US (5 * USEC_PER_SEC)
#define RETRY_MAX_US (4 * 3600 * USEC_PER_SEC)

void job_ask(struct job *job, const struct core *core, const char *call, const json_t *args,
	uint64_t timeout_us, ipc_done_fn done, void *ctx)
{
	struct err err = { 0 };

	assert(!job->call);
	if (ipc_call_async(core->event, core->helper_path, call, args, timeout_us, done, ctx,
		    &job->call, &err) < 0)
		done(ctx, err.code, NULL, &err);
}

void job_ended(struct job *job)
{
	job->call = NULL;
}

void job_cancel(struct job *job)
{
	job->call = ipc_async_cancel(job->call);
}

void job_failed(struct job *job)
{
	backoff_failed(&job->backoff, RETRY_MIN_US, RETRY_MAX_US, clock_now_us());
}

void job_clear(struct job *job)
{
	job->backoff = (struct backoff){ 0 };
}

bool job_is_due(const struct job *job)
{
	return !job->call && job_has_failed(job) && backoff_is_due(&job->backoff, clock_now_us());
}

void job_hurry(struct job *job)
{
	job->backoff.next_us = 0;
}
