hearth_fuzz(ipkt SOURCES fuzz-ipkt.c LINK hearth_wire_ipkt hearth_wire_offload)
hearth_fuzz(uapi SOURCES fuzz-uapi.c LINK hearth_wire_uapi)
hearth_fuzz(segment SOURCES fuzz-segment.c LINK hearth_wire_offload)
hearth_fuzz(coalesce SOURCES fuzz-coalesce.c LINK hearth_wire_offload)
