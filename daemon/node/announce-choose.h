/*
 * announce-choose: which of a board's addresses others are told of, and when. A change is told at
 * once; where addresses change all the time (a LAN host can do that to a board, with router
 * advertisements), ever more seldom, and then only those that have lived for half a minute: each
 * announcement is written and read on every board of the mesh. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/pace.h"
#include "wire/presence.h"

/* Zero-initialise. */
struct announce_past {
	struct {
		struct endpoint endpoint;
		uint64_t since_us;
	} own[PRESENCE_ENDPOINTS_MAX];
	size_t n;
	struct damper damper;
	uint64_t restless_us; /* when last an address was too young to be told, 0: never */
};

/*
 * @own are the board's at @now_us, @known (NULL: none) what it announced last. What others should
 * be told goes to @ret, in the order of @own. True: now. False: it is what they know, or it must
 * wait; *ret_wait_us is when to ask again, 0 for not before something changes.
 */
bool announce_choose(struct announce_past *past, const struct endpoint *own, size_t n_own,
	const struct presence *known, uint64_t now_us,
	struct endpoint ret[static PRESENCE_ENDPOINTS_MAX], size_t *ret_n, uint64_t *ret_wait_us);

/* They were told of other addresses than before. */
void announce_chosen(struct announce_past *past, uint64_t now_us);
