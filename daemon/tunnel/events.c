/* events: see events.h. One is a record: a head, and its data behind it. */
#include "tunnel/events.h"

#include <assert.h>
#include <string.h>

struct head {
	uint32_t ifindex;
	enum tunnel_event_kind kind;
	struct endpoint from;
	struct ip_addr to;
	uint64_t sent;
};

_Static_assert(sizeof(struct head) + TUNNEL_ASIDE_MAX <= RING_RECORD_MAX, "some must fit");

static struct head head_of(const struct tunnel_event *event)
{
	assert(event->len <= TUNNEL_ASIDE_MAX);
	return (struct head){ .ifindex = event->ifindex,
		.kind = event->kind,
		.from = event->from,
		.to = event->to,
		.sent = event->sent };
}

int events_put(struct ring *ring, const struct tunnel_event *event)
{
	struct head h = head_of(event);

	return ring_put(ring, &h, sizeof(h), event->data, event->len);
}

bool events_tell(struct ring *ring, int fd, const struct tunnel_event *event)
{
	struct head h = head_of(event);

	return ring_tell(ring, fd, &h, sizeof(h), event->data, event->len);
}

bool events_take(struct ring *ring, struct tunnel_event *ret)
{
	const uint8_t *at;
	size_t len;
	struct head h;

	if (!ring_take(ring, &at, &len))
		return false;
	memcpy(&h, at, sizeof(h));
	*ret = (struct tunnel_event){ .kind = h.kind,
		.from = h.from,
		.to = h.to,
		.ifindex = h.ifindex,
		.data = at + sizeof(h),
		.len = len - sizeof(h),
		.sent = h.sent };
	return true;
}
