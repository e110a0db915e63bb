/*
 * kube: PUT /v1/kube: the kubeadm join bundle. One at a time, in memory and store until it expires;
 * the feed hands it to workers and control planes.
 */
#pragma once

#include "coordinator/coord.h"

/* Reads that of the store. */
int kube_load(struct coord *coord, struct err *err);

void kube_handle(struct coord *coord, struct httpd_request *request, const struct node *node,
	const json_t *body);
