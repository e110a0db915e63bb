/*
 * sim: the path engine (mesh/ways.h) of two or three boards in a model network, over all pairs of
 * NATs, with loss, delay, another order, rebinding, restarts, cuts and a relay that goes: what
 * sim-watch.h says must hold.
 *
 *   test-sim            $HEARTH_SIM_RUNS (1000) runs, from seed $HEARTH_SIM_SEED (0) on
 *   test-sim SEED       that one, and all that happens in it
 *   test-sim easy SEED  the same of those that show how soon two easy NATs are direct
 *
 * $HEARTH_SIM_TELL (10): so many that fail are told.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim-run.h"

enum { EASY_RUNS = 200, TOLD = 10 };
#define EASY_MEDIAN_US UINT64_C(1000000)
#define EASY_WORST_US  UINT64_C(5000000)

static struct sim sim; /* large, and used again and again */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || end == text) {
		(void) fprintf(stderr, "test-sim: \"%s\" is no number\n", text);
		exit(2);
	}
	return n;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? number(text) : otherwise;
}

static void tell_failure(uint64_t seed, const struct sim_plan *plan, const char *why)
{
	char pair[80];

	(void) sim_pair_format(&plan->pair, pair, sizeof(pair));
	printf("FAILED seed %" PRIu64 " (%s): %s\n       all of it: test-sim %" PRIu64 "\n", seed,
		pair, why, seed);
	(void) fflush(stdout);
}

static int replay(uint64_t seed, bool easy)
{
	struct sim_plan plan;
	struct sim_result result;

	if (easy)
		sim_plan_make_easy(seed, &plan);
	else
		sim_plan_make(seed, &plan);
	sim_run(&sim, seed, &plan, stdout, &result);
	sim_world_done(&sim);
	if (!result.why[0]) {
		printf("seed %" PRIu64 ": all holds, and in the end they are %s\n", seed,
			result.direct ? "direct" : "relayed");
		return 0;
	}
	tell_failure(seed, &plan, result.why);
	return 1;
}

static void note_most(struct sim_result *most, const struct sim_result *result)
{
	if (result->most_pings > most->most_pings)
		most->most_pings = result->most_pings;
	if (result->most_tries > most->most_tries)
		most->most_tries = result->most_tries;
	if (result->most_calls > most->most_calls)
		most->most_calls = result->most_calls;
	if (result->most_changes > most->most_changes)
		most->most_changes = result->most_changes;
	if (result->most_unproved > most->most_unproved)
		most->most_unproved = result->most_unproved;
	most->changes += result->changes;
	most->causes += result->causes;
	most->events += result->events;
}

/* Returns how many failed. */
static uint64_t run_all(uint64_t first, uint64_t runs)
{
	struct sim_result most = { 0 };
	uint64_t failed = 0, direct = 0, told = setting("HEARTH_SIM_TELL", TOLD);

	for (uint64_t seed = first; seed < first + runs; seed++) {
		struct sim_plan plan;
		struct sim_result result;

		sim_plan_make(seed, &plan);
		sim_run(&sim, seed, &plan, NULL, &result);
		note_most(&most, &result);
		direct += result.direct;
		if (result.why[0] && ++failed <= told)
			tell_failure(seed, &plan, result.why);
	}
	printf("%" PRIu64 " runs, %" PRIu64 " failed; %" PRIu64 " ended direct; %" PRIu64
	       " events, %u causes, %u changes (most after one: %u)\n"
	       "most in a minute: %u pings, %u of them tries, %u calls; "
	       "most to an address that never answered: %u\n",
		runs, failed, direct, most.events, most.causes, most.changes, most.most_changes,
		most.most_pings, most.most_tries, most.most_calls, most.most_unproved);
	return failed;
}

struct easy {
	uint64_t seed, direct_us; /* UINT64_MAX: never */
};

static int compare(const void *a, const void *b)
{
	const struct easy *x = a, *y = b;

	return x->direct_us < y->direct_us ? -1 : x->direct_us > y->direct_us;
}

static bool are_easy_quick(uint64_t first)
{
	struct easy all[EASY_RUNS], *median = &all[EASY_RUNS / 2], *worst = &all[EASY_RUNS - 1];

	for (size_t i = 0; i < EASY_RUNS; i++) {
		struct sim_plan plan;
		struct sim_result result;

		sim_plan_make_easy(first + i, &plan);
		sim_run(&sim, first + i, &plan, NULL, &result);
		all[i].seed = first + i;
		all[i].direct_us = result.direct && !result.why[0] ? result.direct_us : UINT64_MAX;
	}
	qsort(all, EASY_RUNS, sizeof(all[0]), compare);
	if (worst->direct_us == UINT64_MAX)
		printf("FAILED easy and easy, 5 of 100 lost: not direct, or worse: test-sim easy "
		       "%" PRIu64 "\n",
			worst->seed);
	else
		printf("easy and easy, 5 of 100 lost: direct within %.2f s (median), %.2f s (worst "
		       "of %d: test-sim easy %" PRIu64 ")\n",
			(double) median->direct_us / 1e6, (double) worst->direct_us / 1e6,
			EASY_RUNS, worst->seed);
	return median->direct_us < EASY_MEDIAN_US && worst->direct_us < EASY_WORST_US;
}

int main(int argc, char **argv)
{
	uint64_t first = setting("HEARTH_SIM_SEED", 0);
	uint64_t failed;
	bool quick;

	if (argc == 2)
		return replay(number(argv[1]), false);
	if (argc == 3 && !strcmp(argv[1], "easy"))
		return replay(number(argv[2]), true);
	failed = run_all(first, setting("HEARTH_SIM_RUNS", 1000));
	quick = are_easy_quick(first);
	sim_world_done(&sim);
	return failed || !quick;
}
