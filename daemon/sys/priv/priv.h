/*
 * priv: giving up root, for programs started without systemd (which does the same by User= and
 * AmbientCapabilities=).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A user of this machine. -ENOENT and a sentence that says how to make one. */
int priv_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err);

/*
 * Becomes @name for good, with exactly the capabilities of the bit mask @caps (1 << CAP_NET_ADMIN),
 * which programs started later inherit; nothing can be gained by execve() any more. On failure
 * the process is in between and must exit.
 */
int priv_become(const char *name, uint64_t caps, struct err *err);

/*
 * For a program that needs no right at all, before it reads a foreign byte: root becomes @name for
 * good, without any capability, and never goes on as root instead: -ENOENT if there is no such
 * user. (Unless @name is root's own: then somebody wants it so.) Who is not root stays who he is.
 * In both cases nothing can be gained by execve() any more.
 */
int priv_drop(const char *name, struct err *err);

/*
 * Runs @fn in a process of its own that is @user for good, without any capability: what root has to
 * do with files that are the user's. Without root, or for root itself, in this one. Returns what
 * @fn does, with its @err; of what it stored only the @len bytes at @share come back (NULL: none),
 * as words of that user: to be checked.
 */
typedef int (*priv_fn)(void *ctx, struct err *err);
int priv_run_as(const char *user, priv_fn fn, void *ctx, void *share, size_t len, struct err *err);
