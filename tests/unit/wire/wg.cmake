hearth_test(test-wire-wg SOURCES test-wire-wg.c LINK hearth_wire_wg)
