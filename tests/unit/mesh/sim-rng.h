/*
 * sim-rng: numbers by chance that are the same for the same seed on every machine (splitmix64, by
 * Steele, Lea and Flood). For the simulation of the path engine only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
	uint64_t state; /* the seed */
};

uint64_t sim_rng_next(struct sim_rng *rng);
/* Less than @n, which is not 0. */
uint64_t sim_rng_below(struct sim_rng *rng, uint64_t n);
/* Both ends included. */
uint64_t sim_rng_between(struct sim_rng *rng, uint64_t least, uint64_t most);
bool sim_rng_chance(struct sim_rng *rng, unsigned permille);
