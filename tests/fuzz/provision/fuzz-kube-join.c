/* A join bundle whose two documents can be read makes a join.yaml that passes every check. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kubeadm/kubeadm.h"
#include "wire/kube.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	CLEANUP_KUBE_BUNDLE struct kube_bundle b = { 0 };
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, &err);
	struct kube_cluster c;

	if (!json || kube_bundle_from_json(json, &b, &err) < 0 ||
		kube_cluster_read(&b.cluster, &c, &err) < 0)
		return 0;
	struct kubeadm_cluster cluster = { .mesh = "home" };
	struct kubeadm_node node = { .name = "pi3", .board = "pi3", .control_plane = true };
	struct kubeadm_version version;

	(void) ip_prefix_parse("10.77.0.0/16", &cluster.mesh4);
	(void) ip_prefix_parse("fd12:3456:789a::/64", &cluster.mesh6);
	(void) ip_addr_parse("10.77.0.5", &node.mesh4);
	(void) ip_addr_parse("fd12:3456:789a::5", &node.mesh6);
	(void) kubeadm_version_parse(KUBEADM_VERSION_DEFAULT, &version, NULL);
	struct kubeadm_home home = { .cluster = &cluster,
		.node = &node,
		.version = &version,
		.dir = "/etc/hearth/kubeadm" };
	CLEANUP_JSON json_t *ca = json_array();

	for (size_t i = 0; i < c.n_ca; i++)
		json_array_append_new(ca, json_string(c.ca[i]));
	struct kubeadm_bundle bundle = { .endpoint = c.endpoint,
		.token = b.token,
		.ca = ca,
		.certificate_key = b.has_certificate_key ? b.certificate_key : NULL };
	CLEANUP_JSON json_t *docs = kubeadm_join_documents(&home, &bundle);

	if (!docs || kubeadm_derive(docs, &home, &err) < 0 ||
		kubeadm_check(docs, &home, NULL, &err) < 0)
		abort();
	return 0;
}
