/*
 * merge: a user's own documents over ours. Running it twice changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/lists.h"
#include "kubeadm/rules.h"

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

static json_t *find(json_t *docs, const json_t *over)
{
	size_t i;
	json_t *doc;

	json_array_foreach(docs, i, doc)
	{
		if (!strcmp(rule_text(doc, "kind"), rule_text(over, "kind")) &&
			same_group(rule_text(doc, "apiVersion"), rule_text(over, "apiVersion")))
			return doc;
	}
	return NULL;
}

struct merge {
	bool patch; /* null stays */
	struct err *err;
};

/* --- fields that go with no other --- */

/* A field of the user's, and those of ours that cannot stand beside it. */
static const struct {
	const char *where, *field, *gone[2];
} exclusive[] = {
	{ "KubeletConfiguration", "shutdownGracePeriodByPodPriority",
		{ "shutdownGracePeriod", "shutdownGracePeriodCriticalPods" } },
	{ "JoinConfiguration.discovery", "file", { "bootstrapToken" } },
	{ "ClusterConfiguration.etcd", "external", { "local" } },
};

static int make_room(const struct merge *merge, json_t *into, const char *where, const char *field)
{
	for (size_t i = 0; i < ARRAY_LEN(exclusive); i++) {
		if (strcmp(exclusive[i].where, where) || strcmp(exclusive[i].field, field))
			continue;
		for (size_t g = 0; g < ARRAY_LEN(exclusive[i].gone) && exclusive[i].gone[g]; g++) {
			json_object_del(into, exclusive[i].gone[g]);
			/* The cluster's document has it; a patch must take it away there. */
			if (merge->patch &&
				json_object_set_new(into, exclusive[i].gone[g], json_null()))
				return -ENOMEM;
		}
	}
	return 0;
}

static int make_room_for_all(
	const struct merge *merge, json_t *into, const json_t *from, const char *where)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) from, key, value)
	{
		bool nothing =
			json_is_null(value) || (json_is_array(value) && !json_array_size(value));

		if (!nothing && make_room(merge, into, where, key))
			return -ENOMEM;
	}
	return 0;
}

/* --- maps --- */

/* Maps of quantities, which people write as numbers; the API has texts there. */
static bool holds_quantities(const char *where)
{
	static const char *const names[] = { "KubeletConfiguration.systemReserved",
		"KubeletConfiguration.kubeReserved", "KubeletConfiguration.evictionHard",
		"KubeletConfiguration.evictionSoft", "KubeletConfiguration.evictionMinimumReclaim",
		NULL };

	return rule_one_of(where, names);
}

/* 0.25 as "0.25", 512e6 as "512000000": the shortest decimal that is the same number. */
static json_t *number_text(const json_t *number)
{
	char text[32];

	if (json_is_integer(number))
		return json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(number));
	double value = json_real_value(number);

	for (int digits = 15; digits <= 17; digits++) {
		(void) snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return json_string(text);
}

static int merge_map(
	const struct merge *merge, json_t *into, const json_t *from, const char *where);

static const char *shape_name(const json_t *value)
{
	return json_is_object(value) ? "a map" : json_is_array(value) ? "a list" : "a single value";
}

static int set_single(json_t *into, const char *key, const json_t *value, const char *where)
{
	json_t *copy = json_is_number(value) && holds_quantities(where) ? number_text(value)
									: json_deep_copy(value);

	return json_object_set_new(into, key, copy) ? -ENOMEM : 0;
}

static int merge_value(const struct merge *merge, json_t *into, const char *key,
	const json_t *value, const char *where, const char *path)
{
	json_t *have = json_object_get(into, key);

	if (json_is_null(value) && merge->patch)
		return json_object_set_new(into, key, json_null()) ? -ENOMEM : 0;
	if (json_is_null(value)) {
		json_object_del(into, key);
		return 0;
	}
	if (list_is_known(key) && !json_is_array(value))
		return err_set(merge->err, -EINVAL, "%s must be a list%s", path,
			json_is_object(value) ? ", of name and value since v1beta4: "
						"`kubeadm config migrate` rewrites older documents"
					      : "");
	bool nested = json_is_object(value) || json_is_array(value);

	/*
	 * What is new is merged, too: what it says is removed is not there, and no name stands
	 * twice.
	 */
	if (nested && (!have || json_is_null(have))) {
		if (json_object_set_new(
			    into, key, json_is_object(value) ? json_object() : json_array()))
			return -ENOMEM;
		have = json_object_get(into, key);
	}
	if (json_is_object(have) && json_is_object(value))
		return merge_map(merge, have, value, path);
	if (json_is_array(have) && json_is_array(value))
		return list_merge(have, value, key, path, merge->err);
	if (nested || json_is_object(have) || json_is_array(have))
		return err_set(merge->err, -EINVAL, "%s must be %s", path, shape_name(have));
	return set_single(into, key, value, where);
}

static int merge_map(const struct merge *merge, json_t *into, const json_t *from, const char *where)
{
	const char *key;
	json_t *value;
	int r = make_room_for_all(merge, into, from, where);

	json_object_foreach((json_t *) from, key, value)
	{
		char path[256];

		(void) snprintf(path, sizeof(path), "%s.%s", where, key);
		r = r ? r : merge_value(merge, into, key, value, where, path);
	}
	return r == -ENOMEM ? err_set(merge->err, r, "out of memory") : r;
}

/* --- documents --- */

static int merge_one(const struct merge *merge, json_t *doc, const json_t *over)
{
	const char *kind = rule_text(over, "kind");

	if (strcmp(rule_text(doc, "apiVersion"), rule_text(over, "apiVersion")))
		return err_set(merge->err, -EINVAL, "%s must have apiVersion %s, not %.60s", kind,
			rule_text(doc, "apiVersion"), rule_text(over, "apiVersion"));
	return merge_map(merge, doc, over, kind);
}

static int merge_all(const struct merge *merge, json_t *docs, const json_t *overrides)
{
	size_t i;
	json_t *over;

	json_array_foreach(overrides, i, over)
	{
		json_t *doc = find(docs, over);
		int r = doc ? merge_one(merge, doc, over) : 0;

		if (r)
			return r;
	}
	return 0;
}

int kubeadm_merge(json_t *docs, const json_t *overrides, struct err *err)
{
	struct merge merge = { .err = err };

	return merge_all(&merge, docs, overrides);
}

/* What of @over the patch names too. */
static json_t *shared(const json_t *patch, const json_t *over)
{
	json_t *both = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) over, key, value)
	{
		if (json_object_get(patch, key) && json_object_set(both, key, value)) {
			json_decref(both);
			return NULL;
		}
	}
	return both;
}

int kubeadm_merge_patch(json_t *patch, const json_t *overrides, bool init, struct err *err)
{
	struct merge merge = { .patch = true, .err = err };

	if (!init)
		return merge_all(&merge, patch, overrides);
	size_t i;
	json_t *over;

	json_array_foreach(overrides, i, over)
	{
		json_t *doc = find(patch, over);

		if (!doc)
			continue;
		CLEANUP_JSON json_t *both = shared(doc, over);
		int r = both ? merge_one(&merge, doc, both)
			     : err_set(err, -ENOMEM, "out of memory");

		if (r)
			return r;
	}
	return 0;
}

/* RFC 7386. */
static int apply(json_t *into, const json_t *from)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *) from, key, value)
	{
		json_t *have = json_object_get(into, key);

		if (json_is_null(value)) {
			json_object_del(into, key);
		} else if (!json_is_object(value)) {
			r |= json_object_set_new(into, key, json_deep_copy(value));
		} else {
			if (!json_is_object(have))
				r |= json_object_set_new(into, key, json_object());
			r |= apply(json_object_get(into, key), value);
		}
	}
	return r ? -ENOMEM : 0;
}

int kubeadm_apply_patch(json_t *docs, const json_t *patch)
{
	json_t *over = json_array_get(patch, 0), *doc = find(docs, over);

	return doc ? apply(doc, over) : 0;
}
