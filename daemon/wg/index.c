/*
 * index: see index.h. A multiplication with a secret odd key suffices as hash: indexes are
 * drawn by us at random, so nobody chooses what is in the table.
 */
#include "wg/index.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { SLOTS_MIN = 64 };

void wg_index_done(struct wg_index *index)
{
	free(index->slots);
	*index = (struct wg_index){ 0 };
}

static size_t place_of(const struct wg_index *index, uint32_t value)
{
	return (size_t) ((value * index->key) >> 32) & index->mask;
}

static void insert(struct wg_index *index, const struct wg_index_entry *entry)
{
	size_t at = place_of(index, entry->index);

	while (index->slots[at].peer)
		at = (at + 1) & index->mask;
	index->slots[at] = *entry;
}

static int grow(struct wg_index *index)
{
	size_t n = index->mask ? 2 * (index->mask + 1) : SLOTS_MIN;
	struct wg_index_entry *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	struct wg_index old = *index;

	index->slots = slots;
	index->mask = n - 1;
	if (!index->key) {
		randombytes_buf(&index->key, sizeof(index->key));
		index->key |= 1;
	}
	for (size_t i = 0; old.mask && i <= old.mask; i++)
		if (old.slots[i].peer)
			insert(index, &old.slots[i]);
	free(old.slots);
	return 0;
}

int wg_index_add(struct wg_index *index, struct wg_peer *peer, struct wg_session *session,
	uint32_t *ret_index)
{
	if (!index->mask || 2 * (index->used + 1) > index->mask + 1) {
		int r = grow(index);

		if (r < 0)
			return r;
	}
	uint32_t value;

	do {
		value = randombytes_random();
	} while (wg_index_find(index, value));
	insert(index, &(struct wg_index_entry){ peer, session, value });
	index->used++;
	*ret_index = value;
	return 0;
}

struct wg_index_entry *wg_index_find(const struct wg_index *index, uint32_t value)
{
	if (!index->mask)
		return NULL;
	for (size_t at = place_of(index, value); index->slots[at].peer; at = (at + 1) & index->mask)
		if (index->slots[at].index == value)
			return &index->slots[at];
	return NULL;
}

void wg_index_remove(struct wg_index *index, uint32_t value)
{
	struct wg_index_entry *entry = wg_index_find(index, value);

	if (!entry)
		return;
	/* Close the gap: whatever stands behind it and may move up does. */
	size_t gap = (size_t) (entry - index->slots);

	for (size_t at = (gap + 1) & index->mask; index->slots[at].peer;
		at = (at + 1) & index->mask) {
		size_t home = place_of(index, index->slots[at].index);

		if (((at - home) & index->mask) < ((at - gap) & index->mask))
			continue;
		index->slots[gap] = index->slots[at];
		gap = at;
	}
	index->slots[gap] = (struct wg_index_entry){ 0 };
	index->used--;
}
