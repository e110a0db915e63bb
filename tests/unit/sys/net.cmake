hearth_test(test-net SOURCES test-net.c LINK hearth_sys_net hearth_sys_tun)
