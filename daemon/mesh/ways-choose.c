/*
 * Which way is used. One that was in use and was lost has to prove itself before it is used again
 * where another works: by answering without a gap, the longer the more often it was lost of late.
 */
#include <assert.h>

#include "mesh/ways-internal.h"

enum { TRIAL_LEAST_US = 100000, TRIAL_MOST_US = 1000000, BACK_PART = 32 };
/* So long after the first answer another may still take its place. */
#define RACE_US UINT64_C(1000000)

/* --- proof --- */

static uint64_t proof_us(const struct way *way)
{
	uint64_t us = WAYS_PROOF_US;

	if (!way->losses)
		return 0;
	for (unsigned i = 1; i < way->losses && us < WAYS_PROOF_MOST_US; i++)
		us *= 2;
	return us;
}

/* Between the pings of a trial: no more of them on the way than are remembered. */
static uint64_t trial_pause_us(const struct way *way)
{
	uint64_t us = proof_us(way) / 4;

	if (us < way->rtt_us / 4)
		us = way->rtt_us / 4;
	if (us < TRIAL_LEAST_US)
		return TRIAL_LEAST_US;
	return us < TRIAL_MOST_US ? us : TRIAL_MOST_US;
}

/* One that is lost, of the pings of a trial, is no gap. */
static uint64_t gap_us(const struct way *way)
{
	return 3 * trial_pause_us(way) + way->rtt_us;
}

void ways_note_proof(struct way *way, uint64_t now_us)
{
	if (!way->good_us || now_us - way->answered_us > gap_us(way))
		way->good_us = now_us;
}

static bool is_proved(const struct way *way, uint64_t now_us)
{
	if (!way->losses || now_us - way->losses_us >= WAYS_LONG_AGO_US)
		return true;
	return way->good_us && now_us - way->good_us >= proof_us(way);
}

uint64_t ways_trial_us(const struct ways *w, const struct way *way)
{
	uint64_t gone_us, pause_us;

	if (!w->searching || !way->losses || way->relayed || way == ways_in_use(w))
		return WAYS_NEVER;
	if (way->good_us)
		return way->sent_us + trial_pause_us(way);
	if (!way->lost_us)
		return WAYS_NEVER;
	if (way->sent_us < way->lost_us)
		return way->lost_us + WAYS_BACK_US;
	gone_us = way->sent_us - way->lost_us;
	if (gone_us >= WAYS_BACK_FOR_US)
		return WAYS_NEVER;
	pause_us = gone_us / BACK_PART;
	return way->sent_us + (pause_us > WAYS_BACK_US ? pause_us : WAYS_BACK_US);
}

bool ways_go_on_trial(const struct ways *w, struct way *way, uint64_t now_us)
{
	if (way->good_us && now_us - way->answered_us > gap_us(way))
		way->good_us = 0; /* it fell silent */
	return now_us >= ways_trial_us(w, way);
}

/* --- comparison --- */

static uint64_t cost_us(const struct way *way)
{
	return way->least_rtt_us + (ip_addr_is_private(&way->to.addr) ? 0 : WAYS_HOUSE_US);
}

static bool is_clearly_better(const struct way *a, const struct way *b)
{
	uint64_t gain_us = cost_us(b) / 3;

	if (gain_us > WAYS_GAIN_US)
		gain_us = WAYS_GAIN_US;
	if (gain_us < WAYS_GAIN_LEAST_US)
		gain_us = WAYS_GAIN_LEAST_US;
	return cost_us(a) + gain_us <= cost_us(b);
}

/* One that is not proved is better than none, and worse than the relayed one. */
static unsigned rank(const struct way *way, uint64_t now_us)
{
	if (way->relayed)
		return 1;
	return is_proved(way, now_us) ? 2 : 0;
}

static struct way *find_best(struct ways *w, uint64_t now_us)
{
	struct way *best = NULL;

	for (size_t i = 0; i < w->n; i++) {
		struct way *way = &w->list[i];

		if (!way->least_rtt_us || !way_is_live(way, now_us))
			continue;
		if (!best || rank(way, now_us) > rank(best, now_us) ||
			(rank(way, now_us) == rank(best, now_us) && cost_us(way) < cost_us(best)))
			best = way;
	}
	return best;
}

void ways_forget_answers(struct ways *w)
{
	for (size_t i = 0; i < w->n; i++)
		w->list[i].least_rtt_us = 0;
}

/* --- decision --- */

/*
 * The longer it has worked, the less counts what was before: else one bad minute would make each
 * later loss cost more than the last, for as long as they are not far apart.
 */
static void lose(struct ways *w, struct way *way, uint64_t now_us)
{
	uint64_t halved = (now_us - way->taken_us) / WAYS_FORGIVEN_US;

	while (halved-- && way->losses)
		way->losses /= 2;
	if (proof_us(way) < WAYS_PROOF_MOST_US)
		way->losses++;
	way->lost_us = way->losses_us = now_us;
	ways_share_losses(w, way);
}

/* What the peer arranged by a call while we were content goes on. */
static void end_doubt(struct ways *w)
{
	if (w->searching) {
		w->punches = 0;
		w->punch_us = WAYS_NEVER;
	}
	if (!w->call_back) {
		w->call_us = WAYS_NEVER;
		w->sampling = false;
	}
	w->doubtful = w->searching = false;
	w->round_us = w->decide_us = WAYS_NEVER;
	w->looks = 0;
}

void ways_settle(struct ways *w, struct way *way, uint64_t now_us)
{
	struct way *old = ways_used(w);

	w->check_us = w->over_us = WAYS_NEVER;
	if (old != way || w->searching)
		w->look_us = now_us + w->look_pause_us;
	if (old != way) {
		if (old && !old->relayed && w->doubtful)
			lose(w, old, now_us);
		w->in_use = (size_t) (way - w->list);
		way->taken_us = now_us;
		w->assured_us = 0;
		for (size_t i = 0; i < w->n; i++)
			w->list[i].again_us = 0;
	}
	if (!way->relayed)
		end_doubt(w);
	else if (!w->searching)
		w->over_us = now_us; /* for a direct one */
}

void ways_decide(struct ways *w, uint64_t now_us)
{
	struct way *used = ways_used(w), *best;

	if (!w->doubtful)
		return;
	if (used && !used->relayed && used->least_rtt_us) {
		/* An answer tells of when it was asked for; it may have waited for us since. */
		w->assured_us = w->searching ? 0 : now_us - used->last_rtt_us;
		ways_settle(w, used, now_us);
		return;
	}
	if (used && !used->relayed && now_us < w->over_us)
		return; /* it has time yet */
	best = find_best(w, now_us);
	if (!best || best == used)
		return;
	if (used && used->relayed && way_is_live(used, now_us) && !rank(best, now_us))
		return; /* it is on trial */
	ways_settle(w, best, now_us);
}

/*
 * The first answer is used at once; one that comes just behind it may be that of the better way.
 * Later only a look decides, where each has answered more than once.
 */
void ways_prefer(struct ways *w, bool look, uint64_t now_us)
{
	struct way *used = ways_used(w), *best = used;

	if (w->doubtful || !used || !used->least_rtt_us)
		return;
	if (!look && (used->taken_us < w->since_us || now_us - used->taken_us > RACE_US))
		return;
	for (size_t i = 0; i < w->n; i++) {
		struct way *way = &w->list[i];

		if (way->relayed || !way->least_rtt_us || !is_proved(way, now_us))
			continue;
		if (best == used ? is_clearly_better(way, used) : cost_us(way) < cost_us(best))
			best = way;
	}
	if (best == used)
		return;
	if (look && w->look_pause_us < WAYS_BETTER_MOST_US)
		w->look_pause_us *= 2;
	ways_settle(w, best, now_us);
}
