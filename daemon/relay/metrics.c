/* metrics: see metrics.h. A table of connections; when it is full the oldest one goes. */
#include "relay/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sys/listen/listen.h"

enum { READERS = 8, REQUEST_MAX = 4096 };
#define LIMIT_US (5 * USEC_PER_SEC)

struct reader {
	struct metrics *metrics;
	int fd; /* -1: nobody */
	sd_event_source *io;
	uint64_t since_us;
	struct buf request, answer;
	size_t sent;
};

struct metrics {
	struct relay_core *core;
	metrics_fn text;
	void *ctx;
	int listen_fd;
	sd_event_source *on_listen, *on_timer;
	struct reader readers[READERS];
};

static void hang_up(struct reader *r)
{
	sd_event_source_disable_unref(r->io);
	r->io = NULL;
	close_p(&r->fd);
	r->fd = -1;
	buf_done(&r->request);
	buf_done(&r->answer);
	r->sent = 0;
}

static void answer(struct reader *r)
{
	struct metrics *m = r->metrics;
	CLEANUP_BUF struct buf text = { 0 };
	bool found = !strncmp(buf_str(&r->request), "GET /metrics ", 13);

	if (found)
		m->text(m->ctx, &text);
	else
		buf_add_str(&text, "GET /metrics is what is answered here\n");
	buf_printf(&r->answer,
		"HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		found ? "200 OK" : "404 Not Found", text.len, buf_str(&text));
	if (buf_failed(&text) || buf_failed(&r->answer))
		hang_up(r);
	else
		(void) sd_event_source_set_io_events(r->io, EPOLLOUT);
}

static void read_request(struct reader *r)
{
	char data[1024];
	ssize_t n = recv(r->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_add(&r->request, data, (size_t) n);
	if (n <= 0 || r->request.len > REQUEST_MAX || buf_failed(&r->request))
		hang_up(r);
	else if (strstr(buf_str(&r->request), "\r\n\r\n"))
		answer(r);
}

static void send_answer(struct reader *r)
{
	ssize_t n = send(r->fd, r->answer.data + r->sent, r->answer.len - r->sent,
		MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	r->sent += n > 0 ? (size_t) n : 0;
	if (n <= 0 || r->sent == r->answer.len)
		hang_up(r);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct reader *r = ctx;

	if (r->answer.len)
		send_answer(r);
	else
		read_request(r);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct metrics *m = ctx;
	uint64_t now_us = clock_now_us();
	bool some = false;

	for (size_t i = 0; i < READERS; i++) {
		struct reader *r = &m->readers[i];

		if (r->fd >= 0 && now_us - r->since_us >= LIMIT_US)
			hang_up(r);
		some |= r->fd >= 0;
	}
	(void) sd_event_source_set_time_relative(source, USEC_PER_SEC);
	(void) sd_event_source_set_enabled(source, some ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct metrics *m = ctx;
	struct reader *r = m->readers;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (conn < 0)
		return 0;
	for (size_t i = 1; i < READERS && r->fd >= 0; i++)
		if (m->readers[i].fd < 0 || m->readers[i].since_us < r->since_us)
			r = &m->readers[i];
	hang_up(r);
	r->fd = conn;
	r->since_us = clock_now_us();
	if (sd_event_add_io(m->core->event, &r->io, conn, EPOLLIN, on_io, r) < 0)
		hang_up(r);
	(void) sd_event_source_set_time_relative(m->on_timer, USEC_PER_SEC);
	(void) sd_event_source_set_enabled(m->on_timer, SD_EVENT_ONESHOT);
	return 0;
}

int metrics_new(struct relay_core *core, uint16_t port, metrics_fn text, void *ctx,
	struct metrics **ret, struct err *err)
{
	struct metrics *m = calloc(1, sizeof(*m));
	char where[32];
	int r;

	if (!m)
		return err_set(err, -ENOMEM, "metrics: out of memory");
	m->core = core;
	m->text = text;
	m->ctx = ctx;
	m->listen_fd = -1;
	for (size_t i = 0; i < READERS; i++)
		m->readers[i] = (struct reader){ .metrics = m, .fd = -1 };
	(void) snprintf(where, sizeof(where), "127.0.0.1:%u", port);
	r = listen_open(where, &m->listen_fd, err);
	if (r < 0) {
		err_prefix(err, "metrics");
		(void) metrics_free(m);
		return r;
	}
	r = sd_event_add_io(core->event, &m->on_listen, m->listen_fd, EPOLLIN, on_listen, m);
	if (r >= 0)
		r = sd_event_add_time_relative(
			core->event, &m->on_timer, CLOCK_BOOTTIME, 0, 0, on_timer, m);
	if (r < 0) {
		(void) metrics_free(m);
		return err_set(err, r, "metrics: event loop: %s", strerror(-r));
	}
	*ret = m;
	return 0;
}

struct metrics *metrics_free(struct metrics *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < READERS; i++)
		hang_up(&m->readers[i]);
	sd_event_source_disable_unref(m->on_listen);
	sd_event_source_disable_unref(m->on_timer);
	close_p(&m->listen_fd);
	free(m);
	return NULL;
}

uint16_t metrics_port(const struct metrics *m)
{
	return listen_port(m->listen_fd);
}
