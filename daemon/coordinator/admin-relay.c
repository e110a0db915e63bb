/* admin-relay: see admin-relay.h. */
#include "coordinator/admin-relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "coordinator/admin-added.h"
#include "coordinator/admin-change.h"
#include "coordinator/relays.h"

struct relay_change {
	struct admin_change admin; /* first */
	uint32_t id;
};

/* The last one who came from outside by @way; null: nobody yet. */
static json_t *describe_way(
	const struct coord *c, const struct reached *reached, enum reached_way way)
{
	uint32_t id = reached->ways[way].node;
	const struct node *by = id ? netmap_by_id(coord_netmap(c), id) : NULL;
	uint64_t ago_us = clock_now_us() - reached->ways[way].at_us;

	if (!id)
		return json_null();
	return json_pack("{s:I, s:o, s:I}", "node", (json_int_t) id, "name",
		by ? json_string(by->name) : json_null(), "at",
		(json_int_t) ((clock_wall_us() - ago_us) / USEC_PER_SEC));
}

/* null: it has said nothing since this coordinator started. */
static json_t *describe_reached(const struct coord *c, const struct node *node)
{
	const struct reached *reached = relays_reached(c->relays, node->id);
	json_t *obj = reached ? json_object() : json_null();

	for (enum reached_way way = 0; reached && way < REACHED_WAYS; way++)
		(void) json_object_set_new(
			obj, reached_way_name(way), describe_way(c, reached, way));
	return obj;
}

static json_t *describe(const struct coord *c, const struct node *node, const char *state,
	const struct node_relay *relay)
{
	return json_pack("{s:I, s:s, s:s, s:o, s:o}", "id", (json_int_t) node->id, "name",
		node->name, "state", state, "relay", node_relay_to_json(relay), "reached",
		describe_reached(c, node));
}

void admin_relay_list(struct coord *c, struct ipc_request *request)
{
	json_t *list = json_array();

	for (const struct node *n = NULL; (n = netmap_next(coord_netmap(c), n));) {
		const struct node_relay *asked = relays_asked(c->relays, n->id);

		if (n->relay.n_hosts)
			(void) json_array_append_new(list, describe(c, n, "serving", &n->relay));
		else if (asked)
			(void) json_array_append_new(list, describe(c, n, "asked", asked));
	}
	ipc_request_reply(
		request, json_pack("{s:o, s:o}", "relays", list, "added", admin_added_list(c)));
}

static void answer(struct relay_change *a, bool changed)
{
	const struct node *node = netmap_by_id(coord_netmap(a->admin.coord), a->id);

	admin_audit(a->admin.request, "node %u, %s%s", (unsigned) a->id, node->name,
		changed ? "" : ", as before");
	ipc_request_reply(a->admin.request,
		json_pack("{s:I, s:s, s:b, s:o}", "id", (json_int_t) a->id, "name", node->name,
			"changed", changed, "relay", node_relay_to_json(&node->relay)));
}

static void done_allow(struct change *change, int r)
{
	struct relay_change *a = (struct relay_change *) change;

	if (r < 0)
		admin_refuse(&a->admin);
	else
		answer(a, r > 0);
	free(a);
}

static void done_deny(struct change *change, int r)
{
	struct relay_change *a = (struct relay_change *) change;
	struct relays *relays = a->admin.coord->relays;

	if (r < 0) {
		admin_refuse(&a->admin);
	} else {
		bool asked = relays_asked(relays, a->id) != NULL;

		relays_forget(relays, a->id);
		answer(a, r > 0 || asked);
	}
	free(a);
}

static int decide_allow(struct change *change, struct store_batch *batch)
{
	struct relay_change *a = (struct relay_change *) change;
	const struct node *node = admin_node_still(&a->admin, a->id);
	const struct node_relay *asked = relays_asked(a->admin.coord->relays, a->id);

	if (!node)
		return -ENOENT;
	if (node->relay.n_hosts)
		return 0; /* what it says of itself since needs no yes */
	if (!asked)
		return change_refuse(change, API_NOT_FOUND,
			"%s does not ask to be a relay. On that board: sudo hearth relay enable. "
			"Who asks is in `hearth relay list`.",
			node->name);
	return relays_sign(change, node, asked);
}

static int decide_deny(struct change *change, struct store_batch *batch)
{
	static const struct node_relay none;
	struct relay_change *a = (struct relay_change *) change;
	const struct node *node = admin_node_still(&a->admin, a->id);

	if (!node)
		return -ENOENT;
	return node->relay.n_hosts ? relays_sign(change, node, &none) : 0;
}

static void submit(
	struct coord *c, struct ipc_request *request, change_decide_fn decide, change_done_fn done)
{
	const struct node *node = admin_node(c, request);
	struct relay_change *a = node ? calloc(1, sizeof(*a)) : NULL;

	if (node && !a)
		ipc_request_fail(request, "internal", "Out of memory.");
	if (!a)
		return;
	a->admin = (struct admin_change){
		.change = { .decide = decide, .done = done }, .coord = c, .request = request
	};
	a->id = node->id;
	if (!admin_submit(&a->admin))
		free(a);
}

void admin_relay_allow(struct coord *c, struct ipc_request *request)
{
	submit(c, request, decide_allow, done_allow);
}

void admin_relay_deny(struct coord *c, struct ipc_request *request)
{
	submit(c, request, decide_deny, done_deny);
}
