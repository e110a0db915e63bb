hearth_test(test-sock SOURCES test-sock.c LINK hearth_sys_sock)
target_link_options(test-sock PRIVATE -Wl,--wrap=sendmmsg)
