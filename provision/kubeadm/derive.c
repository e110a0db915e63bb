/*
 * derive: what follows from other values, once a user's documents have been merged.
 *
 * The endpoint is a name (a further control plane or a virtual address needs no new certificates in
 * kubeconfigs), with the port on which the API server listens, for nothing stands between. The
 * names of its certificate hold both mesh addresses of the board, the reserved virtual addresses,
 * the board itself for who works there, and the first service address of the second family, which
 * kubeadm does not add.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/lists.h"
#include "kubeadm/rules.h"

static json_t *address(const struct ip_addr *addr)
{
	char s[IP_TEXT_MAX];

	return json_string(ip_addr_format(addr, s));
}

static json_t *cert_names(const struct kubeadm_cluster *cluster, const struct kubeadm_node *node)
{
	struct ip_addr first6;

	if (ip_prefix_nth(&cluster->services6, 1, &first6) < 0)
		first6 = cluster->services6.addr;
	return json_pack("[o, o, s, o, o, s, s, s, o, o, o]",
		json_sprintf("api.%s.internal", cluster->mesh),
		json_sprintf("%s.%s.internal", node->name, cluster->mesh), node->name,
		address(&node->mesh4), address(&node->mesh6), "localhost", "127.0.0.1", "::1",
		address(&cluster->api4), address(&cluster->api6), address(&first6));
}

/* Ours come first, whatever the user's list did to them. */
static int derive_names(json_t *doc, const struct kubeadm_home *home)
{
	CLEANUP_JSON json_t *names = cert_names(home->cluster, home->node);
	json_t *server = json_object_get(doc, "apiServer");

	if (!names)
		return -ENOMEM;
	if (!server) {
		if (json_object_set_new(doc, "apiServer", json_object()))
			return -ENOMEM;
		server = json_object_get(doc, "apiServer");
	}
	if (!json_is_object(server))
		return 0; /* kubeadm's to refuse */
	const json_t *own = json_object_get(server, "certSANs");
	int r = json_array_size(own) ? list_merge(names, own, "", "", NULL) : 0;

	return r ? r : json_object_set(server, "certSANs", names) ? -ENOMEM : 0;
}

static int derive_endpoint(json_t *doc, const json_t *init, const struct kubeadm_home *home)
{
	char host[256];
	unsigned port = 0;
	const char *text = rule_text(doc, "controlPlaneEndpoint");

	(void) snprintf(host, sizeof(host), "api.%s.internal", home->cluster->mesh);
	if (*text && (!rule_host_port(text, host, &port) || port))
		return 0;
	bool v6 = strchr(host, ':');

	return json_object_set_new(doc, "controlPlaneEndpoint",
		       json_sprintf("%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
			       rule_bind_port(init)))
		       ? -ENOMEM
		       : 0;
}

/* A further control plane listens where the first does: one name stands for both. */
static int derive_bind_port(json_t *doc)
{
	char host[256];
	unsigned port = 0;
	json_t *plane = json_object_get(doc, "controlPlane");
	json_t *local = json_object_get(plane, "localAPIEndpoint");
	const json_t *boot = json_object_get(json_object_get(doc, "discovery"), "bootstrapToken");

	if (!json_is_object(local) || json_object_get(local, "bindPort") ||
		!rule_host_port(rule_text(boot, "apiServerEndpoint"), host, &port) || !port ||
		port == KUBEADM_API_PORT)
		return 0;
	return json_object_set_new(local, "bindPort", json_integer(port)) ? -ENOMEM : 0;
}

int kubeadm_derive(json_t *docs, const struct kubeadm_home *home, struct err *err)
{
	const json_t *init = rule_document(docs, "InitConfiguration");
	size_t i;
	json_t *doc;
	int r = 0;

	json_array_foreach(docs, i, doc)
	{
		const char *kind = rule_text(doc, "kind");

		if (r == 0 && !strcmp(kind, "ClusterConfiguration")) {
			r = derive_endpoint(doc, init, home);
			r = r ? r : derive_names(doc, home);
		} else if (r == 0 && !strcmp(kind, "JoinConfiguration")) {
			r = derive_bind_port(doc);
		}
	}
	return r ? err_set(err, r, "out of memory") : 0;
}
