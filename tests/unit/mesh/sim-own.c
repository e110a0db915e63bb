/*
 * STUN is asked when mesh/nat.h would ask; and again whenever something speaks for that we are seen
 * elsewhere.
 */
#include <string.h>

#include "sim-board-internal.h"

/* Between rounds of STUN that something makes us ask; others come each 20 to 26 s. */
#define STUN_PAUSE_US (2 * SECOND)

/* --- packets and time --- */

uint64_t board_now(const struct sim_board *b)
{
	return *b->now_us;
}

bool board_works(const struct sim_board *b)
{
	return b->on && !b->asleep;
}

bool board_knows(const struct sim_board *b, unsigned i)
{
	return i != b->number && i < b->n_boards;
}

void board_later(
	struct sim_board *b, enum sim_what what, unsigned peer, uint64_t x, uint64_t after_us)
{
	struct sim_event event = {
		.at_us = board_now(b) + after_us, .what = what, .a = b->number, .b = peer, .x = x
	};

	sim_queue_put(b->net->queue, &event);
}

/* By the host of the address family, from where the kernel would send it. */
void board_put_out(struct sim_board *b, const struct sim_packet *packet)
{
	int host = packet->to.addr.family == AF_INET ? b->place.host4 : b->place.host6;

	if (ip_addr_is_loopback(&packet->to.addr))
		sim_relay_send(b->net, packet, board_now(b));
	else if (host >= 0)
		sim_net_send(b->net, (unsigned) host, packet, board_now(b));
}

struct sim_packet board_packet(
	const struct sim_board *b, unsigned peer, enum sim_kind kind, const struct endpoint *to)
{
	return (struct sim_packet){
		.sender = b->number, .target = peer, .kind = kind, .run = b->run, .to = *to
	};
}

/* --- where we are --- */

static bool are_same(const struct ways_own *a, const struct ways_own *b)
{
	bool same = a->n == b->n && a->n_local == b->n_local && a->mapping == b->mapping;

	for (size_t i = 0; same && i < a->n; i++)
		same = endpoint_equal(&a->list[i], &b->list[i]);
	return same;
}

static void own_is(struct sim_board *b, const struct ways_own *own)
{
	if (are_same(own, &b->own))
		return;
	b->own = *own;
	b->hooks->found(b->ctx, b->number);
	for (unsigned i = 0; i < b->n_boards; i++)
		if (board_knows(b, i))
			ways_own(&b->peers[i].ways, &b->own, board_now(b));
	if (!b->has_coordinator)
		return;
	for (unsigned i = 0; i < b->n_boards; i++)
		if (board_knows(b, i))
			board_later(b, SIM_TELLS, i, 0,
				sim_rng_between(b->net->rng, 300 * MS, 1500 * MS));
}

static void add_own(struct ways_own *own, const struct endpoint *at)
{
	for (size_t i = 0; i < own->n; i++)
		if (endpoint_equal(&own->list[i], at))
			return;
	own->list[own->n++] = *at;
}

/* How a NAT that counts is known by what steps is test-nat's. */
static enum disco_mapping mapping_of(const struct sim_board *b)
{
	int step = b->stun.seen[1].port - b->stun.seen[0].port;

	if (!b->stun.seen[0].addr.family || !b->stun.seen[1].addr.family)
		return DISCO_MAPPING_UNKNOWN;
	if (!step)
		return DISCO_MAPPING_INDEPENDENT;
	return step > -PREDICT_STEP_MAX && step < PREDICT_STEP_MAX ? DISCO_MAPPING_COUNTING
								   : DISCO_MAPPING_RANDOM;
}

/*
 * Our addresses, where we are seen, and behind a router that has another port for each destination
 * our own port there (nat_announced() of mesh/nat.h).
 */
void own_find(struct sim_board *b)
{
	const int hosts[] = { b->place.host4, b->place.host6 };
	struct ways_own own = { 0 };
	size_t n_seen;

	for (size_t i = 0; i < 2; i++)
		if (hosts[i] >= 0)
			add_own(&own, &b->net->hosts[hosts[i]].at);
	own.n_local = own.n;
	for (size_t i = 0; i < SIM_STUN_SERVERS; i++)
		if (b->stun.seen[i].addr.family)
			add_own(&own, &b->stun.seen[i]);
	n_seen = own.n - own.n_local;
	if (n_seen > 1) {
		struct endpoint forwarded = own.list[own.n_local];

		forwarded.port = SIM_PORT;
		add_own(&own, &forwarded);
	}
	own.mapping = mapping_of(b);
	own_is(b, &own);
}

void own_sample(struct sim_board *b)
{
	struct sim_packet ask = board_packet(b, SIM_NOBODY, SIM_ASK, &b->stun.at[0]);

	ask.tx = b->stun.sample = sim_rng_next(b->net->rng);
	ask.port = (uint16_t) (50000 + ask.tx % 10000);
	board_put_out(b, &ask);
}

static void take_sample(struct sim_board *b, const struct endpoint *seen)
{
	b->stun.last = *seen;
	for (unsigned i = 0; i < b->n_boards; i++)
		if (board_knows(b, i))
			ways_sampled(&b->peers[i].ways, board_now(b));
}

void own_begin_stun(struct sim_board *b)
{
	b->stun.round++;
	b->stun.tries = 0;
	b->stun.wanted = false;
	b->stun.begun_us = board_now(b);
	memset(b->stun.answered, 0, sizeof(b->stun.answered));
	board_later(b, SIM_ASKS_STUN, 0, b->stun.round, 0);
}

/* Something speaks for that we are seen elsewhere now. */
void own_look(struct sim_board *b)
{
	uint64_t next_us = b->stun.begun_us + STUN_PAUSE_US;

	if (board_now(b) >= next_us) {
		own_begin_stun(b);
	} else if (!b->stun.wanted) {
		b->stun.wanted = true;
		board_later(b, SIM_ASKS_STUN, 0, b->stun.round, next_us - board_now(b));
	}
}

void own_take(struct sim_board *b, const struct sim_packet *p)
{
	if (p->tx == b->stun.sample)
		take_sample(b, &p->seen);
	for (size_t i = 0; i < SIM_STUN_SERVERS; i++) {
		if (!endpoint_equal(&p->from, &b->stun.at[i]) || p->tx != b->stun.round)
			continue;
		b->stun.answered[i] = true;
		b->stun.seen[i] = p->seen;
		b->stun.missed = 0;
		own_find(b);
	}
}

static bool is_active(const struct sim_board *b)
{
	for (unsigned i = 0; i < b->n_boards; i++) {
		const struct sim_peer *peer = &b->peers[i];

		if (!board_knows(b, i))
			continue;
		if (peer->ways.doubtful && board_now(b) - peer->ways.since_us < WAYS_TIRED_US)
			return true;
		if (peer->active_us && board_now(b) - peer->active_us < 10 * SECOND)
			return true;
	}
	return false;
}

/* What was seen is forgotten when two rounds have had no answer at all. */
static void end_stun(struct sim_board *b)
{
	if (!b->stun.answered[0] && !b->stun.answered[1] && ++b->stun.missed == 2) {
		memset(b->stun.seen, 0, sizeof(b->stun.seen));
		own_find(b);
	}
	b->stun.next_us = board_now(b) + sim_rng_between(b->net->rng, 20 * SECOND, 26 * SECOND);
}

void sim_board_stun(struct sim_board *b, uint64_t round)
{
	uint64_t most_us = 600 * SECOND;

	if (!board_works(b) || round != b->stun.round)
		return;
	if (b->stun.wanted && board_now(b) >= b->stun.begun_us + STUN_PAUSE_US) {
		own_begin_stun(b);
		return;
	}
	if (b->stun.tries == 4)
		end_stun(b);
	if (b->stun.tries++ >= 4) {
		if (board_now(b) >= b->stun.next_us &&
			(is_active(b) || board_now(b) - b->stun.begun_us > most_us))
			own_begin_stun(b);
		else
			board_later(b, SIM_ASKS_STUN, 0, round, 5 * SECOND);
		return;
	}
	for (size_t i = 0; i < SIM_STUN_SERVERS; i++) {
		struct sim_packet ask = board_packet(b, SIM_NOBODY, SIM_ASK, &b->stun.at[i]);

		ask.tx = round;
		if (!b->stun.answered[i])
			board_put_out(b, &ask);
	}
	board_later(b, SIM_ASKS_STUN, 0, round, (250 * MS) << b->stun.tries);
}
