/* inherited: see listen.h. The socket that systemd passed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "base/ip.h"
#include "sys/listen/listen.h"

int listen_inherited(int *ret_fd, struct err *err)
{
	int n = sd_listen_fds(1), flags;

	if (n <= 0)
		return 0;
	if (n > 1)
		return err_set(err, -EINVAL, "systemd passed %d sockets; there must be one", n);
	if (sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
		return err_set(err, -EINVAL, "systemd's socket is no listening stream socket");
	/* systemd hands over a blocking one. */
	flags = fcntl(SD_LISTEN_FDS_START, F_GETFL);
	if (flags < 0 || fcntl(SD_LISTEN_FDS_START, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_set(err, -errno, "systemd's socket: %m");
	*ret_fd = SD_LISTEN_FDS_START;
	return 1;
}

uint16_t listen_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct endpoint e;

	if (getsockname(fd, (struct sockaddr *) &sa, &len) < 0 ||
		endpoint_from_sockaddr((struct sockaddr *) &sa, &e) < 0)
		return 0;
	return e.port;
}
