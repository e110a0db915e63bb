/*
 * sim-site: what two boards of a simulation are behind, and whether the design says that there is a
 * direct way between them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim-net.h"

enum { SIM_PORT = 41741 /* of every board */ };

enum sim_behind {
	SIM_PUBLIC,   /* nothing: a public IPv4 and a public IPv6 address */
	SIM_CONE,     /* full cone: endpoint-independent mapping and filtering */
	SIM_ADDR,     /* endpoint-independent mapping, address-dependent filtering */
	SIM_EASY,     /* endpoint-independent mapping, address-and-port-dependent filtering */
	SIM_DOUBLE,   /* two such routers in a row */
	SIM_CGNAT,    /* such a router behind a carrier's full cone */
	SIM_OPEN,     /* Linux's, whose input chain is open */
	SIM_COUNTING, /* the next port for each destination */
	SIM_HARD,     /* a random port for each destination */
	SIM_DUAL,     /* that, and IPv6 behind a stateful firewall */
	SIM_FIREWALL, /* only IPv6, behind a stateful firewall */
	SIM_ALONE,    /* UDP goes to the relay and to STUN only */
	SIM_BLOCKED,  /* no UDP at all: the relay is reached by TCP */
	SIM_BEHINDS,
};

/* Where two boards are behind the same. */
enum sim_pair_kind {
	SIM_APART,
	SIM_HOME,        /* one LAN behind an easy router */
	SIM_HOME_HARD,   /* one LAN behind a hard one */
	SIM_HAIRPIN,     /* a LAN whose hosts are kept apart, behind an easy router with hairpins */
	SIM_NO_HAIRPIN,  /* the same without */
	SIM_CGN_HAIRPIN, /* two easy routers behind one carrier's, which has hairpins */
	SIM_CGN,         /* the same without */
	SIM_PAIR_KINDS,
};

struct sim_pair {
	enum sim_pair_kind kind;
	enum sim_behind a, b; /* of SIM_APART */
};

/* Pairs are numbered, so that each has its turn. */
size_t sim_pairs_count(void);
struct sim_pair sim_pair_nth(size_t n);
/* The same two, once they are no more at one place. */
struct sim_pair sim_pair_part(const struct sim_pair *pair);
size_t sim_pair_format(const struct sim_pair *pair, char *ret, size_t size);
const char *sim_behind_name(enum sim_behind behind);

enum sim_hope {
	SIM_DIRECT,       /* there is a direct way */
	SIM_DIRECT_PAUSE, /* it may have to wait for a router that might do so */
	SIM_DIRECT_NEXT,  /* by the next ports of a router that counts */
	SIM_DIRECT_LATE,  /* once a router has forgotten what it took for its own */
	SIM_GUESS,        /* only by guessing ports, which is not the engine's */
	SIM_NONE,         /* only by the relay */
};
enum sim_hope sim_pair_hope(const struct sim_pair *pair);

/* A board's place in the network. -1: none. */
struct sim_place {
	int host4, host6;
	int router; /* the one next to the internet, whose address may change */
};

/* Boards @a and @b (numbers) of a network that has STUN servers already. */
void sim_pair_build(struct sim_net *net, const struct sim_pair *pair, uint64_t lifetime_us,
	struct sim_place ret[static 2]);
/* A third one, somewhere else. */
struct sim_place sim_site_build(
	struct sim_net *net, enum sim_behind behind, unsigned board, uint64_t lifetime_us);

/* An address of the internet that nobody has had: 198.18.0.0/15. */
struct ip_addr sim_fresh_address(struct sim_net *net);
