/*
 * events: what a lane has for the control thread, in a ring of bytes with one writer and one
 * reader, each in a thread of its own, and no lock. Where it is full, what comes is lost; nobody
 * waits.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/tunnel.h"

enum { EVENTS_LEN = 64 * 1024 };

struct events {
	uint8_t *bytes;        /* EVENTS_LEN, owned; NULL: nobody reads */
	_Atomic uint32_t tail; /* the writer's: ever written, modulo 2^32 */
	_Atomic uint32_t head; /* the reader's: ever done with */
	uint32_t taken;        /* the reader's: bytes it looks at now */
};

/* -ENOMEM */
int events_open(struct events *ring);
void events_close(struct events *ring);

/*
 * The writer's. 1: it is in, and the reader may sleep: wake it. 0: it is in, and the reader is
 * awake. -ENOBUFS: it is full. At most TUNNEL_ASIDE_MAX bytes.
 */
int events_put(struct events *ring, const struct tunnel_event *event);

/* The writer's: the same, and wakes the reader by @fd, an eventfd. False: it is lost. */
bool events_tell(struct events *ring, int fd, const struct tunnel_event *event);

/* The reader's: the next event, which lies in the ring until the next call. False: none. */
bool events_take(struct events *ring, struct tunnel_event *ret);
