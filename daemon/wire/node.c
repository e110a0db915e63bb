/* node: see node.h. */
#include "wire/node.h"

#include <errno.h>
#include <string.h>

static const char *const role_names[] = {
	[NODE_ROLE_CONTROL_PLANE] = "control-plane",
	[NODE_ROLE_WORKER] = "worker",
	[NODE_ROLE_MEMBER] = "member",
};

void node_done(struct node *node)
{
	json_decref(node->tags);
	json_decref(node->labels);
	json_decref(node->origin);
	node_relay_done(&node->relay);
	free(node->revoked);
	*node = (struct node){ 0 };
}

const char *node_role_name(enum node_role role)
{
	return role_names[role];
}

int node_role_parse(const char *text, enum node_role *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
		if (!strcmp(text, role_names[i])) {
			*ret = (enum node_role) i;
			return 0;
		}
	return -EINVAL;
}

bool node_role_has_pods(enum node_role role)
{
	return role != NODE_ROLE_MEMBER;
}

int node_revoke_identity(struct node *node)
{
	if (node->n_revoked >= NODE_REVOKED_MAX)
		return -E2BIG;
	void *grown = reallocarray(node->revoked, node->n_revoked + 1, sizeof(*node->revoked));

	if (!grown)
		return -ENOMEM;
	node->revoked = grown;
	memcpy(node->revoked[node->n_revoked++], node->identity, NODE_KEY_LEN);
	return 0;
}

/* A part of a Kubernetes label: alphanumeric at its ends, "-", "_" and "." inside. */
static bool label_part_is_valid(const char *text, size_t len, const char *inside)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool alnum =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!alnum && (!i || i == len - 1 || !strchr(inside, c)))
			return false;
	}
	return true;
}

static bool label_is_valid(const char *key, const char *value)
{
	const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;
	size_t prefix_len = slash ? (size_t) (slash - key) : 0;

	if (slash &&
		(!prefix_len || prefix_len > 253 || !label_part_is_valid(key, prefix_len, "-.")))
		return false;
	size_t name_len = strlen(name), value_len = strlen(value);

	return name_len >= 1 && name_len <= 63 && label_part_is_valid(name, name_len, "-_.") &&
	       value_len <= 63 && label_part_is_valid(value, value_len, "-_.");
}

static int read_tags(const json_t *json, struct node *node, struct err *err)
{
	json_t *tags, *tag;
	size_t i;

	if (!json_has(json, "tags"))
		return 0;
	int r = json_get_array(json, "tags", NODE_TAGS_MAX, &tags, err);

	if (r)
		return r;
	json_array_foreach(tags, i, tag)
	{
		if (!json_is_string(tag) || !field_name_is_valid(json_string_value(tag)))
			return err_set(err, -EINVAL,
				"field \"tags\" must be a list of names of a-z, 0-9 and hyphens");
	}
	node->tags = json_incref(tags);
	return 0;
}

static int read_labels(const json_t *json, struct node *node, struct err *err)
{
	json_t *labels, *value;
	const char *key;

	if (!json_has(json, "labels"))
		return 0;
	int r = json_get_object(json, "labels", &labels, err);

	if (r)
		return r;
	if (json_object_size(labels) > NODE_LABELS_MAX)
		return err_set(err, -EINVAL, "field \"labels\" has more than %d entries",
			(int) NODE_LABELS_MAX);
	json_object_foreach(labels, key, value)
	{
		if (!json_is_string(value) || !label_is_valid(key, json_string_value(value)))
			return err_set(
				err, -EINVAL, "field \"labels\" must hold Kubernetes labels");
	}
	node->labels = json_incref(labels);
	return 0;
}

static int read_revoked(const json_t *json, struct node *node, struct err *err)
{
	if (!json_has(json, "revoked"))
		return 0;
	node->revoked = calloc(NODE_REVOKED_MAX, sizeof(*node->revoked));
	if (!node->revoked)
		return err_set(err, -ENOMEM, "out of memory");
	int r = field_get_keys(
		json, "revoked", 0, NODE_REVOKED_MAX, node->revoked, &node->n_revoked, err);

	if (r)
		return r;
	for (size_t i = 0; i < node->n_revoked; i++)
		if (!memcmp(node->revoked[i], node->identity, NODE_KEY_LEN))
			return err_set(err, -EINVAL, "field \"identity\" is among \"revoked\"");
	return 0;
}

static int read_pods(const json_t *json, struct node *node, struct err *err)
{
	bool has4 = json_has(json, "pods4"), has6 = json_has(json, "pods6");
	int r;

	if (!node_role_has_pods(node->role)) {
		if (has4 || has6)
			return err_set(err, -EINVAL,
				"field \"%s\" is not for a member, which runs no pods",
				has4 ? "pods4" : "pods6");
		return 0;
	}
	if ((r = field_get_prefix(json, "pods4", AF_INET, &node->pods4, err)) ||
		(r = field_get_prefix(json, "pods6", AF_INET6, &node->pods6, err)))
		return r;
	if (node->pods4.len != NODE_PODS4_LEN)
		return err_set(err, -EINVAL, "field \"pods4\" must be a /%d", (int) NODE_PODS4_LEN);
	if (node->pods6.len != NODE_PODS6_LEN)
		return err_set(err, -EINVAL, "field \"pods6\" must be a /%d", (int) NODE_PODS6_LEN);
	return 0;
}

static int read_relay(const json_t *json, struct node *node, struct err *err)
{
	return json_has(json, "relay")
		       ? node_relay_from_json(json_object_get(json, "relay"), &node->relay, err)
		       : 0;
}

static int read_fields(const json_t *json, struct node *node, struct err *err)
{
	uint64_t id;
	const char *role;
	int r;

	if ((r = json_get_u64(json, "id", NODE_ID_MAX, &id, err)))
		return r;
	if (!id)
		return err_set(err, -EINVAL, "field \"id\" counts from 1");
	node->id = (uint32_t) id;
	if ((r = field_get_name(json, "name", node->name, err)) ||
		(r = json_get_str(json, "role", &role, err)))
		return r;
	if (!strcmp(node->name, "api"))
		return err_set(err, -EINVAL, "field \"name\" must not be \"api\"");
	if (node_role_parse(role, &node->role) < 0)
		return err_set(
			err, -EINVAL, "field \"role\" must be control-plane, worker or member");
	if ((r = field_get_nonzero_key(json, "wg", node->wg, err)) ||
		(r = field_get_nonzero_key(json, "identity", node->identity, err)) ||
		(r = field_get_addr(json, "mesh4", AF_INET, &node->mesh4, err)) ||
		(r = field_get_addr(json, "mesh6", AF_INET6, &node->mesh6, err)) ||
		(r = read_pods(json, node, err)) || (r = read_tags(json, node, err)) ||
		(r = read_labels(json, node, err)) || (r = read_relay(json, node, err)))
		return r;
	return read_revoked(json, node, err);
}

int node_from_json(const json_t *json, struct node *ret, struct err *err)
{
	CLEANUP_NODE struct node node = { 0 };
	int r = field_refuse_missing(read_fields(json, &node, err), err);

	if (r) {
		err_prefix(err, "node");
		return r;
	}
	node.origin = json_incref((json_t *) json);
	*ret = node;
	node = (struct node){ 0 };
	return 0;
}

json_t *node_to_json(const struct node *node)
{
	CLEANUP_JSON json_t *json = field_copy_origin(node->origin);
	int bad = 0;

	bad |= json_object_set_new(json, "id", json_integer(node->id));
	bad |= json_object_set_new(json, "name", json_string(node->name));
	bad |= json_object_set_new(json, "role", json_string(node_role_name(node->role)));
	bad |= json_object_set_new(
		json, "tags", node->tags ? json_incref(node->tags) : json_array());
	bad |= json_object_set_new(
		json, "labels", node->labels ? json_incref(node->labels) : json_object());
	bad |= json_object_set_new(json, "wg", field_key(node->wg));
	bad |= json_object_set_new(json, "identity", field_key(node->identity));
	bad |= json_object_set_new(json, "mesh4", field_addr(&node->mesh4));
	bad |= json_object_set_new(json, "mesh6", field_addr(&node->mesh6));
	if (node_has_pods(node)) {
		bad |= json_object_set_new(json, "pods4", field_prefix(&node->pods4));
		bad |= json_object_set_new(json, "pods6", field_prefix(&node->pods6));
	} else if (json) {
		(void) json_object_del(json, "pods4"); /* -1: it had none */
		(void) json_object_del(json, "pods6");
	}
	if (node->relay.n_hosts)
		bad |= json_object_set_new(json, "relay", node_relay_to_json(&node->relay));
	else if (json)
		(void) json_object_del(json, "relay");
	bad |= json_object_set_new(json, "revoked", field_keys(node->revoked, node->n_revoked));
	return bad ? NULL : TAKE(json);
}

int node_copy(const struct node *node, struct node *ret)
{
	struct node copy = *node;

	copy.revoked = NULL;
	if (node->n_revoked) {
		copy.revoked = malloc(node->n_revoked * sizeof(*copy.revoked));
		if (!copy.revoked)
			return -ENOMEM;
		memcpy(copy.revoked, node->revoked, node->n_revoked * sizeof(*copy.revoked));
	}
	copy.tags = json_incref(node->tags);
	copy.labels = json_incref(node->labels);
	copy.origin = json_incref(node->origin);
	node_relay_copy(&node->relay, &copy.relay);
	*ret = copy;
	return 0;
}

size_t node_allowed_ips(const struct node *node, struct ip_prefix ret[static NODE_ALLOWED_MAX])
{
	size_t n = 0;

	ret[n++] = ip_prefix_of(&node->mesh4, 32);
	ret[n++] = ip_prefix_of(&node->mesh6, 128);
	if (node_has_pods(node)) {
		ret[n++] = node->pods4;
		ret[n++] = node->pods6;
	}
	return n;
}
