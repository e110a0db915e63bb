/*
 * holes: the subject of ways that are guessed, where one of two boards is behind a NAT whose
 * outside ports nobody can tell (mesh/guess.h decides). It tries with one peer at a time, and only
 * where calls have been in vain for a while, and the relay answers.
 *
 *   holes.c         with whom, and when; a try
 *   hole-sockets.c  the sockets of the hard side
 *   hole-ways.c     those that met the peer
 *
 * The hard side begins, and says so in its calls (PROTOCOL.md section 10).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/core.h"
#include "node/peer.h"

struct holes;

struct holes_hooks {
	/* A STUN server outside. False: none is known. */
	bool (*server)(void *ctx, struct endpoint *ret);
	/* A CALL to node @id is due now. */
	void (*call)(void *ctx, uint32_t id);
	/* Sends node @id a ping to @to, from the tunnel's port. */
	void (*ping)(void *ctx, uint32_t id, const struct endpoint *to);
	/* A ping for node @id, to be sent from elsewhere. False: there is no such peer. */
	bool (*seal)(void *ctx, uint32_t id, uint8_t ret[static DISCO_MIN_LEN]);
	/* Whether @data is disco of node @id. */
	bool (*recognises)(void *ctx, uint32_t id, const uint8_t *data, size_t len);
	/* A peer has another way: pings are due. */
	void (*changed)(void *ctx);
};

/* Since it was made. */
struct holes_counters {
	uint64_t tries;   /* that sent pings */
	uint64_t pings;   /* to where a peer may be */
	uint64_t met;     /* tries that ended so */
	uint64_t in_vain; /* or so */
	uint64_t hurt;    /* or so, because STUN's answers stayed away or got late */
	uint64_t refused; /* what a peer wanted, but not so soon, or not there again */
	uint64_t now;     /* ways that there are by now */
};

/* @peers is borrowed. */
int holes_new(struct core *core, struct peers *peers, const struct holes_hooks *hooks, void *ctx,
	struct holes **ret, struct err *err);
struct holes *holes_free(struct holes *holes);

/* For what goes by @tunnel from now on; NULL: there is none any more. */
void holes_use(struct holes *holes, struct tunnel *tunnel);
/* A CALL of node @id's came. @guess: it has ports open to us. */
void holes_called(struct holes *holes, uint32_t id, bool guess);
/* Every few seconds. */
void holes_look(struct holes *holes);

struct holes_counters holes_counters(const struct holes *holes);
