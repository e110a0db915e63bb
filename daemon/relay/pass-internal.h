/*
 * pass-internal: shared by pass.c (the subject, clients) and pass-park.c (coordinators'
 * connections).
 */
#pragma once

#include "base/buf.h"
#include "relay/pass.h"
#include "sys/tls/pump.h"

/* Somebody who asks for a coordinator. */
struct client {
	struct client *next, **pprev;
	struct pass *pass;
	int fd; /* -1: the pump has it */
	sd_event_source *io;
	struct endpoint peer;
	uint8_t pin[PASS_PIN_LEN];
	uint64_t since_us;
	struct buf first;  /* what he has said */
	size_t first_sent; /* of it, to park */
	struct parked *by; /* which is asked to take him; NULL: none */
	struct pump *pump; /* he is carried */
};

enum parked_state { PARKED_JOINING, PARKED_WAITING, PARKED_OPENING };

/* A coordinator's connection. */
struct parked {
	struct parked *next, **pprev;
	struct pass *pass;
	enum parked_state state;
	struct tls_stream *tls;
	int fd; /* @tls's */
	sd_event_source *io;
	uint32_t events;
	struct ip_addr addr;
	uint8_t pin[PASS_PIN_LEN];
	bool proved;
	uint64_t since_us, heard_us, pinged_us; /* pinged: 0 if it has answered */
	uint8_t frame[PASS_FRAME_LEN];
	size_t have;
	struct client *client; /* while it is opening */
};

/* What pass.c does when something happened to a parked connection. */
struct park_hooks {
	/* Its event is over: it may be free now, or whoever it had may wait again. */
	void (*settle)(struct pass *pass);
	/* @client's connection has taken him, and is to be ended; @more comes first for him. */
	void (*taken)(struct client *client, const void *more, size_t more_len);
	/* Nobody will take him. */
	void (*refused)(struct client *client);
};

struct pass {
	struct relay_core *core;
	const struct park_hooks *hooks;
	struct tls_party *tls;
	struct door *clients_door, *parks_door;
	sd_event_source *on_timer;
	bool ticking;
	uint8_t pins[PASS_COORDINATORS_MAX][PASS_PIN_LEN];
	size_t n_pins;
	struct parked *parked;  /* newest first */
	struct client *clients; /* the same */
	uint64_t now_us;        /* of this event */
	struct pass_counters counters;
};

/* --- pass-park.c --- */

/* Whether @pin is a coordinator's. */
bool park_knows(const struct pass *pass, const uint8_t pin[static PASS_PIN_LEN]);
/* A connection from @peer that wants to be parked. @fd is taken. */
void park_join(struct pass *pass, int fd, const struct endpoint *peer, const void *first,
	size_t first_len);
/* Closes it. Whoever it should have taken waits again, until it is settled. */
void park_end(struct parked *parked);
/* One that waits, of @pin: the one that was heard of last. NULL: none. */
struct parked *park_find(struct pass *pass, const uint8_t pin[static PASS_PIN_LEN]);
/* Asks it to take @client, while @waiting others wait. False: it is dead, and was ended. */
bool park_open(struct parked *parked, struct client *client, unsigned waiting);
/* What time says to it, once a second. */
void park_look(struct parked *parked);
