/*
 * A datagram lies in one piece behind its head. Where the next one would reach beyond the end of
 * the ring, the rest of it is skipped; both sides see that by the same rule or by a head that says
 * so.
 *
 * The writer stores its end and then looks at the reader's, the reader the other way round, all in
 * one order that both see: so either the writer finds that the reader had read all (and wakes it),
 * or the reader finds what was written.
 */
#include "tunnel/aside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SKIP UINT32_MAX

struct head {
	uint32_t len; /* of the data behind it, or SKIP */
	uint32_t ifindex;
	struct endpoint from;
	struct ip_addr to;
};

enum { ALIGN = 8 };

_Static_assert((ASIDE_RING_LEN & (ASIDE_RING_LEN - 1)) == 0, "positions are taken modulo it");
_Static_assert(sizeof(struct head) + TUNNEL_ASIDE_MAX <= ASIDE_RING_LEN / 4, "some must fit");

int aside_open(struct aside *aside)
{
	*aside = (struct aside){ .bytes = malloc(ASIDE_RING_LEN) };
	return aside->bytes ? 0 : -ENOMEM;
}

void aside_close(struct aside *aside)
{
	free(aside->bytes);
	aside->bytes = NULL;
}

static uint32_t size_of(size_t len)
{
	return (uint32_t) ((sizeof(struct head) + len + ALIGN - 1) / ALIGN * ALIGN);
}

/* From @at to the end of the ring. */
static uint32_t left_at(uint32_t at)
{
	return ASIDE_RING_LEN - at % ASIDE_RING_LEN;
}

static uint8_t *place(const struct aside *aside, uint32_t at)
{
	return aside->bytes + at % ASIDE_RING_LEN;
}

int aside_put(struct aside *aside, const struct tunnel_aside *datagram)
{
	uint32_t tail = atomic_load_explicit(&aside->tail, memory_order_relaxed);
	uint32_t head = atomic_load(&aside->head), before = tail;
	uint32_t size = size_of(datagram->len), left = left_at(tail);
	struct head h = { .len = (uint32_t) datagram->len,
		.ifindex = datagram->ifindex,
		.from = datagram->from,
		.to = datagram->to };

	assert(datagram->len <= TUNNEL_ASIDE_MAX);
	if ((left < size ? left : 0) + size > ASIDE_RING_LEN - (tail - head))
		return -ENOBUFS;
	if (left < size) {
		if (left >= sizeof(h))
			memcpy(place(aside, tail), &(struct head){ .len = SKIP }, sizeof(h));
		tail += left;
	}
	memcpy(place(aside, tail), &h, sizeof(h));
	memcpy(place(aside, tail) + sizeof(h), datagram->data, datagram->len);
	atomic_store(&aside->tail, tail + size);
	return atomic_load(&aside->head) == before;
}

bool aside_take(struct aside *aside, struct tunnel_aside *ret)
{
	uint32_t head = atomic_load_explicit(&aside->head, memory_order_relaxed) + aside->taken;
	struct head h = { .len = SKIP };

	aside->taken = 0;
	atomic_store(&aside->head, head);
	if (atomic_load(&aside->tail) == head)
		return false;
	if (left_at(head) >= sizeof(h))
		memcpy(&h, place(aside, head), sizeof(h));
	if (h.len == SKIP) {
		aside->taken = left_at(head);
		head += aside->taken;
		memcpy(&h, place(aside, head), sizeof(h));
	}
	aside->taken += size_of(h.len);
	*ret = (struct tunnel_aside){ .from = h.from,
		.to = h.to,
		.ifindex = h.ifindex,
		.data = place(aside, head) + sizeof(h),
		.len = h.len };
	return true;
}
