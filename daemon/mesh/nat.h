/*
 * nat: what lies between this board and the world, by what STUN servers (wire/stun.h) see of the
 * tunnel's port: whether UDP gets out, whether something translates our address, how it chooses the
 * port outside (RFC 4787, section 4.1), and where others may try us. Each address family for
 * itself. Pure: the caller sends the requests, and says what time it is (microseconds of a clock
 * that never goes back).
 *
 * Servers are asked in rounds. One answer that is lost takes nothing back: what is known stays
 * until two rounds in a row have had no answer at all, or one after our own addresses changed.
 *
 * How it filters what comes in (section 5) is not found out: hardly any server helps with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "wire/stun.h"

enum {
	NAT_SERVERS_MAX = 32,
	NAT_TRIES = 4, /* of each server in a round */
	NAT_OUTSIDE_MAX = 4,
	NAT_ANNOUNCED_MAX = 2 * NAT_OUTSIDE_MAX,
	NAT_STEP_MAX = 64, /* counting: further apart is no counting any more */
};
#define NAT_SOON_US    UINT64_C(250000)   /* of a round: what has come so far is made use of */
#define NAT_ROUND_US   UINT64_C(3000000)  /* it is over */
#define NAT_DOUBT_US   UINT64_C(5000000)  /* to the next one, when nothing came */
#define NAT_OFTEN_US   UINT64_C(20000000) /* to the next one while it matters, or ... */
#define NAT_OFTENER_US UINT64_C(6000000)  /* ... up to so much more */
#define NAT_BLOCKED_US UINT64_C(60000000) /* the same where nothing gets out */
#define NAT_SELDOM_US  UINT64_C(600000000)
#define NAT_NEVER      UINT64_MAX

enum nat_family { NAT_IPV4, NAT_IPV6, NAT_FAMILIES };

enum nat_udp {
	NAT_UDP_UNKNOWN, /* no server to ask, or only some that are no further than our own LAN */
	NAT_UDP_WORKS,
	NAT_UDP_NONE,
};

/* The numbers are those of PROTOCOL.md section 10, too. */
enum nat_mapping {
	NAT_MAPPING_UNKNOWN = 0,     /* fewer than two servers answered */
	NAT_MAPPING_INDEPENDENT = 1, /* the same port for every destination, or no NAT at all */
	NAT_MAPPING_COUNTING = 2,    /* the next destination has the next port */
	NAT_MAPPING_RANDOM = 3,      /* each destination has a port that nobody can tell */
};

/* One address family. */
struct nat_side {
	bool has_address; /* we have one that others may try; else all the rest is zero */
	enum nat_udp udp;
	bool open; /* seen by our own address and port: nothing translates */
	enum nat_mapping mapping;
	int step; /* of NAT_MAPPING_COUNTING: from one port to the next, may be negative */
	/* Where we are seen, each once; what was mapped last comes first. */
	struct endpoint outside[NAT_OUTSIDE_MAX];
	size_t n_outside;
};

/* For people, for other boards' questions, and for who guesses ports. */
struct nat_report {
	struct nat_side sides[NAT_FAMILIES];
	/* Which protocol maps a port for us, or why none does; NULL: it was not looked for. */
	const char *port_mapping;
};

struct nat_server {
	struct endpoint at;
	bool asked, answered; /* in this round, or the last one */
	unsigned tries;
	struct {
		uint8_t tx[STUN_TX_LEN];
		uint64_t at_us;
	} sent[NAT_TRIES];
	uint64_t number; /* of the first of these requests, of all that were ever sent */
	uint64_t rtt_us; /* of the last answer, 0: none yet */
	/* -- what it saw -- */
	struct endpoint seen;   /* family 0: nothing yet */
	uint64_t born_us, born; /* time and number of the request that showed it first */
};

/* Zero-initialise. */
struct nat {
	struct nat_server servers[NAT_SERVERS_MAX];
	size_t n;
	uint64_t n_sent;
	bool on, all; /* a round; of all servers */
	uint64_t begun_us, next_us;
	struct nat_side sides[NAT_FAMILIES];
	unsigned missed[NAT_FAMILIES]; /* rounds in a row without an answer */
};

/* Our own addresses, with the tunnel's port, as links have them. Borrowed. */
struct nat_own {
	const struct endpoint *list;
	size_t n;
};

/* Which servers there are. What is known of those that stay stays. True: there are new ones. */
bool nat_set_servers(struct nat *nat, const struct endpoint *list, size_t n);

/*
 * A round begins, of @all servers or of the nearest two of each family, who see whether all is as
 * it was; one that is under way begins again.
 */
void nat_begin(struct nat *nat, bool all, const struct nat_own *own, uint64_t now_us);
/* Our own addresses or routes are others: what was known need not be true any more. */
void nat_moved(struct nat *nat);

/*
 * One more request to be sent now, with the random transaction @tx: true, and *@ret is where to. To
 * be called until it is false, with another one each time.
 */
bool nat_ask(struct nat *nat, uint64_t now_us, const uint8_t tx[static STUN_TX_LEN],
	struct endpoint *ret);
/*
 * An answer came from @from: it saw us at @seen. False: it answers nothing that we asked there.
 * Whether an address can be true at all is the caller's to say, before.
 */
bool nat_answer(struct nat *nat, const struct endpoint *from, const uint8_t tx[static STUN_TX_LEN],
	const struct endpoint *seen, uint64_t now_us);
/*
 * Judges by what has come, and ends the round if it is over: to be called after the two above.
 * True: @sides say something else than before, and nat_announced() may.
 */
bool nat_settle(struct nat *nat, const struct nat_own *own, uint64_t now_us);
/* A round is under way. */
bool nat_is_asking(const struct nat *nat);

/*
 * When there is something to do: in a round to ask or to settle, else to begin another one. That is
 * soon while @active: a peer is looked for, or traffic goes by what is translated. @chance is a
 * random number, the same until then.
 */
uint64_t nat_deadline(const struct nat *nat, bool active, uint32_t chance);

/*
 * Where others may try us beside @own, in an order that only depends on what they are: where we are
 * seen, and behind a NAT that has another port for each destination our own port at its address,
 * where a person may have forwarded it. Private addresses (another NAT follows) come last.
 */
size_t nat_announced(const struct nat *nat, const struct nat_own *own,
	struct endpoint ret[static NAT_ANNOUNCED_MAX]);
