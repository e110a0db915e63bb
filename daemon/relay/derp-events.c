/* derp-events: see derp-internal.h. */
#include "relay/derp-internal.h"

#include <sys/epoll.h>

#include "base/clock.h"

/* --- when an event is done with --- */

/* Wakes us then, unless something does before. */
static void arm(struct derp *d, uint64_t due_us)
{
	if (due_us < d->looked_us + DERP_LOOK_US)
		due_us = d->looked_us + DERP_LOOK_US;
	if (due_us >= d->due_us)
		return;
	d->due_us = due_us;
	(void) sd_event_source_set_time(d->on_timer, due_us);
	(void) sd_event_source_set_enabled(d->on_timer, SD_EVENT_ONESHOT);
}

static void remove_conn(struct derp_conn *c)
{
	struct derp *d = c->derp;

	d->counters.ended[c->client.end]++;
	d->counters.unsaid += c->client.unsaid;
	door_left(d->door, &c->addr, c->proved);
	derp_want_no_turn(c);
	derp_unlink(c);
	(void) derp_conn_free(c);
}

static void look_after(struct derp_conn *c)
{
	struct derp *d = c->derp;

	derp_conn_flush(c, d->now_us);
	if (c->client.state == DERP_CLIENT_ENDING)
		derp_member_left(c);
	if (derp_conn_is_over(c, d->now_us))
		return remove_conn(c);
	derp_conn_watch(c);
	arm(d, derp_client_due_us(&c->client));
}

void derp_settle(struct derp *d)
{
	struct derp_conn *c;

	while ((c = d->touched)) {
		d->touched = c->next_touched;
		c->touched = false;
		look_after(c);
	}
	if (d->hooks)
		d->hooks->delivered(d->ctx);
}

/* --- events --- */

static void read_from(struct derp_conn *c)
{
	if (!c->proved)
		derp_want_no_turn(c); /* it may be a member then, who waits elsewhere */
	if (derp_conn_read(c, c->derp->scratch, c->derp->now_us))
		derp_want_turn(c);
	derp_touch(c);
}

int derp_on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct derp_conn *c = ctx;
	struct derp *d = c->derp;
	bool over = revents & (EPOLLHUP | EPOLLERR);

	d->now_us = clock_now_us();
	if (c->client.state == DERP_CLIENT_ENDING)
		c->broken |= over;
	else if (!c->proved && !over && (revents & EPOLLIN))
		derp_want_turn(c); /* a handshake is dear: one at a time, and others in between */
	else if (revents & ~EPOLLOUT)
		read_from(c);
	derp_touch(c);
	derp_settle(d);
	return 0;
}

static void take_turn(struct turns *t)
{
	struct derp_conn *c = t->first;

	if (!c)
		return;
	derp_want_no_turn(c);
	read_from(c); /* and to the end, if it wants another one */
}

int derp_on_turn(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct derp *d = ctx;

	d->now_us = clock_now_us();
	take_turn(&d->more);
	take_turn(&d->strange);
	derp_settle(d);
	return 0;
}

int derp_on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct derp *d = ctx;

	d->now_us = d->looked_us = clock_now_us();
	d->due_us = UINT64_MAX;
	for (struct derp_conn *c = NULL; (c = derp_next_conn(d, c));) {
		if (derp_client_due_us(&c->client) <= d->now_us) {
			derp_client_tick(&c->client, d->now_us);
			derp_touch(c);
		} else {
			arm(d, derp_client_due_us(&c->client));
		}
	}
	derp_settle(d);
	return 0;
}
