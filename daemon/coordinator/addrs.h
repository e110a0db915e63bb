/*
 * addrs: this machine's addresses, for the URLs that boards use.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/settings.h"

/*
 * https URLs of every lasting address that is announced (board/links.h), the best first; none of
 * the ranges of @settings. Returns how many (at most FIELD_URLS_MAX), or -errno.
 */
int addrs_urls(const struct settings *settings, uint16_t port, char (*ret)[FIELD_URL_MAX],
	struct err *err);
