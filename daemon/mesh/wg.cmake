# Pure: libcrypto for BLAKE2s, libsodium for the rest.
hearth_library(hearth_mesh_wg FOLDER mesh
	SOURCES wg-cookie.c wg-crypto.c wg-device.c wg-handshake.c wg-heap.c wg-index.c wg-noise.c
		wg-peer.c wg-ratelimit.c wg-replay.c wg-session.c wg-stamp.c wg-timers.c wg-trie.c
	LINK hearth_base hearth_wire_wg PkgConfig::sodium PkgConfig::crypto)
