/*
 * mapped: the subject of where the world sees this board. It asks STUN servers, those of the mesh's
 * relays and those that the settings name, from the tunnel's own port, and keeps what mesh/nat.h
 * makes of their answers: what others may try beside our own addresses, and what there is to tell
 * of the network around. In an idle mesh it asks every ten minutes.
 *
 *   mapped.c        what is asked, when, and what is believed of what comes in
 *   stun-once.c     one question from a port of its own
 *   stun-servers.c  where the servers are that the settings name
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mesh/nat.h"
#include "node/candidates.h"
#include "node/core.h"
#include "node/peer.h"

struct mapped;

/* A server that is asked. */
struct mapped_server {
	struct endpoint at;
	uint32_t relay;   /* the node whose relay it is; 0: the settings name it */
	const char *host; /* then: its host. Borrowed until the next event */
	bool asked;       /* last time: we have an address of its family */
	uint64_t rtt_us;  /* 0: it did not answer */
};

struct mapped_hooks {
	/* Where the mesh's relays have STUN: @at and @relay of up to @max. Returns how many. */
	size_t (*relays)(void *ctx, struct mapped_server *ret, size_t max);
	/* Our own addresses. Borrowed. */
	const struct candidates *(*own)(void *ctx);
	/* mapped_sides() say something else; mapped_endpoints(), of our presence, may. */
	void (*changed)(void *ctx);
	/* mapped_sample() was answered. */
	void (*sampled)(void *ctx, const struct endpoint *outside);
};

/* What came in by the side door, since it was made. */
struct mapped_counters {
	uint64_t sent, answers;
	uint64_t strange;  /* an answer to nothing that was asked there */
	uint64_t bad;      /* no answer of STUN's, or broken */
	uint64_t refused;  /* by an error */
	uint64_t nonsense; /* it names an address that no board can have there */
};

/* @peers is borrowed. */
int mapped_new(struct core *core, const struct peers *peers, const struct mapped_hooks *hooks,
	void *ctx, struct mapped **ret, struct err *err);
struct mapped *mapped_free(struct mapped *mapped);

/* Asks by @tunnel, which stays until the next call; NULL: there is none, and nothing is known. */
void mapped_use(struct mapped *mapped, struct tunnel *tunnel);
/* Settings may name other servers, or relays are found elsewhere. */
void mapped_follow(struct mapped *mapped);
/* Our own addresses or routes are others: a few times at once, then ever more seldom. */
void mapped_moved(struct mapped *mapped);
/* Every few seconds. */
void mapped_look(struct mapped *mapped);
/* The finder's hook: @event is STUN, from anybody. */
void mapped_take(struct mapped *mapped, const struct tunnel_event *event);

/*
 * Asks the nearest IPv4 server from a port that nothing was sent from yet, by one packet: a NAT
 * that counts does so for all who are behind it, and where we are known already it says nothing
 * new. One at a time: asked again meanwhile, the answer is for both.
 */
void mapped_sample(struct mapped *mapped);

/* Where others may try us beside our links' addresses, in a fixed order. Returns how many. */
size_t mapped_endpoints(const struct mapped *mapped, struct endpoint ret[static NAT_ANNOUNCED_MAX]);
/*
 * The nearest server that answers and is further than our own LAN, and any provider's, over IPv4.
 * False: none is known.
 */
bool mapped_far_server(const struct mapped *mapped, struct endpoint *ret);

/* What is known; @port_mapping is not its own. Borrowed until the next event. */
const struct nat_side *mapped_sides(const struct mapped *mapped);
size_t mapped_servers(
	const struct mapped *mapped, struct mapped_server ret[static NAT_SERVERS_MAX]);
const struct mapped_counters *mapped_counters(const struct mapped *mapped);

/*
 * For a person: asks all servers, and calls @done when they have answered or had their time (three
 * seconds), or when it ends. -EBUSY: MAPPED_CHECKS_MAX wait already.
 */
enum { MAPPED_CHECKS_MAX = 16 };
int mapped_check(struct mapped *mapped, void (*done)(void *ctx), void *ctx);
