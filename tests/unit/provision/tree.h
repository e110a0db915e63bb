/*
 * tree: a board in a directory of its own, with all that enroll-node writes and looks at below it.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "provision/enroll.h"

/* In the directory of this test. Returns @ret. */
const char *below(const char *name, char ret[static PATH_TEXT_MAX]);
void put_text(const char *name, const char *text, mode_t mode);
char *get_text(const char *name); /* heap */
mode_t mode_of(const char *name);

/* What enroll-node would know there before it looks. */
struct enroll *new_enroll(void);
void free_enroll_p(struct enroll **e);
#define CLEANUP_ENROLL CLEANUP(free_enroll_p)
/* As if enrolled. @first: it runs kubeadm init. */
void become(struct enroll *e, enum node_role role, bool first);
/* Its control plane, node 1, has this key; the cluster that it names; a bundle that it signed, or another. */
extern const uint8_t plane_seed[32];
struct kube_cluster the_cluster(void);
void give_bundle(struct enroll *e);
void give_bundle_of(struct enroll *e, const struct kube_cluster *cluster, const uint8_t *seed);
/* A kubeadm in PATH that says this version, and ends so when it is to validate. */
void put_kubeadm(const char *version, int validate_status);
/* Whether a step or a note says @text. */
bool told(const struct enroll *e, const char *text);

int tree_setup(void **state);
int tree_teardown(void **state);
#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)
