/*
 * exec: runs another program, never through a shell. Its standard input is a text held in memory
 * (so that secrets stay off command lines), its output is captured up to a bound, and it never
 * outlives its time limit. The child gets its own process group, default signals and no descriptor
 * of ours beyond 0-2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct exec;

struct exec_options {
	const char *const *argv; /* NULL at the end; argv[0] without a slash is looked up in PATH */
	const char *const *envp; /* NULL: our own environment */
	const void *input;       /* standard input; NULL: /dev/null */
	size_t input_len;
	size_t output_max;   /* bytes kept of stdout and of stderr each; more is read and dropped */
	uint64_t timeout_us; /* 0: none. When it has passed the process group is killed (SIGKILL) */
};

struct exec_result {
	int status;     /* 0-255: exit status; negative: -signal that ended it */
	bool timed_out; /* killed by us; status is -SIGKILL */
	bool truncated; /* one of the outputs was longer than output_max */
	struct buf out; /* text of stdout */
	struct buf err; /* text of stderr */
};

void exec_result_done(struct exec_result *result);
#define CLEANUP_EXEC_RESULT CLEANUP(exec_result_done)

/*
 * Runs to the end. 0 if the program ran, whatever its status (also when it was killed for time);
 * a negative errno and @err if it could not be started (-ENOENT: no such program). Output that a
 * surviving grandchild writes after the program's own end is not waited for.
 * @ret must be zero-initialised; the caller releases it with exec_result_done().
 */
int exec_run(const struct exec_options *options, struct exec_result *ret, struct err *err);

/*
 * 0 if @result is exit status 0, else -ETIMEDOUT or -EIO and a sentence made of @what (such as
 * "nft -f -"), the status and the first lines of stderr.
 */
int exec_check(const struct exec_result *result, const char *what, struct err *err);

/* Called once from the loop. @result is released after the call. It may free what @ctx owns. */
typedef void (*exec_done_fn)(void *ctx, struct exec_result *result);

/*
 * As exec_run(), but returns at once and calls @done from @event later. @ret (may be NULL) is valid
 * until @done is called, for exec_cancel().
 */
int exec_spawn(sd_event *event, const struct exec_options *options, exec_done_fn done, void *ctx,
	struct exec **ret, struct err *err);

/* Its process id, which is nobody else's before @done is called. */
pid_t exec_pid(const struct exec *exec);

/*
 * Kills the program, waits for its end (immediate), frees @exec. @done is not called. NULL is fine.
 */
struct exec *exec_cancel(struct exec *exec);
