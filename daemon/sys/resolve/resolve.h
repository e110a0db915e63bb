/*
 * resolve: the addresses of a DNS name, as getaddrinfo() finds them, in a thread of its own: a name
 * server that is gone keeps it for half a minute, and whoever asked may end meanwhile.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"

enum { RESOLVE_MAX = 8 /* addresses of a name; what comes behind them is left out */ };

struct resolve;
/*
 * It is over, and the handle with it: @n addresses (from 1 on) in the order in which they should be
 * tried, or @n is 0 and @err says why. From the loop.
 */
typedef void (*resolve_fn)(void *ctx, const struct ip_addr *list, size_t n, const struct err *err);

/* Asks. 0, or -errno with @err, and @done is not called. */
int resolve_start(sd_event *event, const char *name, resolve_fn done, void *ctx,
	struct resolve **ret, struct err *err);
/* Nobody wants to know any more: @done is not called. NULL is fine. Returns NULL. */
struct resolve *resolve_cancel(struct resolve *resolve);
