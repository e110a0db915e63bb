/* admin-added: see admin-added.h. */
#include "coordinator/admin-added.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "coordinator/added-change.h"
#include "coordinator/admin-change.h"
#include "coordinator/meet.h"
#include "mesh/relay-hosts.h"
#include "wire/outside.h"

struct call {
	struct added_change edit; /* first */
	struct ipc_request *request;
};

json_t *admin_added_list(const struct coord *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->added.n; i++) {
		const struct added *a = &c->added.list[i];
		const struct node *node;
		enum meet_state state = meet_state(c, a, &node);
		const char *problem = state == MEET_TRYING && a->problem[0] ? a->problem : NULL;

		(void) json_array_append_new(
			list, json_pack("{s:s, s:i, s:I, s:s, s:s?, s:s?}", "host", a->host, "port",
				      (int) a->port, "since", (json_int_t) a->since, "state",
				      meet_state_name(state), "node", node ? node->name : NULL,
				      "problem", problem));
	}
	return list;
}

static int check_host(const struct coord *c, const char *host, struct err *err)
{
	struct node_relay relay = { .n_hosts = 1 };

	if (!outside_host_is_valid(host))
		return err_set(err, -EINVAL,
			"field \"host\" must be a DNS name in lower case or an IP address that "
			"other machines can reach");
	(void) snprintf(relay.hosts[0], sizeof(relay.hosts[0]), "%s", host);
	return relay_hosts_check(coord_settings(c), &relay, err);
}

static int read_host(const struct coord *c, const json_t *args, struct call *call, struct err *err)
{
	const char *host;
	int r = field_refuse_missing(json_get_str(args, "host", &host, err), err);

	if (r == 0)
		r = check_host(c, host, err);
	if (r == 0)
		(void) snprintf(call->edit.host, sizeof(call->edit.host), "%s", host);
	return r;
}

static int read_port(const json_t *args, struct call *call, struct err *err)
{
	uint64_t port = 0;
	int r = field_refuse_missing(json_get_u64(args, "port", UINT16_MAX, &port, err), err);

	if (r == 0 && !port)
		r = err_set(err, -EINVAL, "field \"port\" must be a port");
	call->edit.port = (uint16_t) port;
	return r;
}

static void refuse(struct call *call)
{
	const struct change *change = &call->edit.change;

	ipc_request_fail(call->request, api_code_name(change->code), "%s", change->err.text);
}

static void done_add(struct added_change *edit, int r)
{
	struct call *call = (struct call *) edit;

	if (r < 0) {
		refuse(call);
	} else {
		admin_audit(call->request, "%s, TCP port %u%s", edit->host, (unsigned) edit->port,
			r ? "" : ", as before");
		ipc_request_reply(
			call->request, json_pack("{s:s, s:i, s:b}", "host", edit->host, "port",
					       (int) edit->port, "changed", r > 0));
		meet_look(edit->coord->meet);
	}
	free(call);
}

static void done_remove(struct added_change *edit, int r)
{
	struct call *call = (struct call *) edit;
	const struct node *node = netmap_by_id(coord_netmap(edit->coord), edit->node);

	if (r < 0) {
		refuse(call);
	} else if (r == 0) {
		ipc_request_fail(call->request, "not_found",
			"%s was not added. What was is in `hearth relay list`.", edit->host);
	} else {
		admin_audit(call->request, "%s%s%s", edit->host, node ? ", of " : "",
			node ? node->name : "");
		ipc_request_reply(call->request,
			json_pack("{s:s, s:s?, s:o}", "host", edit->host, "node",
				node ? node->name : NULL, "relay",
				node ? node_relay_to_json(&node->relay) : json_null()));
		meet_look(edit->coord->meet);
	}
	free(call);
}

static struct call *call_new(struct coord *c, struct ipc_request *request, enum added_kind kind,
	void (*done)(struct added_change *, int))
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		ipc_request_fail(request, "internal", "Out of memory.");
		return NULL;
	}
	call->request = request;
	call->edit.coord = c;
	call->edit.kind = kind;
	call->edit.done = done;
	return call;
}

/* @r: whether the request could be read. @call is taken. */
static void submit(struct call *call, int r, const struct err *err)
{
	if (r < 0)
		ipc_request_fail(call->request, "bad_request", "%s", err->text);
	else if (added_submit(&call->edit) < 0)
		ipc_request_fail(call->request, api_code_name(API_TOO_MANY),
			"The coordinator is too busy. Try again.");
	else
		return;
	free(call);
}

void admin_added_add(struct coord *c, struct ipc_request *request)
{
	struct call *call = call_new(c, request, ADDED_PUT, done_add);
	struct err err = { 0 };
	int r;

	if (!call)
		return;
	r = read_host(c, ipc_request_args(request), call, &err);
	if (r == 0)
		r = read_port(ipc_request_args(request), call, &err);
	submit(call, r, &err);
}

void admin_added_remove(struct coord *c, struct ipc_request *request)
{
	struct call *call = call_new(c, request, ADDED_REMOVE, done_remove);
	const char *host;
	struct err err = { 0 };
	int r;

	if (!call)
		return;
	r = field_refuse_missing(
		json_get_str(ipc_request_args(request), "host", &host, &err), &err);
	if (r == 0)
		(void) snprintf(call->edit.host, sizeof(call->edit.host), "%s", host);
	submit(call, r, &err);
}
