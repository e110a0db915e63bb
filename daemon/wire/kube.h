/*
 * kube: what a board needs to join the cluster with kubeadm (PROTOCOL.md section 8), in two
 * documents. The cluster document names the cluster and is signed by a control plane; the secret
 * lets a board in and cannot change the former. A bundle carries both, the cluster document unread:
 * whether it is believed is mesh/cluster's.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/fields.h"

enum {
	KUBE_ID_MAX = FIELD_ID_MAX,
	KUBE_ENDPOINT_MAX = 264,
	KUBE_TOKEN_MAX = 24, /* 6 + 1 + 16 and a NUL */
	KUBE_CA_MAX = 8,
	KUBE_CA_TEXT_MAX = 72, /* "sha256:" + 64 and a NUL */
	KUBE_VERSION_MAX = 64,
	KUBE_CERTIFICATE_KEY_MAX = 65,
	KUBE_CLUSTER_MAX = 2048, /* bytes of a cluster document */
	KUBE_SIG_LEN = 64,
};
#define KUBE_SEQ_MAX ((UINT64_C(1) << 53) - 1)

/* The cluster document. */
struct kube_cluster {
	uint8_t root[FIELD_KEY_LEN]; /* hash of the root key: of the mesh whose cluster it is */
	char mesh[FIELD_NAME_MAX];
	uint32_t node; /* the control plane that signs */
	uint64_t seq;
	char endpoint[KUBE_ENDPOINT_MAX];       /* HOST:PORT */
	char ca[KUBE_CA_MAX][KUBE_CA_TEXT_MAX]; /* "sha256:<64 hex>" */
	size_t n_ca;
	char version[KUBE_VERSION_MAX]; /* "v1.37.2" */
};

/* The same as it is carried. */
struct kube_signed {
	uint8_t payload[KUBE_CLUSTER_MAX];
	size_t len;
	uint8_t sig[KUBE_SIG_LEN];
};

/* Zero-initialise; kube_bundle_done() wipes it. */
struct kube_bundle {
	char id[KUBE_ID_MAX];
	struct kube_signed cluster;
	/* the secret */
	char token[KUBE_TOKEN_MAX];
	uint64_t expires; /* seconds since 1970 */
	bool has_certificate_key;
	char certificate_key[KUBE_CERTIFICATE_KEY_MAX];
};

void kube_bundle_done(struct kube_bundle *bundle);
#define CLEANUP_KUBE_BUNDLE CLEANUP(kube_bundle_done)

/* 0, -EINVAL. The cluster document is not looked into. */
int kube_bundle_from_json(const json_t *json, struct kube_bundle *ret, struct err *err);
/* A new document, NULL when out of memory. */
json_t *kube_bundle_to_json(const struct kube_bundle *bundle);

/*
 * Signs with the identity key of @cluster->node. 0, -EINVAL for what no reader would take, -ENOMEM.
 */
int kube_cluster_sign(const struct kube_cluster *cluster, const uint8_t seed[static FIELD_KEY_LEN],
	struct kube_signed *ret, struct err *err);
/* Reads without asking who signed. 0, -EINVAL. */
int kube_cluster_read(
	const struct kube_signed *document, struct kube_cluster *ret, struct err *err);
/* 0, or -EBADMSG: the holder of @identity did not sign it. */
int kube_cluster_verify(
	const struct kube_signed *document, const uint8_t identity[static FIELD_KEY_LEN]);
