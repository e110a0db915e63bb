/*
 * sock: one UDP port in both families, for a tunnel: two sockets (IPv4, and IPv6 only), batches in
 * and out, and the local address of every datagram. Where the kernel can (UDP_SEGMENT, UDP_GRO),
 * datagrams of one size travel between it and us as one message ("super-frame").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

enum {
	SOCK_BATCH_MAX = 64,      /* messages per call */
	SOCK_SEGMENTS_MAX = 64,   /* datagrams of one message sent: UDP_MAX_SEGMENTS */
	SOCK_MESSAGE_MAX = 65507, /* bytes of a message sent: what IPv4 and UDP can say */
	SOCK_BUFFER_BYTES = 4 * 1024 * 1024, /* of the kernel, each direction */
};

struct sock {
	int fd4, fd6;       /* non-blocking; -1: this machine lacks the family */
	uint16_t port;      /* bound in all families there are */
	bool small_buffers; /* the kernel granted less than SOCK_BUFFER_BYTES */
	bool gso4, gso6;    /* messages with more than one datagram leave whole */
	bool gro;           /* and may come in so */
	bool gso_lost;      /* a network card could not do it (EIO): the two above were cleared */
};

/*
 * Binds @port (0: one that is free in both families) and marks the packets with @mark if not 0.
 * @offload: ask the kernel for super-frames. -EADDRINUSE, -EACCES, -EAFNOSUPPORT when there is
 * neither family, -EPERM for the mark. On failure *ret is left alone.
 */
int sock_open(uint16_t port, uint32_t mark, bool offload, struct sock *ret, struct err *err);
/*
 * The same for @n at one port (SO_REUSEPORT): each remote address and port comes in at one of them,
 * always the same. All of them or none; the port must be free here, too.
 */
int sock_open_group(
	uint16_t port, uint32_t mark, bool offload, size_t n, struct sock *ret, struct err *err);
/*
 * Which of a group's sockets is a datagram's. Its first four bytes, as a number:
 *   @spread  one of the first @n_spread (a power of two, 2 at least), by the address or /64 that it
 *            comes from: whoever sends from many ports comes in at one
 *   @next    the one behind these
 *   others   the one behind that
 * A super-frame counts as what its first datagram is.
 */
struct sock_steer {
	uint32_t spread, next;
	unsigned n_spread;
	uint32_t odd; /* by chance: so nobody can choose the socket */
};
/* From now on; @sock is one of a group of @n_spread + 2. -errno if the kernel cannot. */
int sock_steer(const struct sock *sock, const struct sock_steer *steer);

void sock_close(struct sock *sock);
int sock_set_mark(struct sock *sock, uint32_t mark);
/*
 * If a network card could not send super-frames: other ones may be in use now, so they are tried
 * again.
 */
void sock_gso_again(struct sock *sock);

/* One message: to send (data, len, segment, remote, local) or received (the same and ifindex). */
struct sock_msg {
	uint8_t *data;
	size_t len;
	/*
	 * Datagrams of this size one behind the other in @data, the last one may be shorter. 0, or
	 * @len and more: one datagram.
	 */
	size_t segment;
	struct endpoint remote;
	/* Our address: send from this one (family 0: as routed); received at this one. */
	struct ip_addr local;
	uint32_t ifindex; /* received: the interface it came in on */
	uint8_t hops;     /* to send: TTL or hop limit, 0: the kernel's */
	/*
	 * To send: in one piece, whatever the kernel believes of the way's MTU; nobody may fragment
	 * it. One datagram; -EMSGSIZE if the interface has less.
	 */
	bool whole;
	/*
	 * To send: IPv6 packets of it are at most so long (1280 or more), whatever the kernel
	 * believes, and if we may make fragments ourselves (CAP_NET_RAW). 0: as the kernel does it.
	 */
	uint16_t fragment;

	/* Results of sending. */
	size_t sent;      /* bytes that have gone out */
	unsigned failed;  /* datagrams that have not */
	int error;        /* of the last of those, -errno */
	bool source_gone; /* @local is no address of ours any more: sent as routed instead */
};

/* Datagrams in a message. */
static inline unsigned sock_msg_datagrams(const struct sock_msg *msg)
{
	if (msg->segment == 0 || msg->segment >= msg->len)
		return 1;
	return (unsigned) ((msg->len + msg->segment - 1) / msg->segment);
}

/* The arrays that the system calls need; one per thread, made once. */
struct sock_batch;
struct sock_batch *sock_batch_new(void);
struct sock_batch *sock_batch_free(struct sock_batch *batch);

/*
 * Receives up to @n (at most SOCK_BATCH_MAX) messages from @fd into data[0 .. capacity) of each
 * and fills in the rest, so that it may be sent on as it is: hops, whole and fragment are the
 * kernel's. Returns how many, 0 if there is none, or -errno. A message that was cut or has no
 * usable sender is returned with len 0.
 */
int sock_recv(struct sock_batch *batch, int fd, struct sock_msg *msgs, size_t n, size_t capacity);

/*
 * Sends @n messages in order and returns how many are done with: all, or fewer if the send buffer
 * is full at the next one (wait for POLLOUT and send the rest, or give it up). What is refused is
 * skipped and counted in its message. A super-frame that a device cannot send (EIO: then also none
 * until sock_gso_again()), or that does not fit the path's MTU, goes out datagram by datagram. If
 * the local address is not accepted (it is gone), it goes out from any address.
 */
size_t sock_send(struct sock_batch *batch, struct sock *sock, struct sock_msg *msgs, size_t n);

/*
 * Sends one datagram: @msg's data, remote, local, hops and whole, without the results. No
 * super-frame, and nothing of @sock but its descriptors is used, so that another thread may send
 * meanwhile (but for one that is whole: what others send would be so, too). 0 or -errno, -EAGAIN if
 * the send buffer is full.
 */
int sock_send_one(const struct sock *sock, const struct sock_msg *msg);

/*
 * What is no data message of WireGuard: its handshake messages that carry a MAC2, the rest of them,
 * and what does not begin as a message of WireGuard's does (a type and three zero bytes).
 */
enum sock_shed_class { SOCK_SHED_UNPROVEN, SOCK_SHED_PROVEN, SOCK_SHED_ASIDE };
enum { SOCK_SHED_CLASSES = 3, SOCK_SHED_ALL = 65536 };

/*
 * From now on only a share of each class, drawn by chance, gets into the receive buffers:
 * @keep[class] of SOCK_SHED_ALL. Data messages always do. All of each: as it was at first. A
 * super-frame counts as what its first datagram is. -errno if the kernel cannot (nothing changes).
 */
int sock_set_shed(struct sock *sock, const uint32_t keep[static SOCK_SHED_CLASSES]);

/*
 * What is sent by the socket @fd of @family from now on is whole, or as it was at first: outer IPv4
 * packets may be fragmented anywhere, IPv6 ones by this machine.
 */
void sock_set_whole(int fd, int family, bool whole);

/* The socket that @msg would be sent with; -1: none of its family. */
int sock_fd_for(const struct sock *sock, const struct sock_msg *msg);
