/*
 * boards: the home of the tests: five boards, a second control plane, and a first one on an SD card; their
 * cluster and a join bundle, as the coordinator would give them.
 */
#pragma once

#include "base/buf.h"
#include "kubeadm/kubeadm.h"

struct board {
	struct kubeadm_node node;
	bool init; /* runs `kubeadm init` */
};

enum { BOARDS = 7 };

extern struct kubeadm_cluster home;
extern struct board boards[BOARDS];
extern struct kubeadm_bundle bundle;

/* Fills the above. Every test program calls it once. */
int boards_setup(void **state);
int boards_teardown(void **state);

/* What a board's documents are made from, for a kubeadm of this version. Valid until the next call. */
struct kubeadm_home board_home(const struct board *board, const char *kubeadm);

/* Stands for KubeletConfiguration in board_documents(), where the patch is one document among others. */
#define PATCH_KIND "(patch)"

/*
 * All documents of a board: init.yaml's or join.yaml's, UpgradeConfiguration, and the kubelet's patch, with
 * @overrides (may be NULL) merged and what follows derived. NULL and @err if they cannot be merged.
 */
json_t *board_documents(
	const struct board *board, const char *kubeadm, const json_t *overrides, struct err *err);

/* Takes the document of this kind out of @docs, as an array of its own; NULL if there is none. */
json_t *board_take(json_t *docs, const char *kind);

/* kubeadm_check() on all of them, as enroll-node does it. Takes the patch out of @docs. */
int board_check(const struct board *board, const char *kubeadm, json_t *docs, json_t *notes,
	struct err *err);
