/*
 * Three states: content (a direct way works; nothing happens unless traffic flows), doubtful (the
 * one in use is pinged, and the relayed one), searching (doubtful, and all are pinged in rounds).
 * A doubt ends with an answer of the one in use; or, when that had its time, of any other, which
 * takes its place. A relayed one that is used does not end it: that is what keeps us looking for a
 * direct one.
 */
#include <assert.h>

#include "mesh/ways-internal.h"

/* The one in use is pinged a second time so soon, and often for a while. */
#define SECOND_US      UINT64_C(125000)
#define CHECK_OFTEN_US UINT64_C(3000000)

static const struct damping moves_damping = {
	.free = 4, .first_us = 1000000, .longest_us = 30000000, .forget_us = 60000000
};

/* --- doubt and search --- */

static void begin_doubt(struct ways *w, uint64_t now_us)
{
	const struct way *used = ways_in_use(w);

	if (w->doubtful)
		return;
	assert(used && !used->relayed);
	w->doubtful = true;
	w->since_us = now_us;
	w->checks = w->looks = 0;
	w->check_us = now_us;
	w->over_us = w->decide_us = WAYS_NEVER;
	ways_forget_answers(w);
}

/* All of them, as often as at the beginning. */
static void search(struct ways *w, uint64_t now_us)
{
	assert(w->doubtful);
	w->searching = true;
	w->since_us = w->round_us = now_us;
	w->pause_us = WAYS_FIRST_US;
	ways_call_begin(w, now_us);
}

void ways_doubt(struct ways *w, uint64_t now_us)
{
	if (!w->n)
		return;
	begin_doubt(w, now_us);
	if (w->searching)
		w->round_us = now_us;
	else
		search(w, now_us);
}

static void move(struct ways *w, uint64_t now_us)
{
	w->move_us = WAYS_NEVER;
	damper_done(&w->moves, &moves_damping, now_us);
	begin_doubt(w, now_us);
	search(w, now_us);
}

void ways_moved(struct ways *w, uint64_t now_us)
{
	uint64_t wait_us = damper_wait_us(&w->moves, &moves_damping, now_us);

	if (!w->n)
		return;
	if (wait_us)
		w->move_us = now_us + wait_us;
	else
		move(w, now_us);
}

void ways_restarted(struct ways *w, uint64_t now_us)
{
	ways_moved(w, now_us);
}

/* Where the last such doubt was without reason, there is time for the next. */
void ways_quiet(struct ways *w, uint64_t now_us)
{
	uint64_t at_us = w->assured_us ? w->assured_us + WAYS_HEARTBEAT_US : now_us;

	if (w->doubtful)
		return;
	if (at_us <= now_us)
		begin_doubt(w, now_us);
	else if (at_us < w->check_us)
		w->check_us = at_us;
}

/* What was looked for ever more seldom is wanted now. */
void ways_active(struct ways *w, uint64_t now_us)
{
	bool was = w->active_us && now_us - w->active_us < WAYS_ACTIVE_US;

	w->active_us = now_us;
	w->flows_us = was ? w->flows_us : now_us;
	if (w->n && w->searching && !was)
		search(w, now_us);
}

/* --- addresses come and go --- */

void ways_own(struct ways *w, const struct ways_own *own, uint64_t now_us)
{
	w->own = own;
	for (size_t i = w->n; i-- > 0;)
		if (!w->list[i].relayed && !w->list[i].hole && i != w->in_use &&
			!ways_may_ping(own, &w->list[i].to))
			ways_drop(w, i);
	ways_note_ports(w);
	if (w->searching)
		ways_call_begin(w, now_us);
}

/* Returns whether there are new ones. */
static bool take_announced(struct ways *w, const struct endpoint *list, size_t n)
{
	bool fresh = false;

	for (size_t i = 0; i < w->n; i++)
		w->list[i].announced = false;
	for (size_t i = 0; i < n; i++) {
		struct way *way = ways_find(w, &list[i]);

		if (way && !way->relayed)
			way->announced = true;
	}
	ways_drop_unnamed(w, WAYS_HEARD_MAX);
	for (size_t i = 0; i < n; i++) {
		struct way *way = ways_add_named(w, &list[i]);

		if (!way)
			continue;
		way->announced = true;
		fresh = true;
	}
	ways_note_ports(w);
	return fresh;
}

void ways_announced(struct ways *w, const struct endpoint *list, size_t n, uint64_t now_us)
{
	const struct way *used = ways_in_use(w);
	bool was = used && used->announced, fresh;

	fresh = take_announced(w, list, n < WAYS_ANNOUNCED_MAX ? n : WAYS_ANNOUNCED_MAX);
	used = ways_in_use(w);
	if (was && !used->announced && !used->called)
		ways_moved(w, now_us); /* the peer says that it is not there any more */
	else if (fresh && w->searching)
		search(w, now_us);
	else if (fresh && now_us < w->look_us)
		w->look_us = now_us;
}

static void drop_relayed(struct ways *w, struct way *way, uint64_t now_us)
{
	bool was_used = way == ways_in_use(w);

	if (was_used)
		w->in_use = w->n;
	ways_drop(w, (size_t) (way - w->list));
	if (was_used)
		search(w, now_us);
}

void ways_relayed(struct ways *w, const struct endpoint *to, uint64_t now_us)
{
	struct way *way = ways_relayed_one(w);

	if (way && to && endpoint_equal(&way->to, to))
		return;
	if (way)
		drop_relayed(w, way, now_us);
	way = to ? ways_add(w, to) : NULL;
	if (!way)
		return;
	way->relayed = true;
	way->due = w->doubtful;
	if (w->searching && w->round_us == WAYS_NEVER)
		search(w, now_us);
}

void ways_relayed_anew(struct ways *w)
{
	struct way *way = ways_relayed_one(w);

	if (way && w->doubtful)
		way->due = true;
}

/* The one in use is given up as one that was lost is. */
static void drop_hole(struct ways *w, const struct way *hole, uint64_t now_us)
{
	bool was_used = hole == ways_in_use(w);
	size_t at = (size_t) (hole - w->list);

	if (was_used) {
		begin_doubt(w, now_us);
		w->in_use = w->n;
	}
	ways_drop(w, at);
	if (!was_used)
		return;
	w->check_us = w->over_us = WAYS_NEVER;
	search(w, now_us);
}

void ways_hole(
	struct ways *w, const struct endpoint *to, const struct endpoint *beyond, uint64_t now_us)
{
	const struct way *hole = ways_get_hole(w);
	struct way *way;

	if (hole)
		drop_hole(w, hole, now_us);
	way = to ? ways_add(w, to) : NULL;
	if (!way)
		return;
	way->hole = true;
	way->beyond = *beyond;
	way->due = true;
}

static void look_again_later(struct way *way)
{
	uint64_t most_us = way->relayed ? WAYS_AGAIN_RELAYED_US : WAYS_AGAIN_MOST_US;

	way->again_us = way->again_us ? way->again_us * 2 : WAYS_AGAIN_US;
	if (way->again_us > most_us)
		way->again_us = most_us;
}

/* NULL: it is no news, or too much of it. */
static struct way *note_heard(struct ways *w, const struct endpoint *from, uint64_t now_us)
{
	struct way *way = ways_find(w, from);
	uint64_t again_us = way && !w->doubtful ? way->again_us : WAYS_AGAIN_US;

	if (way && way == ways_in_use(w) && (!w->doubtful || way->relayed))
		return NULL;
	if (!way && !ways_may_ping(w->own, from))
		return NULL;
	if (way && way->heard_us && now_us - way->heard_us < again_us)
		return NULL;
	if (!pace_may(&w->heard, WAYS_HEARD_BURST, WAYS_HEARD_PAUSE_US, now_us, NULL))
		return NULL;
	if (!way) {
		ways_drop_unnamed(w, WAYS_HEARD_MAX - 1);
		way = ways_add(w, from);
	}
	return way;
}

void ways_heard(struct ways *w, const struct endpoint *from, uint64_t now_us)
{
	struct way *way = note_heard(w, from, now_us);

	if (!way)
		return;
	look_again_later(way);
	way->heard_us = now_us;
	way->due = true;
	begin_doubt(w, now_us);
	if (w->searching && w->round_us == WAYS_NEVER) /* there was nothing to look for until now */
		search(w, now_us);
}

/* --- rounds --- */

static uint64_t longest_pause_us(const struct ways *w, uint64_t now_us)
{
	if (now_us - w->since_us >= WAYS_TIRED_US)
		return WAYS_SELDOM_US;
	return !ways_in_use(w) && ways_is_active(w, now_us) ? WAYS_ALONE_US : WAYS_OFTEN_US;
}

static void begin_round(struct ways *w, uint64_t now_us)
{
	uint64_t most = longest_pause_us(w, now_us);

	for (size_t i = 0; i < w->n; i++)
		w->list[i].due = w->list[i].due || !ways_needs_call(w, &w->list[i], now_us);
	w->round_us = now_us + w->pause_us;
	w->pause_us = w->pause_us * 2 < most ? w->pause_us * 2 : most;
}

/* As one that was lost is, if there is nothing to leave it for. */
static uint64_t check_pause_us(uint64_t gone_us)
{
	if (gone_us < CHECK_OFTEN_US)
		return WAYS_DOUBT_US;
	if (gone_us / 32 > WAYS_BACK_US)
		return gone_us / 32;
	return WAYS_BACK_US;
}

/*
 * Twice its round trip: the usual one, or, where a queue on the way has just gone, not much more
 * than the last.
 */
static uint64_t grace_us(const struct way *way)
{
	uint64_t last_us = 2 * way->last_rtt_us;
	uint64_t us = 2 * (way->rtt_us < last_us ? way->rtt_us : last_us);

	if (us < WAYS_GRACE_US)
		return WAYS_GRACE_US;
	return us < WAYS_GRACE_MOST_US ? us : WAYS_GRACE_MOST_US;
}

/* The one in use, and what would take its place. */
static void check(struct ways *w, uint64_t now_us)
{
	struct way *used, *other;

	if (now_us < w->check_us)
		return;
	if (w->doubtful && now_us - w->since_us > WAYS_BACK_FOR_US) {
		w->check_us = WAYS_NEVER; /* it is one like the others */
		return;
	}
	begin_doubt(w, now_us); /* a heartbeat, if there was none */
	used = ways_used(w);
	other = ways_relayed_one(w);
	used->due = true;
	if (other)
		other->due = true;
	w->check_us = now_us + (w->checks++ ? check_pause_us(now_us - w->since_us) : SECOND_US);
	if (w->checks != 2)
		return;
	w->over_us = now_us - SECOND_US + grace_us(used);
}

/* The one in use had its time, and nothing else is known to work. */
static void give_up(struct ways *w, uint64_t now_us)
{
	if (!w->doubtful || now_us < w->over_us)
		return;
	w->over_us = 0;
	if (!w->searching)
		search(w, now_us);
}

static void go_on_trials(struct ways *w, uint64_t now_us)
{
	for (size_t i = 0; w->searching && i < w->n; i++)
		if (ways_go_on_trial(w, &w->list[i], now_us))
			w->list[i].due = true;
}

/* --- what is due --- */

static bool next_ping(struct ways *w, uint64_t now_us, uint64_t tx, struct endpoint *ret)
{
	for (size_t i = 0; i < w->n; i++) {
		struct way *way = &w->list[i];

		if (!way->due)
			continue;
		way->due = way->fresh = false;
		way->sent_us = now_us;
		if (!ways_may_try(w, way, now_us))
			continue;
		way->pings[way->next_ping].tx = tx;
		way->pings[way->next_ping].at_us = now_us;
		way->next_ping = (way->next_ping + 1) % WAYS_PINGS;
		*ret = way->to;
		return true;
	}
	return false;
}

static void run(struct ways *w, uint64_t now_us)
{
	if (!w->n)
		return;
	if (now_us >= w->move_us)
		move(w, now_us);
	check(w, now_us);
	ways_decide(w, now_us);
	give_up(w, now_us);
	if (w->searching && now_us >= w->round_us)
		begin_round(w, now_us);
	go_on_trials(w, now_us);
	ways_punch(w, now_us);
	ways_look(w, now_us);
}

bool ways_next(struct ways *w, uint64_t now_us, uint64_t tx, struct ways_action *ret)
{
	run(w, now_us);
	if (ways_call_next(w, now_us, ret))
		return true;
	ret->what = WAYS_PING; /* what is predicted first: any other may take a port of our NAT's */
	return ways_predict_next(w, now_us, &ret->to) || next_ping(w, now_us, tx, &ret->to);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t ways_deadline(const struct ways *w)
{
	uint64_t at_us = w->move_us;

	if (!w->n)
		return WAYS_NEVER;
	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i].due)
			return 0;
		at_us = earlier(at_us, ways_trial_us(w, &w->list[i]));
	}
	if (w->searching)
		at_us = earlier(at_us, w->round_us);
	if (w->over_us)
		at_us = earlier(at_us, w->over_us);
	at_us = earlier(at_us, w->check_us);
	at_us = earlier(at_us, ways_look_deadline(w));
	return earlier(at_us, ways_call_deadline(w));
}

/* --- pongs --- */

/* Which of its pings had the number @tx, WAYS_PINGS: none. */
static unsigned find_ping(const struct way *way, uint64_t tx)
{
	unsigned i = 0;

	while (i < WAYS_PINGS && (!tx || way->pings[i].tx != tx))
		i++;
	return i;
}

static void note_rtt(struct way *way, uint64_t rtt_us)
{
	if (!rtt_us)
		rtt_us = 1; /* 0 means none */
	way->rtt_us = way->answered_us ? (7 * way->rtt_us + rtt_us) / 8 : rtt_us;
	way->last_rtt_us = rtt_us;
	if (!way->least_rtt_us || rtt_us < way->least_rtt_us)
		way->least_rtt_us = rtt_us;
}

bool ways_pong(struct ways *w, const struct endpoint *from, uint64_t tx, uint64_t now_us)
{
	struct way *way = ways_find(w, from);
	unsigned i = way ? find_ping(way, tx) : WAYS_PINGS;

	if (i == WAYS_PINGS)
		return false;
	way->pings[i].tx = 0;
	note_rtt(way, now_us - way->pings[i].at_us);
	ways_note_proof(way, now_us);
	way->answered_us = now_us;
	way->tries = (struct pace){ 0 };
	ways_decide(w, now_us);
	ways_prefer(w, false, now_us);
	return true;
}
