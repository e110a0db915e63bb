/*
 * metrics: the relay's numbers for Prometheus, at http://127.0.0.1:PORT/metrics. A subject. Only
 * this machine reaches it; a few connections at once, one request each, five seconds for it.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "relay/core.h"

struct metrics;

/* Appends the numbers as they are now. */
typedef void (*metrics_fn)(void *ctx, struct buf *text);

/* @port 0: one that is free. @core is borrowed. 0, or -errno and @err. */
int metrics_new(struct relay_core *core, uint16_t port, metrics_fn text, void *ctx,
	struct metrics **ret, struct err *err);
struct metrics *metrics_free(struct metrics *metrics);

uint16_t metrics_port(const struct metrics *metrics);
