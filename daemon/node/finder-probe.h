/*
 * finder-probe: pings of the finder's that find out how long one may be, and wait for their
 * answers. A part of finder.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "node/peer.h"
#include "wire/disco.h"

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

/*
 * Sends @peer @ping, padded to @len bytes, at @to in one piece. 0 or -errno: it did not leave, and
 * is not waited for.
 */
int finder_probes_send(struct finder_probes *probes, struct tunnel *tunnel, const struct peer *peer,
	const struct disco *ping, const struct endpoint *to, size_t len, uint64_t now_us);
/*
 * A pong of node @id came from @from: the probe that it answers, once; borrowed until the next one
 * is sent. NULL: none, or it went elsewhere.
 */
const struct finder_probe *finder_probes_take(
	struct finder_probes *probes, uint64_t tx, uint32_t id, const struct endpoint *from);
