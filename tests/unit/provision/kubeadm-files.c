/*
 * kubeadm-files DIR VERSION TOKEN PIN: writes the files of the tests' home for a real kubeadm to look
 * at. A tool of tests/interop/test-kubeadm.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "boards.h"

static int write_docs(const char *dir, const char *name, const char *kind, const json_t *docs)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[4096];
	(void) snprintf(path, sizeof(path), "%s/%s-%s.yaml", dir, name, kind);
	int r = docs ? kubeadm_text(&text, "", docs) : -1;
	return r < 0 ? r : file_write_atomic(path, text.data, text.len, 0600);
}

int main(int argc, char **argv)
{
	struct kubeadm_version version;
	struct err err = { 0 };
	if (argc != 5 || boards_setup(NULL) < 0 ||
		kubeadm_version_parse(argv[2], &version, &err) < 0)
		return 2;
	CLEANUP_JSON json_t *pins = json_pack("[s]", argv[4]);
	struct kubeadm_bundle given = bundle;
	given.token = argv[3];
	given.ca = pins;
	int r = 0;
	for (size_t i = 0; i < BOARDS && r >= 0; i++) {
		const struct kubeadm_node *node = &boards[i].node;
		CLEANUP_JSON json_t *docs =
			boards[i].init
				? kubeadm_init_documents(
					  &home, node, &version, "/etc/hearth/kubeadm")
				: kubeadm_join_documents(node, &given, "/etc/hearth/kubeadm");
		CLEANUP_JSON json_t *patch = kubeadm_kubelet_patch(node);
		r = docs ? kubeadm_check(docs, &version, node->memory_bytes, &err) : -1;
		if (r >= 0)
			r = write_docs(argv[1], node->name, boards[i].init ? "init" : "join", docs);
		if (r >= 0)
			r = write_docs(argv[1], node->name, "patch", patch);
	}
	if (r < 0)
		fprintf(stderr, "kubeadm-files: %s\n", err.text);
	boards_teardown(NULL);
	return r < 0;
}
