/*
 * open: the composition root: makes the coordinator's parts, connects them, and closes them, each in the right order.
 */
#pragma once

#include "coordinator/coord.h"

/* Reads everything from @state_dir, proves it, and gets ready to serve. @err tells a person. */
int coord_open(sd_event *event, const char *state_dir, struct coord **ret, struct err *err);
/* Ends open polls, writes what waits, closes everything. */
struct coord *coord_close(struct coord *coord);
