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

/* Prefixes in use on any link but Hearth's own. 0 or -errno. */
int addrs_locals(struct addrs_locals *ret, struct err *err);

/*
 * https URLs of every lasting address that is announced (board/links.h), the best first; none of the
 * ranges of @settings. Returns how many (at most FIELD_URLS_MAX), or -errno.
 */
int addrs_urls(const struct settings *settings, uint16_t port, char (*ret)[FIELD_URL_MAX],
	struct err *err);
