hearth_test(test-notify SOURCES test-notify.c LINK hearth_sys_notify)
