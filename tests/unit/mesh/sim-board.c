/*
 * The numbers here and in the files below are hearthd's.
 */
#include <string.h>

#include "sim-board-internal.h"

/* --- from the queue --- */

void sim_board_wake(struct sim_board *b)
{
	if (b->wake_us == board_now(b) && !sim_board_is_held(b))
		finder_run(b);
}

/* The relay may see us elsewhere than before, which is a reason to ask where we are. */
void sim_board_bound(struct sim_board *b)
{
	own_look(b);
	for (unsigned i = 0; i < b->n_boards && board_works(b); i++)
		if (b->peers[i].carried)
			ways_relayed_anew(&b->peers[i].ways);
	finder_run(b);
}

static void put_by(struct sim_board *b, const struct sim_packet *packet, bool relayed)
{
	if (b->n_held == SIM_HELD_MAX || !board_works(b))
		return;
	b->held[b->n_held].packet = *packet;
	b->held[b->n_held++].relayed = relayed;
}

void sim_board_take(struct sim_board *b, const struct sim_packet *p)
{
	if (sim_board_is_held(b)) {
		put_by(b, p, false);
		return;
	}
	if (!board_works(b))
		return;
	if (p->kind == SIM_TOLD)
		own_take(b, p);
	else if (!board_knows(b, p->sender) || p->target != b->number)
		return; /* it cannot be opened */
	else if (p->kind == SIM_DATA || p->kind == SIM_KEEPALIVE)
		tunnel_take(b, p);
	else
		finder_take(b, p);
	finder_run(b);
}

/* What comes by the relay from one that is not carried makes it so, and is lost. */
void sim_board_take_relayed(struct sim_board *b, const struct sim_packet *packet)
{
	struct sim_packet p = *packet;

	if (sim_board_is_held(b)) {
		put_by(b, packet, true);
		return;
	}
	if (!board_works(b) || !board_knows(b, p.sender))
		return;
	if (!b->peers[p.sender].carried) {
		finder_take_up(b, p.sender);
		finder_run(b);
		return;
	}
	p.from = finder_relayed_at(p.sender);
	sim_board_take(b, &p);
}

void sim_board_hear_of(struct sim_board *b, const struct sim_board *from)
{
	struct endpoint list[WAYS_OWN_MAX + SIM_EXTRA_MAX];
	size_t n = 0;

	if (!board_works(b) || !board_knows(b, from->number))
		return;
	for (size_t i = 0; i < from->own.n; i++)
		list[n++] = from->own.list[i];
	for (size_t i = 0; i < from->n_extra; i++)
		list[n++] = from->extra[i];
	ways_announced(&b->peers[from->number].ways, list,
		n < WAYS_ANNOUNCED_MAX ? n : WAYS_ANNOUNCED_MAX, board_now(b));
	finder_run(b);
}

static void move(struct sim_board *b)
{
	for (unsigned i = 0; i < b->n_boards; i++)
		if (board_knows(b, i))
			ways_moved(&b->peers[i].ways, board_now(b));
}

void sim_board_stirred(struct sim_board *b)
{
	if (!board_works(b) || sim_board_is_held(b))
		return;
	move(b);
	own_look(b);
	finder_run(b);
}

void sim_board_moved(struct sim_board *b)
{
	b->moved = sim_board_is_held(b);
	if (!board_works(b) || b->moved)
		return;
	own_find(b);
	move(b);
	own_begin_stun(b);
	finder_run(b);
}

/* --- its life --- */

void sim_board_init(struct sim_board *b, struct sim_net *net, unsigned number)
{
	b->net = net;
	b->number = number;
	b->place = (struct sim_place){ -1, -1, -1 };
	b->next_tx = 1;
	for (unsigned i = 0; i < SIM_BOARDS_MAX; i++)
		ways_init(&b->peers[i].ways);
}

void sim_board_done(struct sim_board *b)
{
	for (unsigned i = 0; i < SIM_BOARDS_MAX; i++)
		ways_done(&b->peers[i].ways);
}

/* What it knows from before is where each peer was last seen. */
static void start_peer(struct sim_board *b, struct sim_peer *peer)
{
	struct endpoint seen = peer->seen;
	uint64_t doubt = peer->doubt, debt = peer->debt; /* what waits in the queue is of before */

	ways_done(&peer->ways);
	*peer = (struct sim_peer){ .seen = seen, .doubt = doubt + 1, .debt = debt + 1 };
	ways_init(&peer->ways);
	if (seen.addr.family)
		ways_heard(&peer->ways, &seen, board_now(b));
}

void sim_board_start(struct sim_board *b)
{
	uint64_t round = b->stun.round;

	b->on = true;
	b->asleep = b->moved = false;
	b->held_us = 0;
	b->run = sim_rng_next(b->net->rng) | 1;
	b->wake_us = 0;
	memset(&b->own, 0, sizeof(b->own));
	memset(b->stun.seen, 0, sizeof(b->stun.seen));
	b->stun.round = round;
	b->stun.missed = 0;
	for (unsigned i = 0; i < b->n_boards; i++)
		if (board_knows(b, i))
			start_peer(b, &b->peers[i]);
	own_find(b);
	own_begin_stun(b);
	b->hooks->started(b->ctx, b->number);
	finder_run(b);
}

void sim_board_stop(struct sim_board *b)
{
	b->on = false;
	b->n_held = 0;
}

void sim_board_sleep(struct sim_board *b)
{
	b->asleep = true;
	b->n_held = 0;
}

void sim_board_resume(struct sim_board *b)
{
	b->asleep = false;
	b->held_us = b->wake_us = 0;
	for (unsigned i = 0; i < b->n_boards; i++) { /* their time is over */
		b->peers[i].asked = b->peers[i].owes = false;
		b->peers[i].lost_us = 0;
	}
	sim_board_moved(b);
}

void sim_board_hold(struct sim_board *b, uint64_t until_us)
{
	if (until_us > b->held_us)
		b->held_us = until_us;
}

/* What waited first, as it came. */
void sim_board_go_on(struct sim_board *b)
{
	if (sim_board_is_held(b))
		return;
	for (size_t i = 0; i < b->n_held; i++)
		if (b->held[i].relayed)
			sim_board_take_relayed(b, &b->held[i].packet);
		else
			sim_board_take(b, &b->held[i].packet);
	b->n_held = 0;
	if (b->moved)
		sim_board_moved(b);
	finder_run(b);
}

bool sim_board_is_held(const struct sim_board *b)
{
	return board_now(b) < b->held_us;
}

bool sim_board_is_direct(const struct sim_board *b, unsigned i)
{
	const struct way *way = ways_in_use(&b->peers[i].ways);

	return way && !way->relayed;
}
