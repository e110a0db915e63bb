/*
 * documents: the model behind init.yaml, join.yaml and upgrade.yaml. What follows from other values
 * is derive.c's.
 *
 * What cannot be changed after `kubeadm init`, and why it is what it is: IPv4 comes first in every
 * pair (the family of advertiseAddress must be that of the first service range); the allocator of
 * pod ranges is off, for the mesh gave each board its range for life; keys are ECDSA, which a
 * Raspberry Pi makes and checks many times faster than RSA; the cluster has the mesh's name, so
 * that kubeconfigs of two homes can be merged. What is Kubernetes' own default is not written,
 * unless a comment says why.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/names.h"
#include "kubeadm/kubeadm.h"

#define API_VERSION "kubeadm.k8s.io/v1beta4"
#define CRI_SOCKET  "unix:///run/containerd/containerd.sock"

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

/*
 * hearth.internal/board=pi3,hearth.internal/class=tiny,... with the record's own labels over them.
 */
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
 * A control plane of this home works as well: no taint is said with an empty list, absence would
 * mean kubeadm's own. A tiny board gets only what asks for it. The socket is named because a board
 * that has Docker has a second one, and kubeadm then refuses to choose.
 */
static json_t *registration(const struct kubeadm_node *node)
{
	json_t *reg = json_pack("{s:s, s:s}", "name", node->name, "criSocket", CRI_SOCKET);
	json_t *taints = NULL;

	if (!strcmp(kubeadm_class(node->memory_bytes), "tiny"))
		taints = json_pack("[{s:s, s:s, s:s}]", "key", "hearth.internal/tiny", "value",
			"true", "effect", "NoSchedule");
	else if (node->control_plane)
		taints = json_array();
	if (reg && taints)
		json_object_set_new(reg, "taints", taints);
	if (reg && json_object_set_new(reg, "kubeletExtraArgs", kubelet_arguments(node))) {
		json_decref(reg);
		return NULL;
	}
	return reg;
}

static json_t *endpoint(const struct kubeadm_node *node)
{
	return json_pack("{s:o}", "advertiseAddress", address(&node->mesh4));
}

/*
 * How long kubeadm waits, twice its own: SD cards and Wi-Fi are slow, and a wait that ends early
 * costs a reset. Each command is told what it waits for.
 */
enum command { INIT = 1, JOIN = 2, JOIN_PLANE = 4, UPGRADE = 8 };

static json_t *timeouts(enum command command)
{
	static const struct {
		const char *name, *value;
		int commands;
	} waits[] = {
		{ "controlPlaneComponentHealthCheck", "8m0s", INIT | JOIN_PLANE },
		{ "kubeletHealthCheck", "8m0s", INIT | JOIN | JOIN_PLANE },
		{ "kubernetesAPICall", "2m0s", INIT | JOIN | JOIN_PLANE | UPGRADE },
		{ "etcdAPICall", "4m0s", INIT | JOIN_PLANE | UPGRADE },
		{ "tlsBootstrap", "10m0s", JOIN | JOIN_PLANE },
		{ "discovery", "10m0s", JOIN | JOIN_PLANE },
		{ "upgradeManifests", "10m0s", UPGRADE },
	};
	json_t *ret = json_object();

	for (size_t i = 0; ret && i < ARRAY_LEN(waits); i++)
		if (waits[i].commands & (int) command)
			json_object_set_new(ret, waits[i].name, text(waits[i].value));
	return ret;
}

/* Where the board's sizes are. */
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
		"timeouts", timeouts(INIT));
}

/* Heartbeats and elections are stretched where a sync of the disk takes long. */
static json_t *etcd(void)
{
	return json_pack("{s:{s:[o, o]}}", "local", "extraArgs",
		argument("heartbeat-interval", "300"), argument("election-timeout", "3000"));
}

/*
 * The version is named, or kubeadm would ask the internet for the newest. A board is given a minute
 * before its pods are moved elsewhere: Wi-Fi is away for so long when a router restarts.
 */
static json_t *cluster_configuration(const struct kubeadm_home *home)
{
	const struct kubeadm_cluster *c = home->cluster;
	const char *storage = home->node->storage ? home->node->storage : "";
	json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:o, s:o}, s:{s:[o, o]}}",
		"apiVersion", API_VERSION, "kind", "ClusterConfiguration", "clusterName", c->mesh,
		"kubernetesVersion", home->version->text, "encryptionAlgorithm", "ECDSA-P256",
		"networking", "serviceSubnet", prefix_pair(&c->services4, &c->services6),
		"podSubnet", prefix_pair(&c->pods4, &c->pods6), "controllerManager", "extraArgs",
		argument("allocate-node-cidrs", "false"),
		argument("node-monitor-grace-period", "60s"));

	if (doc && strcmp(storage, "nvme") && strcmp(storage, "ssd") &&
		json_object_set_new(doc, "etcd", etcd())) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}

/*
 * The same for all boards; what differs is in each board's patch. Kubelet asks for certificates of
 * the cluster's CA; it starts where there is swap (zram, Ubuntu's swap file), and pods use none of
 * it, which is said because it was not always the default. Every enrolled board has its own
 * resolv.conf at this path. At shutdown pods get half a minute; the default is none.
 */
static json_t *kubelet_configuration(const char *dir)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:{s:s}, s:o, s:s, s:s}", "apiVersion",
		"kubelet.config.k8s.io/v1beta1", "kind", "KubeletConfiguration",
		"serverTLSBootstrap", 1, "failSwapOn", 0, "memorySwap", "swapBehavior", "NoSwap",
		"resolvConf", json_sprintf("%s/resolv.conf", dir), "shutdownGracePeriod", "30s",
		"shutdownGracePeriodCriticalPods", "10s");
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

/*
 * The kernel's own tables instead of iptables' chains: a change costs a Raspberry Pi milliseconds
 * instead of seconds. A packet is a pod's if it comes from a pod's link, whatever its address.
 * Connections are tracked up to 65536 on four cores, 20 MB if all are in use; kube-proxy's own
 * 131072 are too many for 1 GB, and its configuration is the same on all boards.
 */
static json_t *proxy_configuration(const struct kubeadm_cluster *cluster)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:{s:s}, s:o, s:{s:i, s:i}}", "apiVersion",
		"kubeproxy.config.k8s.io/v1alpha1", "kind", "KubeProxyConfiguration", "mode",
		"nftables", "detectLocalMode", "InterfaceNamePrefix", "detectLocal",
		"interfaceNamePrefix", NAMES_POD_LINK, "nodePortAddresses",
		node_port_addresses(cluster), "conntrack", "maxPerCore", 16384, "min", 32768);
}

json_t *kubeadm_init_documents(const struct kubeadm_home *home)
{
	return json_pack("[o, o, o, o]", init_configuration(home->node, home->dir),
		cluster_configuration(home), kubelet_configuration(home->dir),
		proxy_configuration(home->cluster));
}

/* A copy of the bundle's pins, for a user's may be merged into them. */
json_t *kubeadm_join_documents(const struct kubeadm_home *home, const struct kubeadm_bundle *bundle)
{
	const struct kubeadm_node *node = home->node;
	json_t *join = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:o}}, s:o, s:o, s:o}", "apiVersion",
		API_VERSION, "kind", "JoinConfiguration", "discovery", "bootstrapToken",
		"apiServerEndpoint", bundle->endpoint, "token", bundle->token, "caCertHashes",
		json_deep_copy(bundle->ca), "nodeRegistration", registration(node), "patches",
		patches(home->dir), "timeouts", timeouts(node->control_plane ? JOIN_PLANE : JOIN));

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

json_t *kubeadm_upgrade_documents(const struct kubeadm_home *home)
{
	return json_pack("[{s:s, s:s, s:{s:o}, s:{s:o}, s:o}]", "apiVersion", API_VERSION, "kind",
		"UpgradeConfiguration", "apply", "patches", patches(home->dir), "node", "patches",
		patches(home->dir), "timeouts", timeouts(UPGRADE));
}
