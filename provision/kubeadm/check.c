/*
 * check: the shape of every document against the tables, then the rules. What kubeadm itself finds is
 * found here too, because a board may have no kubeadm yet when the files are written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kubeadm/fields.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/rules.h"

struct walk {
	bool open; /* unknown fields may be there: a Kubernetes newer than the tables */
	struct err *err;
};

static int walk_object(
	struct walk *walk, const json_t *obj, const struct field *fields, const char *path);

static const char *type_name(enum field_type type)
{
	switch (type) {
	case FIELD_STRING:
		return "a string (put it in quotes)";
	case FIELD_INT:
		return "a whole number";
	case FIELD_NUMBER:
		return "a number";
	case FIELD_BOOL:
		return "true or false";
	case FIELD_DURATION:
		return "a duration such as 8m0s";
	case FIELD_STRINGS:
		return "a list of strings";
	case FIELD_INTS:
		return "a list of whole numbers";
	case FIELD_MAP:
		return "a map of strings (put the values in quotes)";
	case FIELD_BOOL_MAP:
		return "a map of true and false";
	case FIELD_OBJECT:
		return "a map";
	case FIELD_LIST:
		return "a list of maps";
	case FIELD_ANY:
		return "anything";
	}
	return "";
}

static bool list_of(const json_t *list, json_type type)
{
	size_t i;
	json_t *v;
	if (!json_is_array(list))
		return false;
	json_array_foreach(list, i, v)
	{
		if (json_typeof(v) != type)
			return false;
	}
	return true;
}

static bool map_of(const json_t *map, bool strings)
{
	const char *key;
	json_t *v;
	if (!json_is_object(map))
		return false;
	json_object_foreach((json_t *) map, key, v)
	{
		if (strings ? !json_is_string(v) : !json_is_boolean(v))
			return false;
	}
	return true;
}

static bool fits(const json_t *v, enum field_type type)
{
	switch (type) {
	case FIELD_STRING:
		return json_is_string(v);
	case FIELD_INT:
		return json_is_integer(v);
	case FIELD_NUMBER:
		return json_is_number(v);
	case FIELD_BOOL:
		return json_is_boolean(v);
	case FIELD_DURATION:
		return json_is_string(v) && rule_duration(json_string_value(v)) >= 0;
	case FIELD_STRINGS:
		return list_of(v, JSON_STRING);
	case FIELD_INTS:
		return list_of(v, JSON_INTEGER);
	case FIELD_MAP:
		return map_of(v, true);
	case FIELD_BOOL_MAP:
		return map_of(v, false);
	case FIELD_OBJECT:
		return json_is_object(v);
	case FIELD_LIST:
		return list_of(v, JSON_OBJECT);
	case FIELD_ANY:
		return true;
	}
	return false;
}

static int walk_value(
	struct walk *walk, const json_t *v, const struct field *field, const char *path)
{
	if (!fits(v, field->type))
		return err_set(walk->err, -EINVAL, "%s must be %s", path, type_name(field->type));
	if (field->type == FIELD_OBJECT)
		return walk_object(walk, v, field->sub, path);
	if (field->type != FIELD_LIST)
		return 0;
	size_t i;
	json_t *element;
	json_array_foreach(v, i, element)
	{
		char at[256];
		(void) snprintf(at, sizeof(at), "%.230s[%zu]", path, i);
		int r = walk_object(walk, element, field->sub, at);
		if (r)
			return r;
	}
	return 0;
}

static int walk_object(
	struct walk *walk, const json_t *obj, const struct field *fields, const char *path)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *) obj, key, v)
	{
		const struct field *f = fields;
		while (f->name && strcmp(f->name, key))
			f++;
		if (!f->name && walk->open)
			continue;
		if (!f->name)
			return err_set(walk->err, -EINVAL, "%s has no field \"%.60s\"", path, key);
		char at[256];
		(void) snprintf(at, sizeof(at), "%.190s.%.60s", path, key);
		int r = walk_value(walk, v, f, at);
		if (r)
			return r;
	}
	return 0;
}

static int check_shape(const json_t *doc, bool open, struct err *err)
{
	const char *kind = rule_text(doc, "kind"), *api = rule_text(doc, "apiVersion");
	const struct field *fields = kubeadm_fields(api, kind);
	if (!fields)
		return err_set(err, -EINVAL,
			"a document says apiVersion \"%.60s\" and kind \"%.60s\", which kubeadm "
			"does not know",
			api, kind);
	struct walk walk = { .open = open, .err = err };
	return walk_object(&walk, doc, fields, kind);
}

static const json_t *find_kind(const json_t *docs, const char *kind)
{
	size_t i;
	json_t *doc;
	json_array_foreach(docs, i, doc)
	{
		if (!strcmp(rule_text(doc, "kind"), kind))
			return doc;
	}
	return NULL;
}

static int check_init(const json_t *doc, struct err *err)
{
	int r = rules_registration(doc, "InitConfiguration", err);
	return r ? r : rules_endpoint(doc, "InitConfiguration", err);
}

int kubeadm_check(const json_t *docs, const struct kubeadm_version *version, uint64_t memory_bytes,
	struct err *err)
{
	bool open = version && version->minor > KUBEADM_MINOR_KNOWN;
	const json_t *cluster = find_kind(docs, "ClusterConfiguration");
	size_t i;
	json_t *doc;
	json_array_foreach(docs, i, doc)
	{
		int r = check_shape(doc, open, err);
		if (r)
			return r;
	}
	json_array_foreach(docs, i, doc)
	{
		const char *kind = rule_text(doc, "kind");
		int r = 0;
		if (!strcmp(kind, "InitConfiguration"))
			r = check_init(doc, err);
		else if (!strcmp(kind, "JoinConfiguration"))
			r = rules_join(doc, err);
		else if (!strcmp(kind, "ClusterConfiguration"))
			r = rules_cluster(doc, version, err);
		else if (!strcmp(kind, "KubeletConfiguration"))
			r = rules_kubelet(doc, memory_bytes, err);
		else
			r = rules_proxy(doc, cluster, err);
		if (r)
			return r;
		if (find_kind(docs, kind) != doc)
			return err_set(err, -EINVAL, "there are two documents of kind %s", kind);
	}
	return 0;
}
