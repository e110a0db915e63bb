/*
 * world: a coordinator without a machine below it: store, HTTPS, local socket, clock and event loop
 * are fakes, what decides is real. Its mesh has mesh-maker's keys and settings, and no node yet.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/coord.h"
#include "fake-event.h"
#include "fake-httpd.h"
#include "fake-ipc.h"
#include "fake-log.h"
#include "fake-store.h"
#include "wire/presence.h"

/* A board: what the mesh knows of it, and what only it does. */
struct board {
	uint32_t id;
	char name[NODE_NAME_MAX];
	uint8_t seed[32], identity[NODE_KEY_LEN], wg[NODE_KEY_LEN];
};

/* Group setup and teardown of cmocka; each test begins with a new one in *state. */
int world_open(void **state);
int world_close(void **state);
/* Closes and opens it again: what is in the store stays. */
void world_restart(struct coord *c);

/* The records of its mesh, into the fake store. */
void world_store_first_records(void);

/* A board with keys of its own, made of @number; nobody's yet. */
struct board world_board(uint32_t number);
/* The same one as a node of the mesh. */
struct board world_node(struct coord *c, uint32_t number, const char *name, enum node_role role);
/* It is one no more. */
void world_remove(struct coord *c, uint32_t id);
/* It has keys of board @number from now on. */
void world_rekey(struct coord *c, uint32_t id, uint32_t number);
/* One record of @payload (taken), when its turn comes; and at once. */
void world_submit(struct coord *c, const char *type, json_t *payload);
void world_record(struct coord *c, const char *type, json_t *payload);

/* Its request for @path. */
struct httpd_request *world_request(const struct board *board, const char *path);
/* What it says of itself: one endpoint, with @port. */
json_t *world_presence(const struct board *board, uint64_t counter, uint16_t port);
/* Where it would be found as a relay: at @host and TCP @tcp, UDP 3478. */
json_t *world_relay(const char *host, uint16_t tcp);
/* It says so, @relay (taken) or json_null(). Answered once the disk has what comes of it. */
struct httpd_request *world_put_relay(struct coord *c, const struct board *board, json_t *relay);
/* And by whom it was reached (taken; NULL: it does not say). */
struct httpd_request *world_put_reached(
	struct coord *c, const struct board *board, json_t *relay, json_t *reached);
/* The same of one whose home relay is node @relay. */
json_t *world_presence_by(
	const struct board *board, uint64_t counter, uint16_t port, uint32_t relay);
const struct node *world_find(const struct coord *c, const struct board *board);
