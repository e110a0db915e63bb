/*
 * A user's documents over ours: whatever they say is merged or refused, merging twice changes nothing
 * more, and what is derived and checked afterwards stands whatever the shape.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/yaml.h"
#include "kubeadm/kubeadm.h"

static struct kubeadm_cluster cluster = { .mesh = "home" };
static struct kubeadm_version version;
static struct kubeadm_node node = {
	.name = "n100", .control_plane = true, .board = "n100", .memory_bytes = UINT64_C(16) << 30
};
static const struct kubeadm_home home = {
	.cluster = &cluster, .node = &node, .version = &version, .dir = "/etc/hearth/kubeadm"
};

static void setup(void)
{
	(void) ip_prefix_parse("10.77.0.0/16", &cluster.mesh4);
	(void) ip_prefix_parse("fd12:3456:789a::/64", &cluster.mesh6);
	(void) ip_prefix_parse("10.244.0.0/16", &cluster.pods4);
	(void) ip_prefix_parse("fd12:3456:789a:1000::/56", &cluster.pods6);
	(void) ip_prefix_parse("10.96.0.0/16", &cluster.services4);
	(void) ip_prefix_parse("fd12:3456:789a:f000::/112", &cluster.services6);
	(void) ip_addr_parse("10.77.255.1", &cluster.api4);
	(void) ip_addr_parse("fd12:3456:789a::ffff:1", &cluster.api6);
	(void) ip_addr_parse("10.77.0.1", &node.mesh4);
	(void) ip_addr_parse("fd12:3456:789a::1", &node.mesh6);
	(void) kubeadm_version_parse(KUBEADM_VERSION_DEFAULT, &version, NULL);
}

/* The documents of both commands at once; a board has those of one. */
static json_t *ours(void)
{
	CLEANUP_JSON json_t *ca = json_array();
	struct kubeadm_bundle bundle = {
		.endpoint = "api.home.internal:6443", .token = "abcdef.0123456789abcdef", .ca = ca
	};
	json_t *all = kubeadm_init_documents(&home);
	CLEANUP_JSON json_t *join = kubeadm_join_documents(&home, &bundle);
	CLEANUP_JSON json_t *upgrade = kubeadm_upgrade_documents(&home);

	json_array_extend(all, join);
	json_array_extend(all, upgrade);
	return all;
}

static void settle(json_t *docs)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *notes = json_array();

	if (kubeadm_derive(docs, &home, &err) < 0)
		abort();
	CLEANUP_JSON json_t *once = json_deep_copy(docs);

	if (kubeadm_derive(docs, &home, &err) < 0 || !json_equal(once, docs))
		abort();
	(void) kubeadm_check(docs, &home, notes, &err);
}

static void patch(const json_t *over, bool init)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *docs = kubeadm_kubelet_patch(&node);

	if (kubeadm_merge_patch(docs, over, init, &err) == 0)
		(void) kubeadm_check(docs, &home, NULL, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *over = yaml_parse_all((const char *) data, size, &err);

	if (!over)
		return 0;
	setup();
	(void) kubeadm_check(over, &home, NULL, &err);
	patch(over, true);
	patch(over, false);
	CLEANUP_JSON json_t *docs = ours();

	if (kubeadm_merge(docs, over, &err) < 0)
		return 0;
	CLEANUP_JSON json_t *once = json_deep_copy(docs);

	/* One document per kind: of several the last wins where they differ, and the first adds again. */
	if (json_array_size(over) == 1 &&
		(kubeadm_merge(docs, over, &err) < 0 || !json_equal(once, docs)))
		abort();
	settle(docs);
	return 0;
}
