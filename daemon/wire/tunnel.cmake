hearth_library(hearth_wire_ipkt FOLDER wire SOURCES ipkt.c LINK hearth_base)
hearth_library(hearth_wire_uapi FOLDER wire SOURCES uapi.c LINK hearth_base hearth_encode)
hearth_library(hearth_wire_offload FOLDER wire SOURCES checksum.c coalesce.c icmp.c segment.c vnet.c)
