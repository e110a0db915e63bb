#include "sim-plan.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

/* What is left for the last trouble to be over with. */
#define CALM_US (60 * SECOND)
/* The same for pairs whose direct way takes its time. */
#define LATE_US (260 * SECOND)

static const char *const names[SIM_TROUBLE_KINDS] = {
	[SIM_FORGETS] = "a router forgets",
	[SIM_RENUMBERS] = "a router has another address",
	[SIM_BOTH] = "both routers forget",
	[SIM_RESTARTS] = "hearthd is away",
	[SIM_SLEEPS] = "a board sleeps",
	[SIM_RELAY] = "the relay is away",
	[SIM_CUT] = "no direct packets",
	[SIM_CUT_ONE] = "no direct packets one way",
	[SIM_FLAPS] = "direct packets come and go",
	[SIM_DHCP] = "a board has another address",
	[SIM_REPLAY] = "old pings from anywhere",
	[SIM_STORM] = "much is lost",
	[SIM_CALLS] = "false calls",
	[SIM_MOVES] = "all addresses are others",
	[SIM_ROAMS] = "a board is carried elsewhere",
	[SIM_RESTLESS] = "a router forgets again and again",
	[SIM_HELD_UP] = "a board is held up",
	[SIM_LINKS] = "links come and go",
	[SIM_SLOW] = "packets take seconds",
	[SIM_POWER] = "no power, and no relay",
};

const char *sim_trouble_name(enum sim_trouble_kind kind)
{
	return names[kind];
}

static uint64_t duration(struct sim_rng *rng, enum sim_trouble_kind kind)
{
	switch (kind) {
	case SIM_RESTARTS:
	case SIM_POWER:
		return sim_rng_between(rng, 200 * MS, 15 * SECOND);
	case SIM_SLEEPS:
		return sim_rng_between(rng, SECOND, 40 * SECOND);
	case SIM_RELAY:
	case SIM_CUT:
	case SIM_CUT_ONE:
	case SIM_FLAPS:
	case SIM_RESTLESS:
		return sim_rng_between(rng, 300 * MS, 40 * SECOND);
	case SIM_HELD_UP: /* for longer, and hearthd takes it for sleep */
		return sim_rng_between(rng, 300 * MS, 14 * SECOND);
	case SIM_REPLAY:
	case SIM_STORM:
	case SIM_CALLS:
	case SIM_LINKS:
	case SIM_SLOW:
		return sim_rng_between(rng, SECOND, 8 * SECOND);
	case SIM_FORGETS:
	case SIM_RENUMBERS:
	case SIM_BOTH:
	case SIM_DHCP:
	case SIM_MOVES:
	case SIM_ROAMS:
	case SIM_TROUBLE_KINDS:
		break;
	}
	return 0;
}

/* The relay goes, too, while the way is in doubt because of @first, or is just looked for. */
static void add_second(
	struct sim_rng *rng, const struct sim_trouble *first, struct sim_trouble *ret)
{
	*ret = (struct sim_trouble){ .kind = SIM_RELAY,
		.at_us = first->at_us + sim_rng_below(rng, 1500 * MS),
		.for_us = sim_rng_between(rng, 300 * MS, 10 * SECOND) };
}

static void add_troubles(struct sim_rng *rng, struct sim_plan *plan)
{
	uint64_t last_us = plan->end_us - CALM_US;

	if (sim_pair_hope(&plan->pair) == SIM_DIRECT_LATE)
		plan->end_us += LATE_US;
	plan->n_troubles = sim_rng_below(rng, SIM_TROUBLES_MAX);
	for (size_t i = 0; i < plan->n_troubles; i++) {
		struct sim_trouble *t = &plan->troubles[i];

		t->kind = (enum sim_trouble_kind) sim_rng_below(rng, SIM_TROUBLE_KINDS);
		t->at_us = sim_rng_between(rng, SECOND, last_us);
		t->for_us = duration(rng, t->kind);
		if (t->at_us + t->for_us > last_us)
			t->at_us = last_us - t->for_us;
		t->board = (unsigned) sim_rng_below(rng, 2);
		if (i + 1 < plan->n_troubles && sim_rng_chance(rng, 150))
			add_second(rng, t, &plan->troubles[++i]);
	}
}

/* In the end both send. */
static void add_phases(struct sim_rng *rng, struct sim_plan *plan)
{
	uint64_t at_us = sim_rng_between(rng, 0, 5 * SECOND);

	while (at_us < plan->end_us - 40 * SECOND && plan->n_phases < SIM_PHASES_MAX - 1) {
		plan->phases[plan->n_phases++] = (struct sim_phase){ .at_us = at_us,
			.who = sim_rng_chance(rng, 400) ? 3 : (unsigned) sim_rng_below(rng, 4) };
		at_us += sim_rng_between(rng, 5 * SECOND, 45 * SECOND);
	}
	plan->phases[plan->n_phases++] =
		(struct sim_phase){ .at_us = plan->end_us - 40 * SECOND, .who = 3 };
}

static void choose_weather(struct sim_rng *rng, struct sim_plan *plan)
{
	static const unsigned losses[] = { 0, 0, 2, 10, 50, 100 };
	static const uint64_t lifetimes[] = { 20, 30, 120 };

	plan->wan_us = sim_rng_between(rng, MS, 90 * MS);
	plan->wan_jitter_us = sim_rng_chance(rng, 500) ? sim_rng_below(rng, 30 * MS) : 0;
	plan->relay_us = sim_rng_between(rng, 2 * MS, 120 * MS);
	plan->loss = losses[sim_rng_below(rng, 6)];
	plan->twice = sim_rng_chance(rng, 300) ? 20 : 0;
	plan->lifetime_us = lifetimes[sim_rng_below(rng, 3)] * SECOND;
	plan->linger_us = sim_rng_chance(rng, 250) ? 90 * SECOND : 300 * SECOND;
}

void sim_plan_make(uint64_t seed, struct sim_plan *ret)
{
	struct sim_rng rng = { seed };

	*ret = (struct sim_plan){ .pair = sim_pair_nth(seed % sim_pairs_count()) };
	ret->end_us = sim_rng_between(&rng, 120, 300) * SECOND;
	choose_weather(&rng, ret);
	ret->has_third = sim_rng_chance(&rng, 150);
	ret->third = (enum sim_behind) sim_rng_below(&rng, SIM_BEHINDS);
	ret->has_coordinator = sim_rng_chance(&rng, 750);
	ret->has_strangers = sim_rng_chance(&rng, 300);
	ret->every_us = sim_rng_between(&rng, 100 * MS, 250 * MS);
	for (unsigned i = 0; i < SIM_BOARDS_MAX; i++)
		ret->start_us[i] = sim_rng_below(&rng, 3 * SECOND);
	add_troubles(&rng, ret);
	add_phases(&rng, ret);
}

void sim_plan_make_easy(uint64_t seed, struct sim_plan *ret)
{
	struct sim_rng rng = { seed };

	*ret = (struct sim_plan){ .pair = { SIM_APART, SIM_EASY, SIM_EASY },
		.end_us = 20 * SECOND,
		.has_coordinator = true,
		.every_us = 200 * MS };
	choose_weather(&rng, ret);
	ret->loss = 50;
	ret->start_us[1] = sim_rng_below(&rng, 3 * SECOND);
	ret->phases[ret->n_phases++] = (struct sim_phase){ .who = 3 };
}
