/* STATUS: would an ADD work now, and have running pods their mesh? Changes nothing. */
#include <errno.h>

#include "cni/plugin.h"
#include "sys/lease/leases.h"
#include "sys/net/link.h"

/* Whether a family of @conf has ranges, all of them full. */
static bool is_full(const struct conf *conf, struct leases *store, int family)
{
	bool ranges = false;
	for (size_t i = 0; i < conf->n_subnets; i++) {
		uint64_t used;
		if (conf->subnets[i].addr.family != family)
			continue;
		ranges = true;
		/* Unreadable: ADD will say why. */
		if (leases_count(store, &conf->subnets[i], &used, NULL) < 0 ||
			used < leases_capacity(&conf->subnets[i]))
			return false;
	}
	return ranges;
}

static enum cni_code check_pool(const struct conf *conf, struct err *err)
{
	CLEANUP_LEASES struct leases *store = NULL;
	int r = leases_open_readonly(conf->name, &store, NULL);
	if (r < 0)
		return CNI_OK; /* nothing is leased yet; ADD makes the store */
	for (int i = 0; i < 2; i++)
		if (is_full(conf, store, i ? AF_INET6 : AF_INET)) {
			(void) err_set(err, -ENOSPC,
				"no IPv%d address for pods is left on this board", i ? 6 : 4);
			return CNI_NOT_READY;
		}
	return CNI_OK;
}

enum cni_code verb_status(const struct conf *conf, struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct link device;
	if (!conf->n_subnets) {
		(void) err_set(err, -ENOENT, "this board has no range for pods yet");
		return CNI_NOT_READY;
	}
	if (nl_open(&nl, err) < 0)
		return CNI_NOT_READY;
	int r = link_find(nl, conf->device, &device, err);
	if (r == -ENODEV)
		(void) err_set(err, r, "the mesh interface %s does not exist: is hearthd running?",
			conf->device);
	if (r < 0)
		return CNI_NOT_READY;
	if (!(device.flags & IFF_UP)) {
		(void) err_set(err, -ENETDOWN, "the mesh interface %s is down", conf->device);
		return CNI_NOT_READY;
	}
	enum cni_code code = check_pool(conf, err);
	if (code)
		return code;
	if (!device.carrier) {
		(void) err_set(err, -ENETDOWN,
			"nobody serves the mesh interface %s: is hearthd running?", conf->device);
		return CNI_NOT_READY_MESH;
	}
	return CNI_OK;
}
