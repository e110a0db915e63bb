/*
 * One doubt at a time: while it lasts, all ways are pinged in rounds ("searching"), or first only
 * the one in use and where the peer was heard. It ends with an answer of the one in use; or, when
 * that had its time, of any other, which takes its place. A relayed one that is used does not end
 * it: that is what keeps us looking for a direct one.
 */
#include "mesh/ways.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void ways_init(struct ways *w)
{
	*w = (struct ways){ .doubtful = true, .round_us = WAYS_NEVER };
}

void ways_done(struct ways *w)
{
	free(w->list);
	ways_init(w);
}

static struct way *used(struct ways *w)
{
	return w->in_use < w->n ? &w->list[w->in_use] : NULL;
}

const struct way *ways_in_use(const struct ways *w)
{
	return w->in_use < w->n ? &w->list[w->in_use] : NULL;
}

bool ways_is_relayed(const struct ways *w)
{
	return w->in_use < w->n && w->list[w->in_use].relayed;
}

const struct way *ways_get_relayed(const struct ways *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].relayed)
			return &w->list[i];
	return NULL;
}

static struct way *relayed(struct ways *w)
{
	const struct way *way = ways_get_relayed(w);

	return way ? &w->list[way - w->list] : NULL;
}

uint64_t way_missed_us(const struct way *way, uint64_t since_us)
{
	uint64_t first_us = 0;

	for (unsigned i = 0; i < WAYS_PINGS; i++) {
		uint64_t at_us = way->pings[i].at_us;

		if (way->pings[i].tx && at_us >= since_us && at_us >= way->answered_us &&
			(!first_us || at_us < first_us))
			first_us = at_us;
	}
	return first_us;
}

static struct way *find(struct ways *w, const struct endpoint *to)
{
	for (size_t i = 0; i < w->n; i++)
		if (endpoint_equal(&w->list[i].to, to))
			return &w->list[i];
	return NULL;
}

static void drop(struct ways *w, size_t at)
{
	assert(at != w->in_use);
	memmove(&w->list[at], &w->list[at + 1], (w->n - at - 1) * sizeof(w->list[0]));
	w->n--;
	if (w->in_use > at)
		w->in_use--;
}

/* NULL when out of memory. */
static struct way *add(struct ways *w, const struct endpoint *to)
{
	bool none = w->in_use == w->n;

	assert(w->n < WAYS_MAX);
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 4;
		struct way *list = reallocarray(w->list, room, sizeof(*list));

		if (!list)
			return NULL;
		w->list = list;
		w->room = room;
	}
	w->list[w->n++] = (struct way){ .to = *to };
	if (none)
		w->in_use = w->n;
	return &w->list[w->n - 1];
}

/* --- doubt --- */

static void begin_doubt(struct ways *w, uint64_t now_us)
{
	if (w->doubtful)
		return;
	w->doubtful = true;
	w->since_us = now_us;
	w->round_us = now_us + WAYS_GRACE_US;
	w->pause_us = WAYS_FIRST_US;
	for (size_t i = 0; i < w->n; i++)
		w->list[i].answered = false;
}

/* All of them, as often as at the beginning. */
static void search(struct ways *w, uint64_t now_us)
{
	w->since_us = w->round_us = now_us;
	w->pause_us = WAYS_FIRST_US;
}

/* @way is used from now on, which may be the one that was. */
static void settle(struct ways *w, struct way *way)
{
	bool other = way != used(w);

	w->in_use = (size_t) (way - w->list);
	for (size_t i = 0; other && i < w->n; i++)
		w->list[i].again_us = 0;
	if (way->relayed)
		return;
	w->doubtful = false;
	w->round_us = WAYS_NEVER;
	for (size_t i = 0; i < w->n; i++)
		w->list[i].due = false;
}

void ways_doubt(struct ways *w, uint64_t now_us)
{
	if (!w->n)
		return;
	begin_doubt(w, now_us);
	w->round_us = now_us;
}

void ways_moved(struct ways *w, uint64_t now_us)
{
	if (!w->n)
		return;
	begin_doubt(w, now_us);
	search(w, now_us);
}

void ways_quiet(struct ways *w, uint64_t now_us)
{
	struct way *other = relayed(w);

	if (w->doubtful)
		return;
	begin_doubt(w, now_us);
	used(w)->due = true;
	if (other)
		other->due = true;
}

/* --- addresses come and go --- */

#ifndef NDEBUG
static bool are_few(const struct ways *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += w->list[i].announced;
	return n <= WAYS_ANNOUNCED_MAX;
}
#endif

/* Of those that were only heard, the one that was heard longest ago, or never. */
static size_t find_oldest(const struct ways *w, size_t *ret_n)
{
	size_t oldest = w->n;

	*ret_n = 0;
	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i].announced || w->list[i].relayed || i == w->in_use)
			continue;
		++*ret_n;
		if (oldest == w->n || w->list[i].heard_us < w->list[oldest].heard_us)
			oldest = i;
	}
	return oldest;
}

/* Not the one in use: it may work still, and is left only for another that does. */
static void drop_unannounced(struct ways *w, size_t most)
{
	size_t n, oldest;

	while (oldest = find_oldest(w, &n), n > 0 && (n > most || !w->list[oldest].heard_us))
		drop(w, oldest);
}

void ways_announced(struct ways *w, const struct endpoint *list, size_t n, uint64_t now_us)
{
	bool fresh = false, was = used(w) && used(w)->announced;

	for (size_t i = 0; i < w->n; i++)
		w->list[i].announced = false;
	for (size_t i = 0; i < n && i < WAYS_ANNOUNCED_MAX; i++) {
		struct way *way = find(w, &list[i]);

		if (way)
			way->announced = true;
	}
	drop_unannounced(w, WAYS_HEARD_MAX);
	for (size_t i = 0; i < n && i < WAYS_ANNOUNCED_MAX; i++) {
		struct way *way = find(w, &list[i]) ? NULL : add(w, &list[i]);

		if (!way)
			continue;
		way->announced = true;
		fresh = true;
	}
	assert(are_few(w));
	if (was && !used(w)->announced)
		ways_moved(w, now_us); /* the peer says that it is not there any more */
	else if (fresh && w->doubtful)
		search(w, now_us);
}

static void drop_relayed(struct ways *w, struct way *way, uint64_t now_us)
{
	bool was_used = way == used(w);

	if (was_used)
		w->in_use = w->n;
	drop(w, (size_t) (way - w->list));
	if (was_used)
		search(w, now_us);
}

void ways_relayed(struct ways *w, const struct endpoint *to, uint64_t now_us)
{
	struct way *way = relayed(w);

	if (way && to && endpoint_equal(&way->to, to))
		return;
	if (way)
		drop_relayed(w, way, now_us);
	way = to ? add(w, to) : NULL;
	if (!way)
		return;
	way->relayed = true;
	way->due = w->doubtful;
	if (w->doubtful && w->round_us == WAYS_NEVER)
		search(w, now_us);
}

void ways_relayed_anew(struct ways *w)
{
	struct way *way = relayed(w);

	if (way && w->doubtful)
		way->due = true;
}

static void look_again_later(struct way *way)
{
	uint64_t most_us = way->relayed ? WAYS_AGAIN_RELAYED_US : WAYS_AGAIN_MOST_US;

	way->again_us = way->again_us ? way->again_us * 2 : WAYS_AGAIN_US;
	if (way->again_us > most_us)
		way->again_us = most_us;
}

void ways_heard(struct ways *w, const struct endpoint *from, uint64_t now_us)
{
	struct way *way = find(w, from);
	uint64_t again_us = way && !w->doubtful ? way->again_us : WAYS_AGAIN_US;

	if (way && way == used(w) && (!w->doubtful || way->relayed))
		return;
	if (!way && ip_addr_is_loopback(&from->addr))
		return;
	if (way && way->heard_us && now_us - way->heard_us < again_us)
		return;
	if (!pace_may(&w->heard, WAYS_HEARD_BURST, WAYS_HEARD_PAUSE_US, now_us, NULL))
		return;
	if (!way) {
		drop_unannounced(w, WAYS_HEARD_MAX - 1);
		way = add(w, from);
	}
	if (!way)
		return;
	look_again_later(way);
	way->heard_us = now_us;
	way->due = true;
	if (used(w) && !w->doubtful)
		used(w)->due = true;
	begin_doubt(w, now_us);
	if (w->round_us == WAYS_NEVER) /* there was nothing to look for until now */
		search(w, now_us);
}

/* --- pings --- */

static void begin_round(struct ways *w, uint64_t now_us)
{
	uint64_t most = now_us - w->since_us < WAYS_TIRED_US ? WAYS_OFTEN_US : WAYS_SELDOM_US;

	for (size_t i = 0; i < w->n; i++)
		w->list[i].due = true;
	w->round_us = now_us + w->pause_us;
	w->pause_us = w->pause_us * 2 < most ? w->pause_us * 2 : most;
}

/* Is @a the better one to use? The quicker one, and any direct one before the relayed one. */
static bool is_better(const struct way *a, const struct way *b)
{
	return a->relayed == b->relayed ? a->rtt_us < b->rtt_us : b->relayed;
}

/* The one in use had its time: another that has answered meanwhile, the best of them. */
static void look_for_other(struct ways *w, uint64_t now_us)
{
	struct way *best = NULL;

	if (!w->doubtful || now_us - w->since_us < WAYS_GRACE_US)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].answered && (!best || is_better(&w->list[i], best)))
			best = &w->list[i];
	if (best)
		settle(w, best);
}

bool ways_ping(struct ways *w, uint64_t now_us, uint64_t tx, struct endpoint *ret)
{
	look_for_other(w, now_us);
	if (w->doubtful && now_us >= w->round_us)
		begin_round(w, now_us);
	for (size_t i = 0; i < w->n; i++) {
		struct way *way = &w->list[i];

		if (!way->due)
			continue;
		way->due = false;
		way->pings[way->next_ping].tx = tx;
		way->pings[way->next_ping].at_us = now_us;
		way->next_ping = (way->next_ping + 1) % WAYS_PINGS;
		*ret = way->to;
		return true;
	}
	return false;
}

uint64_t ways_deadline(const struct ways *w)
{
	bool answered = false; /* another than the one in use */

	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i].due)
			return 0;
		answered = answered || (w->list[i].answered && i != w->in_use);
	}
	if (!w->doubtful || !w->n)
		return WAYS_NEVER;
	return answered && w->since_us + WAYS_GRACE_US < w->round_us ? w->since_us + WAYS_GRACE_US
								     : w->round_us;
}

/* Which of its pings had the number @tx, WAYS_PINGS: none. */
static unsigned find_ping(const struct way *way, uint64_t tx)
{
	unsigned i = 0;

	while (i < WAYS_PINGS && (!tx || way->pings[i].tx != tx))
		i++;
	return i;
}

bool ways_pong(struct ways *w, const struct endpoint *from, uint64_t tx, uint64_t now_us)
{
	struct way *way = find(w, from);
	unsigned i = way ? find_ping(way, tx) : WAYS_PINGS;

	if (i == WAYS_PINGS)
		return false;
	way->pings[i].tx = 0;
	way->answered_us = now_us;
	way->rtt_us = now_us - way->pings[i].at_us;
	if (!w->doubtful)
		return true;
	way->answered = true;
	if (!used(w) || used(w)->relayed || way == used(w))
		settle(w, way);
	else
		look_for_other(w, now_us);
	return true;
}
