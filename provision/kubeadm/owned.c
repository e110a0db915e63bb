/* owned: arguments of components, and those that are said elsewhere. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "kubeadm/rules.h"

/*
 * What is another document's, the mesh's or kubeadm's own. Said as an argument it would count for
 * this one program, while all the others go by the other place.
 */
static const struct {
	const char *component, *name, *instead;
} owned[] = {
	{ "apiServer", "advertise-address",
		"it is this board's address in the mesh (localAPIEndpoint.advertiseAddress)" },
	{ "apiServer", "secure-port",
		"say localAPIEndpoint.bindPort in InitConfiguration, which the endpoint follows" },
	{ "apiServer", "service-cluster-ip-range",
		"the ranges are the mesh's: "
		"`hearth-coord init` takes --services4 and --services6" },
	{ "controllerManager", "service-cluster-ip-range",
		"the ranges are the mesh's: "
		"`hearth-coord init` takes --services4 and --services6" },
	{ "controllerManager", "cluster-cidr",
		"the ranges are the mesh's: `hearth-coord init` takes --pods4 and --pods6" },
	{ "etcd", "data-dir", "say etcd.local.dataDir, or the data is lost with the container" },
	{ "kubelet", "hostname-override",
		"a Node has the board's name in the mesh; `sudo hearth node rename` changes it" },
	{ "kubelet", "pod-cidr", "the mesh gives each board its ranges" },
	{ "kubelet", "cluster-domain",
		"say networking.dnsDomain in ClusterConfiguration, "
		"or pods look for names where none are" },
	{ "kubelet", "container-runtime-endpoint", "say nodeRegistration.criSocket" },
	{ "kubelet", "config", "kubeadm writes that file; say a KubeletConfiguration" },
	{ "kubelet", "kubeconfig", "kubeadm writes that file" },
	{ "kubelet", "bootstrap-kubeconfig", "kubeadm writes that file" },
};

/*
 * The first service-account-issuer signs, the first certificate for a name is shown: of an argument
 * said more than once the order counts.
 */
static int check_order(
	const struct rules *rules, const json_t *list, size_t n, const char *where, struct err *err)
{
	const struct kubeadm_version *version = rules->home->version;
	const json_t *arg = json_array_get(list, n);
	const char *name = rule_text(arg, "name"), *value = rule_text(arg, "value");

	if (!version || !kubeadm_version_sorts(version))
		return 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *before = json_array_get(list, i);

		if (strcmp(rule_text(before, "name"), name) ||
			strcmp(rule_text(before, "value"), value) <= 0)
			continue;
		return err_set(err, -EINVAL,
			"%s: kubeadm %s sorts the values of %s, and %.60s would come before %.60s: "
			"say them in that order, or take a kubeadm that leaves them alone "
			"(v1.32.12, v1.33.8, v1.34.4, v1.35.1 and newer)",
			where, version->text, name, value, rule_text(before, "value"));
	}
	return 0;
}

int rules_arguments(const struct rules *rules, const json_t *list, const char *component,
	const char *where, struct err *err)
{
	size_t i;
	json_t *arg;

	json_array_foreach(list, i, arg)
	{
		const char *name = rule_text(arg, "name");

		if (!*name || *name == '-')
			return err_set(err, -EINVAL,
				"%s[%zu] needs a name, without dashes in front", where, i);
		if (!json_object_get(arg, "value"))
			return err_set(
				err, -EINVAL, "%s[%zu]: %.60s needs a value", where, i, name);
		for (size_t o = 0; o < ARRAY_LEN(owned); o++)
			if (!strcmp(owned[o].component, component) && !strcmp(owned[o].name, name))
				return err_set(err, -EINVAL, "%s: %s is not said here: %s", where,
					name, owned[o].instead);
		int r = check_order(rules, list, i, where, err);

		if (r)
			return r;
	}
	return 0;
}
