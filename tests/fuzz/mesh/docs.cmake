hearth_fuzz(log SOURCES fuzz-log.c LINK hearth_mesh)
