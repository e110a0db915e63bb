/*
 * outsiders: members who are here from outside: they show that the relay is reached from there, by
 * the way they came. Whether an address is of another network is judged by itself and by the one
 * that this machine has where it would answer: nobody behind the same router is taken for an
 * outsider, and a few outsiders may not be seen as such (a private address, a neighbour's /64).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "relay/core.h"
#include "relay/derp.h"
#include "relay/udp.h"
#include "wire/reached.h"

/* Whether @from is of another network than @local, an address of this machine. Pure. */
bool outsiders_is_one(const struct ip_addr *from, const struct ip_addr *local);

/* Notes in @reached who is here from outside now. @udp may be NULL. */
void outsiders_look(const struct relay_core *core, const struct udp *udp, const struct derp *derp,
	uint64_t now_us, struct reached *reached);
