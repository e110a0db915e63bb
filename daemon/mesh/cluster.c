/* cluster: see cluster.h. */
#include "mesh/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

bool cluster_endpoint_is_own(const char *endpoint, const char *mesh)
{
	char host[FIELD_NAME_MAX + 32];
	int n = snprintf(host, sizeof(host), "api.%s.internal:", mesh);

	return !strncmp(endpoint, host, (size_t) n);
}

static int check_signer(const struct netmap *netmap, const struct kube_signed *document,
	const struct kube_cluster *cluster, struct err *err)
{
	const struct node *node = netmap_by_id(netmap, cluster->node);

	if (!node)
		return err_set(err, -EACCES, "node %u, which it says signed it, is not in the mesh",
			cluster->node);
	if (node->role != NODE_ROLE_CONTROL_PLANE)
		return err_set(err, -EACCES,
			"%s, which it says signed it, is a %s, not a control plane", node->name,
			node_role_name(node->role));
	if (kube_cluster_verify(document, node->identity) < 0)
		return err_set(
			err, -EBADMSG, "it is not signed by the key that %s has", node->name);
	return 0;
}

static int judge(const struct netmap *netmap, const uint8_t *root,
	const struct kube_signed *document, uint64_t seen, struct kube_cluster *cluster,
	struct err *err)
{
	const struct settings *settings = netmap_settings(netmap);
	int r = kube_cluster_read(document, cluster, err);

	if (r)
		return r;
	if (!settings || memcmp(cluster->root, root, sizeof(cluster->root)) != 0 ||
		strcmp(cluster->mesh, settings->mesh) != 0)
		return err_set(err, -EXDEV, "it is of another mesh");
	r = check_signer(netmap, document, cluster, err);
	if (r)
		return r;
	if (!cluster_endpoint_is_own(cluster->endpoint, settings->mesh))
		return err_set(err, -EPERM, "its API is %s, and that of mesh %s is api.%s.internal",
			cluster->endpoint, settings->mesh, settings->mesh);
	if (cluster->seq < seen)
		return err_set(err, -ESTALE,
			"it is number %" PRIu64 ", and this board has followed number %" PRIu64
			": somebody put an old one back",
			cluster->seq, seen);
	return 0;
}

int cluster_judge(const struct netmap *netmap, const uint8_t root[static FIELD_KEY_LEN],
	const struct kube_signed *document, uint64_t seen, struct kube_cluster *ret,
	struct err *err)
{
	struct kube_cluster cluster;
	int r = judge(netmap, root, document, seen, &cluster, err);

	if (r)
		return err_prefix(err, "what names the cluster is not believed");
	*ret = cluster;
	return 0;
}

/*
 * The whole record and the whole settings but for what changes often and is in no such file: to
 * make the files once too often costs a second, to miss a field that is new here leaves them wrong.
 */
char *cluster_inputs(const struct netmap *netmap, uint32_t id)
{
	static const char *const elsewhere[] = { "wg", "identity", "revoked", "pins", "next_pin",
		"urls", "urls_by_hand", "coordinators", "relays", "stun" };
	const struct node *self = netmap_by_id(netmap, id);
	const struct node *first = netmap_first_control_plane(netmap);
	const struct settings *settings = netmap_settings(netmap);
	CLEANUP_JSON json_t *node = self ? node_to_json(self) : NULL;
	CLEANUP_JSON json_t *mesh = settings ? settings_to_json(settings) : NULL;
	CLEANUP_JSON json_t *all = NULL;

	for (size_t i = 0; i < ARRAY_LEN(elsewhere) && node && mesh; i++) {
		(void) json_object_del(node, elsewhere[i]);
		(void) json_object_del(mesh, elsewhere[i]);
	}
	if (node && mesh)
		all = json_pack(
			"{s:O, s:O, s:b}", "node", node, "mesh", mesh, "first", first == self);
	return all ? json_text(all) : NULL;
}
