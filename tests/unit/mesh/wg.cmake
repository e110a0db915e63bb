hearth_test(test-wg-crypto SOURCES test-wg-crypto.c LINK hearth_mesh_wg)
hearth_test(test-wg-tables SOURCES test-wg-tables.c LINK hearth_mesh_wg)
hearth_test(test-wg-device SOURCES test-wg-device.c wg-net.c LINK hearth_mesh_wg)
