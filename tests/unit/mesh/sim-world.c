#include "sim-world.h"

#include <stdarg.h>
#include <string.h>

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

void sim_at(struct sim *s, uint64_t at_us, enum sim_what what, unsigned a, unsigned b, uint64_t x)
{
	struct sim_event event = { .at_us = at_us, .what = what, .a = a, .b = b, .x = x };

	sim_queue_put(&s->queue, &event);
}

void sim_trace(const struct sim *s, const char *format, ...)
{
	va_list args;

	if (!s->trace)
		return;
	(void) fprintf(s->trace, "%11.6f ", (double) (s->now_us - SIM_BEGIN_US) / SECOND);
	va_start(args, format);
	(void) vfprintf(s->trace, format, args);
	va_end(args);
}

void sim_binds_again(struct sim *s, unsigned board, uint64_t least_us, uint64_t most_us)
{
	s->net.relay.bound_us[board] = UINT64_MAX;
	sim_at(s, s->now_us + sim_rng_between(&s->rng, least_us, most_us), SIM_BINDS, board, 0,
		s->net.relay.run);
}

/* --- what boards say --- */

static void trace_at(const struct sim *s, const char *does, unsigned board, unsigned peer,
	const struct endpoint *at)
{
	char text[ENDPOINT_TEXT_MAX];

	if (s->trace) /* the text takes its time */
		sim_trace(s, "board %u %s board %u at %s\n", board, does, peer,
			endpoint_format(at, text));
}

static void on_pinged(void *ctx, unsigned from, unsigned peer, const struct endpoint *to)
{
	struct sim *s = ctx;

	trace_at(s, "pings", from, peer, to);
	sim_watch_pinged(&s->watch, from, peer, to);
}

static void on_answered(void *ctx, unsigned board, unsigned peer, const struct endpoint *from)
{
	struct sim *s = ctx;

	trace_at(s, "has an answer of", board, peer, from);
	sim_watch_answered(&s->watch, board, peer, from);
}

static void on_called(void *ctx, unsigned from, unsigned peer)
{
	struct sim *s = ctx;

	sim_trace(s, "board %u calls board %u\n", from, peer);
	sim_watch_called(&s->watch, from, peer);
}

static void on_told(void *ctx, unsigned board, unsigned peer, const struct way *way)
{
	struct sim *s = ctx;
	char text[ENDPOINT_TEXT_MAX];

	sim_trace(s, "board %u reaches board %u %s %s\n", board, peer,
		!way           ? "nowhere"
		: way->relayed ? "by the relay"
			       : "at",
		way ? endpoint_format(&way->to, text) : "");
	if (way)
		sim_watch_told(&s->watch, board, peer);
}

static void on_stuck(void *ctx, unsigned board, unsigned peer)
{
	struct sim *s = ctx;

	sim_trace(s, "board %u goes round in circles about board %u\n", board, peer);
	sim_watch_stuck(&s->watch, board, peer);
}

static void on_delivered(void *ctx, unsigned board, unsigned peer, bool relayed)
{
	struct sim *s = ctx;

	sim_trace(s, "board %u has a packet of board %u%s\n", board, peer,
		relayed ? ", relayed" : "");
	sim_watch_delivered(&s->watch, board, peer, relayed);
}

/* It reads its book, and others' presences reach it if it has changed meanwhile. */
static void on_started(void *ctx, unsigned board)
{
	struct sim *s = ctx;

	sim_trace(s, "board %u starts\n", board);
	sim_watch_started(&s->watch, board);
	for (unsigned i = 0; i < s->n_boards; i++) {
		if (i == board)
			continue;
		sim_at(s, s->now_us + 10 * MS, SIM_TELLS, i, board, 0);
		sim_at(s, s->now_us + 20 * MS, SIM_TELLS, board, i, 0);
	}
	sim_at(s, s->now_us + sim_rng_between(&s->rng, 50 * MS, 500 * MS), SIM_BINDS, board, 0,
		s->net.relay.run);
}

static void on_found(void *ctx, unsigned board)
{
	struct sim *s = ctx;
	const struct ways_own *own = &s->boards[board].own;
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; s->trace && i < own->n; i++)
		sim_trace(s, "board %u is at %s\n", board, endpoint_format(&own->list[i], text));
}

static const struct sim_hooks hooks = { .pinged = on_pinged,
	.answered = on_answered,
	.called = on_called,
	.told = on_told,
	.stuck = on_stuck,
	.delivered = on_delivered,
	.started = on_started,
	.found = on_found };

/* --- made --- */

static struct endpoint stun_at(unsigned i)
{
	return (struct endpoint){ .addr = { AF_INET, { 203, 0, 113, (uint8_t) (1 + i) } },
		.port = SIM_STUN_PORT };
}

/* Somebody else's servers, and what is no board's at all. */
static void add_strangers(struct sim *s, struct sim_board *board)
{
	static const struct endpoint nonsense[] = {
		{ .addr = { AF_INET, { 127, 0, 0, 1 } }, .port = 22 },
		{ .addr = { AF_INET, { 224, 0, 0, 1 } }, .port = 1 },
		{ .addr = { AF_INET, { 255, 255, 255, 255 } }, .port = 1 },
		{ .addr = { AF_INET, { 0 } }, .port = 1 },
		{ .addr = { AF_INET, { 203, 0, 113, 1 } }, .port = SIM_STUN_PORT },
		{ .addr = { AF_INET, { 203, 0, 113, 77 } }, .port = 53 },
	};

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		board->extra[board->n_extra++] = nonsense[i];
	while (board->n_extra < SIM_EXTRA_MAX) {
		struct endpoint *at = &board->extra[board->n_extra++];

		*at = (struct endpoint){ .addr = { AF_INET, { 192, 0, 2, 0 } } };
		at->addr.bytes[3] = (uint8_t) sim_rng_below(&s->rng, 255);
		at->port = (uint16_t) sim_rng_between(&s->rng, 1, 65535);
	}
}

/* Who has no UDP reaches the relay by TCP. */
static void note_streams(struct sim *s)
{
	bool apart = s->pair.kind == SIM_APART;

	s->net.relay.stream[0] = apart && s->pair.a == SIM_BLOCKED;
	s->net.relay.stream[1] = apart && s->pair.b == SIM_BLOCKED;
	s->net.relay.stream[2] = s->plan->third == SIM_BLOCKED;
}

static void make_net(struct sim *s)
{
	const struct sim_plan *plan = s->plan;
	struct sim_place places[SIM_BOARDS_MAX];
	struct sim_lan *internet = &s->net.lans[SIM_INTERNET];

	sim_net_init(&s->net, &s->rng, &s->queue);
	for (unsigned i = 0; i < SIM_STUN_SERVERS; i++) {
		struct endpoint stun = stun_at(i);

		(void) sim_net_add_host(&s->net, SIM_INTERNET, &stun, SIM_NOBODY);
	}
	sim_pair_build(&s->net, &plan->pair, plan->lifetime_us, places);
	if (plan->has_third)
		places[2] = sim_site_build(&s->net, plan->third, 2, plan->lifetime_us);
	for (unsigned i = 0; i < s->n_boards; i++)
		s->boards[i].place = places[i];
	internet->delay_us = plan->wan_us;
	internet->jitter_us = plan->wan_jitter_us;
	internet->loss = plan->loss;
	internet->twice = plan->twice;
	s->net.relay = (struct sim_relay){ .up = true,
		.delay_us = plan->relay_us,
		.jitter_us = plan->wan_jitter_us,
		.loss = plan->loss,
		.bound_us = { UINT64_MAX, UINT64_MAX, UINT64_MAX } };
	note_streams(s);
}

static void make_boards(struct sim *s)
{
	for (unsigned i = 0; i < s->n_boards; i++) {
		struct sim_board *b = &s->boards[i];

		memset(b, 0, sizeof(*b));
		sim_board_init(b, &s->net, i);
		b->now_us = &s->now_us;
		b->hooks = &hooks;
		b->ctx = s;
		b->n_boards = s->n_boards;
		b->linger_us = s->plan->linger_us;
		b->has_coordinator = s->plan->has_coordinator;
		for (unsigned k = 0; k < SIM_STUN_SERVERS; k++)
			b->stun.at[k] = stun_at(k);
		if (i == 0 && s->plan->has_strangers)
			add_strangers(s, b);
	}
}

static void make_hopes(struct sim *s)
{
	const struct sim_pair *pair = &s->pair;

	s->watch.hope[0][1] = s->watch.hope[1][0] = sim_pair_hope(pair);
	for (unsigned i = 0; i < 2; i++) {
		struct sim_pair other = { SIM_APART, i ? pair->b : pair->a, s->plan->third };

		/* Who is beside the other at one place has no kind of its own. */
		s->watch.hope[i][2] = s->watch.hope[2][i] =
			pair->kind == SIM_APART ? sim_pair_hope(&other) : SIM_GUESS;
	}
}

static void remove_place(struct sim *s, const struct sim_place *place)
{
	sim_net_remove_host(&s->net, place->host4);
	sim_net_remove_host(&s->net, place->host6);
}

void sim_world_carry(struct sim *s, unsigned board, enum sim_behind behind)
{
	struct sim_place *place = &s->boards[board].place;

	remove_place(s, place);
	*place = sim_site_build(&s->net, behind, board, s->plan->lifetime_us);
	s->pair = sim_pair_part(&s->pair);
	if (board == 0)
		s->pair.a = behind;
	else
		s->pair.b = behind;
	note_streams(s);
	make_hopes(s);
}

static void tell_plan(struct sim *s)
{
	const struct sim_plan *plan = s->plan;
	char pair[80];

	(void) sim_pair_format(&plan->pair, pair, sizeof(pair));
	sim_trace(s,
		"%s%s%s; one way %.1f ms and up to %.1f, relayed %.1f; %u of 1000 lost; routers "
		"forget after %u s%s%s\n",
		pair, plan->has_third ? ", beside them " : "",
		plan->has_third ? sim_behind_name(plan->third) : "", (double) plan->wan_us / 1000,
		(double) plan->wan_jitter_us / 1000, (double) plan->relay_us / 1000, plan->loss,
		(unsigned) (plan->lifetime_us / SECOND),
		plan->has_coordinator ? "" : "; no coordinator",
		plan->has_strangers ? "; board 0 names strangers" : "");
}

void sim_world_make(struct sim *s, uint64_t seed, const struct sim_plan *plan, FILE *trace)
{
	s->plan = plan;
	s->pair = plan->pair;
	s->rng.state = ~seed;
	s->queue.n = 0;
	s->queue.order = 0;
	s->now_us = SIM_BEGIN_US;
	s->n_boards = plan->has_third ? 3 : 2;
	s->phase = 0;
	s->trace = trace;
	make_boards(s);
	make_net(s);
	sim_watch_init(&s->watch, s->boards, s->n_boards, &s->net, &s->now_us);
	s->watch.forgetful = plan->lifetime_us <= 30 * SECOND;
	make_hopes(s);
	tell_plan(s);
	for (unsigned i = 0; i < s->n_boards; i++)
		sim_at(s, s->now_us + plan->start_us[i], SIM_HAPPENS, SIM_TROUBLES_MAX + i, 0, 0);
	for (size_t i = 0; i < plan->n_troubles; i++)
		sim_at(s, s->now_us + plan->troubles[i].at_us, SIM_HAPPENS, (unsigned) i, 0, 0);
	for (size_t i = 0; i < plan->n_phases; i++)
		sim_at(s, s->now_us + plan->phases[i].at_us, SIM_PHASE, (unsigned) i, 0, 0);
	sim_at(s, s->now_us, SIM_LOOKS, 0, 0, 0);
}

void sim_world_end(struct sim *s)
{
	for (unsigned i = 0; i < s->n_boards; i++)
		sim_board_done(&s->boards[i]);
}

void sim_world_done(struct sim *s)
{
	sim_queue_done(&s->queue);
	sim_net_done(&s->net);
}
