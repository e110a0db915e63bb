#include "node/stun-once.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { ANSWER_MAX = 512 };

void stun_once_init(struct stun_once *o, struct core *core,
	void (*answered)(void *ctx, const struct endpoint *from, const struct endpoint *seen),
	void *ctx)
{
	*o = (struct stun_once){ .core = core, .answered = answered, .ctx = ctx, .fd = -1 };
}

void stun_once_stop(struct stun_once *o)
{
	o->io = sd_event_source_disable_unref(o->io);
	close_p(&o->fd);
	o->fd = -1;
}

/* It is connected: this is the server's, or an error of the way there. */
static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct stun_once *o = ctx;
	struct stun_answer answer;
	uint8_t data[ANSWER_MAX];
	ssize_t len = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	stun_once_stop(o);
	if (len >= 0 && stun_answer_parse(data, (size_t) len, &answer) == 0 && !answer.error &&
		!memcmp(answer.tx, o->tx, STUN_TX_LEN))
		o->answered(o->ctx, &o->at, &answer.mapped);
	return 0;
}

static int open_socket(const struct endpoint *to)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	int fd = socket(to->addr.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0 || connect(fd, (struct sockaddr *) &sa, len) == 0)
		return fd < 0 ? -errno : fd;
	r = -errno;
	(void) close(fd);
	return r;
}

int stun_once_ask(struct stun_once *o, const struct endpoint *at, uint64_t now_us)
{
	uint8_t data[STUN_REQUEST_LEN];
	int r;

	stun_once_stop(o);
	r = open_socket(at);
	if (r < 0)
		return r;
	o->fd = r;
	o->at = *at;
	o->asked_us = now_us;
	randombytes_buf(o->tx, sizeof(o->tx));
	stun_request_format(o->tx, data);
	r = sd_event_add_io(o->core->event, &o->io, o->fd, EPOLLIN, on_answer, o);
	if (r >= 0 && send(o->fd, data, sizeof(data), 0) < 0)
		r = -errno;
	if (r < 0)
		stun_once_stop(o);
	return r < 0 ? r : 0;
}
