/*
 * ADD: lease, links, result, in this order; what fails undoes what was done before it, in reverse,
 * and the first error is told.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "cni/attach.h"
#include "cni/plugin.h"
#include "cni/result.h"
#include "sys/lease/leases.h"

static enum cni_code code_of_store(int r)
{
	switch (r) {
	case -ENOSPC:
	case -EADDRINUSE:
		return CNI_NO_ADDRESS;
	case -EEXIST:
		return CNI_EXISTS;
	case -ETIMEDOUT:
	case -EBUSY:
		return CNI_TRY_LATER;
	default:
		return CNI_IO;
	}
}

/* On a kernel without IPv6 pods get IPv4 alone, rather than none at all. */
static size_t usable_subnets(const struct conf *conf, struct ip_prefix ret[static CONF_SUBNETS_MAX])
{
	bool ipv6 = access("/proc/sys/net/ipv6/conf", F_OK) == 0;
	size_t n = 0;

	for (size_t i = 0; i < conf->n_subnets; i++)
		if (ipv6 || conf->subnets[i].addr.family != AF_INET6)
			ret[n++] = conf->subnets[i];
	return n;
}

/* What holds the addresses, and what can be done about it. */
static int explain_full(
	const struct leases *store, const struct leases_census *census, struct err *err)
{
	char text[IP_TEXT_MAX];
	CLEANUP_BUF struct buf who = { 0 }, what = { 0 };

	buf_printf(&who, "%zu pods that live", census->living);
	if (census->living)
		buf_printf(&who, " (such as container %.64s, %s, %s)", census->example.container,
			census->example.ifname, ip_addr_format(&census->example.addrs[0], text));
	if (census->orphans)
		buf_printf(&who,
			", %zu of them lost by containerd but with processes that still run "
			"(`ip netns pids NAME`)",
			census->orphans);
	if (census->held)
		buf_printf(&who, ", %zu being attached", census->held);
	if (census->elsewhere)
		buf_printf(&who, ", %zu of another network namespace", census->elsewhere);
	if (census->damaged)
		buf_printf(&who, ", %zu damaged files (GC removes them)", census->damaged);
	buf_add_str(&what, err->text); /* which family it is */
	return err_set(err, -ENOSPC,
		"%s: %s have them all (`ip -br link show type veth`, %s); let fewer pods run here "
		"(maxPods of kubelet)",
		buf_str(&what), buf_str(&who), leases_path(store));
}

static int reclaim(struct nl *nl, struct leases *store, struct leases_census *ret)
{
	int r = leases_reclaim(store, nl, LEASES_WAIT | LEASES_FORGOTTEN, ret, NULL);

	if (r == 0 && ret->dead + ret->forgotten)
		log_notice("%zu leases of pods that went without DEL are given back%s",
			ret->dead + ret->forgotten,
			ret->forgotten ? ": containerd does not know them, and no process is there"
				       : "");
	return r;
}

/* Pods that went without DEL may have what is wanted: then once more without them. */
static int take_or_reclaim(struct nl *nl, struct leases *store, const struct lease_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, struct err *err)
{
	struct leases_census census = { 0 };

	if (leases_runtime_is_new(store))
		(void) reclaim(
			nl, store, &census); /* nobody else may ever do it; no reason not to ADD */
	int r = leases_take(store, owner, subnets, n_subnets, want, n_want, ret, err);

	if (r != -ENOSPC && r != -EADDRINUSE)
		return r;
	if (reclaim(nl, store, &census) < 0)
		return r;
	r = leases_take(store, owner, subnets, n_subnets, want, n_want, ret, err);
	return r == -ENOSPC ? explain_full(store, &census, err) : r;
}

static enum cni_code take_lease(const struct env *env, const struct conf *conf, struct nl *nl,
	const struct lease_owner *owner, struct leases *store, struct lease *ret, bool *ret_new,
	struct err *err)
{
	struct ip_addr want[CONF_SUBNETS_MAX + ENV_ADDRS_MAX];
	size_t n = conf->n_want;

	memcpy(want, conf->want, n * sizeof(want[0]));
	memcpy(want + n, env->want, env->n_want * sizeof(want[0]));
	n += env->n_want;
	struct ip_prefix subnets[CONF_SUBNETS_MAX];
	size_t n_subnets = usable_subnets(conf, subnets);
	int r = take_or_reclaim(nl, store, owner, subnets, n_subnets, want, n, ret, err);

	*ret_new = r == 1;
	return r < 0 ? code_of_store(r) : CNI_OK;
}

static enum cni_code find_mtu(
	struct nl *nl, const struct conf *conf, unsigned *ret_mtu, struct err *err)
{
	struct link device;
	int r = link_find(nl, conf->device, &device, err);

	if (r < 0) {
		(void) err_set(err, r,
			"the mesh interface %s does not exist: is hearthd running? "
			"(systemctl status hearthd)",
			conf->device);
		return CNI_TRY_LATER;
	}
	*ret_mtu = device.mtu;
	return CNI_OK;
}

enum cni_code verb_add(
	const struct env *env, const struct conf *conf, json_t **ret_result, struct err *err)
{
	CLEANUP(close_p) int netns = -1;
	CLEANUP_NL struct nl *nl = NULL;
	CLEANUP_LEASES struct leases *store = NULL;
	CLEANUP_JSON json_t *result = NULL;
	struct attachment at;
	struct lease lease;
	unsigned mtu;
	bool is_new;

	if (attach_name(&at, conf->name, env->container, env->ifname, err) < 0)
		return CNI_ENVIRONMENT;
	if (!conf->n_subnets) {
		(void) err_set(err, -ENOENT,
			"the network configuration names no \"subnets\": "
			"this board has no range for pods yet");
		return CNI_CONFIG;
	}
	enum cni_code code = attach_open_netns(env->netns, env->netns_override, &netns, err);

	if (code)
		return code;
	if (nl_open(&nl, err) < 0)
		return CNI_KERNEL;
	code = find_mtu(nl, conf, &mtu, err);
	if (code)
		return code;
	int r = leases_open(conf->name, &store, err);

	if (r < 0)
		return r == -ETIMEDOUT ? CNI_TRY_LATER : CNI_IO;
	struct lease_owner owner = { at.link, env->container, env->ifname, env->netns };

	code = take_lease(env, conf, nl, &owner, store, &lease, &is_new, err);
	if (code)
		return code;
	/* Before the links: a malformed prevResult needs nothing undone in the pod. */
	result = result_add(conf, &at, env->netns, mtu, &lease, err);
	code = result ? attach_make(nl, &at, netns, mtu, conf, &lease, err) : CNI_DECODE;
	if (code) {
		/* An older lease stays with the attachment it belongs to. */
		if (is_new)
			(void) leases_release(store, &owner, NULL);
		return code;
	}
	*ret_result = TAKE(result);
	return CNI_OK;
}
