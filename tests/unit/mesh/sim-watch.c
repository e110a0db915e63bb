#include "sim-watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000)
enum { SIM_LOSSY = 10 /* of 1000 */ };

static uint64_t now(const struct sim_watch *w)
{
	return *w->now_us;
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

__attribute__((format(printf, 2, 3))) static void fail(struct sim_watch *w, const char *format, ...)
{
	va_list args;
	int n;

	if (w->why[0])
		return;
	n = snprintf(
		w->why, sizeof(w->why), "at %.3f s: ", (double) (now(w) - SIM_BEGIN_US) / SECOND);
	va_start(args, format);
	(void) vsnprintf(w->why + n, sizeof(w->why) - (size_t) n, format, args);
	va_end(args);
}

void sim_watch_init(struct sim_watch *w, const struct sim_board *boards, unsigned n_boards,
	const struct sim_net *net, const uint64_t *now_us)
{
	memset(w, 0, sizeof(*w));
	w->boards = boards;
	w->n_boards = n_boards;
	w->net = net;
	w->now_us = now_us;
}

/* --- causes --- */

static void not_calm(struct sim_watch *w)
{
	memset(w->calm, 0, sizeof(w->calm));
}

void sim_watch_cause(struct sim_watch *w, bool lasts)
{
	w->cause_us = now(w);
	w->causes++;
	w->lasting += lasts;
	not_calm(w);
	for (unsigned a = 0; a < w->n_boards; a++)
		for (unsigned b = 0; b < w->n_boards; b++) {
			w->flows[a][b].proved = false;
			w->flows[a][b].changes = 0;
		}
}

void sim_watch_over(struct sim_watch *w)
{
	w->lasting--;
	sim_watch_cause(w, false);
}

void sim_watch_news(struct sim_watch *w)
{
	w->news_us = now(w);
	not_calm(w);
}

void sim_watch_flow(struct sim_watch *w, unsigned from, unsigned to, bool active)
{
	struct sim_flow_watch *flow = &w->flows[from][to];

	if (flow->active == active)
		return;
	flow->active = active;
	flow->since_us = now(w);
	not_calm(w);
	if (active && !w->flows[to][from].active)
		sim_watch_cause(w, false); /* what was kept open may be closed */
}

/* --- pings and calls --- */

static bool is_nobodys(const struct sim_watch *w, unsigned from, const struct endpoint *to)
{
	const struct ways_own *own = &w->boards[from].own;

	for (size_t i = 0; i < own->n_local; i++)
		if (ip_addr_equal(&own->list[i].addr, &to->addr))
			return true;
	return !to->port || ip_addr_is_multicast(&to->addr) || ip_addr_is_unspecified(&to->addr) ||
	       (to->addr.family == AF_INET && to->addr.bytes[0] == 255);
}

static struct sim_address *find_address(struct sim_flow_watch *flow, const struct endpoint *at)
{
	for (size_t i = 0; i < flow->n_addresses; i++)
		if (endpoint_equal(&flow->addresses[i].at, at))
			return &flow->addresses[i];
	if (flow->n_addresses == SIM_ADDRESSES_MAX)
		return NULL;
	flow->addresses[flow->n_addresses] = (struct sim_address){ .at = *at };
	return &flow->addresses[flow->n_addresses++];
}

static void begin_minute(struct sim_watch *w, struct sim_flow_watch *flow)
{
	uint64_t minute = now(w) / (60 * SECOND);

	if (flow->minute == minute)
		return;
	flow->minute = minute;
	flow->pings = flow->tries = flow->calls = 0;
}

/* One more this minute. False: that is too many. */
static bool count(unsigned *n, unsigned *most, unsigned limit)
{
	if (++*n > *most)
		*most = *n;
	return *n <= limit;
}

static void count_try(struct sim_watch *w, unsigned from, unsigned peer, const struct endpoint *to)
{
	struct sim_flow_watch *flow = &w->flows[from][peer];
	struct sim_address *address = find_address(flow, to);
	char text[ENDPOINT_TEXT_MAX];

	if (address)
		address->pings++;
	if (address && address->answered_us && now(w) - address->answered_us < SIM_PROVED_US)
		return;
	if (!count(&flow->tries, &flow->most_tries, SIM_TRIES_MINUTE))
		fail(w, "pings: board %u tries more than %d a minute for board %u", from,
			SIM_TRIES_MINUTE, peer);
	if (address && !pace_may(&address->pace, SIM_UNPROVED, SIM_UNPROVED_EVERY_US, now(w), NULL))
		fail(w, "pings: board %u sends too many to %s, which never answered", from,
			endpoint_format(to, text));
}

void sim_watch_pinged(struct sim_watch *w, unsigned from, unsigned peer, const struct endpoint *to)
{
	struct sim_flow_watch *flow = &w->flows[from][peer];
	char text[ENDPOINT_TEXT_MAX];

	begin_minute(w, flow);
	if (!count(&flow->pings, &flow->most_pings, SIM_PINGS_MINUTE))
		fail(w, "pings: board %u sends more than %d a minute to board %u", from,
			SIM_PINGS_MINUTE, peer);
	if (w->calm[from][peer])
		fail(w, "pings: board %u to board %u at %s, though they are idle", from, peer,
			endpoint_format(to, text));
	if (!ip_addr_is_loopback(&to->addr)) {
		if (is_nobodys(w, from, to))
			fail(w, "pings: board %u to %s", from, endpoint_format(to, text));
		count_try(w, from, peer, to);
	} else if (to->port != 50000 + peer || !w->boards[from].peers[peer].carried) {
		fail(w, "pings: board %u to its own loopback", from);
	}
}

/* What it tried before it has forgotten; so may we. */
void sim_watch_started(struct sim_watch *w, unsigned board)
{
	for (unsigned i = 0; i < w->n_boards; i++) {
		struct sim_flow_watch *flow = &w->flows[board][i];

		flow->n_addresses = 0;
		flow->pings = flow->tries = flow->calls = 0;
		flow->direct_us = 0;
		flow->losses = 0;
	}
}

void sim_watch_answered(
	struct sim_watch *w, unsigned board, unsigned peer, const struct endpoint *at)
{
	struct sim_address *address = find_address(&w->flows[board][peer], at);

	if (address)
		address->answered_us = now(w);
}

void sim_watch_called(struct sim_watch *w, unsigned from, unsigned peer)
{
	struct sim_flow_watch *flow = &w->flows[from][peer];

	begin_minute(w, flow);
	if (!count(&flow->calls, &flow->most_calls, SIM_CALLS_MINUTE))
		fail(w, "calls: board %u calls board %u more than %d times a minute", from, peer,
			SIM_CALLS_MINUTE);
	if (w->calm[from][peer])
		fail(w, "calls: board %u calls board %u, though they are idle", from, peer);
}

/* --- ways --- */

static bool are_direct(const struct sim_watch *w, unsigned a, unsigned b)
{
	return sim_board_is_direct(&w->boards[a], b) && sim_board_is_direct(&w->boards[b], a);
}

static bool is_lossy(const struct sim_watch *w)
{
	return w->net->lans[SIM_INTERNET].loss > SIM_LOSSY;
}

static void note_loss(struct sim_watch *w, struct sim_flow_watch *flow, bool direct)
{
	if (flow->direct_us) {
		if (now(w) - flow->direct_us >= SIM_STEADY_US)
			flow->losses = 0;
		flow->losses++;
	}
	flow->direct_us = direct ? now(w) : 0;
}

void sim_watch_told(struct sim_watch *w, unsigned board, unsigned peer)
{
	struct sim_flow_watch *flow = &w->flows[board][peer];
	bool two = w->boards[board].place.host6 >= 0 && w->boards[peer].place.host6 >= 0;
	uint64_t most = SIM_CHANGES;

	if (w->lasting)
		most += two ? 2 * SIM_CHANGES_TROUBLE : SIM_CHANGES_TROUBLE;
	if (is_lossy(w))
		most += SIM_CHANGES;
	if (is_lossy(w) || w->forgetful)
		most += (now(w) - w->cause_us) / SIM_CHANGES_MORE_US;
	sim_watch_news(w);
	note_loss(w, flow, sim_board_is_direct(&w->boards[board], peer));
	if (!are_direct(w, 0, 1))
		w->direct_us = 0;
	else if (!w->direct_us)
		w->direct_us = now(w);
	flow->all_changes++;
	if (!count(&flow->changes, &flow->most_changes, (unsigned) most))
		fail(w, "changes: board %u reaches board %u elsewhere for the %u. time", board,
			peer, flow->changes);
}

void sim_watch_stuck(struct sim_watch *w, unsigned board, unsigned peer)
{
	fail(w, "turns: board %u has no end of them about board %u", board, peer);
}

void sim_watch_delivered(struct sim_watch *w, unsigned board, unsigned peer, bool relayed)
{
	struct sim_flow_watch *flow = &w->flows[peer][board];

	flow->arrived_us = now(w);
	if (!relayed && now(w) - w->cause_us > SIM_FLIGHT_US)
		flow->proved = true;
}

static bool works(const struct sim_board *board)
{
	return board->on && !board->asleep && !sim_board_is_held(board);
}

static bool work(const struct sim_watch *w, unsigned a, unsigned b)
{
	return works(&w->boards[a]) && works(&w->boards[b]);
}

static bool are_cut(const struct sim_watch *w, unsigned a, unsigned b)
{
	return w->net->cut[a][b] || w->net->cut[b][a];
}

static bool are_cut_one_way(const struct sim_watch *w, unsigned a, unsigned b)
{
	return w->net->cut[a][b] != w->net->cut[b][a];
}

/* When the relay began to carry between them; UINT64_MAX: it does not. */
static uint64_t relay_since(const struct sim_watch *w, unsigned a, unsigned b)
{
	const struct sim_relay *relay = &w->net->relay;

	if (!sim_relay_carries(w->net, a, b, now(w)))
		return UINT64_MAX;
	return later_of(relay->bound_us[a], relay->bound_us[b]);
}

static void look_at_way(struct sim_watch *w, unsigned a, unsigned b)
{
	const struct sim_flow_watch *flow = &w->flows[a][b];
	uint64_t relay_us = relay_since(w, a, b);
	uint64_t since_us = later_of(later_of(flow->since_us, flow->arrived_us), w->cause_us);
	uint64_t most_us = is_lossy(w) || are_cut_one_way(w, a, b) ? SIM_WAY_SLOW_US : SIM_WAY_US;

	if (!flow->active || !work(w, a, b) || w->bad_weather)
		return;
	if (relay_us != UINT64_MAX && now(w) - later_of(since_us, relay_us) > most_us)
		fail(w, "way: nothing arrives from board %u at board %u, and the relay carries", a,
			b);
	if (relay_us == UINT64_MAX && flow->proved && w->flows[b][a].proved && !are_cut(w, a, b) &&
		now(w) - since_us > most_us)
		fail(w, "way: nothing arrives from board %u at board %u, and the direct way works",
			a, b);
}

/* A way has to prove itself, the longer the more often it was lost of late. */
static bool is_on_trial(const struct sim_watch *w, unsigned a, unsigned b)
{
	return w->flows[a][b].losses > SIM_LOSSES || w->flows[b][a].losses > SIM_LOSSES;
}

static void look_at_direct(struct sim_watch *w, unsigned a, unsigned b)
{
	uint64_t since_us = relay_since(w, a, b);
	uint64_t most_us = SIM_DIRECT_US;

	if (are_direct(w, a, b) || are_cut(w, a, b))
		w->lately_us[a][b] = now(w); /* it counts from here on */
	if (w->hope[a][b] > SIM_DIRECT_LATE || !work(w, a, b) || w->bad_weather ||
		are_cut(w, a, b) || since_us == UINT64_MAX)
		return;
	if (w->hope[a][b] == SIM_DIRECT_LATE)
		most_us = is_lossy(w) ? 2 * SIM_LATE_US : SIM_LATE_US;
	else if (w->hope[a][b] == SIM_DIRECT_NEXT) /* others' flows may spoil some tries */
		most_us = 2 * SIM_DIRECT_PAUSE_US;
	else if (w->hope[a][b] == SIM_DIRECT_PAUSE || is_lossy(w) || is_on_trial(w, a, b))
		most_us = SIM_DIRECT_PAUSE_US;
	since_us = later_of(since_us, later_of(w->cause_us, w->lately_us[a][b]));
	if (now(w) - since_us > most_us)
		fail(w, "direct: board %u has no direct way to board %u",
			sim_board_is_direct(&w->boards[a], b) ? b : a,
			sim_board_is_direct(&w->boards[a], b) ? a : b);
}

static void look_whether_calm(struct sim_watch *w, unsigned a, unsigned b)
{
	const struct sim_flow_watch *to = &w->flows[a][b], *from = &w->flows[b][a];
	uint64_t since_us = later_of(to->since_us, from->since_us);

	since_us = later_of(since_us, later_of(w->cause_us, w->news_us));
	if (to->active || from->active || w->lasting || !are_direct(w, a, b) || !work(w, a, b))
		return;
	if (w->boards[a].peers[b].ways.doubtful || w->boards[b].peers[a].ways.doubtful)
		return;
	if (now(w) - since_us > SIM_CALM_US)
		w->calm[a][b] = w->calm[b][a] = true;
}

void sim_watch_look(struct sim_watch *w)
{
	for (unsigned a = 0; a < w->n_boards; a++)
		for (unsigned b = 0; b < w->n_boards; b++) {
			if (a == b)
				continue;
			look_at_way(w, a, b);
			if (a > b)
				continue;
			look_at_direct(w, a, b);
			look_whether_calm(w, a, b);
		}
}

void sim_watch_end(struct sim_watch *w)
{
	sim_watch_look(w);
	for (unsigned a = 0; a < w->n_boards; a++)
		for (unsigned b = 0; b < w->n_boards; b++)
			if (a != b && !ways_in_use(&w->boards[a].peers[b].ways))
				fail(w, "way: board %u has none to board %u", a, b);
}
