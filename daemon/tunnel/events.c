/*
 * An event lies in one piece behind its head. Where the next one would reach beyond the end of the
 * ring, the rest of it is skipped; both sides see that by the same rule or by a head that says so.
 *
 * The writer stores its end and then looks at the reader's, the reader the other way round, all in
 * one order that both see: so either the writer finds that the reader had read all (and wakes it),
 * or the reader finds what was written.
 */
#include "tunnel/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define SKIP UINT32_MAX

struct head {
	uint32_t len; /* of the data behind it, or SKIP */
	uint32_t ifindex;
	enum tunnel_event_kind kind;
	struct endpoint from;
	struct ip_addr to;
};

enum { ALIGN = 8 };

_Static_assert((EVENTS_LEN & (EVENTS_LEN - 1)) == 0, "positions are taken modulo it");
_Static_assert(sizeof(struct head) + TUNNEL_ASIDE_MAX <= EVENTS_LEN / 4, "some must fit");

int events_open(struct events *ring)
{
	*ring = (struct events){ .bytes = malloc(EVENTS_LEN) };
	return ring->bytes ? 0 : -ENOMEM;
}

void events_close(struct events *ring)
{
	free(ring->bytes);
	ring->bytes = NULL;
}

static uint32_t size_of(size_t len)
{
	return (uint32_t) ((sizeof(struct head) + len + ALIGN - 1) / ALIGN * ALIGN);
}

/* From @at to the end of the ring. */
static uint32_t left_at(uint32_t at)
{
	return EVENTS_LEN - at % EVENTS_LEN;
}

static uint8_t *place(const struct events *ring, uint32_t at)
{
	return ring->bytes + at % EVENTS_LEN;
}

int events_put(struct events *ring, const struct tunnel_event *event)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t head = atomic_load(&ring->head), before = tail;
	uint32_t size = size_of(event->len), left = left_at(tail);
	struct head h = { .len = (uint32_t) event->len,
		.ifindex = event->ifindex,
		.kind = event->kind,
		.from = event->from,
		.to = event->to };

	assert(event->len <= TUNNEL_ASIDE_MAX);
	if ((left < size ? left : 0) + size > EVENTS_LEN - (tail - head))
		return -ENOBUFS;
	if (left < size) {
		if (left >= sizeof(h))
			memcpy(place(ring, tail), &(struct head){ .len = SKIP }, sizeof(h));
		tail += left;
	}
	memcpy(place(ring, tail), &h, sizeof(h));
	memcpy(place(ring, tail) + sizeof(h), event->data, event->len);
	atomic_store(&ring->tail, tail + size);
	return atomic_load(&ring->head) == before;
}

bool events_tell(struct events *ring, int fd, const struct tunnel_event *event)
{
	int r = events_put(ring, event);

	if (r == 1)
		(void) eventfd_write(fd, 1); /* fails only at 2^64-1 */
	return r >= 0;
}

bool events_take(struct events *ring, struct tunnel_event *ret)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed) + ring->taken;
	struct head h = { .len = SKIP };

	ring->taken = 0;
	atomic_store(&ring->head, head);
	if (atomic_load(&ring->tail) == head)
		return false;
	if (left_at(head) >= sizeof(h))
		memcpy(&h, place(ring, head), sizeof(h));
	if (h.len == SKIP) {
		ring->taken = left_at(head);
		head += ring->taken;
		memcpy(&h, place(ring, head), sizeof(h));
	}
	ring->taken += size_of(h.len);
	*ret = (struct tunnel_event){ .kind = h.kind,
		.from = h.from,
		.to = h.to,
		.ifindex = h.ifindex,
		.data = place(ring, head) + sizeof(h),
		.len = h.len };
	return true;
}
