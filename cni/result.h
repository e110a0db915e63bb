/*
 * result: the JSON the plugin prints, in the form of each CNI version, and reading back what it
 * printed once (prevResult).
 */
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "cni/attach.h"
#include "cni/conf.h"
#include "sys/lease/leases.h"

/*
 * The answer to ADD: our links, addresses and routes, behind those of prevResult if there is one.
 * NULL: out of memory, or (-EINVAL, @err) prevResult is malformed.
 */
json_t *result_add(const struct conf *conf, const struct attachment *at, const char *netns,
	unsigned mtu, const struct lease *lease, struct err *err);

/* The error document. Bytes of @message that are not printable ASCII become '?'. */
json_t *result_error(enum conf_version version, enum cni_code code, const char *message);

/* The answer to VERSION; @asked is echoed (NULL: our newest). */
json_t *result_version(const char *asked);

/* What CHECK needs from prevResult. */
enum { RESULT_ADDRS_MAX = 16, RESULT_ROUTES_MAX = 64 };
struct result {
	bool has_host, has_pod;
	char host_mac[LINK_MAC_TEXT_MAX], pod_mac[LINK_MAC_TEXT_MAX]; /* empty if not given */
	char sandbox[4096];
	struct ip_prefix addrs[RESULT_ADDRS_MAX]; /* of the pod's interface */
	struct ip_addr gateways[RESULT_ADDRS_MAX];
	size_t n_addrs;
	struct ip_prefix routes[RESULT_ROUTES_MAX];
	struct ip_addr vias[RESULT_ROUTES_MAX];
	size_t n_routes;
};

/* 0, or -EINVAL with a sentence. The pod's interface is the one named @ifname with a sandbox. */
int result_read(const json_t *prev, const char *host_link, const char *ifname, struct result *ret,
	struct err *err);
