/*
 * ring: records of bytes from one thread to one other, without a lock. Where it is full, what comes
 * is lost; nobody waits.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_LEN = 64 * 1024, RING_RECORD_MAX = RING_LEN / 4 - 8 };

struct ring {
	uint8_t *bytes;        /* RING_LEN, owned; NULL: nobody reads */
	_Atomic uint32_t tail; /* the writer's: ever written, modulo 2^32 */
	_Atomic uint32_t head; /* the reader's: ever done with */
	uint32_t taken;        /* the reader's: bytes it looks at now */
};

/* -ENOMEM */
int ring_open(struct ring *ring);
void ring_close(struct ring *ring);

/*
 * The writer's: a record of @head and, behind it, @data; at most RING_RECORD_MAX. 1: it is in, and
 * the reader may sleep: wake it. 0: it is in, and the reader is awake. -ENOBUFS: it is full.
 */
int ring_put(
	struct ring *ring, const void *head, size_t head_len, const void *data, size_t data_len);
/* The writer's: the same, and wakes the reader by @fd, an eventfd. False: it is lost. */
bool ring_tell(struct ring *ring, int fd, const void *head, size_t head_len, const void *data,
	size_t data_len);

/* The reader's: the next record, which lies in the ring until the next call. False: none. */
bool ring_take(struct ring *ring, const uint8_t **ret, size_t *ret_len);
