/*
 * shed: how many datagrams that carry no packet are let in, so that a flood of them takes neither
 * the receive buffer nor the processor from packets of sessions that are up. Pure: counts, and says
 * which share the sockets should keep (sock_set_shed()); what gets past them still has an end in
 * every window.
 *
 * There are three classes with a budget each. Of handshake messages, whoever sends a MAC2 claims to
 * have answered a cookie. Garbage in its place costs a sender nothing, but then the flood is in
 * that class alone and those who ask for a cookie are heard; without it, those who got one are. And
 * what is not WireGuard's, which is somebody else's to read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sock/sock.h"

enum {
	SHED_WINDOW_US = 100000,
	/*
	 * What a message costs, about in microseconds: one whose MAC1 is wrong, and one that has to
	 * be answered, if only with a cookie.
	 */
	SHED_CHEAP = 1,
	SHED_DEAR = 16,
	/*
	 * Spent on each class at most: 5,000 answers a second, or 80,000 refusals. What goes aside
	 * costs as much as an answer.
	 */
	SHED_PER_WINDOW = 8000,
};

struct shed {
	uint64_t window_us; /* when it began; 0: never */
	unsigned spent[SOCK_SHED_CLASSES];
	uint32_t keep[SOCK_SHED_CLASSES]; /* of SOCK_SHED_ALL */
	bool full;                        /* more came than the window may take */
};

void shed_init(struct shed *shed);

/* The class of a datagram, none of data, or -1: it is one too many, drop it unread. */
int shed_admit(struct shed *shed, const uint8_t *data, size_t len);
/* What it cost. */
void shed_charge(struct shed *shed, int class, unsigned cost);

/* Is the window over, or full? Cheap; once per round. */
static inline bool shed_is_due(const struct shed *shed, uint64_t now_us)
{
	return shed->full || now_us - shed->window_us >= SHED_WINDOW_US;
}
/* Ends the window if it is due. True if keep has changed. */
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
