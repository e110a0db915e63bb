/*
 * Opens the sockets and sets what holds for all of their messages. What the kernel does not grant
 * (large buffers, offloads) is done without; a port that is not to be had in both families is an
 * error.
 */
#include "sys/sock/sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { PORT_TRIES = 64 };

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

/* What is asked of both sockets. */
struct wanted {
	uint16_t port;
	uint32_t mark;
	bool offload;
	bool join; /* those that are at this port already and share it */
};

/* Linux 4.18 and 5.0; without them every datagram is a message. */
static bool ask_gso(int fd)
{
	static const int off = 0;

	return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof(off)) == 0;
}

static void ask_offload(int fd, bool *ret_gso, bool *gro)
{
	static const int on = 1;

	*ret_gso = ask_gso(fd);
	*gro = setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0;
}

static int open_family(
	int family, const struct wanted *wanted, struct sock *s, bool *ret_gso, int *ret_fd)
{
	static const int on = 1, fragment = IP_PMTUDISC_DONT;
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(wanted->port) };
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(wanted->port) };
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
	if (wanted->mark &&
		setsockopt(fd, SOL_SOCKET, SO_MARK, &wanted->mark, sizeof(wanted->mark)) < 0)
		return -errno;
	if (wanted->offload)
		ask_offload(fd, ret_gso, &s->gro);
	if (!grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF) ||
		!grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF))
		s->small_buffers = true;
	if (wanted->join && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return -errno;
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
static int open_both(const struct wanted *asked, struct sock *ret)
{
	struct sock s = { .fd4 = -1, .fd6 = -1, .port = asked->port };
	struct wanted wanted = *asked;
	int r = open_family(AF_INET, &wanted, &s, &s.gso4, &s.fd4);

	if (r < 0 && !lacks_family(r))
		return r;
	if (s.port == 0 && s.fd4 >= 0)
		s.port = bound_port(s.fd4);
	wanted.port = s.port;
	r = open_family(AF_INET6, &wanted, &s, &s.gso6, &s.fd6);
	if (r < 0 && (!lacks_family(r) || s.fd4 < 0)) {
		sock_close(&s);
		return r;
	}
	if (s.port == 0)
		s.port = bound_port(s.fd6);
	*ret = s;
	return 0;
}

static int share_port(const struct sock *sock)
{
	static const int on = 1;
	const int fds[] = { sock->fd4, sock->fd6 };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0 &&
			setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
			return -errno;
	return 0;
}

/*
 * The first one finds out whether the port is free, as only one that is not to be shared can, and
 * shares it then with the others.
 */
static int open_group(const struct wanted *asked, size_t n, struct sock *ret)
{
	struct wanted wanted = *asked;
	size_t done = 1;
	int r = open_both(&wanted, &ret[0]);

	if (r < 0 || n == 1)
		return r;
	r = share_port(&ret[0]);
	wanted.port = ret[0].port;
	wanted.join = true;
	while (r == 0 && done < n) {
		r = open_both(&wanted, &ret[done]);
		done += r == 0;
	}
	while (r < 0 && done > 0)
		sock_close(&ret[--done]);
	return r;
}

int sock_open_group(
	uint16_t port, uint32_t mark, bool offload, size_t n, struct sock *ret, struct err *err)
{
	const struct wanted wanted = { .port = port, .mark = mark, .offload = offload };
	int r = -EADDRINUSE;

	/* A port drawn for IPv4 may be taken in IPv6: draw again. */
	for (int i = 0; i < (port ? 1 : PORT_TRIES) && r == -EADDRINUSE; i++)
		r = open_group(&wanted, n, ret);
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

int sock_open(uint16_t port, uint32_t mark, bool offload, struct sock *ret, struct err *err)
{
	return sock_open_group(port, mark, offload, 1, ret, err);
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

void sock_gso_again(struct sock *sock)
{
	if (!sock->gso_lost)
		return;
	sock->gso_lost = false;
	sock->gso4 = sock->fd4 >= 0 && ask_gso(sock->fd4);
	sock->gso6 = sock->fd6 >= 0 && ask_gso(sock->fd6);
}

/*
 * "Probe" is with DF and without regard to what ICMP has said of the way; IPv6 has no DF, so it is
 * told not to cut it here.
 */
void sock_set_whole(int fd, int family, bool whole)
{
	const int discover4 = whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT;
	const int discover6 = whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT, in_one = whole;

	if (family == AF_INET) {
		(void) setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover4, sizeof(discover4));
		return;
	}
	(void) setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover6, sizeof(discover6));
	(void) setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &in_one, sizeof(in_one));
}

int sock_fd_for(const struct sock *sock, const struct sock_msg *msg)
{
	switch (msg->remote.addr.family) {
	case AF_INET:
		return sock->fd4;
	case AF_INET6:
		return sock->fd6;
	default:
		return -1;
	}
}

/* --- a filter in the kernel --- */

/* A socket filter sees the UDP header first, and a load beyond the end refuses the datagram. */
#define DRAW BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t) (SKF_AD_OFF + SKF_AD_RANDOM))
enum { AT_PAYLOAD = 8, AT_MAC2_INITIATION = AT_PAYLOAD + 132, AT_MAC2_RESPONSE = AT_PAYLOAD + 76 };

/* The first four bytes of a message of WireGuard's. */
#define TYPE(n) ((uint32_t) (n) << 24)

static int attach_shed(int fd, const uint32_t keep[static SOCK_SHED_CLASSES])
{
	/* A draw below SOCK_SHED_ALL is let in if it is below keep. */
	struct sock_filter code[] = {
		/*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_PAYLOAD),
		/*  1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE(4), 17, 0), /* data */
		/*  2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE(1), 3, 0),
		/*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE(2), 4, 0),
		/*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE(3), 5, 0),
		/*  5 */ BPF_STMT(BPF_JMP | BPF_JA, 10),
		/*  6 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_MAC2_INITIATION),
		/*  7 */ BPF_STMT(BPF_JMP | BPF_JA, 1),
		/*  8 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_MAC2_RESPONSE),
		/*  9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
		/* 10 */ DRAW,
		/* 11 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCK_SHED_ALL - 1),
		/* 12 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, keep[SOCK_SHED_UNPROVEN], 7, 6),
		/* 13 */ DRAW,
		/* 14 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCK_SHED_ALL - 1),
		/* 15 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, keep[SOCK_SHED_PROVEN], 4, 3),
		/* 16 */ DRAW,
		/* 17 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCK_SHED_ALL - 1),
		/* 18 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, keep[SOCK_SHED_ASIDE], 1, 0),
		/* 19 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		/* 20 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };
	int r = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));

	return r < 0 ? -errno : 0;
}

int sock_set_shed(struct sock *sock, const uint32_t keep[static SOCK_SHED_CLASSES])
{
	const int fds[] = { sock->fd4, sock->fd6 };
	bool all = true;
	int r = 0, nothing = 0;

	for (int class = 0; class < SOCK_SHED_CLASSES; class ++)
		all = all && keep[class] >= SOCK_SHED_ALL;
	for (size_t i = 0; i < ARRAY_LEN(fds) && r == 0; i++) {
		if (fds[i] < 0)
			continue;
		if (!all)
			r = attach_shed(fds[i], keep);
		else /* ENOENT: there is none */
			(void) setsockopt(
				fds[i], SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing));
	}
	return r;
}
