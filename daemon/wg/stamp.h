/*
 * stamp: timestamps of handshakes (TAI64N). A peer takes an initiation only with a later one
 * than ever before, so ours never go back: not when the wall clock does, and not over a restart
 * without a clock, for they are reserved on disk in blocks ahead of use. Rounded down to about 17
 * ms, so that they say little about our clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/wg.h"

/* The device's part: a clock that only goes forward. Zero-initialised but for the floor. */
struct wg_stamp_clock {
	uint64_t last_us, last_now_us; /* what it showed, and when */
	uint64_t reserved_s;           /* stamps are below this */
	uint64_t asked_s;              /* and soon below this; 0: nothing was asked for yet */
};

/* One stamp, comparable; embedded in each peer as the last one sent. */
struct wg_stamp {
	uint64_t s;
	uint32_t ns;
};

void wg_stamp_clock_init(struct wg_stamp_clock *clock, uint64_t floor_s);
/*
 * The next stamp: not before the wall clock, the floor, or @last. Is it allowed yet? See
 * reserved_s.
 */
struct wg_stamp wg_stamp_next(struct wg_stamp_clock *clock, const struct wg_stamp *last,
	uint64_t now_us, uint64_t wall_us);
static inline bool wg_stamp_is_later(const struct wg_stamp *a, const struct wg_stamp *b)
{
	return a->s > b->s || (a->s == b->s && a->ns > b->ns);
}
void wg_stamp_format(const struct wg_stamp *stamp, uint8_t ret[static WG_TIMESTAMP_LEN]);
