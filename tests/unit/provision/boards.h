/*
 * boards: the home of the tests: five boards and a second control plane, their cluster and a join
 * bundle, as the coordinator would give them.
 */
#pragma once

#include "base/buf.h"
#include "kubeadm/kubeadm.h"

struct board {
	struct kubeadm_node node;
	bool init; /* runs `kubeadm init` */
};

enum { BOARDS = 6 };

extern struct kubeadm_cluster home;
extern struct board boards[BOARDS];
extern struct kubeadm_bundle bundle;

/* Fills the above. Every test program calls it once. */
int boards_setup(void **state);
int boards_teardown(void **state);

/* The documents of init.yaml or join.yaml of a board. */
json_t *board_documents(const struct board *board);
