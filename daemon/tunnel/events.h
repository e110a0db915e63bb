/*
 * events: what a lane has for the control thread, in a ring. Where it is full, what comes is lost;
 * nobody waits.
 */
#pragma once

#include <stdbool.h>

#include "tunnel/ring.h"
#include "tunnel/tunnel.h"

/*
 * The writer's. 1: it is in, and the reader may sleep: wake it. 0: it is in, and the reader is
 * awake. -ENOBUFS: it is full. At most TUNNEL_ASIDE_MAX bytes.
 */
int events_put(struct ring *ring, const struct tunnel_event *event);

/* The writer's: the same, and wakes the reader by @fd, an eventfd. False: it is lost. */
bool events_tell(struct ring *ring, int fd, const struct tunnel_event *event);

/* The reader's: the next event, which lies in the ring until the next call. False: none. */
bool events_take(struct ring *ring, struct tunnel_event *ret);
