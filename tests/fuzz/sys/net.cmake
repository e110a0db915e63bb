hearth_fuzz(netlink SOURCES fuzz-netlink.c LINK hearth_sys_net)
