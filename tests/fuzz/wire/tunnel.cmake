hearth_fuzz(ipkt SOURCES fuzz-ipkt.c LINK hearth_wire_ipkt)
hearth_fuzz(uapi SOURCES fuzz-uapi.c LINK hearth_wire_uapi)
