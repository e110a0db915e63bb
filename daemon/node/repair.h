/*
 * repair: how soon a thing that somebody undid is put right again: at once, but ever more slowly if
 * it is undone again and again, so that two programs that disagree do not fight without end. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/pace.h"

/* Zero-initialise. */
struct repair {
	struct damper damper;
};

/* How long to wait with the next repair: nothing for the first three, then 2 s, 4 s ... 4 min. */
uint64_t repair_wait_us(const struct repair *repair, uint64_t now_us);

/* It was put right. */
void repair_done(struct repair *repair, uint64_t now_us);

/* Whether somebody keeps undoing it. It is over ten minutes after the last repair. */
bool repair_is_fight(const struct repair *repair, uint64_t now_us);
