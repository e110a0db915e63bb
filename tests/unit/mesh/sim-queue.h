/*
 * sim-queue: what will happen, in the order of time; of two at the same time, what was put in first
 * is first. A binary heap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_event {
	uint64_t at_us;
	uint64_t order; /* by the queue */
	int what;       /* the rest is the caller's */
	unsigned a, b;
	uint64_t x;
};

/* Zero-initialise. */
struct sim_queue {
	struct sim_event *list; /* owned */
	size_t n, room;
	uint64_t order;
};

void sim_queue_put(struct sim_queue *queue, const struct sim_event *event);
/* The first, which is taken out if it is not later than @end_us. False: there is none. */
bool sim_queue_take(struct sim_queue *queue, uint64_t end_us, struct sim_event *ret);
void sim_queue_done(struct sim_queue *queue);
