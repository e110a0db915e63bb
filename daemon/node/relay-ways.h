/*
 * relay-ways: a relay of the mesh as this board uses it: by UDP (relay-link.h), and by a stream
 * (relay-stream.h) for as long as UDP has not proved good. Both are begun at once, and what answers
 * first carries; the ferry prefers UDP. A part of relays.h, whose thread's it is.
 */
#pragma once

#include "mesh/home.h"
#include "node/relay-link.h"
#include "node/relay-stream.h"

/* UDP has been good for so long: no stream is kept beside it. */
#define RELAY_WAYS_BESIDE_US UINT64_C(30000000)

struct relay_ways {
	uint32_t id;
	struct node_relay record; /* a copy */
	bool usable;              /* its key is one */
	uint32_t twin; /* the relay that says that it has the same key, and is believed; 0: none */
	struct ferry *ferry; /* borrowed; NULL: it is not used now */
	struct relay_addrs addrs;
	struct relay_link link;
	struct relay_stream stream;
	uint64_t bound_us; /* UDP carries since then; 0: it does not */
	bool carried;      /* when relays.h looked last */
};

/*
 * Of @node, which has the field. @changed is called with @ctx when something came of its names or
 * its stream: run again. It must not be moved in memory.
 */
void relay_ways_init(struct relay_ways *ways, struct core *core, const struct pair_self *self,
	const struct node *node, void (*changed)(void *ctx), void *ctx);
/* The ferry, if it was used, is to be there still. */
void relay_ways_done(struct relay_ways *ways);

/* Relay @twin has the same key: this one must not be used, for it could go there in our name. */
void relay_ways_bar(struct relay_ways *ways, uint32_t twin, uint64_t now_us);

/* Whether it is used from now on, with @ferry; NULL: no more. */
void relay_ways_use(struct relay_ways *ways, struct ferry *ferry, uint64_t now_us);

/* All that is due. When it is to be called again, UINT64_MAX: not before something happens. */
uint64_t relay_ways_run(struct relay_ways *ways, uint64_t now_us);
/* What goes by it is not answered. */
void relay_ways_doubt(struct relay_ways *ways, uint64_t now_us);
/* Our own addresses are others. */
void relay_ways_moved(struct relay_ways *ways, uint64_t now_us);

/* As home.h and relayed.h see it. */
struct home_choice relay_ways_choice(const struct relay_ways *ways, uint64_t now_us);

/* "bound", "refused" (it answers, and does not know us), "silent", "unused". */
const char *relay_ways_state(const struct relay_ways *ways, uint64_t now_us);
/* By which it carries: "udp", "tcp"; NULL: by none. */
const char *relay_ways_by(const struct relay_ways *ways, uint64_t now_us);
/* Where it is found; family 0: nowhere yet, or only somebody between us knows. */
struct endpoint relay_ways_at(const struct relay_ways *ways, uint64_t now_us);

enum { RELAY_WAYS_WHY_MAX = RELAY_LINK_WHY_MAX + RELAY_STREAM_WHY_MAX + 2 };
/* What is wrong with it, for a person; "" if it carries by UDP. Returns @ret. */
const char *relay_ways_why(
	const struct relay_ways *ways, uint64_t now_us, char ret[static RELAY_WAYS_WHY_MAX]);
