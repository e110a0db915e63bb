/*
 * A node's own name stands before `api`, so that the reverse lookup gives it.
 */
#include "node/hostnames.h"

#include <string.h>

#include "base/names.h"
#include "wire/hosts.h"

static int add_entry(json_t *list, const struct ip_addr *addr, const struct node *node,
	const char *mesh, bool is_api)
{
	CLEANUP_JSON json_t *names = json_array();
	char text[IP_TEXT_MAX];

	if (json_array_append_new(names, json_sprintf("%s.%s.internal", node->name, mesh)) < 0)
		return -1;
	if (is_api && json_array_append_new(names, json_sprintf("api.%s.internal", mesh)) < 0)
		return -1;
	return json_array_append_new(list,
		json_pack("{s:s,s:O}", "address", ip_addr_format(addr, text), "names", names));
}

json_t *hostnames_request(json_t *entries, const char *ifname)
{
	CLEANUP_JSON json_t *request = json_pack("{s:o}", "entries", entries);

	/* An older helper knows of one block only, and of no such field. */
	if (request && strcmp(ifname, NAMES_LINK_DEFAULT) != 0 &&
		json_object_set_new(request, "ifname", json_string(ifname)) < 0)
		return NULL;
	return TAKE(request);
}

json_t *hostnames_entries(const struct netmap *netmap,
	bool (*has_ipv6)(const void *ctx, uint32_t id), const void *ctx)
{
	const struct settings *settings = netmap_settings(netmap);
	CLEANUP_JSON json_t *list = json_array();
	const struct node *node = NULL, *api = NULL;

	while (settings && list && (node = netmap_next(netmap, node))) {
		if (!api && node->role == NODE_ROLE_CONTROL_PLANE)
			api = node;
		if (add_entry(list, &node->mesh4, node, settings->mesh, node == api) < 0)
			return NULL;
		if (has_ipv6(ctx, node->id) &&
			add_entry(list, &node->mesh6, node, settings->mesh, node == api) < 0)
			return NULL;
	}
	return TAKE(list);
}
