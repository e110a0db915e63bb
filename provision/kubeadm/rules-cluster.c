/*
 * rules-cluster: what a ClusterConfiguration may say beyond what `kubeadm config validate` looks
 * at. The ranges are the mesh's, the endpoint is where the API server listens, and the rest breaks
 * only later: a version of the future, a certificatesDir that kubelets of joining boards do not
 * find.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kubeadm/rules.h"

/* --- what is the mesh's --- */

static int check_range(const json_t *net, const char *field, const struct ip_prefix *v4,
	const struct ip_prefix *v6, const char *flags, struct err *err)
{
	char a[PREFIX_TEXT_MAX], b[PREFIX_TEXT_MAX];
	const char *text = rule_text(net, field);

	if (rule_is_pair(text, v4, v6))
		return 0;
	return err_set(err, -EINVAL,
		"ClusterConfiguration.networking.%s \"%.90s\" must stay %s,%s: the ranges "
		"are the mesh's, which routes them, and cannot be changed for the cluster alone. "
		"Others are given to `hearth-coord init` with %s, before boards are enrolled",
		field, text, ip_prefix_format(v4, a), ip_prefix_format(v6, b), flags);
}

static bool ends_in(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	return n >= d && !strcmp(name + n - d, domain) && (n == d || name[n - d - 1] == '.');
}

/* One inside the other, and one of the two would answer for the other's names. */
static int check_domain(const struct rules *rules, const json_t *net, struct err *err)
{
	char mesh[300];
	const char *domain = rule_text(net, "dnsDomain");

	(void) snprintf(mesh, sizeof(mesh), "%s.internal", rules->home->cluster->mesh);
	if (!*domain || (!ends_in(domain, mesh) && !ends_in(mesh, domain)))
		return 0;
	return err_set(err, -EINVAL,
		"ClusterConfiguration.networking.dnsDomain \"%.90s\" overlaps the mesh's own %s, "
		"in which the boards have their names: "
		"leave it out (cluster.local) or take another",
		domain, mesh);
}

static int check_networking(const struct rules *rules, const json_t *doc, struct err *err)
{
	const struct kubeadm_cluster *c = rules->home->cluster;
	const json_t *net = json_object_get(doc, "networking");
	int r = check_range(net, "podSubnet", &c->pods4, &c->pods6, "--pods4 and --pods6", err);

	if (r == 0)
		r = check_range(net, "serviceSubnet", &c->services4, &c->services6,
			"--services4 and --services6", err);
	return r ? r : check_domain(rules, net, err);
}

static int check_endpoint(const struct rules *rules, const json_t *doc, struct err *err)
{
	const json_t *init = rule_document(rules->docs, "InitConfiguration");
	const char *text = rule_text(doc, "controlPlaneEndpoint");
	char host[256], ours[300];
	unsigned port = 0;

	(void) snprintf(ours, sizeof(ours), "api.%s.internal", rules->home->cluster->mesh);
	if (!init || !rule_host_port(text, host, &port) || port == rule_bind_port(init) ||
		strcmp(host, ours))
		return 0;
	return err_set(err, -EINVAL,
		"ClusterConfiguration.controlPlaneEndpoint says port %u "
		"and InitConfiguration.localAPIEndpoint.bindPort %u, and nothing stands "
		"between the two: leave controlPlaneEndpoint out, and its port follows bindPort",
		port, rule_bind_port(init));
}

/* --- what breaks later --- */

static int check_version(const json_t *doc, const struct kubeadm_version *version, struct err *err)
{
	struct kubeadm_version want;
	const char *text = rule_text(doc, "kubernetesVersion");

	if (!json_object_get(doc, "kubernetesVersion"))
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
			"which makes clusters of its own minor version and the one before",
			want.text, version->text);
	return 0;
}

static int check_components(const struct rules *rules, const json_t *doc, struct err *err)
{
	static const char *const components[] = { "apiServer", "controllerManager", "scheduler" };
	char where[80];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(components); i++) {
		(void) snprintf(
			where, sizeof(where), "ClusterConfiguration.%s.extraArgs", components[i]);
		r = rules_arguments(rules,
			json_object_get(json_object_get(doc, components[i]), "extraArgs"),
			components[i], where, err);
	}
	const json_t *local = json_object_get(json_object_get(doc, "etcd"), "local");

	return r ? r
		 : rules_arguments(rules, json_object_get(local, "extraArgs"), "etcd",
			   "ClusterConfiguration.etcd.local.extraArgs", err);
}

static const char *component_argument(const json_t *doc, const char *component, const char *name)
{
	return rule_argument(json_object_get(json_object_get(doc, component), "extraArgs"), name);
}

static int check_allocator(const json_t *doc, struct err *err)
{
	const char *value = component_argument(doc, "controllerManager", "allocate-node-cidrs");

	if (value && !strcmp(value, "false"))
		return 0;
	return err_set(err, -EINVAL,
		"ClusterConfiguration.controllerManager.extraArgs "
		"must say allocate-node-cidrs false: the mesh has given each board its pod ranges, "
		"and Kubernetes would give it others");
}

int rules_cluster(const struct rules *rules, const json_t *doc, struct err *err)
{
	const char *dir = rule_text(doc, "certificatesDir");

	if (*dir && strcmp(dir, "/etc/kubernetes/pki"))
		return err_set(err, -EINVAL,
			"ClusterConfiguration.certificatesDir must stay /etc/kubernetes/pki: "
			"the kubelets of joining boards look there whatever it says");
	int r = check_version(doc, rules->home->version, err);

	if (r == 0)
		r = check_networking(rules, doc, err);
	if (r == 0)
		r = check_endpoint(rules, doc, err);
	if (r == 0)
		r = check_components(rules, doc, err);
	if (r == 0)
		r = check_allocator(doc, err);
	const char *modes = component_argument(doc, "apiServer", "authorization-mode");

	if (r == 0 && modes && strstr(modes, "AlwaysAllow"))
		rules_note(rules, "with authorization-mode AlwaysAllow everybody "
				  "who reaches the API server may do everything");
	return r;
}
