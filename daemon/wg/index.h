/*
 * index: receiver indexes of handshakes under way and of sessions: random 32-bit numbers that
 * the other side puts into its packets. Open addressing at most half full; the place of an index
 * depends on a random key.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct wg_peer;
struct wg_session;

struct wg_index_entry {
	struct wg_peer *peer;       /* NULL: free */
	struct wg_session *session; /* NULL: @peer's handshake under way */
	uint32_t index;
};

/* Embedded, zero-initialised. */
struct wg_index {
	struct wg_index_entry *slots; /* owned */
	size_t mask, used;            /* mask is 0 while there are no slots */
	uint64_t key;
};

void wg_index_done(struct wg_index *index);
/* Takes a fresh random index. -ENOMEM. */
int wg_index_add(struct wg_index *index, struct wg_peer *peer, struct wg_session *session,
	uint32_t *ret_index);
/* Borrowed until the next change; NULL if unknown. @session may be set in place. */
struct wg_index_entry *wg_index_find(const struct wg_index *index, uint32_t value);
/* Nothing if unknown. */
void wg_index_remove(struct wg_index *index, uint32_t value);
