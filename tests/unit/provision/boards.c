/* boards: see boards.h. */
#include "boards.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

#define GIB (UINT64_C(1) << 30)

struct kubeadm_cluster home = { .mesh = "home" };
struct kubeadm_bundle bundle = { .endpoint = "api.home.internal:6443",
	.token = "abcdef.0123456789abcdef",
	.certificate_key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" };
struct board boards[BOARDS] = {
	{ { .name = "n100",
		  .control_plane = true,
		  .desktop = true,
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
	{ { .name = "slow",
		  .control_plane = true,
		  .board = "pi4-8g",
		  .storage = "sd",
		  .memory_bytes = 8 * GIB - 1 },
		true },
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

static struct kubeadm_version version;

struct kubeadm_home board_home(const struct board *board, const char *kubeadm)
{
	must(kubeadm_version_parse(kubeadm, &version, NULL));
	return (struct kubeadm_home){ .cluster = &home,
		.node = &board->node,
		.version = &version,
		.dir = "/etc/hearth/kubeadm" };
}

json_t *board_documents(
	const struct board *board, const char *kubeadm, const json_t *overrides, struct err *err)
{
	struct kubeadm_home from = board_home(board, kubeadm);
	CLEANUP_JSON json_t *docs = board->init ? kubeadm_init_documents(&from)
						: kubeadm_join_documents(&from, &bundle);
	CLEANUP_JSON json_t *upgrade = kubeadm_upgrade_documents(&from);
	CLEANUP_JSON json_t *patch = kubeadm_kubelet_patch(&board->node);

	if (!docs || !upgrade || !patch)
		abort();
	json_array_extend(docs, upgrade);
	if ((overrides && kubeadm_merge(docs, overrides, err) < 0) ||
		kubeadm_derive(docs, &from, err) < 0 ||
		(overrides && kubeadm_merge_patch(patch, overrides, board->init, err) < 0))
		return NULL;
	json_object_set_new(json_array_get(patch, 0), "kind", json_string(PATCH_KIND));
	json_array_extend(docs, patch);
	return TAKE(docs);
}

json_t *board_take(json_t *docs, const char *kind)
{
	size_t i;
	json_t *doc;

	json_array_foreach(docs, i, doc)
	{
		if (strcmp(json_string_value(json_object_get(doc, "kind")), kind))
			continue;
		json_t *alone = json_pack("[O]", doc);

		json_array_remove(docs, i);
		if (!strcmp(kind, PATCH_KIND))
			json_object_set_new(doc = json_array_get(alone, 0), "kind",
				json_string("KubeletConfiguration"));
		return alone;
	}
	return NULL;
}

int board_check(const struct board *board, const char *kubeadm, json_t *docs, json_t *notes,
	struct err *err)
{
	struct kubeadm_home from = board_home(board, kubeadm);
	CLEANUP_JSON json_t *patch = board_take(docs, PATCH_KIND);
	int r = patch ? kubeadm_check(patch, &from, notes, err) : 0;

	return r ? r : kubeadm_check(docs, &from, notes, err);
}
