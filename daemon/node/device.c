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
	int r = iface_reclaim(h->nl, h->config.interface,
		iface_alias(h->config.mesh, h->config.node, alias), was, &err);

	if (r < 0)
		log_warning("%s, ignoring", err.text);
	else if (r > 0)
		log_notice("interface %s was renamed to %s while hearthd did not run; it %s",
			h->config.interface, was,
			r == 1 ? "has its name back" : "is removed, for there is another one");
}

static void say(struct hearthd *h, int code, const char *was, const char *why)
{
	struct err err = { 0 };

	err_set(&err, code,
		"no packets of the mesh pass: its interface %s was renamed to %s by another "
		"program, and does not get its name back: %.500s",
		h->config.interface, was, why);
	hearthd_problem(h, PROBLEM_DEVICE, &err);
}

static void rename_back(struct hearthd *h, const struct link *link)
{
	uint64_t now = clock_now_us();
	struct err err = { 0 };

	if (repair_wait_us(&h->device_repairs, now)) {
		say(h, -EBUSY, link->name, "it is renamed again and again; find out by what");
		return; /* until the minute's round */
	}
	if (iface_rename(h->nl, link->index, h->config.interface, &err) < 0) {
		say(h, err.code, link->name, err.text);
		return;
	}
	repair_done(&h->device_repairs, now);
	log_notice("interface %s was renamed to %s by another program; it has its name back",
		h->config.interface, link->name);
	hearthd_problem(h, PROBLEM_DEVICE, NULL);
}

int device_hold(struct hearthd *h)
{
	char name[IF_NAMESIZE];
	struct err err = { 0 };
	struct link link;
	int r;

	if (tunnel_device_name(h->tunnel, name) < 0)
		return 0; /* removed: the tunnel tells of it */
	r = link_get(h->nl, h->ifindex, &link, &err);
	if (r == -ENODEV) {
		log_warning("interface %s was moved to another network namespace; making it again",
			h->config.interface);
		tunnel_forget_device(h->tunnel);
		return -ENODEV;
	}
	if (r == 0 && strcmp(link.name, h->config.interface) != 0)
		rename_back(h, &link);
	else if (r == 0)
		hearthd_problem(h, PROBLEM_DEVICE, NULL);
	return 0;
}
