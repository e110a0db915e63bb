/*
 * tun: TUN devices: inner IP packets, one per read() and write(). With offloads each has a
 * virtio-net header before it (packet/vnet.h) and may be a super-packet: many TCP segments or UDP
 * datagrams in one.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What a device can do, from nothing (all false) to all. */
struct tun_offload {
	bool header; /* the virtio-net header is there, 10 bytes, little endian */
	bool csum;   /* packets come without checksums */
	bool tso;    /* TCP super-packets, both families, both ways */
	bool uso;    /* UDP super-packets (Linux 6.2), both ways */
};

/* Why /dev/net/tun cannot be opened (@code, a negative errno), and what to do. Returns @code. */
int tun_explain(int code, struct err *err);

/*
 * Makes the device (or takes over a persistent one of this name that nobody holds) and returns a
 * non-blocking descriptor the caller owns. @name may be a pattern with one "%d"; the name it got is
 * written to @ret_name. @offload says if offloads are wanted, and is told which there are. Errors:
 * -EBUSY the name is taken, -EINVAL no name for an interface, -ENOENT or -ENODEV there is no
 * /dev/net/tun (or nothing behind it), -EPERM or -EACCES no right.
 */
int tun_open(const char *name, bool persistent, bool offload, char ret_name[static IF_NAMESIZE],
	struct tun_offload *ret_offload, struct err *err);

/*
 * tun_open() of a device that ends with its descriptors and is not there yet (-EBUSY), with up to
 * @n queues: one descriptor each in @ret_fds, the caller's. What is written to one of them makes
 * the answers to it come out there. Returns how many there are; fewer if the kernel does not grant
 * more.
 */
int tun_open_queues(const char *name, bool offload, unsigned n, int *ret_fds,
	char ret_name[static IF_NAMESIZE], struct tun_offload *ret_offload, struct err *err);

/*
 * Checks that an inherited descriptor is a TUN without packet information, and makes it
 * non-blocking. Whether there is a virtio-net header was decided by who opened it; without one
 * there are no offloads.
 */
int tun_adopt(int fd, bool offload, char ret_name[static IF_NAMESIZE],
	struct tun_offload *ret_offload, struct err *err);

/* The present name of the device (it may have been renamed). 0 or -errno, -EBADFD: it is gone. */
int tun_name(int fd, char ret_name[static IF_NAMESIZE]);

/* Whether the device outlives its descriptors. 0 or -errno. */
int tun_set_persistent(int fd, bool persistent);

/* The device's MTU in bytes, 0 if it cannot be found out (moved to another namespace). */
uint32_t tun_mtu(int fd);
int tun_set_mtu(int fd, uint32_t mtu);

/*
 * The largest super-packet the kernel may hand over: @segments packets, @bytes in all (1 to 65536).
 * 0, or -errno: the kernel is older than 4.16, the device in another namespace, no right. It then
 * stays as it was, which costs speed only.
 */
int tun_set_super_max(int fd, uint32_t segments, uint32_t bytes);
