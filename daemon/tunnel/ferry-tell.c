/*
 * What the control thread is told. Whoever can make us tell something (a relay, or whoever it lets
 * speak) gets so many words and no more; who was told of a moment ago is not told of again, so that
 * one who speaks all the time does not take the words of others.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tunnel/ferry-internal.h"

/* A relay has something to say every 20 s, and once a second of each who is absent. */
enum { CONTROL_BURST = 64, REFUSED_BURST = 2, HEARD_BURST = 8 };
#define CONTROL_EVERY_US (20 * USEC_PER_MSEC)
#define REFUSED_EVERY_US USEC_PER_SEC
#define HEARD_EVERY_US   (250 * USEC_PER_MSEC)
#define AGAIN_US         USEC_PER_SEC

static bool tell(struct ferry *f, const struct ferry_event *event)
{
	return ring_tell(&f->events, f->event_fd, event, sizeof(*event), event->data, event->len);
}

bool ferry_tell_control(struct ferry *f, struct carrier *c, const uint8_t *data, size_t len)
{
	const struct ferry_event event = {
		.kind = FERRY_CONTROL, .relay = c->relay, .data = data, .len = len
	};

	return pace_may(&c->control, CONTROL_BURST, CONTROL_EVERY_US, f->now_us, NULL) &&
	       tell(f, &event);
}

void ferry_tell_refused(struct ferry *f, struct carrier *c, int error)
{
	const struct ferry_event event = {
		.kind = FERRY_REFUSED, .relay = c->relay, .error = error
	};

	if (pace_may(&c->refused, REFUSED_BURST, REFUSED_EVERY_US, f->now_us, NULL))
		(void) tell(f, &event);
}

static bool was_told(const struct ferry *f, uint32_t node, uint32_t relay)
{
	for (size_t i = 0; i < FERRY_TOLD; i++)
		if (f->told[i].node == node && f->told[i].relay == relay &&
			f->now_us - f->told[i].us < AGAIN_US)
			return true;
	return false;
}

static bool may_tell_stranger(struct ferry *f, uint32_t node, uint32_t relay)
{
	if (was_told(f, node, relay))
		return false;
	if (!pace_may(&f->heard, HEARD_BURST, HEARD_EVERY_US, f->now_us, NULL))
		return false;
	f->told[f->next_told].node = node;
	f->told[f->next_told].relay = relay;
	f->told[f->next_told].us = f->now_us;
	f->next_told = (f->next_told + 1) % FERRY_TOLD;
	return true;
}

void ferry_tell_stranger(
	struct ferry *f, const struct carrier *c, uint32_t node, const uint8_t *key)
{
	const struct ferry_event event = { .kind = FERRY_HEARD,
		.relay = c->relay,
		.node = node,
		.data = key,
		.len = key ? FERRY_KEY_LEN : 0 };
	uint32_t known_by = node;

	if (key)
		memcpy(&known_by, key, sizeof(known_by));
	if (may_tell_stranger(f, known_by, c->relay))
		(void) tell(f, &event);
}

void ferry_tell_heard(struct ferry *f, const struct carrier *c, struct passenger *p)
{
	const struct ferry_event event = {
		.kind = FERRY_HEARD, .relay = c->relay, .node = p->node
	};

	if (p->told_us && f->now_us - p->told_us < AGAIN_US)
		return;
	if (tell(f, &event))
		p->told_us = f->now_us;
}

bool ferry_tell_frame(
	struct ferry *f, struct carrier *c, uint8_t type, const uint8_t *data, size_t len)
{
	const struct ferry_event event = {
		.kind = FERRY_FRAME, .relay = c->relay, .frame = type, .data = data, .len = len
	};

	return pace_may(&c->control, CONTROL_BURST, CONTROL_EVERY_US, f->now_us, NULL) &&
	       tell(f, &event);
}

bool ferry_tell_ended(struct ferry *f, const struct carrier *c, int error)
{
	const struct ferry_event event = { .kind = FERRY_ENDED, .relay = c->relay, .error = error };

	return tell(f, &event);
}
