/*
 * place: where a TUN device is. It may be moved to another network namespace while its descriptor
 * stays with us; its MTU must then be asked for, and watched, over there.
 */
#pragma once

#include <stdint.h>

struct place {
	struct nl *nl; /* borrowed; NULL: the device stays at home */
	int watch_fd;  /* readable: something changed there (monitor_drain()). -1: at home */
};

/* The device's MTU in bytes, 0 if it cannot be found out. Opens and closes watch_fd as needed. */
uint32_t place_mtu(struct place *place, int tun_fd);
