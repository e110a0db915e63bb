/*
 * A handful of clients on one epoll descriptor. Each has one request and one reply at a time;
 * requests are bounded by UAPI_REQUEST_MAX, clients by UAPI_CLIENTS_MAX (a new one then takes the
 * place of the one that has been silent longest) and their patience by a timer. Garbage is answered
 * with an error and the connection closed. Buffers that held keys are wiped.
 */
#include "tunnel/uapi-server.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/uapi.h"

const char uapi_server_directory[] = "/var/run/wireguard";

enum {
	EVENTS = 32,
	REQUESTS_PER_TURN = 16,
	READ_LEN = 16384,
	PEER_TEXT = 512,
	PREFIX_TEXT = 64,
	LARGE = 256 * 1024
};

struct client {
	int fd; /* -1: free place */
	struct buf in, out;
	size_t seen;      /* of in: without the end of a request */
	size_t sent;      /* of out */
	uint64_t seen_us; /* when it began its request, or took a part of the reply */
	bool last;        /* close when the reply is out */
	bool more;        /* another complete request may be in already: come back */
};

struct uapi_server {
	struct tunnel *tunnel; /* borrowed */
	int epoll_fd, listen_fd, timer_fd;
	ino_t ino;  /* of the listening socket's name, 0 unknown */
	bool armed; /* the timer */
	bool deaf;  /* no descriptor for another client: not listening until the timer fires */
	struct client clients[UAPI_CLIENTS_MAX];
};

char *uapi_server_path(const char *ifname)
{
	struct buf path = { 0 };

	buf_printf(&path, "%s/%s.sock", uapi_server_directory, ifname);
	return buf_take(&path, NULL);
}

/* 0: free now, -EADDRINUSE: somebody answers there. */
static int clear_stale(const struct sockaddr_un *addr, struct err *err)
{
	struct stat st;
	CLEANUP(close_p) int fd = -1;

	if (lstat(addr->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			err, -EEXIST, "%s is in the way and no socket: remove it", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %m");
	if (connect(fd, (const struct sockaddr *) addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		return err_set(err, -EADDRINUSE,
			"%s is in use by another WireGuard program "
			"(names are machine-wide, also across network namespaces)",
			addr->sun_path);
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "remove %s: %m", addr->sun_path);
	return 0;
}

int uapi_server_listen(const char *path, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	CLEANUP(close_p) int fd = -1;
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (mkdir(uapi_server_directory, 0755) < 0 && errno != EEXIST)
		return err_set(err, -errno, "make %s: %m", uapi_server_directory);
	r = clear_stale(&addr, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %m");
	mask = umask(077);
	r = bind(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0 ? -errno : 0;
	(void) umask(mask);
	errno = -r;
	if (r < 0)
		return err_set(err, r, "make socket %s: %m", path);
	if (listen(fd, UAPI_CLIENTS_MAX) < 0)
		return err_set(err, -errno, "listen on %s: %m", path);
	return take_fd(&fd);
}

static void wipe_buf(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	buf_done(buf);
	*buf = (struct buf){ 0 };
}

static void drop_client(struct client *c)
{
	if (c->fd < 0)
		return;
	(void) close(c->fd); /* leaves the epoll set with it */
	wipe_buf(&c->in);
	wipe_buf(&c->out);
	*c = (struct client){ .fd = -1 };
}

static void watch_client(struct uapi_server *s, struct client *c, int op)
{
	struct epoll_event ev = { .events = c->out.len || c->more ? EPOLLOUT : EPOLLIN,
		.data.ptr = c };

	if (epoll_ctl(s->epoll_fd, op, c->fd, &ev) < 0)
		drop_client(c);
}

/* A free place, or that of the client that has been silent longest. */
static struct client *find_place(struct uapi_server *s)
{
	struct client *oldest = &s->clients[0];

	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (c->fd < 0)
			return c;
		if (c->seen_us < oldest->seen_us)
			oldest = c;
	}
	drop_client(oldest);
	return oldest;
}

/* Where no descriptor is left, a client that waits would wake the loop without end. */
static void listen_to(struct uapi_server *s, bool on)
{
	struct epoll_event ev = { .events = on ? EPOLLIN : 0, .data.ptr = &s->listen_fd };

	s->deaf = !on;
	(void) epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listen_fd, &ev);
}

static void accept_clients(struct uapi_server *s)
{
	for (int i = 0; i < UAPI_CLIENTS_MAX; i++) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct client *c;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
			listen_to(s, false);
		if (fd < 0)
			return;
		c = find_place(s);
		*c = (struct client){ .fd = fd, .seen_us = clock_now_us() };
		watch_client(s, c, EPOLL_CTL_ADD);
	}
}

/* Room for the whole reply at once: a buffer that grows leaves copies of keys behind. */
static void reserve(struct buf *buf, const struct uapi_get *get)
{
	size_t n = PEER_TEXT;
	char *block;

	for (size_t i = 0; i < get->n_peers; i++)
		n += PEER_TEXT + get->peers[i].n_allowed * PREFIX_TEXT;
	block = calloc(1, n);
	if (!block) {
		buf->failed = true;
		return;
	}
	buf_add(buf, block, n);
	free(block);
	if (!buf_failed(buf))
		buf->len = 0;
}

static int answer(struct uapi_server *s, struct client *c, const char *request, size_t len)
{
	int operation = uapi_request_operation(request, len), r;

	if (operation == UAPI_GET) {
		CLEANUP_UAPI_GET struct uapi_get get = { 0 };

		r = tunnel_uapi_get(s->tunnel, &get);
		reserve(&c->out, &get);
		if (r == 0)
			uapi_get_format(&get, &c->out);
	} else if (operation == UAPI_SET) {
		CLEANUP_UAPI_SET struct uapi_set set = { 0 };

		r = uapi_set_parse(request, len, &set);
		if (r == 0)
			r = tunnel_uapi_set(s->tunnel, &set);
	} else {
		r = operation;
	}
	uapi_reply_end(&c->out, r);
	return r;
}

/* What thousands of peers took is given back, not kept for the next thousands. */
static void shrink(size_t request, size_t reply)
{
	if (request < LARGE && reply < LARGE)
		return;
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
}

/* Answers the first complete request. A refused one ends the connection after the reply. */
static void take_request(struct uapi_server *s, struct client *c)
{
	long len = uapi_request_len(c->in.data, c->in.len, c->seen);

	c->seen = len == 0 ? c->in.len : 0;
	if (len == 0)
		return;
	if (len < 0) {
		uapi_reply_end(&c->out, (int) len);
		c->last = true;
	} else {
		int r = answer(s, c, c->in.data, (size_t) len);

		c->last = r == -EPROTO || r == -ENODEV;
		memmove(c->in.data, c->in.data + len, c->in.len - (size_t) len);
		c->in.len -= (size_t) len;
		explicit_bzero(c->in.data + c->in.len, (size_t) len);
		if (c->in.len == 0)
			wipe_buf(&c->in);
		shrink((size_t) len, 0);
	}
	if (buf_failed(&c->out))
		drop_client(c);
}

/* Appends to the request without leaving copies behind. False: out of memory. */
static bool append(struct buf *buf, const void *data, size_t len)
{
	if (buf->len + len + 1 > buf->cap) {
		struct buf fresh = { .data = calloc(1, (buf->len + len + 1) * 2),
			.len = buf->len,
			.cap = (buf->len + len + 1) * 2 };

		if (!fresh.data)
			return false;
		if (buf->len)
			memcpy(fresh.data, buf->data, buf->len);
		wipe_buf(buf);
		*buf = fresh;
	}
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return true;
}

static void send_reply(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			drop_client(c);
			return;
		}
		c->sent += (size_t) n;
		c->seen_us = clock_now_us();
	}
	wipe_buf(&c->out);
	shrink(0, c->sent);
	c->sent = 0;
	if (c->last)
		drop_client(c);
}

/* As long as requests are complete and replies fit into the socket, but others get their turn. */
static void serve(struct uapi_server *s, struct client *c)
{
	c->more = false;
	for (int i = 0; c->fd >= 0; i++) {
		if (c->out.len > 0)
			send_reply(c);
		if (c->fd < 0 || c->out.len > 0)
			break;
		if (i == REQUESTS_PER_TURN) {
			c->more = true;
			break;
		}
		take_request(s, c);
		if (c->fd < 0 || c->out.len == 0)
			break;
	}
	if (c->fd >= 0)
		watch_client(s, c, EPOLL_CTL_MOD);
}

static void read_client(struct uapi_server *s, struct client *c)
{
	char data[READ_LEN];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !append(&c->in, data, (size_t) n)) {
		drop_client(c);
	} else {
		if (c->in.len == (size_t) n)
			c->seen_us = clock_now_us();
		serve(s, c);
	}
	if (n > 0)
		explicit_bzero(data, (size_t) n);
}

/* Who has begun something and not finished it in time is closed; a quiet client may stay. */
static void expire_clients(struct uapi_server *s)
{
	uint64_t now_us = clock_now_us(), n;

	(void) !read(s->timer_fd, &n, sizeof(n)); /* only to make it quiet */
	s->armed = false;
	if (s->deaf)
		listen_to(s, true);
	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (c->fd >= 0 && (c->in.len || c->out.len) &&
			now_us - c->seen_us > UAPI_CLIENT_TIMEOUT_S * USEC_PER_SEC)
			drop_client(c);
	}
}

static bool has_work(const struct uapi_server *s)
{
	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && (s->clients[i].in.len || s->clients[i].out.len))
			return true;
	return s->deaf;
}

/* The timer runs only while there is something to expire: an idle daemon is not woken. */
static void arm_timer(struct uapi_server *s)
{
	struct itimerspec spec = { .it_value.tv_sec = UAPI_CLIENT_TIMEOUT_S / 4 };

	if (s->armed || !has_work(s))
		return;
	s->armed = timerfd_settime(s->timer_fd, 0, &spec, NULL) == 0;
}

void uapi_server_run(struct uapi_server *s)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll_fd, events, EVENTS, 0);
	bool fresh = false;

	for (int i = 0; i < n; i++) {
		struct client *c = events[i].data.ptr;

		if (events[i].data.ptr == &s->listen_fd)
			fresh = true;
		else if (events[i].data.ptr == &s->timer_fd)
			expire_clients(s);
		else if (c->fd >= 0 && (c->out.len > 0 || c->more))
			serve(s, c);
		else if (c->fd >= 0)
			read_client(s, c);
	}
	if (fresh) /* last: it may reuse the place of a client that had an event above */
		accept_clients(s);
	arm_timer(s);
}

int uapi_server_fd(const struct uapi_server *s)
{
	return s->epoll_fd;
}

struct uapi_server *uapi_server_free(struct uapi_server *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++)
		drop_client(&s->clients[i]);
	close_p(&s->listen_fd);
	close_p(&s->timer_fd);
	close_p(&s->epoll_fd);
	free(s);
	return NULL;
}

static int add_own(struct uapi_server *s, int *fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, *fd, &ev) < 0 ? -errno : 0;
}

/* -ENOENT: nothing lies there. */
static int find_ino(const struct uapi_server *s, ino_t *ret)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr) - 1;
	struct stat st;

	if (getsockname(s->listen_fd, (struct sockaddr *) &addr, &len) < 0 ||
		addr.sun_family != AF_UNIX || !addr.sun_path[0])
		return -EINVAL;
	if (lstat(addr.sun_path, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

bool uapi_server_has_path(const struct uapi_server *s)
{
	ino_t now = 0;
	int r = find_ino(s, &now);

	return r == 0 ? !s->ino || now == s->ino : r != -ENOENT;
}

int uapi_server_new(struct tunnel *tunnel, int listen_fd, struct uapi_server **ret)
{
	struct uapi_server *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s) {
		(void) close(listen_fd);
		return -ENOMEM;
	}
	s->tunnel = tunnel;
	s->listen_fd = listen_fd;
	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->timer_fd < 0 || fcntl(listen_fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = add_own(s, &s->listen_fd);
	if (r == 0)
		r = add_own(s, &s->timer_fd);
	(void) find_ino(s, &s->ino); /* one without a name has none to lose */
	if (r < 0) {
		(void) uapi_server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}
