/*
 * Preloaded: the kernel as it is with ipv6.disable=1. No AF_INET6 socket, and nobody listens to rtnetlink's
 * IPv6 messages: their family becomes one that has no handler either, so that the kernel itself answers as
 * it does then (EOPNOTSUPP). /proc/sys/net/ipv6 is hidden by whoever starts the program.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

enum { NO_HANDLER = AF_X25 };

int socket(int domain, int type, int protocol)
{
	static int (*real)(int, int, int);

	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "socket");
	if (domain == AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return real(domain, type, protocol);
}

static int is_netlink(int fd)
{
	int protocol = -1, domain = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_NETLINK)
		return 0;
	len = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == NETLINK_ROUTE;
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_len)
{
	static ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	unsigned char copy[8192];
	struct nlmsghdr header;

	if (!real)
		*(void **) &real = dlsym(RTLD_NEXT, "sendto");
	if (size <= sizeof(header) || size > sizeof(copy) || !is_netlink(fd))
		return real(fd, data, size, flags, to, to_len);
	memcpy(copy, data, size);
	memcpy(&header, data, sizeof(header));
	/* The family is the first byte of every message of rtnetlink but a link's settings by family. */
	if (header.nlmsg_type >= RTM_BASE && copy[NLMSG_HDRLEN] == AF_INET6)
		copy[NLMSG_HDRLEN] = NO_HANDLER;
	return real(fd, copy, size, flags, to, to_len);
}
