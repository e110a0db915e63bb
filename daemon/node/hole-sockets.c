/* They lie behind one epoll descriptor: one source of the loop, and no work for those that wait. */
#include "node/hole-sockets.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Of the descriptors that we may have; the rest is for connections of others. */
enum { PART = 4 };

void hole_sockets_init(struct hole_sockets *s)
{
	*s = (struct hole_sockets){ .epoll_fd = -1 };
	for (size_t i = 0; i < GUESS_SOCKETS; i++)
		s->fds[i] = -1;
}

static int open_epoll(struct hole_sockets *s)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / PART < GUESS_SOCKETS)
		return -EMFILE;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return s->epoll_fd < 0 ? -errno : 0;
}

int hole_sockets_open(struct hole_sockets *s, struct core *core,
	int (*ready)(sd_event_source *source, int fd, uint32_t revents, void *ctx), void *ctx)
{
	int r;

	hole_sockets_close(s);
	r = open_epoll(s);
	if (r == 0)
		r = sd_event_add_io(core->event, &s->io, s->epoll_fd, EPOLLIN, ready, ctx);
	if (r < 0)
		hole_sockets_close(s);
	return r < 0 ? r : 0;
}

void hole_sockets_close(struct hole_sockets *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	for (size_t i = 0; i < GUESS_SOCKETS; i++)
		close_p(&s->fds[i]);
	close_p(&s->epoll_fd);
	hole_sockets_init(s);
}

static int open_socket(const struct endpoint *to)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	CLEANUP(close_p) int fd = -1;

	fd = socket(to->addr.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *) &sa, len) < 0)
		return -errno;
	return take_fd(&fd);
}

int hole_sockets_send(
	struct hole_sockets *s, size_t i, const struct endpoint *to, const void *data, size_t len)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };
	int fd;

	close_p(&s->fds[i]);
	s->fds[i] = -1;
	fd = open_socket(to);
	if (fd < 0)
		return fd;
	s->fds[i] = fd;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return send(fd, data, len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* What is only an error of the way there is taken as well, or it would be ready without end. */
bool hole_sockets_next(
	struct hole_sockets *s, void *ret, size_t room, size_t *ret_i, size_t *ret_len)
{
	struct epoll_event event;
	ssize_t len;

	if (s->epoll_fd < 0 || epoll_wait(s->epoll_fd, &event, 1, 0) != 1)
		return false;
	*ret_i = (size_t) event.data.u64;
	len = recv(s->fds[*ret_i], ret, room, MSG_DONTWAIT);
	*ret_len = len > 0 ? (size_t) len : 0;
	return true;
}

int hole_sockets_take(struct hole_sockets *s, size_t i)
{
	int fd = s->fds[i];

	(void) epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	s->fds[i] = -1;
	return fd;
}
