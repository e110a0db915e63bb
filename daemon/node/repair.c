/* repair: see repair.h. */
#include "node/repair.h"

#include "base/clock.h"

#define FIRST_US  (2 * USEC_PER_SEC)
#define LAST_US   (240 * USEC_PER_SEC)
#define FORGET_US (600 * USEC_PER_SEC) /* longer than the longest pause, or no fight would last */
enum { FREE = 3 };

static bool is_over(const struct repair *repair, uint64_t now_us)
{
	return now_us - repair->last_us > FORGET_US;
}

uint64_t repair_wait_us(const struct repair *repair, uint64_t now_us)
{
	uint64_t pause = FIRST_US, since = now_us - repair->last_us;

	if (repair->times < FREE || is_over(repair, now_us))
		return 0;
	for (unsigned i = FREE; i < repair->times && pause < LAST_US; i++)
		pause *= 2;
	pause = pause < LAST_US ? pause : LAST_US;
	return pause > since ? pause - since : 0;
}

void repair_done(struct repair *repair, uint64_t now_us)
{
	if (is_over(repair, now_us))
		repair->times = 0;
	repair->times++;
	repair->last_us = now_us;
}

bool repair_is_fight(const struct repair *repair, uint64_t now_us)
{
	return repair->times > FREE && !is_over(repair, now_us);
}
