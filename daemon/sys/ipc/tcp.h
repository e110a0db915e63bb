/*
 * tcp: the sockets of calls between boards. For the server and the client of ipc.h alone.
 */
#pragma once

#include "base/ip.h"

/* Listens on @on, which need not be an address of ours yet. 0, or -errno. */
int tcp_listen(const struct endpoint *on, int *ret_fd);
/* Begins to connect, without waiting: writable when that is done. 0, or -errno. */
int tcp_connect(const struct endpoint *to, int *ret_fd);
