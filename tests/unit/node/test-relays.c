/*
 * relays: to which relays it binds itself and how it finds them, whom it has carried by which, and
 * when no more; and by which of the two ways to a relay. The ferry, the tunnel, the resolver and
 * connections are the test's, and so are the relays at the other end; the finder is a few lines of
 * it.
 */
#include "fake-core.h"
#include "fake-dial.h"

#include <sodium.h>
#include <stdio.h>

#include "node/relayed.h"
#include "node/relays.h"
#include "wire/udprelay.h"

#define SECOND USEC_PER_SEC
#define MS     USEC_PER_MSEC

enum { FD = 78, IDS = 400, EVENTS_MAX = 64, LOOKUPS_MAX = 16 };

/* --- instead of the ferry --- */

static struct {
	bool open;
	struct endpoint to;
	uint32_t session;
	unsigned opened, n_binds;
	uint8_t bind[UDPRELAY_BIND_LEN];
} carriers[IDS];
static struct {
	bool open;
	unsigned opened, n_pings;
	struct ferry_stream stream;
	uint64_t heard_us;
} streams[IDS];
static struct {
	bool there;
	uint32_t by;
	unsigned changes;
	uint8_t key[FERRY_KEY_LEN];
} passengers[IDS];
static struct {
	struct ferry_event event;
	uint8_t data[UDPRELAY_REPLY_MAX];
} events[EVENTS_MAX];
static size_t n_events, next_event, n_passengers;
static unsigned n_ferries;
static int ferry_fails, peers_fail;
static uint16_t ferry_port;
static bool unreachable4; /* no carrier can be opened by IPv4 */

int ferry_new(uint16_t tunnel_port, struct ferry **ret, struct err *err)
{
	if (ferry_fails < 0)
		return err_set(err, ferry_fails, "no ferry");
	assert_int_equal(n_ferries, 0);
	n_ferries++;
	ferry_port = tunnel_port;
	*ret = (struct ferry *) &carriers;
	return 0;
}

struct ferry *ferry_free(struct ferry *ferry)
{
	if (ferry) {
		n_ferries--;
		for (size_t i = 0; i < IDS; i++) {
			assert_false(carriers[i].open || streams[i].open);
			assert_false(passengers[i].there);
		}
	}
	return NULL;
}

void ferry_set_tunnel_port(struct ferry *ferry, uint16_t port)
{
	ferry_port = port;
}

static struct endpoint loopback_of(uint32_t node)
{
	return (struct endpoint){ .addr = { AF_INET, { 127, 0, 0, 1 } },
		.port = (uint16_t) (5000 + node) };
}

int ferry_peer_add(struct ferry *ferry, uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	struct endpoint *ret)
{
	if (peers_fail < 0)
		return peers_fail;
	assert_memory_equal(
		key, netmap_by_id(book_netmap(NULL), node)->wg, sizeof(passengers[node].key));
	memcpy(passengers[node].key, key, sizeof(passengers[node].key));
	assert_false(passengers[node].there);
	passengers[node].there = true;
	passengers[node].by = passengers[node].changes = 0;
	n_passengers++;
	*ret = loopback_of(node);
	return 0;
}

static bool allowed[IDS];

void ferry_peer_remove(struct ferry *ferry, uint32_t node)
{
	assert_true(passengers[node].there);
	assert_false(allowed[node]); /* the tunnel was told before */
	passengers[node].there = false;
	n_passengers--;
}

int ferry_peer_carrier(struct ferry *ferry, uint32_t node, uint32_t relay)
{
	assert_true(passengers[node].there);
	assert_true(!relay || carriers[relay].session || streams[relay].open);
	passengers[node].by = relay;
	passengers[node].changes++;
	return 0;
}

int ferry_relay_open(struct ferry *ferry, uint32_t relay, const struct endpoint *to,
	uint32_t fwmark, struct err *err)
{
	if (unreachable4 && to->addr.family == AF_INET)
		return err_set(err, -ENETUNREACH, "connect: Network is unreachable");
	carriers[relay].open = true;
	carriers[relay].to = *to;
	carriers[relay].session = 0;
	carriers[relay].opened++;
	return 0;
}

int ferry_relay_session(struct ferry *ferry, uint32_t relay, uint32_t session)
{
	assert_true(carriers[relay].open);
	carriers[relay].session = session;
	return 0;
}

void ferry_relay_close(struct ferry *ferry, uint32_t relay)
{
	assert_true(carriers[relay].open);
	carriers[relay].open = false;
}

int ferry_send_control(struct ferry *ferry, uint32_t relay, const uint8_t *data, size_t len)
{
	assert_true(carriers[relay].open);
	assert_int_equal(len, UDPRELAY_BIND_LEN);
	carriers[relay].n_binds++;
	memcpy(carriers[relay].bind, data, len);
	return 0;
}

int ferry_stream_open(struct ferry *ferry, uint32_t relay, const struct ferry_stream *stream)
{
	assert_false(streams[relay].open);
	streams[relay].open = true;
	streams[relay].opened++;
	streams[relay].stream = *stream;
	streams[relay].heard_us = clock_now_us();
	return 0;
}

void ferry_stream_close(struct ferry *ferry, uint32_t relay)
{
	assert_true(streams[relay].open);
	streams[relay].open = false;
}

int ferry_stream_send(struct ferry *ferry, uint32_t relay, const uint8_t *frame, size_t len)
{
	assert_true(streams[relay].open);
	streams[relay].n_pings += frame[0] == DERP_PING;
	return 0;
}

uint64_t ferry_stream_heard_us(const struct ferry *ferry, uint32_t relay)
{
	return streams[relay].open ? streams[relay].heard_us : 0;
}

int ferry_event_fd(const struct ferry *ferry)
{
	return FD;
}

bool ferry_next_event(struct ferry *ferry, struct ferry_event *ret)
{
	if (next_event == n_events)
		return false;
	*ret = events[next_event].event;
	ret->data = events[next_event++].data;
	return true;
}

static struct ferry_event *push(enum ferry_event_kind kind, uint32_t relay)
{
	assert_true(n_events < EVENTS_MAX);
	if (next_event == n_events)
		next_event = n_events = 0;
	events[n_events].event = (struct ferry_event){ .kind = kind, .relay = relay };
	return &events[n_events++].event;
}

/* --- instead of the resolver --- */

static struct resolve {
	char name[64];
	resolve_fn done;
	void *ctx;
	bool asked;
} lookups[LOOKUPS_MAX];
static unsigned n_lookups;

int resolve_start(sd_event *event, const char *name, resolve_fn done, void *ctx,
	struct resolve **ret, struct err *err)
{
	assert_true(n_lookups < LOOKUPS_MAX);
	*ret = &lookups[n_lookups++];
	**ret = (struct resolve){ .done = done, .ctx = ctx, .asked = true };
	(void) snprintf((*ret)->name, sizeof((*ret)->name), "%s", name);
	return 0;
}

struct resolve *resolve_cancel(struct resolve *r)
{
	if (r)
		r->asked = false;
	return NULL;
}

/* The answer to the last question; "": there is none. */
static void resolved(const char *one, const char *other)
{
	struct resolve *r = &lookups[n_lookups - 1];
	struct ip_addr list[2];
	struct err err = { 0 };
	size_t n = 0;

	assert_true(n_lookups && r->asked);
	r->asked = false;
	if (*one)
		assert_int_equal(ip_addr_parse(one, &list[n++]), 0);
	if (other)
		assert_int_equal(ip_addr_parse(other, &list[n++]), 0);
	if (!n)
		err_set(&err, -EHOSTUNREACH, "%s cannot be looked up: no such name", r->name);
	r->done(r->ctx, list, n, &err);
}

/* --- instead of the tunnel --- */

static uint16_t port;

uint16_t tunnel_port(struct tunnel *tunnel)
{
	return port;
}

static bool quiet_is_told;

int tunnel_tell_quiet(struct tunnel *tunnel, bool on)
{
	quiet_is_told = on;
	return 0;
}

int tunnel_allow_loopback(struct tunnel *tunnel, uint16_t at, bool is_allowed)
{
	assert_non_null(tunnel);
	assert_true(at > 5000);
	assert_true(passengers[at - 5000].there); /* also when it ends */
	allowed[at - 5000] = is_allowed;
	return 0;
}

int tunnel_set_peer(struct tunnel *tunnel, const struct tunnel_peer *peer)
{
	return 0;
}

int tunnel_remove_peer(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_initiate(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_get_stats(struct tunnel *tunnel, struct tunnel_peer_stats **ret, size_t *ret_n)
{
	return -ENODEV;
}

/* --- we are board 1, with peer 2; 4, 5 ... are relays --- */

static struct tunnel *const tunnel = (struct tunnel *) &port; /* not looked into */
static struct core *core;
static struct seen *seen;
static struct peers *peers;
static struct relays *relays;
static unsigned n_homed, n_changed, n_pings;
static bool alive[IDS];        /* this relay answers each BIND */
static bool arrives[IDS][IDS]; /* what goes to this peer by this relay */
static bool direct[IDS];       /* what goes to this peer otherwise */
/* Of the relay @id. */
static const uint8_t *secret_of(uint32_t id)
{
	static uint8_t secret[PAIR_KEY_LEN];

	memcpy(secret + 4, &id, sizeof(id)); /* behind the bits that are always the same */
	return secret;
}

static uint32_t sessions;

static void on_moved(void *ctx, uint32_t id)
{
}

static void on_lost(void *ctx, uint32_t id)
{
}

static const struct peers_hooks peers_hooks = { .moved = on_moved, .lost = on_lost };

/* Of the finder: all that are due, of which those that arrive are answered at once. */
static void ping(void)
{
	static uint64_t tx = 1;
	size_t n;
	struct peer *list = peers_all(peers, &n);
	struct endpoint to;

	for (size_t i = 0; i < n; i++) {
		uint32_t id = list[i].id;

		while (list[i].pair.usable && ways_ping(&list[i].ways, clock_now_us(), ++tx, &to)) {
			bool comes = ip_addr_is_loopback(&to.addr) ? arrives[id][passengers[id].by]
								   : direct[id];

			n_pings++;
			if (comes)
				(void) ways_pong(&list[i].ways, &to, tx, clock_now_us() + 1);
		}
	}
}

static void on_homed(void *ctx)
{
	assert_ptr_equal(ctx, &n_homed);
	n_homed++;
}

static void on_changed(void *ctx)
{
	n_changed++;
	ping();
}

static const struct relays_hooks hooks = { .homed = on_homed, .changed = on_changed };

static int set_up(void **state)
{
	uint8_t seed[32] = { 9 };

	fake_dial_reset();
	memset(carriers, 0, sizeof(carriers));
	memset(streams, 0, sizeof(streams));
	memset(passengers, 0, sizeof(passengers));
	memset(allowed, 0, sizeof(allowed));
	memset(arrives, 0, sizeof(arrives));
	memset(direct, 0, sizeof(direct));
	memset(alive, 0, sizeof(alive));
	n_events = next_event = n_passengers = n_lookups = n_homed = n_changed = n_pings = 0;
	ferry_fails = peers_fail = 0;
	unreachable4 = false;
	sessions = 100;
	port = 41741;
	core = fake_core_new();
	memcpy(core->identity_seed, seed, sizeof(seed));
	core->wg_private[0] = 3;
	(void) crypto_scalarmult_base(core->wg_public, core->wg_private);
	seen = seen_new("/dev/null/seen", NULL);
	peers = peers_new(core->book, seen, 1, &peers_hooks, NULL);
	assert_int_equal(relays_new(core, peers, &hooks, &n_homed, &relays, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	relays = relays_free(relays);
	assert_int_equal(n_ferries, 0);
	assert_int_equal(n_passengers, 0);
	for (unsigned i = 0; i < n_lookups; i++)
		assert_false(lookups[i].asked);
	fake_dial_check();
	peers = peers_free(peers);
	seen = seen_free(seen);
	core = fake_core_free(core);
	assert_false(quiet_is_told);
	return 0;
}

/* Node @id is a relay at these hosts; NULL: none. */
static void put_relay(uint32_t id, const char *host, const char *other)
{
	CLEANUP_NODE struct node node = maker_node(id, 0, NULL);

	node.relay.tcp = 443;
	node.relay.udp = 3478;
	node.relay.pin[0] = 1;
	(void) crypto_scalarmult_base(node.relay.key, secret_of(id));
	if (host)
		(void) snprintf(node.relay.hosts[node.relay.n_hosts++], FIELD_HOST_MAX, "%s", host);
	if (other)
		(void) snprintf(
			node.relay.hosts[node.relay.n_hosts++], FIELD_HOST_MAX, "%s", other);
	fake_core_put_node(&node);
}

static struct peer *peer(uint32_t id)
{
	struct peer *p = peers_change(peers, id);

	assert_non_null(p);
	return p;
}

/* Records are others. Of the peers, only 2 can be pinged. */
static void follow(void)
{
	assert_true(peers_apply(peers, tunnel, NULL, 0, NULL) >= 0);
	peer(2)->pair.usable = true;
	relays_follow(relays);
}

static void begin(void)
{
	relays_use(relays, tunnel);
	follow();
}

static void deliver(void)
{
	fake_event_ready(FD);
}

/* Relay @id answers the last BIND. */
static void say_bound(uint32_t id, uint32_t session)
{
	static const uint8_t seed[32] = { 9 };
	uint8_t public[PAIR_KEY_LEN], key[PAIR_KEY_LEN], hint[UDPRELAY_HINT_LEN];
	uint8_t nonce[UDPRELAY_NONCE_LEN] = { (uint8_t) ++sessions, 1 };
	struct udprelay_bound bound = { .session = session, .lifetime_s = 60 };
	struct udprelay_bind bind;
	struct pair_self self;
	struct ferry_event *event;

	pair_self_init(&self, seed);
	(void) crypto_scalarmult_base(public, secret_of(id));
	assert_int_equal(pair_member_key(secret_of(id), public, self.identity, key), 0);
	udprelay_hint(key, public, hint);
	assert_int_equal(udprelay_bind_open(key, carriers[id].bind, UDPRELAY_BIND_LEN, &bind), 0);
	assert_int_equal(bind.node, 1);
	bound.tx = bind.tx;
	event = push(FERRY_CONTROL, id);
	event->len = UDPRELAY_BOUND_LEN;
	udprelay_bound_seal(key, hint, nonce, &bound, events[n_events - 1].data);
	deliver();
}

/* Time goes by, also for the finder and the relays; and the subject is asked to look. */
static void pass(uint64_t us)
{
	for (uint64_t end_us = clock_now_us() + us; clock_now_us() < end_us;) {
		uint64_t left_us = end_us - clock_now_us();

		fake_event_pass(left_us < 50 * MS ? left_us : 50 * MS);
		for (uint32_t id = 0; id < IDS; id++)
			streams[id].heard_us = clock_now_us(); /* a KEEP_ALIVE */
		ping();
		for (uint32_t id = 0; id < IDS; id++)
			if (alive[id] && carriers[id].n_binds) {
				carriers[id].n_binds = 0;
				say_bound(id, 1000 + id);
			}
		if (clock_now_us() % (5 * SECOND) == 0)
			relays_look(relays);
	}
}

static void bind_to(uint32_t id)
{
	say_bound(id, 1000 + id);
	assert_int_equal(carriers[id].session, 1000 + id);
}

static void heard(uint32_t relay, uint32_t node)
{
	push(FERRY_HEARD, relay)->node = node;
	deliver();
}

static void absent(uint32_t relay, uint32_t node)
{
	struct ferry_event *event = push(FERRY_CONTROL, relay);

	event->len = UDPRELAY_ABSENT_LEN;
	udprelay_absent_format(carriers[relay].session, node, events[n_events - 1].data);
	deliver();
}

static void assert_to(uint32_t relay, const char *text)
{
	char found[ENDPOINT_TEXT_MAX];

	assert_true(carriers[relay].open);
	assert_string_equal(endpoint_format(&carriers[relay].to, found), text);
}

static const struct relays_report *report(uint32_t id)
{
	static struct relays_report list[RELAYS_MAX];
	size_t n = relays_report(relays, list);

	for (size_t i = 0; i < n; i++)
		if (list[i].id == id)
			return &list[i];
	fail_msg("there is no relay %u", id);
	return NULL;
}

static bool is_relayed(void)
{
	return ways_is_relayed(&peer(2)->ways);
}

/* --- one relay --- */

static void test_bound(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	begin();
	assert_int_equal(n_ferries, 1);
	assert_int_equal(ferry_port, 41741);
	assert_to(4, "203.0.113.4:3478");
	assert_int_equal(carriers[4].n_binds, 1);
	assert_string_equal(report(4)->state, "silent");
	fake_event_pass(30 * MS);
	bind_to(4);
	assert_int_equal(n_homed, 1);
	assert_int_equal(relays_home(relays), 4);
	assert_string_equal(report(4)->state, "bound");
	assert_true(report(4)->home);
	assert_int_equal(report(4)->rtt_us, 30 * MS);
	assert_string_equal(report(4)->why, "");
	/* And again in time, by the same session; one slow answer does not say much. */
	fake_event_pass(20 * SECOND);
	assert_int_equal(carriers[4].n_binds, 2);
	fake_event_pass(110 * MS);
	bind_to(4);
	assert_int_equal(report(4)->rtt_us, 50 * MS);
	assert_int_equal(carriers[4].opened, 1);
	assert_int_equal(n_homed, 1);
	/* It has started anew. */
	fake_event_pass(20 * SECOND);
	say_bound(4, 77);
	assert_int_equal(carriers[4].session, 77);
}

/* Where there is no relay, or no tunnel, there is no ferry. */
static void test_none(void **state)
{
	struct settings settings = maker_settings();

	begin();
	assert_int_equal(n_ferries, 0);
	assert_true(fake_event_next_us() == UINT64_MAX);
	put_relay(4, "203.0.113.4", NULL);
	follow();
	assert_int_equal(n_ferries, 1);
	bind_to(4);
	relays_use(relays, NULL);
	assert_int_equal(n_ferries, 0);
	assert_string_equal(report(4)->state, "unused");
	assert_true(fake_event_next_us() == UINT64_MAX);
	relays_use(relays, tunnel);
	assert_int_equal(n_ferries, 1);
	bind_to(4);
	assert_int_equal(n_homed, 1); /* it was home all the time */
	put_relay(4, NULL, NULL);     /* a relay no more */
	follow();
	assert_int_equal(n_ferries, 0);
	assert_int_equal(relays_home(relays), 0);
	assert_int_equal(n_homed, 2);
	settings_done(&settings);
}

/* What we have announced before the start is home until it has had its time. */
static void test_home_of_before(void **state)
{
	fake_core_announce(1)->relay = 5;
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	begin();
	assert_int_equal(relays_home(relays), 5);
	bind_to(4);
	assert_int_equal(relays_home(relays), 5);
	fake_event_pass(RELAY_LINK_TRY_US - MS);
	assert_int_equal(n_homed, 0);
	fake_event_pass(SECOND);
	assert_int_equal(relays_home(relays), 4);
	assert_int_equal(n_homed, 1);
}

static void test_ferry_fails(void **state)
{
	ferry_fails = -EMFILE;
	put_relay(4, "203.0.113.4", NULL);
	begin();
	assert_int_equal(fake_core_logged("no relay can be used: no ferry"), 1);
	ferry_fails = 0;
	relays_look(relays);
	assert_int_equal(n_ferries, 1);
	bind_to(4);
	port = 999;
	relays_look(relays);
	assert_int_equal(ferry_port, 999);
}

static void test_bad_key(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	CLEANUP_NODE struct node node = { 0 };

	assert_int_equal(node_copy(netmap_by_id(book_netmap(core->book), 4), &node), 0);
	memset(node.relay.key, 0, sizeof(node.relay.key));
	node.relay.key[0] = 1; /* of low order */
	fake_core_put_node(&node);
	begin();
	assert_false(carriers[4].open);
	assert_int_equal(fake_core_logged("the relay key in the record of board"), 1);
	assert_string_equal(report(4)->state, "unused");
	assert_string_equal(report(4)->why, "its record has no usable key");
}

/* --- its addresses --- */

static void test_next_address(void **state)
{
	put_relay(4, "203.0.113.4", "2001:db8::4");
	begin();
	fake_event_pass(RELAY_LINK_TRY_US - MS);
	assert_to(4, "203.0.113.4:3478");
	fake_event_pass(MS);
	assert_to(4, "[2001:db8::4]:3478");
	fake_event_pass(RELAY_LINK_TRY_US);
	assert_to(4, "203.0.113.4:3478");
	fake_event_pass(RELAY_LINK_TRY_US);
	bind_to(4);
	fake_event_pass(20 * SECOND - MS);
	assert_to(4, "[2001:db8::4]:3478");
	/* It does not answer any more. */
	fake_event_pass(SECOND + MS);
	assert_string_equal(report(4)->state, "silent");
	assert_to(4, "[2001:db8::4]:3478");
	fake_event_pass(RELAY_LINK_TRY_US - SECOND);
	assert_to(4, "203.0.113.4:3478");
}

static void test_no_family(void **state)
{
	unreachable4 = true;
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", "2001:db8::5");
	begin();
	assert_false(carriers[4].open);
	assert_to(5, "[2001:db8::5]:3478");
	assert_string_equal(report(4)->why, "connect: Network is unreachable");
	unreachable4 = false;
	fake_event_pass(RELAY_LINK_TRY_US);
	assert_to(4, "203.0.113.4:3478");
}

static void test_names(void **state)
{
	put_relay(4, "vps.example.org", NULL);
	begin();
	assert_int_equal(n_lookups, 1);
	assert_string_equal(lookups[0].name, "vps.example.org");
	assert_false(carriers[4].open);
	resolved("", NULL);
	assert_string_equal(report(4)->why, "vps.example.org cannot be looked up: no such name");
	fake_event_pass(RELAY_ADDRS_ASK_US + RELAY_LINK_TRY_US);
	assert_int_equal(n_lookups, 2);
	resolved("2001:db8::4", "203.0.113.4");
	assert_to(4, "[2001:db8::4]:3478");
	bind_to(4);
	fake_event_pass(19 * SECOND);
	assert_int_equal(n_lookups, 2);
	/* It has moved: the name knows where to, and is asked again and again. */
	fake_event_pass(9 * SECOND);
	assert_int_equal(n_lookups, 3);
	resolved("198.51.100.4", NULL);
	assert_to(4, "198.51.100.4:3478");
	bind_to(4);
}

/* An address is tried while the name is still looked up. */
static void test_names_and_addresses(void **state)
{
	put_relay(4, "203.0.113.4", "vps.example.org");
	begin();
	assert_to(4, "203.0.113.4:3478");
	resolved("203.0.113.4", "2001:db8::4");
	assert_int_equal(carriers[4].opened, 1);
	fake_event_pass(RELAY_LINK_TRY_US);
	assert_to(4, "[2001:db8::4]:3478");
	/* Also while it is looked up anew. */
	fake_event_pass(2 * RELAY_LINK_TRY_US);
	assert_int_equal(n_lookups, 2);
	assert_to(4, "[2001:db8::4]:3478");
}

/* What leads into the mesh, or to ourselves, is no relay's. */
static void test_denied(void **state)
{
	put_relay(4, "10.77.0.4", "10.244.3.9");
	put_relay(5, "vps.example.org", NULL);
	begin();
	resolved("127.0.0.1", "10.96.0.10");
	assert_false(carriers[4].open);
	assert_false(carriers[5].open);
	assert_non_null(strstr(report(4)->why, "10.244.3.9 is not used: it lies in the mesh"));
	assert_non_null(strstr(report(5)->why, "10.96.0.10 is not used: it lies in the mesh"));
}

/* A relay on this board is found whatever its hosts are. */
static void test_own(void **state)
{
	put_relay(1, "203.0.113.1", NULL);
	begin();
	assert_true(quiet_is_told);
	assert_to(1, "127.0.0.1:3478");
	fake_event_pass(RELAY_LINK_TRY_US);
	assert_to(1, "203.0.113.1:3478");
}

static void test_moved(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "vps.example.org", NULL);
	begin();
	resolved("203.0.113.5", NULL);
	bind_to(4);
	bind_to(5);
	relays_moved(relays);
	assert_int_equal(carriers[4].opened, 2);
	assert_int_equal(carriers[4].session, 0);
	assert_int_equal(carriers[4].n_binds, 2);
	assert_int_equal(n_lookups, 2);
	resolved("203.0.113.6", NULL);
	assert_to(5, "203.0.113.5:3478"); /* until it does not answer */
	bind_to(4);
	bind_to(5);
	fake_event_pass(19 * SECOND);
	assert_to(5, "203.0.113.5:3478");
	fake_event_pass(SECOND + RELAY_LINK_TRY_US);
	assert_to(5, "203.0.113.6:3478");
}

/* From the first address on, as at the start. */
static void test_moved_begins_anew(void **state)
{
	put_relay(4, "203.0.113.4", "2001:db8::4");
	begin();
	fake_event_pass(RELAY_LINK_TRY_US);
	assert_to(4, "[2001:db8::4]:3478");
	relays_moved(relays);
	assert_to(4, "203.0.113.4:3478");
	relays_moved(relays);
	assert_to(4, "203.0.113.4:3478");
}

/* A host that is new, or another key: it is another relay. */
static void test_record(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	begin();
	bind_to(4);
	follow();
	assert_int_equal(carriers[4].opened, 1);
	put_relay(4, "203.0.113.9", NULL);
	follow();
	assert_to(4, "203.0.113.9:3478");
	assert_int_equal(carriers[4].session, 0);
}

/* More than we bind to: home, those that carry, those that somebody is at; and a silent one yields. */
static void test_many_relays(void **state)
{
	unsigned n = 0;

	for (uint32_t id = 10; id < 30; id++) {
		char host[32];

		(void) snprintf(host, sizeof(host), "203.0.113.%u", id);
		put_relay(id, host, NULL);
	}
	begin();
	for (uint32_t id = 10; id < 30; id++)
		n += carriers[id].open;
	assert_int_equal(n, RELAYS_AT_ONCE);
	for (uint32_t id = 10; id < 10 + RELAYS_AT_ONCE - 2; id++)
		alive[id] = true;
	alive[29] = arrives[2][29] = true;
	fake_core_announce(2)->relay = 29;
	relays_heard(relays, 2);
	pass(10 * SECOND);
	assert_true(carriers[29].open);
	assert_true(carriers[relays_home(relays)].open);
	pass(2 * SECOND);
	assert_int_equal(passengers[2].by, 29);
	n = 0;
	for (uint32_t id = 10; id < 30; id++)
		n += carriers[id].open;
	assert_int_equal(n, RELAYS_AT_ONCE);
}

/* --- peers --- */

static void announce_2(const char *endpoint)
{
	struct presence *p = fake_core_announce(2);

	p->n_endpoints = 1;
	assert_int_equal(endpoint_parse(endpoint, &p->endpoints[0]), 0);
	assert_true(peers_apply_one(peers, tunnel, 2, NULL, 0, NULL) >= 0);
	ping();
	relays_heard(relays, 2);
}

static void test_carried(void **state)
{
	struct endpoint at = loopback_of(2);

	arrives[2][4] = true;
	put_relay(4, "203.0.113.4", NULL);
	begin();
	assert_false(passengers[2].there); /* nothing carries yet */
	bind_to(4);
	assert_true(passengers[2].there);
	assert_true(allowed[2]);
	assert_int_equal(passengers[2].by, 4);
	assert_int_equal(peer(2)->relay, 4);
	assert_true(is_relayed());
	assert_true(endpoint_equal(&ways_in_use(&peer(2)->ways)->to, &at));
	assert_false(passengers[3].there); /* it cannot be pinged */
	/* A direct one is used at once; the other stays for a while. */
	direct[2] = true;
	announce_2("192.0.2.2:41741");
	assert_false(is_relayed());
	alive[4] = true;
	pass(290 * SECOND);
	assert_true(passengers[2].there);
	pass(20 * SECOND);
	assert_false(passengers[2].there);
	assert_false(allowed[2]);
	assert_int_equal(peer(2)->relay, 0);
	/* It is gone: with the first doubt. */
	direct[2] = false;
	ways_quiet(&peer(2)->ways, clock_now_us());
	relays_missed(relays, 2);
	assert_true(passengers[2].there);
	pass(WAYS_GRACE_US + 50 * MS);
	assert_true(is_relayed());
}

/* The record goes, the tunnel goes: nothing stays, and the tunnel would be told again. */
static void test_no_more(void **state)
{
	struct endpoint at = loopback_of(2);
	struct netmap *map;
	struct tombstone tombstone = { .id = 2 };

	arrives[2][4] = true;
	put_relay(4, "203.0.113.4", NULL);
	begin();
	bind_to(4);
	assert_true(is_relayed());
	peer(2)->told.endpoint = at;
	relays_use(relays, NULL);
	assert_false(passengers[2].there);
	assert_null(ways_in_use(&peer(2)->ways));
	assert_int_equal(peer(2)->told.endpoint.addr.family, AF_UNSPEC);
	relays_use(relays, tunnel);
	bind_to(4);
	assert_true(is_relayed());
	map = (struct netmap *) book_netmap(core->book);
	assert_int_equal(
		maker_apply(map, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&tombstone), NULL, NULL),
		1);
	assert_true(peers_apply(peers, tunnel, NULL, 0, NULL) >= 0);
	relays_follow(relays);
	assert_false(passengers[2].there);
	assert_false(allowed[2]);
}

/* A peer that has left, and come back before anybody looked: it is taken up anew. */
static void test_comes_back(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	arrives[2][4] = true;
	begin();
	bind_to(4);
	assert_true(is_relayed());
	peers_clear(peers);
	follow();
	assert_false(is_relayed());
	relays_look(relays);
	assert_true(is_relayed());
	assert_int_equal(n_passengers, 1);
}

/* Another machine in its place: the ferry knows peers by their keys. */
static void test_another_key(void **state)
{
	CLEANUP_NODE struct node node = { 0 };

	put_relay(4, "203.0.113.4", NULL);
	arrives[2][4] = true;
	begin();
	bind_to(4);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(core->book), 2), &node), 0);
	node.wg[9]++;
	fake_core_put_node(&node);
	follow();
	relays_look(relays);
	assert_memory_equal(passengers[2].key, node.wg, sizeof(node.wg));
	assert_true(is_relayed());
}

static void test_by_its_home(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	arrives[2][4] = arrives[2][5] = true;
	fake_core_announce(2)->relay = 5;
	begin();
	bind_to(4);
	assert_int_equal(passengers[2].by, 4); /* better than nothing */
	bind_to(5);
	assert_int_equal(passengers[2].by, 4); /* which works */
	fake_core_announce(2)->relay = 0;
	relays_heard(relays, 2);
	fake_core_announce(2)->relay = 5;
	relays_heard(relays, 2);
	assert_int_equal(passengers[2].by, 5);
	assert_true(is_relayed());
}

/* It is not answered by one relay: the next, with ever more patience, and no storm. */
static void test_by_next(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	begin();
	bind_to(4);
	bind_to(5);
	assert_int_equal(passengers[2].by, 4);
	pass(RELAYED_PATIENCE_US - 50 * MS);
	assert_int_equal(passengers[2].by, 4);
	pass(100 * MS);
	assert_int_equal(passengers[2].by, 5);
	alive[4] = alive[5] = true;
	pass(200 * SECOND);
	assert_in_range(passengers[2].changes, 6, 12);
	assert_in_range(n_pings, 20, 80);
	/* It is at the other. */
	arrives[2][4] = arrives[2][5] = true;
	pass(20 * SECOND);
	assert_true(is_relayed());
}

/* In vain for five minutes: not again, until there is a reason. */
static void test_in_vain(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	begin();
	alive[4] = true;
	pass(290 * SECOND);
	assert_true(passengers[2].there);
	pass(20 * SECOND);
	assert_false(passengers[2].there);
	pass(100 * SECOND);
	assert_false(passengers[2].there);
	arrives[2][4] = true;
	heard(4, 2);
	assert_true(passengers[2].there);
	assert_true(is_relayed());
}

/* Neither says anything of a home: ours comes first. */
static void test_by_our_home(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	direct[2] = arrives[2][4] = arrives[2][5] = true;
	begin();
	announce_2("192.0.2.2:41741");
	bind_to(5);
	bind_to(4);
	assert_int_equal(relays_home(relays), 5);
	assert_false(passengers[2].there);
	ways_quiet(&peer(2)->ways, clock_now_us());
	relays_missed(relays, 2);
	assert_int_equal(passengers[2].by, 5);
}

/* A ping that is lost is a reason to ask again, not to leave. */
static void test_one_lost_ping(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	arrives[2][4] = true;
	begin();
	alive[4] = alive[5] = true;
	bind_to(4);
	bind_to(5);
	pass(20 * SECOND);
	assert_int_equal(passengers[2].by, 4);
	arrives[2][4] = false;
	ways_relayed_anew(&peer(2)->ways);
	ping();
	arrives[2][4] = true;
	fake_event_pass(RELAYED_PATIENCE_US);
	n_pings = 0;
	relays_look(relays);
	assert_int_equal(n_pings, 1);
	pass(10 * SECOND);
	assert_int_equal(passengers[2].by, 4);
	assert_int_equal(passengers[2].changes, 1);
}

static void test_heard(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	arrives[2][4] = true;
	begin();
	bind_to(4);
	bind_to(5);
	assert_true(is_relayed());
	/* It comes by the other one, and this one works: it stays. */
	heard(5, 2);
	assert_int_equal(passengers[2].by, 4);
	pass(3100 * MS);
	assert_int_equal(passengers[2].by, 4);
	/* It does not work any more. */
	arrives[2][4] = false;
	arrives[2][5] = true;
	heard(5, 2);
	pass(RELAYED_PATIENCE_US + 100 * MS);
	assert_int_equal(passengers[2].by, 5);
	assert_true(is_relayed());
	/* From who is no peer, or by no relay: nothing. */
	heard(5, 99);
	heard(77, 2);
	heard(5, 3);
	assert_int_equal(n_passengers, 1);
}

/* It goes to where it was heard, not to the next. */
static void test_heard_by_a_third(void **state)
{
	for (uint32_t id = 4; id <= 6; id++) {
		char host[32];

		(void) snprintf(host, sizeof(host), "203.0.113.%u", id);
		put_relay(id, host, NULL);
		alive[id] = true;
	}
	arrives[2][4] = true;
	begin();
	for (uint32_t id = 4; id <= 6; id++)
		bind_to(id);
	pass(10 * SECOND);
	arrives[2][4] = false;
	arrives[2][5] = arrives[2][6] = true;
	heard(6, 2);
	pass(RELAYED_PATIENCE_US + 100 * MS);
	assert_int_equal(passengers[2].by, 6);
	assert_int_equal(passengers[2].changes, 2);
}

/* A peer that sends by a relay although we reach it directly is taken up: else it is not heard. */
static void test_heard_though_direct(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	direct[2] = arrives[2][4] = true;
	begin();
	announce_2("192.0.2.2:41741");
	bind_to(4);
	assert_false(passengers[2].there);
	heard(4, 2);
	assert_true(passengers[2].there);
	assert_int_equal(passengers[2].by, 4);
	assert_false(is_relayed());
}

static void test_absent(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	begin();
	bind_to(4);
	absent(4, 2);
	assert_int_equal(passengers[2].by, 4); /* there is no other */
	bind_to(5);
	absent(4, 2);
	assert_int_equal(passengers[2].by, 5);
	absent(4, 2); /* that is not by which it goes */
	carriers[5].session++;
	absent(5, 2); /* of another session than ours */
	carriers[5].session--;
	assert_int_equal(passengers[2].by, 5);
	absent(5, 2);
	assert_int_equal(passengers[2].by, 4);
	for (int i = 0; i < 100; i++) {
		absent(4, 2);
		absent(5, 2);
	}
	assert_in_range(passengers[2].changes, 3, 6);
}

/* The relay by which it goes is silent: another at once, and home as well. */
static void test_relay_dies(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	arrives[2][4] = arrives[2][5] = true;
	begin();
	bind_to(4);
	bind_to(5);
	pass(10 * SECOND);
	arrives[2][4] = false;
	/* The tunnel notices first. */
	ways_quiet(&peer(2)->ways, clock_now_us());
	carriers[4].n_binds = 0;
	relays_missed(relays, 2);
	assert_int_equal(carriers[4].n_binds, 1);
	pass(RELAYED_PATIENCE_US + 100 * MS);
	assert_int_equal(passengers[2].by, 5);
	assert_true(is_relayed());
	pass(RELAY_LINK_TRY_US);
	assert_int_equal(relays_home(relays), 5);
}

/* The only relay dies, and comes back: so does what it carries. */
static void test_relay_comes_back(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	arrives[2][4] = true;
	begin();
	bind_to(4);
	push(FERRY_REFUSED, 4)->error = -ECONNREFUSED;
	deliver();
	assert_int_equal(carriers[4].n_binds, 2);
	pass(SECOND + 50 * MS);
	assert_int_equal(passengers[2].by, 0);
	assert_true(passengers[2].there);
	say_bound(4, 55);
	assert_int_equal(passengers[2].by, 4);
	assert_int_equal(relays_home(relays), 4);
	assert_int_equal(n_homed, 1);
}

/* As many as there may be: those that are of use stay. */
static void test_many_peers(void **state)
{
	size_t n;
	struct peer *list;

	put_relay(4, "203.0.113.4", NULL);
	for (uint32_t id = 20; id < 20 + RELAYED_MAX + 20; id++)
		fake_core_put(id, 0, NULL);
	arrives[2][4] = true;
	begin();
	list = peers_all(peers, &n);
	for (size_t i = 0; i < n; i++)
		list[i].pair.usable = true;
	bind_to(4);
	alive[4] = true;
	assert_int_equal(n_passengers, RELAYED_MAX);
	pass(50 * SECOND);
	assert_false(passengers[275].there);
	/* They have had their time: others get it. */
	pass(20 * SECOND);
	assert_int_equal(n_passengers, RELAYED_MAX);
	assert_true(passengers[2].there && passengers[275].there);
	assert_false(passengers[20].there);
	/* No more sockets: later, then. */
	relays_use(relays, NULL);
	peers_fail = -EMFILE;
	relays_use(relays, tunnel);
	bind_to(4);
	assert_int_equal(n_passengers, 0);
	peers_fail = 0;
	relays_look(relays);
	assert_int_equal(n_passengers, RELAYED_MAX);
}

/* --- what is told --- */

static void test_problem(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	begin();
	announce_2("192.0.2.2:41741");
	pass(10 * SECOND);
	fake_core_wrong(core, "relay", NULL);
	pass(10 * SECOND);
	fake_core_wrong(core, "relay",
		"no relay answers, and no direct way leads to node-2. Relay node-4: "
		"UDP to 203.0.113.4:3478 is not answered, for 20 s");
	bind_to(4);
	relays_look(relays);
	fake_core_wrong(core, "relay", NULL);
}

/* As long as nobody needs one, it is nothing to speak of. */
static void test_no_problem(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	direct[2] = true;
	begin();
	announce_2("192.0.2.2:41741");
	peer(2)->reachable = true;
	pass(60 * SECOND);
	fake_core_wrong(core, "relay", NULL);
}

static void test_refused(void **state)
{
	struct udprelay_cookie cookie = { .cookie = { 1 } };
	struct ferry_event *event;

	put_relay(4, "203.0.113.4", NULL);
	begin();
	memcpy(cookie.echo, udprelay_bind_head(carriers[4].bind).nonce, sizeof(cookie.echo));
	event = push(FERRY_CONTROL, 4);
	event->len = UDPRELAY_COOKIE_MSG_LEN;
	udprelay_cookie_format(&cookie, events[n_events - 1].data);
	deliver();
	assert_int_equal(carriers[4].n_binds, 2);
	assert_string_equal(report(4)->state, "refused");
	assert_string_equal(
		report(4)->why, "it answers at 203.0.113.4:3478, but does not know this board");
}

static void test_no_loop(void **state)
{
	struct relays *other = NULL;
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	assert_int_equal(relays_new(core, peers, &hooks, NULL, &other, &err), -EMFILE);
	assert_null(other);
	put_relay(4, "203.0.113.4", NULL);
	begin();
	assert_int_equal(n_ferries, 0);
	fake_event_fails = 0;
}

/* --- by a stream --- */

/* The relay @id, dialled, lets us in. */
static struct dial_conn *let_in(uint32_t id)
{
	struct dial *d = NULL;
	struct dial_conn *c;

	for (size_t i = 0; i < fake_dials_n; i++)
		if (fake_dials[i].asked && fake_dials[i].addr.bytes[3] == id)
			d = &fake_dials[i];
	assert_non_null(d);
	c = fake_dial_stands(d);
	fake_dial_lets_in(c, secret_of(id));
	assert_true(streams[id].open);
	return c;
}

static void refuse(const char *why)
{
	while (fake_dial_asked())
		fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, why);
}

static void frame(uint32_t relay, uint8_t type, const void *data, size_t len)
{
	struct ferry_event *event = push(FERRY_FRAME, relay);

	event->frame = type;
	event->len = len;
	memcpy(events[n_events - 1].data, data, len);
	streams[relay].heard_us = clock_now_us();
	deliver();
}

static void gone(uint32_t relay, const uint8_t *key)
{
	uint8_t data[DERP_PEER_GONE_LEN];

	derp_peer_gone_put(key, DERP_GONE_NOT_HERE, data);
	frame(relay, DERP_PEER_GONE, data + DERP_HEAD_LEN, DERP_KEY_LEN + 1);
}

static const uint8_t *key_of_2(void)
{
	return netmap_by_id(book_netmap(NULL), 2)->wg;
}

/* Both are begun at once; the first carries, then UDP, and then the other is given up. */
static void test_both(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	arrives[2][4] = true;
	begin();
	assert_int_equal(carriers[4].n_binds, 1);
	assert_int_equal(fake_dials_n, 1);
	fake_event_pass(20 * MS);
	(void) let_in(4);
	assert_string_equal(report(4)->state, "bound");
	assert_string_equal(report(4)->way, "tcp");
	assert_int_equal(report(4)->at.port, 443);
	assert_string_equal(report(4)->why, "UDP to 203.0.113.4:3478 is not answered, for 0 s");
	assert_int_equal(relays_home(relays), 4);
	assert_true(is_relayed());
	fake_event_pass(20 * MS);
	bind_to(4);
	assert_string_equal(report(4)->way, "udp");
	assert_int_equal(report(4)->at.port, 3478);
	assert_string_equal(report(4)->why, "");
	alive[4] = true;
	pass(RELAY_WAYS_BESIDE_US - SECOND);
	assert_true(streams[4].open);
	pass(2 * SECOND);
	assert_false(streams[4].open);
	assert_string_equal(report(4)->way, "udp");
	assert_int_equal(passengers[2].by, 4);
	assert_int_equal(passengers[2].changes, 1);
	pass(300 * SECOND);
	assert_int_equal(streams[4].opened, 1);
	assert_int_equal(fake_dials_n, 1);
	assert_int_equal(n_homed, 1);
}

/* UDP does not get through any more: the other is there a second later. And back. */
static void test_udp_goes(void **state)
{
	unsigned changes;

	put_relay(4, "203.0.113.4", NULL);
	arrives[2][4] = true;
	begin();
	alive[4] = true;
	bind_to(4);
	pass(40 * SECOND);
	assert_int_equal(
		fake_dial_asked(), 0); /* it was not even let in before it was not needed */
	alive[4] = false;
	carriers[4].n_binds = 0;
	relays_missed(relays, 2);
	fake_event_pass(RELAY_LINK_PATIENCE_US);
	assert_int_equal(fake_dial_asked(), 1);
	assert_int_equal(carriers[4].session, 0); /* the ferry is told, too */
	(void) let_in(4);
	assert_int_equal(passengers[2].by, 4);
	assert_true(is_relayed());
	changes = passengers[2].changes;
	carriers[4].n_binds = 0;
	pass(300 * SECOND);
	assert_in_range(carriers[4].n_binds, 30, 80); /* it is tried still, and not all the time */
	assert_string_equal(report(4)->way, "tcp");
	alive[4] = true;
	pass(50 * SECOND);
	assert_string_equal(report(4)->way, "udp");
	pass(RELAY_WAYS_BESIDE_US);
	assert_false(streams[4].open);
	assert_int_equal(passengers[2].changes, changes);
	assert_int_equal(n_homed, 1);
}

/* Without a UDP port it is a relay like any other. */
static void test_only_tcp(void **state)
{
	CLEANUP_NODE struct node node = { 0 };
	uint8_t pong[DERP_PING_LEN] = { 0 };

	put_relay(4, "203.0.113.4", NULL);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(core->book), 4), &node), 0);
	node.relay.udp = 0;
	fake_core_put_node(&node);
	arrives[2][4] = true;
	begin();
	assert_false(carriers[4].open);
	refuse("Connection refused");
	assert_string_equal(report(4)->state, "silent");
	assert_string_equal(report(4)->why, "TLS to 203.0.113.4:443: Connection refused");
	fake_event_pass(SECOND);
	(void) let_in(4);
	assert_string_equal(report(4)->why, "");
	assert_int_equal(relays_home(relays), 4);
	assert_true(is_relayed());
	assert_int_equal(streams[4].n_pings, 1);
	frame(4, DERP_PONG, pong, sizeof(pong)); /* which is no answer to it */
	assert_int_equal(report(4)->rtt_us, 0);
	pass(600 * SECOND);
	assert_int_equal(streams[4].opened, 1);
	assert_in_range(streams[4].n_pings, 5, 8);
	assert_int_equal(carriers[4].opened, 0);
	/* It ends, and comes again. */
	streams[4].heard_us = 0;
	push(FERRY_ENDED, 4);
	deliver();
	assert_string_equal(report(4)->why, "TLS to 203.0.113.4:443: it hung up");
	assert_int_equal(passengers[2].by, 0);
	fake_event_pass(SECOND);
	(void) let_in(4);
	assert_int_equal(passengers[2].by, 4);
	assert_int_equal(n_homed, 1);
}

/* A peer is known by its key there. */
static void test_by_key(void **state)
{
	static const uint8_t nobody[DERP_KEY_LEN] = { 99 };
	struct ferry_event *event;

	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	begin();
	(void) let_in(4);
	(void) let_in(5);
	assert_int_equal(passengers[2].by, 4);
	gone(4, nobody);
	gone(5, key_of_2()); /* by that it does not go */
	assert_int_equal(passengers[2].by, 4);
	gone(4, key_of_2());
	assert_int_equal(passengers[2].by, 5);
	/* It lies, all the time: bounded, and another one is tried in its turn. */
	for (int i = 0; i < 100; i++) {
		gone(4, key_of_2());
		gone(5, key_of_2());
	}
	assert_in_range(passengers[2].changes, 2, 6);
	/* From who is no passenger yet. */
	relays_use(relays, NULL);
	direct[2] = true;
	relays_use(relays, tunnel);
	announce_2("192.0.2.2:41741");
	(void) let_in(4);
	assert_false(passengers[2].there);
	event = push(FERRY_HEARD, 4);
	memcpy(events[n_events - 1].data, nobody, sizeof(nobody));
	deliver();
	assert_int_equal(n_passengers, 0);
	event = push(FERRY_HEARD, 4);
	event->len = FERRY_KEY_LEN;
	memcpy(events[n_events - 1].data, key_of_2(), FERRY_KEY_LEN);
	deliver();
	assert_int_equal(passengers[2].by, 4);
}

/* A relay whose record has another's key could go to that one in our name: it is not gone to. */
static void test_twin(void **state)
{
	CLEANUP_NODE struct node node = { 0 };

	put_relay(5, "203.0.113.5", NULL);
	begin();
	bind_to(5);
	put_relay(6, "203.0.113.6", NULL);
	assert_int_equal(node_copy(netmap_by_id(book_netmap(core->book), 6), &node), 0);
	(void) crypto_scalarmult_base(node.relay.key, secret_of(5));
	fake_core_put_node(&node);
	follow();
	assert_false(carriers[6].open);
	assert_true(carriers[5].open);
	assert_string_equal(report(6)->state, "unused");
	assert_string_equal(report(6)->why,
		"its record has the key of relay node-5, and only one of them can be that");
	/* The other is none any more. */
	put_relay(5, NULL, NULL);
	follow();
	assert_true(carriers[6].open);
}

/* Nothing leads there: a person is told of both ways. */
static void test_problem_of_both(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	begin();
	announce_2("192.0.2.2:41741");
	for (int i = 0; i < 20; i++) {
		refuse("Connection refused");
		pass(SECOND);
	}
	fake_core_wrong(core, "relay",
		"no relay answers, and no direct way leads to node-2. Relay node-4: "
		"UDP to 203.0.113.4:3478 is not answered, for 20 s; "
		"TLS to 203.0.113.4:443: Connection refused");
	for (int i = 0; i < 120 && !fake_dial_asked(); i++)
		pass(SECOND);
	(void) let_in(4);
	relays_look(relays);
	fake_core_wrong(core, "relay", NULL);
}

/* The way home is the nearer one, by whichever it is. */
static void test_home_of_both(void **state)
{
	put_relay(4, "203.0.113.4", NULL);
	put_relay(5, "203.0.113.5", NULL);
	begin();
	(void) let_in(4);
	fake_event_pass(200 * MS);
	assert_int_equal(relays_home(relays), 4);
	fake_dial_hangs_up(&fake_dials[1].conn, 0);
	streams[4].heard_us = 0;
	push(FERRY_ENDED, 4);
	deliver();
	refuse("Connection refused");
	bind_to(5);
	fake_event_pass(RELAY_LINK_TRY_US);
	refuse("Connection refused");
	assert_int_equal(relays_home(relays), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bound),
		TEST(none),
		TEST(home_of_before),
		TEST(ferry_fails),
		TEST(bad_key),
		TEST(next_address),
		TEST(no_family),
		TEST(names),
		TEST(names_and_addresses),
		TEST(denied),
		TEST(own),
		TEST(moved),
		TEST(moved_begins_anew),
		TEST(record),
		TEST(many_relays),
		TEST(carried),
		TEST(no_more),
		TEST(comes_back),
		TEST(another_key),
		TEST(by_its_home),
		TEST(by_next),
		TEST(in_vain),
		TEST(by_our_home),
		TEST(one_lost_ping),
		TEST(heard),
		TEST(heard_by_a_third),
		TEST(heard_though_direct),
		TEST(absent),
		TEST(relay_dies),
		TEST(relay_comes_back),
		TEST(many_peers),
		TEST(problem),
		TEST(no_problem),
		TEST(refused),
		TEST(no_loop),
		TEST(both),
		TEST(udp_goes),
		TEST(only_tcp),
		TEST(by_key),
		TEST(twin),
		TEST(problem_of_both),
		TEST(home_of_both),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
