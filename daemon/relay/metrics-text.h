/*
 * metrics-text: what the relay counts, in the text format of Prometheus (version 0.0.4). Pure.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "relay/derp.h"
#include "relay/elsewhere.h"
#include "relay/front.h"
#include "relay/pass.h"
#include "relay/udp.h"

struct metrics_values {
	size_t members, bound;
	const struct udp_counters *udp; /* NULL: it has no UDP port */
	const struct derp_counters *derp;
	const struct front_counters *front;
	const struct pass_counters *pass;
	const struct elsewhere_counters *elsewhere; /* NULL: nothing is passed on to others */
	bool waiting;                               /* for its enrolment */
	uint64_t unserved; /* connections meanwhile that were for no coordinator */
};

/* Appends all of them. What a counter counts is told above it. */
void metrics_text(const struct metrics_values *values, struct buf *ret);
