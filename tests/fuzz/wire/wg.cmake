hearth_fuzz(wg-message SOURCES fuzz-wg-message.c LINK hearth_wire_wg)
