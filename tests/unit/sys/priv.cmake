hearth_test(test-priv SOURCES test-priv.c LINK hearth_sys_priv)
