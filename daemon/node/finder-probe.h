/*
 * finder-probe: pings to one peer that find out how long one may be, while they wait for their
 * answers. Each peer has its own, so that many who are probed at once do not make each other be
 * forgotten. A part of finder.h. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

/* Two rounds of the mtu's (mesh/mtu.h). The oldest is forgotten for another. */
enum { FINDER_PROBES_MAX = 32 };

struct finder_probe {
	uint64_t tx; /* 0: none */
	uint64_t at_us;
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
 * A pong of the peer's came from @from: the probe that it answers, once; borrowed until the next
 * one is noted. NULL: none, or it went elsewhere.
 */
const struct finder_probe *finder_probes_take(
	struct finder_probes *probes, uint64_t tx, const struct endpoint *from);
