/*
 * bridge: members that are bound to the UDP port and members that are connected by DERP reach each
 * other (PROTOCOL.md sections 12 and 13). It only hands on: relay/binds.h decides who is where, and
 * what is for DERP waits in relay/derp-queue.h, whoever sends it.
 */
#pragma once

#include "relay/derp.h"
#include "relay/udp.h"

/* Zeros, then bridge_join(). */
struct bridge {
	struct udp *udp;
	struct derp *derp;
};

/* Both are borrowed; from now on they know the way to each other. @bridge must stay where it is. */
void bridge_join(struct bridge *bridge, struct udp *udp, struct derp *derp);
