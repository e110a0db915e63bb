/*
 * beacon: the subject of what boards of one LAN tell each other with nobody in between (wire/
 * beacon.h): where they are, by multicast on the links whose addresses are announced. So they find
 * each other with neither coordinator nor internet, also when all their addresses are others. When
 * it speaks is mesh/herald.h's; what it hears is believed as what the coordinator hands over is:
 * newer than what is known, and signed by the identity key of a board of the netmap.
 *
 * Its problem is "beacon": the port cannot be opened.
 */
#pragma once

#include <stdint.h>

#include "board/links.h"
#include "node/core.h"
#include "node/peer.h"

/* Both groups hold the port's number: 41743 is 0xa30f, and that 163 and 15. */
#define BEACON_PORT   41743
#define BEACON_GROUP4 "239.255.163.15"  /* RFC 2365, section 6.1: of a site */
#define BEACON_GROUP6 "ff12::8000:a30f" /* RFC 4291, section 2.7: of a link, assigned to nobody */

struct beacon;

struct beacon_hooks {
	/* A board's presence is a new one, and in the book. */
	void (*heard)(void *ctx, const struct book_heard *heard);
};

/* Datagrams since it was made. */
struct beacon_counters {
	uint64_t sent, heard; /* heard: of a board of the mesh */
	uint64_t news;        /* a presence that was newer */
	uint64_t strange;     /* of another mesh, of nobody in this one, of a later version */
	uint64_t bad;         /* not sealed with this mesh's key, or not signed by whom it names */
	uint64_t unread;      /* too many of one source, or of all */
};

/* @core, @peers and @hooks are borrowed. */
int beacon_new(struct core *core, const struct peers *peers, const struct beacon_hooks *hooks,
	void *ctx, struct beacon **ret, struct err *err);
struct beacon *beacon_free(struct beacon *beacon);

/* Speaks and listens on those of @links (not kept) that are uplinks; NULL: nowhere. */
void beacon_follow(struct beacon *beacon, const struct links *links);
/* Our presence in the book is the one of now: others are to have it. */
void beacon_tell(struct beacon *beacon);
/* Every few seconds: whether boards are missed. */
void beacon_look(struct beacon *beacon);

const struct beacon_counters *beacon_counters(const struct beacon *beacon);
