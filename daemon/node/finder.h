/*
 * finder: finds out at which of its addresses each peer is reached, by disco's pings (wire/disco.h)
 * through the tunnel's port, and tells the tunnel. What it decides is decided in mesh/ways.h;
 * nobody else gives the tunnel an endpoint.
 */
#pragma once

#include <stdint.h>

#include "node/core.h"
#include "node/peer.h"

struct finder;

struct finder_hooks {
	/* What is sent to node @id, where it is reached, has had no answer. */
	void (*missed)(void *ctx, uint32_t id);
};

/* What went by the side door, since it was made. */
struct finder_counters {
	uint64_t pings_sent, pongs_sent;
	uint64_t pings, pongs; /* authentic; pongs that answer a ping of ours */
	uint64_t strange;      /* no disco, or of nobody in the mesh */
	uint64_t bad;          /* with a hint of a peer's, and not its; or of a later version */
	uint64_t unanswered;   /* pings in a flood of them */
};

/* @peers is borrowed. */
int finder_new(struct core *core, struct peers *peers, const struct finder_hooks *hooks, void *ctx,
	struct finder **ret, struct err *err);
struct finder *finder_free(struct finder *finder);

/* Works with @tunnel, which is managed, from now on; NULL: there is none any more. */
int finder_use(struct finder *finder, struct tunnel *tunnel, struct err *err);

/* Peers have come or gone, or are somewhere else: those that have to be are pinged. */
void finder_follow(struct finder *finder);

/* Nothing has come from node @id for a while: its way is looked at again, and others are. */
void finder_doubt(struct finder *finder, uint32_t id);

/* Our own addresses or routes are others: every way is looked at again. */
void finder_moved(struct finder *finder);

const struct finder_counters *finder_counters(const struct finder *finder);
