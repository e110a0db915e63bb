/*
 * sock: one UDP port in both families, for a tunnel: two sockets (IPv4, and IPv6 only), batches in
 * and out, and the local address of every datagram.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

enum {
	SOCK_BATCH_MAX = 64,                /* datagrams per call */
	SOCK_BUFFER_BYTES = 4 * 1024 * 1024 /* of the kernel, each direction */
};

struct sock {
	int fd4, fd6;       /* non-blocking; -1: this machine lacks the family */
	uint16_t port;      /* bound in all families there are */
	bool small_buffers; /* the kernel granted less than SOCK_BUFFER_BYTES */
};

/*
 * Binds @port (0: one that is free in both families) and marks the packets with @mark if not 0.
 * -EADDRINUSE, -EACCES, -EAFNOSUPPORT when there is neither family, -EPERM for the mark. On failure
 * *ret is left alone.
 */
int sock_open(uint16_t port, uint32_t mark, struct sock *ret, struct err *err);
void sock_close(struct sock *sock);
int sock_set_mark(struct sock *sock, uint32_t mark);

/* One datagram to send (data, len, remote, local) or received (all). */
struct sock_msg {
	uint8_t *data;
	size_t len;
	struct endpoint remote;
	/* Our address: send from this one (family 0: as routed); received at this one. */
	struct ip_addr local;
	uint32_t ifindex; /* received: the interface it came in on */
	int error;        /* sent: 0 or -errno */
};

/* The arrays that the system calls need; one per thread, made once. */
struct sock_batch;
struct sock_batch *sock_batch_new(void);
struct sock_batch *sock_batch_free(struct sock_batch *batch);

/*
 * Receives up to @n (at most SOCK_BATCH_MAX) datagrams from @fd into data[0 .. capacity) of each
 * message and fills in the rest. Returns how many, 0 if there is none, or -errno. A datagram that
 * was cut or has no usable sender is returned with len 0.
 */
int sock_recv(struct sock_batch *batch, int fd, struct sock_msg *msgs, size_t n, size_t capacity);

/*
 * Sends @n datagrams in order. What the kernel refuses is skipped and carries its error; datagrams
 * whose local address the kernel does not accept (it is gone) go out once more from any address and
 * carry -EADDRNOTAVAIL, so that the caller forgets it. Returns how many have gone out.
 */
size_t sock_send(
	struct sock_batch *batch, const struct sock *sock, struct sock_msg *msgs, size_t n);
