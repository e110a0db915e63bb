/*
 * rules: what `kubeadm config validate` lets pass of InitConfiguration, JoinConfiguration and
 * UpgradeConfiguration, and the mesh or a cluster then stumbles over.
 */
#include "kubeadm/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/node-label.h"

/* --- node-ip --- */

static bool parse_pair(const char *value, struct ip_addr ret[static 2], size_t *ret_n)
{
	char copy[2 * IP_TEXT_MAX + 1];

	if (strlen(value) >= sizeof(copy))
		return false;
	(void) snprintf(copy, sizeof(copy), "%s", value);
	char *comma = strchr(copy, ',');

	if (comma)
		*comma++ = 0;
	*ret_n = comma ? 2 : 1;
	return ip_addr_parse(copy, &ret[0]) == 0 &&
	       (!comma || (ip_addr_parse(comma, &ret[1]) == 0 && ret[0].family == AF_INET &&
				  ret[1].family == AF_INET6));
}

/*
 * Only what the mesh gave this board: boards elsewhere reach its kubelet nowhere else, and for no
 * other address does `hearth kube approve` give it a certificate.
 */
static int check_node_ip(
	const struct rules *rules, const char *value, const char *kind, struct err *err)
{
	const struct kubeadm_node *node = rules->home->node;
	char own4[IP_TEXT_MAX], own6[IP_TEXT_MAX];
	struct ip_addr addrs[2];
	size_t n = 0;

	if (value && !parse_pair(value, addrs, &n))
		return err_set(err, -EINVAL,
			"%s: kubelet's node-ip \"%.90s\" must be an address of this board, "
			"or an IPv4 and an IPv6 address in this order with a comma between",
			kind, value);
	bool own = n > 0;

	for (size_t i = 0; i < n; i++)
		own = own && (ip_addr_equal(&addrs[i], &node->mesh4) ||
				     ip_addr_equal(&addrs[i], &node->mesh6));
	if (own)
		return 0;
	return err_set(err, -EINVAL,
		"%s: kubelet's node-ip %.90s is not what the mesh gave this board (%s and %s): "
		"boards elsewhere would not reach its kubelet, and `hearth kube approve` gives it "
		"a certificate for no other address. Do not set node-ip, and it is both",
		kind, value ? value : "(none: then the default route's)",
		ip_addr_format(&node->mesh4, own4), ip_addr_format(&node->mesh6, own6));
}

/* --- node-labels --- */

static int check_node_labels(const char *value, const char *kind, struct err *err)
{
	CLEANUP(free_p) char *copy = strdup(value);

	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	char *rest = copy;

	for (char *label; (label = strsep(&rest, ","));) {
		char *equals = strchr(label, '=');

		if (!equals)
			return err_set(err, -EINVAL,
				"%s: \"%.90s\" in kubelet's node-labels is no label (name=value)",
				kind, label);
		*equals = 0;
		int r = node_label_check(label, equals + 1, err);

		if (r)
			return err_prefix(err, "%s, node-labels", kind);
	}
	return 0;
}

/* --- registration --- */

static int check_taints(const json_t *registration, const char *kind, struct err *err)
{
	static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute",
		NULL };
	size_t i;
	json_t *taint;

	json_array_foreach(json_object_get(registration, "taints"), i, taint)
	{
		if (!*rule_text(taint, "key") || !rule_one_of(rule_text(taint, "effect"), effects))
			return err_set(err, -EINVAL,
				"%s.nodeRegistration.taints[%zu] needs a key "
				"and an effect of NoSchedule, PreferNoSchedule or NoExecute",
				kind, i);
	}
	return 0;
}

static int check_kubelet(
	const struct rules *rules, const json_t *registration, const char *kind, struct err *err)
{
	const json_t *list = json_object_get(registration, "kubeletExtraArgs");
	const char *labels = rule_argument(list, "node-labels");
	char where[80];

	(void) snprintf(where, sizeof(where), "%s.nodeRegistration.kubeletExtraArgs", kind);
	int r = rules_arguments(rules, list, "kubelet", where, err);

	if (r == 0)
		r = check_node_ip(rules, rule_argument(list, "node-ip"), kind, err);
	return r || !labels || !*labels ? r : check_node_labels(labels, kind, err);
}

static int check_patches(
	const struct rules *rules, const json_t *owner, const char *where, struct err *err)
{
	const json_t *patches = json_object_get(owner, "patches");
	char ours[4096];

	(void) snprintf(ours, sizeof(ours), "%s/patches", rules->home->dir);
	if (patches && !strcmp(rule_text(patches, "directory"), ours))
		return 0;
	return err_set(err, -EINVAL,
		"%s.patches.directory must stay %s, where this board's sizes are: "
		"put patches of your own beside them, their names as kubeadm wants them",
		where, ours);
}

static int check_registration(
	const struct rules *rules, const json_t *doc, const char *kind, struct err *err)
{
	const json_t *reg = json_object_get(doc, "nodeRegistration");
	const char *ours = rules->home->node->name;

	if (strcmp(rule_text(reg, "name"), ours))
		return err_set(err, -EINVAL,
			"%s.nodeRegistration.name must stay %s, the board's name in the mesh, by "
			"which Hearth finds the Node: `sudo hearth node rename` on the coordinator "
			"changes both, before the board joins",
			kind, ours);
	int r = check_patches(rules, doc, kind, err);

	if (r == 0)
		r = check_taints(reg, kind, err);
	return r ? r : check_kubelet(rules, reg, kind, err);
}

/*
 * advertiseAddress goes into certificates and etcd's membership, and pods on every board reach the
 * API server by it.
 */
static int check_advertised(
	const struct rules *rules, const json_t *owner, const char *where, struct err *err)
{
	const json_t *endpoint = json_object_get(owner, "localAPIEndpoint");
	struct ip_addr addr;
	char ours[IP_TEXT_MAX];

	if (ip_addr_parse(rule_text(endpoint, "advertiseAddress"), &addr) == 0 &&
		ip_addr_equal(&addr, &rules->home->node->mesh4))
		return 0;
	return err_set(err, -EINVAL,
		"%s.localAPIEndpoint.advertiseAddress must stay %s, this board's IPv4 address in "
		"the mesh: pods on every board reach the API server by it. Names and addresses by "
		"which others reach it go into ClusterConfiguration.apiServer.certSANs",
		where, ip_addr_format(&rules->home->node->mesh4, ours));
}

int rules_init(const struct rules *rules, const json_t *doc, struct err *err)
{
	int r = check_registration(rules, doc, "InitConfiguration", err);

	return r ? r : check_advertised(rules, doc, "InitConfiguration", err);
}

/* --- joining --- */

static int check_hashes(const struct rules *rules, const json_t *boot, struct err *err)
{
	size_t i;
	json_t *hash;

	json_array_foreach(json_object_get(boot, "caCertHashes"), i, hash)
	{
		const char *s = json_string_value(hash);

		if (!s || strncmp(s, "sha256:", 7) || !rule_hex(s + 7, 64))
			return err_set(err, -EINVAL,
				"JoinConfiguration.discovery.bootstrapToken.caCertHashes[%zu] must "
				"be sha256: and 64 lower-case hex digits",
				i);
	}
	if (json_is_true(json_object_get(boot, "unsafeSkipCAVerification")))
		rules_note(rules, "with unsafeSkipCAVerification this board could not tell the "
				  "cluster from an impostor");
	return 0;
}

static int check_joining_plane(const struct rules *rules, const json_t *doc, struct err *err)
{
	const json_t *plane = json_object_get(doc, "controlPlane");
	const json_t *boot = json_object_get(json_object_get(doc, "discovery"), "bootstrapToken");
	char host[256], ours[300];
	unsigned port = 0;
	int r = check_advertised(rules, plane, "JoinConfiguration.controlPlane", err);

	(void) snprintf(ours, sizeof(ours), "api.%s.internal", rules->home->cluster->mesh);
	if (r || !rule_host_port(rule_text(boot, "apiServerEndpoint"), host, &port) ||
		strcmp(host, ours) || port == rule_bind_port(plane))
		return r;
	return err_set(err, -EINVAL,
		"JoinConfiguration.controlPlane.localAPIEndpoint.bindPort must be %u: "
		"%s:%u stands for every control plane of this cluster",
		port, host, port);
}

int rules_join(const struct rules *rules, const json_t *doc, struct err *err)
{
	const json_t *discovery = json_object_get(doc, "discovery");
	int r = check_registration(rules, doc, "JoinConfiguration", err);

	if (r == 0)
		r = check_hashes(rules, json_object_get(discovery, "bootstrapToken"), err);
	if (r == 0 && json_object_get(doc, "controlPlane"))
		r = check_joining_plane(rules, doc, err);
	return r;
}

int rules_upgrade(const struct rules *rules, const json_t *doc, struct err *err)
{
	int r = check_patches(
		rules, json_object_get(doc, "apply"), "UpgradeConfiguration.apply", err);

	return r ? r
		 : check_patches(
			   rules, json_object_get(doc, "node"), "UpgradeConfiguration.node", err);
}
