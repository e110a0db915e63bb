/*
 * sim-run: one run of the simulation by its plan, and what it came to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim-world.h"

struct sim_result {
	char why[SIM_WHY_MAX]; /* what did not hold; "": all did */
	bool direct;           /* the first two, in the end */
	uint64_t direct_us;    /* that began so long after the later of them had started */
	unsigned most_pings, most_tries, most_calls; /* of one board to another in a minute */
	unsigned most_changes, changes, causes;
	unsigned most_unproved; /* pings to an address that never answered */
	uint64_t events;
};

/*
 * The same seed and plan give the same run. @sim is as for sim_world_make(), and free again. What
 * happens is written to @trace; NULL: nowhere.
 */
void sim_run(struct sim *sim, uint64_t seed, const struct sim_plan *plan, FILE *trace,
	struct sim_result *ret);
