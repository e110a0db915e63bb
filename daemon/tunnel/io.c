/*
 * The system calls of the packet path, behind function pointers: a fuzzer puts the other end of the
 * world in their place. None of them blocks.
 */
#include <errno.h>
#include <unistd.h>

#include "tunnel/internal.h"

static ssize_t tun_read(struct lane *l, void *ret_data, size_t len)
{
	ssize_t n;

	do
		n = read(l->tun_fd, ret_data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t tun_write(struct lane *l, const struct iovec *iov, int n)
{
	ssize_t r;

	do
		r = writev(l->tun_fd, iov, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int udp_receive(struct lane *l, int fd, struct sock_msg *msgs, size_t n)
{
	return sock_recv(l->batch, fd, msgs, n, PACKET_MAX);
}

static size_t udp_send(struct lane *l, struct sock_msg *msgs, size_t n)
{
	return sock_send(l->batch, &l->sock, msgs, n);
}

const struct tunnel_io *tunnel_kernel_io(void)
{
	static const struct tunnel_io io = { .tun_read = tun_read,
		.tun_write = tun_write,
		.udp_receive = udp_receive,
		.udp_send = udp_send };

	return &io;
}
