/*
 * api: routes, who may call what, and bodies; the subjects do the rest. Who may call is decided
 * twice: when the head has come, so that nobody else's body is kept, and when all has. Each refusal
 * has a code of PROTOCOL.md section 7 and a sentence for the person who reads the board's log.
 */
#include "coordinator/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/coord.h"
#include "coordinator/enroll.h"
#include "coordinator/kube.h"
#include "coordinator/poll.h"
#include "coordinator/presence.h"
#include "coordinator/relays.h"
#include "coordinator/reply.h"

enum caller { CALLER_ANYBODY, CALLER_BOARD, CALLER_NODE, CALLER_CONTROL_PLANE };

struct route {
	const char *method, *path;
	enum caller caller;
	size_t body_max; /* 0: it has none */
	coord_handler_fn handle;
};

static void health_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	struct api_health health = { .version = HEARTH_VERSION };

	snprintf(health.mesh, sizeof(health.mesh), "%s", coord_settings(c)->mesh);
	httpd_reply(request, 200, api_health_to_json(&health));
}

static const struct route routes[] = {
	{ "GET", "/v1/health", CALLER_ANYBODY, 0, health_handle },
	{ "POST", "/v1/enroll", CALLER_BOARD, API_ENROLL_MAX, enroll_handle },
	{ "POST", "/v1/enroll/check", CALLER_BOARD, API_ENROLL_MAX, enroll_check_handle },
	{ "GET", "/v1/poll", CALLER_NODE, 0, poll_handle },
	{ "PUT", "/v1/presence", CALLER_NODE, API_REQUEST_MAX, presences_handle },
	{ "PUT", "/v1/relay", CALLER_NODE, API_RELAY_MAX, relays_handle },
	{ "PUT", "/v1/kube", CALLER_CONTROL_PLANE, API_REQUEST_MAX, kube_handle },
};

const char *api_route(size_t index, const char **ret_method)
{
	if (index >= ARRAY_LEN(routes))
		return NULL;
	*ret_method = routes[index].method;
	return routes[index].path;
}

static const struct route *find_route(struct httpd_request *request)
{
	const char *path = httpd_request_path(request), *method = httpd_request_method(request);
	const char *allowed = NULL;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (strcmp(path, routes[i].path) != 0)
			continue;
		if (!strcmp(method, routes[i].method))
			return &routes[i];
		allowed = routes[i].method;
	}
	if (allowed)
		reply_refuse(request, API_BAD_METHOD, "This path takes %s only.", allowed);
	else
		reply_refuse(request, API_NOT_FOUND, "There is no such path.");
	return NULL;
}

static void refuse_removed(
	struct coord *c, struct httpd_request *request, uint32_t id, const char *message)
{
	if (!strcmp(httpd_request_path(request), "/v1/poll"))
		poll_refuse_removed(c, request, id, message);
	else
		reply_refuse(request, API_REMOVED, "%s", message);
}

/* The caller's node, or NULL and the request has been refused. */
static const struct node *find_node(
	struct coord *c, struct httpd_request *request, const uint8_t *key)
{
	uint32_t id = 0;

	switch (netmap_identity(coord_netmap(c), key, &id)) {
	case NETMAP_IDENTITY_CURRENT:
		return netmap_by_id(coord_netmap(c), id);
	case NETMAP_IDENTITY_REVOKED:
		refuse_removed(c, request, id,
			"This board's place was given to another one (a token with --replace).");
		return NULL;
	case NETMAP_IDENTITY_REMOVED:
		refuse_removed(c, request, id,
			"This board was removed from the mesh. To bring it back: `hearth token "
			"create`, then `enroll-node --leave` and `enroll-node` on the board.");
		return NULL;
	case NETMAP_IDENTITY_UNKNOWN:
		break;
	}
	reply_refuse(request, API_UNKNOWN_NODE, "No node of this mesh has this key. Enrol first.");
	return NULL;
}

static json_t *read_body(struct httpd_request *request)
{
	size_t len;
	struct err err = { 0 };
	const char *text = httpd_request_body(request, &len);
	json_t *body = json_parse(text, len, &err);

	if (body && !json_is_object(body)) {
		json_decref(body);
		body = NULL;
		(void) err_set(&err, -EINVAL, "the body is not a JSON object");
	}
	if (!body)
		reply_refuse(request, API_BAD_REQUEST, "The body cannot be read: %s.", err.text);
	return body;
}

/*
 * The route of a caller who may take it, and the node that it is, if the route wants one. NULL:
 * refused.
 */
static const struct route *admit(
	struct coord *c, struct httpd_request *request, const struct node **ret_node)
{
	const uint8_t *key = httpd_request_key(request);
	const struct route *route = find_route(request);

	*ret_node = NULL;
	if (!route)
		return NULL;
	if (coord_is_ending(c)) { /* replies go out still, and requests come in beside them */
		reply_refuse(request, API_TOO_MANY, "The coordinator is ending. Try again.");
		return NULL;
	}
	if (route->caller != CALLER_ANYBODY && !key) {
		reply_refuse(request, API_UNAUTHORIZED,
			"This call needs a client certificate over an Ed25519 key.");
		return NULL;
	}
	if (route->caller < CALLER_NODE)
		return route;
	const struct node *node = find_node(c, request, key);

	if (!node)
		return NULL;
	if (route->caller == CALLER_CONTROL_PLANE && node->role != NODE_ROLE_CONTROL_PLANE) {
		reply_refuse(request, API_FORBIDDEN,
			"Only a control-plane node may do this; %s is a %s.", node->name,
			node_role_name(node->role));
		return NULL;
	}
	*ret_node = node;
	return route;
}

size_t api_head(void *ctx, struct httpd_request *request)
{
	const struct node *node;
	const struct route *route = admit(ctx, request, &node);

	if (node)
		httpd_request_is_known(request);
	return route ? route->body_max : 0;
}

void api_handle(void *ctx, struct httpd_request *request)
{
	struct coord *c = ctx;
	const struct node *node;
	const struct route *route = admit(c, request, &node);

	if (!route)
		return;
	if (node)
		feed_seen(c->feed, node->id, coord_now_s());
	CLEANUP_JSON json_t *body = route->body_max ? read_body(request) : NULL;

	if (route->body_max && !body)
		return;
	route->handle(c, request, node, body);
}
