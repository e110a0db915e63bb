/*
 * sim-board: one board of a simulation: the path engine of each peer (mesh/ways.h), with what
 * hearthd has around it: the finder's pings, pongs and calls, the tunnel's word on what is silent
 * and where a peer was heard, STUN, presences by a coordinator, and a relay by which peers are
 * carried while they are needed. The board's clock is the simulation's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pace.h"
#include "mesh/ways.h"

#include "sim-net.h"
#include "sim-site.h"

enum {
	SIM_STUN_SERVERS = 2,
	SIM_EXTRA_MAX = 12,
	SIM_HELD_MAX = 32, /* packets that wait for who is held up; the rest is lost */
};

/* What others want to know. */
struct sim_hooks {
	void (*pinged)(void *ctx, unsigned from, unsigned peer, const struct endpoint *to);
	void (*answered)(void *ctx, unsigned board, unsigned peer, const struct endpoint *at);
	void (*called)(void *ctx, unsigned from, unsigned peer);
	/* NULL: nowhere any more. */
	void (*told)(void *ctx, unsigned board, unsigned peer, const struct way *way);
	/* The engine has nothing to do, and wants to be asked at once again, for ever. */
	void (*stuck)(void *ctx, unsigned board, unsigned peer);
	void (*delivered)(void *ctx, unsigned board, unsigned peer, bool relayed);
	void (*started)(void *ctx, unsigned board);
	/* Its own endpoints are others. */
	void (*found)(void *ctx, unsigned board);
};

/* What one board knows of another. */
struct sim_peer {
	struct ways ways;
	uint64_t run;               /* 0: not known */
	struct endpoint told, seen; /* where the tunnel sends; a direct one of before a restart */
	struct pace pongs, pongs_anywhere; /* to where it answers, and to where else it is heard */
	bool carried;
	uint64_t reason_us; /* to carry it */
	/* -- the tunnel -- */
	bool asked;       /* an answer is waited for */
	uint64_t doubt;   /* the number of that */
	uint64_t lost_us; /* then it is too late; 0: nothing is waited for */
	bool owes;        /* a keepalive */
	uint64_t debt;    /* the number of that */
	struct endpoint heard;
	uint64_t heard_us, active_us;
};

struct sim_board {
	unsigned number;
	struct sim_net *net; /* borrowed, as what follows */
	const uint64_t *now_us;
	const struct sim_hooks *hooks;
	void *ctx;
	struct sim_place place;
	bool on, asleep;
	uint64_t held_us; /* until then it does nothing */
	struct {
		struct sim_packet packet;
		bool relayed;
	} held[SIM_HELD_MAX];
	size_t n_held;
	bool moved; /* meanwhile */
	uint64_t run, next_tx, wake_us, linger_us;
	struct sim_peer peers[SIM_BOARDS_MAX]; /* its own place is unused */
	unsigned n_boards;
	struct ways_own own;
	struct endpoint extra[SIM_EXTRA_MAX]; /* that its presence names, and where it never was */
	size_t n_extra;
	bool has_coordinator;
	uint64_t told_us; /* its presence */
	struct {
		struct endpoint at[SIM_STUN_SERVERS], seen[SIM_STUN_SERVERS];
		bool answered[SIM_STUN_SERVERS];
		uint64_t round, begun_us, next_us;
		unsigned tries, missed;
		bool wanted; /* another round, soon */
		/* Asked from a port of its own: where a flow that began then came out. */
		struct endpoint last;
		uint64_t sample;
	} stun;
};

/* Without power; @board's places of networks and hooks are set. */
void sim_board_init(struct sim_board *board, struct sim_net *net, unsigned number);
void sim_board_done(struct sim_board *board);

void sim_board_start(struct sim_board *board);
void sim_board_stop(struct sim_board *board);
void sim_board_sleep(struct sim_board *board);
void sim_board_resume(struct sim_board *board);
/* It does nothing until then: what comes in waits, and its timers are late; and goes on. */
void sim_board_hold(struct sim_board *board, uint64_t until_us);
void sim_board_go_on(struct sim_board *board);
/* Its links are others, which says nothing of its addresses. */
void sim_board_stirred(struct sim_board *board);
/* Its own addresses are others. */
void sim_board_moved(struct sim_board *board);

/* --- from the queue --- */

void sim_board_take(struct sim_board *board, const struct sim_packet *packet);
void sim_board_take_relayed(struct sim_board *board, const struct sim_packet *packet);
void sim_board_wake(struct sim_board *board);
void sim_board_stun(struct sim_board *board, uint64_t round);
void sim_board_silent(struct sim_board *board, unsigned peer, uint64_t doubt);
void sim_board_keep(struct sim_board *board, unsigned peer, uint64_t debt);
/* It is bound to the relay, anew. */
void sim_board_bound(struct sim_board *board);
/* What board @from announces now. */
void sim_board_hear_of(struct sim_board *board, const struct sim_board *from);
/* A packet of the interface's for @peer. */
void sim_board_send(struct sim_board *board, unsigned peer);

/* --- what is so --- */

bool sim_board_is_held(const struct sim_board *board);
bool sim_board_is_direct(const struct sim_board *board, unsigned peer);
