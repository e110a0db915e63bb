/*
 * finder: finds out at which of its addresses each peer is reached, by disco's pings and calls
 * (wire/disco.h) through the tunnel's port, and tells the tunnel. What it decides is decided in
 * mesh/ways.h; nobody else gives the tunnel an endpoint, or sends and receives disco.
 */
#pragma once

#include <stdint.h>

#include "node/core.h"
#include "node/peer.h"

struct finder;

struct finder_hooks {
	/*
	 * What is sent to node @id, where it is reached, has had no answer: @sent bytes,
	 * UINT64_MAX: it is not known how many.
	 */
	void (*missed)(void *ctx, uint32_t id, uint64_t sent);
	/*
	 * Node @id is reached by a relay now, and was reached without: where we are seen from
	 * outside may be another place. NULL: nobody wants to know.
	 */
	void (*left)(void *ctx, uint32_t id);
	/* STUN came in by the side door (borrowed): from anybody. */
	void (*aside)(void *ctx, const struct tunnel_event *event);
	/* Where a flow that begins now comes out of our NAT: finder_sampled(), or nothing. */
	void (*sample)(void *ctx);
	/* Node @id is reached elsewhere than before. */
	void (*elsewhere)(void *ctx, uint32_t id);
	/* A CALL of node @id's came by its relay. @guess: it has ports open to us (guess.h). */
	void (*called)(void *ctx, uint32_t id, bool guess);
	/* A ping of @len bytes to node @id at @to (finder_probe) was answered after @rtt_us. */
	void (*probed)(
		void *ctx, uint32_t id, const struct endpoint *to, size_t len, uint64_t rtt_us);
};

/* What went by the side door, since it was made. */
struct finder_counters {
	uint64_t pings_sent, pongs_sent;
	uint64_t pings, pongs; /* authentic; pongs that answer a ping of ours */
	uint64_t strange;      /* neither disco nor STUN, or of nobody in the mesh */
	uint64_t bad;          /* with a hint of a peer's, and not its; or of a later version */
	uint64_t unanswered;   /* pings in a flood of them */
	uint64_t calls_sent, calls; /* authentic, and heeded */
	uint64_t unheeded;          /* calls that came past the relay, or too many */
};

/* Where this board is, and what it knows of the NAT that it is behind. */
struct finder_own {
	struct ways_own at;
	int16_t step;            /* of a NAT that counts */
	struct endpoint outside; /* where it was seen last from outside; family 0: unknown */
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

/*
 * Sends node @id a ping of @len bytes (DISCO_MIN_LEN to DISCO_MAX_LEN) to @to, which may not be
 * fragmented. Whether it is answered is told by probed() alone, and means nothing to its ways.
 */
void finder_probe(struct finder *finder, uint32_t id, const struct endpoint *to, size_t len);

/*
 * For who looks for node @id by guessing (holes.h). A CALL to it is due now; what that and others
 * tell of ports that are open to it, is in the table (peer.h).
 */
void finder_call(struct finder *finder, uint32_t id);
/* A ping to where it may be, whose answer is not waited for: if it is there, it pings us. */
void finder_guess(struct finder *finder, uint32_t id, const struct endpoint *to);
/* The same, to be sent from elsewhere than the tunnel's port. False: there is no such peer. */
bool finder_seal(struct finder *finder, uint32_t id, uint8_t ret[static DISCO_MIN_LEN]);
/* Whether @data, which came to elsewhere than there, is disco of node @id. */
bool finder_recognises(struct finder *finder, uint32_t id, const uint8_t *data, size_t len);

/* Our own addresses or routes are others: every way is looked at again. */
void finder_moved(struct finder *finder);

/* Where this board is now, which peers are told that have no direct way to it. Copied. */
void finder_own(struct finder *finder, const struct finder_own *own);

/* A flow that began just now was seen at @outside: the last port of a NAT that counts. */
void finder_sampled(struct finder *finder, const struct endpoint *outside);

/*
 * To be called every five seconds, after peers_look(): notes which peers traffic flows to and from,
 * and whether this board slept.
 */
void finder_look(struct finder *finder);

const struct finder_counters *finder_counters(const struct finder *finder);
