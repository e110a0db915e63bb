/*
 * request: the fixed list of what hearth-helper does for hearthd, as checked values. Reading one is
 * pure; carrying it out is act's.
 */
#pragma once

#include <net/if.h>

#include "wire/hosts.h"
#include "wire/kube.h"

/* enroll-node's exit status for a cluster document that it does not believe. */
enum { REQUEST_DISBELIEVED = 4 };

enum request_kind {
	/*
	 * {"entries":[...],"ifname":"hearth0"}: a mesh's block in the hosts file; none: it is
	 * removed
	 */
	REQUEST_HOSTS_WRITE,
	REQUEST_UAPI_OPEN, /* {"ifname":"hearth0"}: a listening socket for `wg`, as a descriptor */
	REQUEST_IPV6_ENABLE,   /* {"ifname":"hearth0"}: disable_ipv6=0 for this TUN device alone */
	REQUEST_TUN_OPEN,      /* {}: /dev/net/tun, opened, where only root may */
	REQUEST_RESOLV_FOLLOW, /* {}: runs `enroll-node pods-resolv` */
	REQUEST_KUBE_JOIN, /* {"bundle":{...}}: runs `enroll-node kubeadm-files` with it on stdin */
	REQUEST_KUBE_FOLLOW, /* {}: runs `enroll-node kubeadm-follow` */
};

/* Zero-initialise. */
struct request {
	enum request_kind kind;
	struct hosts_entry *entries; /* owned */
	size_t n_entries;
	char ifname[IFNAMSIZ]; /* of the mesh */
	struct kube_bundle bundle;
};

void request_done(struct request *request);
#define CLEANUP_REQUEST CLEANUP(request_done)

/*
 * 0, -ENOSYS for a call that is not in the list, -EINVAL, -E2BIG, -ENOMEM; @err says what is wrong.
 */
int request_from_json(const char *call, const json_t *args, struct request *ret, struct err *err);
