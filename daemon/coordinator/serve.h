/*
 * serve: runs the coordinator.
 */
#pragma once

/* `hearth-coord serve ARGS`, argv[0] being "serve". Returns the exit status. */
int serve_run(int argc, char **argv);
