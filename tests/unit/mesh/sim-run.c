#include "sim-run.h"

#include <assert.h>
#include <string.h>

#include "sim-trouble.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

#define LOOK_US (500 * MS)

/* --- what happens --- */

static void happen(struct sim *s, unsigned i)
{
	const struct sim_trouble *t;

	if (i >= SIM_TROUBLES_MAX) {
		sim_watch_cause(&s->watch, false);
		sim_board_start(&s->boards[i - SIM_TROUBLES_MAX]);
		return;
	}
	t = &s->plan->troubles[i];
	sim_trace(s, "*** %s (board %u) for %.3f s\n", sim_trouble_name(t->kind), t->board,
		(double) t->for_us / SECOND);
	sim_watch_cause(&s->watch, t->for_us);
	sim_trouble_begin(s, t);
	if (t->for_us)
		sim_at(s, s->now_us + t->for_us, SIM_ENDS, i, 0, 0);
}

static void end_trouble(struct sim *s, unsigned i)
{
	sim_trace(s, "*** over: %s\n", sim_trouble_name(s->plan->troubles[i].kind));
	sim_watch_over(&s->watch);
	sim_trouble_end(s, &s->plan->troubles[i]);
}

/* --- traffic --- */

static void send_on(struct sim *s, unsigned from, unsigned to, uint64_t phase)
{
	if (phase != s->phase)
		return;
	sim_board_send(&s->boards[from], to);
	sim_at(s, s->now_us + s->plan->every_us, SIM_SENDS, from, to, phase);
}

static void begin_phase(struct sim *s, unsigned i)
{
	unsigned who = s->plan->phases[i].who;

	sim_trace(s, "*** traffic: %s%s\n", who & 1 ? "board 0 sends " : "",
		who & 2 ? "board 1 sends" : "");
	s->phase = i + 1;
	for (unsigned from = 0; from < 2; from++) {
		bool active = who & 1U << from;

		sim_watch_flow(&s->watch, from, 1 - from, active);
		if (active)
			send_on(s, from, 1 - from, s->phase);
	}
}

/* --- the run --- */

static void arrive(struct sim *s, const struct sim_event *e)
{
	struct sim_packet packet;
	unsigned host;

	if (sim_net_arrive(&s->net, e->x, s->now_us, &packet, &host))
		sim_board_take(&s->boards[s->net.hosts[host].board], &packet);
}

static void arrive_relayed(struct sim *s, const struct sim_event *e)
{
	struct sim_packet packet;

	if (sim_relay_arrive(&s->net, e->x, s->now_us, &packet))
		sim_board_take_relayed(&s->boards[packet.target], &packet);
}

static void bind_to_relay(struct sim *s, unsigned board, uint64_t run)
{
	if (run != s->net.relay.run || !s->net.relay.up || !s->boards[board].on)
		return;
	s->net.relay.bound_us[board] = s->now_us;
	sim_trace(s, "board %u is bound to the relay\n", board);
	sim_board_bound(&s->boards[board]);
}

static void tell_of(struct sim *s, unsigned board, unsigned to)
{
	sim_watch_news(&s->watch);
	if (s->boards[board].on)
		sim_board_hear_of(&s->boards[to], &s->boards[board]);
}

static void look(struct sim *s)
{
	sim_watch_look(&s->watch);
	sim_at(s, s->now_us + LOOK_US, SIM_LOOKS, 0, 0, 0);
}

/* The board that has to do it is held up. */
static bool put_off(struct sim *s, const struct sim_event *e)
{
	const struct sim_board *board;

	if (e->what != SIM_ASKS_STUN && e->what != SIM_SILENT && e->what != SIM_KEEPS &&
		e->what != SIM_BINDS && e->what != SIM_TELLS)
		return false;
	board = &s->boards[e->what == SIM_TELLS ? e->b : e->a];
	if (!sim_board_is_held(board))
		return false;
	sim_at(s, board->held_us, (enum sim_what) e->what, e->a, e->b, e->x);
	return true;
}

static void take_place(struct sim *s, const struct sim_event *e)
{
	switch ((enum sim_what) e->what) {
	case SIM_ARRIVES:
		arrive(s, e);
		break;
	case SIM_RELAYED:
		arrive_relayed(s, e);
		break;
	case SIM_WAKES:
		sim_board_wake(&s->boards[e->a]);
		break;
	case SIM_ASKS_STUN:
		sim_board_stun(&s->boards[e->a], e->x);
		break;
	case SIM_SENDS:
		send_on(s, e->a, e->b, e->x);
		break;
	case SIM_SILENT:
		sim_board_silent(&s->boards[e->a], e->b, e->x);
		break;
	case SIM_KEEPS:
		sim_board_keep(&s->boards[e->a], e->b, e->x);
		break;
	case SIM_TELLS:
		tell_of(s, e->a, e->b);
		break;
	case SIM_BINDS:
		bind_to_relay(s, e->a, e->x);
		break;
	case SIM_HAPPENS:
		happen(s, e->a);
		break;
	case SIM_ENDS:
		end_trouble(s, e->a);
		break;
	case SIM_PHASE:
		begin_phase(s, e->a);
		break;
	case SIM_LOOKS:
		look(s);
		break;
	case SIM_REPLAYS:
	case SIM_FLIPS:
	case SIM_CALLING:
	case SIM_REBINDS:
	case SIM_STIRS:
		break;
	}
}

static void count_flow(const struct sim_flow_watch *flow, struct sim_result *ret)
{
	if (flow->most_pings > ret->most_pings)
		ret->most_pings = flow->most_pings;
	if (flow->most_tries > ret->most_tries)
		ret->most_tries = flow->most_tries;
	if (flow->most_calls > ret->most_calls)
		ret->most_calls = flow->most_calls;
	if (flow->most_changes > ret->most_changes)
		ret->most_changes = flow->most_changes;
	ret->changes += flow->all_changes;
	for (size_t i = 0; i < flow->n_addresses; i++)
		if (!flow->addresses[i].answered_us &&
			flow->addresses[i].pings > ret->most_unproved &&
			!ip_addr_is_loopback(&flow->addresses[i].at.addr))
			ret->most_unproved = flow->addresses[i].pings;
}

static void sum_up(struct sim *s, struct sim_result *ret)
{
	uint64_t start_us = SIM_BEGIN_US, later = s->plan->start_us[0] > s->plan->start_us[1]
							  ? s->plan->start_us[0]
							  : s->plan->start_us[1];

	memcpy(ret->why, s->watch.why, sizeof(ret->why));
	ret->direct =
		sim_board_is_direct(&s->boards[0], 1) && sim_board_is_direct(&s->boards[1], 0);
	ret->direct_us =
		s->watch.direct_us > start_us + later ? s->watch.direct_us - start_us - later : 0;
	ret->causes = s->watch.causes;
	for (unsigned a = 0; a < s->n_boards; a++)
		for (unsigned b = 0; b < s->n_boards; b++)
			count_flow(&s->watch.flows[a][b], ret);
}

void sim_run(struct sim *s, uint64_t seed, const struct sim_plan *plan, FILE *trace,
	struct sim_result *ret)
{
	struct sim_event event;

	*ret = (struct sim_result){ 0 };
	sim_world_make(s, seed, plan, trace);
	while (!s->watch.why[0] && sim_queue_take(&s->queue, SIM_BEGIN_US + plan->end_us, &event)) {
		assert(event.at_us >= s->now_us);
		s->now_us = event.at_us;
		if (!put_off(s, &event) && !sim_trouble_more(s, &event))
			take_place(s, &event);
		ret->events++;
	}
	sim_watch_end(&s->watch);
	sum_up(s, ret);
	sim_world_end(s);
}
