/*
 * limiter: how often one address may try something. A bucket of tries per IPv4 address or IPv6 /64
 * that fills again with time. Pure: the caller passes the time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct limiter;

/* @burst tries at once, then one per @refill_us; @max addresses are remembered (the stalest goes). */
struct limiter *limiter_new(unsigned burst, uint64_t refill_us, unsigned max);
struct limiter *limiter_free(struct limiter *limiter);

/* Takes one try. False if there is none left; *ret_wait_us (may be NULL) is then the time to the next. */
bool limiter_take(struct limiter *limiter, const struct ip_addr *addr, uint64_t now_us,
	uint64_t *ret_wait_us);
/* Gives one back: it was a good one. */
void limiter_return(struct limiter *limiter, const struct ip_addr *addr);
