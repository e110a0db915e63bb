/*
 * pass: TLS connections to coordinators that nobody can reach but through this relay (PROTOCOL.md
 * section 14), a subject. A coordinator keeps connections open to the relay ("parked"); when a
 * client comes who asks for it by its name, the relay gives him one of them, and carries bytes from
 * then on. It reads none: the client's TLS ends at the coordinator.
 *
 * Bounds: clients in all and of one source, how fast they come, 10 s until one has got a connection
 * (who has fewest goes first), parked connections of one coordinator and of strangers, their times.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "relay/core.h"
#include "sys/httpd/door.h"
#include "wire/pass.h"

enum {
	PASS_COORDINATORS_MAX = 8, /* keys, not machines */
	PASS_PARKED_MAX = 32,      /* of one key; the newest */
	PASS_JOINING_MAX = 64,     /* strangers that have not shown a coordinator's key */
	PASS_JOINING_PER_SOURCE = 16,
};
#define PASS_JOIN_US UINT64_C(10000000) /* TLS and the first frame */
#define PASS_WAIT_US UINT64_C(10000000) /* a client for a connection */
#define PASS_OPEN_US UINT64_C(3000000)  /* a coordinator for a client */
#define PASS_PING_US UINT64_C(25000000) /* a parked one is asked whether it lives ... */
#define PASS_PONG_US UINT64_C(10000000) /* ... and answers within */

struct pass;

struct pass_config {
	const uint8_t *tls_seed; /* of the Ed25519 key whose pin is in the node's record */
	const char *name;        /* for the certificate */
	unsigned clients_max, per_source_max;
	struct door_rates rates; /* of clients */
};

struct pass_counters {
	/* Now. */
	unsigned joining, parked, waiting, carried;
	/* Since the start. */
	uint64_t clients, taken;                              /* that came; that were carried */
	uint64_t turned_away, crowded, unknown, full, waited; /* those that were not, and why */
	uint64_t parks, strangers, dead; /* coordinators' connections; those refused; that died */
	uint64_t bytes_in, bytes_out;    /* from clients, to them; of those that have ended */
};

/* @core is borrowed, @config not kept. 0, or -errno and @err. */
int pass_new(struct relay_core *core, const struct pass_config *config, struct pass **ret,
	struct err *err);
struct pass *pass_free(struct pass *pass);

/* The coordinators' keys are these from now on: those of others are cut off. Copied. */
void pass_follow(struct pass *pass, const uint8_t (*pins)[PASS_PIN_LEN], size_t n);

/* Whether a connection that asks for @name is for pass_take(). */
bool pass_serves(const char *name);
/*
 * A connection from @peer that asks for @name, of which @first was already read (copied). @fd does
 * not wait, and is taken in any case.
 */
void pass_take(struct pass *pass, int fd, const struct endpoint *peer, const char *name,
	const void *first, size_t first_len);

void pass_counters(const struct pass *pass, struct pass_counters *ret);
