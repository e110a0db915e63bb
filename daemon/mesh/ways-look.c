/*
 * Looks for a better way while one works: only where traffic flows for a while, and it is not quick
 * already.
 * All that may be pinged are, and those that answer twice more, together with the one in use: what
 * is compared was measured at the same time, under the same load.
 */
#include "mesh/ways-internal.h"

#define LOOK_US UINT64_C(250000) /* between its rounds */
enum { LOOKS = 3 };

static bool may_look(const struct ways *w)
{
	const struct way *used = ways_in_use(w);
	size_t others = 0;

	if (w->doubtful || w->looks || w->decide_us != WAYS_NEVER ||
		w->active_us - w->flows_us < WAYS_FLOWS_US)
		return false;
	for (size_t i = 0; i < w->n; i++)
		others += i != w->in_use && !w->list[i].relayed;
	return others && used->rtt_us > WAYS_QUICK_US &&
	       w->look_us <= w->active_us + WAYS_ACTIVE_US;
}

uint64_t ways_look_deadline(const struct ways *w)
{
	if (w->decide_us != WAYS_NEVER)
		return w->decide_us;
	return may_look(w) ? w->look_us : WAYS_NEVER;
}

static void look_round(struct ways *w, bool first, uint64_t now_us)
{
	for (size_t i = 0; i < w->n; i++) {
		struct way *way = &w->list[i];

		if (i == w->in_use || way->least_rtt_us ||
			(first && !way->relayed && !ways_needs_call(w, way, now_us)))
			way->due = true;
	}
	w->looks--;
	w->decide_us = now_us + (w->looks ? LOOK_US : WAYS_GRACE_US);
}

void ways_look(struct ways *w, uint64_t now_us)
{
	if (w->decide_us != WAYS_NEVER && now_us >= w->decide_us && !w->looks) {
		w->decide_us = WAYS_NEVER;
		w->look_us = now_us + w->look_pause_us;
		ways_prefer(w, true, now_us);
	} else if (w->decide_us != WAYS_NEVER && now_us >= w->decide_us) {
		look_round(w, false, now_us);
	} else if (may_look(w) && now_us >= w->look_us) {
		w->since_us = now_us;
		w->looks = LOOKS;
		ways_forget_answers(w);
		look_round(w, true, now_us);
	}
}
