/*
 * aside: datagrams that are not WireGuard's on their way from a lane to the control thread: a ring
 * of bytes with one writer and one reader, each in a thread of its own, and no lock. Where it is
 * full, what comes is lost; nobody waits.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/tunnel.h"

enum { ASIDE_RING_LEN = 64 * 1024 };

struct aside {
	uint8_t *bytes;        /* ASIDE_RING_LEN, owned; NULL: nobody reads */
	_Atomic uint32_t tail; /* the writer's: ever written, modulo 2^32 */
	_Atomic uint32_t head; /* the reader's: ever done with */
	uint32_t taken;        /* the reader's: bytes it looks at now */
};

/* -ENOMEM */
int aside_open(struct aside *aside);
void aside_close(struct aside *aside);

/*
 * The writer's. 1: it is in, and the reader may sleep: wake it. 0: it is in, and the reader is
 * awake. -ENOBUFS: it is full. At most TUNNEL_ASIDE_MAX bytes.
 */
int aside_put(struct aside *aside, const struct tunnel_aside *datagram);

/* The reader's: the next datagram, which lies in the ring until the next call. False: none. */
bool aside_take(struct aside *aside, struct tunnel_aside *ret);
