hearth_test(test-ipkt SOURCES test-ipkt.c LINK hearth_wire_ipkt)
hearth_test(test-uapi SOURCES test-uapi.c LINK hearth_wire_uapi)
