#include "sim-trouble.h"

#include <stddef.h>

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

/* --- what happens to the network --- */

/* Its own router, or its carrier's; UDP to the relay goes from elsewhere then. */
static void forget(struct sim *s, unsigned board, bool renumber)
{
	int i = s->boards[board].place.router;
	struct sim_nat *nat;
	struct ip_addr addr;

	if (i < 0)
		return;
	nat = &s->net.routers[i].nat;
	if (renumber && nat->kind.mapping != SIM_MAPPING_NONE) {
		addr = sim_fresh_address(&s->net);
		sim_nat_renumber(nat, &addr);
	} else {
		sim_nat_forget(nat);
	}
	for (unsigned k = 0; k < s->n_boards; k++)
		if (s->boards[k].place.router == i)
			sim_binds_again(s, k, 200 * MS, 1500 * MS);
}

static void readdress_ipv4(struct sim *s, int host)
{
	struct endpoint *own = &s->net.hosts[host].at;

	if (s->net.hosts[host].lan == SIM_INTERNET)
		own->addr = sim_fresh_address(&s->net);
	else
		own->addr.bytes[3] = (uint8_t) (own->addr.bytes[3] + 20);
}

/* @all: not the IPv4 one alone, its provider's prefix is another, too. */
static void readdress(struct sim *s, unsigned board, bool all)
{
	const struct sim_place *place = &s->boards[board].place;

	if (place->host4 >= 0)
		readdress_ipv4(s, place->host4);
	if (place->host6 >= 0 && all)
		s->net.hosts[place->host6].at.addr.bytes[7]++;
	sim_binds_again(s, board, 100 * MS, SECOND);
	sim_board_moved(&s->boards[board]);
}

static void cut(struct sim *s, unsigned from, bool both, bool on)
{
	s->net.cut[from][1 - from] = on;
	if (both)
		s->net.cut[1 - from][from] = on;
}

static void set_weather(struct sim *s, unsigned loss, uint64_t late_us)
{
	struct sim_lan *internet = &s->net.lans[SIM_INTERNET];

	s->watch.bad_weather = loss != s->plan->loss || late_us;
	internet->loss = s->net.relay.loss = loss;
	internet->delay_us = s->plan->wan_us + late_us;
	s->net.relay.delay_us = s->plan->relay_us + late_us;
}

/* --- again and again, until then --- */

static void again(
	struct sim *s, enum sim_what what, unsigned board, uint64_t in_us, uint64_t until_us)
{
	if (s->now_us + in_us < until_us)
		sim_at(s, s->now_us + in_us, what, board, 0, until_us);
}

static void flip(struct sim *s, uint64_t until_us)
{
	cut(s, 0, true, !s->net.cut[0][1]);
	sim_trace(s, "*** %s\n", s->net.cut[0][1] ? "gone" : "back");
	again(s, SIM_FLIPS, 0, sim_rng_between(&s->rng, 700 * MS, 2500 * MS), until_us);
}

/* An old ping of the other's, ten times in 100 ms, each from somewhere else. */
static void replay(struct sim *s, unsigned board, uint64_t until_us)
{
	for (int i = 0; i < 10; i++) {
		struct sim_packet ping = { .kind = SIM_PING,
			.sender = 1 - board,
			.target = board,
			.run = 1,
			.tx = 7,
			.from = { .addr = { AF_INET, { 192, 0, 2, 0 } }, .port = 99 } };

		ping.from.addr.bytes[3] = (uint8_t) sim_rng_between(&s->rng, 1, 254);
		sim_board_take(&s->boards[board], &ping);
	}
	again(s, SIM_REPLAYS, board, 100 * MS, until_us);
}

/* Ten a second; each other one names the victim, and all somebody else. */
static void call(struct sim *s, unsigned board, uint64_t until_us)
{
	struct sim_packet call = { .kind = SIM_CALL,
		.sender = 1 - board,
		.target = board,
		.named = { { .addr = { AF_INET, { 203, 0, 113, 99 } }, .port = 53 },
			{ .addr = { AF_INET, { 192, 0, 2, 0 } }, .port = 53 } } };

	call.n_named = sim_rng_chance(&s->rng, 500) ? 2 : 1;
	call.named[call.n_named - 1].addr.bytes[3] = (uint8_t) sim_rng_between(&s->rng, 1, 254);
	sim_board_take_relayed(&s->boards[board], &call);
	again(s, SIM_CALLING, board, 100 * MS, until_us);
}

/* Sooner than STUN finds out, or just as it has. */
static void rebind(struct sim *s, unsigned board, uint64_t until_us)
{
	sim_watch_cause(&s->watch, false);
	forget(s, board, false);
	sim_trace(s, "*** again\n");
	again(s, SIM_REBINDS, board, sim_rng_between(&s->rng, 500 * MS, 6 * SECOND), until_us);
}

/* Twenty a second, as of containers that come and go. */
static void stir(struct sim *s, unsigned board, uint64_t until_us)
{
	sim_board_stirred(&s->boards[board]);
	again(s, SIM_STIRS, board, 50 * MS, until_us);
}

bool sim_trouble_more(struct sim *s, const struct sim_event *e)
{
	if (e->what == SIM_FLIPS)
		flip(s, e->x);
	else if (e->what == SIM_REPLAYS)
		replay(s, e->a, e->x);
	else if (e->what == SIM_CALLING)
		call(s, e->a, e->x);
	else if (e->what == SIM_REBINDS)
		rebind(s, e->a, e->x);
	else if (e->what == SIM_STIRS)
		stir(s, e->a, e->x);
	else
		return false;
	return true;
}

/* --- the kinds of trouble --- */

static struct sim_board *board_of(struct sim *s, const struct sim_trouble *t)
{
	return &s->boards[t->board];
}

static void begin_forgets(struct sim *s, const struct sim_trouble *t)
{
	forget(s, t->board, false);
}

static void begin_renumbers(struct sim *s, const struct sim_trouble *t)
{
	forget(s, t->board, true);
}

static void begin_both(struct sim *s, const struct sim_trouble *t)
{
	forget(s, 0, false);
	forget(s, 1, false);
}

static void begin_restarts(struct sim *s, const struct sim_trouble *t)
{
	sim_board_stop(board_of(s, t));
}

static void end_restarts(struct sim *s, const struct sim_trouble *t)
{
	sim_board_start(board_of(s, t));
}

static void begin_sleeps(struct sim *s, const struct sim_trouble *t)
{
	sim_board_sleep(board_of(s, t));
}

static void end_sleeps(struct sim *s, const struct sim_trouble *t)
{
	if (board_of(s, t)->asleep)
		sim_board_resume(board_of(s, t));
	sim_binds_again(s, t->board, 100 * MS, SECOND);
}

static void begin_relay(struct sim *s, const struct sim_trouble *t)
{
	s->net.relay.up = false;
	s->net.relay.run++;
}

static void end_relay(struct sim *s, const struct sim_trouble *t)
{
	s->net.relay.up = true;
	for (unsigned i = 0; i < s->n_boards; i++)
		sim_binds_again(s, i, 200 * MS, 2 * SECOND);
}

static void begin_cut(struct sim *s, const struct sim_trouble *t)
{
	cut(s, t->board, t->kind == SIM_CUT, true);
}

static void end_cut(struct sim *s, const struct sim_trouble *t)
{
	cut(s, t->board, t->kind != SIM_CUT_ONE, false);
}

static void begin_flaps(struct sim *s, const struct sim_trouble *t)
{
	flip(s, s->now_us + t->for_us);
}

static void begin_dhcp(struct sim *s, const struct sim_trouble *t)
{
	readdress(s, t->board, false);
}

static void begin_replay(struct sim *s, const struct sim_trouble *t)
{
	replay(s, t->board, s->now_us + t->for_us);
}

static void begin_storm(struct sim *s, const struct sim_trouble *t)
{
	set_weather(s, 400, 0);
}

static void begin_slow(struct sim *s, const struct sim_trouble *t)
{
	set_weather(s, s->plan->loss, sim_rng_between(&s->rng, 300 * MS, 3 * SECOND));
}

static void end_weather(struct sim *s, const struct sim_trouble *t)
{
	set_weather(s, s->plan->loss, 0);
}

static void begin_calls(struct sim *s, const struct sim_trouble *t)
{
	call(s, t->board, s->now_us + t->for_us);
}

static void begin_moves(struct sim *s, const struct sim_trouble *t)
{
	for (unsigned i = 0; i < 2; i++)
		forget(s, i, true);
	for (unsigned i = 0; i < 2; i++)
		readdress(s, i, true);
}

static void begin_roams(struct sim *s, const struct sim_trouble *t)
{
	enum sim_behind behind = (enum sim_behind) sim_rng_below(&s->rng, SIM_BEHINDS);

	if (s->net.n_routers + 2 > SIM_ROUTERS_MAX || s->net.n_hosts + 2 > SIM_HOSTS_MAX)
		return;
	sim_trace(s, "*** behind: %s\n", sim_behind_name(behind));
	sim_world_carry(s, t->board, behind);
	sim_binds_again(s, t->board, 200 * MS, 2 * SECOND);
	sim_board_moved(board_of(s, t));
}

static void begin_restless(struct sim *s, const struct sim_trouble *t)
{
	rebind(s, t->board, s->now_us + t->for_us);
}

static void begin_held_up(struct sim *s, const struct sim_trouble *t)
{
	sim_board_hold(board_of(s, t), s->now_us + t->for_us);
}

static void end_held_up(struct sim *s, const struct sim_trouble *t)
{
	sim_board_go_on(board_of(s, t));
}

static void begin_links(struct sim *s, const struct sim_trouble *t)
{
	stir(s, t->board, s->now_us + t->for_us);
}

static void begin_power(struct sim *s, const struct sim_trouble *t)
{
	sim_board_stop(&s->boards[0]);
	sim_board_stop(&s->boards[1]);
	begin_relay(s, t);
}

/* Each board is on when it is. */
static void end_power(struct sim *s, const struct sim_trouble *t)
{
	for (unsigned i = 0; i < 2; i++)
		sim_at(s, s->now_us + sim_rng_below(&s->rng, 3 * SECOND), SIM_HAPPENS,
			SIM_TROUBLES_MAX + i, 0, 0);
	end_relay(s, t);
}

static const struct {
	void (*begin)(struct sim *s, const struct sim_trouble *t);
	void (*end)(struct sim *s, const struct sim_trouble *t); /* NULL: it is over by itself */
} kinds[SIM_TROUBLE_KINDS] = {
	[SIM_FORGETS] = { begin_forgets, NULL },
	[SIM_RENUMBERS] = { begin_renumbers, NULL },
	[SIM_BOTH] = { begin_both, NULL },
	[SIM_RESTARTS] = { begin_restarts, end_restarts },
	[SIM_SLEEPS] = { begin_sleeps, end_sleeps },
	[SIM_RELAY] = { begin_relay, end_relay },
	[SIM_CUT] = { begin_cut, end_cut },
	[SIM_CUT_ONE] = { begin_cut, end_cut },
	[SIM_FLAPS] = { begin_flaps, end_cut },
	[SIM_DHCP] = { begin_dhcp, NULL },
	[SIM_REPLAY] = { begin_replay, NULL },
	[SIM_STORM] = { begin_storm, end_weather },
	[SIM_CALLS] = { begin_calls, NULL },
	[SIM_MOVES] = { begin_moves, NULL },
	[SIM_ROAMS] = { begin_roams, NULL },
	[SIM_RESTLESS] = { begin_restless, NULL },
	[SIM_HELD_UP] = { begin_held_up, end_held_up },
	[SIM_LINKS] = { begin_links, NULL },
	[SIM_SLOW] = { begin_slow, end_weather },
	[SIM_POWER] = { begin_power, end_power },
};

void sim_trouble_begin(struct sim *s, const struct sim_trouble *t)
{
	kinds[t->kind].begin(s, t);
}

void sim_trouble_end(struct sim *s, const struct sim_trouble *t)
{
	if (kinds[t->kind].end)
		kinds[t->kind].end(s, t);
}
