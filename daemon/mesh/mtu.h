/*
 * mtu: how long a packet the way to a peer carries in one piece, found out by pings that are padded
 * and may not be fragmented: as RFC 8899 has it, so no ICMP message is needed, or believed. Pure:
 * the caller sends the probes, and says what is answered and what time it is (microseconds of a
 * clock that never goes back).
 *
 * Sizes are bytes of a packet in the tunnel. It is one way at a time, and one direction: the peer
 * finds out for itself what its own packets may be.
 *
 *   search   a new way: the interface's MTU first, and if that is not answered at once, all sizes
 *            that are likely, together, twice. One round trip where the way is as wide as the
 *            interface, some tenths of a second elsewhere
 *   check    what is known is asked for once more: while much is sent, every few seconds, and when
 *            something sent has had no answer. A small ping goes with it: where neither is
 *            answered, the way is dead and not narrow. If only that one is, there is a search
 *   growth   while something is sent, now and then: is there more to be had?
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Of every route until more is known, and of IPv6 always (RFC 8200 section 5). */
	MTU_LEAST = 1280,
	MTU_SURE = 512,        /* every way carries that: the least that is looked for */
	MTU_SMALL = 60,        /* of the ping that goes with a check: none is shorter */
	MTU_PROBES_MAX = 16,   /* at once */
	MTU_WAIT_US = 200000,  /* for answers, at least: two round trips and ... */
	MTU_SLACK_US = 150000, /* ... that; but ... */
	MTU_WAIT_MOST_US = 2000000,
	MTU_GROW_US = 45000000, /* between looks for more (RFC 8899 section 5.1.1 has 600 s) */
	MTU_VAIN_US = 10000000, /* after a search that nothing answered */
	/*
	 * Between checks, whoever doubts; twice as long after each that found nothing wrong, for
	 * much that is sent needs no answer ...
	 */
	MTU_DOUBT_US = 1000000,
	MTU_DOUBT_MOST_US = 8000000, /* ... up to here, until there is none for as long */
};
#define MTU_NEVER UINT64_MAX

enum mtu_step { MTU_RESTS, MTU_TRIES_TOP, MTU_TRIES_ALL, MTU_TRIES_LESS, MTU_CHECKS, MTU_GROWS };

/* Zero-initialise. */
struct mtu {
	unsigned top;  /* the interface's MTU; 0: no way is in use */
	unsigned size; /* that the way carries, as far as is known; 0: nothing is */
	unsigned best; /* that was answered since the search began; 0: nothing was */
	enum mtu_step step;
	unsigned sent; /* so often in this step */
	bool alive;    /* the small ping was answered */
	uint64_t wait_us;
	uint64_t next_us;  /* the next probes, but at rest */
	uint64_t again_us; /* no growth, and no new search after one in vain, before */
	uint64_t checked_us, doubted_us; /* the last time */
	uint64_t pause_us;               /* after it, of doubts */
};

/*
 * Another way is in use, whose round trip is @rtt_us (0: not known), or the interface's MTU is
 * another, @top: it is searched. What was known counts until that is over, so that one that moves
 * to and fro does not make everybody's packets short each time. @top 0: there is none.
 */
void mtu_way(struct mtu *mtu, unsigned top, uint64_t rtt_us, uint64_t now_us);
/* Something was sent on it since the last time this was called, some seconds ago; or @much. */
void mtu_traffic(struct mtu *mtu, bool much, uint64_t now_us);
/*
 * What is sent on it has had no answer for a while, @sent bytes (UINT64_MAX: unknown). Few bytes
 * need no answer: the last word of a conversation has none, and every way carries it.
 */
void mtu_doubt(struct mtu *mtu, uint64_t sent, uint64_t now_us);

/* Sizes to be probed now. Returns how many. */
size_t mtu_probes(struct mtu *mtu, uint64_t now_us, uint16_t ret[static MTU_PROBES_MAX]);
/* When there may be some; MTU_NEVER: not before something happens. */
uint64_t mtu_deadline(const struct mtu *mtu);
/* A probe of @size, sent on the way that is in use, was answered after @rtt_us. */
void mtu_answered(struct mtu *mtu, unsigned size, uint64_t rtt_us, uint64_t now_us);
