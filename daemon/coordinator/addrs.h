/*
 * addrs: this machine's addresses, for `init` (overlaps) and for the URLs that boards use.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mesh/ranges.h"
#include "wire/settings.h"

enum { ADDRS_LOCALS_MAX = 128, ADDRS_NAME_MAX = 16 };

struct addrs_locals {
	struct ranges_local list[ADDRS_LOCALS_MAX];
	char names[ADDRS_LOCALS_MAX][ADDRS_NAME_MAX];
	size_t n;
	unsigned flags; /* RANGES_TAILSCALE */
};

/* Prefixes in use on any interface but Hearth's own and loopback. 0 or -errno. */
int addrs_locals(struct addrs_locals *ret);

/*
 * https URLs of every stable address of the uplinks: interfaces that are up and are not made by
 * Hearth, containers or virtual machines; no loopback, link-local or temporary IPv6 address.
 * IPv4 first. Returns how many (at most FIELD_URLS_MAX), or -errno.
 */
int addrs_urls(uint16_t port, char (*ret)[FIELD_URL_MAX]);
