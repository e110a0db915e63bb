/*
 * nat-judge: how a NAT chooses the port outside, from what it chose for some destinations. Pure; a
 * part of nat.h.
 */
#pragma once

#include "mesh/nat.h"

/* What one server saw. */
struct nat_sample {
	struct endpoint server, seen;
	uint64_t born_us, born; /* when that port was chosen: time, and order */
};

/*
 * Judges @list, which it sorts, and which is not empty; @ret is what is known of before, in
 * `outside` too. Sets mapping and step.
 */
void nat_judge(struct nat_sample *list, size_t n, struct nat_side *ret);
