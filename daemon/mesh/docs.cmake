# The log and what it says: settings, nodes, addresses.
hearth_library(hearth_mesh FOLDER mesh SOURCES alloc.c cluster.c log.c netmap.c netmap-find.c ranges.c story.c table.c
	LINK hearth_wire)
