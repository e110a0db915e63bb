/*
 * kube: what a board needs to join the cluster with kubeadm (PROTOCOL.md section 8). A secret.
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
};

/* Zero-initialise; kube_bundle_done() wipes it. */
struct kube_bundle {
	char id[KUBE_ID_MAX];
	char endpoint[KUBE_ENDPOINT_MAX]; /* HOST:PORT */
	char token[KUBE_TOKEN_MAX];
	uint64_t expires;                       /* seconds since 1970 */
	char ca[KUBE_CA_MAX][KUBE_CA_TEXT_MAX]; /* "sha256:<64 hex>" */
	size_t n_ca;
	char version[KUBE_VERSION_MAX]; /* "v1.37.2" */
	bool has_certificate_key;
	char certificate_key[KUBE_CERTIFICATE_KEY_MAX];
};

void kube_bundle_done(struct kube_bundle *bundle);
#define CLEANUP_KUBE_BUNDLE CLEANUP(kube_bundle_done)

/* 0, -EINVAL. */
int kube_bundle_from_json(const json_t *json, struct kube_bundle *ret, struct err *err);
/* A new document, NULL when out of memory. */
json_t *kube_bundle_to_json(const struct kube_bundle *bundle);
