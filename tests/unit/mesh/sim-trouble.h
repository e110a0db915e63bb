/*
 * sim-trouble: what goes wrong in a simulation, and is right again.
 */
#pragma once

#include "sim-world.h"

void sim_trouble_begin(struct sim *sim, const struct sim_trouble *trouble);
void sim_trouble_end(struct sim *sim, const struct sim_trouble *trouble);
/* More of SIM_REPLAY, SIM_FLAPS and SIM_CALLS, until then. */
void sim_trouble_replay(struct sim *sim, unsigned board, uint64_t until_us);
void sim_trouble_flip(struct sim *sim, uint64_t until_us);
void sim_trouble_call(struct sim *sim, unsigned board, uint64_t until_us);
