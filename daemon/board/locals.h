/*
 * locals: which prefixes this machine uses already, as far as a mesh's ranges must not overlap with
 * them (mesh/ranges.h). `hearth-coord init` and enroll-node see the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "mesh/ranges.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/route.h"

/* What is the mesh's own here, NULL or family 0: nothing yet. Links of Hearth's pods always are. */
struct locals_own {
	const char *ifname;
	struct ip_addr mesh4, mesh6; /* on an interface that may have had another name until now */
};

struct locals {
	struct ranges_local *list; /* owned; names borrowed from links */
	size_t n;
	bool tailscale;     /* is installed: its interface or its routing rules are here */
	struct link *links; /* owned */
	size_t n_links;
};

void locals_done(struct locals *locals);
#define CLEANUP_LOCALS CLEANUP(locals_done)

/* Asks the kernel. 0 or -errno; the caller owns *@ret. */
int locals_read(const struct locals_own *own, struct locals *ret, struct err *err);

/*
 * Pure: sets list and tailscale of @ret, whose links are set. Addresses say what a link is on;
 * routes (those of the main table) what lies behind it: a VPN, another router. 0 or -ENOMEM.
 */
int locals_find(const struct locals_own *own, const struct link_addr *addrs, size_t n_addrs,
	const struct route *routes, size_t n_routes, struct locals *ret);
