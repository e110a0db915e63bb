/*
 * Calls over /run/hearth/hearthd.sock. Everybody on this machine may look; only root may change.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/names.h"
#include "base/number.h"
#include "node/hearthd.h"
#include "node/netcheck.h"

#define STATUS_AGE_US USEC_PER_SEC
enum { LOG_PAGE = 256, WAIT_MAX_MS = 600000, PING_TIMEOUT_MAX_MS = 60000 };

/*
 * Root's is of this moment; others share one that is a second old at most, for its price grows with
 * the mesh.
 */
static void call_status(struct hearthd *h, struct ipc_request *request)
{
	uint64_t now = clock_now_us();
	struct report report;

	if (!h->status || ipc_request_creds(request)->uid == 0 ||
		now - h->status_us >= STATUS_AGE_US) {
		status_look(h);
		status_fill(h, &report);
		json_decref(h->status);
		h->status = report_json(&report);
		h->status_us = now;
	}
	if (h->status)
		ipc_request_reply(request, json_incref(h->status));
	else
		ipc_request_fail(request, "internal", "out of memory");
}

/* --- ping --- */

struct ping_call {
	struct hearthd *h;
	struct ipc_request *request;
	struct ip_addr to;
	uint32_t id;
	char name[NODE_NAME_MAX];
};

/* Where the tunnel reaches node @id now, or by which relay, and how it gets there. */
static void put_way(struct hearthd *h, uint32_t id, json_t *ret)
{
	const struct peer *peer;
	const struct node *relay = NULL;
	struct why_sources sources;
	struct why_facts facts;
	const struct way *way;
	char text[ENDPOINT_TEXT_MAX] = "";

	status_fill_why(h, &sources);
	peer = peers_get(h->peers, id);
	why_facts_gather(&h->core, &sources, peer, id, &facts);
	way = peer ? ways_in_use(&peer->ways) : NULL;
	if (way && way->relayed)
		relay = netmap_by_id(book_netmap(h->core.book), peer->relay);
	else if (peer && peer->stats.endpoint.addr.family)
		endpoint_format(way && way->hole ? &way->beyond : &peer->stats.endpoint, text);
	(void) json_object_set_new(ret, "endpoint", *text ? json_string(text) : json_null());
	(void) json_object_set_new(ret, "relay", relay ? json_string(relay->name) : json_null());
	(void) json_object_set_new(ret, "relay_way",
		relay ? json_string(facts.relay_tcp ? "tcp" : "udp") : json_null());
	(void) json_object_set_new(ret, "mtu", facts.mtu ? json_integer(facts.mtu) : json_null());
}

static void ping_ended(void *ctx, int64_t result)
{
	CLEANUP(free_p) struct ping_call *call = ctx;
	uint64_t began = clock_cpu_us();
	char text[IP_TEXT_MAX];
	json_t *reply;

	ip_addr_format(&call->to, text);
	if (result == -ETIMEDOUT)
		ipc_request_fail(call->request, "timeout", "%s (%s) did not answer in time",
			call->name, text);
	else if (result == -ECANCELED)
		ipc_request_fail(call->request, "internal", "hearthd is ending");
	else if (result < 0)
		ipc_request_fail(call->request, "internal", "%s", strerror((int) -result));
	if (result < 0)
		return;
	reply = json_pack("{s:s,s:s,s:I}", "name", call->name, "address", text, "rtt_us",
		(json_int_t) result);
	put_way(call->h, call->id, reply);
	ipc_request_charge(call->request, clock_cpu_us() - began);
	ipc_request_reply(call->request, reply);
}

static int read_ping(struct hearthd *h, const json_t *args, struct ping_call *call,
	uint64_t *ret_size, uint64_t *ret_timeout_ms, struct err *err)
{
	const struct node *node;
	const char *peer;
	uint64_t family = 4;
	struct ip_addr addr;
	int r = json_get_str(args, "peer", &peer, err);

	if (r == 0 && json_has(args, "family"))
		r = json_get_u64(args, "family", 6, &family, err);
	if (r == 0 && json_has(args, "size"))
		r = json_get_u64(args, "size", PING_SIZE_MAX, ret_size, err);
	if (r == 0 && json_has(args, "timeout_ms"))
		r = json_get_u64(args, "timeout_ms", PING_TIMEOUT_MAX_MS, ret_timeout_ms, err);
	if (r < 0)
		return r;
	node = netmap_find(book_netmap(h->core.book), peer);
	if (!node)
		return err_set(err, -ENOENT, "no node \"%.100s\" is in the mesh", peer);
	(void) snprintf(call->name, sizeof(call->name), "%s", node->name);
	call->id = node->id;
	if (ip_addr_parse(peer, &addr) == 0)
		call->to = addr;
	else
		call->to = family == 6 ? node->mesh6 : node->mesh4;
	return 0;
}

static void call_ping(struct hearthd *h, struct ipc_request *request)
{
	struct ping_call *call = calloc(1, sizeof(*call));
	uint64_t size = PING_SIZE_DEFAULT, timeout_ms = 2000;
	struct err err = { 0 };
	int r;

	if (!call) {
		ipc_request_fail(request, "internal", "out of memory");
		return;
	}
	call->h = h;
	call->request = request;
	r = read_ping(h, ipc_request_args(request), call, &size, &timeout_ms, &err);
	if (r == 0 && h->mesh_state != MESH_UP)
		r = err_set(&err, -ENETDOWN, "the mesh is not up on this board");
	if (r == 0)
		r = ping_send(h->ping, &call->to, size, timeout_ms * USEC_PER_MSEC, ping_ended,
			call, &err);
	if (r == 0)
		return;
	ipc_request_fail(request,
		r == -ENOENT   ? "unknown_peer"
		: r == -EINVAL ? "bad_request"
			       : "internal",
		"%s", err.text);
	free(call);
}

/* --- netcheck --- */

struct netcheck_call {
	struct hearthd *h;
	struct ipc_request *request;
};

/* That of IPv4, for people. */
static const char *words_of_mapping(const struct portmap *portmap, char *words, size_t size)
{
	struct portmap_report list[PORTMAP_MAX];
	char outside[ENDPOINT_TEXT_MAX];

	(void) portmap_report(portmap, list);
	if (list[0].protocol == MAPPING_NONE)
		return mapping_why_words(list[0].why);
	(void) snprintf(words, size, "%s by %s%s", endpoint_format(&list[0].outside, outside),
		mapping_protocol_name(list[0].protocol),
		list[0].nested ? ", but there is another router before it" : "");
	return words;
}

static json_t *netcheck_of(struct hearthd *h)
{
	char words[128];
	static struct mapped_server servers[NAT_SERVERS_MAX];
	static struct relays_report relays[RELAYS_MAX]; /* one loop, one call at a time */
	struct endpoint announced[NAT_ANNOUNCED_MAX + PORTMAP_MAX];
	const struct candidates *own = uplink_candidates(h->uplink);
	struct netcheck check = {
		.own = own->endpoints,
		.n_own = own->n_endpoints,
		.announced = announced,
		.n_announced = mapped_endpoints(h->mapped, announced),
		.servers = servers,
		.n_servers = mapped_servers(h->mapped, servers),
		.counters = mapped_counters(h->mapped),
		.relays = relays,
		.n_relays = relays_report(h->relays, relays),
		.map = book_netmap(h->core.book),
	};

	memcpy(check.nat.sides, mapped_sides(h->mapped), sizeof(check.nat.sides));
	check.n_announced += portmap_endpoints(h->portmap, announced + check.n_announced);
	check.nat.port_mapping = words_of_mapping(h->portmap, words, sizeof(words));
	return netcheck_json(&check);
}

static void netcheck_ended(void *ctx)
{
	CLEANUP(free_p) struct netcheck_call *call = ctx;
	uint64_t began = clock_cpu_us();
	json_t *reply = netcheck_of(call->h);

	ipc_request_charge(call->request, clock_cpu_us() - began);
	if (reply)
		ipc_request_reply(call->request, reply);
	else
		ipc_request_fail(call->request, "internal", "out of memory");
}

/* What is the case now, not what was. */
static void call_netcheck(struct hearthd *h, struct ipc_request *request)
{
	struct netcheck_call *call = NULL;

	if (h->mesh_state != MESH_UP) {
		ipc_request_fail(request, "internal", "the mesh is not up on this board");
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		ipc_request_fail(request, "internal", "out of memory");
		return;
	}
	*call = (struct netcheck_call){ h, request };
	if (mapped_check(h->mapped, netcheck_ended, call) == 0)
		return;
	ipc_request_fail(request, "busy", "others are checking already; try again in 3 s");
	free(call);
}

/* --- the rest --- */

static void call_wait(struct hearthd *h, struct ipc_request *request)
{
	const json_t *args = ipc_request_args(request);
	uint64_t peers = 0, timeout_ms = 30000;
	struct wait_for what = { 0 };
	struct err err = { 0 };
	int r = 0;

	if (json_has(args, "peers"))
		r = json_get_u64(args, "peers", NODE_ID_MAX, &peers, &err);
	if (r == 0 && json_has(args, "bundle"))
		r = field_get_hex(args, "bundle", FIELD_ID_MAX - 1, what.bundle, &err);
	if (r == 0 && json_has(args, "timeout_ms"))
		r = json_get_u64(args, "timeout_ms", WAIT_MAX_MS, &timeout_ms, &err);
	what.peers = (size_t) peers;
	if (r < 0)
		ipc_request_fail(request, "bad_request", "%s", err.text);
	else
		waits_add(h->waits, request, &what, timeout_ms * USEC_PER_MSEC);
}

static void look(void *ctx)
{
	status_look(ctx);
}

/* Peers that nobody knows an address of cannot be waited for. */
static bool has_come(void *ctx, const struct wait_for *what)
{
	const struct hearthd *h = ctx;
	size_t n, known = 0;
	const struct peer *list = peers_list(h->peers, &n);

	if (what->bundle[0])
		return cluster_boards_have_tried(h->cluster, what->bundle);
	for (size_t i = 0; i < n; i++)
		known += list[i].has_presence;
	return h->mesh_state == MESH_UP &&
	       peers_reachable(h->peers) >=
		       (what->peers && what->peers < known ? what->peers : known);
}

static json_t *answer(void *ctx, const struct wait_for *what, bool done)
{
	const struct hearthd *h = ctx;
	size_t n;

	if (what->bundle[0])
		return cluster_boards_json(h->cluster, what->bundle);
	(void) peers_list(h->peers, &n);
	return json_pack("{s:b,s:I,s:I}", "done", done, "reachable",
		(json_int_t) peers_reachable(h->peers), "peers", (json_int_t) n);
}

static const struct waits_hooks waits_hooks = {
	.look = look, .has_come = has_come, .answer = answer
};

static void kube_put(void *ctx, int r, const struct err *err)
{
	struct ipc_request *request = ctx;

	if (r < 0)
		ipc_request_fail(request, "coordinator", "%s", err->text);
	else
		ipc_request_reply(request, NULL);
}

static void call_kube_publish(struct hearthd *h, struct ipc_request *request)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	CLEANUP_JSON json_t *checked = NULL;
	const struct node *self = core_self(&h->core);
	struct err err = { 0 };
	json_t *json;
	int r = json_get_object(ipc_request_args(request), "bundle", &json, &err);

	if (r == 0)
		r = kube_bundle_from_json(json, &bundle, &err);
	if (r < 0) {
		ipc_request_fail(request, "bad_request", "%s", err.text);
		return;
	}
	if (!self || self->role != NODE_ROLE_CONTROL_PLANE) {
		ipc_request_fail(request, "forbidden",
			"only a control plane publishes how to join the cluster; this board is "
			"none");
		return;
	}
	checked = kube_bundle_to_json(&bundle);
	if (!checked || sync_put(h->sync, "/v1/kube", checked, kube_put, request, &err) < 0)
		ipc_request_fail(request, "internal", "%s", checked ? err.text : "out of memory");
}

static void call_reload(struct hearthd *h, struct ipc_request *request)
{
	struct err err = { 0 };

	if (hearthd_reload(h, &err) < 0)
		ipc_request_fail(request, "bad_request", "%s", err.text);
	else
		ipc_request_reply(request, NULL);
}

/* A page of records. Whoever asks proves them himself. */
static void call_log(struct hearthd *h, struct ipc_request *request)
{
	const json_t *args = ipc_request_args(request);
	struct err err = { 0 };
	uint64_t from = 1;
	json_t *page;

	if (json_has(args, "from") && json_get_u64(args, "from", INT64_MAX, &from, &err) < 0) {
		ipc_request_fail(request, "bad_request", "%s", err.text);
		return;
	}
	page = mesh_log_page(book_log(h->core.book), from, LOG_PAGE);
	if (page)
		ipc_request_reply(request, page);
	else
		ipc_request_fail(request, "internal", "out of memory");
}

static void call_members(struct hearthd *h, struct ipc_request *request)
{
	roster_answer(h->roster, request);
}

static void call_why(struct hearthd *h, struct ipc_request *request)
{
	why_answer(h->why, request);
}

static const struct {
	const char *call;
	bool only_root;
	void (*handle)(struct hearthd *h, struct ipc_request *request);
} calls[] = {
	{ "status", false, call_status },
	{ "ping", false, call_ping },
	{ "netcheck", false, call_netcheck },
	{ "why", false, call_why },
	{ "wait", false, call_wait },
	{ "log", false, call_log },
	{ "members", false, call_members },
	{ "kube.publish", true, call_kube_publish },
	{ "reload", true, call_reload },
};

static void handle(void *ctx, struct ipc_request *request)
{
	struct hearthd *h = ctx;
	const char *call = ipc_request_call(request);

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (strcmp(call, calls[i].call) != 0)
			continue;
		if (calls[i].only_root && ipc_request_creds(request)->uid != 0)
			ipc_request_fail(request, "forbidden", "only root may do that; try sudo");
		else
			calls[i].handle(h, request);
		return;
	}
	ipc_request_fail(request, "not_found", "hearthd " HEARTH_VERSION " knows no such call");
}

/* --- the socket --- */

static int listen_again(struct hearthd *h, struct err *err)
{
	char path[PATH_TEXT_MAX];

	return ipc_server_new(h->core.event,
		paths_join(h->core.paths.run, NAMES_HEARTHD_SOCK, path), 0666, (gid_t) -1, handle,
		h, &h->ipc, err);
}

int control_open(struct hearthd *h, struct err *err)
{
	int r = waits_new(&h->core, &waits_hooks, h, &h->waits, err);

	return r < 0 ? r : listen_again(h, err);
}

void control_keep(struct hearthd *h)
{
	struct err err = { 0 };

	if (h->ipc && ipc_server_has_path(h->ipc))
		return;
	h->ipc = ipc_server_free(h->ipc);
	if (listen_again(h, &err) < 0)
		log_seldom(LOG_LEVEL_WARNING, "`hearth` does not work: %s", err.text);
	else
		log_notice("the socket in %s was removed by another program; listening again",
			h->core.paths.run);
}

void control_end_waits(struct hearthd *h)
{
	h->waits = waits_free(h->waits);
}

void control_close(struct hearthd *h)
{
	h->ipc = ipc_server_free(h->ipc);
	json_decref(h->status);
	h->status = NULL;
}
