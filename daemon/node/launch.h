/*
 * launch: `hearthd --background`, for machines whose PID 1 is not systemd: makes the directories,
 * starts hearth-helper as root and hearthd as its own user with the two capabilities it needs, and
 * returns when hearthd is ready. Their lines go to hearthd.log in the run directory, their process
 * numbers to hearthd.pid and hearth-helper.pid.
 */
#pragma once

#include "base/err.h"
#include "board/config.h"

struct launch_options {
	const char *user;        /* "hearth" */
	const char *config_path; /* NULL: the default */
	const char *hosts;       /* for hearth-helper; NULL: its default */
};

/* 0, 1 if hearthd runs already, or a negative errno and @err with the last line of its log. */
int launch(const struct launch_options *options, struct err *err);

/*
 * Opens @path to append to it, for root in a directory in which hearthd's user may make files: what
 * is no plain file of one name is refused, so that nothing else is ever written to. A descriptor or
 * -errno.
 */
int launch_open_log(const char *path);
