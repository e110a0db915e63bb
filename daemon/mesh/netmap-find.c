/* netmap_find(): see netmap.h. */
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
