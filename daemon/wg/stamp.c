/* stamp: see stamp.h. For one peer every stamp is above the one before. */
#include "wg/stamp.h"

/*
 * TAI is 10 s ahead of 1970's UTC and WireGuard leaves leap seconds out, so the label of second s
 * is 2^62 + 10 + s. The step: the greatest power of two that fits 50 times into a second.
 */
#define LABEL   (UINT64_C(0x4000000000000000) + 10)
#define STEP_NS (UINT32_C(1) << 24)

void wg_stamp_clock_init(struct wg_stamp_clock *clock, uint64_t floor_s)
{
	*clock = (struct wg_stamp_clock){ .last_us = floor_s * 1000000, .reserved_s = floor_s };
}

/* Follows the wall clock when that is ahead, and otherwise runs on by itself. */
static uint64_t clock_read(struct wg_stamp_clock *clock, uint64_t now_us, uint64_t wall_us)
{
	uint64_t us = clock->last_us;

	if (clock->last_now_us)
		us += now_us - clock->last_now_us;
	if (wall_us > us)
		us = wall_us;
	clock->last_us = us;
	clock->last_now_us = now_us;
	return us;
}

struct wg_stamp wg_stamp_next(struct wg_stamp_clock *clock, const struct wg_stamp *last,
	uint64_t now_us, uint64_t wall_us)
{
	uint64_t us = clock_read(clock, now_us, wall_us);
	struct wg_stamp stamp = { us / 1000000, (uint32_t) (us % 1000000) * 1000 & ~(STEP_NS - 1) };

	if (stamp.s < last->s || (stamp.s == last->s && stamp.ns <= last->ns)) {
		stamp = *last;
		stamp.ns += STEP_NS;
		if (stamp.ns >= 1000000000)
			stamp = (struct wg_stamp){ last->s + 1, 0 };
	}
	return stamp;
}

static void be_write(uint8_t *p, uint64_t v, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t) (v >> 8 * (len - 1 - i));
}

void wg_stamp_format(const struct wg_stamp *stamp, uint8_t ret[static WG_TIMESTAMP_LEN])
{
	be_write(ret, LABEL + stamp->s, 8);
	be_write(ret + 8, stamp->ns, 4);
}
