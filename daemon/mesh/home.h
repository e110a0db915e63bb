/*
 * home: by which relay others reach this board best: the one with the least round trip. Each change
 * is told to the whole mesh, so another has to be clearly better, and for a while; only one that
 * does not answer is left at once. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pace.h"

enum {
	HOME_NEARER_US = 10000,         /* at least so much, and a third of the round trip, ... */
	HOME_NEARER_FOR_US = 300000000, /* ... for so long */
};

/* Zero-initialise. @id is what was announced last, if that is known. */
struct home {
	uint32_t id;       /* the relay's node, 0: none */
	uint64_t since_us; /* another has been nearer since then; 0: none is */
	struct damper damper;
};

/* A relay that the mesh has. */
struct home_choice {
	uint32_t id;
	bool answers; /* and binds us */
	bool silent;  /* it has had its time */
	uint64_t rtt_us;
};

/*
 * What home should be now, of the @n relays there are. True: it is another one than before. One
 * that is silent stays home while no other answers: nothing would be gained.
 */
bool home_choose(struct home *home, const struct home_choice *list, size_t n, uint64_t now_us);
