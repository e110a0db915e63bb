/*
 * herald: when a board says on its LAN where it is. Three times within two seconds when it has
 * started or is somewhere else; once, a little later, when somebody asks; and it asks by itself,
 * ever more seldom, while it misses somebody. Else it is silent. Pure: the caller sends, and says
 * what time it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/pace.h"

enum {
	HERALD_TIMES = 3,                 /* after a start or a move, in growing pauses: */
	HERALD_PAUSE_US = 600000,         /* this, and then twice that; ... */
	HERALD_TOLD_US = 3000000,         /* after this it is told */
	HERALD_ANSWER_US = 200000,        /* who is asked answers within this, by chance */
	HERALD_AGAIN_US = 1000000,        /* and not again before this */
	HERALD_ASK_US = 1000000,          /* between the first two times that it asks; ... */
	HERALD_ASK_MOST_US = 60000000,    /* ... then twice as long each time, up to this */
	HERALD_MOVES = 4,                 /* so many in a row are told three times, then one ... */
	HERALD_MOVES_EVERY_US = 30000000, /* ... in so long. The others are told once, ... */
	HERALD_MOVED_US = 5000000,        /* ... this after what was said last */
};
#define HERALD_NEVER UINT64_MAX

enum herald_word {
	HERALD_NOTHING,
	HERALD_ANNOUNCE, /* where we are */
	HERALD_ASK,      /* the same, and where is everybody? */
};

struct herald {
	unsigned left;                       /* of the times that a move is told */
	uint64_t move_us, answer_us, ask_us; /* what is due when; HERALD_NEVER: it is not */
	uint64_t pause_us, ask_pause_us;
	uint64_t said_us; /* 0: never yet */
	struct pace moves;
};

void herald_init(struct herald *herald);

/* We have just started, or are where others do not look for us. */
void herald_moved(struct herald *herald, uint64_t now_us);
/* Somebody asks. @chance: any number, another one on each board. */
void herald_asked(struct herald *herald, uint64_t now_us, uint32_t chance);
/* Whether there are boards that we do not reach. */
void herald_misses(struct herald *herald, bool any, uint64_t now_us);

/* What is to be said now, and counts as said. */
enum herald_word herald_speak(struct herald *herald, uint64_t now_us);
/* When that may be something; HERALD_NEVER: not before something happens. */
uint64_t herald_deadline(const struct herald *herald);
