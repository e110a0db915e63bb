/* admin-node: see admin-node.h. */
#include "coordinator/admin-node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/admin-change.h"
#include "coordinator/presence.h"
#include "wire/node-label.h"
#include "wire/node-name.h"
#include "wire/presence.h"

struct node_change {
	struct admin_change admin; /* first */
	uint32_t id;
	char name[NODE_NAME_MAX]; /* the new one of a rename, the old one of a removal */
	char reason[TOMBSTONE_REASON_MAX];
	json_t *set, *remove; /* owned: labels and values; names of labels */
};

static void node_change_free(struct node_change *n)
{
	json_decref(n->set);
	json_decref(n->remove);
	free(n);
}

/* The presence is ours, checked when it came: its endpoints, for people. */
static json_t *endpoints_of(struct coord *c, uint32_t id)
{
	CLEANUP_PRESENCE struct presence p = { 0 };
	const char *text = presences_text(c->presences, id);
	json_t *list = json_array();
	CLEANUP_JSON json_t *doc = text ? json_parse(text, strlen(text), NULL) : NULL;

	if (!doc || presence_from_json(doc, &p, NULL) < 0)
		return list;
	for (size_t i = 0; i < p.n_endpoints; i++) {
		char endpoint[ENDPOINT_TEXT_MAX];

		(void) json_array_append_new(
			list, json_string(endpoint_format(&p.endpoints[i], endpoint)));
	}
	return list;
}

void admin_node_list(struct coord *c, struct ipc_request *request)
{
	json_t *list = json_array();

	for (const struct node *n = NULL; (n = netmap_next(coord_netmap(c), n));) {
		json_t *json = node_to_json(n);

		(void) json_object_set_new(
			json, "connected", json_boolean(feed_is_polling(c->feed, n->id)));
		(void) json_object_set_new(json, "last_seen",
			json_integer((json_int_t) feed_last_seen(c->feed, n->id)));
		(void) json_object_set_new(json, "endpoints", endpoints_of(c, n->id));
		(void) json_array_append_new(list, json);
	}
	ipc_request_reply(request, json_pack("{s:o}", "nodes", list));
}

static void done(struct change *change, int r)
{
	struct node_change *n = (struct node_change *) change;

	if (r < 0) {
		admin_refuse(&n->admin);
	} else {
		admin_audit(n->admin.request, "node %u, %s", (unsigned) n->id, n->name);
		ipc_request_reply(n->admin.request,
			json_pack("{s:I, s:s}", "id", (json_int_t) n->id, "name", n->name));
	}
	node_change_free(n);
}

static void done_label(struct change *change, int r)
{
	struct node_change *n = (struct node_change *) change;
	const struct node *node = netmap_by_id(coord_netmap(n->admin.coord), n->id);

	if (r < 0) {
		admin_refuse(&n->admin);
	} else {
		admin_audit(n->admin.request, "node %u, %s: %zu set, %zu taken away",
			(unsigned) n->id, n->name, json_object_size(n->set),
			json_array_size(n->remove));
		ipc_request_reply(n->admin.request,
			json_pack("{s:I, s:s, s:b, s:o}", "id", (json_int_t) n->id, "name", n->name,
				"changed", r > 0, "labels",
				node && node->labels ? json_incref(node->labels) : json_object()));
	}
	node_change_free(n);
}

static int decide_remove(struct change *change, struct store_batch *batch)
{
	struct node_change *n = (struct node_change *) change;
	struct tombstone tombstone = { .id = n->id };

	if (!admin_node_still(&n->admin, n->id))
		return -ENOENT;
	(void) snprintf(tombstone.reason, sizeof(tombstone.reason), "%s", n->reason);
	CLEANUP_JSON json_t *payload = tombstone_to_json(&tombstone);
	int r = ledger_set_record(change, RECORD_TYPE_TOMBSTONE, payload);

	return r < 0 ? r : 1;
}

static int decide_rename(struct change *change, struct store_batch *batch)
{
	struct node_change *n = (struct node_change *) change;
	CLEANUP_NODE struct node copy = { 0 };
	const struct node *node = admin_node_still(&n->admin, n->id);
	const struct node *other = netmap_by_name(coord_netmap(n->admin.coord), n->name);

	if (!node)
		return -ENOENT;
	if (other == node)
		return 0;
	if (other)
		return change_refuse(change, API_NAME_TAKEN, "The name %s is taken, by node %u.",
			n->name, (unsigned) other->id);
	if (node_copy(node, &copy) < 0)
		return change_refuse(change, API_INTERNAL, "Out of memory.");
	(void) snprintf(copy.name, sizeof(copy.name), "%s", n->name);
	CLEANUP_JSON json_t *payload = node_to_json(&copy);
	int r = ledger_set_record(change, RECORD_TYPE_NODE, payload);

	return r < 0 ? r : 1;
}

static int decide_label(struct change *change, struct store_batch *batch)
{
	struct node_change *n = (struct node_change *) change;
	CLEANUP_NODE struct node copy = { 0 };
	const struct node *node = admin_node_still(&n->admin, n->id);
	size_t i;
	json_t *key;

	if (!node)
		return -ENOENT;
	if (node_copy(node, &copy) < 0)
		return change_refuse(change, API_INTERNAL, "Out of memory.");
	json_decref(copy.labels);
	copy.labels = node->labels ? json_copy(node->labels) : json_object();
	json_array_foreach(n->remove, i, key)(void)
		json_object_del(copy.labels, json_string_value(key)); /* -1: has none */
	if (!copy.labels || json_object_update(copy.labels, n->set) < 0)
		return change_refuse(change, API_INTERNAL, "Out of memory.");
	if (json_object_size(copy.labels) > NODE_LABELS_MAX)
		return change_refuse(change, API_BAD_REQUEST,
			"%s would have %zu labels, and %d is the most.", n->name,
			json_object_size(copy.labels), (int) NODE_LABELS_MAX);
	if (node->labels ? json_equal(node->labels, copy.labels) : !json_object_size(copy.labels))
		return 0;
	CLEANUP_JSON json_t *payload = node_to_json(&copy);
	int r = ledger_set_record(change, RECORD_TYPE_NODE, payload);

	return r < 0 ? r : 1;
}

static struct node_change *node_change_new(
	struct coord *c, struct ipc_request *request, change_decide_fn decide)
{
	const struct node *node = admin_node(c, request);
	struct node_change *n = node ? calloc(1, sizeof(*n)) : NULL;

	if (node && !n)
		ipc_request_fail(request, "internal", "Out of memory.");
	if (!n)
		return NULL;
	n->admin = (struct admin_change){
		.change = { .decide = decide, .done = done }, .coord = c, .request = request
	};
	n->id = node->id;
	(void) snprintf(n->name, sizeof(n->name), "%s", node->name);
	return n;
}

void admin_node_remove(struct coord *c, struct ipc_request *request)
{
	const json_t *reason = json_object_get(ipc_request_args(request), "reason");
	struct node_change *n = node_change_new(c, request, decide_remove);

	if (!n)
		return;
	const char *text = json_is_string(reason) ? json_string_value(reason) : "removed";

	if (!*text || strlen(text) >= sizeof(n->reason)) {
		ipc_request_fail(request, "bad_request", "field \"reason\" must be 1 to %zu bytes",
			sizeof(n->reason) - 1);
		free(n);
		return;
	}
	(void) snprintf(n->reason, sizeof(n->reason), "%s", text);
	if (!admin_submit(&n->admin))
		node_change_free(n);
}

void admin_node_rename(struct coord *c, struct ipc_request *request)
{
	struct err why = { 0 };
	char name[NODE_NAME_MAX];
	const char *text = NULL;
	int r = json_get_str(ipc_request_args(request), "name", &text, &why);

	if (r == 0)
		r = node_name_choose(text, name, &why);
	if (r < 0) {
		ipc_request_fail(request, "bad_request", "%s", why.text);
		return;
	}
	struct node_change *n = node_change_new(c, request, decide_rename);

	if (!n)
		return;
	(void) snprintf(n->name, sizeof(n->name), "%s", name);
	if (!admin_submit(&n->admin))
		node_change_free(n);
}

/* Any label may be taken away, also one that could not be set. */
static int read_labels(const json_t *args, struct node_change *n, struct err *err)
{
	json_t *set = NULL, *remove = NULL, *key;
	size_t i;
	int r = json_has(args, "set") ? json_get_object(args, "set", &set, err) : 0;

	if (r == 0 && json_has(args, "remove"))
		r = json_get_array(args, "remove", NODE_LABELS_MAX, &remove, err);
	if (r == 0)
		r = node_labels_check(set, err);
	if (r < 0)
		return r;
	json_array_foreach(remove, i, key)
	{
		if (!json_is_string(key))
			return err_set(err, -EINVAL, "field \"remove\" must be a list of labels");
		if (json_object_get(set, json_string_value(key)))
			return err_set(err, -EINVAL, "%.90s is to be set and to be taken away",
				json_string_value(key));
	}
	n->set = set ? json_incref(set) : json_object();
	n->remove = remove ? json_incref(remove) : json_array();
	return n->set && n->remove ? 0 : err_set(err, -ENOMEM, "out of memory");
}

void admin_node_label(struct coord *c, struct ipc_request *request)
{
	struct err why = { 0 };
	struct node_change *n = node_change_new(c, request, decide_label);

	if (!n)
		return;
	n->admin.change.done = done_label;
	if (read_labels(ipc_request_args(request), n, &why) < 0) {
		ipc_request_fail(request, "bad_request", "%s", why.text);
		node_change_free(n);
		return;
	}
	if (!admin_submit(&n->admin))
		node_change_free(n);
}
