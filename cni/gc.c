/*
 * GC: removes what belongs to no attachment the runtime calls valid. Without a list nothing is
 * stale; with an empty one everything is. A lease whose link is up and whose other end is where a
 * process is, or may be, is kept and reported all the same: a wrong list must not give a running
 * pod's address away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/names.h"
#include "cni/attach.h"
#include "cni/plugin.h"
#include "sys/lease/leases.h"

struct gc {
	const struct conf *conf;
	struct nl *nl;
	struct leases *store;
	struct buf troubles;
};

/* A lease without an interface name (none of ours) would match by its container alone. */
static bool is_valid(const json_t *valid, const char *container, const char *ifname)
{
	const json_t *v;
	size_t i;

	json_array_foreach(valid, i,
		v) if (!strcmp(json_string_value(json_object_get(v, "containerID")), container) &&
		       (!*ifname || !strcmp(json_string_value(json_object_get(v, "ifname")),
					    ifname))) return true;
	return false;
}

static void trouble(struct gc *gc, const char *container, const char *ifname, const char *why)
{
	log_warning("container %s, %s: %s", container, ifname, why);
	buf_printf(
		&gc->troubles, "%s%s %s: %s", gc->troubles.len ? "; " : "", container, ifname, why);
}

/* Without its lease nobody knows where the other end is. */
static bool is_used(struct gc *gc, const struct lease_owner *owner, const struct link *link)
{
	struct lease lease;

	return leases_find(gc->store, owner, &lease, NULL) < 0 ||
	       leases_is_used(gc->nl, &lease, link);
}

static void collect_one(struct gc *gc, const char *container, const char *ifname)
{
	struct attachment at;
	struct link link;
	struct err err = { 0 };

	if (is_valid(gc->conf->valid, container, ifname))
		return;
	if (attach_name(&at, gc->conf->name, container, ifname, &err) < 0) {
		trouble(gc, container, ifname, err.text);
		return;
	}
	struct lease_owner owner = { at.link, container, ifname, NULL };

	if (leases_is_held(gc->store, &owner)) {
		trouble(gc, container, ifname, "kept: it is being attached now");
		return;
	}
	int r = link_find(gc->nl, at.link, &link, &err);

	if (r == 0 && attach_owns(&at, &link) && link.flags & IFF_UP && link.carrier &&
		is_used(gc, &owner, &link)) {
		trouble(gc, container, ifname, "kept: its link is up, so a pod still uses it");
		return;
	}
	if (r == -ENODEV)
		r = 0;
	else if (r == 0)
		r = attach_remove(gc->nl, &at, &err);
	if (r >= 0)
		r = leases_release(gc->store, &owner, &err);
	if (r < 0)
		trouble(gc, container, ifname, err.text);
	else
		log_info("container %s, %s: collected", container, ifname);
}

static int collect_leases(struct gc *gc, struct err *err)
{
	CLEANUP(free_p) struct lease *leases = NULL;
	size_t n = 0;
	int r = leases_list(gc->store, &leases, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (*leases[i].container)
			collect_one(gc, leases[i].container, leases[i].ifname);
	return r < 0 ? r : leases_remove_damaged(gc->store, err);
}

/* Links of ours that have no lease any more. */
static int collect_links(struct gc *gc, struct err *err)
{
	CLEANUP(free_p) struct link *links = NULL;
	size_t n = 0;
	char container[LEASES_CONTAINER_MAX + 1], ifname[IFNAMSIZ];
	int r = link_list(gc->nl, &links, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct attachment at;
		struct lease lease;

		if (!names_is_pod_link(links[i].name) ||
			!attach_parse_alias(links[i].alias, gc->conf->name, container, ifname) ||
			attach_name(&at, gc->conf->name, container, ifname, NULL) < 0)
			continue;
		struct lease_owner owner = { at.link, container, ifname, NULL };

		if (leases_find(gc->store, &owner, &lease, NULL) < 0)
			collect_one(gc, container, ifname);
	}
	return r;
}

enum cni_code verb_gc(const struct conf *conf, struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	CLEANUP_LEASES struct leases *store = NULL;
	struct gc gc = { .conf = conf };

	if (!conf->valid)
		return CNI_OK;
	int r = leases_open(conf->name, &store, err);

	if (r < 0)
		return r == -ETIMEDOUT ? CNI_TRY_LATER : CNI_IO;
	if (nl_open(&nl, err) < 0)
		return CNI_KERNEL;
	gc.nl = nl;
	gc.store = store;
	r = collect_leases(&gc, err);
	if (r == 0)
		r = collect_links(&gc, err);
	if (r == 0 && gc.troubles.len)
		r = err_set(err, -EBUSY, "not collected: %s", buf_str(&gc.troubles));
	buf_done(&gc.troubles);
	return r < 0 ? CNI_GC_INCOMPLETE : CNI_OK;
}
