/*
 * rules-kubelet: KubeletConfiguration and KubeProxyConfiguration. kubeadm looks at their shape
 * alone, and kubelet at the rest only when it starts: `kubeadm init` then waits for eight minutes.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/names.h"
#include "kubeadm/rules.h"

/* --- sizes --- */

static bool is_percent(const char *text)
{
	char *end;
	double value = isdigit((unsigned char) *text) ? strtod(text, &end) : -1;

	return value >= 0 && value <= 100 && !strcmp(end, "%");
}

/* Kubelet refuses to reserve anything else, huge pages included ("cannot reserve"). */
static bool may_reserve(const struct rules *rules, const char *key)
{
	static const char *const resources[] = { "cpu", "memory", "ephemeral-storage", "pid",
		NULL };
	const struct kubeadm_version *version = rules->home->version;

	return rule_one_of(key, resources) ||
	       (version && version->minor > KUBEADM_MINOR_KNOWN && !strncmp(key, "hugepages-", 10));
}

static int check_reserved(
	const struct rules *rules, const json_t *doc, const char *field, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(doc, field), key, value)
	{
		if (json_is_null(value))
			continue;
		if (!may_reserve(rules, key))
			return err_set(err, -EINVAL,
				"KubeletConfiguration.%s: "
				"kubelet does not start when told to reserve \"%.60s\"; "
				"it reserves cpu, memory, ephemeral-storage and pid",
				field, key);
		if (rule_quantity(json_is_string(value) ? json_string_value(value) : "") < 0)
			return err_set(err, -EINVAL,
				"KubeletConfiguration.%s[%.60s] must be a quantity such as 200Mi "
				"or 250m",
				field, key);
	}
	return 0;
}

static int check_evictions(const json_t *doc, const char *field, struct err *err)
{
	static const char *const signals[] = { "memory.available", "nodefs.available",
		"nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
		"containerfs.available", "containerfs.inodesFree", "pid.available",
		"allocatableMemory.available", NULL };
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(doc, field), key, value)
	{
		const char *s = json_is_string(value) ? json_string_value(value) : "";

		if (!rule_one_of(key, signals))
			return err_set(err, -EINVAL, "KubeletConfiguration.%s knows no \"%.60s\"",
				field, key);
		if (!json_is_null(value) && rule_quantity(s) < 0 && !is_percent(s))
			return err_set(err, -EINVAL,
				"KubeletConfiguration.%s[%.60s] must be a quantity such as 200Mi "
				"or 10%%",
				field, key);
	}
	return 0;
}

static double memory_of(const json_t *doc, const char *field, const char *key)
{
	double n = rule_quantity(rule_text(json_object_get(doc, field), key));

	return n > 0 ? n : 0;
}

static int check_sizes(const struct rules *rules, const json_t *doc, struct err *err)
{
	uint64_t memory = rules->home->node->memory_bytes;
	int r = check_reserved(rules, doc, "systemReserved", err);

	if (r == 0)
		r = check_reserved(rules, doc, "kubeReserved", err);
	if (r == 0)
		r = check_evictions(doc, "evictionHard", err);
	if (r == 0)
		r = check_evictions(doc, "evictionSoft", err);
	if (r)
		return r;
	double kept = memory_of(doc, "systemReserved", "memory") +
		      memory_of(doc, "kubeReserved", "memory") +
		      memory_of(doc, "evictionHard", "memory.available");

	if (memory && kept >= (double) memory)
		return err_set(err, -EINVAL,
			"KubeletConfiguration keeps %.0f MiB back (systemReserved, "
			"kubeReserved and evictionHard), but the board has %.0f MiB: "
			"nothing would be left for pods",
			kept / 0x1p20, (double) memory / 0x1p20);
	return 0;
}

/* --- kubelet --- */

static int check_words(const json_t *doc, struct err *err)
{
	static const char *const swaps[] = { "", "NoSwap", "LimitedSwap", NULL };
	static const char *const drivers[] = { "", "systemd", "cgroupfs", NULL };
	const char *resolv = rule_text(doc, "resolvConf"), *pods = rule_text(doc, "staticPodPath");

	if (!rule_one_of(rule_text(json_object_get(doc, "memorySwap"), "swapBehavior"), swaps))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.memorySwap.swapBehavior must be NoSwap "
			"or LimitedSwap");
	if (!rule_one_of(rule_text(doc, "cgroupDriver"), drivers))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.cgroupDriver must be systemd or cgroupfs");
	if (*resolv && *resolv != '/')
		return err_set(
			err, -EINVAL, "KubeletConfiguration.resolvConf must be an absolute path");
	if (*pods && strcmp(pods, "/etc/kubernetes/manifests"))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.staticPodPath must stay /etc/kubernetes/manifests, "
			"where kubeadm puts the control plane");
	return 0;
}

static int check_shutdown(const json_t *doc, struct err *err)
{
	int64_t grace = rule_duration(rule_text(doc, "shutdownGracePeriod"));
	int64_t critical = rule_duration(rule_text(doc, "shutdownGracePeriodCriticalPods"));

	if (critical > 0 && critical > grace)
		return err_set(err, -EINVAL,
			"KubeletConfiguration.shutdownGracePeriodCriticalPods is part of "
			"shutdownGracePeriod and must not be longer");
	if ((grace > 0 || critical > 0) &&
		json_array_size(json_object_get(doc, "shutdownGracePeriodByPodPriority")))
		return err_set(err, -EINVAL,
			"KubeletConfiguration: kubelet takes shutdownGracePeriod "
			"or shutdownGracePeriodByPodPriority, not both");
	return 0;
}

static int check_limits(const json_t *doc, struct err *err)
{
	const json_t *pods = json_object_get(doc, "maxPods");
	const json_t *high = json_object_get(doc, "imageGCHighThresholdPercent");
	const json_t *low = json_object_get(doc, "imageGCLowThresholdPercent");
	const char *signal;
	json_t *value;

	if (json_is_integer(pods) &&
		(json_integer_value(pods) < 1 || json_integer_value(pods) > 250))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.maxPods must be between 1 and 250: "
			"a board has a /24 of pod addresses");
	if (json_is_integer(high) && json_is_integer(low) &&
		json_integer_value(low) >= json_integer_value(high))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.imageGCLowThresholdPercent must be below "
			"imageGCHighThresholdPercent");
	json_object_foreach(json_object_get(doc, "evictionSoft"), signal, value)
	{
		if (!*rule_text(json_object_get(doc, "evictionSoftGracePeriod"), signal))
			return err_set(err, -EINVAL,
				"KubeletConfiguration.evictionSoft[%.60s] needs an "
				"evictionSoftGracePeriod of the same name",
				signal);
	}
	return 0;
}

static void note_open_kubelet(const struct rules *rules, const json_t *doc)
{
	const json_t *anonymous =
		json_object_get(json_object_get(doc, "authentication"), "anonymous");
	json_int_t port = json_integer_value(json_object_get(doc, "readOnlyPort"));

	if (json_is_true(json_object_get(anonymous, "enabled")) ||
		!strcmp(rule_text(json_object_get(doc, "authorization"), "mode"), "AlwaysAllow"))
		rules_note(rules,
			"kubelet would let people without a certificate run programs in pods: "
			"authentication.anonymous and authorization.mode AlwaysAllow open it");
	if (port)
		rules_note(rules,
			"kubelet's readOnlyPort %" JSON_INTEGER_FORMAT
			" tells everybody in the LAN and in the mesh what runs here",
			port);
}

/* Pods look for services in clusterDomain, and CoreDNS serves dnsDomain. */
static int check_domain(const struct rules *rules, const json_t *doc, struct err *err)
{
	const json_t *cluster = rule_document(rules->docs, "ClusterConfiguration");
	const char *own = rule_text(doc, "clusterDomain");
	const char *served = rule_text(json_object_get(cluster, "networking"), "dnsDomain");

	if (!*own || !cluster || !strcmp(own, *served ? served : "cluster.local"))
		return 0;
	return err_set(err, -EINVAL,
		"KubeletConfiguration.clusterDomain \"%.90s\" is not the cluster's %.90s: "
		"say it as ClusterConfiguration.networking.dnsDomain, which kubelet follows",
		own, *served ? served : "cluster.local");
}

int rules_kubelet(const struct rules *rules, const json_t *doc, struct err *err)
{
	int r = check_words(doc, err);

	if (r == 0)
		r = check_shutdown(doc, err);
	if (r == 0)
		r = check_limits(doc, err);
	if (r == 0)
		r = check_domain(rules, doc, err);
	if (r == 0)
		r = check_sizes(rules, doc, err);
	if (r == 0)
		note_open_kubelet(rules, doc);
	return r;
}

/* --- kube-proxy --- */

static int check_node_ports(const struct rules *rules, const json_t *doc, struct err *err)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(doc, "nodePortAddresses"), i, v)
	{
		struct ip_prefix p = { 0 };
		const char *s = json_is_string(v) ? json_string_value(v) : "";

		if (strcmp(s, "primary") && (!strchr(s, '/') || ip_prefix_parse(s, &p) < 0))
			return err_set(err, -EINVAL,
				"KubeProxyConfiguration.nodePortAddresses[%zu] \"%.60s\" must be a "
				"prefix such as 192.168.0.0/16",
				i, s);
		if (p.addr.family && !p.len)
			rules_note(rules,
				"nodePortAddresses %s opens every NodePort on every address, "
				"public IPv6 ones included",
				s);
	}
	return 0;
}

/*
 * A packet that is not known to be a pod's is masqueraded, and network policies see the wrong
 * source.
 */
static int check_local(const json_t *doc, struct err *err)
{
	static const char *const locals[] = { "", "ClusterCIDR", "NodeCIDR", "InterfaceNamePrefix",
		NULL };
	const char *mode = rule_text(doc, "detectLocalMode");
	const char *prefix = rule_text(json_object_get(doc, "detectLocal"), "interfaceNamePrefix");

	if (!rule_one_of(mode, locals))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.detectLocalMode must stay InterfaceNamePrefix, "
			"or be ClusterCIDR or NodeCIDR; pods have no bridge here");
	if (!strcmp(mode, "InterfaceNamePrefix") && strcmp(prefix, NAMES_POD_LINK))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.detectLocal.interfaceNamePrefix must "
			"stay " NAMES_POD_LINK ", with which the names of pods' links begin");
	return 0;
}

int rules_proxy(const struct rules *rules, const json_t *doc, struct err *err)
{
	static const char *const modes[] = { "", "iptables", "ipvs", "nftables", NULL };
	const struct kubeadm_cluster *c = rules->home->cluster;
	const char *range = rule_text(doc, "clusterCIDR");

	if (!rule_one_of(rule_text(doc, "mode"), modes))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.mode must be nftables, iptables or ipvs");
	if (*range && !rule_is_pair(range, &c->pods4, &c->pods6))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.clusterCIDR \"%.90s\" is not the mesh's range for "
			"pods: leave it out, kubeadm fills it in",
			range);
	int r = check_local(doc, err);

	return r ? r : check_node_ports(rules, doc, err);
}
