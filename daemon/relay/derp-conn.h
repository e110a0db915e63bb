/*
 * derp-conn: one connection of relay/derp.h: the client's state machine on a TLS stream on a
 * socket. For the files of derp-internal.h alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/ip.h"
#include "relay/derp-client.h"
#include "sys/tls/tls.h"

enum {
	DERP_CONN_PARTNERS = 16, /* who is told when it goes */
	DERP_CONN_READ_MAX = 65536,
};

struct derp_conn {
	struct derp_client client;
	struct derp *derp; /* as the rest down to @tls: theirs */
	struct derp_conn *next, **pprev, *next_of_key, *next_touched, *next_turn;
	bool touched, listed;
	bool waits;  /* for its turn */
	bool proved; /* a member: */
	uint32_t node;
	struct ip_addr addr;

	struct tls_stream *tls;
	sd_event_source *io;
	uint32_t events;
	bool broken; /* nothing can be sent any more */
	/* How much the line takes while more waits for it, and what the kernel may hold for it. */
	uint64_t span_us;
	size_t span_bytes, not_sent_max;
	/* The nodes with which it has had to do, the last one first; 0: none more. */
	uint32_t partners[DERP_CONN_PARTNERS];
};

/*
 * Takes @tls; @handler gets what happens on @fd. -ENOMEM, or what the loop says: @tls is not taken.
 */
int derp_conn_new(sd_event *event, int fd, struct tls_stream *tls, sd_event_io_handler_t handler,
	struct derp_conn **ret);
struct derp_conn *derp_conn_free(struct derp_conn *conn);

/*
 * Reads some into @scratch (DERP_CONN_READ_MAX) and lets the client have it. True: there may be
 * more of which the socket does not tell.
 */
bool derp_conn_read(struct derp_conn *conn, uint8_t *scratch, uint64_t now_us);
/* Sends what it can without waiting. */
void derp_conn_flush(struct derp_conn *conn, uint64_t now_us);
/*
 * What the kernel may hold, beyond what is on its way, for a line that took @bytes in @span_us: as
 * much as that sends in 10 ms, between bounds.
 */
size_t derp_conn_not_sent(size_t bytes, uint64_t span_us);
/* Has the loop wake us for what it waits for now. */
void derp_conn_watch(struct derp_conn *conn);
bool derp_conn_is_over(const struct derp_conn *conn, uint64_t now_us);

/* @node sends to it, or it to @node. */
void derp_conn_note(struct derp_conn *conn, uint32_t node);
