hearth_test(test-exec SOURCES test-exec.c LINK hearth_sys_exec)
hearth_test(test-x509 SOURCES test-x509.c LINK hearth_sys_x509 hearth_encode PkgConfig::crypto PkgConfig::sodium)
hearth_test(test-ipc SOURCES test-ipc.c LINK hearth_sys_ipc Threads::Threads)
hearth_test(test-store SOURCES test-store.c LINK hearth_sys_store hearth_base PkgConfig::sqlite)
