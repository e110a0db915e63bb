/*
 * The tunnel's device is ours by its descriptor and its number; its name, and in which namespace it is,
 * others may change (udev and .link files, people, container runtimes). Firewall and people know it by its
 * name, so it gets that back.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "node/iface.h"

void device_reclaim(struct hearthd *h)
{
	char alias[IFACE_ALIAS_MAX], was[IF_NAMESIZE];
	struct err err = { 0 };
	int r = iface_reclaim(h->core.nl, h->core.config.interface,
		iface_alias(h->core.config.mesh, h->core.config.node, alias), was, &err);

	if (r < 0)
		log_warning("%s, ignoring", err.text);
	else if (r > 0)
		log_notice("interface %s was renamed to %s while hearthd did not run; it %s",
			h->core.config.interface, was,
			r == 1 ? "has its name back" : "is removed, for there is another one");
}

static void say(struct hearthd *h, int code, const char *was, const char *why)
{
	struct err err = { 0 };

	err_set(&err, code,
		"no packets of the mesh pass: its interface %s was renamed to %s by another "
		"program, and does not get its name back: %.500s",
		h->core.config.interface, was, why);
	problem_set(&h->core.problems, "device", &err);
}

static void rename_back(struct hearthd *h, const struct link *link)
{
	uint64_t now = clock_now_us();
	struct err err = { 0 };

	if (repair_wait_us(&h->device_repairs, now)) {
		say(h, -EBUSY, link->name, "it is renamed again and again; find out by what");
		return; /* until the minute's round */
	}
	if (iface_rename(h->core.nl, link->index, h->core.config.interface, &err) < 0) {
		say(h, err.code, link->name, err.text);
		return;
	}
	repair_done(&h->device_repairs, now);
	log_notice("interface %s was renamed to %s by another program; it has its name back",
		h->core.config.interface, link->name);
	problem_set(&h->core.problems, "device", NULL);
}

int device_hold(struct hearthd *h)
{
	char name[IF_NAMESIZE];
	struct err err = { 0 };
	struct link link;
	int r;

	if (tunnel_device_name(h->tunnel, name) < 0)
		return 0; /* removed: the tunnel tells of it */
	r = link_get(h->core.nl, h->ifindex, &link, &err);
	if (r == -ENODEV) {
		log_warning("interface %s was moved to another network namespace; making it again",
			h->core.config.interface);
		tunnel_forget_device(h->tunnel);
		return -ENODEV;
	}
	if (r == 0 && strcmp(link.name, h->core.config.interface) != 0)
		rename_back(h, &link);
	else if (r == 0)
		problem_set(&h->core.problems, "device", NULL);
	return 0;
}
