/* elsewhere: see elsewhere.h. A connection is on its way to the other server first, then a duct. */
#include "relay/elsewhere.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "relay/duct.h"
#include "wire/pass.h"

#define TICK_US USEC_PER_SEC

struct guest {
	struct guest *next, **pprev;
	struct elsewhere *elsewhere;
	struct endpoint peer, self; /* self: where we connect from */
	int fd, to;                 /* -1: the duct has them */
	sd_event_source *io;        /* of @to, until it is connected */
	struct buf first;
	uint64_t since_us;
	struct duct *duct;
};

struct elsewhere {
	struct relay_core *core;
	struct endpoint to;
	struct door *door;
	sd_event_source *on_timer;
	bool ticking;
	struct guest *guests; /* newest first */
	struct elsewhere_counters counters;
};

/* --- whose a name is --- */

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && !strcmp(name + len - end_len, end);
}

/* As people write it: case does not count, nor does a dot at the end. */
static bool is_host(const char *name, const char *host)
{
	size_t len = strlen(host);

	if (len && host[len - 1] == '.')
		len--;
	return strlen(name) == len && !strncasecmp(name, host, len);
}

bool elsewhere_asks(const char *name, const char (*hosts)[FIELD_HOST_MAX], size_t n)
{
	if (!*name || ends_with(name, PASS_NAME_END))
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_host(name, hosts[i]))
			return false;
	return true;
}

/* --- one connection --- */

static void tick(struct elsewhere *w)
{
	if (w->ticking)
		return;
	w->ticking = true;
	(void) sd_event_source_set_time_relative(w->on_timer, TICK_US);
	(void) sd_event_source_set_enabled(w->on_timer, SD_EVENT_ONESHOT);
}

static void guest_end(struct guest *g)
{
	struct elsewhere *w = g->elsewhere;
	uint64_t there = 0, back = 0;

	if (g->duct)
		duct_bytes(g->duct, &there, &back);
	w->counters.bytes_there += there;
	w->counters.bytes_back += back;
	w->counters.carried--;
	*g->pprev = g->next;
	if (g->next)
		g->next->pprev = g->pprev;
	door_left(w->door, &g->peer.addr, false);
	sd_event_source_disable_unref(g->io);
	(void) duct_free(g->duct);
	close_p(&g->fd);
	close_p(&g->to);
	buf_done(&g->first);
	free(g);
}

static void on_over(void *ctx, struct duct *duct)
{
	guest_end(ctx);
}

static void is_unreachable(struct guest *g, int error)
{
	char text[ENDPOINT_TEXT_MAX];

	log_seldom(LOG_LEVEL_WARNING,
		"connections for other servers go to %s (pass_to), where nobody takes them: %s",
		endpoint_format(&g->elsewhere->to, text), strerror(error));
	g->elsewhere->counters.unreachable++;
	guest_end(g);
}

/* Connected, or not. */
static int on_connected(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct guest *g = ctx;
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		is_unreachable(g, error);
		return 0;
	}
	g->io = sd_event_source_disable_unref(g->io);
	if (duct_new(g->elsewhere->core->event, g->fd, g->to, g->first.data, g->first.len, on_over,
		    g, &g->duct) < 0) {
		guest_end(g);
		return 0;
	}
	g->fd = g->to = -1;
	buf_done(&g->first);
	return 0;
}

/* @g->to is on its way. 0 or -errno. */
static int begin(struct guest *g)
{
	struct elsewhere *w = g->elsewhere;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&w->to, &sa);
	int r;

	g->to = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (g->to < 0 || (connect(g->to, (struct sockaddr *) &sa, len) < 0 && errno != EINPROGRESS))
		return -errno;
	len = sizeof(sa);
	if (getsockname(g->to, (struct sockaddr *) &sa, &len) == 0)
		(void) endpoint_from_sockaddr((struct sockaddr *) &sa, &g->self);
	r = sd_event_add_io(w->core->event, &g->io, g->to, EPOLLOUT, on_connected, g);
	return r < 0 ? r : 0;
}

/* --- who comes --- */

static uint64_t moved_us(const struct guest *g)
{
	return g->duct ? duct_moved_us(g->duct) : g->since_us;
}

/*
 * The one that has been idle longest, of the source that has most; of that of @addr if it has too
 * many.
 */
static struct guest *guest_to_go(struct elsewhere *w, const struct ip_addr *addr, bool of_source)
{
	unsigned most = 0;
	struct guest *found = NULL;

	for (struct guest *g = w->guests; g; g = g->next) {
		unsigned n;

		if (of_source && !door_same_source(w->door, addr, &g->peer.addr))
			continue;
		n = door_strangers_from(w->door, &g->peer.addr);
		if (!found || n > most || (n == most && moved_us(g) <= moved_us(found))) {
			most = n;
			found = g;
		}
	}
	return found;
}

static void make_room(struct elsewhere *w, const struct ip_addr *addr)
{
	enum door_crowd crowd = door_crowd(w->door, addr);
	struct guest *g =
		crowd == DOOR_ROOM ? NULL : guest_to_go(w, addr, crowd == DOOR_CROWDED_SOURCE);

	if (!g)
		return;
	w->counters.crowded++;
	guest_end(g);
}

/* We are the other server: one connection would become all that there may be. */
static bool is_our_own(const struct elsewhere *w, const struct endpoint *peer)
{
	for (const struct guest *g = w->guests; g; g = g->next)
		if (endpoint_equal(&g->self, peer))
			return true;
	return false;
}

static struct guest *let_in(struct elsewhere *w, int fd, const struct endpoint *peer,
	const void *first, size_t first_len)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g) {
		(void) close(fd);
		return NULL;
	}
	*g = (struct guest){ .elsewhere = w, .peer = *peer, .fd = fd, .to = -1 };
	g->since_us = clock_now_us();
	g->next = w->guests;
	g->pprev = &w->guests;
	if (g->next)
		g->next->pprev = &g->next;
	w->guests = g;
	w->counters.carried++;
	door_came(w->door, &peer->addr);
	buf_add(&g->first, first, first_len);
	return g;
}

void elsewhere_take(struct elsewhere *w, int fd, const struct endpoint *peer, const void *first,
	size_t first_len)
{
	struct guest *g;
	int r;

	w->counters.came++;
	if (is_our_own(w, peer)) {
		w->counters.circles++;
		log_seldom(LOG_LEVEL_WARNING, "pass_to leads back to this relay");
		(void) close(fd);
		return;
	}
	if (door_ask(w->door, &peer->addr, clock_now_us()) != DOOR_ENTER) {
		w->counters.turned_away++;
		(void) close(fd);
		return;
	}
	g = let_in(w, fd, peer, first, first_len);
	if (!g)
		return;
	r = buf_failed(&g->first) ? -ENOMEM : begin(g);
	if (r < 0)
		is_unreachable(g, -r);
	else
		make_room(w, &peer->addr); /* which may take this one */
	tick(w);
}

/* --- time --- */

static bool is_stuck(const struct guest *g, uint64_t now_us)
{
	return g->duct ? duct_is_stuck(g->duct, now_us)
		       : now_us - g->since_us >= ELSEWHERE_CONNECT_US;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct elsewhere *w = ctx;
	uint64_t now_us = clock_now_us();
	struct guest *next;

	w->ticking = false;
	for (struct guest *g = w->guests; g; g = next) {
		next = g->next;
		if (!is_stuck(g, now_us))
			continue;
		if (g->duct)
			guest_end(g);
		else
			is_unreachable(g, ETIMEDOUT);
	}
	if (w->guests)
		tick(w);
	return 0;
}

/* --- its life --- */

static int open_door(struct elsewhere *w, const struct elsewhere_config *config)
{
	const struct door_limits limits = {
		.places = config->max + 1, /* one more comes before another one goes */
		.per_source = config->max + 1,
		.strangers = config->max,
		.strangers_per_source = config->per_source,
		.rates = config->rates,
	};

	return door_new(&limits, &w->door);
}

int elsewhere_new(struct relay_core *core, const struct elsewhere_config *config,
	struct elsewhere **ret, struct err *err)
{
	struct elsewhere *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(err, -ENOMEM, "pass_to: out of memory");
	w->core = core;
	w->to = config->to;
	r = open_door(w, config);
	if (r == 0)
		r = sd_event_add_time(core->event, &w->on_timer, CLOCK_BOOTTIME, 0,
			100 * USEC_PER_MSEC, on_timer, w);
	if (r >= 0)
		r = sd_event_source_set_enabled(w->on_timer, SD_EVENT_OFF);
	if (r < 0) {
		(void) elsewhere_free(w);
		return err_set(err, r, "pass_to: it cannot be served (%s)", strerror(-r));
	}
	*ret = w;
	return 0;
}

struct elsewhere *elsewhere_free(struct elsewhere *w)
{
	if (!w)
		return NULL;
	while (w->guests)
		guest_end(w->guests);
	sd_event_source_disable_unref(w->on_timer);
	(void) door_free(w->door);
	free(w);
	return NULL;
}

void elsewhere_counters(const struct elsewhere *w, struct elsewhere_counters *ret)
{
	*ret = w->counters;
}
