/*
 * kubeadm: the documents that `kubeadm init --config` and `kubeadm join --config` read, API v1beta4.
 *
 * One model (json_t) from facts and the mesh's settings: generate, merge the user's own documents
 * over it, check, write as YAML. Everything that cannot be changed after `kubeadm init` is right from
 * the start. Pure but for kubeadm_read_overrides().
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

/* ---- versions ---- */

struct kubeadm_version {
	unsigned major, minor, patch;
	char text[32]; /* "v1.37.2", "v1.38.0-rc.1" */
};

enum {
	KUBEADM_MINOR_OLDEST = 31, /* the first that reads v1beta4 */
	KUBEADM_MINOR_KNOWN = 37   /* the newest whose fields are in fields.c */
};

/* What the files are written for while no kubeadm is installed. */
#define KUBEADM_VERSION_DEFAULT "v1.37.2"

/* "v1.37.2", "1.37.2", or "1.37" (then patch 0). -EINVAL with a sentence. */
int kubeadm_version_parse(const char *text, struct kubeadm_version *ret, struct err *err);

/* -ENOTSUP with the reason if this kubeadm cannot read what we write. */
int kubeadm_version_check(const struct kubeadm_version *version, struct err *err);

/* ---- what the documents are made from; all pointers are borrowed ---- */

struct kubeadm_cluster {
	const char *mesh;              /* "home" */
	struct ip_prefix mesh4, mesh6; /* addresses of boards */
	struct ip_prefix pods4, pods6; /* of which each board has a part */
	struct ip_prefix services4, services6;
	struct ip_addr api4, api6; /* reserved for the API, in service later */
};

struct kubeadm_node {
	const char *name;
	struct ip_addr mesh4, mesh6;
	bool control_plane;
	const char *board;     /* "pi4-8g", "n100", "generic-amd64" */
	const char *storage;   /* "nvme", "ssd", "sd", "hdd"; NULL: unknown */
	uint64_t memory_bytes; /* as Linux says (MemTotal), 0: unknown */
	const json_t
		*labels; /* object of strings that go over the labels from hardware; NULL: none */
};

struct kubeadm_bundle {
	const char *endpoint;        /* "api.home.internal:6443" */
	const char *token;           /* "abcdef.0123456789abcdef" */
	const json_t *ca;            /* array of "sha256:<64 hex>" */
	const char *certificate_key; /* 64 hex, or NULL */
};

/* ---- sizes ---- */

/* "tiny" (under 1.5 GiB), "small" (under 6), "medium" (under 12), "large". Unknown memory: "small". */
const char *kubeadm_class(uint64_t memory_bytes);

/* ---- documents; a new reference, NULL when out of memory ---- */

/* Array: InitConfiguration, ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration. */
json_t *kubeadm_init_documents(const struct kubeadm_cluster *cluster,
	const struct kubeadm_node *node, const struct kubeadm_version *version, const char *dir);

/* Array: JoinConfiguration. @dir is where patches/ and resolv.conf lie. */
json_t *kubeadm_join_documents(
	const struct kubeadm_node *node, const struct kubeadm_bundle *bundle, const char *dir);

/* Array of one KubeletConfiguration with this board's sizes only: a patch of type merge. */
json_t *kubeadm_kubelet_patch(const struct kubeadm_node *node);

#define KUBEADM_PATCH_FILE "kubeletconfiguration+merge.yaml"

/* ---- the user's own documents ---- */

/*
 * All documents of the files DIR/X.yaml in the order of their names, as an array; empty if there is no
 * such directory. NULL and @err (naming the file) for what cannot be read, has no apiVersion and kind,
 * or is of a kind that does not end up in our files.
 */
json_t *kubeadm_read_overrides(const char *dir, struct err *err);

/*
 * Merges @overrides over those of @docs that have the same group and kind: maps are merged, lists
 * appended (what is in the list already is not appended again), null removes, the rest replaces.
 * -EINVAL and @err where the version or a type differs, -ENOMEM.
 */
int kubeadm_merge(json_t *docs, const json_t *overrides, struct err *err);

/*
 * What the user's KubeletConfiguration means for a board's patch. On the board that runs `kubeadm init`
 * (@init) the document itself takes it, and of the patch only the fields it names too; elsewhere there
 * is no such document, and the patch takes all of it.
 */
int kubeadm_merge_patch(json_t *patch, const json_t *overrides, bool init, struct err *err);

/* ---- checks ---- */

/*
 * Refuses what `kubeadm config validate` refuses of the shape (unknown or misspelt fields, wrong types,
 * durations) and what it overlooks: see rules.c. -EINVAL, and @err names the document, the field and
 * what it should be. @version NULL: not known yet; @memory_bytes 0: not known.
 */
int kubeadm_check(const json_t *docs, const struct kubeadm_version *version, uint64_t memory_bytes,
	struct err *err);

/* ---- text ---- */

struct buf;

/* "# head" lines, then the documents. 0 or -ENOMEM. */
int kubeadm_text(struct buf *ret, const char *head, const json_t *docs);
