/*
 * finder-probe: pings of the finder's that find out how long one may be, while they wait for their
 * answers. A part of finder.h. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum { FINDER_PROBES_MAX = 256 }; /* the oldest is forgotten for another */

struct finder_probe {
	uint64_t tx; /* 0: none */
	uint64_t at_us;
	uint32_t id;
	struct endpoint to;
	size_t len;
};

/* Zero-initialise. */
struct finder_probes {
	struct finder_probe list[FINDER_PROBES_MAX];
	unsigned next; /* the oldest */
};

void finder_probes_note(struct finder_probes *probes, const struct finder_probe *probe);
/*
 * A pong of node @id came from @from: the probe that it answers, once; borrowed until the next one
 * is noted. NULL: none, or it went elsewhere.
 */
const struct finder_probe *finder_probes_take(
	struct finder_probes *probes, uint64_t tx, uint32_t id, const struct endpoint *from);
