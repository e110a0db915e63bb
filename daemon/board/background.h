/*
 * background: programs of ours on a machine whose PID 1 is not systemd. NAME.pid in the run
 * directory, which is root's, has the process number of NAME, NAME.log what it says.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/* The process that NAME.pid in @run names, if it is still that program; 0: there is none. */
pid_t background_find(const char *run, const char *name);

/*
 * Starts @argv (argv[0], a program of ours without a slash, is looked up in PATH and is the name;
 * NULL at the end) in a session of its own. 0 and *@ret, a child of the caller's; or -errno and
 * @err. That it could not be executed is in its log.
 */
int background_start(const char *run, const char *const *argv, pid_t *ret, struct err *err);

/* SIGTERM, and SIGKILL if it has not ended within ten seconds. 0, also if there is none. */
int background_stop(const char *run, const char *name, struct err *err);

/* "NAME ended at once: the last line of its log" in @err. Returns -EIO. */
int background_failed(const char *run, const char *name, struct err *err);
