/*
 * UDP over IPv4 and IPv6. The source address of a reply is pinned with IP_PKTINFO / IPV6_PKTINFO; the
 * interface is not (but for link-local addresses): routing may change while the address stays.
 * Nothing blocks: a full send buffer is a dropped datagram, as in the queue of a network card.
 */
#include "sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { PORT_TRIES = 64 };

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		      CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct sock_batch {
	struct mmsghdr msgs[SOCK_BATCH_MAX];
	struct iovec iovs[SOCK_BATCH_MAX];
	struct sockaddr_storage names[SOCK_BATCH_MAX];
	union control controls[SOCK_BATCH_MAX];
};

/* The plain option is capped by rmem_max; the forced one needs CAP_NET_ADMIN. */
static bool grow_buffer(int fd, int force, int plain)
{
	int size = SOCK_BUFFER_BYTES, got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) == 0)
		return true;
	(void) setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size)); /* smaller is usable too */
	return getsockopt(fd, SOL_SOCKET, plain, &got, &len) == 0 && got >= size;
}

static int open_family(int family, uint16_t port, uint32_t mark, bool *small, int *ret_fd)
{
	static const int on = 1, fragment = IP_PMTUDISC_DONT;
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is6 = family == AF_INET6;
	CLEANUP(close_p) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (is6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, is6 ? IPPROTO_IPV6 : IPPROTO_IP, is6 ? IPV6_RECVPKTINFO : IP_PKTINFO,
		    &on, sizeof(on)) < 0)
		return -errno;
	/* As Linux does it: outer IPv4 packets may be fragmented on their way; IPv6 is by us. */
	if (!is6)
		(void) setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &fragment, sizeof(fragment));
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	if (!grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF) ||
		!grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF))
		*small = true;
	if (bind(fd, is6 ? (struct sockaddr *) &any6 : (struct sockaddr *) &any4,
		    is6 ? sizeof(any6) : sizeof(any4)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct endpoint local = { 0 };

	if (getsockname(fd, (struct sockaddr *) &sa, &len) < 0 ||
		endpoint_from_sockaddr((struct sockaddr *) &sa, &local) < 0)
		return 0;
	return local.port;
}

static bool lacks_family(int r)
{
	return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL; /* not built in, or ipv6.disable=1 */
}

/* Both families on @port, or on one port that the kernel chooses. */
static int open_both(uint16_t port, uint32_t mark, struct sock *ret)
{
	struct sock s = { .fd4 = -1, .fd6 = -1, .port = port };
	int r = open_family(AF_INET, port, mark, &s.small_buffers, &s.fd4);

	if (r < 0 && !lacks_family(r))
		return r;
	if (s.port == 0 && s.fd4 >= 0)
		s.port = bound_port(s.fd4);
	r = open_family(AF_INET6, s.port, mark, &s.small_buffers, &s.fd6);
	if (r < 0 && (!lacks_family(r) || s.fd4 < 0)) {
		sock_close(&s);
		return r;
	}
	if (s.port == 0)
		s.port = bound_port(s.fd6);
	*ret = s;
	return 0;
}

int sock_open(uint16_t port, uint32_t mark, struct sock *ret, struct err *err)
{
	int r = -EADDRINUSE;

	/* A port drawn for IPv4 may be taken in IPv6: draw again. */
	for (int i = 0; i < (port ? 1 : PORT_TRIES) && r == -EADDRINUSE; i++)
		r = open_both(port, mark, ret);
	if (r == 0)
		return 0;
	errno = -r;
	if (r == -EADDRINUSE)
		return err_set(err, r, "UDP port %u is in use by another program (ss -lunp)", port);
	if (r == -EACCES)
		return err_set(err, r, "UDP port %u: %m: ports below 1024 need root", port);
	if (r == -EPERM && mark)
		return err_set(err, r, "firewall mark: %m: root or CAP_NET_ADMIN is needed");
	return err_set(err, r, "open UDP port %u: %m", port);
}

void sock_close(struct sock *sock)
{
	close_p(&sock->fd4);
	close_p(&sock->fd6);
	sock->fd4 = sock->fd6 = -1;
}

int sock_set_mark(struct sock *sock, uint32_t mark)
{
	const int fds[] = { sock->fd4, sock->fd6 };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0 && setsockopt(fds[i], SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
			return -errno;
	return 0;
}

struct sock_batch *sock_batch_new(void)
{
	return calloc(1, sizeof(struct sock_batch));
}

struct sock_batch *sock_batch_free(struct sock_batch *batch)
{
	free(batch);
	return NULL;
}

static void read_control(struct msghdr *hdr, struct sock_msg *msg)
{
	msg->local = (struct ip_addr){ 0 };
	msg->ifindex = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			msg->local.family = AF_INET;
			/* ipi_spec_dst, not ipi_addr: for a broadcast it is what can be sent from. */
			memcpy(msg->local.bytes, &info.ipi_spec_dst, 4);
			msg->ifindex = (uint32_t) info.ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			msg->local.family = AF_INET6;
			memcpy(msg->local.bytes, &info.ipi6_addr, 16);
			msg->ifindex = info.ipi6_ifindex;
		}
	}
	if (ip_addr_is_multicast(&msg->local))
		msg->local = (struct ip_addr){ 0 };
}

int sock_recv(struct sock_batch *batch, int fd, struct sock_msg *msgs, size_t n, size_t capacity)
{
	int got;

	if (n > SOCK_BATCH_MAX)
		n = SOCK_BATCH_MAX;
	for (size_t i = 0; i < n; i++) {
		batch->iovs[i] = (struct iovec){ .iov_base = msgs[i].data, .iov_len = capacity };
		batch->msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &batch->iovs[i],
			.msg_iovlen = 1,
			.msg_name = &batch->names[i],
			.msg_namelen = sizeof(batch->names[i]),
			.msg_control = &batch->controls[i],
			.msg_controllen = sizeof(batch->controls[i]) };
	}
	do
		got = recvmmsg(fd, batch->msgs, (unsigned) n, MSG_DONTWAIT, NULL);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (int i = 0; i < got; i++) {
		struct msghdr *hdr = &batch->msgs[i].msg_hdr;
		struct sock_msg *msg = &msgs[i];

		msg->len = batch->msgs[i].msg_len;
		if ((hdr->msg_flags & MSG_TRUNC) ||
			endpoint_from_sockaddr(hdr->msg_name, &msg->remote) < 0)
			msg->len = 0;
		read_control(hdr, msg);
	}
	return got;
}

static void write_control(struct msghdr *hdr, union control *control, const struct sock_msg *msg)
{
	struct cmsghdr *c = &control->align;

	if (msg->local.family == 0 || msg->local.family != msg->remote.addr.family)
		return;
	memset(control, 0, sizeof(*control));
	hdr->msg_control = control;
	if (msg->local.family == AF_INET) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, msg->local.bytes, 4);
		hdr->msg_controllen = CMSG_SPACE(sizeof(info));
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, msg->local.bytes, 16);
		if (ip_addr_is_link_local(&msg->local))
			info.ipi6_ifindex = msg->remote.scope ? msg->remote.scope : msg->ifindex;
		hdr->msg_controllen = CMSG_SPACE(sizeof(info));
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

static void prepare(struct sock_batch *batch, size_t slot, struct sock_msg *msg)
{
	socklen_t len = endpoint_to_sockaddr(&msg->remote, &batch->names[slot]);

	batch->iovs[slot] = (struct iovec){ .iov_base = msg->data, .iov_len = msg->len };
	batch->msgs[slot].msg_hdr = (struct msghdr){ .msg_iov = &batch->iovs[slot],
		.msg_iovlen = 1,
		.msg_name = &batch->names[slot],
		.msg_namelen = len };
	write_control(&batch->msgs[slot].msg_hdr, &batch->controls[slot], msg);
	msg->error = 0;
}

static bool source_is_gone(int error)
{
	return error == EINVAL || error == EADDRNOTAVAIL || error == ENODEV ||
	       error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN;
}

/* The first message of the call was refused with @error. Returns 1 if it went out after all. */
static size_t retry_one(
	struct sock_batch *batch, int fd, size_t slot, struct sock_msg *msg, int error)
{
	struct msghdr *hdr = &batch->msgs[slot].msg_hdr;

	msg->error = -error;
	if (!hdr->msg_control || !source_is_gone(error))
		return 0;
	hdr->msg_control = NULL;
	hdr->msg_controllen = 0;
	if (sendmsg(fd, hdr, MSG_DONTWAIT) < 0)
		return 0;
	msg->error = -EADDRNOTAVAIL;
	return 1;
}

/* @n messages of one family, at most SOCK_BATCH_MAX. */
static size_t send_run(struct sock_batch *batch, int fd, struct sock_msg *msgs, size_t n)
{
	size_t done = 0, out = 0;

	for (size_t i = 0; i < n; i++)
		prepare(batch, i, &msgs[i]);
	while (done < n) {
		int r = sendmmsg(fd, &batch->msgs[done], (unsigned) (n - done), MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r > 0) {
			done += (size_t) r;
			out += (size_t) r;
			continue;
		}
		out += retry_one(batch, fd, done, &msgs[done], r < 0 ? errno : EIO);
		done++;
	}
	return out;
}

size_t sock_send(struct sock_batch *batch, const struct sock *sock, struct sock_msg *msgs, size_t n)
{
	size_t out = 0, i = 0;

	while (i < n) {
		uint8_t family = msgs[i].remote.addr.family;
		int fd = family == AF_INET ? sock->fd4 : family == AF_INET6 ? sock->fd6 : -1;
		size_t run = 1;

		if (fd < 0) {
			msgs[i++].error = -EAFNOSUPPORT;
			continue;
		}
		while (i + run < n && run < SOCK_BATCH_MAX &&
			msgs[i + run].remote.addr.family == family)
			run++;
		out += send_run(batch, fd, msgs + i, run);
		i += run;
	}
	return out;
}
