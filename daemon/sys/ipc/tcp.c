/* tcp: see tcp.h. */
#include "sys/ipc/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { BACKLOG = 64, DEAD_AFTER_MS = 30000 };

static int open_for(const struct endpoint *e, struct sockaddr_storage *ret_sa, socklen_t *ret_len)
{
	int fd, ms = DEAD_AFTER_MS;

	*ret_len = endpoint_to_sockaddr(e, ret_sa);
	if (*ret_len == 0)
		return -EAFNOSUPPORT;
	fd = socket(e->addr.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	return fd;
}

int tcp_listen(const struct endpoint *on, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len;
	CLEANUP(close_p) int fd = open_for(on, &sa, &len);
	bool v6 = on->addr.family == AF_INET6;
	int one = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND,
			&one, sizeof(one)) < 0 ||
		bind(fd, (struct sockaddr *) &sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int tcp_connect(const struct endpoint *to, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len;
	CLEANUP(close_p) int fd = open_for(to, &sa, &len);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *) &sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}
