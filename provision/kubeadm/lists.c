/*
 * lists: lists by what their elements are known by. Arguments are the ones that matter: older
 * kubeadms (kubeadm_version_sorts()) sort those of one name by value and a component takes the
 * last, so two of a name would be decided by the alphabet.
 */
#include "kubeadm/lists.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "kubeadm/rules.h"

struct list_kind {
	const char *field;
	const char *keys[2]; /* what an element is known by */
	bool arguments;
	bool replaces; /* the user's list: with ours appended it would mean something else */
};

static const struct list_kind kinds[] = {
	{ "extraArgs", { "name" }, true, false },
	{ "kubeletExtraArgs", { "name" }, true, false },
	{ "extraEnvs", { "name" }, false, false },
	{ "extraVolumes", { "name" }, false, false },
	{ "taints", { "key", "effect" }, false, false },
	{ "registerWithTaints", { "key", "effect" }, false, false },
	{ "bootstrapTokens", { "token" }, false, false },
	{ "shutdownGracePeriodByPodPriority", { "priority" }, false, false },
	{ "reservedMemory", { "numaNode" }, false, false },
	{ "nodePortAddresses", { NULL }, false, true },
};

static const struct list_kind *kind_of(const char *field)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].field, field))
			return &kinds[i];
	return NULL;
}

bool list_is_known(const char *field)
{
	return kind_of(field) != NULL;
}

static bool same(const struct list_kind *kind, const json_t *a, const json_t *b)
{
	bool keyed = false;

	for (size_t k = 0; k < ARRAY_LEN(kind->keys) && kind->keys[k]; k++) {
		const json_t *x = json_object_get(a, kind->keys[k]);
		const json_t *y = json_object_get(b, kind->keys[k]);

		if (x != y && !json_equal(x, y))
			return false;
		keyed |= x != NULL;
	}
	return keyed;
}

/* --- arguments --- */

static const char *name_of(const json_t *arg)
{
	return rule_text(arg, "name");
}

/* What the components themselves take more than once, each adding to what was said before. */
static bool may_repeat(const char *name)
{
	static const char *const names[] = { "service-account-issuer", "service-account-key-file",
		"tls-sni-cert-key", NULL };

	return rule_one_of(name, names);
}

/* What is a map in itself, "a=b,c=d": merged by its keys, or our labels would be lost. */
static bool is_map(const char *name)
{
	static const char *const names[] = { "node-labels", "feature-gates", NULL };

	return rule_one_of(name, names);
}

static int check_arguments(const json_t *from, const char *where, struct err *err)
{
	size_t i, j;
	json_t *arg, *other;

	json_array_foreach(from, i, arg)
	{
		const char *name = name_of(arg);

		if (!*name)
			return err_set(err, -EINVAL, "%s[%zu] has no name", where, i);
		json_array_foreach(from, j, other)
		{
			if (j <= i || strcmp(name, name_of(other)) || may_repeat(name) ||
				is_map(name))
				continue;
			return err_set(err, -EINVAL,
				"%s says %.60s twice, "
				"and which of the two counts depends on kubeadm's version: "
				"leave one, with all its values and commas between",
				where, name);
		}
	}
	return 0;
}

/* Puts the parts of "a=b,c=d" into @map by their keys. */
static int add_parts(json_t *map, const char *text)
{
	while (*text) {
		size_t whole = strcspn(text, ","), key = strcspn(text, ",=");
		CLEANUP_JSON json_t *part = json_stringn(text, whole);

		if (!part || json_object_setn(map, text, key, part))
			return -ENOMEM;
		text += whole + (text[whole] == ',');
	}
	return 0;
}

/* One argument with the parts of all of @name in both lists; the later one of a key counts. */
static int emit_map(json_t *ret, const json_t *into, const json_t *from, const char *name)
{
	const json_t *lists[] = { into, from };
	CLEANUP_JSON json_t *map = json_object();
	CLEANUP_BUF struct buf text = { 0 };
	size_t i;
	json_t *arg, *part;
	const char *key;

	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		json_array_foreach(lists[l], i, arg)
		{
			if (!strcmp(name_of(arg), name) && add_parts(map, rule_text(arg, "value")))
				return -ENOMEM;
		}
	json_object_foreach(map, key, part)
	{
		buf_printf(&text, "%s%s", text.len ? "," : "", json_string_value(part));
	}
	return buf_failed(&text) || json_array_append_new(ret, json_pack("{s:s, s:s}", "name", name,
								       "value", buf_str(&text)))
		       ? -ENOMEM
		       : 0;
}

/* All of @name in @from; of a value of null nothing is left. */
static int emit(json_t *ret, const json_t *into, const json_t *from, const char *name)
{
	size_t i;
	json_t *arg;
	bool removed = false;

	json_array_foreach(from, i, arg)
	{
		if (strcmp(name_of(arg), name))
			continue;
		removed |= json_is_null(json_object_get(arg, "value"));
		if (!removed && !is_map(name) && json_array_append_new(ret, json_deep_copy(arg)))
			return -ENOMEM;
	}
	return !removed && is_map(name) ? emit_map(ret, into, from, name) : 0;
}

static bool has_name(const json_t *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name_of(json_array_get(list, i)), name))
			return true;
	return false;
}

/* The user's arguments stand where ours of the same name stood; new ones come last. */
static int merge_arguments(json_t *into, const json_t *from)
{
	CLEANUP_JSON json_t *out = json_array();
	size_t i, n = json_array_size(from);
	json_t *arg;
	int r = out ? 0 : -ENOMEM;

	json_array_foreach(into, i, arg)
	{
		const char *name = name_of(arg);

		if (r)
			break;
		if (!has_name(from, n, name))
			r = json_array_append(out, arg) ? -ENOMEM : 0;
		else if (!has_name(into, i, name))
			r = emit(out, into, from, name);
	}
	for (i = 0; r == 0 && i < n; i++) {
		const char *name = name_of(json_array_get(from, i));

		if (!has_name(into, json_array_size(into), name) && !has_name(from, i, name))
			r = emit(out, into, from, name);
	}
	return r || json_array_clear(into) || json_array_extend(into, out) ? -ENOMEM : 0;
}

/* --- other lists --- */

static int merge_element(const struct list_kind *kind, json_t *into, const json_t *element)
{
	size_t i;
	json_t *have;

	json_array_foreach(into, i, have)
	{
		if (json_equal(have, element))
			return 0;
		if (kind && same(kind, have, element))
			return json_array_set_new(into, i, json_deep_copy(element)) ? -ENOMEM : 0;
	}
	return json_array_append_new(into, json_deep_copy(element)) ? -ENOMEM : 0;
}

int list_merge(
	json_t *into, const json_t *from, const char *field, const char *where, struct err *err)
{
	const struct list_kind *kind = kind_of(field);
	size_t i;
	json_t *element;
	int r = 0;

	if (!json_array_size(from) || (kind && kind->replaces))
		json_array_clear(into);
	if (kind && kind->keys[0])
		json_array_foreach(from, i, element)
		{
			if (!json_is_object(element))
				return err_set(err, -EINVAL, "%s must be a list of maps", where);
		}
	if (kind && kind->arguments) {
		r = check_arguments(from, where, err);
		if (r)
			return r;
		r = merge_arguments(into, from);
	} else {
		json_array_foreach(from, i, element)
		{
			r = r ? r : merge_element(kind, into, element);
		}
	}
	return r ? err_set(err, r, "out of memory") : 0;
}
