/*
 * guess: how two boards meet of which one is behind a NAT that has another outside port for each
 * destination, which nobody can tell ("hard": DISCO_MAPPING_RANDOM), and the other behind one that
 * has the same for all, but lets in only what answers something ("easy": DISCO_MAPPING_INDEPENDENT,
 * or a firewall without a NAT). Pure: time and events in, actions out.
 *
 * The hard side pings the easy one's outside endpoint from GUESS_SOCKETS sockets of its own, so
 * that its NAT has as many ports open for what comes from there. The easy side pings ports of the
 * hard one's outside address, none twice, from the port at which it is known. One that is met is a
 * way for both: for the easy side an endpoint, for the hard side that socket ("hole"). Of 64,512
 * ports 256 are open: 580 pings meet one in nine of ten cases, 1,024 in 98 of 100.
 *
 * The hard side's sockets are others every GUESS_RENEW_US. Some routers take a ping that comes
 * unasked for their own, and give what the board behind them then sends to that port another
 * outside port; those that the easy side has pinged already, before their first ping comes, are
 * let in.
 *
 * So many flows at once fill the table of a small router, and then others lose theirs. A STUN
 * server is asked before, and again and again meanwhile, each time from a new port. It ends if that
 * gets late or no answers.
 *
 * A peer can lie about where it is, and a relay can repeat an old call of its. What goes to a third
 * party by that is: GUESS_PINGS of 92 bytes in GUESS_FOR_US to one address, pauses after that which
 * grow from GUESS_PAUSE_US to GUESS_PAUSE_MOST_US for each peer (half of that where it called), and
 * no more than GUESS_ADDRESS_TRIES tries of one address in GUESS_ADDRESS_US, whoever names it. A
 * board guesses with one peer at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "mesh/predict.h"

enum {
	GUESS_SOCKETS = 256,
	GUESS_PORT_MIN = 1024,
	GUESS_PINGS = 2000, /* of one try, to one address; of the hard side fewer */
	GUESS_LATE = 3,     /* so many answers in a row that are late: others suffer */
	GUESS_ADDRESSES = 32,
	GUESS_ADDRESS_TRIES = 6,
};
#define GUESS_AFTER_US      UINT64_C(3000000)  /* of calls in vain */
#define GUESS_FOR_US        UINT64_C(20000000) /* a try */
#define GUESS_RENEW_US      UINT64_C(5000000)
#define GUESS_EASY_US       UINT64_C(10000) /* between pings */
#define GUESS_HARD_US       UINT64_C(5000)
#define GUESS_BEHIND_US     UINT64_C(50000)    /* pings of so long are sent late, no more */
#define GUESS_ASK_US        UINT64_C(500000)   /* between questions to STUN */
#define GUESS_ANSWER_US     UINT64_C(1000000)  /* for the first answer ... */
#define GUESS_SLOWER_US     UINT64_C(200000)   /* ... then twice as long as that took, and this */
#define GUESS_PAUSE_US      UINT64_C(60000000) /* after the first try in vain ... */
#define GUESS_PAUSE_MOST_US UINT64_C(14400000000) /* ... twice as long each time, up to here */
#define GUESS_HURT_US       UINT64_C(3600000000)  /* with anybody, after others suffered */
#define GUESS_ADDRESS_US    UINT64_C(86400000000)
#define GUESS_NEVER         UINT64_MAX

enum guess_side {
	GUESS_NEITHER, /* it is of no use, or not needed */
	GUESS_HARD,
	GUESS_EASY,
};

/*
 * Which side is ours with a peer whose last CALL said @peer: neither also if that has no public
 * IPv4 address. *ret_at: then where to ping it; of its port, only the hard side makes use.
 */
enum guess_side guess_side(
	enum disco_mapping own, const struct predict_nat *peer, struct endpoint *ret_at);

/* --- a try --- */

enum guess_end {
	GUESS_END_TIME, /* GUESS_FOR_US is over */
	GUESS_END_HURT, /* STUN's answers got late or stayed away: others may suffer, too */
	GUESS_END_DEAF, /* nor was there one before: nothing was begun */
};

enum guess_what {
	GUESS_ASK,     /* a STUN server, from a new port: guess_answered() */
	GUESS_PING,    /* the peer at @to, from the tunnel's port */
	GUESS_PING_BY, /* the same, from @socket, which is to be a new one */
	GUESS_OVER,    /* the try has ended, for @end */
};
struct guess_action {
	enum guess_what what;
	struct endpoint to;
	size_t socket;
	enum guess_end end;
};

/* Zero-initialise: none is under way. */
struct guess {
	enum guess_side side; /* GUESS_NEITHER: none is under way */
	struct endpoint at;
	uint64_t begun_us; /* 0: STUN has not answered yet */
	uint64_t next_us;  /* ping */
	unsigned n;        /* pings so far */
	uint16_t first, step;
	unsigned tried; /* of the order of ports */
	/* -- whether others suffer -- */
	bool asking;
	uint64_t asked_us, ask_us;
	uint64_t usual_us; /* what the first answer took */
	unsigned late;
};

/*
 * A try as @side with a peer at @at (guess_side()). @chance is a random number, by which the ports
 * are put into their order.
 */
void guess_begin(struct guess *guess, enum guess_side side, const struct endpoint *at,
	uint32_t chance, uint64_t now_us);
/* One is met, or it is of no use any more. */
void guess_stop(struct guess *guess);
/* STUN's answer to the last question. True: it was the first, so that pings begin now. */
bool guess_answered(struct guess *guess, uint64_t now_us);
/* One more action, to be carried out now. To be called until it is false. */
bool guess_next(struct guess *guess, uint64_t now_us, struct guess_action *ret);
/* When guess_next() has one. GUESS_NEVER: none is under way. */
uint64_t guess_deadline(const struct guess *guess);

/* --- how often --- */

/* Addresses that were pinged so. Zero-initialise. */
struct guess_addresses {
	struct {
		struct ip_addr addr;
		unsigned tries;
		uint64_t first_us;
	} list[GUESS_ADDRESSES];
	size_t n;
};

/* One more try at @addr is within the bound, and counts. */
bool guess_may_try(struct guess_addresses *addresses, const struct ip_addr *addr, uint64_t now_us);
/* It is a peer's, as one that was met has shown. */
void guess_forgive(struct guess_addresses *addresses, const struct ip_addr *addr);
