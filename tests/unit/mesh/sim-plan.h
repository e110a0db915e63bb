/*
 * sim-plan: what happens in one run of the simulation, all of it from the seed: who the boards are
 * and behind what, how good the network is, who sends when, and what goes wrong when.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim-net.h"
#include "sim-site.h"

enum {
	SIM_TROUBLES_MAX = 8,
	SIM_PHASES_MAX = 40,
};

enum sim_trouble_kind {
	SIM_FORGETS,   /* a board's router has lost all mappings */
	SIM_RENUMBERS, /* and has another address */
	SIM_BOTH,      /* both boards' routers at the same time */
	SIM_RESTARTS,  /* hearthd of a board is away for a while */
	SIM_SLEEPS,    /* a board is */
	SIM_RELAY,     /* the relay is */
	SIM_CUT,       /* no direct packets between the first two */
	SIM_CUT_ONE,   /* and from one to the other only */
	SIM_FLAPS,     /* that, again and again for a second or two */
	SIM_DHCP,      /* a board's own address is another */
	SIM_REPLAY,    /* somebody sends an old ping of a board's again and again, from anywhere */
	SIM_STORM,     /* much is lost */
	SIM_CALLS,     /* the other board calls without end, and names somebody else's server */
	SIM_MOVES,     /* all addresses are others, of boards and of routers */
	SIM_ROAMS,     /* a board is carried elsewhere, behind something else */
	SIM_RESTLESS,  /* a router forgets again and again, so that each look finds another port */
	SIM_HELD_UP,   /* a board does nothing for a while, and does not know it */
	SIM_LINKS,     /* those of a board come and go without end */
	SIM_SLOW,      /* all packets take seconds: a queue is full */
	SIM_POWER,     /* both boards are off, and the relay is away */
	SIM_TROUBLE_KINDS,
};

struct sim_trouble {
	enum sim_trouble_kind kind;
	uint64_t at_us, for_us; /* 0: it is over at once */
	unsigned board;
};

/* Who sends from then on: bit 0 the first board to the second, bit 1 the other way. */
struct sim_phase {
	uint64_t at_us;
	unsigned who;
};

struct sim_plan {
	struct sim_pair pair;
	bool has_third;
	enum sim_behind third;
	uint64_t end_us;
	uint64_t lifetime_us, linger_us;
	uint64_t wan_us, wan_jitter_us, relay_us;
	unsigned loss, twice;
	bool has_coordinator, has_strangers;
	uint64_t start_us[SIM_BOARDS_MAX], every_us; /* a packet */
	struct sim_trouble troubles[SIM_TROUBLES_MAX];
	size_t n_troubles;
	struct sim_phase phases[SIM_PHASES_MAX];
	size_t n_phases;
};

/* Each pair has its turn with consecutive seeds. */
void sim_plan_make(uint64_t seed, struct sim_plan *ret);
/* Easy and easy, 5 of 100 lost, and nothing happens: how long until it is direct? */
void sim_plan_make_easy(uint64_t seed, struct sim_plan *ret);

const char *sim_trouble_name(enum sim_trouble_kind kind);
