/*
 * front: the relay's TCP port, a subject. It reads each connection's ClientHello, no further, and
 * hands the connection on with the name of the server that it asks for: whether that is a
 * coordinator behind this relay or the relay itself is for others to know.
 *
 * Bounds: connections that have not said it yet, in all and of one source (one more puts the oldest
 * of the source that has most out), 10 s for each however the bytes trickle, and HELLO_MAX_LEN
 * bytes of memory for each.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "relay/core.h"

enum { FRONT_PLACES_DEFAULT = 1024, FRONT_PER_SOURCE_DEFAULT = 128 };
#define FRONT_LIMIT_US UINT64_C(10000000)

struct front;

struct front_config {
	int listen_fd;       /* a listening stream socket that does not wait; taken on success */
	unsigned places;     /* connections that have not said whom they want */
	unsigned per_source; /* the same of one address or /64 */
};

struct front_hooks {
	/*
	 * @fd (which does not wait) is the hook's from now on, @first is what was read from it.
	 * @name is "" if it names no server, or speaks no TLS.
	 */
	void (*arrived)(void *ctx, int fd, const struct endpoint *peer, const char *name,
		const void *first, size_t first_len);
};

struct front_counters {
	unsigned waiting; /* now */
	/* Since the start. */
	uint64_t accepted, arrived;
	uint64_t slow, closed, crowded, too_long, memory; /* those that never arrived */
};

/* @core is borrowed, @config not kept. 0, or -errno and @err. */
int front_new(struct relay_core *core, const struct front_config *config,
	const struct front_hooks *hooks, void *ctx, struct front **ret, struct err *err);
struct front *front_free(struct front *front);

/* Accepts nobody any more. */
void front_close(struct front *front);

void front_counters(const struct front *front, struct front_counters *ret);
