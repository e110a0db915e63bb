hearth_fuzz(wg-receive SOURCES fuzz-wg-receive.c LINK hearth_mesh_wg)
