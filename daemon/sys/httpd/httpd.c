/*
 * httpd: see httpd.h. libmicrohttpd runs on its own epoll descriptor, which is one source of the
 * loop; every connection has an absolute deadline for whatever it is doing, because microhttpd's
 * own timeout starts again with every byte.
 */
#include "sys/httpd/httpd.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sys/httpd/httpd-internal.h"

enum {
	PLACES_KEPT_MAX = 32,
	STRANGERS_MAX = 512,
	STRANGERS_PER_SOURCE_MAX = 64,
	STRANGERS_MIN = 8
};
enum { MEMORY_LIMIT = 8192, MEMORY_INCREMENT = 1024, IDLE_TIMEOUT_S = 75 };
#define SWEEP_US (5 * USEC_PER_SEC)
#define PAUSE_US (20 * USEC_PER_MSEC)

/*
 * How often microhttpd runs with no news of its descriptor: a reply goes out in pieces of 16 KiB.
 */
enum { RUNS_AT_ONCE = 8, RUNS_SENDING = 1024 };

static const uint64_t phase_limit_us[] = {
	[CONN_FRESH] = 20 * USEC_PER_SEC,
	[CONN_BODY] = 20 * USEC_PER_SEC,
	[CONN_SERVED] = UINT64_MAX,
	[CONN_SENDING] = 60 * USEC_PER_SEC,
	[CONN_IDLE] = IDLE_TIMEOUT_S * USEC_PER_SEC,
};

static void run(struct httpd *h)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	(void) MHD_run(h->daemon);
	unsigned runs_max = h->n_sending ? RUNS_SENDING : RUNS_AT_ONCE;

	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES) {
		(void) sd_event_source_set_enabled(h->on_timer, SD_EVENT_OFF);
	} else if (ms == 0 && h->idle_runs < runs_max) {
		h->idle_runs++;
		(void) sd_event_source_set_enabled(h->on_again, SD_EVENT_ONESHOT);
	} else if (ms == 0) {
		/*
		 * While a handshake waits for its client, microhttpd says without end that there is
		 * something to do. What the client sends wakes us by the descriptor.
		 */
		(void) sd_event_source_set_time_relative(h->on_timer, PAUSE_US);
		(void) sd_event_source_set_enabled(h->on_timer, SD_EVENT_ONESHOT);
	} else {
		(void) sd_event_source_set_time_relative(
			h->on_timer, (ms < 3600000 ? ms : 3600000) * USEC_PER_MSEC);
		(void) sd_event_source_set_enabled(h->on_timer, SD_EVENT_ONESHOT);
	}
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	((struct httpd *) ctx)->idle_runs = 0;
	run(ctx);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	run(ctx);
	return 0;
}

static int on_again(sd_event_source *source, void *ctx)
{
	run(ctx);
	return 0;
}

static uint64_t limit_us(const struct conn *c)
{
	uint64_t limit = phase_limit_us[c->phase];

	return c->known || limit == UINT64_MAX ? limit : limit / 2;
}

/* All of them, one after the other: strangers first. */
static struct conn *next_conn(const struct httpd *h, const struct conn *c)
{
	if (!c && h->strangers)
		return h->strangers;
	if (c && c->next)
		return c->next;
	return !c || !c->known ? h->known : NULL;
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct httpd *h = ctx;
	uint64_t now = clock_now_us();
	bool waiting = false;

	for (struct conn *c = NULL; (c = next_conn(h, c));) {
		if (limit_us(c) == UINT64_MAX)
			continue;
		waiting = true;
		if (now - c->since_us > limit_us(c))
			(void) shutdown(
				c->fd, SHUT_RDWR); /* microhttpd sees the end and cleans up */
	}
	/* Replies wake it again: each goes through a phase with a limit. */
	(void) sd_event_source_set_time_relative(source, waiting ? SWEEP_US : 4 * SWEEP_US);
	(void) sd_event_source_set_enabled(source, h->n_conns ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

static struct ip_addr address_of(struct MHD_Connection *connection)
{
	struct endpoint peer = { 0 };
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (info && info->client_addr)
		(void) endpoint_from_sockaddr(info->client_addr, &peer);
	return peer.addr;
}

/* Before TLS, and before anything is kept of it. */
static mhd_result on_knock(void *cls, const struct sockaddr *addr, socklen_t len)
{
	struct httpd *h = cls;
	struct endpoint peer = { 0 };

	(void) endpoint_from_sockaddr(addr, &peer);
	if (door_ask(h->door, &peer.addr, clock_now_us()) == DOOR_ENTER)
		return MHD_YES;
	h->turned_away++;
	return MHD_NO;
}

static unsigned clamp(unsigned n, unsigned min, unsigned max)
{
	return n < min ? min : n > max ? max : n;
}

static int open_door(struct httpd *h)
{
	unsigned places = h->config.connections_max;
	unsigned keep = clamp(places / 8, 1, PLACES_KEPT_MAX); /* for those that are being ended */
	struct door_limits limits = {
		.places = places,
		.per_source = h->config.per_source_max ? h->config.per_source_max : UINT_MAX,
		.strangers = clamp(places / 4, 1, STRANGERS_MAX),
		.proven = h->config.proven,
		.rates = h->config.rates,
	};

	limits.strangers_per_source =
		clamp(limits.strangers / 4, STRANGERS_MIN, STRANGERS_PER_SOURCE_MAX);
	h->known_max = places > limits.strangers + keep ? places - limits.strangers - keep : 1;
	return door_new(&limits, &h->door);
}

static void conn_started(struct httpd *h, struct MHD_Connection *connection, void **ctx)
{
	static const int on = 1, idle_s = 30, interval_s = 10, count = 3;
	static const unsigned user_timeout_ms = 30000;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *c = calloc(1, sizeof(*c));

	if (!c || !info) {
		free(c);
		return; /* without a context its requests are refused */
	}
	c->httpd = h;
	c->fd = info->connect_fd;
	conn_set_phase(c, CONN_FRESH);
	c->address = address_of(connection);
	conn_link(c, &h->strangers);
	h->n_conns++;
	*ctx = c;
	door_came(h->door, &c->address);
	conn_make_room(h, &c->address);
	/* Best effort: a peer that vanished is noticed sooner. Fails on sockets other than TCP. */
	(void) setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void) setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void) setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void) setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	(void) setsockopt(
		c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
	int enabled = SD_EVENT_OFF;

	(void) sd_event_source_get_enabled(h->on_sweep, &enabled);
	if (enabled == SD_EVENT_OFF) {
		(void) sd_event_source_set_time_relative(h->on_sweep, SWEEP_US);
		(void) sd_event_source_set_enabled(h->on_sweep, SD_EVENT_ONESHOT);
	}
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **ctx,
	enum MHD_ConnectionNotificationCode what)
{
	struct conn *c = *ctx;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		conn_started(cls, connection, ctx);
	} else if (c) {
		conn_unlink(c);
		conn_leave(c);
		c->httpd->n_conns--;
		/* At its limit it does not listen, and begins again only when it is run. */
		if (c->httpd->n_conns + PLACES_KEPT_MAX >= c->httpd->config.connections_max)
			httpd_wake(c->httpd);
		c->httpd->n_sending -= c->phase == CONN_SENDING;
		free(c);
		*ctx = NULL;
	}
}

__attribute__((format(printf, 2, 0))) static void on_message(
	void *cls, const char *format, va_list args)
{
	char text[256];

	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	(void) vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("https: %s", text);
}

static struct MHD_Daemon *start_daemon(struct httpd *h)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		on_knock, h, request_access, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
		MHD_OPTION_LISTEN_SOCKET, h->config.listen_fd, MHD_OPTION_HTTPS_MEM_CERT,
		h->config.certificate, MHD_OPTION_HTTPS_MEM_KEY, h->config.key,
		/*
		 * Any certificate: having one makes it ask for the client's. Trust is the caller's.
		 */
		MHD_OPTION_HTTPS_MEM_TRUST, h->config.certificate, MHD_OPTION_HTTPS_PRIORITIES,
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:%NO_TICKETS", MHD_OPTION_CONNECTION_LIMIT,
		h->config.connections_max, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) IDLE_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) MEMORY_LIMIT,
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) MEMORY_INCREMENT,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED,
		request_completed, h, MHD_OPTION_END);
}

int httpd_new(
	sd_event *event, const struct httpd_config *config, struct httpd **ret, struct err *err)
{
	struct httpd *h = calloc(1, sizeof(*h));

	if (!h)
		return err_set(err, -ENOMEM, "HTTPS server: out of memory");
	h->event = sd_event_ref(event);
	h->config = *config;
	if (open_door(h) < 0) {
		(void) httpd_free(h);
		return err_set(err, -ENOMEM, "HTTPS server: out of memory");
	}
	int r = sd_event_add_time_relative(
		event, &h->on_timer, CLOCK_BOOTTIME, UINT32_MAX, USEC_PER_MSEC, on_timer, h);

	if (r >= 0)
		r = sd_event_add_time_relative(
			event, &h->on_sweep, CLOCK_BOOTTIME, UINT32_MAX, USEC_PER_SEC, on_sweep, h);
	if (r >= 0)
		r = sd_event_add_defer(event, &h->on_again, on_again, h);
	/* Behind all others: sd-event takes a source of this kind for the oldest each time. */
	if (r >= 0)
		r = sd_event_source_set_priority(h->on_again, SD_EVENT_PRIORITY_NORMAL + 1);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->on_sweep, SD_EVENT_OFF);
	if (r >= 0 && !(h->daemon = start_daemon(h)))
		r = -EINVAL;
	const union MHD_DaemonInfo *info =
		r >= 0 ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;

	if (r >= 0)
		r = info ? sd_event_add_io(
				   event, &h->on_ready, info->epoll_fd, EPOLLIN, on_ready, h)
			 : -ENOTSUP;
	if (r < 0) {
		(void) httpd_free(h);
		return err_set(err, r, "HTTPS server: it could not be started (%s)", strerror(-r));
	}
	*ret = h;
	return 0;
}

int httpd_add(struct httpd *h, int fd, const struct endpoint *client)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(client, &sa);

	if (h->n_conns >= h->config.connections_max) {
		(void) close(fd);
		return -EAGAIN;
	}
	if (MHD_add_connection(h->daemon, fd, (struct sockaddr *) &sa, len) != MHD_YES)
		return -EAGAIN; /* it has closed @fd */
	httpd_wake(h);
	return 0;
}

void httpd_flush(struct httpd *h, uint64_t timeout_us)
{
	uint64_t end = clock_now_us() + timeout_us;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	while (info && clock_now_us() < end) {
		bool sending = false;

		(void) MHD_run(h->daemon);
		for (struct conn *c = NULL; (c = next_conn(h, c));)
			sending |= c->phase == CONN_SENDING;
		for (struct httpd_request *r = h->requests; r; r = r->next)
			sending |= r->response != NULL;
		if (!sending)
			return;
		struct pollfd p = { info->epoll_fd, POLLIN, 0 };

		(void) poll(&p, 1, 10);
	}
}

struct httpd *httpd_free(struct httpd *h)
{
	if (!h)
		return NULL;
	h->closing = true;
	if (h->daemon) {
		/* microhttpd must not be stopped while connections sleep. */
		for (struct httpd_request *r = h->requests; r; r = r->next)
			if (r->suspended)
				MHD_resume_connection(r->connection);
		MHD_stop_daemon(
			h->daemon); /* completes every request, closes the listening socket */
	}
	sd_event_source_disable_unref(h->on_ready);
	sd_event_source_disable_unref(h->on_timer);
	sd_event_source_disable_unref(h->on_again);
	sd_event_source_disable_unref(h->on_sweep);
	sd_event_unref(h->event);
	door_free(h->door);
	free(h);
	return NULL;
}

uint64_t httpd_put_out(const struct httpd *httpd)
{
	return httpd->put_out;
}

uint64_t httpd_turned_away(const struct httpd *httpd)
{
	return httpd->turned_away;
}

unsigned httpd_connections(const struct httpd *httpd)
{
	return httpd->n_conns;
}
