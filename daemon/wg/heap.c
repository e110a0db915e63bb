/*
 * heap: see heap.h. A binary heap; every operation takes log2 of the number of nodes in it.
 */
#include "wg/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void wg_heap_done(struct wg_heap *heap)
{
	free(heap->nodes);
	*heap = (struct wg_heap){ 0 };
}

int wg_heap_reserve(struct wg_heap *heap, size_t n)
{
	if (n <= heap->room)
		return 0;
	size_t room = heap->room ? heap->room : 16;

	while (room < n)
		room *= 2;
	struct wg_heap_node **nodes =
		reallocarray(heap->nodes, room, sizeof(struct wg_heap_node *));

	if (!nodes)
		return -ENOMEM;
	heap->nodes = nodes;
	heap->room = room;
	return 0;
}

static void put(struct wg_heap *heap, size_t i, struct wg_heap_node *node)
{
	heap->nodes[i] = node;
	node->place = i + 1;
}

static void sift(struct wg_heap *heap, size_t i, struct wg_heap_node *node)
{
	while (i > 0 && heap->nodes[(i - 1) / 2]->at_us > node->at_us) {
		put(heap, i, heap->nodes[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < heap->n &&
			heap->nodes[child + 1]->at_us < heap->nodes[child]->at_us)
			child++;
		if (child >= heap->n || heap->nodes[child]->at_us >= node->at_us)
			break;
		put(heap, i, heap->nodes[child]);
		i = child;
	}
	put(heap, i, node);
}

void wg_heap_set(struct wg_heap *heap, struct wg_heap_node *node, uint64_t at_us)
{
	node->at_us = at_us;
	if (!node->place) {
		assert(heap->n < heap->room);
		put(heap, heap->n++, node);
	}
	sift(heap, node->place - 1, node);
}

void wg_heap_remove(struct wg_heap *heap, struct wg_heap_node *node)
{
	if (!node->place)
		return;
	size_t i = node->place - 1;
	struct wg_heap_node *last = heap->nodes[--heap->n];

	node->place = 0;
	if (last != node)
		sift(heap, i, last);
}
