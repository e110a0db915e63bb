/*
 * predict: at which ports a peer behind a NAT that counts (DISCO_MAPPING_COUNTING) is to be tried:
 * each of its flows has the port of the last one, and a step. Its CALL says which was the last.
 * Pure.
 *
 * Ours does not count: its flow to us is one of the last that it had, or of the next ones; all our
 * pings leave by one port, which it knows. Where the flow is older, for its router has had many
 * others since, later calls find it: each goes further back, from where the last one stopped,
 * however far the count has moved on meanwhile.
 *
 * Ours counts as well: both sides ping, from the arranged moment on, the other's next ports in
 * order, so that the n-th ping of each leaves by the port at which the other's n-th one is aimed.
 * Flows of others in between, on either side, shift all that follow. Only the sum of both shifts
 * matters, so that the later bursts are aimed one further, by one side and then by both. None is
 * aimed at a port that an earlier one had: to that, no new flow would be opened.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "wire/disco.h"

enum {
	PREDICT_BURSTS = 3,
	PREDICT_PORTS = 24, /* in one of them, at most */
	PREDICT_PORT_MIN = 1024,
	PREDICT_STEP_MAX = 64,
};

/* What a CALL says of the NAT before its sender. */
struct predict_nat {
	enum disco_mapping mapping;
	int16_t step;
	struct endpoint last; /* of its flows' outside endpoints; family 0: not known */
};

/* What is known when a call arranges pings. */
struct predict {
	struct predict_nat peer;
	enum disco_mapping own; /* of the NAT before us */
	bool asked;             /* the call was ours, and this is its answer */
	unsigned nth;           /* of the peer's calls */
	/*
	 * Where both count: so many of its next ports we have pinged already (an attempt of ours
	 * that was none of the peer's). That would begin no new flow: other ports are pinged in
	 * their place, so that those behind them leave by the ports that the peer expects.
	 */
	int ahead;
	/* Where ours does not: so far back all have been pinged; had been as the burst began. */
	int gone, back;
};

/*
 * Where to ping the peer in burst @burst, in this order; how many, 0: nothing can be told, or our
 * NAT does not let in who is pinged there.
 */
size_t predict_ports(
	const struct predict *predict, unsigned burst, struct endpoint ret[static PREDICT_PORTS]);
/* The peer's CALL says how far its NAT is now. */
void predict_called(struct predict *predict, const struct predict_nat *peer);
/* Now comes burst @burst ... */
void predict_begin(struct predict *predict, unsigned burst);
/* ... and @at, of it, has been pinged. */
void predict_pinged(struct predict *predict, const struct endpoint *at);
/* How many flows of its the peer's @port is behind the last one; 0: none, or too many. */
int predict_flows_to(const struct predict_nat *peer, const struct endpoint *at);
