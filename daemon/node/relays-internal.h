/*
 * relays-internal: shared by relays.c (which relays there are, and what happens) and relays-tell.c
 * (what a person is told of it).
 */
#pragma once

#include "node/relays.h"

struct relays {
	struct core *core;
	struct peers *peers;
	const struct relays_hooks *hooks;
	void *ctx;
	struct pair_self self;
	struct tunnel *tunnel; /* borrowed, NULL: none */
	uint64_t port_us;      /* its port was looked at; somebody may have moved it */
	uint16_t port;         /* its */
	struct ferry *ferry;   /* owned, NULL: none */
	sd_event_source *io, *timer;
	struct relay_ways *list[RELAYS_MAX]; /* owned, by number */
	size_t n;
	struct home_choice choices[RELAYS_MAX]; /* of the last turn */
	struct home home;
	bool begun;         /* home is what it was before the start, at least */
	uint64_t silent_us; /* none has carried since then; 0: one does */
	struct relayed *relayed;
};

/* --- relays-tell.c --- */

/* Sets the problem "relay", or says that there is none. */
void relays_tell_problem(struct relays *r, uint64_t now_us);
