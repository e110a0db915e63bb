/*
 * ipc server: see ipc.h. A connection is in one of four phases: reading a request, waiting for its
 * reply (nothing is read meanwhile), writing the reply, and resting, when its user has had his
 * share of our time. Objects are freed from the loop only, never under a handler's feet: a request
 * outlives its connection and is freed by its reply.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/json.h"
#include "base/log.h"
#include "sys/ipc/budget.h"
#include "sys/ipc/frame.h"
#include "sys/ipc/ipc.h"
#include "sys/ipc/listen.h"
#include "sys/ipc/tcp.h"

#define MESSAGE_TIMEOUT_US (30 * USEC_PER_SEC)
#define ACCEPT_PAUSE_US    (10 * USEC_PER_MSEC)
enum {
	FOR_ROOT = 8, /* places that only root gets */
	DESCRIPTORS_SHARE =
		4, /* clients take at most the fourth part of what the process may have */
	ACCEPTS_PER_WAKEUP = 16,
};

enum phase { PHASE_READING, PHASE_WAITING, PHASE_WRITING, PHASE_RESTING };

struct client {
	struct client *next, **pprev; /* newest first */
	struct ipc_server *server;
	int fd;
	struct ipc_creds creds;
	enum phase phase;
	sd_event_source *on_io, *on_timeout;
	uint64_t deadline_us; /* of the message that has begun */
	struct ipc_reader reader;
	uint8_t *out;
	size_t out_len, out_pos;
	int out_fd;
	struct ipc_request *request; /* while waiting */
};

struct ipc_request {
	struct client *client; /* NULL once the peer is gone */
	struct ipc_creds creds;
	struct ipc_server *server; /* NULL once it is gone */
	struct ipc_request *next, **pprev;
	json_t *doc;
	json_t *no_args;
	const char *call;
	const json_t *args;
	void (*gone)(void *ctx);
	void *gone_ctx;
};

struct ipc_server {
	sd_event *event;
	int fd;
	sd_event_source *on_accept;
	char *path;               /* to unlink, or NULL */
	struct stat made;         /* what is there */
	ipc_identify_fn identify; /* NULL: the kernel says who it is */
	ipc_handler_fn handler;
	void *ctx;
	struct client *clients;
	size_t n_clients, clients_max;
	struct ipc_request *requests;
	struct budget budget;
	uid_t master;                  /* who is not counted; root never is */
	sd_event_source *accept_again; /* a user who has had his share connects again and again */
	uint64_t metered_us; /* processor time when the work under way began, 0: none is */
};

/* --- whose time it is. Work within work (a reply within its request) is part of that. --- */

static bool meter_begin(struct ipc_server *s)
{
	if (s->metered_us)
		return false;
	s->metered_us = clock_cpu_us() + 1;
	return true;
}

static void meter_end(struct ipc_server *s, bool began, uid_t uid)
{
	if (!began)
		return;
	if (uid != s->master)
		budget_charge(&s->budget, uid, clock_cpu_us() + 1 - s->metered_us, clock_now_us());
	s->metered_us = 0;
}

static struct client *client_free(struct client *c)
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

static void client_gone(struct client *c)
{
	struct ipc_request *request = c->request;

	(void) client_free(c);
	if (request && request->gone)
		request->gone(request->gone_ctx);
}

static void set_phase(struct client *c, enum phase phase, bool message_begun)
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
static void rest_if_due(struct client *c)
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

static void read_on(struct client *c)
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
	struct client *c = ctx;

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

static ssize_t send_some(struct client *c)
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

static int client_write(struct client *c)
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
static void client_send(struct client *c, json_t *message, int fd)
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
	struct client *c = request->client;
	struct ipc_server *s = request->server;
	uid_t uid = request->creds.uid;
	bool began = s && meter_begin(s);

	if (c) {
		c->request = NULL;
		client_send(c, message, fd);
	} else {
		json_decref(message);
		close_p(&fd);
	}
	request_free(request);
	if (began) {
		meter_end(s, began, uid);
		if (c)
			rest_if_due(c);
	}
}

static json_t *refusal(const char *code, const char *message)
{
	return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
}

static void client_request(struct client *c)
{
	struct err err = { 0 };
	struct ipc_request *request = calloc(1, sizeof(*request));
	json_t *doc = json_parse(buf_str(&c->reader.body), c->reader.body.len, &err);

	ipc_reader_reset(&c->reader);
	if (!request) {
		json_decref(doc);
		client_send(c, refusal("internal", "Out of memory."), -1);
		return;
	}
	request->creds = c->creds;
	request->doc = doc;
	request->no_args = json_object();
	if (!doc || ipc_request_parse(doc, &request->call, &request->args, &err) < 0) {
		request_free(request);
		client_send(c, refusal("bad_request", err.text), -1);
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
static int client_read(struct client *c)
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
			client_send(
				c, refusal("too_large", "The message is too long or empty."), -1);
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
	struct client *c = ctx;
	struct ipc_server *s = c->server;
	uid_t uid = c->creds.uid;
	bool began = meter_begin(s);
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
	meter_end(s, began, uid);
	if (r >= 0)
		rest_if_due(c);
	return 0;
}

/* A request that came, perhaps, but was not read yet: many connect at once. */
static bool has_sent(const struct client *c)
{
	int n = 0;

	return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

/* The connection that has been idle longest, of user @uid if @same_user. */
static struct client *idle_client(struct ipc_server *s, uid_t uid, bool same_user)
{
	struct client *found = NULL;

	for (struct client *c = s->clients; c; c = c->next)
		if ((c->phase == PHASE_READING || c->phase == PHASE_RESTING) &&
			!c->reader.head_len && (!same_user || c->creds.uid == uid) && !has_sent(c))
			found = c;
	return found;
}

static size_t find_clients_max(void)
{
	size_t share = descriptors_allow(0) / DESCRIPTORS_SHARE;

	if (share < 2)
		return 2;
	return share < IPC_CLIENTS_MAX ? share : IPC_CLIENTS_MAX;
}

static bool make_room(struct ipc_server *s, uid_t uid)
{
	size_t of_user = 0;

	for (struct client *c = s->clients; c; c = c->next)
		of_user += c->creds.uid == uid;
	bool user_full = uid != 0 && of_user >= s->clients_max / 2;
	size_t for_root = s->clients_max / 4 < FOR_ROOT ? s->clients_max / 4 : FOR_ROOT;

	if (!user_full && s->n_clients < s->clients_max - (uid ? for_root : 0))
		return true;
	struct client *idle = idle_client(s, uid, user_full);

	if (!idle)
		return false;
	(void) client_free(idle);
	return true;
}

static void refuse(int fd)
{
	json_t *message = refusal("busy", "Too many requests at once. Try again in a moment.");
	uint8_t *out = NULL;
	size_t len = 0;

	if (message && ipc_frame(message, &out, &len) == 0)
		(void) send(fd, out, len, MSG_NOSIGNAL); /* best effort: it is closed anyway */
	free(out);
	json_decref(message);
}

static int find_creds(const struct ipc_server *s, int fd, struct ipc_creds *ret)
{
	struct sockaddr_storage sa;
	struct endpoint peer;
	struct ucred cred;
	socklen_t len = s->identify ? sizeof(sa) : sizeof(cred);
	int64_t id;

	if (!s->identify) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
			return -errno;
		*ret = (struct ipc_creds){ cred.uid, cred.gid, cred.pid };
		return 0;
	}
	if (getpeername(fd, (struct sockaddr *) &sa, &len) < 0)
		return -errno;
	if (endpoint_from_sockaddr((const struct sockaddr *) &sa, &peer) < 0)
		return -EAFNOSUPPORT;
	id = s->identify(s->ctx, &peer);
	if (id <= 0 || id >= UINT32_MAX)
		return -EACCES;
	*ret = (struct ipc_creds){ .uid = (uid_t) id };
	return 0;
}

static int client_new(struct ipc_server *s, int fd, uid_t *ret_uid)
{
	CLEANUP(close_p) int owned = fd;
	struct ipc_creds creds = { 0 };
	int r = find_creds(s, fd, &creds);

	if (r < 0)
		return r;
	*ret_uid = creds.uid;
	if (!make_room(s, creds.uid)) {
		refuse(fd);
		return -EBUSY;
	}
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct client){ .server = s,
		.fd = take_fd(&owned),
		.out_fd = -1,
		.creds = creds,
		.reader = { .max = IPC_REQUEST_MAX } };
	r = sd_event_add_io(s->event, &c->on_io, c->fd, EPOLLIN, on_io, c);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &c->on_timeout, CLOCK_BOOTTIME,
			MESSAGE_TIMEOUT_US, USEC_PER_SEC, on_timeout, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->on_timeout, SD_EVENT_OFF);
	if (r < 0) {
		(void) client_free(c);
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

static int on_accept_again(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct ipc_server *s = ctx;

	(void) sd_event_source_set_enabled(s->on_accept, SD_EVENT_ON);
	return 0;
}

/*
 * Who connects and hangs up again and again cannot be made to wait, so all that connect do, a
 * moment.
 */
static void pause_accepts(struct ipc_server *s)
{
	if (sd_event_source_set_time_relative(s->accept_again, ACCEPT_PAUSE_US) < 0 ||
		sd_event_source_set_enabled(s->accept_again, SD_EVENT_ONESHOT) < 0)
		return;
	(void) sd_event_source_set_enabled(s->on_accept, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int listen_fd, uint32_t revents, void *ctx)
{
	struct ipc_server *s = ctx;
	bool is_over = false;

	for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			/* Out of descriptors: give one back, or the loop would spin on it. */
			struct client *idle = errno == EMFILE || errno == ENFILE
						      ? idle_client(s, 0, false)
						      : NULL;

			if (idle)
				(void) client_free(idle);
			return 0;
		}
		uid_t uid = 0;
		bool began = meter_begin(s);

		(void) client_new(s, fd, &uid); /* a refused peer sees its connection closed */
		meter_end(s, began, uid);
		is_over |= uid != s->master && budget_wait(&s->budget, uid, clock_now_us()) > 0;
	}
	if (is_over)
		pause_accepts(s);
	return 0;
}

int ipc_server_new_fd(sd_event *event, int listen_fd, ipc_handler_fn handler, void *ctx,
	struct ipc_server **ret, struct err *err)
{
	struct ipc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "local socket: out of memory");
	*s = (struct ipc_server){ .event = sd_event_ref(event),
		.fd = -1,
		.handler = handler,
		.ctx = ctx,
		.clients_max = find_clients_max() };
	/*
	 * systemd hands over a blocking one; accepting until there is no more would wait for ever
	 */
	int flags = fcntl(listen_fd, F_GETFL);
	int r = flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;

	if (r == 0)
		r = sd_event_add_io(event, &s->on_accept, listen_fd, EPOLLIN, on_accept, s);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &s->accept_again, CLOCK_BOOTTIME,
			ACCEPT_PAUSE_US, USEC_PER_MSEC, on_accept_again, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->accept_again, SD_EVENT_OFF);
	if (r < 0) {
		(void) ipc_server_free(s);
		return err_set(err, r, "local socket: event loop: %s", strerror(-r));
	}
	s->fd = listen_fd;
	*ret = s;
	return 0;
}

int ipc_server_new(sd_event *event, const char *path, mode_t mode, gid_t gid,
	ipc_handler_fn handler, void *ctx, struct ipc_server **ret, struct err *err)
{
	CLEANUP(close_p) int fd = -1;
	CLEANUP(free_p) char *place = NULL;
	int r = ipc_listen(path, mode, gid, &fd, &place);

	if (r == -EADDRINUSE)
		return err_set(err, r, "%s: another process answers there already", path);
	if (r == -EEXIST)
		return err_set(err, r, "%s: exists and is not a socket", path);
	if (r < 0)
		return err_set(err, r, "make the socket %s: %s", path, strerror(-r));
	r = ipc_server_new_fd(event, fd, handler, ctx, ret, err);
	if (r < 0)
		return r;
	(void) take_fd(&fd);
	(*ret)->path = TAKE(place);
	(void) lstat((*ret)->path, &(*ret)->made);
	return 0;
}

int ipc_server_new_tcp(sd_event *event, const struct endpoint *on, ipc_identify_fn identify,
	ipc_handler_fn handler, void *ctx, struct ipc_server **ret, struct err *err)
{
	CLEANUP(close_p) int fd = -1;
	char text[ENDPOINT_TEXT_MAX];
	int r = tcp_listen(on, &fd);

	if (r < 0)
		return err_set(err, r, "listen on %s: %s", endpoint_format(on, text), strerror(-r));
	r = ipc_server_new_fd(event, fd, handler, ctx, ret, err);
	if (r < 0)
		return r;
	(void) take_fd(&fd);
	(*ret)->identify = identify;
	(*ret)->budget.each_alone = true;
	return 0;
}

void ipc_server_serve(struct ipc_server *s, uid_t uid)
{
	s->master = uid;
}

bool ipc_server_is_busy(const struct ipc_server *s)
{
	return s->n_clients > 0;
}

bool ipc_server_has_path(const struct ipc_server *s)
{
	struct stat now;

	return !s->path || (lstat(s->path, &now) == 0 && now.st_ino == s->made.st_ino &&
				   now.st_dev == s->made.st_dev);
}

struct ipc_server *ipc_server_free(struct ipc_server *s)
{
	if (!s)
		return NULL;
	assert(!s->metered_us); /* not from within a handler */
	while (s->clients)
		(void) client_free(s->clients);
	for (struct ipc_request *r = s->requests, *next; r; r = next) {
		next = r->next;
		r->server = NULL;
		r->next = NULL;
		r->pprev = NULL;
	}
	sd_event_source_disable_unref(s->on_accept);
	sd_event_source_disable_unref(s->accept_again);
	if (s->path && ipc_server_has_path(s)) /* else it is another's */
		(void) unlink(s->path);
	close_p(&s->fd);
	sd_event_unref(s->event);
	free(s->path);
	free(s);
	return NULL;
}

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
	request_end(request, refusal(code, text), -1);
}
