/*
 * sim-watch: what must hold in every run of the simulation. Times count from the last cause: what
 * happened to a network or a board (sim-plan.h), or traffic that begins again.
 *
 *   way       where traffic flows from a to b and the relay carries between them, something arrives
 *             each SIM_WAY_US (SIM_WAY_SLOW_US where pings get lost, or packets pass one way only:
 *             then one finds out by what the other does); and while there is no relay but a direct
 *             way that worked and that nothing has happened to, as often
 *   direct    where the pair table says so, the two are without a direct way for SIM_DIRECT_US at
 *             most (SIM_DIRECT_PAUSE_US where calls get lost, the table says so, or a way was lost
 *             often and has to prove itself), or for SIM_LATE_US
 *   changes   of where a board sends to another: SIM_CHANGES from one cause to the next,
 *             SIM_CHANGES_TROUBLE more while a cause lasts, SIM_CHANGES more where pings get lost,
 *             and one more each SIM_CHANGES_MORE_US there, or where idle routers forget sooner than
 *             STUN is asked again
 *   pings     never to one's own addresses, a loopback one that is not the relayed one, multicast
 *             and the like; to an address that has not answered lately a few, to one peer not too
 *             many; where a direct way works and nothing flows, none
 *   calls     not too many
 *   turns     the engine's next turn is later than this one
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim-board.h"

/* A lost path is left within that time; on a lossy one, or where each end needs its own, twice. */
#define SIM_WAY_US      UINT64_C(3000000)
#define SIM_WAY_SLOW_US UINT64_C(5000000)
/* Calls are 10 s apart at most while traffic flows. */
#define SIM_DIRECT_US UINT64_C(12000000)
/* Where a router may have an open input chain they are 35 s apart, and some are lost. */
#define SIM_DIRECT_PAUSE_US UINT64_C(60000000)
/*
 * Such a router has to forget the flow of a former address (120 s), and then there is a pause; as
 * long again where calls get lost, for one that is in the moment that counts costs a whole row.
 */
#define SIM_LATE_US UINT64_C(240000000)
/* What arrives so soon after a cause was sent before. */
#define SIM_FLIGHT_US UINT64_C(500000)
/* Without a cause or traffic; a keepalive comes after 10 s, and counts as traffic for 15 s. */
#define SIM_CALM_US UINT64_C(32000000)
enum {
	SIM_CHANGES = 5,
	SIM_CHANGES_TROUBLE = 10, /* twice that with two address families */
	/*
	 * To an address that has not answered for SIM_PROVED_US: so many, then one each ... That is
	 * more than ways.h promises, for an address that is forgotten and named again is a new one:
	 * the pace of calls bounds that.
	 */
	SIM_UNPROVED = 40,
	SIM_UNPROVED_EVERY_US = 1500000,
	SIM_PINGS_MINUTE = 1300, /* of one board to another, in any clock minute; of these ... */
	SIM_TRIES_MINUTE = 800,  /* ... to addresses that have not answered */
	SIM_CALLS_MINUTE = 24,
	SIM_ADDRESSES_MAX = 1024, /* with ports that were predicted */
	SIM_WHY_MAX = 200,
};
#define SIM_CHANGES_MORE_US UINT64_C(15000000)
#define SIM_PROVED_US       UINT64_C(300000000)
/* So often a way may be lost since it worked for so long, and be believed soon when it is back. */
#define SIM_STEADY_US UINT64_C(60000000)
enum { SIM_LOSSES = 3 };

struct sim_address {
	struct endpoint at;
	uint64_t answered_us; /* 0: never */
	struct pace pace;
	unsigned pings;
};

/* From one board to another. */
struct sim_flow_watch {
	bool active;         /* it sends */
	uint64_t since_us;   /* that began or ended then */
	uint64_t arrived_us; /* the last */
	bool proved;         /* something arrived the direct way since the last cause */
	uint64_t direct_us;  /* since when that direct way is used; 0: none is */
	unsigned losses;     /* of such ways since one worked for SIM_STEADY_US */
	unsigned changes;    /* since the last cause */
	unsigned all_changes, most_changes;
	uint64_t minute; /* of what follows */
	unsigned pings, tries, calls;
	unsigned most_pings, most_tries, most_calls; /* in a minute */
	struct sim_address addresses[SIM_ADDRESSES_MAX];
	size_t n_addresses;
};

struct sim_watch {
	const struct sim_board *boards; /* borrowed, as what follows */
	const struct sim_net *net;
	unsigned n_boards;
	const uint64_t *now_us;
	enum sim_hope hope[SIM_BOARDS_MAX][SIM_BOARDS_MAX];
	struct sim_flow_watch flows[SIM_BOARDS_MAX][SIM_BOARDS_MAX]; /* from, to */
	uint64_t cause_us, news_us;                                  /* the last */
	unsigned causes, lasting;                                    /* those that have not ended */
	bool forgetful;                                              /* routers are */
	bool bad_weather; /* more is lost than a way can bear */
	bool calm[SIM_BOARDS_MAX][SIM_BOARDS_MAX];
	uint64_t direct_us; /* since when boards 0 and 1 are direct; 0: they are not */
	uint64_t lately_us[SIM_BOARDS_MAX][SIM_BOARDS_MAX]; /* two were direct, or cut off */
	char why[SIM_WHY_MAX]; /* what did not hold, first; "": all did */
};

void sim_watch_init(struct sim_watch *watch, const struct sim_board *boards, unsigned n_boards,
	const struct sim_net *net, const uint64_t *now_us);

/* Something happens; @lasts: until sim_watch_over(). */
void sim_watch_cause(struct sim_watch *watch, bool lasts);
void sim_watch_over(struct sim_watch *watch);
/* A board hears where another is, which is reason enough to ping it. */
void sim_watch_news(struct sim_watch *watch);
/* A board knows nothing of before any more. */
void sim_watch_started(struct sim_watch *watch, unsigned board);
void sim_watch_flow(struct sim_watch *watch, unsigned from, unsigned to, bool active);

void sim_watch_pinged(
	struct sim_watch *watch, unsigned from, unsigned peer, const struct endpoint *to);
void sim_watch_answered(
	struct sim_watch *watch, unsigned board, unsigned peer, const struct endpoint *at);
void sim_watch_called(struct sim_watch *watch, unsigned from, unsigned peer);
void sim_watch_told(struct sim_watch *watch, unsigned board, unsigned peer);
void sim_watch_stuck(struct sim_watch *watch, unsigned board, unsigned peer);
void sim_watch_delivered(struct sim_watch *watch, unsigned board, unsigned peer, bool relayed);

/* Now and then. */
void sim_watch_look(struct sim_watch *watch);
/* At the end, when nothing has happened for a while. */
void sim_watch_end(struct sim_watch *watch);
