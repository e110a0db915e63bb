/*
 * sock-cut: see sock-cut.h. Only packets of IPv6 in the tunnel that are longer than the way carries
 * come here, so some system calls for each do no harm.
 */
#include "sys/sock/sock-cut.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "packet/cut6.h"

enum { AROUND = 40 + 8 /* IPv6 and UDP */, HOPS = 64 };

static size_t size_of(const struct sock_msg *msg)
{
	return sock_msg_datagrams(msg) > 1 ? msg->segment : msg->len;
}

bool sock_is_cut(const struct sock_cutter *cutter, const struct sock_msg *msg)
{
	return msg->fragment && !cutter->barred && msg->remote.addr.family == AF_INET6 &&
	       size_of(msg) + AROUND > msg->fragment;
}

/* One that only sends, and takes whole packets; marked as ours are. */
static int open_raw(const struct sock *sock)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	if (fd >= 0 && getsockopt(sock->fd6, SOL_SOCKET, SO_MARK, &mark, &len) == 0 && mark)
		(void) setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	return fd < 0 ? -errno : fd;
}

/* Of a raw socket, what is a port elsewhere is a protocol. */
static struct sockaddr_in6 without_port(const struct endpoint *e)
{
	struct sockaddr_storage sa;

	(void) endpoint_to_sockaddr(e, &sa);
	((struct sockaddr_in6 *) &sa)->sin6_port = 0;
	return *(struct sockaddr_in6 *) &sa;
}

/* From our address that was chosen, if it still is one, to @msg's remote. 0 or -errno. */
static int aim(int fd, const struct sock *sock, struct sock_msg *msg, struct cut6 *ret)
{
	const struct endpoint local = { .addr = msg->local, .scope = msg->remote.scope };
	struct sockaddr_in6 ours, theirs = without_port(&msg->remote);
	socklen_t len = sizeof(ours);

	if (msg->local.family == AF_INET6) {
		ours = without_port(&local);
		msg->source_gone = bind(fd, (struct sockaddr *) &ours, sizeof(ours)) < 0;
	}
	if (connect(fd, (struct sockaddr *) &theirs, sizeof(theirs)) < 0 ||
		getsockname(fd, (struct sockaddr *) &ours, &len) < 0)
		return -errno;
	memcpy(ret->addresses, &ours.sin6_addr, 16);
	memcpy(ret->addresses + 16, &theirs.sin6_addr, 16);
	ret->source_port = sock->port;
	ret->port = msg->remote.port;
	ret->hops = msg->hops ? msg->hops : HOPS;
	return 0;
}

/* One datagram, all of it or (what a receiver throws away) some. 0 or -errno. */
static int send_pieces(int fd, struct cut6 *cut, const uint8_t *data, size_t len, size_t mtu)
{
	struct cut6_piece pieces[CUT6_PIECES_MAX];
	size_t n;

	if (getrandom(&cut->id, sizeof(cut->id), 0) != sizeof(cut->id))
		return -errno;
	n = cut6(cut, data, len, mtu, pieces);
	for (size_t i = 0; i < n; i++) {
		struct iovec iov[] = { { pieces[i].head, pieces[i].head_len },
			{ (void *) pieces[i].data, pieces[i].len } }; /* only read */
		const struct msghdr hdr = { .msg_iov = iov, .msg_iovlen = 2 };

		if (sendmsg(fd, &hdr, MSG_DONTWAIT) < 0)
			return -errno;
	}
	return n ? 0 : -EMSGSIZE;
}

bool sock_cut(struct sock_cutter *cutter, const struct sock *sock, struct sock_msg *msg)
{
	CLEANUP(close_p) int fd = open_raw(sock);
	size_t size = size_of(msg);
	struct cut6 cut;
	int r;

	msg->sent = msg->failed = 0;
	msg->source_gone = false;
	msg->error = fd < 0 ? fd : 0;
	cutter->barred = fd == -EPERM || fd == -EACCES;
	if (fd < 0)
		return false;
	r = aim(fd, sock, msg, &cut);
	for (size_t at = 0; at < msg->len; at += size) {
		size_t len = msg->len - at < size ? msg->len - at : size;
		int e = r < 0 ? r : send_pieces(fd, &cut, msg->data + at, len, msg->fragment);

		if (e == 0) {
			msg->sent += len;
			continue;
		}
		msg->failed++;
		msg->error = e;
	}
	return true;
}
