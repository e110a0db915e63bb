/*
 * server-conn: see server-conn.h. A connection is in one of four phases: reading a request, waiting
 * for its reply (nothing is read meanwhile), writing the reply, and resting, when its user has had
 * his share of our time. Objects are freed from the loop only, never under a handler's feet: a
 * request outlives its connection and is freed by its reply.
 */
#include "sys/ipc/server-conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define MESSAGE_TIMEOUT_US (30 * USEC_PER_SEC)

bool ipc_meter_begin(struct ipc_server *s)
{
	if (s->metered_us)
		return false;
	s->metered_us = clock_cpu_us() + 1;
	return true;
}

void ipc_meter_end(struct ipc_server *s, bool began, uid_t uid)
{
	if (!began)
		return;
	if (uid != s->master)
		budget_charge(&s->budget, uid, clock_cpu_us() + 1 - s->metered_us, clock_now_us());
	s->metered_us = 0;
}

struct ipc_conn *ipc_conn_free(struct ipc_conn *c)
{
	if (!c)
		return NULL;
	if (c->pprev) {
		*c->pprev = c->next;
		if (c->next)
			c->next->pprev = c->pprev;
		c->server->n_clients--;
	}
	if (c->request)
		c->request->client = NULL;
	sd_event_source_disable_unref(c->on_io);
	sd_event_source_disable_unref(c->on_timeout);
	ipc_reader_done(&c->reader);
	if (c->out)
		explicit_bzero(c->out, c->out_len);
	free(c->out);
	close_p(&c->out_fd);
	close_p(&c->fd);
	free(c);
	return NULL;
}

static void client_gone(struct ipc_conn *c)
{
	struct ipc_request *request = c->request;

	(void) ipc_conn_free(c);
	if (request && request->gone)
		request->gone(request->gone_ctx);
}

static void set_phase(struct ipc_conn *c, enum phase phase, bool message_begun)
{
	static const uint32_t events[] = { [PHASE_READING] = EPOLLIN,
		[PHASE_WAITING] = 0,
		[PHASE_WRITING] = EPOLLOUT,
		[PHASE_RESTING] = 0 };

	c->phase = phase;
	(void) sd_event_source_set_io_events(c->on_io, events[phase]);
	c->deadline_us = message_begun ? clock_now_us() + MESSAGE_TIMEOUT_US : 0;
	if (message_begun)
		(void) sd_event_source_set_time(c->on_timeout, c->deadline_us);
	(void) sd_event_source_set_enabled(
		c->on_timeout, message_begun ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Whoever has had his share is not read from until it is his turn again. */
static void rest_if_due(struct ipc_conn *c)
{
	uint64_t now = clock_now_us(), wait;

	if (c->phase != PHASE_READING)
		return;
	wait = budget_wait(&c->server->budget, c->creds.uid, now);
	if (!wait || c->creds.uid == c->server->master)
		return;
	log_seldom(LOG_LEVEL_NOTICE,
		"%s %u has asked for more than its share of this daemon's time, and waits",
		c->server->identify ? "board" : "user", (unsigned) c->creds.uid);
	c->phase = PHASE_RESTING;
	(void) sd_event_source_set_io_events(c->on_io, 0);
	(void) sd_event_source_set_time_accuracy(c->on_timeout, USEC_PER_MSEC);
	(void) sd_event_source_set_time(c->on_timeout, now + wait);
	(void) sd_event_source_set_enabled(c->on_timeout, SD_EVENT_ONESHOT);
}

static void read_on(struct ipc_conn *c)
{
	c->phase = PHASE_READING;
	(void) sd_event_source_set_io_events(c->on_io, EPOLLIN);
	(void) sd_event_source_set_time_accuracy(c->on_timeout, USEC_PER_SEC);
	if (c->deadline_us)
		(void) sd_event_source_set_time(c->on_timeout, c->deadline_us);
	(void) sd_event_source_set_enabled(
		c->on_timeout, c->deadline_us ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	rest_if_due(c);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct ipc_conn *c = ctx;

	if (c->phase == PHASE_RESTING)
		read_on(c);
	else
		client_gone(c);
	return 0;
}

static void request_free(struct ipc_request *request)
{
	if (request->pprev)
		*request->pprev = request->next;
	if (request->next)
		request->next->pprev = request->pprev;
	json_decref(request->doc);
	json_decref(request->no_args);
	free(request);
}

static ssize_t send_some(struct ipc_conn *c)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { c->out + c->out_pos, c->out_len - c->out_pos };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (c->out_fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &c->out_fd, sizeof(int));
	}
	return sendmsg(c->fd, &m, MSG_NOSIGNAL);
}

static int client_write(struct ipc_conn *c)
{
	while (c->out_pos < c->out_len) {
		ssize_t n = send_some(c);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return -errno;
		close_p(&c->out_fd); /* went along with the first bytes */
		c->out_fd = -1;
		c->out_pos += (size_t) n;
	}
	if (c->out)
		explicit_bzero(c->out, c->out_len);
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_pos = 0;
	if (c->reader.head_len)
		return -ECONNRESET; /* a message that was refused: the stream is out of step */
	set_phase(c, PHASE_READING, false);
	return 0;
}

/*
 * Hands @message to the connection, which goes on sending it from the loop. Steals @message and
 * @fd.
 */
static void client_send(struct ipc_conn *c, json_t *message, int fd)
{
	int r = message ? ipc_frame(message, &c->out, &c->out_len) : -ENOMEM;

	json_decref(message);
	c->out_pos = 0;
	c->out_fd = fd;
	if (r < 0) { /* too large or no memory: a fixed answer instead */
		json_t *refusal = json_pack("{s:{s:s, s:s}}", "error", "code", "internal",
			"message", "The answer is too large to be sent.");

		close_p(&c->out_fd);
		c->out_fd = -1;
		if (!refusal || ipc_frame(refusal, &c->out, &c->out_len) < 0)
			(void) shutdown(c->fd, SHUT_RDWR);
		json_decref(refusal);
	}
	set_phase(c, PHASE_WRITING, true);
	/*
	 * What fits goes at once. An error is left to the loop: the caller may still use the
	 * client.
	 */
	if (c->out && client_write(c) < 0)
		(void) shutdown(c->fd, SHUT_RDWR);
}

static void request_end(struct ipc_request *request, json_t *message, int fd)
{
	struct ipc_conn *c = request->client;
	struct ipc_server *s = request->server;
	uid_t uid = request->creds.uid;
	bool began = s && ipc_meter_begin(s);

	if (c) {
		c->request = NULL;
		client_send(c, message, fd);
	} else {
		json_decref(message);
		close_p(&fd);
	}
	request_free(request);
	if (began) {
		ipc_meter_end(s, began, uid);
		if (c)
			rest_if_due(c);
	}
}

json_t *ipc_refusal(const char *code, const char *message)
{
	return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
}

static void client_request(struct ipc_conn *c)
{
	struct err err = { 0 };
	struct ipc_request *request = calloc(1, sizeof(*request));
	json_t *doc = json_parse(buf_str(&c->reader.body), c->reader.body.len, &err);

	ipc_reader_reset(&c->reader);
	if (!request) {
		json_decref(doc);
		client_send(c, ipc_refusal("internal", "Out of memory."), -1);
		return;
	}
	request->creds = c->creds;
	request->doc = doc;
	request->no_args = json_object();
	if (!doc || ipc_request_parse(doc, &request->call, &request->args, &err) < 0) {
		request_free(request);
		client_send(c, ipc_refusal("bad_request", err.text), -1);
		return;
	}
	if (!request->args)
		request->args = request->no_args;
	request->client = c;
	request->server = c->server;
	request->next = c->server->requests;
	request->pprev = &c->server->requests;
	if (request->next)
		request->next->pprev = &request->next;
	c->server->requests = request;
	c->request = request;
	set_phase(c, PHASE_WAITING, false);
	c->server->handler(c->server->ctx, request);
}

/* 0: go on; negative: the connection is over. */
static int client_read(struct ipc_conn *c)
{
	uint8_t chunk[65536];
	bool begun = c->reader.head_len > 0;

	for (;;) {
		ssize_t n = recv(c->fd, chunk, ipc_reader_wants(&c->reader), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -ECONNRESET;
		int r = ipc_reader_add(&c->reader, chunk, (size_t) n);

		explicit_bzero(chunk, (size_t) n);
		if (r < 0) { /* no way to find the next message */
			client_send(c,
				ipc_refusal("too_large", "The message is too long or empty."), -1);
			(void) shutdown(c->fd, SHUT_RD);
			return 0;
		}
		if (r > 0) {
			client_request(c);
			return 0;
		}
		if (!begun)
			set_phase(c, PHASE_READING, true);
		begun = true;
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct ipc_conn *c = ctx;
	struct ipc_server *s = c->server;
	uid_t uid = c->creds.uid;
	bool began = ipc_meter_begin(s);
	int r = 0;

	switch (c->phase) {
	case PHASE_READING:
		r = client_read(c);
		break;
	case PHASE_WAITING:
	case PHASE_RESTING:
		r = revents & (EPOLLHUP | EPOLLERR) ? -ECONNRESET : 0;
		break;
	case PHASE_WRITING:
		r = client_write(c);
		break;
	}
	if (r < 0)
		client_gone(c);
	ipc_meter_end(s, began, uid);
	if (r >= 0)
		rest_if_due(c);
	return 0;
}

int ipc_conn_new(struct ipc_server *s, int fd, const struct ipc_creds *creds)
{
	CLEANUP(close_p) int owned = fd;
	struct ipc_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct ipc_conn){ .server = s,
		.fd = take_fd(&owned),
		.out_fd = -1,
		.creds = *creds,
		.reader = { .max = IPC_REQUEST_MAX } };
	r = sd_event_add_io(s->event, &c->on_io, c->fd, EPOLLIN, on_io, c);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &c->on_timeout, CLOCK_BOOTTIME,
			MESSAGE_TIMEOUT_US, USEC_PER_SEC, on_timeout, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->on_timeout, SD_EVENT_OFF);
	if (r < 0) {
		(void) ipc_conn_free(c);
		return r;
	}
	c->next = s->clients;
	c->pprev = &s->clients;
	if (c->next)
		c->next->pprev = &c->next;
	s->clients = c;
	s->n_clients++;
	rest_if_due(c);
	return 0;
}

/* --- requests --- */

const char *ipc_request_call(const struct ipc_request *request)
{
	return request->call;
}

const json_t *ipc_request_args(const struct ipc_request *request)
{
	return request->args;
}

const struct ipc_creds *ipc_request_creds(const struct ipc_request *request)
{
	return &request->creds;
}

void ipc_request_charge(const struct ipc_request *request, uint64_t work_us)
{
	if (request->server && request->creds.uid != request->server->master)
		budget_charge(
			&request->server->budget, request->creds.uid, work_us, clock_now_us());
}

void ipc_request_on_gone(struct ipc_request *request, void (*gone)(void *ctx), void *ctx)
{
	request->gone = gone;
	request->gone_ctx = ctx;
}

void ipc_request_reply_fd(struct ipc_request *request, json_t *ok, int fd)
{
	request_end(request, json_pack("{s:o}", "ok", ok ? ok : json_object()), fd);
}

void ipc_request_reply(struct ipc_request *request, json_t *ok)
{
	ipc_request_reply_fd(request, ok, -1);
}

void ipc_request_fail(struct ipc_request *request, const char *code, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	request_end(request, ipc_refusal(code, text), -1);
}
