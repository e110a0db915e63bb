/* device: see device.h. Who renames it again and again is not fought for ever: repair.h. */
#include "node/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/repair.h"
#include "sys/net/link.h"

struct device {
	struct core *core;
	const struct device_hooks *hooks;
	void *ctx;
	struct repair repairs;
};

struct device *device_new(struct core *core, const struct device_hooks *hooks, void *ctx)
{
	struct device *device = calloc(1, sizeof(*device));

	if (device)
		*device = (struct device){ .core = core, .hooks = hooks, .ctx = ctx };
	return device;
}

struct device *device_free(struct device *device)
{
	free(device);
	return NULL;
}

/* --- its name --- */

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

/* --- what is on it --- */

static int find_routes(const struct device *device, const struct view *view, struct routes *ret)
{
	const struct node *node = NULL;
	int r = 0;

	while (r == 0 && (node = netmap_next(view->map, node)))
		if (node->id != view->self->id)
			r = routes_add_peer(ret, view->self, node, view->ifindex,
				device->hooks->mtu(device->ctx, node->id));
	return r;
}

static int make(
	struct device *device, const struct view *view, unsigned *ret_changed, struct err *err)
{
	const struct core *core = device->core;
	const struct config *config = &core->config;
	CLEANUP_ROUTES struct routes routes = { 0 };
	char alias[IFACE_ALIAS_MAX];
	struct iface_want want = {
		.index = view->ifindex,
		.alias = iface_alias(config->mesh, config->node, alias),
		.mtu = view->mtu,
		.own4 = view->self->mesh4,
		.own6 = view->self->mesh6,
		.link_local =
			iface_link_local(core->identity_seed, config->mesh, config->interface),
		.routes = &routes,
	};
	enum iface_ipv6 ipv6;
	int r = find_routes(device, view, &routes);

	*ret_changed = 0;
	if (r < 0)
		return err_set(err, r, "out of memory");
	r = iface_apply(core->nl, &want, &ipv6, ret_changed, err);
	if (r == 0 || ipv6 != IFACE_IPV6_UP)
		device->hooks->ipv6(device->ctx, ipv6);
	return r;
}

int device_apply(struct device *device, const struct view *view, struct err *err)
{
	unsigned changed;
	int r = make(device, view, &changed, err);

	problem_set(&device->core->problems, "interface", r < 0 ? err : NULL);
	return r;
}

void device_look(struct device *device, const struct view *view)
{
	struct err err = { 0 };
	unsigned changed;
	int r = make(device, view, &changed, &err);

	problem_set(&device->core->problems, "interface", r < 0 ? &err : NULL);
	if (r == 0 && changed)
		log_seldom(LOG_LEVEL_NOTICE,
			"another program changed interface %s:%s%s%s%s; it is as it was again",
			device->core->config.interface, changed & IFACE_DOWN ? " taken down" : "",
			changed & IFACE_MTU ? " MTU" : "",
			changed & IFACE_ADDRS ? " addresses" : "",
			changed & IFACE_ROUTES ? " routes" : "");
}

bool device_is_whole(const struct device *device)
{
	const struct problems *problems = &device->core->problems;

	return !problem_is(problems, "interface") && !problem_is(problems, "device");
}

void device_clear(struct device *device)
{
	struct err err = { 0 };

	if (iface_clear(device->core->nl, device->core->config.interface, &err) < 0 &&
		err.code != -ENODEV)
		log_warning("%s, ignoring", err.text);
	problem_set(&device->core->problems, "interface", NULL);
	problem_set(&device->core->problems, "device", NULL);
}
