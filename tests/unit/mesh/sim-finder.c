/*
 * As node/finder.c and node/relayed.c do it: the pace of pongs is theirs, and for how long a peer
 * is carried.
 */
#include "sim-board-internal.h"

enum { PONGS_BURST = 32 };
#define PONG_EVERY_US (50 * MS)

struct endpoint finder_relayed_at(unsigned peer)
{
	return (struct endpoint){ .addr = { AF_INET, { 127, 0, 0, 1 } },
		.port = (uint16_t) (50000 + peer) };
}

/* --- what comes in --- */

static void answer(struct sim_board *b, const struct sim_packet *ping)
{
	struct sim_peer *peer = &b->peers[ping->sender];
	struct sim_packet pong = board_packet(b, ping->sender, SIM_PONG, &ping->from);
	struct pace *pace = ways_answers_at(&peer->ways, &ping->from, board_now(b))
				    ? &peer->pongs
				    : &peer->pongs_anywhere;

	if (!pace_may(pace, PONGS_BURST, PONG_EVERY_US, board_now(b), NULL))
		return;
	pong.tx = ping->tx;
	board_put_out(b, &pong);
	ways_heard(&peer->ways, &ping->from, board_now(b));
}

static bool knows_ping(const struct ways *ways, const struct endpoint *from, uint64_t tx)
{
	for (size_t i = 0; i < ways->n; i++)
		for (unsigned k = 0; endpoint_equal(&ways->list[i].to, from) && k < WAYS_PINGS; k++)
			if (ways->list[i].pings[k].tx == tx)
				return true;
	return false;
}

static void take_pong(struct sim_board *b, const struct sim_packet *pong)
{
	struct sim_peer *peer = &b->peers[pong->sender];

	if (!knows_ping(&peer->ways, &pong->from, pong->tx))
		return;
	if (peer->run && peer->run != pong->run)
		ways_restarted(&peer->ways, board_now(b));
	peer->run = pong->run;
	b->hooks->answered(b->ctx, b->number, pong->sender, &pong->from);
	(void) ways_pong(&peer->ways, &pong->from, pong->tx, board_now(b));
}

static void take_call(struct sim_board *b, const struct sim_packet *call)
{
	struct ways *ways = &b->peers[call->sender].ways;

	ways_nat(ways, &call->nat);
	(void) ways_called(ways, call->named, call->n_named, board_now(b));
}

void finder_take(struct sim_board *b, const struct sim_packet *p)
{
	if (p->kind == SIM_PING)
		answer(b, p);
	else if (p->kind == SIM_PONG)
		take_pong(b, p);
	else if (ip_addr_is_loopback(&p->from.addr)) /* a call, which counts from nowhere else */
		take_call(b, p);
}

/* --- what is carried --- */

static bool may_be_carried(const struct sim_board *b, unsigned i)
{
	const struct sim_relay *relay = &b->net->relay;

	return relay->up && relay->bound_us[b->number] <= board_now(b) && board_knows(b, i);
}

void finder_take_up(struct sim_board *b, unsigned i)
{
	struct sim_peer *peer = &b->peers[i];
	struct endpoint at = finder_relayed_at(i);

	peer->carried = true;
	peer->reason_us = board_now(b);
	ways_relayed(&peer->ways, &at, board_now(b));
}

static void put_off(struct sim_board *b, unsigned i)
{
	struct sim_peer *peer = &b->peers[i];

	peer->carried = false;
	ways_relayed(&peer->ways, NULL, board_now(b));
	if (!ip_addr_is_loopback(&peer->told.addr))
		return;
	peer->told = (struct endpoint){ 0 };
	b->hooks->told(b->ctx, b->number, i, NULL);
}

static void carry(struct sim_board *b, unsigned i)
{
	struct sim_peer *peer = &b->peers[i];
	const struct way *way = ways_get_relayed(&peer->ways);

	if (!peer->carried) {
		if (peer->ways.doubtful && may_be_carried(b, i))
			finder_take_up(b, i);
		return;
	}
	if (way && way->answered_us > peer->reason_us)
		peer->reason_us = way->answered_us;
	if (board_now(b) >= peer->reason_us + b->linger_us)
		put_off(b, i);
}

void finder_missed(struct sim_board *b, struct sim_peer *peer)
{
	if (!peer->carried)
		return;
	peer->reason_us = board_now(b);
	if (ways_is_relayed(&peer->ways))
		ways_relayed_anew(&peer->ways);
}

/* --- what is due --- */

static void send_ping(struct sim_board *b, unsigned peer, const struct endpoint *to, uint64_t tx)
{
	struct sim_packet ping = board_packet(b, peer, SIM_PING, to);

	ping.tx = tx;
	b->hooks->pinged(b->ctx, b->number, peer, to);
	board_put_out(b, &ping);
}

static void send_call(struct sim_board *b, unsigned peer, const struct endpoint *to)
{
	struct sim_packet call = board_packet(b, peer, SIM_CALL, to);

	for (size_t i = 0; i < b->own.n && call.n_named < SIM_NAMED_MAX; i++)
		call.named[call.n_named++] = b->own.list[i];
	call.nat = (struct predict_nat){ b->own.mapping, 1, b->stun.last };
	b->hooks->called(b->ctx, b->number, peer);
	board_put_out(b, &call);
}

static void act(struct sim_board *b, unsigned i)
{
	struct ways *ways = &b->peers[i].ways;
	struct ways_action action;

	while (ways_next(ways, board_now(b), b->next_tx, &action)) {
		switch (action.what) {
		case WAYS_PING:
			send_ping(b, i, &action.to, b->next_tx);
			break;
		case WAYS_CALL:
			send_call(b, i, &action.to);
			break;
		case WAYS_SAMPLE:
			own_sample(b);
			break;
		}
		b->next_tx++;
	}
}

static void tell(struct sim_board *b, unsigned i)
{
	struct sim_peer *peer = &b->peers[i];
	const struct way *way = ways_in_use(&peer->ways);

	if (!way || endpoint_equal(&way->to, &peer->told))
		return;
	if (way->relayed && peer->told.addr.family)
		own_look(b);
	if (!way->relayed)
		peer->seen = way->to;
	peer->told = way->to;
	b->hooks->told(b->ctx, b->number, i, way);
}

static void wake_at(struct sim_board *b, uint64_t at_us)
{
	uint64_t wait_us = at_us > board_now(b) ? at_us - board_now(b) : 0;

	if (at_us == WAYS_NEVER)
		return;
	/* As the finder's timer: never early, and late by its accuracy. */
	wait_us += sim_rng_below(b->net->rng, wait_us < SECOND ? MS : 250 * MS) + 1;
	if (b->wake_us > board_now(b) && b->wake_us <= board_now(b) + wait_us)
		return;
	b->wake_us = board_now(b) + wait_us;
	board_later(b, SIM_WAKES, 0, 0, wait_us);
}

void finder_run(struct sim_board *b)
{
	uint64_t next_us = WAYS_NEVER;

	for (unsigned i = 0; i < b->n_boards && board_works(b); i++) {
		uint64_t deadline_us;

		if (!board_knows(b, i))
			continue;
		carry(b, i);
		deadline_us = ways_deadline(&b->peers[i].ways);
		if (deadline_us <= board_now(b)) {
			act(b, i);
			deadline_us = ways_deadline(&b->peers[i].ways);
			if (deadline_us <= board_now(b))
				b->hooks->stuck(b->ctx, b->number, i);
		}
		tell(b, i);
		if (deadline_us < next_us)
			next_us = deadline_us;
	}
	wake_at(b, next_us);
}
