/* pass-park: see pass-internal.h. Coordinators' connections until one has got a client. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "relay/pass-internal.h"

bool park_knows(const struct pass *p, const uint8_t pin[static PASS_PIN_LEN])
{
	for (size_t i = 0; i < p->n_pins; i++)
		if (!memcmp(p->pins[i], pin, PASS_PIN_LEN))
			return true;
	return false;
}

void park_end(struct parked *k)
{
	struct client *c = k->client;

	*k->pprev = k->next;
	if (k->next)
		k->next->pprev = k->pprev;
	door_left(k->pass->parks_door, &k->addr, k->proved);
	sd_event_source_disable_unref(k->io);
	(void) tls_stream_free(k->tls);
	free(k);
	if (!c)
		return;
	/* Nothing of an answer has come to him: another one may take him. */
	c->by = NULL;
	c->first_sent = 0;
}

static void die(struct parked *k)
{
	if (k->proved)
		k->pass->counters.dead++;
	else
		k->pass->counters.strangers++;
	park_end(k);
}

/* --- frames --- */

static bool send_frame(struct parked *k, enum pass_type type)
{
	uint8_t data[PASS_FRAME_LEN];

	pass_frame_put(&(struct pass_frame){ .type = type }, data);
	return tls_stream_keeps(k->tls) || tls_stream_write(k->tls, data, sizeof(data)) == 0;
}

/* @newest stays in any case. */
static void keep_the_newest(struct pass *p, const struct parked *newest)
{
	struct parked *oldest = NULL;
	unsigned n = 1;

	for (struct parked *k = p->parked; k; k = k->next) {
		if (k == newest || k->state != PARKED_WAITING ||
			memcmp(k->pin, newest->pin, PASS_PIN_LEN) != 0)
			continue;
		n++;
		oldest = k;
	}
	if (n > PASS_PARKED_MAX)
		park_end(oldest);
}

static void is_parked(struct parked *k)
{
	k->state = PARKED_WAITING;
	k->pass->counters.parks++;
	keep_the_newest(k->pass, k);
}

/* Whether it lives; and the first time, to say that it is parked. False: it does not. */
static bool ask(struct parked *k)
{
	k->pinged_us = k->pass->now_us;
	if (send_frame(k, PASS_PING))
		return true;
	die(k);
	return false;
}

/* False: @k is gone, or somebody else's. */
static bool take_frame(struct parked *k, const uint8_t *more, size_t len)
{
	struct pass_frame frame;

	k->have = 0;
	if (pass_frame_parse(k->frame, &frame) < 0)
		return die(k), false;
	k->heard_us = k->pass->now_us;
	if (frame.type == PASS_PONG && k->state != PARKED_JOINING) {
		k->pinged_us = 0;
		return true;
	}
	if (frame.type == PASS_PARK && k->state == PARKED_JOINING) {
		if (len) /* nobody has asked it anything */
			return die(k), false;
		is_parked(k);
		return ask(k);
	}
	if (frame.type == PASS_TAKEN && k->state == PARKED_OPENING) {
		k->pass->hooks->taken(k->client, more, len);
		return false;
	}
	if (frame.type == PASS_FULL && k->state == PARKED_OPENING) {
		struct client *c = k->client;

		k->client = NULL;
		c->by = NULL;
		k->pass->counters.full++;
		k->pass->hooks->refused(c);
	}
	return die(k), false;
}

/* The same. */
static bool take_bytes(struct parked *k, const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = PASS_FRAME_LEN - k->have;

		n = n < len ? n : len;
		memcpy(k->frame + k->have, data, n);
		k->have += n;
		data += n;
		len -= n;
		if (k->have == PASS_FRAME_LEN && !take_frame(k, data, len))
			return false;
	}
	return true;
}

/* --- its socket --- */

static void watch(struct parked *k)
{
	uint32_t events = EPOLLIN | (tls_stream_keeps(k->tls) ? EPOLLOUT : 0);

	if (events != k->events && sd_event_source_set_io_events(k->io, events) >= 0)
		k->events = events;
}

/* Who holds no coordinator's key is nobody to keep. */
static bool prove(struct parked *k)
{
	struct pass *p = k->pass;

	if (k->proved || !tls_stream_is_open(k->tls))
		return true;
	if (tls_stream_peer_pin(k->tls, k->pin) < 0 || !park_knows(p, k->pin))
		return false;
	k->proved = true;
	door_proved(p->parks_door, &k->addr, p->now_us);
	return true;
}

static void go_on(struct parked *k)
{
	uint8_t data[TLS_RECORD_MAX];
	ssize_t n;
	int r;

	do {
		n = tls_stream_read(k->tls, data, sizeof(data));
		if (!prove(k))
			return die(k);
		if (n > 0 && !take_bytes(k, data, (size_t) n))
			return;
	} while (n > 0);
	r = tls_stream_flush(k->tls);
	if (n != -EAGAIN || (r < 0 && r != -EAGAIN))
		return die(k);
	watch(k);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct parked *k = ctx;
	struct pass *p = k->pass;

	p->now_us = clock_now_us();
	go_on(k);
	p->hooks->settle(p);
	return 0;
}

/* --- from outside --- */

/* The oldest of the source that has most; of that of @addr if it has too many. */
static struct parked *stranger_to_go(struct pass *p, const struct ip_addr *addr, bool of_source)
{
	unsigned most = 0;
	struct parked *found = NULL;

	for (struct parked *k = p->parked; k; k = k->next) {
		unsigned n;

		if (k->proved || (of_source && !door_same_source(p->parks_door, addr, &k->addr)))
			continue;
		n = door_strangers_from(p->parks_door, &k->addr);
		if (n >= most) {
			most = n;
			found = k;
		}
	}
	return found;
}

static void make_room(struct pass *p, const struct ip_addr *addr)
{
	enum door_crowd crowd = door_crowd(p->parks_door, addr);
	struct parked *k =
		crowd == DOOR_ROOM ? NULL : stranger_to_go(p, addr, crowd == DOOR_CROWDED_SOURCE);

	if (k)
		park_end(k);
}

/* NULL: @fd is closed. */
static struct parked *let_in(
	struct pass *p, int fd, const struct ip_addr *addr, const void *first, size_t first_len)
{
	struct parked *k = calloc(1, sizeof(*k));
	struct tls_stream *tls = k ? tls_stream_new(p->tls, fd, first, first_len) : NULL;

	if (!tls) {
		(void) close(fd);
		free(k);
		return NULL;
	}
	*k = (struct parked){ .pass = p, .tls = tls, .fd = fd, .addr = *addr, .events = EPOLLIN };
	if (sd_event_add_io(p->core->event, &k->io, fd, k->events, on_io, k) < 0) {
		(void) tls_stream_free(tls); /* which closes it */
		free(k);
		return NULL;
	}
	k->since_us = k->heard_us = p->now_us;
	k->next = p->parked;
	k->pprev = &p->parked;
	if (k->next)
		k->next->pprev = &k->next;
	p->parked = k;
	return k;
}

void park_join(
	struct pass *p, int fd, const struct endpoint *peer, const void *first, size_t first_len)
{
	struct parked *k;

	if (door_ask(p->parks_door, &peer->addr, p->now_us) != DOOR_ENTER) {
		p->counters.turned_away++;
		(void) close(fd);
		return;
	}
	k = let_in(p, fd, &peer->addr, first, first_len);
	if (!k)
		return;
	door_came(p->parks_door, &k->addr);
	make_room(p, &peer->addr); /* which takes the oldest */
	go_on(k);                  /* the socket does not tell of what was read */
}

struct parked *park_find(struct pass *p, const uint8_t pin[static PASS_PIN_LEN])
{
	struct parked *found = NULL;

	for (struct parked *k = p->parked; k; k = k->next)
		if (k->state == PARKED_WAITING && !tls_stream_keeps(k->tls) &&
			!memcmp(k->pin, pin, PASS_PIN_LEN) &&
			(!found || k->heard_us > found->heard_us))
			found = k;
	return found;
}

bool park_open(struct parked *k, struct client *c, unsigned waiting)
{
	uint8_t data[TLS_RECORD_MAX];
	size_t room = sizeof(data) - PASS_FRAME_LEN;
	size_t n = c->first.len < room ? c->first.len : room;
	const struct pass_frame frame = { .type = PASS_OPEN,
		.client = c->peer,
		.waiting = (uint16_t) (waiting < UINT16_MAX ? waiting : UINT16_MAX) };

	pass_frame_put(&frame, data);
	if (n)
		memcpy(data + PASS_FRAME_LEN, c->first.data, n);
	if (tls_stream_write(k->tls, data, PASS_FRAME_LEN + n) < 0)
		return die(k), false;
	k->state = PARKED_OPENING;
	k->since_us = k->pass->now_us;
	k->client = c;
	c->by = k;
	c->first_sent = n;
	watch(k);
	return true;
}

void park_look(struct parked *k)
{
	uint64_t now_us = k->pass->now_us;

	switch (k->state) {
	case PARKED_JOINING:
		if (now_us - k->since_us >= PASS_JOIN_US)
			park_end(k);
		return;
	case PARKED_OPENING:
		if (now_us - k->since_us >= PASS_OPEN_US)
			die(k);
		return;
	case PARKED_WAITING:
		if (k->pinged_us && now_us - k->pinged_us >= PASS_PONG_US)
			return die(k);
		if (k->pinged_us || now_us - k->heard_us < PASS_PING_US)
			return;
		if (ask(k))
			watch(k);
	}
}
