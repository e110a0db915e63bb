/*
 * tun: TUN devices: inner IP packets, one per read() and write(), without any header before them.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Makes the device (or takes over a persistent one of this name that nobody holds) and returns a
 * non-blocking descriptor the caller owns. @name may be a pattern with one "%d"; the name it got is
 * written to @ret_name. Errors: -EBUSY the name is taken, -EINVAL no name for an interface, -ENOENT
 * or -ENODEV there is no /dev/net/tun (or nothing behind it), -EPERM or -EACCES no right.
 */
int tun_open(const char *name, bool persistent, char ret_name[static IF_NAMESIZE], struct err *err);

/* Checks that an inherited descriptor is a TUN without packet information, and makes it non-blocking. */
int tun_adopt(int fd, char ret_name[static IF_NAMESIZE], struct err *err);

/* The present name of the device (it may have been renamed). 0 or -errno, -EBADFD: it is gone. */
int tun_name(int fd, char ret_name[static IF_NAMESIZE]);

/* The device's MTU in bytes, 0 if it cannot be found out (moved to another namespace). */
uint32_t tun_mtu(int fd);
int tun_set_mtu(int fd, uint32_t mtu);
