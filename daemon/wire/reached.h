/*
 * reached: by whom a relay was reached from outside, over each of its ways, as its own board sees
 * it: hearth-relay tells hearthd, hearthd the coordinator (PROTOCOL.md sections 7 and 9). How long
 * ago is said, not when: clocks differ.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum reached_way { REACHED_UDP, REACHED_TCP, REACHED_WAYS };

struct reached {
	struct {
		uint32_t node;  /* the last one; 0: nobody yet */
		uint64_t at_us; /* by the clock of whoever holds this; 0 if nobody */
	} ways[REACHED_WAYS];
};

/* "udp", "tcp". */
const char *reached_way_name(enum reached_way way);

/* 0, -EINVAL: both ways are needed, either may be null. */
int reached_from_json(const json_t *json, uint64_t now_us, struct reached *ret, struct err *err);
/* A new document; NULL when out of memory. */
json_t *reached_to_json(const struct reached *reached, uint64_t now_us);
/* Whether they were reached over the same ways, whenever that was and by whom. */
bool reached_same_ways(const struct reached *a, const struct reached *b);
