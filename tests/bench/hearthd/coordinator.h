/*
 * coordinator: as much of one as hearthd needs (PROTOCOL.md section 7): it answers polls with what
 * is new, at once or when something is, and takes presences. Each poll is a line on stdout: "poll
 * SEQ NUMBER".
 */
#pragma once

#include <systemd/sd-event.h>

#include "mesh.h"

struct coordinator;

/* At @where, as "192.0.2.1:8443". @mesh is borrowed. */
void coordinator_open(
	sd_event *event, const struct mesh *mesh, const char *where, struct coordinator **ret);
/* The mesh changed: who waits is told. */
void coordinator_tell(struct coordinator *coordinator);
