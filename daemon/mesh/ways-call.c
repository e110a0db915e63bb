/*
 * Calls. They come in a row, and then there is a pause of more than 30 s in which neither side
 * pings public addresses that do not answer: so long Linux routers with an open input chain
 * remember one that was not answered, and with it the port that they gave our peer because of it.
 * Who is called leaves its own pause from then on, so that the two do not fill each other's. Where
 * no NAT keeps ports, as those routers do, the pause has no use.
 */
#include "mesh/ways-internal.h"

/* Seconds. While traffic flows, it goes on at AGAIN; else the last one stays. */
static const uint8_t pauses_s[] = { 1, 5, 5, 10, 10, 35, 5, 10, 35, 5, 10, 60, 120 };
enum { PAUSES = sizeof(pauses_s) / sizeof(pauses_s[0]), AGAIN = 5, LAST_AGAIN = 10, REST_S = 10 };
#define AHEAD_MOST_US UINT64_C(500000)
enum { FAILED_PINGS = 3 };

static bool is_recent(uint64_t at_us, uint64_t now_us)
{
	return at_us && now_us - at_us < WAYS_BACK_FOR_US;
}

/* Not just one ping of it was lost. */
static bool has_failed(const struct way *way, uint64_t now_us)
{
	unsigned missed = 0;

	for (unsigned i = 0; i < WAYS_PINGS; i++)
		missed += way->pings[i].tx && way->pings[i].at_us >= way->answered_us;
	return missed >= FAILED_PINGS && !way_is_live(way, now_us);
}

bool ways_needs_call(const struct ways *w, const struct way *way, uint64_t now_us)
{
	const struct way *relayed = ways_get_relayed(w);

	if (!w->keeps_ports || way->relayed || is_recent(way->answered_us, now_us) ||
		is_recent(way->heard_us, now_us) || is_recent(way->lost_us, now_us))
		return false;
	if (way->to.addr.family != AF_INET || ip_addr_is_private(&way->to.addr))
		return false;
	return relayed && relayed->answered_us && !has_failed(relayed, now_us);
}

static bool is_active(const struct ways *w, uint64_t now_us)
{
	return w->active_us && now_us - w->active_us < WAYS_ACTIVE_US;
}

static uint64_t pause_us(const struct ways *w, uint64_t now_us)
{
	unsigned s = pauses_s[w->call_step];

	if (s > REST_S && !w->keeps_ports && is_active(w, now_us))
		s = REST_S;
	return UINT64_C(1000000) * s;
}

static void step(struct ways *w, uint64_t now_us)
{
	if (w->call_step >= LAST_AGAIN && is_active(w, now_us))
		w->call_step = AGAIN;
	else if (w->call_step < PAUSES - 1)
		w->call_step++;
}

void ways_call_begin(struct ways *w, uint64_t now_us)
{
	w->call_step = 0;
	w->call_us = now_us;
}

static void arrange(struct ways *w, uint64_t at_us)
{
	w->punches = WAYS_PUNCHES;
	w->punch_us = at_us;
}

/*
 * Not while the direct one in use has time to answer, nor while the relayed one does not: its next
 * answer is the moment.
 */
static bool may_call(const struct ways *w)
{
	const struct way *way = ways_get_relayed(w), *used = ways_in_use(w);

	if (!way)
		return false;
	if (w->call_back)
		return true;
	return w->searching && (!used || used->relayed || !w->over_us) && way->answered_us &&
	       !way_missed_us(way, 0);
}

uint64_t ways_call_deadline(const struct ways *w)
{
	uint64_t at_us = may_call(w) ? w->call_us : WAYS_NEVER;

	return at_us < w->punch_us ? at_us : w->punch_us;
}

bool ways_call_next(struct ways *w, uint64_t now_us, struct endpoint *ret)
{
	struct way *way = ways_relayed_one(w);
	uint64_t ahead_us;

	if (now_us < w->call_us || !may_call(w))
		return false;
	w->call_us = w->searching ? now_us + pause_us(w, now_us) : WAYS_NEVER;
	if (!pace_may(&w->calls_out, WAYS_CALL_BURST, WAYS_CALL_EVERY_US, now_us, NULL)) {
		w->call_back = false;
		return false;
	}
	w->called_us = now_us;
	*ret = way->to;
	if (w->call_back) {
		w->call_back = false;
		return true;
	}
	step(w, now_us);
	ahead_us = way->rtt_us / 2 < AHEAD_MOST_US ? way->rtt_us / 2 : AHEAD_MOST_US;
	arrange(w, now_us + ahead_us);
	return true;
}

/* In rounds, those that are pinged anyhow are left alone. */
void ways_punch(struct ways *w, uint64_t now_us)
{
	if (now_us < w->punch_us)
		return;
	for (size_t i = 0; i < w->n; i++) {
		struct way *way = &w->list[i];

		way->due = way->due || way->fresh ||
			   (!way->relayed && !ip_addr_is_private(&way->to.addr));
	}
	w->punches--;
	w->punch_us =
		w->punches ? now_us + WAYS_PUNCH_US * (WAYS_PUNCHES - w->punches) : WAYS_NEVER;
}

static void take_list(struct ways *w, const struct endpoint *list, size_t n)
{
	for (size_t i = 0; i < w->n; i++)
		w->list[i].called = false;
	for (size_t i = 0; i < n && i < WAYS_CALLED_MAX; i++) {
		struct way *way = ways_find(w, &list[i]);

		if (way && !way->relayed)
			way->called = true;
	}
	ways_drop_unnamed(w, WAYS_HEARD_MAX);
	for (size_t i = 0; i < n && i < WAYS_CALLED_MAX; i++) {
		struct way *way = ways_add_named(w, &list[i]);

		if (way)
			way->called = true;
	}
	ways_note_ports(w);
}

bool ways_called(struct ways *w, const struct endpoint *list, size_t n, uint64_t now_us)
{
	if (!pace_may(&w->calls_in, WAYS_CALL_BURST, WAYS_CALL_EVERY_US, now_us, NULL))
		return false;
	take_list(w, list, n);
	arrange(w, now_us);
	if (!w->doubtful)
		w->check_us = now_us; /* by the way that we use, it may not hear us */
	if (!w->called_us || now_us - w->called_us > WAYS_CALL_LATELY_US) {
		w->call_back = true;
		w->call_us = now_us;
	} else if (w->searching && w->call_us < now_us + pause_us(w, now_us)) {
		w->call_us = now_us + pause_us(w, now_us);
	}
	return true;
}
