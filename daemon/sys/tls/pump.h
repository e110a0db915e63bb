/*
 * pump: carries bytes between a TLS stream and a socket, both ways, until one of them ends; what
 * was on its way to the other is delivered first, within ten seconds. Never keeps more than a
 * record of either: who takes nothing is sent nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "sys/tls/tls.h"

#define PUMP_ENDING_US UINT64_C(10000000)
#define PUMP_IDLE_US   UINT64_C(300000000) /* no byte either way: over */

struct pump;

/* @pump is over: the callback frees it. Not from within pump_new(). */
typedef void (*pump_over_fn)(void *ctx, struct pump *pump);

struct pump_ends {
	struct tls_stream *tls; /* open; both are taken on success */
	int tls_fd, fd;         /* @tls's; and the other socket: neither waits */
	/* What goes first to either side, copied. */
	const void *to_socket, *to_tls;
	size_t to_socket_len, to_tls_len;
};

/* 0, -ENOMEM or what the loop says: then nothing is taken. It begins in the loop. */
int pump_new(sd_event *event, const struct pump_ends *ends, pump_over_fn over, void *ctx,
	struct pump **ret);
/* Closes both. NULL is fine. Returns NULL. */
struct pump *pump_free(struct pump *pump);

/* Whether it has been idle, or ending, for too long: to be asked now and then, and freed then. */
bool pump_is_stuck(const struct pump *pump, uint64_t now_us);
/* Bytes so far, to the socket and from it. */
void pump_bytes(const struct pump *pump, uint64_t *ret_to, uint64_t *ret_from);
