/* alloc: see alloc.h. */
#include "mesh/alloc.h"

#include <errno.h>
#include <string.h>

#include "mesh/numbers.h"

/* Gives node @id its pods: those it ever had, else the next. */
static int give_pods(const struct netmap *netmap, uint32_t id, struct node *node, struct err *err)
{
	const struct settings *settings = netmap_settings(netmap);
	uint32_t number = netmap_pods_of(netmap, id), max = numbers_pods_max(settings);
	char four[PREFIX_TEXT_MAX], six[PREFIX_TEXT_MAX];

	if (!number)
		number = netmap_free_pods(netmap);
	if (number > max)
		return err_set(err, -ENOSPC,
			"The pod ranges %s and %s are full: they hold %u boards that run pods, "
			"and a range is never given to a second board. "
			"Enrol this one as `member`, or make the mesh anew with larger ranges "
			"(`hearth-coord init --pods4 --pods6`).",
			ip_prefix_format(&settings->pods4, four),
			ip_prefix_format(&settings->pods6, six), max);
	(void) numbers_pods4(settings, number, &node->pods4);
	(void) numbers_pods6(settings, number, &node->pods6);
	return 0;
}

int alloc_node(const struct netmap *netmap, enum node_role role, struct node *node, struct err *err)
{
	const struct settings *settings = netmap_settings(netmap);
	char text[PREFIX_TEXT_MAX];

	if (!settings)
		return err_set(err, -ENOENT, "The mesh has no settings yet.");
	uint32_t id = netmap_highest_id(netmap) + 1, max = numbers_nodes_max(settings);

	if (id > max)
		return err_set(err, -ENOSPC,
			"The mesh range %s is full: "
			"it holds %u nodes, and an address is never given to a second node. "
			"Make the mesh anew with a larger range (`hearth-coord init --mesh4`).",
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
	(void) numbers_mesh4(settings, id, &node->mesh4);
	(void) numbers_mesh6(settings, id, &node->mesh6);
	return 0;
}
