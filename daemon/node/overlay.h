/*
 * overlay: the subject of this board's tunnel into the mesh: opened on the UDP port of last time or
 * one that is free, on a device that hearth-helper opens where only root may, with handshake
 * timestamps that outlast a restart.
 */
#pragma once

#include <stdint.h>

#include "node/core.h"
#include "tunnel/tunnel.h"
#include "wire/settings.h"

struct overlay;

struct overlay_hooks {
	/* Somebody removed its device: it is to be closed, and opened again. */
	void (*lost)(void *ctx);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct overlay *overlay_new(struct core *core, const struct overlay_hooks *hooks, void *ctx);
/* Closes it. With nothing on its way to the disk. Returns NULL. */
struct overlay *overlay_free(struct overlay *overlay);

/*
 * Opens it on @port or a later one, for the ranges of @settings. It must be closed. -EPERM, -EBUSY
 * ... with @err.
 */
int overlay_open(struct overlay *overlay, const struct settings *settings, unsigned mtu,
	uint16_t port, struct err *err);
/* Device, routes and all that is on it stay. */
void overlay_close(struct overlay *overlay);

/* NULL while it is closed. Borrowed until then. */
struct tunnel *overlay_tunnel(const struct overlay *overlay);
/* Of its device; of the last one while it is closed. 0: there was none yet. */
int overlay_ifindex(const struct overlay *overlay);

/* Writes again what somebody removed of its files. */
void overlay_look(struct overlay *overlay);
