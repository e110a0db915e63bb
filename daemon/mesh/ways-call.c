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

	if (!w->keeps_ports || way->relayed || way->hole || is_recent(way->answered_us, now_us) ||
		is_recent(way->heard_us, now_us) || is_recent(way->lost_us, now_us))
		return false;
	if (way->to.addr.family != AF_INET || ip_addr_is_private(&way->to.addr))
		return false;
	return relayed && relayed->answered_us && !has_failed(relayed, now_us);
}

bool ways_is_active(const struct ways *w, uint64_t now_us)
{
	return w->active_us && now_us - w->active_us < WAYS_ACTIVE_US;
}

static uint64_t pause_us(const struct ways *w, uint64_t now_us)
{
	unsigned s = pauses_s[w->call_step];

	if (s > REST_S && !w->keeps_ports && ways_is_active(w, now_us))
		s = REST_S;
	return UINT64_C(1000000) * s;
}

static void step(struct ways *w, uint64_t now_us)
{
	if (w->call_step >= LAST_AGAIN && ways_is_active(w, now_us))
		w->call_step = AGAIN;
	else if (w->call_step < PAUSES - 1)
		w->call_step++;
}

void ways_call_soon(struct ways *w, uint64_t now_us)
{
	if (w->searching && !w->sampling)
		w->call_us = now_us;
}

void ways_call_begin(struct ways *w, uint64_t now_us)
{
	w->call_step = 0;
	if (!w->sampling)
		w->call_us = now_us;
}

static void arrange(struct ways *w, uint64_t at_us, bool predicts)
{
	w->punches = WAYS_PUNCHES;
	w->punch_us = at_us;
	w->predicts = predicts;
	w->burst = PREDICT_BURSTS;
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

/* Where our NAT counts, the peer has to hear how far it is. False: it does, or has had its time. */
static bool sample(struct ways *w, uint64_t now_us)
{
	if (ways_own_mapping(w) != DISCO_MAPPING_COUNTING || w->sampling ||
		!pace_left(&w->calls_out, WAYS_CALL_BURST, WAYS_CALL_EVERY_US, now_us))
		return false;
	w->sampling = true;
	w->call_us = now_us + WAYS_SAMPLE_US;
	return true;
}

void ways_sampled(struct ways *w, uint64_t now_us)
{
	if (w->sampling)
		w->call_us = now_us;
}

/*
 * What the two are to do then. Where both NATs count, each has to know how far the other's is: it
 * is the answer that arranges something, and nothing is pinged before, which would move ours on.
 */
static void arrange_own(struct ways *w, uint64_t now_us)
{
	uint64_t ahead_us = ways_relayed_one(w)->rtt_us / 2;
	bool answer = w->call_back;

	w->call_back = false;
	if (!answer)
		w->waits = true;
	if (answer != ways_both_count(w))
		return;
	w->predict.asked = false;
	arrange(w, now_us + (ahead_us < AHEAD_MOST_US ? ahead_us : AHEAD_MOST_US), answer);
}

bool ways_call_next(struct ways *w, uint64_t now_us, struct ways_action *ret)
{
	bool answer = w->call_back;

	if (now_us < w->call_us || !may_call(w))
		return false;
	*ret = (struct ways_action){ .what = WAYS_SAMPLE, .to = ways_relayed_one(w)->to };
	if (sample(w, now_us))
		return true;
	w->sampling = false;
	w->call_us = w->searching ? now_us + pause_us(w, now_us) : WAYS_NEVER;
	if (!pace_may(&w->calls_out, WAYS_CALL_BURST, WAYS_CALL_EVERY_US, now_us, NULL)) {
		w->call_back = false;
		return false;
	}
	w->called_us = now_us;
	ret->what = WAYS_CALL;
	arrange_own(w, now_us);
	if (!answer)
		step(w, now_us);
	return true;
}

/*
 * In rounds, those that are pinged anyhow are left alone. Where both NATs count, others wait until
 * the last burst is out, whose ports their flows would move on.
 */
void ways_punch(struct ways *w, uint64_t now_us)
{
	bool others = w->punches == 1 || !w->predicts || !ways_both_count(w);

	if (now_us < w->punch_us)
		return;
	for (size_t i = 0; others && i < w->n; i++) {
		struct way *way = &w->list[i];

		way->due = way->due || way->fresh ||
			   (!way->relayed && !ip_addr_is_private(&way->to.addr));
	}
	ways_predict_begin(w, WAYS_PUNCHES - w->punches, now_us);
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

/* Then those of both sides have crossed: answers would be answered without end. */
static bool has_just_called(const struct ways *w, uint64_t now_us)
{
	return w->called_us && now_us - w->called_us < WAYS_CALL_CROSS_US;
}

bool ways_called(struct ways *w, const struct endpoint *list, size_t n, uint64_t now_us)
{
	bool lately;

	if (!pace_may(&w->calls_in, WAYS_CALL_BURST, WAYS_CALL_EVERY_US, now_us, NULL))
		return false;
	lately = w->called_us && now_us - w->called_us <= WAYS_CALL_LATELY_US;
	w->predict.asked = lately && w->waits;
	w->waits = false;
	w->predict.nth++;
	take_list(w, list, n);
	if (!ways_both_count(w) || w->predict.asked)
		arrange(w, now_us, true);
	if (!w->doubtful)
		w->check_us = now_us; /* by the way that we use, it may not hear us */
	if (ways_both_count(w) ? !w->predict.asked && !has_just_called(w, now_us) : !lately) {
		w->call_back = true;
		if (!w->sampling)
			w->call_us = now_us;
	} else if (w->searching && w->call_us < now_us + pause_us(w, now_us)) {
		w->sampling = false;
		w->call_us = now_us + pause_us(w, now_us);
	}
	return true;
}
