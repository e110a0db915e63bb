/*
 * documents: the model behind init.yaml and join.yaml.
 *
 * What cannot be changed after `kubeadm init`, and why it is what it is: the endpoint is a name (a
 * further control plane or a virtual address needs no new certificates in kubeconfigs); IPv4 comes
 * first in every pair (the family of advertiseAddress must be that of the first service range); the
 * certificate names hold both mesh addresses, the reserved virtual addresses and the first service
 * address of the second family, which kubeadm does not add; the allocator of pod ranges is off, for
 * the mesh gave each board its range for life; certificatesDir keeps its default, another value
 * breaks every kubelet that joins.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "kubeadm/kubeadm.h"

#define API_VERSION "kubeadm.k8s.io/v1beta4"
#define CRI_SOCKET  "unix:///run/containerd/containerd.sock"
#define API_PORT    6443

/* Containers take a NULL from a failed constructor as a failure and return it at once. */
static json_t *text(const char *s)
{
	return json_string(s);
}

static json_t *address(const struct ip_addr *addr)
{
	char s[IP_TEXT_MAX];
	return json_string(ip_addr_format(addr, s));
}

/* "10.244.0.0/16,fd00:1:2:1000::/56": the order of families is the same everywhere. */
static json_t *prefix_pair(const struct ip_prefix *v4, const struct ip_prefix *v6)
{
	char a[PREFIX_TEXT_MAX], b[PREFIX_TEXT_MAX];
	return json_sprintf("%s,%s", ip_prefix_format(v4, a), ip_prefix_format(v6, b));
}

static json_t *argument(const char *name, const char *value)
{
	return json_pack("{s:s, s:s}", "name", name, "value", value);
}

/* hearth.internal/board=pi3,hearth.internal/class=tiny,... with the record's own labels over them. */
static char *node_labels(const struct kubeadm_node *node)
{
	CLEANUP_JSON json_t *all = json_pack("{s:s, s:s}", "hearth.internal/board", node->board,
		"hearth.internal/class", kubeadm_class(node->memory_bytes));
	if (!all)
		return NULL;
	if (node->storage)
		json_object_set_new(all, "hearth.internal/storage", text(node->storage));
	if (node->labels)
		json_object_update(all, (json_t *) node->labels);
	CLEANUP_BUF struct buf out = { 0 };
	const char *key;
	json_t *value;
	json_object_foreach(all, key, value)
	{
		if (json_is_string(value))
			buf_printf(
				&out, "%s%s=%s", out.len ? "," : "", key, json_string_value(value));
	}
	return buf_take(&out, NULL);
}

static json_t *kubelet_arguments(const struct kubeadm_node *node)
{
	char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX], pair[2 * IP_TEXT_MAX];
	(void) snprintf(pair, sizeof(pair), "%s,%s", ip_addr_format(&node->mesh4, v4),
		ip_addr_format(&node->mesh6, v6));
	CLEANUP(free_p) char *labels = node_labels(node);
	if (!labels)
		return NULL;
	return json_pack("[o, o]", argument("node-ip", pair), argument("node-labels", labels));
}

/*
 * A control plane of this home works as well, so it is not tainted; a tiny board gets only what asks
 * for it. No taint at all is said with an empty list, absence would mean kubeadm's default.
 */
static json_t *taints(const struct kubeadm_node *node)
{
	if (strcmp(kubeadm_class(node->memory_bytes), "tiny"))
		return json_array();
	return json_pack("[{s:s, s:s, s:s}]", "key", "hearth.internal/tiny", "value", "true",
		"effect", "NoSchedule");
}

static json_t *registration(const struct kubeadm_node *node)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "name", node->name, "criSocket", CRI_SOCKET,
		"taints", taints(node), "kubeletExtraArgs", kubelet_arguments(node));
}

static json_t *endpoint(const struct kubeadm_node *node)
{
	return json_pack(
		"{s:o, s:i}", "advertiseAddress", address(&node->mesh4), "bindPort", API_PORT);
}

/* Twice kubeadm's own: SD cards and Wi-Fi are slow, and a wait that ends early costs a reset. */
static json_t *timeouts(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "controlPlaneComponentHealthCheck",
		"8m0s", "kubeletHealthCheck", "8m0s", "kubernetesAPICall", "2m0s", "etcdAPICall",
		"4m0s", "tlsBootstrap", "10m0s", "discovery", "10m0s");
}

static json_t *patches(const char *dir)
{
	return json_pack("{s:o}", "directory", json_sprintf("%s/patches", dir));
}

/* Without a token of our own kubeadm would make one that is good for a day. */
static json_t *init_configuration(const struct kubeadm_node *node, const char *dir)
{
	return json_pack("{s:s, s:s, s:[{s:s, s:s}], s:o, s:o, s:o, s:o}", "apiVersion",
		API_VERSION, "kind", "InitConfiguration", "bootstrapTokens", "description",
		"made by kubeadm init, not used by hearth", "ttl", "15m0s", "localAPIEndpoint",
		endpoint(node), "nodeRegistration", registration(node), "patches", patches(dir),
		"timeouts", timeouts());
}

static json_t *cert_names(const struct kubeadm_cluster *cluster, const struct kubeadm_node *node)
{
	struct ip_addr first6;
	if (ip_prefix_nth(&cluster->services6, 1, &first6) < 0)
		first6 = cluster->services6.addr;
	struct ip_addr local4, local6;
	if (ip_addr_parse("127.0.0.1", &local4) < 0 || ip_addr_parse("::1", &local6) < 0)
		return NULL;
	return json_pack("[o, o, s, o, o, s, o, o, o, o, o]",
		json_sprintf("api.%s.internal", cluster->mesh),
		json_sprintf("%s.%s.internal", node->name, cluster->mesh), node->name,
		address(&node->mesh4), address(&node->mesh6), "localhost", address(&local4),
		address(&local6), address(&cluster->api4), address(&cluster->api6),
		address(&first6));
}

/*
 * 2 GiB is the size etcd itself recommends as a ceiling. Heartbeats and elections are stretched where
 * a sync of the disk takes long.
 */
static json_t *etcd(const struct kubeadm_node *node)
{
	bool fast =
		node->storage && (!strcmp(node->storage, "nvme") || !strcmp(node->storage, "ssd"));
	json_t *args = json_pack("[o]", argument("quota-backend-bytes", "2147483648"));
	if (args && !fast) {
		json_array_append_new(args, argument("heartbeat-interval", "300"));
		json_array_append_new(args, argument("election-timeout", "3000"));
	}
	return json_pack("{s:{s:s, s:o}}", "local", "dataDir", "/var/lib/etcd", "extraArgs", args);
}

static json_t *cluster_configuration(const struct kubeadm_cluster *cluster,
	const struct kubeadm_node *node, const struct kubeadm_version *version)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:s, s:{s:s, s:o, s:o}, s:{s:o}, s:{s:[o, o]}, s:o}",
		"apiVersion", API_VERSION, "kind", "ClusterConfiguration", "clusterName",
		cluster->mesh, "kubernetesVersion", version->text, "controlPlaneEndpoint",
		json_sprintf("api.%s.internal:%d", cluster->mesh, API_PORT), "encryptionAlgorithm",
		"ECDSA-P256", "networking", "dnsDomain", "cluster.local", "serviceSubnet",
		prefix_pair(&cluster->services4, &cluster->services6), "podSubnet",
		prefix_pair(&cluster->pods4, &cluster->pods6), "apiServer", "certSANs",
		cert_names(cluster, node), "controllerManager", "extraArgs",
		argument("allocate-node-cidrs", "false"),
		argument("node-monitor-grace-period", "60s"), "etcd", etcd(node));
}

/*
 * The same for all boards; what differs is in each board's patch. Every enrolled board has its own
 * resolv.conf at this path.
 */
static json_t *kubelet_configuration(const char *dir)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:{s:s}, s:o, s:s, s:s}", "apiVersion",
		"kubelet.config.k8s.io/v1beta1", "kind", "KubeletConfiguration", "cgroupDriver",
		"systemd", "serverTLSBootstrap", 1, "failSwapOn", 0, "memorySwap", "swapBehavior",
		"NoSwap", "resolvConf", json_sprintf("%s/resolv.conf", dir), "shutdownGracePeriod",
		"30s", "shutdownGracePeriodCriticalPods", "10s");
}

/*
 * NodePorts answer on the mesh and on private LANs, never on a public address. Prefixes only: words
 * such as "primary" do not go together with prefixes before 1.36.
 */
static json_t *node_port_addresses(const struct kubeadm_cluster *cluster)
{
	static const char *const lans[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"fc00::/7" };
	bool need4 = true, need6 = true;
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(lans); i++) {
		struct ip_prefix lan;
		if (ip_prefix_parse(lans[i], &lan) < 0)
			continue;
		json_array_append_new(list, text(lans[i]));
		need4 = need4 && !ip_prefix_contains(&lan, &cluster->mesh4.addr);
		need6 = need6 && !ip_prefix_contains(&lan, &cluster->mesh6.addr);
	}
	char s[PREFIX_TEXT_MAX];
	if (need4)
		json_array_append_new(list, text(ip_prefix_format(&cluster->mesh4, s)));
	if (need6)
		json_array_append_new(list, text(ip_prefix_format(&cluster->mesh6, s)));
	return list;
}

static json_t *proxy_configuration(const struct kubeadm_cluster *cluster)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:{s:s}, s:o}", "apiVersion",
		"kubeproxy.config.k8s.io/v1alpha1", "kind", "KubeProxyConfiguration", "mode",
		"nftables", "clusterCIDR", prefix_pair(&cluster->pods4, &cluster->pods6),
		"detectLocalMode", "InterfaceNamePrefix", "detectLocal", "interfaceNamePrefix",
		"hth", "nodePortAddresses", node_port_addresses(cluster));
}

json_t *kubeadm_init_documents(const struct kubeadm_cluster *cluster,
	const struct kubeadm_node *node, const struct kubeadm_version *version, const char *dir)
{
	return json_pack("[o, o, o, o]", init_configuration(node, dir),
		cluster_configuration(cluster, node, version), kubelet_configuration(dir),
		proxy_configuration(cluster));
}

json_t *kubeadm_join_documents(
	const struct kubeadm_node *node, const struct kubeadm_bundle *bundle, const char *dir)
{
	json_t *join = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:O}}, s:o, s:o, s:o}", "apiVersion",
		API_VERSION, "kind", "JoinConfiguration", "discovery", "bootstrapToken",
		"apiServerEndpoint", bundle->endpoint, "token", bundle->token, "caCertHashes",
		bundle->ca, "nodeRegistration", registration(node), "patches", patches(dir),
		"timeouts", timeouts());
	if (join && node->control_plane) {
		json_t *plane = json_pack("{s:o}", "localAPIEndpoint", endpoint(node));
		if (plane && bundle->certificate_key)
			json_object_set_new(plane, "certificateKey", text(bundle->certificate_key));
		if (json_object_set_new(join, "controlPlane", plane)) {
			json_decref(join);
			return NULL;
		}
	}
	return join ? json_pack("[o]", join) : NULL;
}
