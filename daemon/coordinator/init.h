/*
 * init: makes a mesh: ranges, keys, first records, the coordinator's database.
 */
#pragma once

/* `hearth-coord init ARGS`, argv[0] being "init". Returns the exit status. */
int init_run(int argc, char **argv);
