/*
 * ends: the other ends of hearthd's tunnels: they answer handshakes and pings of both kinds, send keepalives,
 * and follow hearthd to wherever it is, as boards do. All of them share one UDP socket; who is
 * meant, and who answers, is told by the address, which the caller has made local: 198.18.0.0/15
 * (mesh.h).
 */
#pragma once

#include <systemd/sd-event.h>

#include "mesh.h"

struct ends;

/* @mesh is borrowed; boards that are added to it later have no end. */
void ends_open(sd_event *event, const struct mesh *mesh, struct ends **ret);
