/* repair: see repair.h. */
#include "node/repair.h"

#include "base/clock.h"

static const struct damping damping = {
	.free = 3,
	.first_us = 2 * USEC_PER_SEC,
	.longest_us = 240 * USEC_PER_SEC,
	.forget_us = 600 * USEC_PER_SEC,
};

uint64_t repair_wait_us(const struct repair *repair, uint64_t now_us)
{
	return damper_wait_us(&repair->damper, &damping, now_us);
}

void repair_done(struct repair *repair, uint64_t now_us)
{
	damper_done(&repair->damper, &damping, now_us);
}

bool repair_is_fight(const struct repair *repair, uint64_t now_us)
{
	return damper_is_on(&repair->damper, &damping, now_us);
}
