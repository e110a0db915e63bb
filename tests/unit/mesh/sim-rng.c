#include "sim-rng.h"

#include <assert.h>

uint64_t sim_rng_next(struct sim_rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sim_rng_below(struct sim_rng *rng, uint64_t n)
{
	assert(n);
	return sim_rng_next(rng) % n;
}

uint64_t sim_rng_between(struct sim_rng *rng, uint64_t least, uint64_t most)
{
	assert(least <= most);
	return least + sim_rng_below(rng, most - least + 1);
}

bool sim_rng_chance(struct sim_rng *rng, unsigned permille)
{
	return permille && sim_rng_below(rng, 1000) < permille;
}
