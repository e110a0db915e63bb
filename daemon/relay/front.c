/*
 * front: see front.h. Connections are kept in the order in which they came: the first is the first
 * whose time is up.
 */
#include "relay/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "sys/httpd/door.h"
#include "wire/hello.h"

enum { ACCEPTS_AT_ONCE = 16 }; /* each may put another one out, which is looked for */
#define AGAIN_US USEC_PER_SEC  /* before accepting again, when there was no descriptor */

struct guest {
	struct guest *next, **pprev;
	struct front *front;
	int fd;
	sd_event_source *io;
	struct endpoint peer;
	uint64_t since_us;
	struct hello hello;
	struct buf first;
};

struct front {
	struct relay_core *core;
	const struct front_hooks *hooks;
	void *ctx;
	int listen_fd;
	sd_event_source *on_listen, *on_timer;
	uint64_t listen_again_us; /* 0: it listens */
	struct door *door;
	struct guest *first, **end;
	struct front_counters counters;
	uint8_t scratch[HELLO_MAX_LEN + 1]; /* one more than any that is taken has */
};

/* --- who waits --- */

static void arm(struct front *f)
{
	uint64_t due_us = f->first ? f->first->since_us + FRONT_LIMIT_US : UINT64_MAX;

	if (f->listen_again_us && f->listen_again_us < due_us)
		due_us = f->listen_again_us;
	(void) sd_event_source_set_time(f->on_timer, due_us);
	(void) sd_event_source_set_enabled(
		f->on_timer, due_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Forgets it. The socket is the caller's. */
static int release(struct guest *g)
{
	struct front *f = g->front;
	int fd = g->fd;

	*g->pprev = g->next;
	*(g->next ? &g->next->pprev : &f->end) = g->pprev;
	f->counters.waiting--;
	door_left(f->door, &g->peer.addr, false);
	sd_event_source_disable_unref(g->io);
	buf_done(&g->first);
	free(g);
	return fd;
}

static void drop(struct guest *g, uint64_t *counter)
{
	(*counter)++;
	(void) close(release(g));
}

/* On to whoever it is for. */
static void hand_over(struct guest *g)
{
	struct front *f = g->front;
	struct endpoint peer = g->peer;
	CLEANUP_BUF struct buf first = g->first;
	struct hello hello = g->hello;

	g->first = (struct buf){ 0 };
	f->counters.arrived++;
	f->hooks->arrived(f->ctx, release(g), &peer, hello.name, first.data, first.len);
}

/* Everything that is there, but no more than a ClientHello may have. */
static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct guest *g = ctx;
	struct front *f = g->front;
	ssize_t n = recv(fd, f->scratch, sizeof(f->scratch) - g->first.len, MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		drop(g, &f->counters.closed);
		return 0;
	}
	buf_add(&g->first, f->scratch, (size_t) n);
	if (buf_failed(&g->first)) {
		drop(g, &f->counters.memory);
		return 0;
	}
	r = hello_read(&g->hello, (const uint8_t *) g->first.data, g->first.len);
	if (r == -EMSGSIZE)
		drop(g, &f->counters.too_long);
	else if (r != -EAGAIN)
		hand_over(g);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct front *f = ctx;
	uint64_t now_us = clock_now_us();

	while (f->first && now_us - f->first->since_us >= FRONT_LIMIT_US)
		drop(f->first, &f->counters.slow);
	if (f->listen_again_us && now_us >= f->listen_again_us) {
		f->listen_again_us = 0;
		(void) sd_event_source_set_enabled(f->on_listen, SD_EVENT_ON);
	}
	arm(f);
	return 0;
}

/* --- who comes --- */

/* The oldest of the source that has most; of that of @addr if it has too many. */
static struct guest *guest_to_go(struct front *f, const struct ip_addr *addr, bool of_source)
{
	unsigned most = 0;
	struct guest *found = NULL;

	for (struct guest *g = f->first; g; g = g->next) {
		unsigned n;

		if (of_source && !door_same_source(f->door, addr, &g->peer.addr))
			continue;
		n = door_strangers_from(f->door, &g->peer.addr);
		if (n > most) {
			most = n;
			found = g;
		}
	}
	return found;
}

static void make_room(struct front *f, const struct ip_addr *addr)
{
	enum door_crowd crowd = door_crowd(f->door, addr);
	struct guest *g =
		crowd == DOOR_ROOM ? NULL : guest_to_go(f, addr, crowd == DOOR_CROWDED_SOURCE);

	if (g)
		drop(g, &f->counters.crowded);
}

/* -ENOMEM, or what the loop says: @fd is still the caller's. */
static int let_in(struct front *f, int fd, const struct endpoint *peer)
{
	struct guest *g = calloc(1, sizeof(*g));
	int r = g ? sd_event_add_io(f->core->event, &g->io, fd, EPOLLIN, on_io, g) : -ENOMEM;

	if (r < 0) {
		free(g);
		return r;
	}
	g->front = f;
	g->fd = fd;
	g->peer = *peer;
	g->since_us = clock_now_us();
	g->pprev = f->end;
	*f->end = g;
	f->end = &g->next;
	f->counters.waiting++;
	door_came(f->door, &peer->addr);
	if (f->first == g)
		arm(f);
	make_room(f, &peer->addr);
	return 0;
}

/* Not while there is no descriptor or memory for it: the socket would wake us at once again. */
static void rest(struct front *f, int error)
{
	log_seldom(LOG_LEVEL_WARNING,
		"the TCP port: no connection can be accepted (%s); again in a second",
		strerror(error));
	(void) sd_event_source_set_enabled(f->on_listen, SD_EVENT_OFF);
	f->listen_again_us = clock_now_us() + AGAIN_US;
	arm(f);
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct front *f = ctx;

	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof(sa);
		struct endpoint peer = { 0 };
		int conn = accept4(fd, (struct sockaddr *) &sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (conn < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
				errno == ENOBUFS)
				rest(f, errno);
			return 0;
		}
		(void) endpoint_from_sockaddr((struct sockaddr *) &sa, &peer);
		f->counters.accepted++;
		if (let_in(f, conn, &peer) < 0) {
			f->counters.memory++;
			(void) close(conn);
		}
	}
	return 0;
}

/* --- its life --- */

static int open_door(struct front *f, const struct front_config *config)
{
	const struct door_limits limits = {
		.places = config->places + 1, /* one more comes before another one goes */
		.per_source = config->places + 1,
		.strangers = config->places,
		.strangers_per_source = config->per_source,
	};

	return door_new(&limits, &f->door);
}

int front_new(struct relay_core *core, const struct front_config *config,
	const struct front_hooks *hooks, void *ctx, struct front **ret, struct err *err)
{
	struct front *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_set(err, -ENOMEM, "TCP port: out of memory");
	f->core = core;
	f->hooks = hooks;
	f->ctx = ctx;
	f->end = &f->first;
	f->listen_fd = -1;
	r = open_door(f, config);
	if (r == 0)
		r = sd_event_add_time(
			core->event, &f->on_timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->on_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(
			core->event, &f->on_listen, config->listen_fd, EPOLLIN, on_listen, f);
	if (r < 0) {
		(void) front_free(f);
		return err_set(err, r, "TCP port: it cannot be served (%s)", strerror(-r));
	}
	f->listen_fd = config->listen_fd;
	*ret = f;
	return 0;
}

void front_close(struct front *f)
{
	sd_event_source_disable_unref(f->on_listen);
	f->on_listen = NULL;
	close_p(&f->listen_fd);
	f->listen_fd = -1;
	f->listen_again_us = 0;
}

struct front *front_free(struct front *f)
{
	if (!f)
		return NULL;
	while (f->first)
		(void) close(release(f->first));
	front_close(f);
	sd_event_source_disable_unref(f->on_timer);
	(void) door_free(f->door);
	free(f);
	return NULL;
}

void front_counters(const struct front *f, struct front_counters *ret)
{
	*ret = f->counters;
}
