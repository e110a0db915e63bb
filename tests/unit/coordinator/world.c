/* world: see world.h. */
#include "world.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/json.h"
#include "coordinator/enroll.h"
#include "coordinator/kube.h"
#include "coordinator/meet.h"
#include "coordinator/place.h"
#include "coordinator/presence.h"
#include "coordinator/relays.h"
#include "mesh-maker.h"

void world_store_first_records(void)
{
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_MESH_LOG struct mesh_log *log = maker_log();
	struct store_batch *batch = store_batch_new();

	maker_append(log, RECORD_TYPE_SETTINGS, settings_to_json(&settings));
	for (uint64_t seq = 1; seq <= 2; seq++)
		ledger_store_record(batch, mesh_log_get(log, seq));
	assert_int_equal(store_commit_now(fake_store(), batch, NULL), 0);
}

static void on_applied(void *ctx, const struct record *record, const struct netmap_change *what)
{
	struct coord *c = ctx;

	if (what->kind == NETMAP_CHANGE_REMOVED)
		presences_node_removed(c->presences, what->id);
	else if (what->kind == NETMAP_CHANGE_NODE)
		presences_node_changed(c->presences, netmap_by_id(coord_netmap(c), what->id));
	if (what->kind == NETMAP_CHANGE_REMOVED || what->kind == NETMAP_CHANGE_NODE)
		relays_node_changed(c->relays, what->id);
	feed_wake(c->feed);
	meet_look(c->meet);
}

static void start(struct coord *c)
{
	struct err err = { 0 };

	c->store = fake_store();
	c->port = API_PORT;
	c->started_s = coord_now_s();
	maker_root_hash(c->root_hash);
	assert_int_equal(sd_event_new(&c->event), 0);
	assert_int_equal(ledger_open(c->store, c->root_hash, maker_sign_seed, &c->ledger, &err), 0);
	assert_int_equal(feed_new(c->event, c->ledger, &c->feed, &err), 0);
	c->tokens = tokens_new();
	assert_int_equal(enroll_open(c, &c->enroll, &err), 0);
	assert_int_equal(presences_open(c, &c->presences, &err), 0);
	assert_int_equal(relays_open(c, &c->relays, &err), 0);
	assert_int_equal(kube_open(c, &c->kube, &err), 0);
	assert_int_equal(place_open(c, &c->place, &err), 0);
	assert_int_equal(meet_open(c, &c->meet, &err), 0);
	ledger_on_applied(c->ledger, on_applied, c);
}

static void stop(struct coord *c)
{
	feed_end_polls(c->feed);
	presences_flush(c->presences);
	c->store = store_close(c->store);
	c->feed = feed_free(c->feed);
	c->meet = meet_close(c->meet);
	c->place = place_close(c->place);
	c->kube = kube_close(c->kube);
	c->relays = relays_close(c->relays);
	c->presences = presences_close(c->presences);
	c->enroll = enroll_close(c->enroll);
	c->ledger = ledger_free(c->ledger);
	c->tokens = tokens_free(c->tokens);
	c->event = sd_event_unref(c->event);
	assert_int_equal(fake_event_sources(), 0);
}

int world_open(void **state)
{
	struct coord *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_true(sodium_init() >= 0);
	fake_event_reset();
	fake_store_reset();
	fake_log_forget();
	world_store_first_records();
	start(c);
	*state = c;
	return 0;
}

int world_close(void **state)
{
	stop(*state);
	free(*state);
	fake_store_reset();
	return 0;
}

void world_restart(struct coord *c)
{
	stop(c);
	memset(c, 0, sizeof(*c));
	start(c);
}

struct board world_board(uint32_t number)
{
	struct board b = { 0 };

	memset(b.seed, 7, sizeof(b.seed));
	memcpy(b.seed + 8, &number, sizeof(number));
	record_public_key(b.seed, b.identity);
	assert_int_equal(crypto_scalarmult_base(b.wg, b.seed), 0);
	return b;
}

struct world_change {
	struct change change;
	const char *type;
	json_t *payload;
};

static int decide(struct change *change, struct store_batch *batch)
{
	struct world_change *w = (struct world_change *) change;

	return ledger_set_record(change, w->type, w->payload) < 0 ? -EPERM : 1;
}

static void done(struct change *change, int r)
{
	struct world_change *w = (struct world_change *) change;

	if (r != 1)
		fail_msg("%s", change->err.text);
	json_decref(w->payload);
	free(w);
}

void world_submit(struct coord *c, const char *type, json_t *payload)
{
	struct world_change *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	*w = (struct world_change){
		.change = { .decide = decide, .done = done }, .type = type, .payload = payload
	};
	assert_int_equal(ledger_submit(c->ledger, &w->change), 0);
}

void world_record(struct coord *c, const char *type, json_t *payload)
{
	world_submit(c, type, payload);
	(void) fake_store_flush();
}

struct board world_node(struct coord *c, uint32_t number, const char *name, enum node_role role)
{
	struct board b = world_board(number);
	CLEANUP_NODE struct node node = { 0 };
	struct err err = { 0 };

	(void) snprintf(node.name, sizeof(node.name), "%s", name);
	(void) snprintf(b.name, sizeof(b.name), "%s", name);
	memcpy(node.wg, b.wg, sizeof(node.wg));
	memcpy(node.identity, b.identity, sizeof(node.identity));
	assert_int_equal(alloc_node(coord_netmap(c), role, &node, &err), 0);
	b.id = node.id;
	world_record(c, RECORD_TYPE_NODE, node_to_json(&node));
	return b;
}

void world_remove(struct coord *c, uint32_t id)
{
	struct tombstone tombstone = { .id = id, .reason = "removed" };

	world_record(c, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone));
}

void world_rekey(struct coord *c, uint32_t id, uint32_t number)
{
	struct board b = world_board(number);
	CLEANUP_NODE struct node node = { 0 };

	assert_int_equal(node_copy(netmap_by_id(coord_netmap(c), id), &node), 0);
	assert_int_equal(node_revoke_identity(&node), 0);
	memcpy(node.wg, b.wg, sizeof(node.wg));
	memcpy(node.identity, b.identity, sizeof(node.identity));
	world_record(c, RECORD_TYPE_NODE, node_to_json(&node));
}

struct httpd_request *world_request(const struct board *board, const char *path)
{
	struct httpd_request *r = fake_request(path);

	fake_request_set_key(r, board->identity);
	return r;
}

json_t *world_presence(const struct board *board, uint64_t counter, uint16_t port)
{
	return world_presence_by(board, counter, port, 0);
}

json_t *world_presence_by(
	const struct board *board, uint64_t counter, uint16_t port, uint32_t relay)
{
	CLEANUP_PRESENCE struct presence p = {
		.node = board->id, .counter = counter, .relay = relay
	};

	assert_int_equal(ip_addr_parse("198.51.100.7", &p.endpoints[0].addr), 0);
	p.endpoints[0].port = port;
	p.n_endpoints = 1;
	assert_int_equal(presence_sign(&p, board->seed), 0);
	return presence_to_json(&p);
}

json_t *world_relay(const char *host, uint16_t tcp)
{
	struct node_relay relay = { .n_hosts = 1, .tcp = tcp, .udp = 3478 };

	(void) snprintf(relay.hosts[0], sizeof(relay.hosts[0]), "%s", host);
	memset(relay.pin, 0x11, sizeof(relay.pin));
	memset(relay.key, 0x22, sizeof(relay.key));
	return node_relay_to_json(&relay);
}

struct httpd_request *world_put_reached(
	struct coord *c, const struct board *board, json_t *relay, json_t *reached)
{
	struct httpd_request *r = world_request(board, "/v1/relay");
	CLEANUP_JSON json_t *body = json_pack("{s:o, s:o*}", "relay", relay, "reached", reached);

	relays_handle(c, r, netmap_by_id(coord_netmap(c), board->id), body);
	return r;
}

struct httpd_request *world_put_relay(struct coord *c, const struct board *board, json_t *relay)
{
	return world_put_reached(c, board, relay, NULL);
}

const struct node *world_find(const struct coord *c, const struct board *board)
{
	uint32_t id = 0;

	return netmap_identity(coord_netmap(c), board->identity, &id) == NETMAP_IDENTITY_CURRENT
		       ? netmap_by_id(coord_netmap(c), id)
		       : NULL;
}
