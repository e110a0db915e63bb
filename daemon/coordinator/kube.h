/*
 * kube: PUT /v1/kube: the kubeadm join bundle. One at a time, in memory and store until it expires;
 * the feed hands it to workers and control planes.
 */
#pragma once

#include "coordinator/coord.h"

struct kube;

/* Reads that of the store, and tells the feed. */
int kube_open(struct coord *coord, struct kube **ret, struct err *err);
/* After the feed. */
struct kube *kube_close(struct kube *kube);

/*
 * Of the bundle that is handed out, "" if there is none; and when it expires, seconds since 1970.
 */
const char *kube_id(const struct kube *kube);
uint64_t kube_expires(const struct kube *kube);

void kube_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
