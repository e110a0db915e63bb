/*
 * sim-world: one simulation: the network and the boards that a plan names, and the watch over them.
 */
#pragma once

#include <stdio.h>

#include "sim-board.h"
#include "sim-net.h"
#include "sim-plan.h"
#include "sim-queue.h"
#include "sim-watch.h"

struct sim {
	const struct sim_plan *plan; /* borrowed, as what follows */
	FILE *trace;                 /* NULL: nobody looks */
	struct sim_rng rng;
	struct sim_queue queue;
	struct sim_net net;
	struct sim_pair pair; /* what they are behind now */
	uint64_t now_us;
	struct sim_board boards[SIM_BOARDS_MAX];
	unsigned n_boards;
	struct sim_watch watch;
	unsigned phase; /* of traffic; 0: none yet */
};

/* Zero-initialise it before the first time. What it owned is used again. */
void sim_world_make(struct sim *sim, uint64_t seed, const struct sim_plan *plan, FILE *trace);
/* The boards are gone; sim_world_done() frees the rest. */
void sim_world_end(struct sim *sim);
void sim_world_done(struct sim *sim);

/* @board is behind @behind from now on. */
void sim_world_carry(struct sim *sim, unsigned board, enum sim_behind behind);

/* @what happens at @at_us. */
void sim_at(
	struct sim *sim, uint64_t at_us, enum sim_what what, unsigned a, unsigned b, uint64_t x);
__attribute__((format(printf, 2, 3))) void sim_trace(
	const struct sim *sim, const char *format, ...);

/* @board has lost its place at the relay, and has it again @least_us to @most_us from now. */
void sim_binds_again(struct sim *sim, unsigned board, uint64_t least_us, uint64_t most_us);
