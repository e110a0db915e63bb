hearth_fuzz(ipc SOURCES fuzz-ipc.c LINK hearth_sys_ipc)
hearth_fuzz(x509 SOURCES fuzz-x509.c LINK hearth_sys_x509)
hearth_fuzz(http-reply SOURCES fuzz-http-reply.c LINK hearth_sys_http)
