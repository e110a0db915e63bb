/*
 * shed: how many handshake messages are let in, so that a flood of them takes neither the receive
 * buffer nor the processor from packets of sessions that are up. Pure: counts, and says which share
 * the sockets should keep (sock_set_shed()); what gets past them still has an end in every window.
 *
 * There are two classes with a budget each: whoever sends a MAC2 claims to have answered a cookie.
 * Garbage in its place costs a sender nothing, but then the flood is in that class alone and those
 * who ask for a cookie are heard; without it, those who got one are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sock/sock.h"

enum {
	SHED_WINDOW_US = 100000,
	/* Let in for each class: more than a processor can answer, less than what would keep it busy
	 * with refusing. */
	SHED_PER_WINDOW = 500,
};

struct shed {
	uint64_t window_us; /* when it began; 0: never */
	unsigned seen[SOCK_SHED_CLASSES];
	uint32_t keep[SOCK_SHED_CLASSES]; /* of SOCK_SHED_ALL */
	bool full;                        /* more came than the window may take */
};

void shed_init(struct shed *shed);

/* Counts a handshake or cookie message. False: it is one too many and dropped unread. */
bool shed_admit(struct shed *shed, const uint8_t *data, size_t len);

/* Ends the window if it is over or full. True if keep has changed. Cheap; once per round. */
bool shed_update(struct shed *shed, uint64_t now_us);

/* When shed_update() wants to be called though nothing comes in; UINT64_MAX: never. */
uint64_t shed_deadline(const struct shed *shed);

static inline bool shed_is_on(const struct shed *shed)
{
	for (int i = 0; i < SOCK_SHED_CLASSES; i++)
		if (shed->keep[i] < SOCK_SHED_ALL)
			return true;
	return false;
}
