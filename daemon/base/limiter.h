/*
 * limiter: how often one source may try something. A bucket of tries for each, that fills again
 * with time. Pure: the caller passes the time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct limiter;

/* @burst tries at once, then one per @refill_us; @max sources are remembered (the stalest goes). */
struct limiter *limiter_new(unsigned burst, uint64_t refill_us, unsigned max);
struct limiter *limiter_free(struct limiter *limiter);

/*
 * Takes one try. False if there is none left; *ret_wait_us (may be NULL) is then the time to the
 * next.
 */
bool limiter_take(struct limiter *limiter, const struct ip_addr *source, uint64_t now_us,
	uint64_t *ret_wait_us);
/* Gives one back: it was a good one. */
void limiter_return(struct limiter *limiter, const struct ip_addr *source);

/* What is one source, as a rule: an IPv4 address, or the /64 of an IPv6 address. */
struct ip_addr limiter_source(const struct ip_addr *addr);
