/*
 * listen: a listening TCP socket, one of our own or the one that systemd passed. Both do not wait.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/*
 * @where: "8443" or "[::]:8443" (both families, or IPv4 alone where IPv6 is off),
 * "192.168.1.2:8443", "[fd00::1]:8443". -EADDRINUSE, -EINVAL, ... with @err.
 */
int listen_open(const char *where, int *ret_fd, struct err *err);

/* 1 and the socket that systemd passed; 0: it passed none; -EINVAL: none that can be used. */
int listen_inherited(int *ret_fd, struct err *err);

/* The port it listens on; 0: it is no socket of IP. */
uint16_t listen_port(int fd);
