/*
 * tokens: see tokens.h. A sorted array: thousands at most, changed by hand.
 */
#include "coordinator/tokens.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

struct tokens {
	struct grant **list;
	size_t n, cap;
};

void grant_done(struct grant *grant)
{
	json_decref(grant->tags);
	json_decref(grant->labels);
	free(grant->uses);
	sodium_memzero(grant, sizeof(*grant));
}

static int read_replace(const json_t *json, struct grant *g, struct err *err)
{
	json_t *replace;
	uint64_t node = 0;
	int r;

	if (json_is_string(json_object_get(json, "replace"))) {
		g->revoked = true;
		return 0;
	}
	if ((r = json_get_object(json, "replace", &replace, err)) ||
		(r = json_get_u64(replace, "node", NODE_ID_MAX, &node, err)) ||
		(r = field_get_nonzero_key(replace, "identity", g->replace_identity, err)))
		return r;
	if (!node)
		return err_set(err, -EINVAL, "field \"replace\" must name a node");
	g->replace = (uint32_t) node;
	return 0;
}

static int read_grant(const json_t *json, struct grant *g, struct err *err)
{
	const char *role;
	json_t *tags, *labels;
	int r;

	if ((r = field_get_hex(json, "id", FIELD_ID_MAX - 1, g->id, err)) ||
		(r = field_get_key(json, "hash", g->hash, err)) ||
		(r = json_get_str(json, "role", &role, err)) ||
		(r = json_get_array(json, "tags", NODE_TAGS_MAX, &tags, err)) ||
		(r = json_get_object(json, "labels", &labels, err)) ||
		(r = json_get_bool(json, "reusable", &g->reusable, err)) ||
		(r = json_get_bool(json, "revoked", &g->revoked, err)) ||
		(r = json_get_u64(json, "created", INT64_MAX, &g->created, err)) ||
		(r = json_get_u64(json, "expires", INT64_MAX, &g->expires, err)))
		return r;
	if (node_role_parse(role, &g->role) < 0)
		return err_set(err, -EINVAL, "field \"role\" is no role");
	g->tags = json_incref(tags);
	g->labels = json_incref(labels);
	if ((json_has(json, "relay") && (r = json_get_bool(json, "relay", &g->relay, err))) ||
		(json_has(json, "name") && (r = field_get_name(json, "name", g->name, err))))
		return r;
	return json_has(json, "replace") ? read_replace(json, g, err) : 0;
}

int grant_from_json(const json_t *json, struct grant *ret, struct err *err)
{
	CLEANUP_GRANT struct grant g = { 0 };
	int r = field_refuse_missing(read_grant(json, &g, err), err);

	if (r < 0)
		return r;
	*ret = g;
	memset(&g, 0, sizeof(g));
	return 0;
}

json_t *grant_to_json(const struct grant *g)
{
	json_t *replace = g->replace ? json_pack("{s:I, s:o}", "node", (json_int_t) g->replace,
					       "identity", field_key(g->replace_identity))
				     : json_null();

	return json_pack("{s:s, s:o, s:s, s:O, s:O, s:s?, s:o, s:b, s:b, s:b, s:I, s:I}", "id",
		g->id, "hash", field_key(g->hash), "role", node_role_name(g->role), "tags", g->tags,
		"labels", g->labels, "name", g->name[0] ? g->name : NULL, "replace", replace,
		"reusable", g->reusable, "relay", g->relay, "revoked", g->revoked, "created",
		(json_int_t) g->created, "expires", (json_int_t) g->expires);
}

void grant_use_key(const char *id, const uint8_t identity[static NODE_KEY_LEN],
	char ret_key[static GRANT_USE_KEY_MAX])
{
	char text[KEY_BASE64_LEN];

	key_to_base64(identity, text);
	snprintf(ret_key, GRANT_USE_KEY_MAX, "%s %s", id, text);
}

int grant_use_from_json(const char *key, const json_t *json, char ret_id[static FIELD_ID_MAX],
	struct grant_use *ret)
{
	struct grant_use use = { 0 };
	char id[FIELD_ID_MAX];
	uint64_t node = 0;

	if (strlen(key) != GRANT_USE_KEY_MAX - 1 || key[FIELD_ID_MAX - 1] != ' ' ||
		key_from_base64(key + FIELD_ID_MAX, use.identity) < 0 ||
		json_get_u64(json, "node", NODE_ID_MAX, &node, NULL) < 0 ||
		json_get_u64(json, "at", INT64_MAX, &use.at, NULL) < 0)
		return -EINVAL;
	memcpy(id, key, FIELD_ID_MAX - 1);
	id[FIELD_ID_MAX - 1] = '\0';
	if (!field_hex_is_valid(id, FIELD_ID_MAX - 1))
		return -EINVAL;
	use.node = (uint32_t) node;
	memcpy(ret_id, id, sizeof(id));
	*ret = use;
	return 0;
}

const struct node *grant_replaced(const struct grant *g, const struct netmap *netmap)
{
	const struct node *node = g->replace ? netmap_by_id(netmap, g->replace) : NULL;

	return node && !memcmp(node->identity, g->replace_identity, NODE_KEY_LEN) ? node : NULL;
}

const char *grant_state(const struct grant *g, uint64_t now)
{
	if (g->revoked)
		return "revoked";
	if (!g->reusable && g->n_uses)
		return "used";
	return now >= g->expires ? "expired" : "valid";
}

const struct grant_use *grant_use_by(
	const struct grant *grant, const uint8_t identity[static NODE_KEY_LEN])
{
	for (size_t i = 0; i < grant->n_uses; i++)
		if (!memcmp(grant->uses[i].identity, identity, NODE_KEY_LEN))
			return &grant->uses[i];
	return NULL;
}

static const char *time_ago(uint64_t s, char text[static 48])
{
	static const struct {
		uint64_t s;
		const char *name;
	} units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (s >= units[i].s) {
			unsigned long long n = s / units[i].s;

			snprintf(text, 48, "%llu %s%s ago", n, units[i].name, n == 1 ? "" : "s");
			return text;
		}
	snprintf(text, 48, "just now");
	return text;
}

int grant_check(const struct grant *g, uint64_t now, enum api_code *ret_code, struct err *err)
{
	char ago[48];

	if (g->revoked) {
		*ret_code = API_TOKEN_REVOKED;
		return err_set(err, -EACCES,
			"The token was revoked. Create another with `hearth token create`.");
	}
	if (!g->reusable && g->n_uses) {
		*ret_code = API_TOKEN_USED;
		return err_set(err, -EACCES,
			"The token was used %s, by another board. Create another with `hearth "
			"token create`.",
			time_ago(now > g->uses[0].at ? now - g->uses[0].at : 0, ago));
	}
	if (now >= g->expires) {
		*ret_code = API_TOKEN_EXPIRED;
		return err_set(err, -EACCES,
			"The token expired %s. Create another with `hearth token create`.",
			time_ago(now - g->expires, ago));
	}
	if (g->n_uses >= TOKENS_USES_MAX) {
		*ret_code = API_TOKEN_USED;
		return err_set(err, -EACCES,
			"The token has enrolled %d boards, the most one can. Create another with "
			"`hearth token create`.",
			TOKENS_USES_MAX);
	}
	return 0;
}

struct tokens *tokens_new(void)
{
	return calloc(1, sizeof(struct tokens));
}

struct tokens *tokens_free(struct tokens *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n; i++) {
		grant_done(t->list[i]);
		free(t->list[i]);
	}
	free(t->list);
	free(t);
	return NULL;
}

/* The first index whose id is not below @id. */
static size_t lower_bound(const struct tokens *t, const char *id)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(t->list[middle]->id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int tokens_add(struct tokens *t, struct grant *grant)
{
	size_t at = lower_bound(t, grant->id);

	if (at < t->n && !strcmp(t->list[at]->id, grant->id))
		return -EEXIST;
	if (t->n >= TOKENS_MAX)
		return -ENOSPC;
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct grant **list = reallocarray(t->list, cap, sizeof(struct grant *));

		if (!list)
			return -ENOMEM;
		t->list = list;
		t->cap = cap;
	}
	struct grant *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *grant;
	memset(grant, 0, sizeof(*grant));
	memmove(&t->list[at + 1], &t->list[at], (t->n - at) * sizeof(struct grant *));
	t->list[at] = copy;
	t->n++;
	return 0;
}

void tokens_remove(struct tokens *t, const char *id)
{
	size_t at = lower_bound(t, id);

	if (at >= t->n || strcmp(t->list[at]->id, id) != 0)
		return;
	grant_done(t->list[at]);
	free(t->list[at]);
	t->n--;
	memmove(&t->list[at], &t->list[at + 1], (t->n - at) * sizeof(struct grant *));
}

int tokens_add_use(struct tokens *t, const char *id, const struct grant_use *use)
{
	struct grant *g = tokens_by_id(t, id);

	if (!g)
		return -ENOENT;
	struct grant_use *uses = reallocarray(g->uses, g->n_uses + 1, sizeof(*uses));

	if (!uses)
		return -ENOMEM;
	g->uses = uses;
	g->uses[g->n_uses++] = *use;
	return 0;
}

size_t tokens_count(const struct tokens *t)
{
	return t->n;
}

struct grant *tokens_at(const struct tokens *t, size_t index)
{
	return t->list[index];
}

struct grant *tokens_by_id(const struct tokens *t, const char *id)
{
	size_t at = lower_bound(t, id);

	return at < t->n && !strcmp(t->list[at]->id, id) ? t->list[at] : NULL;
}

int tokens_by_prefix(const struct tokens *t, const char *prefix, struct grant **ret)
{
	size_t at = lower_bound(t, prefix), len = strlen(prefix);

	if (!len || at >= t->n || strncmp(t->list[at]->id, prefix, len) != 0)
		return -ENOENT;
	if (at + 1 < t->n && !strncmp(t->list[at + 1]->id, prefix, len))
		return -ENOTUNIQ;
	*ret = t->list[at];
	return 0;
}

struct grant *tokens_authenticate(
	const struct tokens *t, const char *id, const uint8_t secret[static TOKEN_SECRET_LEN])
{
	static const uint8_t nobody[TOKEN_HASH_LEN];
	uint8_t hash[TOKEN_HASH_LEN];
	struct grant *g = tokens_by_id(t, id);

	token_hash_secret(secret, hash);
	bool same = sodium_memcmp(hash, g ? g->hash : nobody, sizeof(hash)) == 0;

	sodium_memzero(hash, sizeof(hash));
	return g && same ? g : NULL;
}
