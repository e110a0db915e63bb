/* netmap_find(), netmap_first_control_plane(), netmap_once_named(): see netmap.h. */
#include <string.h>

#include "mesh/netmap.h"
#include "wire/node-name.h"

const struct node *netmap_find(const struct netmap *netmap, const char *text)
{
	const struct settings *settings = netmap_settings(netmap);
	const struct node *node = NULL;
	struct node_meant meant;

	node_meant_parse(text, settings ? settings->mesh : NULL, &meant);
	if (meant.addr.family)
		return netmap_by_addr(netmap, &meant.addr);
	if (meant.name[0])
		node = netmap_by_name(netmap, meant.name);
	return node || !meant.id ? node : netmap_by_id(netmap, meant.id);
}

const struct node *netmap_first_control_plane(const struct netmap *netmap)
{
	const struct node *node = NULL;

	while ((node = netmap_next(netmap, node)))
		if (node->role == NODE_ROLE_CONTROL_PLANE)
			break;
	return node;
}

const struct node *netmap_once_named(
	const struct netmap *netmap, const struct mesh_log *log, const char *name)
{
	for (uint64_t seq = 1; seq <= mesh_log_head(log); seq++) {
		const struct record *record = mesh_log_get(log, seq);
		CLEANUP_NODE struct node then = { 0 };
		CLEANUP_JSON json_t *json = strcmp(record->type, RECORD_TYPE_NODE)
						    ? NULL
						    : record_payload_json(record, NULL);

		if (!json || node_from_json(json, &then, NULL) < 0 || strcmp(then.name, name) != 0)
			continue;
		const struct node *now = netmap_by_id(netmap, then.id);

		if (now && strcmp(now->name, name) != 0)
			return now;
	}
	return NULL;
}
