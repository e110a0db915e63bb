# Pure: libcrypto for BLAKE2s, libsodium for the rest.
hearth_library(hearth_mesh_wg FOLDER mesh SOURCES wg-replay.c
	LINK hearth_base hearth_wire_wg PkgConfig::sodium PkgConfig::crypto)
