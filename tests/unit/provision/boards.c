/* boards: see boards.h. */
#include "boards.h"

#include <stdlib.h>

#define GIB (UINT64_C(1) << 30)

struct kubeadm_cluster home = { .mesh = "home" };
struct kubeadm_bundle bundle = { .endpoint = "api.home.internal:6443",
	.token = "abcdef.0123456789abcdef",
	.certificate_key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" };
struct board boards[BOARDS] = {
	{ { .name = "n100",
		  .control_plane = true,
		  .board = "n100",
		  .storage = "nvme",
		  .memory_bytes = 16119884 * UINT64_C(1024) },
		true },
	{ { .name = "pi4-8g", .board = "pi4-8g", .storage = "ssd", .memory_bytes = 8 * GIB - 1 },
		false },
	{ { .name = "pi4-4g-a", .board = "pi4-4g", .storage = "sd", .memory_bytes = 4 * GIB - 1 },
		false },
	{ { .name = "pi4-4g-b", .board = "pi4-4g", .storage = "sd", .memory_bytes = 4 * GIB - 1 },
		false },
	{ { .name = "pi3",
		  .board = "pi3",
		  .storage = "sd",
		  .memory_bytes = 929224 * UINT64_C(1024) },
		false },
	{ { .name = "cp2",
		  .control_plane = true,
		  .board = "generic-amd64",
		  .memory_bytes = 16 * GIB },
		false },
};

static void must(int r)
{
	if (r < 0)
		abort();
}

int boards_setup(void **state)
{
	must(ip_prefix_parse("10.77.0.0/16", &home.mesh4));
	must(ip_prefix_parse("fd12:3456:789a::/64", &home.mesh6));
	must(ip_prefix_parse("10.244.0.0/16", &home.pods4));
	must(ip_prefix_parse("fd12:3456:789a:1000::/56", &home.pods6));
	must(ip_prefix_parse("10.96.0.0/16", &home.services4));
	must(ip_prefix_parse("fd12:3456:789a:f000::/112", &home.services6));
	must(ip_addr_parse("10.77.255.1", &home.api4));
	must(ip_addr_parse("fd12:3456:789a::ffff:1", &home.api6));
	for (size_t i = 0; i < BOARDS; i++) {
		must(ip_prefix_nth(&home.mesh4, i + 1, &boards[i].node.mesh4));
		must(ip_prefix_nth(&home.mesh6, i + 1, &boards[i].node.mesh6));
	}
	boards[1].node.labels = json_pack("{s:s, s:s}", "topology.kubernetes.io/zone", "house-a",
		"hearth.internal/storage", "usb-ssd");
	bundle.ca = json_pack(
		"[s]", "sha256:aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899");
	return boards[1].node.labels && bundle.ca ? 0 : -1;
}

int boards_teardown(void **state)
{
	json_decref((json_t *) boards[1].node.labels);
	json_decref((json_t *) bundle.ca);
	return 0;
}

json_t *board_documents(const struct board *board)
{
	struct kubeadm_version version;
	must(kubeadm_version_parse("v1.37.2", &version, NULL));
	return board->init ? kubeadm_init_documents(
				     &home, &board->node, &version, "/etc/hearth/kubeadm")
			   : kubeadm_join_documents(&board->node, &bundle, "/etc/hearth/kubeadm");
}
