/*
 * sim-nat: a model router: a NAT as RFC 4787 names them (sections 4 and 5), or a stateful firewall
 * that translates nothing. Pure: the caller says what time it is.
 *
 * Each exchange of one inside endpoint with one remote endpoint is a flow. It lasts for the NAT's
 * lifetime after the last datagram from inside (RFC 4787, REQ-6); what comes in keeps nothing. With
 * Linux's mapping that is shorter until something came in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

#include "sim-rng.h"

enum {
	SIM_FLOWS_MAX = 512,    /* of one router; the one that ends first makes room */
	SIM_FIRST_PORT = 20000, /* the range that a NAT takes ports from */
	SIM_PORTS = 40000,
	SIM_STUN_PORT = 3478,       /* what a host alone may speak to */
	SIM_UNREPLIED_US = 30000000 /* Linux: of a flow that has had no answer; of a foreign one */
};

enum sim_mapping {
	SIM_MAPPING_NONE,     /* no NAT */
	SIM_MAPPING_ONE,      /* endpoint-independent */
	SIM_MAPPING_KEEP,     /* Linux's: the inside port, if it is free towards that remote one */
	SIM_MAPPING_RANDOM,   /* another for each remote endpoint, by chance */
	SIM_MAPPING_COUNTING, /* another for each remote endpoint, the next */
};
enum sim_filter {
	SIM_FILTER_ANY,  /* endpoint-independent */
	SIM_FILTER_ADDR, /* address-dependent */
	SIM_FILTER_PORT, /* address-and-port-dependent */
};
enum sim_blocks { SIM_BLOCKS_NOTHING, SIM_BLOCKS_ALL_BUT_STUN, SIM_BLOCKS_ALL };

struct sim_nat_kind {
	enum sim_mapping mapping;
	enum sim_filter filter;
	enum sim_blocks blocks; /* from inside */
	bool hairpin;
	/* An unasked datagram that comes is the router's own affair, and takes its port. */
	bool open_input;
};

struct sim_flow {
	struct endpoint inside, remote;
	uint16_t port; /* outside */
	bool foreign;  /* the router's own */
	bool replied;
	uint64_t until_us;
};

struct sim_nat {
	struct sim_nat_kind kind;
	struct ip_addr outside; /* family 0 where nothing is translated */
	uint64_t lifetime_us;
	struct sim_rng *rng; /* borrowed */
	uint16_t next_port;
	struct sim_flow flows[SIM_FLOWS_MAX];
	size_t n;
};

void sim_nat_init(struct sim_nat *nat, const struct sim_nat_kind *kind,
	const struct ip_addr *outside, uint64_t lifetime_us, struct sim_rng *rng);

/* @from, which is inside, sends to @to, which sees it as *ret. False: it is dropped. */
bool sim_nat_out(struct sim_nat *nat, const struct endpoint *from, const struct endpoint *to,
	uint64_t now_us, struct endpoint *ret);
/* @from sends to @to, which is outside, and inside *ret. False: it is dropped. */
bool sim_nat_in(struct sim_nat *nat, const struct endpoint *from, const struct endpoint *to,
	uint64_t now_us, struct endpoint *ret);

/* It starts anew, or its address is @outside from now on: nothing is left. */
void sim_nat_forget(struct sim_nat *nat);
void sim_nat_renumber(struct sim_nat *nat, const struct ip_addr *outside);
