/*
 * door: which connections may come in, before anything was spent on them. One that has not shown a
 * known key is a stranger: they have few places in all and fewer from one source (an IPv4 address,
 * or a /64 of IPv6: a home or a provider's customer has a whole one), and only so many come in a
 * time. From an address at which somebody showed a known key lately many may come: that is a home
 * behind one address after a power cut, and a board beside an attacker in one /64. Pure: the caller
 * passes the time, and closes what has no place.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct door;

/* So many connections at once, then one each @refill_us. All zero: no limit. */
struct door_rate {
	unsigned burst;
	uint64_t refill_us;
};

struct door_rates {
	struct door_rate stranger;  /* of one source that is strange */
	struct door_rate strangers; /* of all such together */
	struct door_rate proven;    /* of one address at which somebody showed a known key */
	uint64_t proven_for_us;     /* no longer ago */
};

struct door_limits {
	unsigned places;               /* in all */
	unsigned per_source;           /* of one source, strangers or not */
	unsigned strangers;            /* in all; beyond them somebody is put out */
	unsigned strangers_per_source; /* the same of one source */
	struct ip_prefix proven; /* here each IPv6 address is a source: somebody vouches for it */
	struct door_rates rates;
};

enum door_answer {
	DOOR_ENTER,
	DOOR_FULL, /* the source has all places that it may have */
	DOOR_TOO_FAST,
};

/* 0 or -ENOMEM. */
int door_new(const struct door_limits *limits, struct door **ret);
struct door *door_free(struct door *door);

/* May a connection from @addr come in? Counts the try, not the connection. */
enum door_answer door_ask(struct door *door, const struct ip_addr *addr, uint64_t now_us);

/* A stranger came in; and has shown a known key; and left. Each once, in this order. */
void door_came(struct door *door, const struct ip_addr *addr);
void door_proved(struct door *door, const struct ip_addr *addr, uint64_t now_us);
void door_left(struct door *door, const struct ip_addr *addr, bool proved);

/* Whether both count as one source. */
bool door_same_source(const struct door *door, const struct ip_addr *a, const struct ip_addr *b);
/* Strangers now, from the source of @addr. */
unsigned door_strangers_from(struct door *door, const struct ip_addr *addr);

/* Whether a stranger must go, since one more came in from @addr. */
enum door_crowd {
	DOOR_ROOM,
	DOOR_CROWDED_SOURCE, /* one from its own source */
	DOOR_CROWDED,        /* one from the source that has most */
};
enum door_crowd door_crowd(struct door *door, const struct ip_addr *addr);
