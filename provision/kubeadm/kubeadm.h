/*
 * kubeadm: the documents that `kubeadm init`, `join` and `upgrade` read with --config, API v1beta4.
 *
 * One model (json_t) from facts and the mesh's settings, in this order: generate, merge the user's
 * own documents over it, derive what follows from the values, check, write as YAML. Everything that
 * cannot be changed after `kubeadm init` is right from the start. `kubeadm config validate` judges
 * shape and types; what it overlooks, and what is the mesh's to say, is judged here. Pure but for
 * kubeadm_read_overrides().
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

/* --- versions --- */

struct kubeadm_version {
	unsigned major, minor, patch;
	char text[64]; /* "v1.37.2", "v1.36.0-rc.0.12+abc" */
};

enum {
	KUBEADM_MINOR_OLDEST = 31, /* the first that reads v1beta4 */
	KUBEADM_MINOR_KNOWN =
		37 /* the newest whose kubelet is known to refuse what rules-kubelet.c says */
};

/* What the files are written for while no kubeadm is installed. */
#define KUBEADM_VERSION_DEFAULT "v1.37.2"

/*
 * "v1.37.2", "1.37.2", or "1.37" (then patch 0), with a pre-release and build metadata as semantic
 * versioning has them. -EINVAL with a sentence.
 */
int kubeadm_version_parse(const char *text, struct kubeadm_version *ret, struct err *err);

/* -ENOTSUP with the reason if this kubeadm cannot read what we write. */
int kubeadm_version_check(const struct kubeadm_version *version, struct err *err);

/*
 * Whether it sorts the values of an argument that is said more than once; newer ones leave them in
 * order.
 */
bool kubeadm_version_sorts(const struct kubeadm_version *version);

/* --- what the documents are made from; all pointers are borrowed --- */

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
	bool desktop;          /* somebody works at it */
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

/* What all of a board's documents are made from. */
struct kubeadm_home {
	const struct kubeadm_cluster *cluster;
	const struct kubeadm_node *node;
	const struct kubeadm_version *version; /* of the kubeadm that will read them */
	const char *dir;                       /* where patches/ and resolv.conf lie */
};

enum { KUBEADM_API_PORT = 6443 };

/* --- sizes --- */

/*
 * "tiny" (under 1.5 GiB), "small" (under 6), "medium" (under 12), "large". Unknown memory: "small".
 */
const char *kubeadm_class(uint64_t memory_bytes);

/* --- documents; a new reference, NULL when out of memory. Whole after kubeadm_derive() --- */

/* Array: InitConfiguration, ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration. */
json_t *kubeadm_init_documents(const struct kubeadm_home *home);

/* Array: JoinConfiguration. */
json_t *kubeadm_join_documents(
	const struct kubeadm_home *home, const struct kubeadm_bundle *bundle);

/* Array: UpgradeConfiguration. Without it `kubeadm upgrade` forgets the board's patches. */
json_t *kubeadm_upgrade_documents(const struct kubeadm_home *home);

/* Array of one KubeletConfiguration with this board's sizes only: a patch of type merge. */
json_t *kubeadm_kubelet_patch(const struct kubeadm_node *node);

#define KUBEADM_PATCH_FILE "kubeletconfiguration+merge.yaml"

/*
 * Patches of a control plane's own pods and of CoreDNS: an object of file name to array of
 * documents.
 */
json_t *kubeadm_plane_patches(void);

/* --- the user's own documents --- */

/*
 * All documents of the files DIR/X.yaml in the order of their names, as an array; empty if there is
 * no such directory. NULL and @err (naming the file) for what cannot be read, has no apiVersion and
 * kind, or is none of the kinds we write.
 */
json_t *kubeadm_read_overrides(const char *dir, struct err *err);

/*
 * Merges @overrides over those of @docs that have the same group and kind. Maps are merged, null
 * removes, the rest replaces. Of lists:
 *	those of things with a name are merged by it (lists.c): the user's argument stands in the
 *	place of ours, and no name stands twice but where the component takes it so; a value of
 *	null removes it
 *	an empty one empties; nodePortAddresses replaces ours
 *	others are appended; what is in the list already is not appended again
 * Of two fields that exclude each other (shutdownGracePeriod and ...ByPodPriority) ours gives way.
 * Running it twice changes nothing. -EINVAL and @err where the version or a type differs, or an
 * argument is said twice; -ENOMEM.
 */
int kubeadm_merge(json_t *docs, const json_t *overrides, struct err *err);

/*
 * What the user's KubeletConfiguration means for a board's patch. On the board that runs `kubeadm
 * init` (@init) the document itself takes it, and of the patch only the fields it names too;
 * elsewhere there is no such document, and the patch takes all of it. Null stays: in a patch it
 * removes what the cluster says.
 */
int kubeadm_merge_patch(json_t *patch, const json_t *overrides, bool init, struct err *err);

/* What kubeadm makes of @patch: applied to the document of its kind in @docs. 0 or -ENOMEM. */
int kubeadm_apply_patch(json_t *docs, const json_t *patch);

/*
 * Fills in what follows from other values, once these stand: controlPlaneEndpoint from bindPort,
 * names of the API server's certificate, a joining control plane's bindPort from the endpoint. 0 or
 * -ENOMEM.
 */
int kubeadm_derive(json_t *docs, const struct kubeadm_home *home, struct err *err);

/* --- checks --- */

/*
 * Refuses what is the mesh's to say or cannot work, and what `kubeadm config validate` overlooks;
 * shape and types are left to that. -EINVAL, and @err names the document, the field, why, and what
 * to do instead. What works and is dangerous goes into @notes, an array of sentences (may be NULL).
 */
int kubeadm_check(
	const json_t *docs, const struct kubeadm_home *home, json_t *notes, struct err *err);

/* --- text --- */

struct buf;

/* "# head" lines, then the documents. 0 or -ENOMEM. */
int kubeadm_text(struct buf *ret, const char *head, const json_t *docs);
