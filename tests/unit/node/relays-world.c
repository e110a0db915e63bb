/* relays-world: see relays-world.h. */
#include "relays-world.h"

#include <sodium.h>
#include <stdio.h>

#include "wire/udprelay.h"

struct world world;
struct tunnel *const world_tunnel = (struct tunnel *) &fake_tunnel;

static const uint8_t seed[32] = { 9 }; /* of our identity */
static struct seen *seen;
static uint32_t sessions;

const uint8_t *world_secret_of(uint32_t id)
{
	static uint8_t secret[PAIR_KEY_LEN];

	memcpy(secret + 4, &id, sizeof(id)); /* behind the bits that are always the same */
	return secret;
}

static void on_moved(void *ctx, uint32_t id)
{
}

static void on_lost(void *ctx, uint32_t id)
{
}

static const struct peers_hooks peers_hooks = { .moved = on_moved, .lost = on_lost };

void world_ping(void)
{
	static uint64_t tx = 1;
	size_t n;
	struct peer *list = peers_all(world.peers, &n);
	struct ways_action action;

	for (size_t i = 0; i < n; i++) {
		uint32_t id = list[i].id;

		while (list[i].pair.usable &&
			ways_next(&list[i].ways, clock_now_us(), ++tx, &action)) {
			bool comes = ip_addr_is_loopback(&action.to.addr)
					     ? world.arrives[id][fake_passengers[id].by]
					     : world.direct[id];

			if (action.what != WAYS_PING)
				continue;
			world.n_pings++;
			if (comes)
				(void) ways_pong(&list[i].ways, &action.to, tx, clock_now_us() + 1);
		}
	}
}

static void on_homed(void *ctx)
{
	assert_ptr_equal(ctx, &world.n_homed);
	world.n_homed++;
}

static void on_changed(void *ctx)
{
	world.n_changed++;
	world_ping();
}

const struct relays_hooks world_hooks = { .homed = on_homed, .changed = on_changed };

int world_set_up(void **state)
{
	fake_dial_reset();
	fake_ferry_reset();
	fake_tunnel.port = 41741;
	sessions = 100;
	world = (struct world){ .core = fake_core_new() };
	memcpy(world.core->identity_seed, seed, sizeof(seed));
	world.core->wg_private[0] = 3;
	(void) crypto_scalarmult_base(world.core->wg_public, world.core->wg_private);
	seen = seen_new("/dev/null/seen", NULL);
	world.peers = peers_new(world.core->book, seen, 1, &peers_hooks, NULL);
	assert_int_equal(relays_new(world.core, world.peers, &world_hooks, &world.n_homed,
				 &world.relays, NULL),
		0);
	return 0;
}

int world_tear_down(void **state)
{
	world.relays = relays_free(world.relays);
	fake_ferry_check();
	fake_dial_check();
	world.peers = peers_free(world.peers);
	seen = seen_free(seen);
	world.core = fake_core_free(world.core);
	return 0;
}

void world_put_relay(uint32_t id, const char *host, const char *other)
{
	CLEANUP_NODE struct node node = maker_node(id, 0, NULL);

	node.relay.tcp = 443;
	node.relay.udp = 3478;
	node.relay.pin[0] = 1;
	(void) crypto_scalarmult_base(node.relay.key, world_secret_of(id));
	if (host)
		(void) snprintf(node.relay.hosts[node.relay.n_hosts++], FIELD_HOST_MAX, "%s", host);
	if (other)
		(void) snprintf(
			node.relay.hosts[node.relay.n_hosts++], FIELD_HOST_MAX, "%s", other);
	fake_core_put_node(&node);
}

struct peer *world_peer(uint32_t id)
{
	struct peer *p = peers_change(world.peers, id);

	assert_non_null(p);
	return p;
}

void world_follow(void)
{
	assert_true(peers_apply(world.peers, world_tunnel, NULL, 0, NULL) >= 0);
	world_peer(2)->pair.usable = true;
	relays_follow(world.relays);
}

void world_begin(void)
{
	relays_use(world.relays, world_tunnel);
	world_follow();
}

void world_deliver(void)
{
	fake_event_ready(FAKE_FERRY_FD);
}

void world_say_bound(uint32_t id, uint32_t session)
{
	uint8_t public[PAIR_KEY_LEN], key[PAIR_KEY_LEN], hint[UDPRELAY_HINT_LEN];
	uint8_t nonce[UDPRELAY_NONCE_LEN] = { (uint8_t) ++sessions, 1 };
	struct udprelay_bound bound = { .session = session, .lifetime_s = 60 };
	struct udprelay_bind bind;
	struct pair_self self;
	struct ferry_event *event;

	pair_self_init(&self, seed);
	(void) crypto_scalarmult_base(public, world_secret_of(id));
	assert_int_equal(pair_member_key(world_secret_of(id), public, self.identity, key), 0);
	udprelay_hint(key, public, hint);
	assert_int_equal(
		udprelay_bind_open(key, fake_carriers[id].bind, UDPRELAY_BIND_LEN, &bind), 0);
	assert_int_equal(bind.node, 1);
	bound.tx = bind.tx;
	event = fake_ferry_push(FERRY_CONTROL, id);
	event->len = UDPRELAY_BOUND_LEN;
	udprelay_bound_seal(key, hint, nonce, &bound, fake_ferry_data());
	world_deliver();
}

void world_pass(uint64_t us)
{
	for (uint64_t end_us = clock_now_us() + us; clock_now_us() < end_us;) {
		uint64_t left_us = end_us - clock_now_us();

		fake_event_pass(left_us < 50 * MS ? left_us : 50 * MS);
		for (uint32_t id = 0; id < FAKE_IDS; id++)
			fake_streams[id].heard_us = clock_now_us(); /* a KEEP_ALIVE */
		world_ping();
		for (uint32_t id = 0; id < FAKE_IDS; id++)
			if (world.alive[id] && fake_carriers[id].n_binds) {
				fake_carriers[id].n_binds = 0;
				world_say_bound(id, 1000 + id);
			}
		if (clock_now_us() % (5 * SECOND) == 0)
			relays_look(world.relays);
	}
}

void world_bind_to(uint32_t id)
{
	world_say_bound(id, 1000 + id);
	assert_int_equal(fake_carriers[id].session, 1000 + id);
}

void world_heard(uint32_t relay, uint32_t node)
{
	fake_ferry_push(FERRY_HEARD, relay)->node = node;
	world_deliver();
}

void world_absent(uint32_t relay, uint32_t node)
{
	struct ferry_event *event = fake_ferry_push(FERRY_CONTROL, relay);

	event->len = UDPRELAY_ABSENT_LEN;
	udprelay_absent_format(fake_carriers[relay].session, node, fake_ferry_data());
	world_deliver();
}

void world_assert_to(uint32_t relay, const char *text)
{
	char found[ENDPOINT_TEXT_MAX];

	assert_true(fake_carriers[relay].open);
	assert_string_equal(endpoint_format(&fake_carriers[relay].to, found), text);
}

const struct relays_report *world_report(uint32_t id)
{
	static struct relays_report list[RELAYS_MAX];
	size_t n = relays_report(world.relays, list);

	for (size_t i = 0; i < n; i++)
		if (list[i].id == id)
			return &list[i];
	fail_msg("there is no relay %u", id);
	return NULL;
}

bool world_is_relayed(void)
{
	return ways_is_relayed(&world_peer(2)->ways);
}

void world_announce_2(const char *endpoint)
{
	struct presence *p = fake_core_announce(2);

	p->n_endpoints = 1;
	assert_int_equal(endpoint_parse(endpoint, &p->endpoints[0]), 0);
	assert_true(peers_apply_one(world.peers, world_tunnel, 2, NULL, 0, NULL) >= 0);
	world_ping();
	relays_heard(world.relays, 2);
}
