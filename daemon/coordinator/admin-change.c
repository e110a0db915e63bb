/* admin-change: see admin-change.h. */
#include "coordinator/admin-change.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/usage.h"

/* The name of a node that @text is a slip of, NULL if it is like none. */
static const char *nearest(const struct netmap *netmap, const char *text)
{
	CLEANUP(free_p) const char **names = calloc(netmap_count(netmap) + 1, sizeof(*names));
	size_t n = 0;

	if (!names)
		return NULL;
	for (const struct node *node = NULL; (node = netmap_next(netmap, node));)
		names[n++] = node->name;
	return usage_nearest(text, names);
}

static void refuse_name(struct coord *c, struct ipc_request *request, const char *text)
{
	const char *near = nearest(coord_netmap(c), text);

	ipc_request_fail(request, "unknown_node",
		near ? "There is no node \"%.80s\" in the mesh; did you mean %s? See `hearth node "
		       "list`."
		     : "There is no node \"%.80s\" in the mesh. See `hearth node list`.",
		text, near);
}

const struct node *admin_node(struct coord *c, struct ipc_request *request)
{
	const json_t *which = json_object_get(ipc_request_args(request), "node");
	const struct node *node = NULL;
	const char *name = json_string_value(which);

	if (name)
		node = netmap_find(coord_netmap(c), name);
	else if (json_is_integer(which) && json_integer_value(which) > 0 &&
		 json_integer_value(which) <= NODE_ID_MAX)
		node = netmap_by_id(coord_netmap(c), (uint32_t) json_integer_value(which));
	if (!node && name)
		refuse_name(c, request, name);
	else if (!node && json_is_integer(which))
		ipc_request_fail(request, "unknown_node",
			"There is no node %lld in the mesh. See `hearth node list`.",
			(long long) json_integer_value(which));
	else if (!node)
		ipc_request_fail(request, "bad_request",
			"field \"node\" must be a name, a number or an address");
	return node;
}

const struct node *admin_node_still(struct admin_change *a, uint32_t id)
{
	const struct node *node = netmap_by_id(coord_netmap(a->coord), id);

	if (!node)
		(void) change_refuse(&a->change, API_NOT_FOUND, "The node was removed meanwhile.");
	return node;
}

void admin_audit(const struct ipc_request *request, const char *format, ...)
{
	char text[512];
	const struct ipc_creds *creds = ipc_request_creds(request);
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_notice("%s by uid %u (pid %d): %s", ipc_request_call(request), (unsigned) creds->uid,
		(int) creds->pid, text);
}

void admin_refuse(struct admin_change *a)
{
	ipc_request_fail(a->request, api_code_name(a->change.code), "%s", a->change.err.text);
}

bool admin_submit(struct admin_change *a)
{
	if (ledger_submit(a->coord->ledger, &a->change) == 0)
		return true;
	ipc_request_fail(
		a->request, api_code_name(API_TOO_MANY), "The coordinator is too busy. Try again.");
	return false;
}
