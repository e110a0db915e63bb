/*
 * ipc server: see ipc.h: who is let in, and the server's life. What a connection does is in
 * server-conn.c.
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
#include "sys/ipc/listen.h"
#include "sys/ipc/server-conn.h"
#include "sys/ipc/tcp.h"

#define ACCEPT_PAUSE_US (10 * USEC_PER_MSEC)
enum {
	FOR_ROOT = 8, /* places that only root gets */
	DESCRIPTORS_SHARE =
		4, /* clients take at most the fourth part of what the process may have */
	ACCEPTS_PER_WAKEUP = 16,
};

/* A request that came, perhaps, but was not read yet: many connect at once. */
static bool has_sent(const struct ipc_conn *c)
{
	int n = 0;

	return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

/* The connection that has been idle longest, of user @uid if @same_user. */
static struct ipc_conn *idle_client(struct ipc_server *s, uid_t uid, bool same_user)
{
	struct ipc_conn *found = NULL;

	for (struct ipc_conn *c = s->clients; c; c = c->next)
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

	for (struct ipc_conn *c = s->clients; c; c = c->next)
		of_user += c->creds.uid == uid;
	bool user_full = uid != 0 && of_user >= s->clients_max / 2;
	size_t for_root = s->clients_max / 4 < FOR_ROOT ? s->clients_max / 4 : FOR_ROOT;

	if (!user_full && s->n_clients < s->clients_max - (uid ? for_root : 0))
		return true;
	struct ipc_conn *idle = idle_client(s, uid, user_full);

	if (!idle)
		return false;
	(void) ipc_conn_free(idle);
	return true;
}

static void refuse(int fd)
{
	json_t *message = ipc_refusal("busy", "Too many requests at once. Try again in a moment.");
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
	return ipc_conn_new(s, take_fd(&owned), &creds);
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
			struct ipc_conn *idle = errno == EMFILE || errno == ENFILE
							? idle_client(s, 0, false)
							: NULL;

			if (idle)
				(void) ipc_conn_free(idle);
			return 0;
		}
		uid_t uid = 0;
		bool began = ipc_meter_begin(s);

		(void) client_new(s, fd, &uid); /* a refused peer sees its connection closed */
		ipc_meter_end(s, began, uid);
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
		(void) ipc_conn_free(s->clients);
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
