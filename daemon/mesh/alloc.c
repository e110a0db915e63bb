/* alloc: see alloc.h. */
#include "mesh/alloc.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* Ids end where the reserved block at the top of mesh4 begins. */
uint32_t alloc_nodes_max(const struct settings *settings)
{
	struct ip_prefix reserved = settings_reserved4(settings);
	uint64_t size = UINT64_C(1) << (32 - settings->mesh4.len);
	uint64_t top = UINT64_C(1) << (32 - reserved.len);
	uint64_t max = size - top - 1;
	return max < NODE_ID_MAX ? (uint32_t) max : NODE_ID_MAX;
}

/* Range 0 of either family is left alone, and both families count alike. */
uint32_t alloc_pods_max(const struct settings *settings)
{
	uint32_t four = UINT32_C(1) << (NODE_PODS4_LEN - settings->pods4.len);
	uint32_t six = UINT32_C(1) << (NODE_PODS6_LEN - settings->pods6.len);
	return (four < six ? four : six) - 1;
}

int alloc_mesh4(const struct settings *settings, uint32_t id, struct ip_addr *ret)
{
	if (id < 1 || id > alloc_nodes_max(settings))
		return -ERANGE;
	return ip_prefix_nth(&settings->mesh4, id, ret);
}

int alloc_mesh6(const struct settings *settings, uint32_t id, struct ip_addr *ret)
{
	if (id < 1 || id > alloc_nodes_max(settings))
		return -ERANGE;
	return ip_prefix_nth(&settings->mesh6, id, ret);
}

int alloc_pods4(const struct settings *settings, uint32_t number, struct ip_prefix *ret)
{
	if (number < 1 || number > alloc_pods_max(settings))
		return -ERANGE;
	return ip_prefix_subnet(&settings->pods4, NODE_PODS4_LEN, number, ret);
}

int alloc_pods6(const struct settings *settings, uint32_t number, struct ip_prefix *ret)
{
	if (number < 1 || number > alloc_pods_max(settings))
		return -ERANGE;
	return ip_prefix_subnet(&settings->pods6, NODE_PODS6_LEN, number, ret);
}

static uint32_t number_of(const struct settings *settings, uint64_t number)
{
	return number <= alloc_pods_max(settings) ? (uint32_t) number : 0;
}

uint32_t alloc_pods4_number(const struct settings *settings, const struct ip_prefix *pods)
{
	uint32_t base, addr;
	if (pods->len != NODE_PODS4_LEN || !ip_prefix_contains(&settings->pods4, &pods->addr))
		return 0;
	memcpy(&base, settings->pods4.addr.bytes, sizeof(base));
	memcpy(&addr, pods->addr.bytes, sizeof(addr));
	return number_of(settings, (be32toh(addr) - be32toh(base)) >> (32 - NODE_PODS4_LEN));
}

uint32_t alloc_pods6_number(const struct settings *settings, const struct ip_prefix *pods)
{
	uint64_t base, addr;
	if (pods->len != NODE_PODS6_LEN || !ip_prefix_contains(&settings->pods6, &pods->addr))
		return 0;
	memcpy(&base, settings->pods6.addr.bytes, sizeof(base));
	memcpy(&addr, pods->addr.bytes, sizeof(addr));
	return number_of(settings, be64toh(addr) - be64toh(base));
}

/* Gives node @id its pods: those it ever had, else the next. */
static int give_pods(const struct netmap *netmap, uint32_t id, struct node *node, struct err *err)
{
	const struct settings *settings = netmap_settings(netmap);
	uint32_t number = netmap_pods_of(netmap, id), max = alloc_pods_max(settings);
	char four[PREFIX_TEXT_MAX], six[PREFIX_TEXT_MAX];
	if (!number)
		number = netmap_free_pods(netmap);
	if (number > max)
		return err_set(err, -ENOSPC,
			"The pod ranges %s and %s are full: they hold %u boards that run pods, "
			"and a range is never given to a second board. Enrol this one as "
			"`member`, or make the mesh anew with larger ranges (`hearth-coord init "
			"--pods4 --pods6`).",
			ip_prefix_format(&settings->pods4, four),
			ip_prefix_format(&settings->pods6, six), max);
	(void) alloc_pods4(settings, number, &node->pods4);
	(void) alloc_pods6(settings, number, &node->pods6);
	return 0;
}

int alloc_node(const struct netmap *netmap, enum node_role role, struct node *node, struct err *err)
{
	const struct settings *settings = netmap_settings(netmap);
	char text[PREFIX_TEXT_MAX];
	if (!settings)
		return err_set(err, -ENOENT, "The mesh has no settings yet.");
	uint32_t id = netmap_highest_id(netmap) + 1, max = alloc_nodes_max(settings);
	if (id > max)
		return err_set(err, -ENOSPC,
			"The mesh range %s is full: it holds %u nodes, and an address is never "
			"given to a second node. Make the mesh anew with a larger range "
			"(`hearth-coord init --mesh4`).",
			ip_prefix_format(&settings->mesh4, text), max);
	if (node_role_has_pods(role)) {
		int r = give_pods(netmap, id, node, err);
		if (r)
			return r;
	} else {
		node->pods4 = node->pods6 = (struct ip_prefix){ 0 };
	}
	node->id = id;
	node->role = role;
	(void) alloc_mesh4(settings, id, &node->mesh4);
	(void) alloc_mesh6(settings, id, &node->mesh6);
	return 0;
}
