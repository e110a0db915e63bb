/*
 * sim-trouble: what goes wrong in a simulation, and is right again.
 */
#pragma once

#include "sim-world.h"

void sim_trouble_begin(struct sim *sim, const struct sim_trouble *trouble);
void sim_trouble_end(struct sim *sim, const struct sim_trouble *trouble);
/* @event is more of one that goes on for a while; false: of none. */
bool sim_trouble_more(struct sim *sim, const struct sim_event *event);
