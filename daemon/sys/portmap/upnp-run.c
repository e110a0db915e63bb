/* upnp: starts and ends the process (upnp.h), and checks what it says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/exec/exec.h"
#include "sys/portmap/upnp.h"

struct upnp {
	struct exec *exec;
	upnp_done_fn done;
	void *ctx;
};

static const char *const argv[] = { "/proc/self/exe", UPNP_ARGUMENT, NULL };
static const char *const envp[] = { NULL };

static struct exec_options options(const struct upnp_job *job, uint64_t timeout_us)
{
	return (struct exec_options){
		.argv = argv,
		.envp = envp,
		.input = job,
		.input_len = sizeof(*job),
		.output_max = sizeof(struct upnp_end) + 1,
		.timeout_us = timeout_us,
	};
}

/* It may have been taken over by what it read: only what is in range counts. */
static void read_end(const struct exec_result *result, struct upnp_end *ret)
{
	struct upnp_end end;

	*ret = (struct upnp_end){ .result = UPNP_BROKEN };
	if (result->status != 0 || result->timed_out || result->out.len != sizeof(end))
		return;
	memcpy(&end, result->out.data, sizeof(end));
	if ((unsigned) end.result > UPNP_BROKEN || !memchr(end.url, 0, sizeof(end.url)))
		return;
	if (end.result == UPNP_DONE && end.outside.addr.family != AF_INET)
		end.outside = (struct endpoint){ 0 };
	*ret = end;
}

static void on_end(void *ctx, struct exec_result *result)
{
	struct upnp *u = ctx;
	struct upnp_end end;

	read_end(result, &end);
	u->done(u->ctx, &end);
	free(u);
}

int upnp_start(sd_event *event, const struct upnp_job *job, upnp_done_fn done, void *ctx,
	struct upnp **ret, struct err *err)
{
	struct exec_options o = options(job, UPNP_LONGEST_US);
	struct upnp *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return err_set(err, -ENOMEM, "out of memory");
	*u = (struct upnp){ .done = done, .ctx = ctx };
	r = exec_spawn(event, &o, on_end, u, &u->exec, err);
	if (r < 0) {
		free(u);
		return r;
	}
	*ret = u;
	return 0;
}

struct upnp *upnp_cancel(struct upnp *u)
{
	if (u)
		u->exec = exec_cancel(u->exec);
	free(u);
	return NULL;
}

void upnp_run(const struct upnp_job *job, uint64_t timeout_us, struct upnp_end *ret)
{
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	struct exec_options o = options(job, timeout_us);

	*ret = (struct upnp_end){ .result = UPNP_BROKEN };
	if (exec_run(&o, &result, NULL) == 0)
		read_end(&result, ret);
}
