/*
 * derp-internal: shared by the files of relay/derp.h, each of which uses those below it alone:
 *
 *   derp.c           its life, who comes in, what others ask of it
 *   derp-events.c    what happens to connections, and what is done when an event is over
 *   derp-members.c   what one member sends another; who comes, goes, and is told of it
 *   derp-lists.c     the connections, and which of them are due
 *
 * Whatever happens to a connection, it is touched; when the event is done with, those that were
 * touched are flushed, so that many packets make one write, and ended if they are over: so nothing
 * is freed below anybody's feet.
 */
#pragma once

#include "relay/derp-conn.h"
#include "relay/derp-table.h"
#include "relay/derp.h"

#define DERP_LOOK_US (250 * USEC_PER_MSEC) /* no two looks at all are closer */

/* Connections that wait for their turn to be read. */
struct turns {
	struct derp_conn *first, *last;
};

struct derp {
	struct relay_core *core;
	struct derp_keys keys;
	struct tls_party *tls;
	struct door *door;
	struct derp_pool pool;
	struct derp_table table;
	unsigned clients_max;
	sd_event_source *on_timer, *on_turn;
	int turn_fd; /* always readable: so its turn comes when all others' have */
	struct derp_conn *strangers, *known; /* newest first */
	struct derp_conn *touched;           /* of both */
	struct turns strange, more;          /* strangers; those of whom OpenSSL holds something */
	uint64_t now_us;                     /* of this event */
	uint64_t due_us, looked_us;
	bool closing;
	const struct derp_hooks *hooks; /* NULL: nobody is elsewhere */
	void *ctx;
	struct derp_counters counters; /* those that grow */
	uint8_t scratch[DERP_CONN_READ_MAX];
};

/* --- derp-events.c --- */

int derp_on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx);   /* a connection */
int derp_on_turn(sd_event_source *source, int fd, uint32_t revents, void *ctx); /* a derp */
int derp_on_timer(sd_event_source *source, uint64_t usec, void *ctx);           /* the same */
/* The event is done with. */
void derp_settle(struct derp *d);

/* --- derp-members.c --- */

extern const struct derp_client_hooks derp_client_hooks; /* of a connection */
/* @c is ending: it is not to be found any more, and whoever had to do with it is told. */
void derp_member_left(struct derp_conn *c);

/* --- derp-lists.c --- */

void derp_link(struct derp_conn *c, struct derp_conn **list);
void derp_unlink(struct derp_conn *c);
/* All of them, one after the other; the first for NULL. */
struct derp_conn *derp_next_conn(const struct derp *d, const struct derp_conn *c);
/* Something has happened to @c. */
void derp_touch(struct derp_conn *c);
/* It is to be read, after those that wait already; not any more. */
void derp_want_turn(struct derp_conn *c);
void derp_want_no_turn(struct derp_conn *c);
