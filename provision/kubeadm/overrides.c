/* overrides: the files in which a user's own documents stand. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/yaml.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/rules.h"

static const struct {
	const char *api_version, *kind;
} known[] = {
	{ "kubeadm.k8s.io/v1beta4", "InitConfiguration" },
	{ "kubeadm.k8s.io/v1beta4", "ClusterConfiguration" },
	{ "kubeadm.k8s.io/v1beta4", "JoinConfiguration" },
	{ "kubeadm.k8s.io/v1beta4", "UpgradeConfiguration" },
	{ "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration" },
	{ "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration" },
};

static int wanted(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

struct names {
	struct dirent **list;
	int n;
};

static void names_done(struct names *names)
{
	for (int i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

static int check_kind(const json_t *doc, const char *path, size_t number, struct err *err)
{
	const char *version = rule_text(doc, "apiVersion"), *kind = rule_text(doc, "kind");

	if (!*version || !*kind)
		return err_set(
			err, -EINVAL, "%s: document %zu has no apiVersion and kind", path, number);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].kind, kind) && !strcmp(known[i].api_version, version))
			return 0;
	if (!strcmp(version, "kubeadm.k8s.io/v1"))
		return err_set(err, -EINVAL,
			"%s: document %zu is written in kubeadm's configuration API v1, "
			"which kubeadm before v1.37 does not read: "
			"write it in v1beta4 (without mergeMethod)",
			path, number);
	if (!strncmp(version, "kubeadm.k8s.io/", 15) && strcmp(version, known[0].api_version))
		return err_set(err, -EINVAL,
			"%s: document %zu is written in kubeadm's configuration API %.40s, and "
			"these files are written in v1beta4: `kubeadm config migrate --old-config "
			"%s --new-config NEW` rewrites it (v1beta3: a kubeadm from v1.31 to v1.36)",
			path, number, version + strlen("kubeadm.k8s.io/"), path);
	return err_set(err, -EINVAL,
		"%s: document %zu is a %.60s of %.60s, which is not part of our files; use "
		"InitConfiguration, ClusterConfiguration, JoinConfiguration, UpgradeConfiguration "
		"(kubeadm.k8s.io/v1beta4), KubeletConfiguration (kubelet.config.k8s.io/v1beta1) "
		"or KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1)",
		path, number, kind, version);
}

static int add_file(json_t *all, const char *path, struct err *err)
{
	CLEANUP_JSON json_t *docs = yaml_read_file_all(path, err);

	if (!docs)
		return err->code;
	size_t i;
	json_t *doc;

	json_array_foreach(docs, i, doc)
	{
		int r = check_kind(doc, path, i + 1, err);

		if (r)
			return r;
		if (json_array_append(all, doc))
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

json_t *kubeadm_read_overrides(const char *dir, struct err *err)
{
	struct err local = { 0 };
	CLEANUP(names_done) struct names names = { 0 };
	CLEANUP_JSON json_t *all = json_array();

	names.n = scandir(dir, &names.list, wanted, alphasort);
	if (names.n < 0) {
		int e = errno;

		names.n = 0;
		if (e == ENOENT)
			return TAKE(all);
		err_set(err, -e, "read %s: %s", dir, strerror(e));
		return NULL;
	}
	for (int i = 0; i < names.n; i++) {
		char path[4096];

		(void) snprintf(path, sizeof(path), "%s/%s", dir, names.list[i]->d_name);
		int r = add_file(all, path, &local);

		if (r) {
			err_set(err, r, "%s", local.text);
			return NULL;
		}
	}
	return TAKE(all);
}
