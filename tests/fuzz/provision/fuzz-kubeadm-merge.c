/*
 * A user's documents over ours: whatever they say is merged or refused, merging twice changes nothing
 * more, and the check judges the result without stumbling.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/yaml.h"
#include "kubeadm/kubeadm.h"

static json_t *ours(void)
{
	struct kubeadm_cluster cluster = { .mesh = "home" };
	struct kubeadm_node node = { .name = "n100",
		.control_plane = true,
		.board = "n100",
		.storage = "nvme",
		.memory_bytes = UINT64_C(16) << 30 };
	struct kubeadm_version version;
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
	return kubeadm_init_documents(&cluster, &node, &version, "/etc/hearth/kubeadm");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *over = yaml_parse_all((const char *) data, size, &err);
	if (!over)
		return 0;
	CLEANUP_JSON json_t *docs = ours();
	(void) kubeadm_check(over, NULL, 0, &err);
	if (!docs || kubeadm_merge(docs, over, &err) < 0)
		return 0;
	(void) kubeadm_check(docs, NULL, 1 << 30, &err);
	CLEANUP_JSON json_t *once = json_deep_copy(docs);
	/* One document per kind: of several the last wins where they differ, and the first adds again. */
	if (json_array_size(over) == 1 &&
		(kubeadm_merge(docs, over, &err) < 0 || !json_equal(once, docs)))
		abort();
	return 0;
}
