/*
 * place: on which node of its own mesh this coordinator runs. Looked at, never configured: the node
 * whose mesh address is an address of this machine. Boards then ask it through the tunnel, too.
 */
#pragma once

#include "coordinator/coord.h"

struct place;

int place_open(struct coord *coord, struct place **ret, struct err *err);
struct place *place_close(struct place *place);

/* Puts the node on whose machine it runs into the settings, if it is another one than they say. */
void place_refresh(struct coord *coord);
/* A board is up: this machine's own, perhaps, whose mesh address was not there before. */
void place_board_came(struct coord *coord);
