/*
 * ways: at which of its addresses a peer is reached, decided from pings and their answers. Pure:
 * the caller sends the pings, and says what time it is (microseconds of a clock that never goes
 * back).
 *
 * While none is known to work, or there is reason to doubt the one in use, every address is pinged,
 * again and again and ever more seldom. What answers first is used from then on. One that was in
 * use is left only when it does not answer and another does: what two boards send may go by two
 * ways, as long as both work.
 *
 * One may be relayed: an address on this board from where a relay carries on. It is pinged as
 * others are, and used while no direct one is known to work: those are looked for all the time
 * then, and the first that answers is used at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/pace.h"

enum {
	WAYS_ANNOUNCED_MAX = 32,
	WAYS_HEARD_MAX = 4, /* that the peer does not announce, beside the one in use */
	WAYS_MAX =
		WAYS_ANNOUNCED_MAX + WAYS_HEARD_MAX + 1 + 1, /* the one in use, the relayed one */
	WAYS_GRACE_US = 200000,  /* so long the one in use has to answer before another is used */
	WAYS_FIRST_US = 200000,  /* between the first two rounds of pings; then twice as much ... */
	WAYS_OFTEN_US = 5000000, /* ... up to here ... */
	WAYS_TIRED_US = 120000000, /* ... and after so long without an answer */
	WAYS_SELDOM_US = 15000000,
	/*
	 * An address where the peer was heard is looked at again: twice as long each time, for as
	 * long as the one in use answers as well.
	 */
	WAYS_AGAIN_US = 1000000,
	WAYS_AGAIN_MOST_US = 600000000,
	/* By a relay: it has no direct way, so ours may be gone. */
	WAYS_AGAIN_RELAYED_US = 60000000,
	WAYS_HEARD_BURST = 4, /* looked at in a row; then one ... */
	WAYS_HEARD_PAUSE_US = 250000,
};
enum { WAYS_PINGS = 4 };
#define WAYS_NEVER UINT64_MAX

struct way {
	struct endpoint to;
	bool announced; /* by the peer; else it was heard from there, or long ago, or is ... */
	bool relayed;   /* ... the relayed one */
	bool due;       /* to be pinged */
	bool answered;  /* since the doubt began */
	struct {
		uint64_t tx, at_us;
	} pings[WAYS_PINGS];  /* the last ones that may be answered yet; tx 0: none */
	unsigned next_ping;   /* which of them is the oldest */
	uint64_t heard_us;    /* looked at then because the peer was heard there; 0: never */
	uint64_t again_us;    /* not so again for so long */
	uint64_t answered_us; /* 0: never */
	uint64_t rtt_us;      /* of the last answer */
};

struct ways {
	struct way *list; /* owned */
	size_t n, room;
	size_t in_use;     /* n: none */
	bool doubtful;     /* the one in use, or there is none, or it is relayed */
	uint64_t since_us; /* that */
	uint64_t round_us; /* when all are pinged next; WAYS_NEVER: they are not */
	uint64_t pause_us; /* between rounds */
	struct pace heard;
};

void ways_init(struct ways *ways);
void ways_done(struct ways *ways);

/*
 * The addresses that the peer announces now: WAYS_ANNOUNCED_MAX count, fewer when out of memory.
 * New ones are tried if need be.
 */
void ways_announced(struct ways *ways, const struct endpoint *list, size_t n, uint64_t now_us);

/*
 * The relayed one is @to from now on, NULL: there is none. It is pinged at once if need be. Where
 * it was in use, and is another or none now, it is as at the beginning.
 */
void ways_relayed(struct ways *ways, const struct endpoint *to, uint64_t now_us);
/* What it was is by another relay now: if it is in use, or need be, it is pinged. */
void ways_relayed_anew(struct ways *ways);

/*
 * The peer may be at @from: it was there when last seen, or something of it has just come from
 * there (authentic, though perhaps sent again by somebody). It is pinged, and so is the one in use.
 * An address of this board itself is a relayed one, or nothing.
 */
void ways_heard(struct ways *ways, const struct endpoint *from, uint64_t now_us);

/* What goes to the peer seems to be lost. All are pinged, once more at least. */
void ways_doubt(struct ways *ways, uint64_t now_us);
/*
 * What goes to the peer has had no answer for a moment: perhaps it is lost, more often it needs
 * none. The one in use is pinged, and the relayed one, so that it can take over at once.
 */
void ways_quiet(struct ways *ways, uint64_t now_us);
/* Our own addresses are others: all may work that did not. */
void ways_moved(struct ways *ways, uint64_t now_us);

/*
 * One more ping to be sent now, with the number @tx (not 0): true, and *@ret is where to. To be
 * called until it is false, with another number each time.
 */
bool ways_ping(struct ways *ways, uint64_t now_us, uint64_t tx, struct endpoint *ret);
/* When ways_ping() may have one; WAYS_NEVER: not before something happens. */
uint64_t ways_deadline(const struct ways *ways);

/* A pong came. False: it answers no ping of ours, or comes from elsewhere than that went. */
bool ways_pong(struct ways *ways, const struct endpoint *from, uint64_t tx, uint64_t now_us);

/* Where to send. NULL: nowhere yet. Borrowed until the next call. */
const struct way *ways_in_use(const struct ways *ways);
/* Whether that is the relayed one. */
bool ways_is_relayed(const struct ways *ways);
/* The relayed one, used or not; NULL: there is none. */
const struct way *ways_get_relayed(const struct ways *ways);
/* When the first ping went by @way, from @since_us on, that no answer came after; 0: none did. */
uint64_t way_missed_us(const struct way *way, uint64_t since_us);
