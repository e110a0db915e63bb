/*
 * A record lies in one piece behind its length. Where the next one would reach beyond the end of
 * the ring, the rest of it is skipped, and a length says so: there is always room for one.
 *
 * The writer stores its end and then looks at the reader's, the reader the other way round, all in
 * one order that both see: so either the writer finds that the reader had read all (and wakes it),
 * or the reader finds what was written.
 */
#include "tunnel/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define SKIP UINT32_MAX

enum { ALIGN = 8 }; /* and what a length takes */

_Static_assert((RING_LEN & (RING_LEN - 1)) == 0, "positions are taken modulo it");

int ring_open(struct ring *ring)
{
	*ring = (struct ring){ .bytes = malloc(RING_LEN) };
	return ring->bytes ? 0 : -ENOMEM;
}

void ring_close(struct ring *ring)
{
	free(ring->bytes);
	ring->bytes = NULL;
}

static uint32_t size_of(size_t len)
{
	return (uint32_t) ((ALIGN + len + ALIGN - 1) / ALIGN * ALIGN);
}

/* From @at to the end of the ring. */
static uint32_t left_at(uint32_t at)
{
	return RING_LEN - at % RING_LEN;
}

static uint8_t *place(const struct ring *ring, uint32_t at)
{
	return ring->bytes + at % RING_LEN;
}

static void put_len(const struct ring *ring, uint32_t at, uint32_t len)
{
	memcpy(place(ring, at), &len, sizeof(len));
}

static uint32_t len_at(const struct ring *ring, uint32_t at)
{
	uint32_t len;

	memcpy(&len, place(ring, at), sizeof(len));
	return len;
}

int ring_put(
	struct ring *ring, const void *head, size_t head_len, const void *data, size_t data_len)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t read = atomic_load(&ring->head), before = tail;
	uint32_t size = size_of(head_len + data_len), left = left_at(tail);
	uint8_t *at;

	assert(head_len + data_len <= RING_RECORD_MAX);
	if ((left < size ? left : 0) + size > RING_LEN - (tail - read))
		return -ENOBUFS;
	if (left < size) {
		put_len(ring, tail, SKIP);
		tail += left;
	}
	put_len(ring, tail, (uint32_t) (head_len + data_len));
	at = place(ring, tail) + ALIGN;
	memcpy(at, head, head_len);
	if (data_len > 0)
		memcpy(at + head_len, data, data_len);
	atomic_store(&ring->tail, tail + size);
	return atomic_load(&ring->head) == before;
}

bool ring_tell(struct ring *ring, int fd, const void *head, size_t head_len, const void *data,
	size_t data_len)
{
	int r = ring_put(ring, head, head_len, data, data_len);

	if (r == 1)
		(void) eventfd_write(fd, 1); /* fails only at 2^64-1 */
	return r >= 0;
}

bool ring_take(struct ring *ring, const uint8_t **ret, size_t *ret_len)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed) + ring->taken;
	uint32_t len;

	ring->taken = 0;
	atomic_store(&ring->head, head);
	if (atomic_load(&ring->tail) == head)
		return false;
	len = len_at(ring, head);
	if (len == SKIP) {
		ring->taken = left_at(head);
		head += ring->taken;
		len = len_at(ring, head);
	}
	ring->taken += size_of(len);
	*ret = place(ring, head) + ALIGN;
	*ret_len = len;
	return true;
}
