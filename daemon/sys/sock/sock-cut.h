/*
 * sock-cut: datagrams over IPv6 in fragments that we make, by a raw socket. Linux fragments only
 * what it believes to be too long for the way; on one whose routers say nothing it does not learn
 * that, and there is no way to tell it for one destination. A part of sock.h.
 */
#pragma once

#include "sys/sock/sock.h"

struct sock_cutter {
	bool barred; /* we may not: CAP_NET_RAW is needed */
};

/* Are the datagrams of @msg to be cut? */
bool sock_is_cut(const struct sock_cutter *cutter, const struct sock_msg *msg);
/*
 * Sends them, and fills in the results of @msg. False: it cannot be done, as -errno in its error;
 * nothing was sent.
 */
bool sock_cut(struct sock_cutter *cutter, const struct sock *sock, struct sock_msg *msg);
