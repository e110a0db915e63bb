/* device: see device.h. Who renames it again and again is not fought for ever: repair.h. */
#include "node/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/iface.h"
#include "node/repair.h"
#include "sys/net/link.h"

struct device {
	struct core *core;
	struct repair repairs;
};

struct device *device_new(struct core *core)
{
	struct device *device = calloc(1, sizeof(*device));

	if (device)
		device->core = core;
	return device;
}

struct device *device_free(struct device *device)
{
	free(device);
	return NULL;
}

void device_reclaim(struct device *device)
{
	const struct config *config = &device->core->config;
	char alias[IFACE_ALIAS_MAX], was[IF_NAMESIZE];
	struct err err = { 0 };
	int r = iface_reclaim(device->core->nl, config->interface,
		iface_alias(config->mesh, config->node, alias), was, &err);

	if (r < 0)
		log_warning("%s, ignoring", err.text);
	else if (r > 0)
		log_notice("interface %s was renamed to %s while hearthd did not run; it %s",
			config->interface, was,
			r == 1 ? "has its name back" : "is removed, for there is another one");
}

static void say(struct device *device, int code, const char *was, const char *why)
{
	struct err err = { 0 };

	err_set(&err, code,
		"no packets of the mesh pass: its interface %s was renamed to %s by another "
		"program, and does not get its name back: %.500s",
		device->core->config.interface, was, why);
	problem_set(&device->core->problems, "device", &err);
}

static void rename_back(struct device *device, const struct link *link)
{
	uint64_t now = clock_now_us();
	struct err err = { 0 };

	if (repair_wait_us(&device->repairs, now)) {
		say(device, -EBUSY, link->name, "it is renamed again and again; find out by what");
		return; /* until the minute's round */
	}
	if (iface_rename(device->core->nl, link->index, device->core->config.interface, &err) < 0) {
		say(device, err.code, link->name, err.text);
		return;
	}
	repair_done(&device->repairs, now);
	log_notice("interface %s was renamed to %s by another program; it has its name back",
		device->core->config.interface, link->name);
	problem_set(&device->core->problems, "device", NULL);
}

int device_hold(struct device *device, struct tunnel *tunnel, int ifindex)
{
	char name[IF_NAMESIZE];
	struct err err = { 0 };
	struct link link;
	int r;

	if (tunnel_device_name(tunnel, name) < 0)
		return 0; /* removed: the tunnel tells of it */
	r = link_get(device->core->nl, ifindex, &link, &err);
	if (r == -ENODEV) {
		log_warning("interface %s was moved to another network namespace; making it again",
			device->core->config.interface);
		tunnel_forget_device(tunnel);
		return -ENODEV;
	}
	if (r == 0 && strcmp(link.name, device->core->config.interface) != 0)
		rename_back(device, &link);
	else if (r == 0)
		problem_set(&device->core->problems, "device", NULL);
	return 0;
}
