/*
 * duct: see duct.h. What one end has said and the other has not taken yet waits at the other; no
 * more is read until it is gone.
 */
#include "relay/duct.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

enum { READ_MAX = 16384, ROUNDS = 8 /* of a read, before others have their turn */ };

struct end {
	struct duct *duct;
	int fd;
	sd_event_source *io;
	uint32_t events;
	struct buf wait; /* for it */
	size_t sent;     /* of that */
	uint64_t said;   /* bytes that have come from it */
	bool ended;      /* it says no more */
	bool shut;       /* and has been told that the other one does not */
	bool deaf;       /* it takes no more: what is for it is thrown away */
};

struct duct {
	struct end ends[2];
	duct_over_fn over;
	void *ctx;
	bool broken;
	bool again; /* there was more than its turn */
	uint64_t moved_us;
};

static struct end *other(struct end *e)
{
	return &e->duct->ends[e == &e->duct->ends[0]];
}

static void turn_deaf(struct end *e)
{
	e->deaf = true;
	e->sent = 0;
	buf_done(&e->wait);
	other(e)->ended = true; /* whatever it says */
}

/* False: some of it still waits. */
static bool flush(struct end *e)
{
	size_t left = e->wait.len - e->sent;
	ssize_t n;

	if (!left)
		return true;
	n = send(e->fd, e->wait.data + e->sent, left, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		turn_deaf(e);
		return true;
	}
	e->sent += n > 0 ? (size_t) n : 0;
	if (e->sent < e->wait.len)
		return false;
	buf_done(&e->wait);
	e->sent = 0;
	return true;
}

/* From @e to the other one. False: no more now. */
static bool carry(struct end *e, uint64_t now_us)
{
	struct end *to = other(e);
	uint8_t data[READ_MAX];
	ssize_t n;

	if (!flush(to) || e->ended || e->duct->broken)
		return false;
	n = recv(e->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0) {
		e->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		return false;
	}
	e->said += (uint64_t) n;
	e->duct->moved_us = now_us;
	buf_add(&to->wait, data, (size_t) n);
	if (buf_failed(&to->wait))
		e->duct->broken = true;
	return flush(to);
}

static void tell_end(struct end *e)
{
	struct end *to = other(e);

	if (!e->ended || to->wait.len || to->shut)
		return;
	(void) shutdown(to->fd, SHUT_WR);
	to->shut = true;
}

static bool is_over(const struct duct *d)
{
	const struct end *a = &d->ends[0], *b = &d->ends[1];

	return d->broken || (a->ended && b->ended && !a->wait.len && !b->wait.len);
}

/* A socket that can be written to wakes us at once: so does whoever has had his turn. */
static void watch(struct end *e)
{
	uint32_t wanted = (e->ended || other(e)->wait.len ? 0 : EPOLLIN) |
			  (e->wait.len || e->duct->again ? EPOLLOUT : 0);

	if (wanted != e->events && sd_event_source_set_io_events(e->io, wanted) >= 0)
		e->events = wanted;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct end *e = ctx;
	struct duct *d = e->duct;
	uint64_t now_us = clock_now_us();
	bool busy = false;

	/* Told again and again; what it has said before it went is read all the same. */
	if (revents & (EPOLLERR | EPOLLHUP))
		(void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
	for (int i = 0; i < 2; i++) {
		int rounds = 0;

		while (rounds < ROUNDS && carry(&d->ends[i], now_us))
			rounds++;
		busy = busy || rounds == ROUNDS;
	}
	for (int i = 0; i < 2; i++) {
		(void) flush(&d->ends[i]);
		tell_end(&d->ends[!i]);
	}
	d->again = busy;
	if (is_over(d)) {
		d->over(d->ctx, d);
		return 0;
	}
	watch(&d->ends[0]);
	watch(&d->ends[1]);
	return 0;
}

/* --- its life --- */

static int add_end(sd_event *event, struct duct *d, int i, int fd)
{
	struct end *e = &d->ends[i];

	e->duct = d;
	e->events = EPOLLIN | EPOLLOUT; /* which wakes it, for its first turn */
	return sd_event_add_io(event, &e->io, fd, e->events, on_io, e);
}

int duct_new(sd_event *event, int a, int b, const void *first, size_t first_len, duct_over_fn over,
	void *ctx, struct duct **ret)
{
	struct duct *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->ends[0].fd = d->ends[1].fd = -1;
	d->over = over;
	d->ctx = ctx;
	d->moved_us = clock_now_us();
	r = add_end(event, d, 0, a);
	if (r >= 0)
		r = add_end(event, d, 1, b);
	if (first_len)
		buf_add(&d->ends[1].wait, first, first_len);
	if (r < 0 || buf_failed(&d->ends[1].wait)) {
		(void) duct_free(d);
		return r < 0 ? r : -ENOMEM;
	}
	d->ends[0].said = first_len;
	d->ends[0].fd = a;
	d->ends[1].fd = b;
	*ret = d;
	return 0;
}

struct duct *duct_free(struct duct *d)
{
	if (!d)
		return NULL;
	for (int i = 0; i < 2; i++) {
		sd_event_source_disable_unref(d->ends[i].io);
		if (d->ends[i].fd >= 0)
			(void) close(d->ends[i].fd);
		buf_done(&d->ends[i].wait);
	}
	free(d);
	return NULL;
}

uint64_t duct_moved_us(const struct duct *d)
{
	return d->moved_us;
}

bool duct_is_stuck(const struct duct *d, uint64_t now_us)
{
	bool ending = d->ends[0].ended || d->ends[1].ended;

	return now_us - d->moved_us >= (ending ? DUCT_ENDING_US : DUCT_IDLE_US);
}

void duct_bytes(const struct duct *d, uint64_t *ret_there, uint64_t *ret_back)
{
	*ret_there = d->ends[0].said;
	*ret_back = d->ends[1].said;
}
