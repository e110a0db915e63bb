/*
 * ratelimit: how many handshakes a source may ask for under load: 20 a second, 5 at once, per
 * IPv4 address or IPv6 /64 (as Linux). A bounded table that forgets a source after a second of
 * silence; when it is full of sources younger than that, further ones are refused.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

enum { WG_RATELIMIT_PER_SECOND = 20, WG_RATELIMIT_BURST = 5, WG_RATELIMIT_SOURCES = 8192 };

struct wg_ratelimit;

/* NULL when out of memory. */
struct wg_ratelimit *wg_ratelimit_new(void);
struct wg_ratelimit *wg_ratelimit_free(struct wg_ratelimit *limit);

/* May @source have one more now? */
bool wg_ratelimit_allow(struct wg_ratelimit *limit, const struct ip_addr *source, uint64_t now_us);
