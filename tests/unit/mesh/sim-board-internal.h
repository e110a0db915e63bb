/*
 * sim-board-internal: what the files of sim-board share; nobody else includes it. Each calls only
 * those below it:
 *
 *   sim-board.c   its life, and what comes from the queue
 *   sim-tunnel.c  what of the tunnel the engine hears of
 *   sim-finder.c  pings, pongs and calls; what is carried by the relay
 *   sim-own.c     where the board is: its addresses, STUN; packets out
 */
#pragma once

#include "sim-board.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

/* --- packets and time --- */

uint64_t board_now(const struct sim_board *board);
/* It has power, and is awake. */
bool board_works(const struct sim_board *board);
bool board_knows(const struct sim_board *board, unsigned peer);
void board_later(
	struct sim_board *board, enum sim_what what, unsigned peer, uint64_t x, uint64_t after_us);
/* To @to, of @peer; by the relay if that is a loopback address. */
struct sim_packet board_packet(const struct sim_board *board, unsigned peer, enum sim_kind kind,
	const struct endpoint *to);
void board_put_out(struct sim_board *board, const struct sim_packet *packet);

/* --- where it is --- */

/* Something speaks for that it is seen elsewhere now. */
void own_look(struct sim_board *board);
void own_begin_stun(struct sim_board *board);
void own_find(struct sim_board *board);
/* How far is the router's count? */
void own_sample(struct sim_board *board);
void own_take(struct sim_board *board, const struct sim_packet *told);

/* --- the finder --- */

/* All that is due now, and the timer for what will be. */
void finder_run(struct sim_board *board);
void finder_take(struct sim_board *board, const struct sim_packet *packet);
void finder_take_up(struct sim_board *board, unsigned peer);
struct endpoint finder_relayed_at(unsigned peer);
/* What is sent to @peer has had no answer. */
void finder_missed(struct sim_board *board, struct sim_peer *peer);

/* --- the tunnel --- */

void tunnel_take(struct sim_board *board, const struct sim_packet *packet);
