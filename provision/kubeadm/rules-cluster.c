/*
 * rules-cluster: what `kubeadm config validate` lets pass of the cluster's own documents: ranges with
 * IPv6 first or too wide for their node masks, a version of the future, a certificatesDir that breaks
 * joining kubelets, an unknown swapBehavior or detectLocalMode, reservations beyond the memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kubeadm/rules.h"

bool rule_prefix_pair(const char *text, struct ip_prefix *ret4, struct ip_prefix *ret6)
{
	char copy[2 * PREFIX_TEXT_MAX + 1];
	struct ip_prefix v4, v6 = { 0 };
	if (strlen(text) >= sizeof(copy))
		return false;
	(void) snprintf(copy, sizeof(copy), "%s", text);
	char *comma = strchr(copy, ',');
	if (comma)
		*comma++ = 0;
	if (!strchr(copy, '/') || ip_prefix_parse(copy, &v4) < 0 || v4.addr.family != AF_INET)
		return false;
	if (comma && (!strchr(comma, '/') || ip_prefix_parse(comma, &v6) < 0 ||
			     v6.addr.family != AF_INET6))
		return false;
	*ret4 = v4;
	*ret6 = v6;
	return true;
}

/* kubeadm's bounds: a node's mask (24, 64) minus the prefix is at most 16; services span 20 bits. */
static int check_networking(const json_t *doc, struct err *err)
{
	const json_t *net = json_object_get(doc, "networking");
	struct ip_prefix pods[2], services[2];
	if (!rule_prefix_pair(rule_text(net, "podSubnet"), &pods[0], &pods[1]))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.networking.podSubnet must be an IPv4 prefix and an "
			"IPv6 "
			"prefix in this order, with a comma between");
	if (!rule_prefix_pair(rule_text(net, "serviceSubnet"), &services[0], &services[1]))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.networking.serviceSubnet must be an IPv4 prefix and "
			"an "
			"IPv6 prefix in this order, with a comma between");
	if (!pods[1].addr.family != !services[1].addr.family)
		return err_set(err, -EINVAL,
			"ClusterConfiguration.networking: podSubnet and serviceSubnet must have "
			"the "
			"same families");
	if (pods[0].len < 8 || pods[0].len > 24 ||
		(pods[1].addr.family && (pods[1].len < 48 || pods[1].len > 64)))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.networking.podSubnet must be between /8 and /24 in "
			"IPv4 "
			"and between /48 and /64 in IPv6: each board has a /24 and a /64 of it");
	if (services[0].len < 12 || services[0].len > 28 ||
		(services[1].addr.family && (services[1].len < 108 || services[1].len > 124)))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.networking.serviceSubnet must be between /12 and /28 "
			"in "
			"IPv4 and between /108 and /124 in IPv6");
	for (int i = 0; i < 2; i++)
		if (pods[i].addr.family && ip_prefix_overlaps(&pods[i], &services[i]))
			return err_set(err, -EINVAL,
				"ClusterConfiguration.networking: podSubnet and serviceSubnet "
				"overlap");
	const char *domain = rule_text(net, "dnsDomain");
	if (*domain && !rule_dns_name(domain, false))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.networking.dnsDomain must be a lower-case domain "
			"name");
	return 0;
}

static int check_version(const json_t *doc, const struct kubeadm_version *version, struct err *err)
{
	struct kubeadm_version want;
	const char *text = rule_text(doc, "kubernetesVersion");
	if (!*text)
		return 0;
	if (kubeadm_version_parse(text, &want, NULL) < 0 || *text != 'v')
		return err_set(err, -EINVAL,
			"ClusterConfiguration.kubernetesVersion \"%.40s\" must look like v1.37.2",
			text);
	if (!version)
		return 0;
	bool newer = want.major > version->major ||
		     (want.major == version->major && want.minor > version->minor);
	if (newer || want.major < version->major || want.minor + 1 < version->minor)
		return err_set(err, -EINVAL,
			"ClusterConfiguration.kubernetesVersion %s does not go with kubeadm %s, "
			"which "
			"makes clusters of its own minor version and the one before",
			want.text, version->text);
	return 0;
}

static int check_names(const json_t *doc, struct err *err)
{
	size_t i;
	json_t *name;
	json_array_foreach(json_object_get(json_object_get(doc, "apiServer"), "certSANs"), i, name)
	{
		struct ip_addr a;
		const char *s = json_string_value(name);
		if (ip_addr_parse(s, &a) < 0 && !rule_dns_name(s, true))
			return err_set(err, -EINVAL,
				"ClusterConfiguration.apiServer.certSANs[%zu] \"%.90s\" is neither "
				"an "
				"address nor a name",
				i, s);
	}
	return 0;
}

/* A later argument of the same name counts, as on a command line. */
static const char *argument(const json_t *args, const char *name)
{
	const char *value = NULL;
	size_t i;
	json_t *arg;
	json_array_foreach(args, i, arg)
	{
		if (!strcmp(rule_text(arg, "name"), name))
			value = rule_text(arg, "value");
	}
	return value;
}

static int check_arguments(const json_t *doc, struct err *err)
{
	static const char *const components[] = { "apiServer", "controllerManager", "scheduler",
		NULL };
	for (size_t c = 0; components[c]; c++) {
		const json_t *args =
			json_object_get(json_object_get(doc, components[c]), "extraArgs");
		size_t i;
		json_t *arg;
		json_array_foreach(args, i, arg)
		{
			const char *name = rule_text(arg, "name");
			if (*name && *name != '-' && json_object_get(arg, "value"))
				continue;
			return err_set(err, -EINVAL,
				"ClusterConfiguration.%s.extraArgs[%zu] needs a name without "
				"dashes "
				"in front, and a value",
				components[c], i);
		}
	}
	const char *allocate =
		argument(json_object_get(json_object_get(doc, "controllerManager"), "extraArgs"),
			"allocate-node-cidrs");
	if (!allocate || strcmp(allocate, "false"))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.controllerManager.extraArgs must say "
			"allocate-node-cidrs false: the mesh has given each board its pod ranges, "
			"and "
			"Kubernetes would give it others");
	return 0;
}

int rules_cluster(const json_t *doc, const struct kubeadm_version *version, struct err *err)
{
	static const char *const algorithms[] = { "", "RSA-2048", "RSA-3072", "RSA-4096",
		"ECDSA-P256", "ECDSA-P384", NULL };
	const char *dir = rule_text(doc, "certificatesDir");
	if (!rule_host_port(rule_text(doc, "controlPlaneEndpoint")))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.controlPlaneEndpoint must be host:port, without "
			"https://; "
			"it cannot be added or changed later");
	if (*dir && strcmp(dir, "/etc/kubernetes/pki"))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.certificatesDir must stay /etc/kubernetes/pki: the "
			"kubelets of joining boards look there whatever it says");
	if (!rule_one_of(rule_text(doc, "encryptionAlgorithm"), algorithms))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.encryptionAlgorithm must be RSA-2048, RSA-3072, "
			"RSA-4096, ECDSA-P256 or ECDSA-P384");
	if (!strcmp(rule_text(doc, "encryptionAlgorithm"), "ECDSA-P384") && version &&
		version->minor < 34)
		return err_set(err, -EINVAL,
			"ClusterConfiguration.encryptionAlgorithm ECDSA-P384 needs kubeadm v1.34");
	int r = check_version(doc, version, err);
	if (!r)
		r = check_networking(doc, err);
	if (!r)
		r = check_names(doc, err);
	return r ? r : check_arguments(doc, err);
}

/* ---- kubelet ---- */

static int check_quantities(const json_t *doc, const char *field, const char *const keys[],
	bool percent, struct err *err)
{
	const char *key;
	json_t *value;
	json_object_foreach(json_object_get(doc, field), key, value)
	{
		const char *s = json_string_value(value);
		size_t n = strspn(s, "0123456789.");
		bool ok = rule_memory(s) >= 0 || (percent && n && !strcmp(s + n, "%")) ||
			  (!strcmp(key, "cpu") && n && !strcmp(s + n, "m"));
		if (!rule_one_of(key, keys))
			return err_set(err, -EINVAL, "KubeletConfiguration.%s knows no \"%.60s\"",
				field, key);
		if (!ok)
			return err_set(err, -EINVAL,
				"KubeletConfiguration.%s[%.60s] must be a quantity such as 200Mi%s",
				field, key, percent ? " or 10%" : "");
	}
	return 0;
}

static int64_t memory_of(const json_t *doc, const char *field, const char *key)
{
	int64_t n = rule_memory(rule_text(json_object_get(doc, field), key));
	return n > 0 ? n : 0;
}

static int check_sizes(const json_t *doc, uint64_t memory_bytes, struct err *err)
{
	static const char *const resources[] = { "cpu", "memory", "ephemeral-storage", "pid",
		NULL };
	static const char *const signals[] = { "memory.available", "nodefs.available",
		"nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
		"containerfs.available", "containerfs.inodesFree", "pid.available",
		"allocatableMemory.available", NULL };
	int r = check_quantities(doc, "systemReserved", resources, false, err);
	if (!r)
		r = check_quantities(doc, "kubeReserved", resources, false, err);
	if (!r)
		r = check_quantities(doc, "evictionHard", signals, true, err);
	if (!r)
		r = check_quantities(doc, "evictionSoft", signals, true, err);
	if (r)
		return r;
	int64_t kept = memory_of(doc, "systemReserved", "memory") +
		       memory_of(doc, "kubeReserved", "memory") +
		       memory_of(doc, "evictionHard", "memory.available");
	if (memory_bytes && (uint64_t) kept >= memory_bytes)
		return err_set(err, -EINVAL,
			"KubeletConfiguration keeps %lld MiB back (systemReserved, kubeReserved "
			"and "
			"evictionHard), but the board has %llu MiB: nothing would be left for pods",
			(long long) kept >> 20, (unsigned long long) memory_bytes >> 20);
	return 0;
}

int rules_kubelet(const json_t *doc, uint64_t memory_bytes, struct err *err)
{
	static const char *const swaps[] = { "", "NoSwap", "LimitedSwap", NULL };
	static const char *const drivers[] = { "", "systemd", "cgroupfs", NULL };
	const char *resolv = rule_text(doc, "resolvConf");
	if (!rule_one_of(rule_text(json_object_get(doc, "memorySwap"), "swapBehavior"), swaps))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.memorySwap.swapBehavior must be NoSwap or "
			"LimitedSwap");
	if (!rule_one_of(rule_text(doc, "cgroupDriver"), drivers))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.cgroupDriver must be systemd or cgroupfs");
	if (*resolv && *resolv != '/')
		return err_set(
			err, -EINVAL, "KubeletConfiguration.resolvConf must be an absolute path");
	const json_t *pods = json_object_get(doc, "maxPods");
	if (pods && (json_integer_value(pods) < 1 || json_integer_value(pods) > 250))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.maxPods must be between 1 and 250: a board has a /24 "
			"of "
			"pod addresses");
	int64_t grace = rule_duration(rule_text(doc, "shutdownGracePeriod"));
	int64_t critical = rule_duration(rule_text(doc, "shutdownGracePeriodCriticalPods"));
	if (critical > 0 && critical > grace)
		return err_set(err, -EINVAL,
			"KubeletConfiguration.shutdownGracePeriodCriticalPods is part of "
			"shutdownGracePeriod and must not be longer");
	const json_t *high = json_object_get(doc, "imageGCHighThresholdPercent");
	const json_t *low = json_object_get(doc, "imageGCLowThresholdPercent");
	if (high && low && json_integer_value(low) >= json_integer_value(high))
		return err_set(err, -EINVAL,
			"KubeletConfiguration.imageGCLowThresholdPercent must be below "
			"imageGCHighThresholdPercent");
	return check_sizes(doc, memory_bytes, err);
}

/* ---- kube-proxy ---- */

static int check_node_ports(const json_t *doc, struct err *err)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(doc, "nodePortAddresses"), i, v)
	{
		struct ip_prefix p;
		const char *s = json_string_value(v);
		if (strcmp(s, "primary") && (!strchr(s, '/') || ip_prefix_parse(s, &p) < 0))
			return err_set(err, -EINVAL,
				"KubeProxyConfiguration.nodePortAddresses[%zu] \"%.60s\" must be a "
				"prefix "
				"such as 192.168.0.0/16",
				i, s);
	}
	return 0;
}

int rules_proxy(const json_t *doc, const json_t *cluster, struct err *err)
{
	static const char *const modes[] = { "", "iptables", "ipvs", "nftables", NULL };
	static const char *const locals[] = { "", "ClusterCIDR", "NodeCIDR", "BridgeInterface",
		"InterfaceNamePrefix", NULL };
	const char *local = rule_text(doc, "detectLocalMode"),
		   *range = rule_text(doc, "clusterCIDR");
	const json_t *detect = json_object_get(doc, "detectLocal");
	struct ip_prefix a, b;
	if (!rule_one_of(rule_text(doc, "mode"), modes))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.mode must be nftables, iptables or ipvs");
	if (!rule_one_of(local, locals))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.detectLocalMode must be ClusterCIDR, NodeCIDR, "
			"BridgeInterface or InterfaceNamePrefix");
	if (!strcmp(local, "InterfaceNamePrefix") && !*rule_text(detect, "interfaceNamePrefix"))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.detectLocal.interfaceNamePrefix is missing");
	if (!strcmp(local, "BridgeInterface") && !*rule_text(detect, "bridgeInterface"))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.detectLocal.bridgeInterface is missing");
	if (*range && !rule_prefix_pair(range, &a, &b))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.clusterCIDR must be an IPv4 prefix and an IPv6 "
			"prefix "
			"in this order");
	if (*range && cluster &&
		strcmp(range, rule_text(json_object_get(cluster, "networking"), "podSubnet")))
		return err_set(err, -EINVAL,
			"KubeProxyConfiguration.clusterCIDR is not the cluster's podSubnet");
	return check_node_ports(doc, err);
}
