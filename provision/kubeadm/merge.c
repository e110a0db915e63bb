/*
 * merge: a user's own documents over ours. Running it twice changes nothing: an element that a list
 * has already is not appended again.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/yaml.h"
#include "kubeadm/fields.h"
#include "kubeadm/kubeadm.h"

static const char *field(const json_t *doc, const char *key)
{
	const char *s = json_string_value(json_object_get(doc, key));
	return s ? s : "";
}

static size_t group_len(const char *version)
{
	const char *slash = strchr(version, '/');
	return slash ? (size_t) (slash - version) : strlen(version);
}

static bool same_group(const char *a, const char *b)
{
	size_t n = group_len(a);
	return n == group_len(b) && !memcmp(a, b, n);
}

static json_t *find(json_t *docs, const char *version, const char *kind)
{
	size_t i;
	json_t *doc;
	json_array_foreach(docs, i, doc)
	{
		if (!strcmp(field(doc, "kind"), kind) &&
			same_group(field(doc, "apiVersion"), version))
			return doc;
	}
	return NULL;
}

static bool list_has(const json_t *list, const json_t *element)
{
	size_t i;
	json_t *have;
	json_array_foreach(list, i, have)
	{
		if (json_equal(have, element))
			return true;
	}
	return false;
}

static int merge_list(json_t *into, const json_t *from)
{
	size_t i;
	json_t *element;
	json_array_foreach(from, i, element)
	{
		CLEANUP_JSON json_t *copy = json_deep_copy(element);
		if (!copy || (!list_has(into, element) && json_array_append(into, copy)))
			return -ENOMEM;
	}
	return 0;
}

static int merge_map(json_t *into, const json_t *from, const char *where, struct err *err)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *) from, key, value)
	{
		json_t *have = json_object_get(into, key);
		char path[256];
		(void) snprintf(path, sizeof(path), "%s.%s", where, key);
		int r = 0;
		/* A new map is merged, too: what it says is removed is not there. */
		if (!have && json_is_object(value) &&
			!json_object_set_new(into, key, json_object()))
			have = json_object_get(into, key);
		if (json_is_null(value)) {
			json_object_del(into, key);
		} else if (!have || (json_typeof(have) == json_typeof(value) &&
					    !json_is_object(have) && !json_is_array(have))) {
			r = json_object_set_new(into, key, json_deep_copy(value)) ? -ENOMEM : 0;
		} else if (json_is_object(have) && json_is_object(value)) {
			r = merge_map(have, value, path, err);
		} else if (json_is_array(have) && json_is_array(value)) {
			r = merge_list(have, value);
		} else if (json_is_object(have) || json_is_array(have) || json_is_object(value) ||
			   json_is_array(value)) {
			return err_set(err, -EINVAL, "%s must be %s", path,
				json_is_object(have)  ? "a map"
				: json_is_array(have) ? "a list"
						      : "a single value");
		} else {
			r = json_object_set_new(into, key, json_deep_copy(value)) ? -ENOMEM : 0;
		}
		if (r == -ENOMEM)
			return err_set(err, r, "out of memory");
		if (r)
			return r;
	}
	return 0;
}

static int merge_one(json_t *doc, const json_t *over, struct err *err)
{
	const char *kind = field(over, "kind");
	if (strcmp(field(doc, "apiVersion"), field(over, "apiVersion")))
		return err_set(err, -EINVAL, "%s must have apiVersion %s, not %.60s", kind,
			field(doc, "apiVersion"), field(over, "apiVersion"));
	return merge_map(doc, over, kind, err);
}

int kubeadm_merge(json_t *docs, const json_t *overrides, struct err *err)
{
	size_t i;
	json_t *over;
	json_array_foreach(overrides, i, over)
	{
		json_t *doc = find(docs, field(over, "apiVersion"), field(over, "kind"));
		int r = doc ? merge_one(doc, over, err) : 0;
		if (r)
			return r;
	}
	return 0;
}

int kubeadm_merge_patch(json_t *patch, const json_t *overrides, bool init, struct err *err)
{
	if (!init)
		return kubeadm_merge(patch, overrides, err);
	size_t i;
	json_t *over;
	json_array_foreach(overrides, i, over)
	{
		json_t *doc = find(patch, field(over, "apiVersion"), field(over, "kind"));
		if (!doc)
			continue;
		CLEANUP_JSON json_t *both = json_object();
		const char *key;
		json_t *value;
		json_object_foreach(over, key, value)
		{
			if (json_object_get(doc, key))
				json_object_set(both, key, value);
		}
		int r = merge_one(doc, both, err);
		if (r)
			return r;
	}
	return 0;
}

/* ---- files ---- */

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

static int add_file(json_t *all, const char *path, struct err *err)
{
	CLEANUP_JSON json_t *docs = yaml_read_file_all(path, err);
	if (!docs)
		return err->code;
	size_t i;
	json_t *doc;
	json_array_foreach(docs, i, doc)
	{
		if (!*field(doc, "apiVersion") || !*field(doc, "kind"))
			return err_set(err, -EINVAL, "%s: document %zu has no apiVersion and kind",
				path, i + 1);
		if (!kubeadm_fields(field(doc, "apiVersion"), field(doc, "kind")))
			return err_set(err, -EINVAL,
				"%s: document %zu is a %.60s of %.60s, which is not part of our "
				"files; use InitConfiguration, ClusterConfiguration, "
				"JoinConfiguration (kubeadm.k8s.io/v1beta4), KubeletConfiguration "
				"or KubeProxyConfiguration",
				path, i + 1, field(doc, "kind"), field(doc, "apiVersion"));
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
