/*
 * Keys of the JSON only ever get more: scripts read them.
 */
#include "node/report.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"

static const char *report_state_name(enum mesh_state state)
{
	switch (state) {
	case MESH_WAITING:
		return "starting";
	case MESH_UP:
		return "running";
	case MESH_REMOVED:
		return "removed";
	case MESH_REPLACED:
		return "replaced";
	}
	return "unknown";
}

const char *report_peer_state(const struct peer *peer)
{
	if (peer->reachable)
		return ways_is_relayed(&peer->ways) ? "relayed" : "direct";
	return peer->ever ? "unreachable" : "connecting";
}

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? json_string(text) : json_null();
}

static json_t *seconds_or_null(uint64_t wall_us)
{
	return wall_us ? json_integer((json_int_t) (wall_us / USEC_PER_SEC)) : json_null();
}

static void put_node(json_t *obj, const struct node *node)
{
	char text[PREFIX_TEXT_MAX];

	(void) json_object_set_new(obj, "id", json_integer(node->id));
	(void) json_object_set_new(obj, "name", json_string(node->name));
	(void) json_object_set_new(obj, "role", json_string(node_role_name(node->role)));
	(void) json_object_set_new(obj, "mesh4", json_string(ip_addr_format(&node->mesh4, text)));
	(void) json_object_set_new(obj, "mesh6", json_string(ip_addr_format(&node->mesh6, text)));
	(void) json_object_set_new(obj, "pods4",
		node_has_pods(node) ? json_string(ip_prefix_format(&node->pods4, text))
				    : json_null());
	(void) json_object_set_new(obj, "pods6",
		node_has_pods(node) ? json_string(ip_prefix_format(&node->pods6, text))
				    : json_null());
}

static const char *name_of(const struct report *report, uint32_t id)
{
	const struct node *node = report->node_of(report->ctx, id);

	return node ? node->name : NULL;
}

static const char *relay_way_of(const struct report *report, uint32_t id)
{
	for (size_t i = 0; i < report->n_relays; i++)
		if (report->relays[i].id == id)
			return report->relays[i].way;
	return NULL;
}

/* Where it is, or which relay leads there; how far that is, as the last ping said. */
static void put_way(const struct report *report, const struct peer *peer, json_t *obj)
{
	const struct way *way = ways_in_use(&peer->ways);
	const struct endpoint *endpoint = &peer->stats.endpoint;
	bool relayed;
	char text[ENDPOINT_TEXT_MAX];

	if (way && way->hole)
		endpoint = way_leads_to(way);
	relayed = ip_addr_is_loopback(&endpoint->addr);
	(void) json_object_set_new(obj, "endpoint",
		endpoint->addr.family && !relayed ? json_string(endpoint_format(endpoint, text))
						  : json_null());
	(void) json_object_set_new(obj, "relay",
		text_or_null(way && way->relayed ? name_of(report, peer->relay) : NULL));
	(void) json_object_set_new(obj, "relay_way",
		text_or_null(way && way->relayed ? relay_way_of(report, peer->relay) : NULL));
	(void) json_object_set_new(obj, "rtt_us",
		way && way->rtt_us ? json_integer((json_int_t) way->rtt_us) : json_null());
	(void) json_object_set_new(
		obj, "mtu", way && peer->mtu.told ? json_integer(peer->mtu.told) : json_null());
}

static json_t *peer_json(const struct report *report, const struct peer *peer)
{
	const struct node *node = report->node_of(report->ctx, peer->id);
	const struct tunnel_peer_stats *stats = &peer->stats;
	json_t *obj = json_object();

	if (!obj || !node)
		return obj;
	put_node(obj, node);
	(void) json_object_set_new(obj, "state", json_string(report_peer_state(peer)));
	(void) json_object_set_new(obj, "since", seconds_or_null(peer->since_us));
	(void) json_object_set_new(obj, "state_seconds",
		json_integer(
			report->now_us > peer->state_us
				? (json_int_t) ((report->now_us - peer->state_us) / USEC_PER_SEC)
				: 0));
	put_way(report, peer, obj);
	(void) json_object_set_new(obj, "last_handshake",
		json_integer((json_int_t) (stats->last_handshake_wall_us / USEC_PER_SEC)));
	(void) json_object_set_new(obj, "last_receive_seconds",
		stats->last_receive_us && stats->last_receive_us <= report->now_us
			? json_integer((json_int_t) ((report->now_us - stats->last_receive_us) /
						     USEC_PER_SEC))
			: json_null());
	(void) json_object_set_new(obj, "rx_bytes", json_integer((json_int_t) stats->rx_bytes));
	(void) json_object_set_new(obj, "tx_bytes", json_integer((json_int_t) stats->tx_bytes));
	return obj;
}

static json_t *peers_json(const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->n_peers; i++)
		(void) json_array_append_new(list, peer_json(report, &report->peers[i]));
	return list;
}

/* Of this board's own relay; others tell the coordinator. */
static json_t *reached_json(const struct report *report, uint32_t id)
{
	json_t *obj = report->reached && id == report->id ? json_object() : json_null();

	for (enum reached_way way = 0; json_is_object(obj) && way < REACHED_WAYS; way++) {
		uint32_t by = report->reached->ways[way].node;
		uint64_t ago_us = report->now_us - report->reached->ways[way].at_us;

		(void) json_object_set_new(obj, reached_way_name(way),
			by ? json_pack("{s:I,s:o,s:I}", "node", (json_int_t) by, "name",
				     text_or_null(name_of(report, by)), "at",
				     (json_int_t) ((report->now_wall_us - ago_us) / USEC_PER_SEC))
			   : json_null());
	}
	return obj;
}

static json_t *relay_json(const struct report *report, const struct relays_report *relay)
{
	char text[ENDPOINT_TEXT_MAX];

	return json_pack("{s:I,s:o,s:b,s:s,s:o,s:o,s:o,s:o}", "id", (json_int_t) relay->id, "name",
		text_or_null(name_of(report, relay->id)), "home", relay->home, "state",
		relay->state, "way", text_or_null(relay->way), "endpoint",
		relay->at.addr.family ? json_string(endpoint_format(&relay->at, text))
				      : json_null(),
		"rtt_us", relay->rtt_us ? json_integer((json_int_t) relay->rtt_us) : json_null(),
		"problem", text_or_null(relay->why), "reached", reached_json(report, relay->id));
}

static json_t *relays_json(const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->n_relays; i++)
		(void) json_array_append_new(list, relay_json(report, &report->relays[i]));
	return list;
}

/* One that is, or why there is none. */
static json_t *mapping_json(const struct portmap_report *m)
{
	char text[ENDPOINT_TEXT_MAX], gateway[IP_TEXT_MAX];

	return json_pack("{s:s,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:I}", "family",
		m->family == AF_INET ? "ipv4" : "ipv6", "gateway",
		m->gateway.family ? json_string(ip_addr_format(&m->gateway, gateway)) : json_null(),
		"protocol", text_or_null(mapping_protocol_name(m->protocol)), "endpoint",
		m->protocol ? json_string(endpoint_format(&m->outside, text)) : json_null(),
		"nested", m->nested, "left_seconds",
		m->protocol ? json_integer((json_int_t) (m->left_us / USEC_PER_SEC)) : json_null(),
		"why", text_or_null(mapping_why_name(m->why)), "words",
		text_or_null(mapping_why_words(m->why)), "code",
		m->detail ? json_integer(m->detail) : json_null(), "restarts",
		(json_int_t) m->restarts);
}

static json_t *mappings_json(const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < report->n_mappings; i++)
		(void) json_array_append_new(list, mapping_json(&report->mappings[i]));
	return list;
}

static json_t *endpoints_json(const struct report *report)
{
	json_t *list = json_array();
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; list && i < report->n_endpoints; i++)
		(void) json_array_append_new(
			list, json_string(endpoint_format(&report->endpoints[i], text)));
	return list;
}

static json_t *disco_json(const struct finder_counters *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "pings_sent",
		(json_int_t) c->pings_sent, "pongs_sent", (json_int_t) c->pongs_sent, "pings",
		(json_int_t) c->pings, "pongs", (json_int_t) c->pongs, "strange",
		(json_int_t) c->strange, "bad", (json_int_t) c->bad, "unanswered",
		(json_int_t) c->unanswered, "calls_sent", (json_int_t) c->calls_sent, "calls",
		(json_int_t) c->calls, "unheeded", (json_int_t) c->unheeded);
}

static json_t *guessing_json(const struct holes_counters *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "tries", (json_int_t) c->tries, "pings",
		(json_int_t) c->pings, "met", (json_int_t) c->met, "in_vain",
		(json_int_t) c->in_vain, "hurt", (json_int_t) c->hurt, "refused",
		(json_int_t) c->refused, "ways", (json_int_t) c->now);
}

static json_t *beacon_json(const struct beacon_counters *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "sent", (json_int_t) c->sent, "heard",
		(json_int_t) c->heard, "news", (json_int_t) c->news, "strange",
		(json_int_t) c->strange, "bad", (json_int_t) c->bad, "unread",
		(json_int_t) c->unread);
}

/* A name may hold any byte but a slash; JSON takes UTF-8 only. */
static json_t *name_json(const char *name)
{
	char shown[IFNAMSIZ];
	size_t i = 0;

	for (; name[i] && i < sizeof(shown) - 1; i++)
		shown[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	shown[i] = 0;
	return json_string(shown);
}

static json_t *link_json(const struct links *links, size_t link)
{
	const struct link_verdict *v = &links->list[link];
	json_t *addrs = json_array();
	char text[IP_TEXT_MAX], why[LINKS_WHY_MAX];

	for (size_t i = 0; addrs && i < links->n_addrs; i++)
		if (links->addrs[i].link == link)
			(void) json_array_append_new(
				addrs, json_string(ip_addr_format(&links->addrs[i].addr, text)));
	return json_pack("{s:o,s:s,s:s,s:b,s:b,s:b,s:o}", "name", name_json(v->name), "verdict",
		link_class_name(v->class), "why", link_verdict_why(v, why), "up", v->up,
		"default_route", v->has_default, "guarded", !v->inside, "addresses", addrs);
}

static json_t *links_json(const struct links *links)
{
	json_t *list = json_array();

	for (size_t i = 0; list && links && i < links->n; i++)
		(void) json_array_append_new(list, link_json(links, i));
	return list;
}

/* Whether a person set the URL by which the coordinator answered last. */
static bool is_by_hand(const struct report *report)
{
	const struct settings *s = report->settings;

	for (size_t i = 0; s && i < s->n_by_hand; i++)
		if (!strcmp(s->urls[i], report->sync->url))
			return true;
	return false;
}

static json_t *coordinator_json(const struct report *report)
{
	const struct sync_state *sync = report->sync;

	return json_pack("{s:b,s:o,s:o,s:b,s:o,s:o,s:o,s:o}", "connected", sync->connected, "url",
		text_or_null(sync->url), "relay",
		text_or_null(report->sync_relay ? report->sync_relay->name : NULL), "by_hand",
		is_by_hand(report), "since", seconds_or_null(sync->since_us), "last_contact",
		seconds_or_null(sync->contact_us), "code", text_or_null(sync->code), "error",
		text_or_null(sync->error));
}

json_t *report_json(const struct report *report)
{
	char head[KEY_BASE64_LEN] = "";
	CLEANUP_BUF struct buf sentence = { 0 };
	json_t *obj = json_object(), *problems = json_array(), *self = json_object();

	if (!obj || !problems || !self) {
		json_decref(obj);
		json_decref(problems);
		json_decref(self);
		return NULL;
	}
	for (size_t i = 0; i < report->n_problems; i++)
		(void) json_array_append_new(problems, json_string(report->problems[i]));
	if (report->self)
		put_node(self, report->self);
	else
		(void) json_object_set_new(self, "id", json_integer(report->id));
	report_sentence(report, &sentence);
	key_to_base64(report->head, head);
	(void) json_object_set_new(obj, "version", json_string(HEARTH_VERSION));
	(void) json_object_set_new(obj, "mesh", json_string(report->mesh));
	(void) json_object_set_new(obj, "state", json_string(report_state_name(report->state)));
	(void) json_object_set_new(obj, "summary", json_string(buf_str(&sentence)));
	(void) json_object_set_new(obj, "systemd", json_boolean(report->systemd));
	(void) json_object_set_new(obj, "node", self);
	(void) json_object_set_new(obj, "interface", json_string(report->ifname));
	(void) json_object_set_new(obj, "mtu", json_integer(report->mtu));
	(void) json_object_set_new(obj, "port", json_integer(report->port));
	(void) json_object_set_new(obj, "endpoints", endpoints_json(report));
	(void) json_object_set_new(obj, "port_mappings", mappings_json(report));
	(void) json_object_set_new(obj, "disco", disco_json(report->disco));
	(void) json_object_set_new(obj, "beacon", beacon_json(report->beacon));
	(void) json_object_set_new(obj, "guessing", guessing_json(&report->holes));
	(void) json_object_set_new(obj, "relays", relays_json(report));
	(void) json_object_set_new(obj, "links", links_json(report->links));
	(void) json_object_set_new(obj, "coordinator", coordinator_json(report));
	(void) json_object_set_new(obj, "log",
		json_pack("{s:I,s:o,s:o}", "seq", (json_int_t) report->seq, "hash",
			report->seq ? json_string(head) : json_null(), "problem",
			text_or_null(report->log_problem)));
	(void) json_object_set_new(obj, "problems", problems);
	(void) json_object_set_new(
		obj, "reachable", json_integer((json_int_t) report->n_reachable));
	(void) json_object_set_new(obj, "peers", peers_json(report));
	return obj;
}

static void add_age(uint64_t since_us, uint64_t now_us, struct buf *ret)
{
	uint64_t s = now_us > since_us ? (now_us - since_us) / USEC_PER_SEC : 0;

	if (s < 60)
		buf_add_str(ret, " for less than a minute");
	else if (s < 7200)
		buf_printf(ret, " for %" PRIu64 " min", s / 60);
	else
		buf_printf(ret, " for %" PRIu64 " h", s / 3600);
}

void report_sentence(const struct report *report, struct buf *ret)
{
	switch (report->state) {
	case MESH_WAITING:
		buf_printf(ret, "waiting for the log of mesh %s", report->mesh);
		break;
	case MESH_REMOVED:
		buf_printf(ret, "this board was removed from mesh %s", report->mesh);
		return;
	case MESH_REPLACED:
		buf_printf(ret, "another machine was enrolled in this board's place in mesh %s",
			report->mesh);
		return;
	case MESH_UP:
		if (report->n_peers)
			buf_printf(ret, "%zu of %zu peers reachable", report->n_reachable,
				report->n_peers);
		else
			buf_add_str(ret, "no peers yet");
		break;
	}
	if (report->sync->connected) {
		buf_add_str(ret, ", coordinator connected");
	} else if (report->sync->since_us) {
		buf_add_str(ret, report->sync->code[0] ? ", refused by the coordinator"
						       : ", coordinator not reachable");
		add_age(report->sync->since_us, report->now_wall_us, ret);
	}
	if (report->n_problems)
		buf_printf(ret, "; %zu problem%s, see `hearth status`", report->n_problems,
			report->n_problems > 1 ? "s" : "");
}
