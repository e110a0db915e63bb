/*
 * device: the subject of the tunnel's device: it keeps its name, and carries what the mesh wants of
 * it: up, its MTU, addresses and routes. It is ours by its descriptor and its number; what it is
 * called, in which namespace it is and what is on it, others may change (udev and .link files,
 * people, container runtimes, network managers). Firewall and people know it by its name, so it
 * gets that back.
 *
 * Its problems: "device" while it does not; "interface" while it is not as it should be.
 */
#pragma once

#include "node/core.h"
#include "node/iface.h"
#include "node/view.h"
#include "tunnel/tunnel.h"

struct device;

struct device_hooks {
	/* What was found of IPv6 on it, each time it is looked at. */
	void (*ipv6)(void *ctx, enum iface_ipv6 found);
	/* What packets to node @id may be, in bytes. */
	unsigned (*mtu)(void *ctx, uint32_t id);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct device *device_new(struct core *core, const struct device_hooks *hooks, void *ctx);
struct device *device_free(struct device *device);

/* --- its name --- */

/*
 * Before a tunnel is opened: a device of ours that was left under another name gets its own back.
 */
void device_reclaim(struct device *device);
/*
 * The device of @tunnel, link number @ifindex, has its name, or gets it back. -ENODEV: it is out
 * of reach, and goes when the tunnel is closed: open another.
 */
int device_hold(struct device *device, struct tunnel *tunnel, int ifindex);

/* --- what is on it --- */

/* Makes it what @view says. -EPERM ... with @err, and then it is a problem as well. */
int device_apply(struct device *device, const struct view *view, struct err *err);
/* The same once more: what others changed is told. */
void device_look(struct device *device, const struct view *view);
/* Without a name, or not as it should be: there is no saying who takes packets from it. */
bool device_is_whole(const struct device *device);
/* Nothing is on it any more, and it is down; it stays. */
void device_clear(struct device *device);
