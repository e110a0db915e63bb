/*
 * admin: dispatch and status, see admin.h.
 */
#include "coordinator/admin.h"

#include <string.h>

#include "base/encode.h"
#include "base/json.h"
#include "coordinator/admin-added.h"
#include "coordinator/admin-node.h"
#include "coordinator/admin-settings.h"
#include "coordinator/admin-relay.h"
#include "coordinator/admin-token.h"
#include "coordinator/coord.h"
#include "coordinator/kube.h"

static void status(struct coord *c, struct ipc_request *request)
{
	const struct settings *s = coord_settings(c);
	const struct mesh_log *log = ledger_log(c->ledger);
	size_t connected = 0;
	json_t *kube = *kube_id(c->kube) ? json_pack("{s:s, s:I}", "id", kube_id(c->kube),
						   "expires", (json_int_t) kube_expires(c->kube))
					 : json_null();
	CLEANUP_JSON json_t *settings = settings_to_json(s);

	for (const struct node *n = NULL; (n = netmap_next(coord_netmap(c), n));)
		connected += feed_is_polling(c->feed, n->id);
	ipc_request_reply(request,
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
			  "s:O}",
			"mesh", s->mesh, "version", HEARTH_VERSION, "urls",
			field_urls(s->urls, s->n_urls), "pins", field_keys(s->pins, s->n_pins),
			"root", field_key(c->root_hash), "records", (json_int_t) mesh_log_head(log),
			"head", field_key(mesh_log_head_hash(log)), "nodes",
			(json_int_t) netmap_count(coord_netmap(c)), "connected",
			(json_int_t) connected, "connections",
			(json_int_t) (c->httpd ? httpd_connections(c->httpd) : 0), "refused",
			(json_int_t) (c->httpd ? httpd_put_out(c->httpd) +
							 httpd_turned_away(c->httpd)
					       : 0),
			"tokens", (json_int_t) tokens_count(c->tokens), "started",
			(json_int_t) c->started_s, "kube", kube, "settings", settings));
}

static const struct {
	const char *name;
	void (*handle)(struct coord *c, struct ipc_request *request);
} calls[] = {
	{ "status", status },
	{ "token.create", admin_token_create },
	{ "token.list", admin_token_list },
	{ "token.revoke", admin_token_revoke },
	{ "node.list", admin_node_list },
	{ "node.remove", admin_node_remove },
	{ "node.rename", admin_node_rename },
	{ "node.label", admin_node_label },
	{ "settings.get", admin_settings_get },
	{ "settings.set", admin_settings_set },
	{ "relay.list", admin_relay_list },
	{ "relay.allow", admin_relay_allow },
	{ "relay.deny", admin_relay_deny },
	{ "relay.add", admin_added_add },
	{ "relay.remove", admin_added_remove },
};

void admin_handle(void *ctx, struct ipc_request *request)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (!strcmp(ipc_request_call(request), calls[i].name)) {
			calls[i].handle(ctx, request);
			return;
		}
	ipc_request_fail(request, "unknown_call", "The coordinator does not know this call.");
}
