/*
 * ways: at which of its addresses a peer is reached. The engine of one peer's paths, and pure: the
 * caller says what has happened and what time it is (microseconds of a clock that never goes back),
 * takes the actions that are due, and carries them out: pings, and calls.
 *
 * Where a way may lead:
 *
 *   announced   the peer's presence says so
 *   called      the peer said so in its last CALL ("call me maybe": PROTOCOL.md section 10), which
 *               comes by the relayed way only
 *   heard       something authentic came from there
 *   relayed     an address on this board from where a relay carries on; there is one at most
 *   hole        an address on this board from where a socket leads to the peer that was met by
 *               guessing (guess.h); there is one at most, and it is as direct as others
 *
 * Which is used: the relayed one as soon as it answers, and any direct one before it. Of direct
 * ones that answer, one that is clearly quicker, or no slower and in the same house. The one in use
 * is left only for another that has answered; what two boards send may go by two ways.
 *
 * While no direct one is known to work ("doubtful"), all are pinged in rounds that grow apart, and,
 * where the relayed one answers, the peer is called so that both sides ping at the same moment: a
 * router lets in what answers something that went out. Public IPv4 addresses that do not answer
 * are pinged only at such moments then, if a NAT of one of the two seems to keep ports: with an
 * open input chain, such a router takes a ping that comes first for its own, and gives the board
 * behind it another port for as long as such pings come.
 *
 * Who may be pinged, and how much: a peer can name anybody's address. Never pinged are our own
 * addresses, loopback but for the relayed one and the hole, multicast, broadcast and the like.
 * An address that has not answered within WAYS_PROVED_US, nor is in use, nor was until a moment
 * ago, gets at most WAYS_TRIES pings (of 92 bytes) at once and then one each WAYS_TRIES_EVERY_US;
 * all such addresses of one peer together WAYS_PEER_TRIES at once and then one each
 * WAYS_PEER_TRIES_EVERY_US, whatever the peer, or somebody who replays what it sent, says how
 * often. (An address that was forgotten and is named again begins anew, within the latter.)
 *
 * Where the peer's NAT counts, a call also makes us ping ports at which it should be next, of the
 * public address where it was seen last (predict.h). They are unproved, too, one ping each, none
 * below 1024: 24 or less with a round, WAYS_PREDICTED in all at once and then one each
 * WAYS_PREDICTED_EVERY_US, within the above. Before a call of ours, where our own NAT counts, the
 * caller is asked to find out how far it is.
 *
 * An idle path costs nothing: where a direct one works, there is no deadline unless traffic flows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/pace.h"
#include "mesh/predict.h"

enum {
	WAYS_ANNOUNCED_MAX = 32,
	WAYS_CALLED_MAX = 32,
	WAYS_HEARD_MAX = 4, /* that the peer does not name, beside the one in use */
	/* The one in use, which nobody may name any more, the relayed one, and the hole. */
	WAYS_MAX = WAYS_ANNOUNCED_MAX + WAYS_CALLED_MAX + WAYS_HEARD_MAX + 1 + 1 + 1,
	WAYS_OWN_MAX = 96,

	/* -- searching: rounds of pings -- */
	WAYS_FIRST_US = 200000,    /* between the first two rounds; then twice as much ... */
	WAYS_ALONE_US = 1000000,   /* ... up to here where traffic flows, and nowhere to ... */
	WAYS_OFTEN_US = 5000000,   /* ... or here ... */
	WAYS_TIRED_US = 120000000, /* ... and after so long without an answer */
	WAYS_SELDOM_US = 15000000,
	/*
	 * A direct one that was lost is pinged twice a second at first, and ever more seldom, for a
	 * minute: then it is one like the others.
	 */
	WAYS_BACK_US = 500000,
	WAYS_BACK_FOR_US = 60000000,

	/* -- bounds -- */
	WAYS_PROVED_US = 300000000,
	WAYS_TRIES = 16,
	WAYS_TRIES_EVERY_US = 2000000,
	WAYS_PEER_TRIES = 192,
	WAYS_PEER_TRIES_EVERY_US = 100000,

	/* -- doubt -- */
	WAYS_DOUBT_US = 250000, /* between pings of the one in use; the first two come sooner */
	/*
	 * So long it has to answer before another is used, or twice its round trip if that is more,
	 * up to WAYS_GRACE_MOST_US. With the 0.8 s before somebody is told, and a near relay, TCP
	 * has another way before it sends again what it lost for the third time, after 1.4 s.
	 */
	WAYS_GRACE_US = 300000,
	WAYS_GRACE_MOST_US = 1500000,
	/*
	 * Where we only send, the one in use is pinged so often. With the time that it takes to
	 * notice that nothing comes back, and with the grace, a lost one is left within 3 s.
	 */
	WAYS_HEARTBEAT_US = 2200000,

	/* -- proof: a way that was lost, or one at the same address, has to answer for a while
	 *    before it is used again, where another works -- */
	WAYS_PROOF_US = 250000,        /* after the first loss; twice as long after each ... */
	WAYS_PROOF_MOST_US = 32000000, /* ... up to here */
	WAYS_FORGIVEN_US = 30000000,   /* so long it has to work to halve the number of losses */
	WAYS_LONG_AGO_US = 600000000,  /* one that was lost so long ago needs no proof */

	/* -- better ones: where traffic flows and the one in use is slow -- */
	WAYS_BETTER_US = 60000000,       /* between looks; twice as long after each change ... */
	WAYS_BETTER_MOST_US = 960000000, /* ... up to here */
	WAYS_QUICK_US = 5000,            /* quick enough: no look */
	WAYS_ACTIVE_US = 15000000,       /* traffic flows for so long after ways_active() */
	WAYS_FLOWS_US = 10000000,        /* a few packets are over sooner: no look for them */
	/* Clearly quicker: by a third of the round trip, but by 2 ms at least; 10 ms will do. */
	WAYS_GAIN_LEAST_US = 2000,
	WAYS_GAIN_US = 10000,
	WAYS_HOUSE_US = 5000, /* a private address counts as quicker by so much */

	/* -- where the peer was heard -- */
	/* Looked at again twice as long after each time, for as long as the one in use answers. */
	WAYS_AGAIN_US = 1000000,
	WAYS_AGAIN_MOST_US = 600000000,
	/* By a relay: it has no direct way, so ours may be gone. */
	WAYS_AGAIN_RELAYED_US = 60000000,
	WAYS_HEARD_BURST = 4, /* looked at in a row; then one ... */
	WAYS_HEARD_PAUSE_US = 250000,

	/* -- calls -- */
	WAYS_PUNCHES = 3,              /* rounds after each, for packets get lost */
	WAYS_PUNCH_US = 100000,        /* between the first and the second; then twice as long */
	WAYS_CALL_LATELY_US = 5000000, /* a call that comes so soon after ours needs no answer */
	WAYS_CALL_BURST = 6, /* ours, and those of the peer that are heeded; then one ... */
	WAYS_CALL_EVERY_US = 5000000,
	WAYS_CALL_CROSS_US = 900000, /* nor does one that comes so soon, where both NATs count */
	WAYS_SAMPLE_US = 400000,     /* so long one waits for where we are seen now */
	WAYS_PREDICTED = 144,
	WAYS_PREDICTED_EVERY_US = 300000,
};
enum { WAYS_PINGS = 8 };
#define WAYS_NEVER UINT64_MAX

/*
 * Where we are, as others see it: the first @n_local are addresses of this board's own links, which
 * are no peer's at any port; the rest are endpoints that lead here (STUN, port mappings). One for
 * all peers.
 */
struct ways_own {
	struct endpoint list[WAYS_OWN_MAX];
	size_t n, n_local;
	enum disco_mapping mapping; /* of the NAT before us */
};

struct way {
	struct endpoint to;
	struct endpoint beyond; /* of a hole: where it leads */
	/* None of them: heard, or was one of them and is in use. */
	bool announced, called, relayed, hole;
	bool due;   /* to be pinged */
	bool fresh; /* never pinged since it is known */
	struct {
		uint64_t tx, at_us;
	} pings[WAYS_PINGS];   /* the last ones that may be answered yet; tx 0: none */
	unsigned next_ping;    /* which of them is the oldest */
	uint64_t sent_us;      /* the last ping; 0: none */
	struct pace tries;     /* of pings while it is not proved */
	uint64_t heard_us;     /* looked at then because the peer was heard there; 0: never */
	uint64_t again_us;     /* not so again for so long */
	uint64_t answered_us;  /* 0: never */
	uint64_t rtt_us;       /* smoothed (RFC 6298: 7/8 of before) */
	uint64_t last_rtt_us;  /* of the last answer */
	uint64_t least_rtt_us; /* since the search, doubt or look began; 0: no answer since */
	/* -- as one that was in use -- */
	uint64_t lost_us;  /* the last time; 0: never */
	uint64_t taken_us; /* into use */
	uint64_t good_us;  /* answers since then without a gap; 0: does not */
	/* -- of all at its address: what one suffers the others would have -- */
	unsigned losses;
	uint64_t losses_us; /* the last */
};

struct ways {
	struct way *list; /* owned */
	size_t n, room;
	size_t in_use;  /* n: none */
	bool doubtful;  /* the one in use, or there is none, or it is relayed */
	bool searching; /* all are pinged in rounds, not only the one in use and the relayed one */
	const struct ways_own *own; /* borrowed; NULL: not known */
	bool keeps_ports;           /* a NAT of one of the two sides may: see ways-call.c */
	uint64_t since_us;          /* doubtful, or looking for a better one */
	uint64_t round_us;          /* when the next round begins */
	uint64_t pause_us;          /* between rounds */
	uint64_t check_us;   /* when the one in use is pinged next, in doubt or as a heartbeat */
	unsigned checks;     /* pings of it in this doubt */
	uint64_t over_us;    /* its time to answer is over then; WAYS_NEVER: not yet known */
	uint64_t assured_us; /* the ping whose answer ended a mere doubt was sent; 0: none was */
	struct pace heard, tries;
	/* calls */
	struct pace calls_out, calls_in;
	unsigned call_step; /* which pause is next */
	uint64_t call_us;   /* when to call */
	bool call_back;     /* it is an answer to one */
	uint64_t called_us; /* when we did last; 0: never */
	uint64_t punch_us;  /* when the next round that a call arranged begins */
	unsigned punches;   /* such rounds to come */
	bool sampling;      /* the call waits for ways_sampled() */
	bool waits;         /* our last call, which was no answer, has had none */
	/* predicted ports */
	bool predicts;          /* those rounds have a burst of them */
	struct predict predict; /* by the peer's last call */
	struct endpoint aimed;  /* the last, where both NATs count ... */
	uint64_t aimed_us;      /* ... and when; 0: none */
	unsigned burst;         /* the one under way, PREDICT_BURSTS: none */
	unsigned burst_next;    /* of it */
	struct pace predicted;
	/* better ones */
	uint64_t active_us; /* traffic flowed then; 0: never */
	uint64_t flows_us;  /* since then without a pause */
	uint64_t look_us;   /* when the next look for a better one may begin */
	uint64_t look_pause_us;
	uint64_t decide_us; /* when it ends */
	unsigned looks;     /* rounds of it to come */
	/* moves */
	struct damper moves;
	uint64_t move_us; /* the next, which had to wait */
};

enum ways_what {
	WAYS_PING, /* send a ping with the number given to ways_next() */
	WAYS_CALL, /* send a CALL, with where we expect to be reached now */
	/* Our NAT counts: find out where a flow would come out that begins now: ways_sampled(). */
	WAYS_SAMPLE,
};
struct ways_action {
	enum ways_what what;
	struct endpoint to; /* of a call: the relayed way */
};

void ways_init(struct ways *ways);
void ways_done(struct ways *ways);

/* Whether @to may be pinged at all, as one that is not the relayed one. @own may be NULL. */
bool ways_may_ping(const struct ways_own *own, const struct endpoint *to);

/* --- what happens --- */

/*
 * Where we are is @own (borrowed until the next call; NULL: not known) or has changed in there: a
 * peer that is called is called again. Ways that lead to ourselves are forgotten.
 */
void ways_own(struct ways *ways, const struct ways_own *own, uint64_t now_us);

/*
 * The addresses that the peer announces now: WAYS_ANNOUNCED_MAX count, fewer when out of memory;
 * none that may not be pinged does. New ones are tried if need be.
 */
void ways_announced(struct ways *ways, const struct endpoint *list, size_t n, uint64_t now_us);

/* What the peer's CALL says of its NAT; to be said before ways_called(). */
void ways_nat(struct ways *ways, const struct predict_nat *nat);
/* What WAYS_SAMPLE asks for is known: the call that waits for it can go. */
void ways_sampled(struct ways *ways, uint64_t now_us);

/*
 * A CALL of the peer's came by the relayed way: it pings us now, and is, or may be, at @list
 * (WAYS_CALLED_MAX count; in place of those of its last CALL). All are pinged at once, it is called
 * in answer if it was not lately. False: too many calls; nothing happened.
 */
bool ways_called(struct ways *ways, const struct endpoint *list, size_t n, uint64_t now_us);

/*
 * The relayed one is @to from now on, NULL: there is none. It is pinged at once if need be. Where
 * it was in use, and is another or none now, it is as at the beginning.
 */
void ways_relayed(struct ways *ways, const struct endpoint *to, uint64_t now_us);
/* What it was is by another relay now: if it is in use, or need be, it is pinged. */
void ways_relayed_anew(struct ways *ways);

/*
 * The hole is @to from now on, and leads to the peer at @beyond; NULL (both): there is none. It is
 * pinged at once.
 */
void ways_hole(struct ways *ways, const struct endpoint *to, const struct endpoint *beyond,
	uint64_t now_us);

/* A call is due now, if the peer is searched for. */
void ways_call_soon(struct ways *ways, uint64_t now_us);

/*
 * The peer may be at @from: it was there when last seen, or something of it has just come from
 * there (authentic, though perhaps sent again by somebody). It is pinged, and so is the one in use.
 * An address of this board itself is a relayed one, or nothing.
 */
void ways_heard(struct ways *ways, const struct endpoint *from, uint64_t now_us);

/* What goes to the peer seems to be lost. All are pinged, once more at least. */
void ways_doubt(struct ways *ways, uint64_t now_us);
/*
 * What goes to the peer has had no answer for a moment (0.8 s): perhaps it is lost, more often it
 * needs none. Or what comes from it comes by another way, which does not prove ours. To be said
 * again while that lasts. The one in use is pinged, and the relayed one, so
 * that it can take over at once; and again until it answers, or has had its time. While it does,
 * each WAYS_HEARTBEAT_US.
 */
void ways_quiet(struct ways *ways, uint64_t now_us);
/* Packets go to the peer or come from it (to be said every WAYS_ACTIVE_US / 2 or so). */
void ways_active(struct ways *ways, uint64_t now_us);
/*
 * Our own links, addresses or routes are others, or this board slept: all may work that did not,
 * and nothing that did is certain. Cheap, and may come in storms: some are heeded at once, then
 * ever fewer, the last one in the end.
 */
void ways_moved(struct ways *ways, uint64_t now_us);
/*
 * The peer has started anew, as a pong with another run number proves: what is known of its ways
 * has to be proved again. To be said behind ways_pong() of that pong.
 */
void ways_restarted(struct ways *ways, uint64_t now_us);

/* A pong came. False: it answers no ping of ours, or comes from elsewhere than that went. */
bool ways_pong(struct ways *ways, const struct endpoint *from, uint64_t tx, uint64_t now_us);

/* --- what is to be done --- */

/*
 * One more action, to be carried out now; @tx (not 0) is the number of the ping if it is one. To be
 * called until it is false, with another number each time.
 */
bool ways_next(struct ways *ways, uint64_t now_us, uint64_t tx, struct ways_action *ret);
/*
 * When ways_next() may have one (it may also only decide, and have none); WAYS_NEVER: not before
 * something happens. After ways_next() was false, it is later than its @now_us.
 */
uint64_t ways_deadline(const struct ways *ways);

/* --- what is known --- */

/* Where to send. NULL: nowhere yet. Borrowed until the next call. */
const struct way *ways_in_use(const struct ways *ways);
/* Whether that is the relayed one. */
bool ways_is_relayed(const struct ways *ways);
/* The relayed one, used or not; NULL: there is none. */
const struct way *ways_get_relayed(const struct ways *ways);
/* The hole, likewise. */
const struct way *ways_get_hole(const struct ways *ways);
/* Its address, but for a hole: what that leads to. */
const struct endpoint *way_leads_to(const struct way *way);
/* Whether the one in use leaves our house by a NAT, as far as we know. */
bool ways_passes_nat(const struct ways *ways);
/* Whether the peer has answered from @at, and not only long ago. */
bool ways_answers_at(const struct ways *ways, const struct endpoint *at, uint64_t now_us);
/* When the first ping went by @way, from @since_us on, that no answer came after; 0: none did. */
uint64_t way_missed_us(const struct way *way, uint64_t since_us);
