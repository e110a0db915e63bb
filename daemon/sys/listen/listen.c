/* listen: see listen.h. */
#include "sys/listen/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/ip.h"
#include "base/number.h"

enum { BACKLOG = 512 };

static int listen_on(const struct sockaddr *sa, socklen_t len, int *ret)
{
	static const int on = 1, off = 0;
	CLEANUP(close_p)
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa->sa_family == AF_INET6)
		(void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	/* An address that comes later (DHCP at boot) is no reason to fail. */
	(void) setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	if (bind(fd, sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

int listen_open(const char *where, int *ret_fd, struct err *err)
{
	struct endpoint endpoint = { .addr.family = AF_INET6 };
	struct sockaddr_storage sa;
	uint64_t port;

	if (number_parse(where, 0, UINT16_MAX, &port) == 0)
		endpoint.port = (uint16_t) port;
	else if (endpoint_parse(where, &endpoint) < 0)
		return err_set(err, -EINVAL,
			"\"%s\" is not an address to listen on: "
			"write PORT, IPV4:PORT or [IPV6]:PORT",
			where);
	socklen_t len = endpoint_to_sockaddr(&endpoint, &sa);
	int r = listen_on((struct sockaddr *) &sa, len, ret_fd);

	if ((r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) && ip_addr_is_unspecified(&endpoint.addr)) {
		endpoint.addr.family = AF_INET;
		len = endpoint_to_sockaddr(&endpoint, &sa);
		r = listen_on((struct sockaddr *) &sa, len, ret_fd);
	}
	if (r == -EADDRINUSE)
		return err_set(err, r,
			"listen on %s: another program uses this port (see it with `ss -ltnp`)",
			where);
	if (r < 0)
		return err_set(err, r, "listen on %s: %s", where, strerror(-r));
	return 0;
}
