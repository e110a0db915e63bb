/*
 * relays: the subject of the relays that this board uses (PROTOCOL.md sections 12 and 13). It binds
 * itself to those that the records name, says which is its home, and has those peers carried by
 * them that have no direct way.
 *
 *   relays.c        which relays there are and are used; home; the ferry's life
 *   relays-tell.c   what is told: the problem, and how each relay is
 *   relayed.c       which peers are carried, and by which relay
 *   relay-ways.c    one relay: both ways to it, and when which is needed
 *   relay-link.c    by UDP: a carrier, a bond
 *   relay-stream.c  by a stream, which is the ferry's
 *   relay-login.c   dials it, and logs in
 *   relay-addrs.c   where it is
 *
 * Its problem is "relay": none answers, and somebody cannot be reached without.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/core.h"
#include "node/peer.h"
#include "node/relay-ways.h"

enum {
	RELAYS_MAX = FERRY_RELAYS_MAX, /* that are known */
	RELAYS_AT_ONCE = 8, /* that we are bound to: home, those that are needed, others */
};
#define RELAYS_TELL_US UINT64_C(15000000) /* so long none answers before it is a problem */

struct relays;

struct relays_hooks {
	/* Home is another one: it belongs into our presence. */
	void (*homed)(void *ctx);
	/* Peers have other ways: pings may be due. */
	void (*changed)(void *ctx);
};

/* @peers is borrowed. */
int relays_new(struct core *core, struct peers *peers, const struct relays_hooks *hooks, void *ctx,
	struct relays **ret, struct err *err);
struct relays *relays_free(struct relays *relays);

/* Carries what goes by @tunnel, which stays until the next call; NULL: there is none. */
void relays_use(struct relays *relays, struct tunnel *tunnel);

/* Records have changed: other boards are relays, or peers are others. */
void relays_follow(struct relays *relays);
/* The presence of node @id is a new one. */
void relays_heard(struct relays *relays, uint32_t id);
/* Our own addresses or routes are others. */
void relays_moved(struct relays *relays);
/* A person has changed the configuration: perhaps the proxy. */
void relays_hurry(struct relays *relays);
/* What is sent to node @id is not answered. */
void relays_missed(struct relays *relays, uint32_t id);
/* Every few seconds. */
void relays_look(struct relays *relays);

/* The node of our home relay, 0: none. */
uint32_t relays_home(const struct relays *relays);

/*
 * Where relays have STUN, as far as is known: one address of each family of each, but for a relay
 * on this board, which sees us as we see ourselves. Up to @max in @ret, and how many.
 */
struct relays_stun {
	uint32_t id;
	struct endpoint at;
};
size_t relays_stun(const struct relays *relays, struct relays_stun *ret, size_t max);

struct relays_report {
	uint32_t id;
	bool home;
	const char *state;  /* as relay_ways_state() */
	const char *way;    /* as relay_ways_by() */
	uint64_t rtt_us;    /* 0: not known */
	struct endpoint at; /* family 0: nowhere yet */
	char why[RELAY_WAYS_WHY_MAX];
};
/* How they are, by number. Returns how many. */
size_t relays_report(const struct relays *relays, struct relays_report ret[static RELAYS_MAX]);
