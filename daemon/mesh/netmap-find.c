/* netmap_find(), netmap_once_named(): see netmap.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "mesh/netmap.h"

/* How much of @text is left without the mesh's domain and a dot at the end. */
static size_t without_domain(const struct netmap *netmap, const char *text)
{
	const struct settings *settings = netmap_settings(netmap);
	char domain[FIELD_NAME_MAX + 16];
	size_t len = strlen(text), n;

	if (len > 1 && text[len - 1] == '.')
		len--;
	if (!settings)
		return len;
	n = (size_t) snprintf(domain, sizeof(domain), ".%s.internal", settings->mesh);
	return len > n && !strncasecmp(text + len - n, domain, n) ? len - n : len;
}

const struct node *netmap_find(const struct netmap *netmap, const char *text)
{
	size_t len = without_domain(netmap, text);
	char name[NODE_NAME_MAX];
	const struct node *node;
	struct ip_addr addr;
	uint64_t id;

	if (ip_addr_parse(text, &addr) == 0)
		return netmap_by_addr(netmap, &addr);
	if (!len || len >= sizeof(name))
		return NULL;
	for (size_t i = 0; i < len; i++)
		name[i] = (char) (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
	name[len] = 0;
	node = netmap_by_name(netmap, name); /* a board of an older mesh may be called 7 */
	if (!node && number_parse(name, 1, NODE_ID_MAX, &id) == 0)
		node = netmap_by_id(netmap, (uint32_t) id);
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
