/*
 * DEL: by names alone, never into the pod's namespace, which may be gone; twice is as good as once.
 * The lease goes last, so that its address is free only when nothing uses it.
 */
#include <errno.h>

#include "cni/attach.h"
#include "cni/plugin.h"
#include "sys/lease/leases.h"

enum cni_code verb_del(const struct env *env, const struct conf *conf, struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	CLEANUP_LEASES struct leases *store = NULL;
	struct attachment at;

	if (attach_name(&at, conf->name, env->container, env->ifname, NULL) < 0)
		return CNI_OK; /* ADD refused it, so there is nothing */
	if (nl_open(&nl, err) < 0 || attach_remove(nl, &at, err) < 0)
		return CNI_KERNEL;
	struct lease_owner owner = { at.link, env->container, env->ifname, NULL };
	int r = leases_open(conf->name, &store, err);

	if (r == 0)
		r = leases_release(store, &owner, err);
	return r >= 0 ? CNI_OK : r == -ETIMEDOUT ? CNI_TRY_LATER : CNI_IO;
}
