/* enroll-plan: see enroll-plan.h. */
#include "coordinator/enroll-plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/coord.h"
#include "coordinator/schema.h"
#include "mesh/alloc.h"
#include "wire/node-label.h"
#include "wire/node-name.h"

#define BOARD_LABEL "hearth.internal/board"

/* A reply was lost, or enroll-node runs again: the same answer as before. */
static int decide_again(struct enrolment *e, const struct grant_use *use)
{
	const struct netmap *netmap = coord_netmap(e->coord);
	const struct node *node = netmap_by_id(netmap, use->node);

	if (!node || memcmp(node->identity, e->identity, NODE_KEY_LEN) != 0)
		return change_refuse(&e->change, API_REMOVED,
			"This board was enrolled with this token and removed since. Run "
			"`enroll-node --leave` on it and enrol it with a new token.");
	if (memcmp(node->wg, e->asked.wg, NODE_KEY_LEN) != 0)
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This board is enrolled as %s with another WireGuard key. Put that key "
			"back, or create a token with `hearth token create --replace %s`.",
			node->name, node->name);
	e->node = node->id;
	return 0;
}

/* What the board asked for must be what the token grants. */
static int check_confirmation(struct enrolment *e, const struct grant *g)
{
	const struct api_enroll_request *a = &e->asked;

	if (a->has_role && a->role != g->role)
		return change_refuse(&e->change, API_ROLE_MISMATCH,
			"The token is for a %s, not for a %s.", node_role_name(g->role),
			node_role_name(a->role));
	const struct node *old = grant_replaced(g, coord_netmap(e->coord));

	if (a->replace[0] && (!old || strcmp(a->replace, old->name) != 0))
		return change_refuse(&e->change, API_REPLACE_MISMATCH,
			"The token does not allow to replace %s. Create one with `hearth token "
			"create --replace %s`.",
			a->replace, a->replace);
	if (g->name[0] && a->name[0] && strcmp(a->name, g->name) != 0)
		return change_refuse(&e->change, API_NAME_MISMATCH,
			"The token is for the name %s, not for %s. Enrol with --name %s.", g->name,
			a->name, g->name);
	return 0;
}

/* A token that an older coordinator made may grant what kubelet will refuse. */
static int check_labels(struct enrolment *e, const struct grant *g)
{
	struct err why = { 0 };

	if (node_labels_check(g->labels, &why) < 0)
		return change_refuse(&e->change, API_BAD_REQUEST,
			"The token gives a label that no board can have: %s. Create another token.",
			why.text);
	return 0;
}

/* Whom others trust with whom they talk to and when, an administrator says. */
static int check_relay(struct enrolment *e, const struct grant *g)
{
	struct err why = { 0 };

	if (!e->asked.relay.n_hosts)
		return 0;
	if (!g->relay)
		return change_refuse(&e->change, API_FORBIDDEN,
			"The token lets no board be a relay. Create one with `hearth token create "
			"--relay`; or enrol without, let it ask with `hearth relay enable`, and "
			"say yes with `hearth relay allow`.");
	if (coord_check_relay(e->coord, &e->asked.relay, &why) < 0)
		return change_refuse(
			&e->change, API_BAD_REQUEST, "The board can be no relay: %s.", why.text);
	return 0;
}

/* Keys are unique in the mesh, now and ever; @replaced may keep its own. */
static int check_keys(struct enrolment *e, const struct node *replaced)
{
	const struct netmap *netmap = coord_netmap(e->coord);
	const struct node *other;
	uint32_t id = 0;

	switch (netmap_identity(netmap, e->identity, &id)) {
	case NETMAP_IDENTITY_UNKNOWN:
		break;
	case NETMAP_IDENTITY_CURRENT:
		if (replaced && replaced->id == id)
			break;
		other = netmap_by_id(netmap, id);
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This board is enrolled already, as %s. There is nothing to do; to start "
			"over use a token made with `hearth token create --replace %s`.",
			other->name, other->name);
	case NETMAP_IDENTITY_REVOKED:
	case NETMAP_IDENTITY_REMOVED:
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This board's identity key belonged to a node that was removed or replaced "
			"and is never accepted again. Run `enroll-node --leave`, then enrol: that "
			"makes new keys.");
	}
	if (netmap_wg_was_used(netmap, e->asked.wg, &id) &&
		!(replaced && !memcmp(replaced->wg, e->asked.wg, NODE_KEY_LEN)))
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This WireGuard key belongs, or belonged, to another node of the mesh. "
			"Make a new one: `enroll-node --leave`, then enrol.");
	return 0;
}

/* The token's name, else the one asked for, else the board's host name as it sent it. */
static int choose_name(struct enrolment *e, const struct grant *g, struct node *node)
{
	struct err why = { 0 };
	const json_t *host = json_object_get(e->asked.board, "hostname");
	const char *name = g->name[0]             ? g->name
			   : e->asked.name[0]     ? e->asked.name
			   : json_is_string(host) ? json_string_value(host)
						  : "";
	const struct node *other;

	if (node_name_choose(name, node->name, &why) < 0)
		return change_refuse(
			&e->change, API_BAD_REQUEST, "%s. Choose one with --name.", why.text);
	other = netmap_by_name(coord_netmap(e->coord), node->name);
	if (other)
		return change_refuse(&e->change, API_NAME_TAKEN,
			"The name %s is taken, by node %u. Choose another with --name; or, if this "
			"is that board set up anew, create a token with `hearth token create "
			"--replace %s`.",
			node->name, (unsigned) other->id, node->name);
	return 0;
}

/* What the board says it is ("pi3") is kept as a label, for people and for Kubernetes. */
static int set_labels(const struct enrolment *e, const struct grant *g, struct node *node)
{
	const json_t *board = json_object_get(e->asked.board, "board");

	json_decref(node->tags);
	json_decref(node->labels);
	node->tags = json_incref(g->tags);
	node->labels = json_copy(g->labels);
	if (!node->labels)
		return -ENOMEM;
	if (json_is_string(board) && field_name_is_valid(json_string_value(board)) &&
		!json_object_get(node->labels, BOARD_LABEL) &&
		json_object_size(node->labels) < NODE_LABELS_MAX)
		return json_object_set_new(
			node->labels, BOARD_LABEL, json_string(json_string_value(board)));
	return 0;
}

static int make_new(struct enrolment *e, const struct grant *g, struct node *node)
{
	struct err why = { 0 };
	int r = choose_name(e, g, node);

	if (r < 0)
		return r;
	r = alloc_node(coord_netmap(e->coord), g->role, node, &why);
	if (r == -ENOSPC)
		return change_refuse(&e->change, API_RANGE_FULL, "%s", why.text);
	if (r < 0)
		return change_refuse(&e->change, API_INTERNAL, "%s", why.text);
	return 0;
}

/*
 * The same node with new keys: name, addresses and pods stay, whatever the board is called now. It
 * is no relay unless it says where: the old one's keys are not its own, and who was trusted with
 * them was another machine.
 */
static int make_replacement(struct enrolment *e, const struct node *old, struct node *node)
{
	if (node_copy(old, node) < 0)
		return change_refuse(&e->change, API_INTERNAL, "Out of memory.");
	if (memcmp(old->identity, e->identity, NODE_KEY_LEN) != 0) {
		int r = node_revoke_identity(node);

		if (r == -E2BIG)
			return change_refuse(&e->change, API_REPLACE_MISMATCH,
				"%s was replaced %d times, the most that is possible. Remove it "
				"with `hearth node remove %s` and enrol the board as a new one.",
				old->name, NODE_REVOKED_MAX, old->name);
		if (r < 0)
			return change_refuse(&e->change, API_INTERNAL, "Out of memory.");
		node_relay_done(&node->relay);
	}
	return 0;
}

int enroll_plan(struct enrolment *e, const struct grant **ret_grant, struct node *node)
{
	struct change *change = &e->change;
	const struct node *old = NULL;
	const struct grant *g =
		tokens_authenticate(e->coord->tokens, e->asked.token_id, e->asked.secret);

	if (!g)
		return change_refuse(change, API_TOKEN_UNKNOWN,
			"The coordinator does not know this token. Was it copied whole, and made "
			"on this coordinator? Create another with `hearth token create`.");
	const struct grant_use *use = grant_use_by(g, e->identity);

	if (use)
		return decide_again(e, use);
	int r = grant_check(g, coord_now_s(), &change->code, &change->err);

	if (r == 0)
		r = check_confirmation(e, g);
	if (r == 0)
		r = check_labels(e, g);
	if (r == 0)
		r = check_relay(e, g);
	if (r < 0)
		return r;
	if (g->replace && !(old = grant_replaced(g, coord_netmap(e->coord))))
		return change_refuse(change, API_REPLACE_MISMATCH,
			"Node %u, which the token was made to replace, was removed or replaced "
			"since. Create another with `hearth token create --replace NAME`.",
			(unsigned) g->replace);
	r = check_keys(e, old);
	if (r == 0)
		r = old ? make_replacement(e, old, node) : make_new(e, g, node);
	*ret_grant = g;
	return r < 0 ? r : 1;
}

int enroll_write(
	struct enrolment *e, const struct grant *g, struct node *node, struct store_batch *batch)
{
	char key[GRANT_USE_KEY_MAX], value[64];

	memcpy(node->wg, e->asked.wg, NODE_KEY_LEN);
	memcpy(node->identity, e->identity, NODE_KEY_LEN);
	if (e->asked.relay.n_hosts) {
		node_relay_done(&node->relay);
		node_relay_copy(&e->asked.relay, &node->relay);
		added_apply(&e->coord->added, &node->relay);
	}
	if (set_labels(e, g, node) < 0)
		return change_refuse(&e->change, API_INTERNAL, "Out of memory.");
	CLEANUP_JSON json_t *payload = node_to_json(node);
	int r = ledger_set_record(&e->change, RECORD_TYPE_NODE, payload);

	if (r < 0)
		return r;
	e->node = node->id;
	memcpy(e->use.identity, e->identity, NODE_KEY_LEN);
	e->use.node = node->id;
	e->use.at = coord_now_s();
	grant_use_key(g->id, e->identity, key);
	snprintf(value, sizeof(value), "{\"at\":%llu,\"node\":%u}", (unsigned long long) e->use.at,
		(unsigned) node->id);
	store_batch_insert(batch, TABLE_USES, key, value, strlen(value));
	return 1;
}
