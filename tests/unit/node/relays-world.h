/*
 * relays-world: the relays of hearthd as its tests have them. We are board 1, with peer 2; 4, 5 ...
 * are relays, played here. The ferry, the tunnel, the resolver and connections are fakes, and the
 * finder is a few lines.
 */
#pragma once

#include "fake-core.h"
#include "fake-dial.h"
#include "fake-ferry.h"

#include "node/relays.h"

#define SECOND USEC_PER_SEC
#define MS     USEC_PER_MSEC

struct world {
	struct core *core;
	struct peers *peers;
	struct relays *relays;
	unsigned n_homed, n_changed, n_pings;
	bool alive[FAKE_IDS];             /* this relay answers each BIND */
	bool arrives[FAKE_IDS][FAKE_IDS]; /* what goes to this peer by this relay */
	bool direct[FAKE_IDS];            /* what goes to this peer otherwise */
};
extern struct world world;
extern struct tunnel *const world_tunnel; /* not looked into */
extern const struct relays_hooks world_hooks;

int world_set_up(void **state);
int world_tear_down(void **state);

/* Node @id is a relay at these hosts; NULL: none. */
void world_put_relay(uint32_t id, const char *host, const char *other);
/* Its secret key. */
const uint8_t *world_secret_of(uint32_t id);
/* Records are others. Of the peers, only 2 can be pinged. */
void world_follow(void);
/* The tunnel is there, and what was put. */
void world_begin(void);
/* Peer 2 is at @endpoint, it says. */
void world_announce_2(const char *endpoint);

/* Time goes by, also for the finder and the relays; and the subject is asked to look. */
void world_pass(uint64_t us);
/* Of the finder: all that are due, of which those that arrive are answered at once. */
void world_ping(void);

/* The ferry's events are read. */
void world_deliver(void);
/* Relay @id answers the last BIND; the second one with a session that is its number's. */
void world_say_bound(uint32_t id, uint32_t session);
void world_bind_to(uint32_t id);
/* Something of @node came by @relay; @relay says that it does not know him. */
void world_heard(uint32_t relay, uint32_t node);
void world_absent(uint32_t relay, uint32_t node);

struct peer *world_peer(uint32_t id);
const struct relays_report *world_report(uint32_t id);
/* Peer 2 is reached by a relay. */
bool world_is_relayed(void);
/* The carrier of @relay goes to the endpoint @text. */
void world_assert_to(uint32_t relay, const char *text);
