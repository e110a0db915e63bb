/*
 * What the boards say of the cluster's join files: each tells in its presence which bundle it tried last, and
 * why that came to nothing. Whoever publishes one wants to know, and sits at a control plane.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "node/hearthd.h"

static const char *const state_names[] = { "written", "failed", "trying", "unreachable" };
enum board_state { BOARD_WRITTEN, BOARD_FAILED, BOARD_TRYING, BOARD_UNREACHABLE };

static bool is_reachable(const struct hearthd *h, uint32_t id)
{
	const struct peer *peer = peers_get(h->peers, id);

	return peer && peer->reachable;
}

static enum board_state state_of(const struct hearthd *h, const struct node *node,
	const char *bundle, const char **ret_problem)
{
	const struct presence *presence = book_presence(h->core.book, node->id);
	bool is_self = node->id == h->core.config.node;
	const char *tried = is_self ? h->kube_tried : presence ? presence->kube : "";

	*ret_problem = is_self ? h->kube_problem : presence ? presence->kube_problem : "";
	if (!strcmp(tried, bundle))
		return **ret_problem ? BOARD_FAILED : BOARD_WRITTEN;
	*ret_problem = "";
	return is_self || is_reachable(h, node->id) ? BOARD_TRYING : BOARD_UNREACHABLE;
}

bool boards_have_tried(const struct hearthd *h, const char *bundle)
{
	const struct netmap *map = book_netmap(h->core.book);
	const char *problem;

	for (const struct node *n = NULL; (n = netmap_next(map, n));)
		if (node_has_pods(n) && state_of(h, n, bundle, &problem) == BOARD_TRYING)
			return false;
	return true;
}

json_t *boards_json(const struct hearthd *h, const char *bundle)
{
	const struct netmap *map = book_netmap(h->core.book);
	json_t *list = json_array();
	const char *problem;

	for (const struct node *n = NULL; list && (n = netmap_next(map, n));) {
		if (!node_has_pods(n))
			continue;
		enum board_state state = state_of(h, n, bundle, &problem);

		(void) json_array_append_new(
			list, json_pack("{s:s, s:s, s:s?}", "name", n->name, "state",
				      state_names[state], "problem", *problem ? problem : NULL));
	}
	return list ? json_pack("{s:o}", "boards", list) : NULL;
}

/* The first with its reason; the others by name. */
void boards_look(struct hearthd *h, const struct node *self)
{
	const struct netmap *map = book_netmap(h->core.book);
	CLEANUP_BUF struct buf others = { 0 };
	struct err err = { 0 };

	for (const struct node *n = NULL;
		self && self->role == NODE_ROLE_CONTROL_PLANE && (n = netmap_next(map, n));) {
		const struct presence *presence = book_presence(h->core.book, n->id);

		if (n->id == self->id || !node_has_pods(n) || !presence ||
			!presence->kube_problem[0])
			continue;
		if (err.code)
			buf_printf(&others, ", %s", n->name);
		else
			err_set(&err, -(int) n->id, /* another board is another reason */
				"%s could not write what it needs to join the cluster: %s", n->name,
				presence->kube_problem);
	}
	if (others.len) {
		size_t len = strlen(err.text);

		(void) snprintf(err.text + len, sizeof(err.text) - len,
			"; nor could%s (`hearth status` there says why)", buf_str(&others) + 1);
	}
	problem_set(&h->core.problems, "boards", &err);
}
