/*
 * cluster: whether the document that names the cluster (PROTOCOL.md section 8) is believed. Root
 * acts on it: what it names becomes root on the board. And what of the log a board's kubeadm files
 * are made of. Pure.
 */
#pragma once

#include "base/err.h"
#include "mesh/netmap.h"
#include "wire/kube.h"

/* The one name that a cluster's API has in mesh @name; any port. */
bool cluster_endpoint_is_own(const char *endpoint, const char *mesh);

/*
 * @netmap: the mesh as the log says now, proved from the root key of hash @root. @seen: the highest
 * sequence that was ever acted upon. 0 and *@ret, or @err says why not:
 *	-EINVAL		not well formed
 *	-EXDEV		of another mesh
 *	-EACCES		the node it says signed it is no control plane (any more)
 *	-EBADMSG	that node's identity key did not sign it
 *	-EPERM		its endpoint is not the mesh's own API
 *	-ESTALE		a newer one was acted upon
 */
int cluster_judge(const struct netmap *netmap, const uint8_t root[static FIELD_KEY_LEN],
	const struct kube_signed *document, uint64_t seen, struct kube_cluster *ret,
	struct err *err);

/*
 * A text that is another one when anything in the log is another that the kubeadm files of node @id
 * are made of: its name, role, labels, addresses and ranges, those of the mesh, and which board
 * runs kubeadm init. Heap, the caller frees; NULL when out of memory or if there is no such node.
 */
char *cluster_inputs(const struct netmap *netmap, uint32_t id);
