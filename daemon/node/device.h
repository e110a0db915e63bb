/*
 * device: the tunnel's device keeps its name. It is ours by its descriptor and its number; what it
 * is called, and in which namespace it is, others may change (udev and .link files, people,
 * container runtimes). Firewall and people know it by its name, so it gets that back; problem
 * "device" while it does not.
 */
#pragma once

#include "node/core.h"
#include "tunnel/tunnel.h"

struct device;

/* @core is borrowed. NULL: out of memory. */
struct device *device_new(struct core *core);
struct device *device_free(struct device *device);

/*
 * Before a tunnel is opened: a device of ours that was left under another name gets its own back.
 */
void device_reclaim(struct device *device);
/*
 * The device of @tunnel, link number @ifindex, has its name, or gets it back. -ENODEV: it is out
 * of reach, and goes when the tunnel is closed: open another.
 */
int device_hold(struct device *device, struct tunnel *tunnel, int ifindex);
