#include "sim-trouble.h"

#include <stddef.h>

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

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

static void readdress(struct sim *s, unsigned board)
{
	int host = s->boards[board].place.host4;
	struct endpoint *own;

	if (host < 0)
		return;
	own = &s->net.hosts[host].at;
	if (s->net.hosts[host].lan == SIM_INTERNET)
		own->addr = sim_fresh_address(&s->net);
	else
		own->addr.bytes[3] = (uint8_t) (own->addr.bytes[3] + 20);
	sim_binds_again(s, board, 100 * MS, SECOND);
	sim_board_moved(&s->boards[board]);
}

static void stop_relay(struct sim *s)
{
	s->net.relay.up = false;
	s->net.relay.run++;
}

static void start_relay(struct sim *s)
{
	s->net.relay.up = true;
	for (unsigned i = 0; i < s->n_boards; i++)
		sim_binds_again(s, i, 200 * MS, 2 * SECOND);
}

static void cut(struct sim *s, unsigned from, bool both, bool on)
{
	s->net.cut[from][1 - from] = on;
	if (both)
		s->net.cut[1 - from][from] = on;
}

void sim_trouble_flip(struct sim *s, uint64_t until_us)
{
	uint64_t next_us = s->now_us + sim_rng_between(&s->rng, 700 * MS, 2500 * MS);

	cut(s, 0, true, !s->net.cut[0][1]);
	sim_trace(s, "*** %s\n", s->net.cut[0][1] ? "gone" : "back");
	if (next_us < until_us)
		sim_at(s, next_us, SIM_FLIPS, 0, 0, until_us);
}

/* An old ping of the other's, ten times in 100 ms, each from somewhere else. */
void sim_trouble_replay(struct sim *s, unsigned board, uint64_t until_us)
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
	if (s->now_us + 100 * MS < until_us)
		sim_at(s, s->now_us + 100 * MS, SIM_REPLAYS, board, 0, until_us);
}

/* Ten a second; each other one names the victim, and all somebody else. */
void sim_trouble_call(struct sim *s, unsigned board, uint64_t until_us)
{
	struct sim_packet call = { .kind = SIM_CALL,
		.sender = 1 - board,
		.target = board,
		.named = { { .addr = { AF_INET, { 203, 0, 113, 99 } }, .port = 53 },
			{ .addr = { AF_INET, { 192, 0, 2, 0 } }, .port = 53 } } };

	call.n_named = sim_rng_chance(&s->rng, 500) ? 2 : 1;
	call.named[call.n_named - 1].addr.bytes[3] = (uint8_t) sim_rng_between(&s->rng, 1, 254);
	sim_board_take_relayed(&s->boards[board], &call);
	if (s->now_us + 100 * MS < until_us)
		sim_at(s, s->now_us + 100 * MS, SIM_CALLING, board, 0, until_us);
}

static void set_storm(struct sim *s, unsigned loss)
{
	s->watch.bad_weather = loss != s->plan->loss;
	s->net.lans[SIM_INTERNET].loss = loss;
	s->net.relay.loss = loss;
}

void sim_trouble_begin(struct sim *s, const struct sim_trouble *t)
{
	struct sim_board *board = &s->boards[t->board];

	switch (t->kind) {
	case SIM_FORGETS:
	case SIM_RENUMBERS:
		forget(s, t->board, t->kind == SIM_RENUMBERS);
		break;
	case SIM_BOTH:
		forget(s, 0, false);
		forget(s, 1, false);
		break;
	case SIM_RESTARTS:
		sim_board_stop(board);
		break;
	case SIM_SLEEPS:
		sim_board_sleep(board);
		break;
	case SIM_RELAY:
		stop_relay(s);
		break;
	case SIM_CUT:
	case SIM_CUT_ONE:
		cut(s, t->board, t->kind == SIM_CUT, true);
		break;
	case SIM_FLAPS:
		sim_trouble_flip(s, s->now_us + t->for_us);
		break;
	case SIM_DHCP:
		readdress(s, t->board);
		break;
	case SIM_REPLAY:
		sim_trouble_replay(s, t->board, s->now_us + t->for_us);
		break;
	case SIM_STORM:
		set_storm(s, 400);
		break;
	case SIM_CALLS:
		sim_trouble_call(s, t->board, s->now_us + t->for_us);
		break;
	case SIM_TROUBLE_KINDS:
		break;
	}
}

void sim_trouble_end(struct sim *s, const struct sim_trouble *t)
{
	struct sim_board *board = &s->boards[t->board];

	switch (t->kind) {
	case SIM_RESTARTS:
		sim_board_start(board);
		break;
	case SIM_SLEEPS:
		if (board->asleep)
			sim_board_resume(board);
		sim_binds_again(s, t->board, 100 * MS, SECOND);
		break;
	case SIM_RELAY:
		start_relay(s);
		break;
	case SIM_CUT:
	case SIM_CUT_ONE:
	case SIM_FLAPS:
		cut(s, t->board, t->kind != SIM_CUT_ONE, false);
		break;
	case SIM_STORM:
		set_storm(s, s->plan->loss);
		break;
	case SIM_FORGETS:
	case SIM_RENUMBERS:
	case SIM_BOTH:
	case SIM_DHCP:
	case SIM_REPLAY:
	case SIM_CALLS:
	case SIM_TROUBLE_KINDS:
		break;
	}
}
