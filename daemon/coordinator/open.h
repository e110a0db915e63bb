/*
 * open: the composition root: makes the coordinator's parts, connects them, and closes them, each
 * in the right order.
 */
#pragma once

#include <sys/types.h>

#include "coordinator/coord.h"

struct open_config {
	const char *state_dir; /* what `init` made */
	const char *run_dir;   /* where the local socket is made */
	gid_t admins;          /* whose it is beside root; (gid_t) -1: the user's own group */
	int listen_fd;         /* a listening socket for boards; taken, whatever comes of it */
	uint16_t port;         /* its */
	unsigned connections_max, per_source_max;
};

/* Reads all that there is, proves it, and serves it from now on. @err tells a person. */
int coord_open(
	sd_event *event, const struct open_config *config, struct coord **ret, struct err *err);
/* Ends open polls, writes what waits, closes everything. */
struct coord *coord_close(struct coord *coord);
