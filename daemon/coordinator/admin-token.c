/* admin-token: see admin-token.h. */
#include "coordinator/admin-token.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/json.h"
#include "coordinator/admin-change.h"
#include "coordinator/schema.h"
#include "coordinator/urls.h"
#include "mesh/alloc.h"
#include "mesh/relay-hosts.h"
#include "wire/node-label.h"
#include "wire/node-name.h"

enum { FORGET_AT_ONCE = 64 };

struct token_change {
	struct admin_change admin; /* first */
	struct grant grant;
	bool has_role, has_tags, has_labels;
	uint8_t secret[TOKEN_SECRET_LEN];
	char id[FIELD_ID_MAX]; /* revoke */
	char forgotten[FORGET_AT_ONCE][FIELD_ID_MAX];
	size_t n_forgotten;
};

static void token_change_free(struct token_change *t)
{
	grant_done(&t->grant);
	sodium_memzero(t, sizeof(*t));
	free(t);
}

/* The public half of a grant, for lists and replies. */
static json_t *describe(struct coord *c, const struct grant *g)
{
	json_t *uses = json_array(), *used_by = json_array();
	const struct node *old = netmap_by_id(coord_netmap(c), g->replace);
	char gone[32];

	snprintf(gone, sizeof(gone), "(node %u, removed)", (unsigned) g->replace);
	for (size_t i = 0; i < g->n_uses; i++) {
		const struct node *node = netmap_by_id(coord_netmap(c), g->uses[i].node);
		char text[32];

		snprintf(text, sizeof(text), "(node %u, removed)", (unsigned) g->uses[i].node);
		(void) json_array_append_new(used_by, json_string(node ? node->name : text));
		(void) json_array_append_new(
			uses, json_pack("{s:I, s:I}", "node", (json_int_t) g->uses[i].node, "at",
				      (json_int_t) g->uses[i].at));
	}
	return json_pack("{s:s, s:s, s:s?, s:s?, s:b, s:b, s:O, s:O, s:I, s:I, s:s, s:o, s:o}",
		"id", g->id, "role", node_role_name(g->role), "name", g->name[0] ? g->name : NULL,
		"replace",
		!g->replace ? NULL
		: old       ? old->name
			    : gone,
		"reusable", g->reusable, "relay", g->relay, "tags", g->tags, "labels", g->labels,
		"created", (json_int_t) g->created, "expires", (json_int_t) g->expires, "state",
		grant_state(g, coord_now_s()), "uses", uses, "used_by", used_by);
}

void admin_token_list(struct coord *c, struct ipc_request *request)
{
	json_t *list = json_array();

	for (size_t i = 0; i < tokens_count(c->tokens); i++)
		(void) json_array_append_new(list, describe(c, tokens_at(c->tokens, i)));
	ipc_request_reply(request, json_pack("{s:o}", "tokens", list));
}

static int store_grant(struct store_batch *batch, const struct grant *g)
{
	CLEANUP_JSON json_t *json = grant_to_json(g);
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

	if (!text)
		return -ENOMEM;
	store_batch_put(batch, TABLE_TOKENS, g->id, text, strlen(text));
	return 0;
}

/*
 * The name the token allows, and the node it replaces: found now, and again when the token is made.
 */
static int read_names(const json_t *args, struct token_change *t, struct err *err)
{
	const struct node *node;
	const char *name = NULL, *replace = NULL;
	int r = 0;

	if ((json_has(args, "name") && (r = json_get_str(args, "name", &name, err))) ||
		(json_has(args, "replace") && (r = json_get_str(args, "replace", &replace, err))))
		return r;
	if (replace) {
		node = netmap_find(coord_netmap(t->admin.coord), replace);
		if (!node)
			return err_set(err, -ESRCH,
				"There is no node \"%.80s\" to replace. See `hearth node list`.",
				replace);
		t->grant.replace = node->id;
		memcpy(t->grant.replace_identity, node->identity, NODE_KEY_LEN);
	}
	return name ? node_name_choose(name, t->grant.name, err) : 0;
}

/* @key is absent, or set in *@ret. */
static int read_bool(const json_t *args, const char *key, bool *ret, struct err *err)
{
	return json_has(args, key) ? json_get_bool(args, key, ret, err) : 0;
}

static int read_grant(const json_t *args, struct token_change *t, struct err *err)
{
	struct grant *g = &t->grant;
	const char *role = "worker";
	uint64_t ttl = TOKENS_TTL_DEFAULT_S;
	json_t *tags = NULL, *labels = NULL;
	int r = read_names(args, t, err);

	if (r < 0)
		return r;
	t->has_role = json_has(args, "role");
	t->has_tags = json_has(args, "tags");
	t->has_labels = json_has(args, "labels");
	if ((t->has_role && (r = json_get_str(args, "role", &role, err))) ||
		(json_has(args, "ttl_s") &&
			(r = json_get_u64(args, "ttl_s", TOKENS_TTL_MAX_S, &ttl, err))) ||
		(r = read_bool(args, "reusable", &g->reusable, err)) ||
		(r = read_bool(args, "relay", &g->relay, err)) ||
		(t->has_tags && (r = json_get_array(args, "tags", NODE_TAGS_MAX, &tags, err))) ||
		(t->has_labels && (r = json_get_object(args, "labels", &labels, err))))
		return r;
	if (node_role_parse(role, &g->role) < 0)
		return err_set(err, -EINVAL, "The role must be control-plane, worker or member.");
	if (!ttl)
		return err_set(err, -EINVAL, "A token must live for at least a second.");
	if (g->reusable && (g->name[0] || g->replace))
		return err_set(err, -EINVAL,
			"A reusable token is for several boards: it cannot fix a name or replace "
			"one.");
	r = node_labels_check(labels, err);
	if (r < 0)
		return r;
	t->has_tags = tags && json_array_size(tags);
	t->has_labels = labels && json_object_size(labels);
	g->tags = tags ? json_incref(tags) : json_array();
	g->labels = labels ? json_incref(labels) : json_object();
	g->created = coord_now_s();
	g->expires = g->created + ttl;
	return 0;
}

/* What the token would make must be acceptable: told to the person now, not to the board later. */
static int check_result(struct token_change *t)
{
	struct grant *g = &t->grant;
	struct coord *c = t->admin.coord;
	CLEANUP_NODE struct node node = { .name = "x" }, again = { 0 };
	struct err why = { 0 };
	int r = alloc_node(coord_netmap(c), g->role, &node, &why);

	if (r < 0)
		return change_refuse(&t->admin.change, r == -ENOSPC ? API_RANGE_FULL : API_INTERNAL,
			"%s", why.text);
	node.tags = json_incref(g->tags);
	node.labels = json_incref(g->labels);
	memset(node.wg, 1, sizeof(node.wg));
	memset(node.identity, 1, sizeof(node.identity));
	CLEANUP_JSON json_t *json = node_to_json(&node);

	if (node_from_json(json, &again, &why) < 0)
		return change_refuse(&t->admin.change, API_BAD_REQUEST, "%s", why.text);
	return 0;
}

static int take_from_replaced(struct token_change *t)
{
	struct grant *g = &t->grant;
	const struct node *node = grant_replaced(g, coord_netmap(t->admin.coord));
	struct err why = { 0 };

	if (!node)
		return change_refuse(&t->admin.change, API_NOT_FOUND,
			"The node to replace was removed or replaced meanwhile. See `hearth node "
			"list`.");
	if (t->has_role && g->role != node->role)
		return change_refuse(&t->admin.change, API_ROLE_MISMATCH,
			"%s is a %s and stays one: a replaced board keeps its role.", node->name,
			node_role_name(node->role));
	if (g->name[0] && strcmp(g->name, node->name) != 0)
		return change_refuse(&t->admin.change, API_NAME_MISMATCH,
			"A board that replaces %s keeps that name. Rename it afterwards.",
			node->name);
	g->role = node->role;
	if (!t->has_tags && node->tags) {
		json_decref(g->tags);
		g->tags = json_deep_copy(node->tags);
	}
	if (!t->has_labels && node->labels) {
		json_decref(g->labels);
		g->labels = json_deep_copy(node->labels);
	}
	if (!g->tags || !g->labels)
		return change_refuse(&t->admin.change, API_INTERNAL, "Out of memory.");
	if (node_labels_check(g->labels, &why) < 0)
		return change_refuse(&t->admin.change, API_BAD_REQUEST,
			"%s has a label that no board can have: %s. Take it away first: `hearth "
			"node label %s LABEL-`.",
			node->name, why.text, node->name);
	return 0;
}

/* Tokens that expired long ago go with the same write. */
static void forget_old(struct token_change *t, struct store_batch *batch)
{
	const struct tokens *tokens = t->admin.coord->tokens;
	uint64_t now = coord_now_s();

	for (size_t i = 0; i < tokens_count(tokens) && t->n_forgotten < FORGET_AT_ONCE; i++) {
		const struct grant *g = tokens_at(tokens, i);

		if (now < g->expires + TOKENS_KEEP_S)
			continue;
		store_batch_delete(batch, TABLE_TOKENS, g->id);
		for (size_t u = 0; u < g->n_uses; u++) {
			char key[FIELD_ID_MAX + KEY_BASE64_LEN], identity[KEY_BASE64_LEN];

			key_to_base64(g->uses[u].identity, identity);
			snprintf(key, sizeof(key), "%s %s", g->id, identity);
			store_batch_delete(batch, TABLE_USES, key);
		}
		(void) snprintf(t->forgotten[t->n_forgotten++], FIELD_ID_MAX, "%s", g->id);
	}
}

static int decide_create(struct change *change, struct store_batch *batch)
{
	struct token_change *t = (struct token_change *) change;
	struct grant *g = &t->grant;
	struct coord *c = t->admin.coord;
	uint64_t id;
	int r = g->replace ? take_from_replaced(t) : check_result(t);

	if (r < 0)
		return r;
	if (g->name[0] && !g->replace && netmap_by_name(coord_netmap(c), g->name))
		return change_refuse(change, API_NAME_TAKEN,
			"The name %s is taken. Choose another; or, if this is that board set up "
			"anew, use `hearth token create --replace %s`.",
			g->name, g->name);
	if (tokens_count(c->tokens) >= TOKENS_MAX)
		return change_refuse(change, API_TOO_MANY,
			"There are %d tokens already, the most that are kept.", TOKENS_MAX);
	do {
		randombytes_buf(&id, sizeof(id));
		snprintf(g->id, sizeof(g->id), "%016" PRIx64, id);
	} while (tokens_by_id(c->tokens, g->id));
	randombytes_buf(t->secret, sizeof(t->secret));
	token_hash_secret(t->secret, g->hash);
	forget_old(t, batch);
	if (store_grant(batch, g) < 0)
		return change_refuse(change, API_INTERNAL, "Out of memory.");
	return 1;
}

/* Of long URLs there may be so many that there is no room for all relays. */
static int format_token(struct token *token, char **ret_text)
{
	int r;

	while ((r = token_format(token, ret_text)) == -ENAMETOOLONG && token->n_relays)
		token->n_relays--;
	return r;
}

/* The token's text: where this coordinator is found now, and how it is recognised. */
static int write_token(struct token_change *t, char **ret_text, json_t **ret_urls)
{
	struct coord *c = t->admin.coord;
	CLEANUP_SETTINGS struct settings s = { 0 };
	CLEANUP_TOKEN struct token token = { 0 };

	settings_copy(coord_settings(c), &s);
	(void) urls_merge(c, &s);
	memcpy(token.mesh, s.mesh, sizeof(token.mesh));
	memcpy(token.urls, s.urls, sizeof(token.urls));
	token.n_urls = s.n_urls;
	token.n_relays = relay_hosts_choose(coord_netmap(c), token.relays, TOKEN_RELAYS_MAX);
	memcpy(token.pins, s.pins, sizeof(token.pins));
	token.n_pins = s.n_pins;
	memcpy(token.root, c->root_hash, sizeof(token.root));
	memcpy(token.id, t->grant.id, sizeof(token.id));
	memcpy(token.secret, t->secret, sizeof(token.secret));
	*ret_urls = field_urls(s.urls, s.n_urls);
	return format_token(&token, ret_text);
}

static void done_create(struct change *change, int r)
{
	struct token_change *t = (struct token_change *) change;
	struct coord *c = t->admin.coord;
	struct grant *g = &t->grant;
	char *text = NULL;
	json_t *urls = NULL, *reply = NULL;

	if (r < 0) {
		admin_refuse(&t->admin);
		token_change_free(t);
		return;
	}
	for (size_t i = 0; i < t->n_forgotten; i++)
		tokens_remove(c->tokens, t->forgotten[i]);
	r = write_token(t, &text, &urls);
	if (r == 0) {
		reply = describe(c, g);
		(void) json_object_set_new(reply, "token", json_string(text));
		(void) json_object_set_new(reply, "urls", urls);
		char replaces[32] = "";

		if (g->replace)
			(void) snprintf(replaces, sizeof(replaces), ", replaces node %u",
				(unsigned) g->replace);
		admin_audit(t->admin.request, "%s for a %s, %llu s%s%s%s", g->id,
			node_role_name(g->role), (unsigned long long) (g->expires - g->created),
			g->reusable ? ", reusable" : "", g->relay ? ", may be a relay" : "",
			replaces);
		r = tokens_add(c->tokens, g);
		sodium_memzero(text, strlen(text));
		free(text);
	} else {
		json_decref(urls);
	}
	if (r < 0 || !reply)
		ipc_request_fail(t->admin.request, api_code_name(API_INTERNAL),
			"The token cannot be written: %s.", strerror(-r));
	else
		ipc_request_reply(t->admin.request, json_incref(reply));
	json_decref(reply);
	token_change_free(t);
	urls_refresh(c);
}

static struct token_change *token_change_new(
	struct coord *c, struct ipc_request *request, change_decide_fn decide, change_done_fn done)
{
	struct token_change *t = calloc(1, sizeof(*t));

	if (!t) {
		ipc_request_fail(request, "internal", "Out of memory.");
		return NULL;
	}
	t->admin = (struct admin_change){
		.change = { .decide = decide, .done = done }, .coord = c, .request = request
	};
	return t;
}

void admin_token_create(struct coord *c, struct ipc_request *request)
{
	struct err why = { 0 };
	struct token_change *t = token_change_new(c, request, decide_create, done_create);

	if (!t)
		return;
	if (read_grant(ipc_request_args(request), t, &why) < 0) {
		ipc_request_fail(
			request, why.code == -ESRCH ? "not_found" : "bad_request", "%s", why.text);
		token_change_free(t);
		return;
	}
	if (!admin_submit(&t->admin))
		token_change_free(t);
}

static int decide_revoke(struct change *change, struct store_batch *batch)
{
	struct token_change *t = (struct token_change *) change;
	struct grant *g = tokens_by_id(t->admin.coord->tokens, t->id);

	if (!g)
		return change_refuse(change, API_NOT_FOUND, "The token was forgotten meanwhile.");
	if (g->revoked)
		return 0;
	struct grant revoked = *g;

	revoked.revoked = true;
	return store_grant(batch, &revoked) < 0
		       ? change_refuse(change, API_INTERNAL, "Out of memory.")
		       : 1;
}

static void done_revoke(struct change *change, int r)
{
	struct token_change *t = (struct token_change *) change;
	struct grant *g = tokens_by_id(t->admin.coord->tokens, t->id);

	if (r < 0 || !g) {
		admin_refuse(&t->admin);
	} else {
		g->revoked = true;
		admin_audit(t->admin.request, "%s", g->id);
		ipc_request_reply(
			t->admin.request, json_pack("{s:s, s:s}", "id", g->id, "state", "revoked"));
	}
	token_change_free(t);
}

void admin_token_revoke(struct coord *c, struct ipc_request *request)
{
	struct err why = { 0 };
	const char *id = NULL;
	struct grant *g = NULL;
	int r = json_get_str(ipc_request_args(request), "id", &id, &why);

	if (r < 0) {
		ipc_request_fail(request, "bad_request", "%s", why.text);
		return;
	}
	r = tokens_by_prefix(c->tokens, id, &g);
	if (r == -ENOTUNIQ) {
		ipc_request_fail(request, "ambiguous",
			"Several tokens begin with these digits: give more of them.");
		return;
	}
	if (r < 0) {
		ipc_request_fail(request, "unknown_token",
			"There is no such token. See `hearth token list`.");
		return;
	}
	struct token_change *t = token_change_new(c, request, decide_revoke, done_revoke);

	if (!t)
		return;
	(void) snprintf(t->id, sizeof(t->id), "%s", g->id);
	if (!admin_submit(&t->admin))
		token_change_free(t);
}
