/*
 * train: datagrams on their way out of a connected socket, each in one or two pieces that lie where
 * the caller has them. Those in a row that are equally long (the last may be shorter) leave as one
 * message where the kernel can cut it up again (UDP_SEGMENT). Nothing waits: what a full send
 * buffer does not take is lost, and counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sock/sock.h"

enum {
	TRAIN_DATAGRAMS = 512, /* at once */
	TRAIN_MESSAGES = 64,
};

/* A connected UDP socket. */
struct train_sock {
	int fd;
	/*
	 * The longest datagrams of which several leave as one message; 0: none do. The kernel, the
	 * card and the MTU of the way decide.
	 */
	size_t gso_max;
};

struct train_counters {
	uint64_t sent;    /* datagrams */
	uint64_t super;   /* messages of several of them */
	uint64_t full;    /* datagrams lost: the send buffer was full */
	uint64_t refused; /* likewise: EMSGSIZE, ENETUNREACH, EPERM, ... */
};

struct train;
struct train *train_new(void);
struct train *train_free(struct train *train);

/*
 * A socket of @family, non-blocking, that asks for super-frames on both sides and for buffers of
 * @buffer_bytes, the caller's to bind, connect and close. 0 or -errno, and *@ret is left alone.
 */
int train_open(int family, int buffer_bytes, struct train_sock *ret);
/* The same of @fd, a socket of @family that is there already, non-blocking and connected. */
void train_take(int fd, int family, int buffer_bytes, struct train_sock *ret);
/* Another card or way may be in use now: super-frames are tried again. */
void train_gso_again(struct train_sock *sock);

/*
 * Puts the datagram of @head (NULL: none) and @data, for @sock, behind those that are in it. Both
 * stay where they are until it is sent. False: no room, train_send() first.
 */
bool train_add(struct train *train, const struct train_sock *sock, const void *head,
	size_t head_len, const void *data, size_t len);
/*
 * Sends all that is in it, in order, and adds to *@counters. Returns 0, or -errno of the last
 * datagram that was refused for another reason than a full buffer. An error that an ICMP message
 * about an earlier datagram left (ECONNREFUSED) is returned, but costs nothing.
 */
int train_send(struct train *train, struct train_sock *sock, struct train_counters *counters);
