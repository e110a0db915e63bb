/*
 * heap: deadlines, the earliest on top. Nodes are embedded; who has no deadline is not in it and
 * costs nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wg_heap_node {
	uint64_t at_us;
	size_t place; /* + 1; 0: not in the heap */
};

/* Embedded, zero-initialised. */
struct wg_heap {
	struct wg_heap_node **nodes; /* the array is owned, the nodes are borrowed */
	size_t n, room;
};

void wg_heap_done(struct wg_heap *heap);
/* Room for @n nodes, so that wg_heap_set() needs none. -ENOMEM. */
int wg_heap_reserve(struct wg_heap *heap, size_t n);
/* Puts @node in, or moves it. There must be room. */
void wg_heap_set(struct wg_heap *heap, struct wg_heap_node *node, uint64_t at_us);
/* Nothing if it is not in. */
void wg_heap_remove(struct wg_heap *heap, struct wg_heap_node *node);

static inline struct wg_heap_node *wg_heap_first(const struct wg_heap *heap)
{
	return heap->n ? heap->nodes[0] : NULL;
}
