hearth_library(hearth_wire_wg FOLDER wire SOURCES wg.c)
