/*
 * STATUS: are pods served here? Changes nothing. That all addresses are in use is not told, though
 * the specification would: Kubernetes takes any error for a broken network, and evicts the pods
 * that use them (hearth-cni(8)).
 */
#include <errno.h>

#include "cni/plugin.h"
#include "sys/net/link.h"

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
	if (!device.carrier) {
		(void) err_set(err, -ENETDOWN,
			"nobody serves the mesh interface %s: is hearthd running?", conf->device);
		return CNI_NOT_READY_MESH;
	}
	return CNI_OK;
}
