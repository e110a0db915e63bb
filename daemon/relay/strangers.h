/*
 * strangers: who has not proven his address may be somebody else's victim. So little is said to
 * him, whatever he sends: to each address a few answers a second, to all together not many more,
 * and to addresses that the relay does not serve none. Pure: the caller passes the time.
 *
 * Each kind of answer has a measure of its own, so that a flood of one does not silence the others.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum strangers_kind { STRANGERS_COOKIE, STRANGERS_UNKNOWN, STRANGERS_STUN };
enum { STRANGERS_KINDS = STRANGERS_STUN + 1 };

enum {
	STRANGERS_EACH_BURST = 64,
	STRANGERS_EACH_US = 10000, /* then one in so many microseconds: 100 a second */
	STRANGERS_ALL_BURST = 1000,
	STRANGERS_ALL_US = 200,   /* 5,000 a second */
	STRANGERS_SOURCES = 4096, /* remembered, of each kind */
	STRANGERS_DENIED_MAX = 64,
};

struct strangers;
/* NULL: out of memory. */
struct strangers *strangers_new(void);
struct strangers *strangers_free(struct strangers *strangers);

/*
 * Addresses in these are not served: those of the tunnel itself, in which a relay must not carry
 * it. Copied. -E2BIG (nothing has changed): more than STRANGERS_DENIED_MAX.
 */
int strangers_deny(struct strangers *strangers, const struct ip_prefix *prefixes, size_t n);
bool strangers_denied(const struct strangers *strangers, const struct ip_addr *addr);

/* Takes the right to answer @addr once, now. */
bool strangers_may(struct strangers *strangers, enum strangers_kind kind,
	const struct ip_addr *addr, uint64_t now_us);
