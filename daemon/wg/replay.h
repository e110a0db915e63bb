/*
 * replay: which counters of a session were seen (RFC 6479). The ring has 8,192 bits, one word of
 * which is always in the course of being cleared: a counter up to 8,128 below the highest one is
 * still told apart.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { WG_REPLAY_BITS = 8192, WG_REPLAY_WINDOW = WG_REPLAY_BITS - 64 };

struct wg_replay {
	uint64_t next; /* highest counter accepted + 1; 0 = none yet */
	uint64_t ring[WG_REPLAY_BITS / 64];
};

/*
 * True once per counter, and marks it; false if it was seen, is too old or not below @limit. Call
 * only after the packet was authenticated.
 */
bool wg_replay_accept(struct wg_replay *replay, uint64_t counter, uint64_t limit);
