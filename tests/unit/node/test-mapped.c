/*
 * mapped: whom it asks, what it believes of what comes in by the side door, whom it tells, and when
 * it is silent. What it makes of the answers is test-nat's.
 */
#include "fake-core.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "node/mapped.h"
#include "node/stun-servers.h"
#include "sys/resolve/resolve.h"

#define SECOND USEC_PER_SEC
#define MS     USEC_PER_MSEC

enum { SENT_MAX = 4096 };

/* --- instead of the tunnel, the peers, the resolver and other subjects --- */

static struct tunnel *const tunnel = (struct tunnel *) &tunnel; /* not looked into */
static struct {
	struct endpoint to;
	uint8_t tx[STUN_TX_LEN];
} sent[SENT_MAX];
static size_t n_sent;
static int sending_fails;

int tunnel_send_aside(struct tunnel *to_send_by, const struct endpoint *to,
	const struct ip_addr *from, const uint8_t *data, size_t len)
{
	struct stun_request request;

	assert_ptr_equal(to_send_by, tunnel);
	assert_int_equal(from->family, 0);
	assert_int_equal(stun_request_parse(data, len, &request), 0);
	assert_true(n_sent < SENT_MAX);
	if (sending_fails < 0)
		return sending_fails;
	sent[n_sent].to = *to;
	memcpy(sent[n_sent++].tx, request.tx, STUN_TX_LEN);
	return 0;
}

static struct peer peer;

const struct peer *peers_list(const struct peers *peers, size_t *ret_n)
{
	*ret_n = peer.id != 0;
	return &peer;
}

struct resolve {
	char name[64];
	resolve_fn done;
	void *ctx;
	bool asked;
};
static struct resolve lookup;
static unsigned n_lookups;
static int lookup_fails;

int resolve_start(sd_event *event, const char *name, resolve_fn done, void *ctx,
	struct resolve **ret, struct err *err)
{
	n_lookups++;
	if (lookup_fails < 0)
		return err_set(err, lookup_fails, "no thread");
	assert_false(lookup.asked);
	lookup = (struct resolve){ .done = done, .ctx = ctx, .asked = true };
	(void) snprintf(lookup.name, sizeof(lookup.name), "%s", name);
	*ret = &lookup;
	return 0;
}

struct resolve *resolve_cancel(struct resolve *r)
{
	if (r)
		r->asked = false;
	return NULL;
}

static struct core *core;
static struct mapped *mapped;
static struct candidates own;
static struct mapped_server relays[4];
static size_t n_relays;
static unsigned n_changed, n_done;

static size_t find_relays(void *ctx, struct mapped_server *ret, size_t max)
{
	assert_ptr_equal(ctx, &own);
	assert_true(max >= n_relays);
	memcpy(ret, relays, n_relays * sizeof(*ret));
	return n_relays;
}

static const struct candidates *find_own(void *ctx)
{
	assert_ptr_equal(ctx, &own);
	return &own;
}

static void on_changed(void *ctx)
{
	assert_ptr_equal(ctx, &own);
	n_changed++;
}

static unsigned n_samples;
static struct endpoint sampled;

static void on_sampled(void *ctx, const struct endpoint *outside)
{
	assert_ptr_equal(ctx, &own);
	n_samples++;
	sampled = *outside;
}

static const struct mapped_hooks hooks = {
	.relays = find_relays, .own = find_own, .changed = on_changed, .sampled = on_sampled
};

static void on_done(void *ctx)
{
	assert_ptr_equal(ctx, &n_done);
	n_done++;
}

/* --- a board behind a router --- */

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static void put_relay(uint32_t id, const char *text)
{
	relays[n_relays++] = (struct mapped_server){ .at = at(text), .relay = id };
}

static void set_stun(const char *one, const char *other)
{
	struct settings settings = maker_settings();

	if (one)
		assert_int_equal(outside_parse(one, &settings.stun[settings.n_stun++]), 0);
	if (other)
		assert_int_equal(outside_parse(other, &settings.stun[settings.n_stun++]), 0);
	assert_true(maker_apply((struct netmap *) book_netmap(NULL), RECORD_TYPE_SETTINGS,
			    settings_to_json(&settings), NULL, NULL) >= 0);
	settings_done(&settings);
}

static int set_up(void **state)
{
	core = fake_core_new();
	n_sent = n_relays = n_changed = n_done = n_lookups = 0;
	sending_fails = lookup_fails = 0;
	lookup = (struct resolve){ 0 };
	peer = (struct peer){ 0 };
	own = (struct candidates){ .endpoints = { at("192.168.50.11:41741") }, .n_endpoints = 1 };
	assert_int_equal(mapped_new(core, NULL, &hooks, &own, &mapped, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	mapped = mapped_free(mapped);
	assert_false(lookup.asked);
	core = fake_core_free(core);
	return 0;
}

static void take(const uint8_t *data, size_t len, const struct endpoint *from)
{
	const struct tunnel_event event = {
		.kind = TUNNEL_ASIDE, .from = *from, .data = data, .len = len
	};

	mapped_take(mapped, &event);
}

/* The server that was asked @i-th says that it sees us at @seen. */
static void answer(size_t i, const char *seen)
{
	struct stun_request request = { 0 };
	uint8_t data[STUN_ANSWER_MAX_LEN];
	struct endpoint mapped_at = at(seen);

	assert_true(i < n_sent);
	memcpy(request.tx, sent[i].tx, STUN_TX_LEN);
	take(data, stun_answer_format(&request, &mapped_at, data), &sent[i].to);
}

static void assert_sent(size_t i, const char *to)
{
	char text[ENDPOINT_TEXT_MAX];

	assert_true(i < n_sent);
	assert_string_equal(endpoint_format(&sent[i].to, text), to);
}

static void assert_outside(const char *wanted)
{
	struct endpoint list[NAT_ANNOUNCED_MAX];
	char text[ENDPOINT_TEXT_MAX];
	size_t n = mapped_endpoints(mapped, list);

	assert_int_equal(n, wanted != NULL);
	if (wanted)
		assert_string_equal(endpoint_format(&list[0], text), wanted);
}

/* Two relays, who both answer. */
static void begin(void)
{
	put_relay(2, "198.51.100.1:3478");
	put_relay(3, "198.51.100.2:3478");
	mapped_use(mapped, tunnel);
	assert_int_equal(n_sent, 2);
	fake_event_pass(20 * MS);
	answer(0, "203.0.113.2:20007");
	answer(1, "203.0.113.2:20007");
	assert_int_equal(n_changed, 1);
	assert_outside("203.0.113.2:20007");
}

/* --- whom it asks --- */

static void test_relays(void **state)
{
	struct mapped_server servers[NAT_SERVERS_MAX];

	begin();
	assert_sent(0, "198.51.100.1:3478");
	assert_sent(1, "198.51.100.2:3478");
	assert_int_equal(mapped_sides(mapped)[NAT_IPV4].mapping, NAT_MAPPING_INDEPENDENT);
	assert_int_equal(mapped_servers(mapped, servers), 2);
	assert_int_equal(servers[1].relay, 3);
	assert_true(servers[1].asked);
	assert_int_equal(servers[1].rtt_us, 20 * MS);
	/* One more: all are asked, at the next look. */
	put_relay(4, "198.51.100.3:3478");
	mapped_look(mapped);
	assert_int_equal(n_sent, 5);
	mapped_look(mapped);
	mapped_follow(mapped);
	assert_int_equal(n_sent, 5);
}

static void test_nobody(void **state)
{
	mapped_use(mapped, tunnel);
	mapped_follow(mapped);
	mapped_look(mapped);
	mapped_moved(mapped);
	fake_event_pass(3600 * SECOND);
	assert_int_equal(n_sent, 0);
	assert_outside(NULL);
	mapped_use(mapped, NULL);
	put_relay(2, "198.51.100.1:3478");
	mapped_follow(mapped);
	mapped_moved(mapped);
	assert_int_equal(n_sent, 0); /* without a tunnel */
	assert_true(fake_event_next_us() == UINT64_MAX);
}

static void look_up(const char *one, const char *other)
{
	struct ip_addr list[2];
	struct err err = { 0 };
	size_t n = 0;

	assert_true(lookup.asked);
	lookup.asked = false;
	if (one)
		assert_int_equal(ip_addr_parse(one, &list[n++]), 0);
	if (other)
		assert_int_equal(ip_addr_parse(other, &list[n++]), 0);
	err_set(&err, -ENOENT, "no such name");
	lookup.done(lookup.ctx, list, n, &err);
}

/* Those of the settings: addresses, names, and none that lies in the mesh itself. */
static void test_named(void **state)
{
	struct mapped_server servers[NAT_SERVERS_MAX];

	own.endpoints[own.n_endpoints++] = at("[2001:db8:1::11]:41741");
	put_relay(2, "198.51.100.1:3478");
	mapped_use(mapped, tunnel);
	set_stun("198.51.100.1:3478", "stun.example.org:3479");
	mapped_follow(mapped);
	assert_string_equal(lookup.name, "stun.example.org");
	look_up("198.51.100.9", "2001:db8:9::9");
	assert_int_equal(mapped_servers(mapped, servers), 3); /* the first is the relay */
	assert_sent(n_sent - 2, "198.51.100.9:3479");
	assert_sent(n_sent - 1, "[2001:db8:9::9]:3479");
	assert_string_equal(servers[1].host, "stun.example.org");
	assert_int_equal(n_lookups, 1);
	mapped_follow(mapped);
	assert_int_equal(n_lookups, 1);
	/* What it had stays while DNS does not know it; that is asked again soon. */
	fake_event_pass(STUN_SERVERS_SELDOM_US);
	mapped_look(mapped);
	look_up(NULL, NULL);
	assert_int_equal(mapped_servers(mapped, servers), 3);
	fake_event_pass(STUN_SERVERS_SOON_US);
	mapped_look(mapped);
	look_up("10.77.0.9", "127.0.0.1"); /* the mesh's, and nobody's */
	assert_int_equal(fake_core_logged("is not asked at"), 2);
	assert_int_equal(mapped_servers(mapped, servers), 1);
	set_stun(NULL, NULL);
	mapped_follow(mapped);
	assert_int_equal(n_lookups, 3);
	set_stun("stun.example.org:3479", NULL);
	lookup_fails = -EAGAIN;
	mapped_follow(mapped);
	lookup_fails = 0;
	fake_event_pass(STUN_SERVERS_SOON_US);
	mapped_look(mapped);
	assert_true(lookup.asked);
	mapped_look(mapped);
	assert_int_equal(n_lookups, 5);
}

/* --- what it believes --- */

static void test_lies(void **state)
{
	static const char *const nonsense[] = { "127.0.0.1:41741", "224.0.0.1:41741",
		"255.255.255.255:41741", "240.0.0.1:1", "0.1.2.3:1", "10.77.0.9:41741",
		"10.244.1.2:41741", "10.96.0.1:443", "169.254.1.1:5", "[2001:db8::5]:41741" };
	uint8_t junk[STUN_REQUEST_LEN];
	struct endpoint stranger = at("198.51.100.66:3478");
	struct stun_request request = { 0 };
	uint8_t data[STUN_ANSWER_MAX_LEN];
	size_t len;

	put_relay(2, "198.51.100.1:3478");
	mapped_use(mapped, tunnel);
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++)
		answer(0, nonsense[i]);
	assert_int_equal(mapped_counters(mapped)->nonsense, ARRAY_LEN(nonsense));
	/* The right answer from elsewhere, and the wrong one from there. */
	memcpy(request.tx, sent[0].tx, STUN_TX_LEN);
	len = stun_answer_format(
		&request, &(struct endpoint){ { AF_INET, { 203, 0, 113, 9 } }, 7, 0 }, data);
	take(data, len, &stranger);
	data[9] ^= 1; /* the transaction */
	take(data, len, &sent[0].to);
	assert_int_equal(mapped_counters(mapped)->strange, 2);
	/* Questions, errors, and half of something. */
	stun_request_format(sent[0].tx, junk);
	take(junk, sizeof(junk), &sent[0].to);
	take(data, len - 4, &sent[0].to);
	assert_int_equal(mapped_counters(mapped)->bad, 2);
	request.n_unknown = 1;
	take(data, stun_answer_format(&request, &stranger, data), &sent[0].to);
	assert_int_equal(mapped_counters(mapped)->refused, 1);
	fake_event_pass(5 * SECOND);
	assert_int_equal(n_changed, 1);
	assert_outside(NULL);
	assert_int_equal(mapped_counters(mapped)->answers, 0);
	assert_int_equal(mapped_counters(mapped)->sent, NAT_TRIES);
}

/* --- when --- */

static void test_idle(void **state)
{
	begin();
	fake_event_pass(599 * SECOND);
	assert_int_equal(n_sent, 2);
	mapped_look(mapped);
	fake_event_pass(2 * SECOND);
	assert_true(n_sent >= 4);
}

/* Somebody is looked for, for two minutes; or much goes to and fro outside. */
static void test_active(void **state)
{
	size_t before;

	begin();
	peer.id = 2;
	peer.has_presence = true;
	peer.ways.doubtful = true;
	peer.ways.since_us = clock_now_us();
	mapped_look(mapped);
	fake_event_pass(19 * SECOND);
	assert_int_equal(n_sent, 2);
	for (unsigned i = 0; i < 80 && n_sent == 2; i++)
		fake_event_pass(100 * MS);
	assert_int_equal(n_sent, 4);
	answer(2, "203.0.113.2:20007");
	answer(3, "203.0.113.2:20007");
	fake_event_pass(120 * SECOND);
	before = n_sent;
	mapped_look(mapped); /* it is off, perhaps */
	fake_event_pass(60 * SECOND);
	assert_true(n_sent - before <= 2 * NAT_TRIES);
	before = n_sent;
	peer.ways.doubtful = false;
	peer.stats.endpoint = at("192.168.50.12:41741");
	peer.stats.rx_bytes = 1000000;
	mapped_look(mapped);
	fake_event_pass(30 * SECOND);
	assert_int_equal(n_sent, before); /* that is on the LAN */
	peer.stats.endpoint = at("198.51.100.77:41741");
	mapped_look(mapped);
	fake_event_pass(2 * SECOND);
	assert_true(n_sent > before);
}

/* Our addresses are others: at once, and what was known stays until it is known better. */
/* --- how far the router's count is --- */

/* A server of this machine. */
static int open_server(char ret_text[static ENDPOINT_TEXT_MAX])
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	struct endpoint e;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, &e), 0);
	(void) endpoint_format(&e, ret_text);
	return fd;
}

/* Asks; returns the socket of it, and the request that the server has got. */
static int ask_sample(int server, struct stun_request *ret, struct sockaddr_in *ret_from)
{
	int fd = dup(server); /* what will be opened next has this number */
	socklen_t size = sizeof(*ret_from);
	uint8_t data[64];
	ssize_t len;

	(void) close(fd);
	mapped_sample(mapped);
	len = recvfrom(server, data, sizeof(data), 0, (struct sockaddr *) ret_from, &size);
	assert_true(len > 0);
	assert_int_equal(stun_request_parse(data, (size_t) len, ret), 0);
	return fd;
}

static void answer_sample(int server, const struct stun_request *request,
	const struct sockaddr_in *to, const char *seen)
{
	struct endpoint at_seen = at(seen);
	uint8_t data[STUN_ANSWER_MAX_LEN];
	size_t len = stun_answer_format(request, &at_seen, data);

	assert_int_equal(sendto(server, data, len, 0, (struct sockaddr *) to, sizeof(*to)), len);
}

static void test_sample(void **state)
{
	struct endpoint wanted = at("203.0.113.2:40001");
	struct stun_request request;
	struct sockaddr_in from;
	char text[ENDPOINT_TEXT_MAX];
	int server = open_server(text), fd;
	uint8_t more[8];

	n_samples = 0;
	mapped_sample(mapped); /* nobody to ask */
	put_relay(2, text);
	mapped_use(mapped, tunnel);
	mapped_sample(mapped); /* nobody has answered yet */
	answer(0, "203.0.113.2:40000");
	fd = ask_sample(server, &request, &from);
	mapped_sample(mapped);
	assert_true(recv(server, more, sizeof(more), 0) < 0); /* one at a time */
	answer_sample(server, &request, &from, "203.0.113.2:40001");
	fake_event_ready(fd);
	assert_int_equal(n_samples, 1);
	assert_true(endpoint_equal(&sampled, &wanted));
	/* A lie, and an answer to nothing; then it is over, and may be asked anew. */
	fd = ask_sample(server, &request, &from);
	answer_sample(server, &request, &from, "127.0.0.1:9");
	fake_event_ready(fd);
	fd = ask_sample(server, &request, &from);
	request.tx[0] ^= 1;
	answer_sample(server, &request, &from, "203.0.113.2:40002");
	fake_event_ready(fd);
	assert_int_equal(n_samples, 1);
	/* One that is lost. */
	(void) ask_sample(server, &request, &from);
	fake_event_pass(400 * MS);
	(void) ask_sample(server, &request, &from);
	(void) close(server);
}

static void test_moved(void **state)
{
	begin();
	own.endpoints[0] = at("192.168.7.2:41741");
	mapped_moved(mapped);
	assert_int_equal(n_sent, 4);
	assert_outside("203.0.113.2:20007");
	answer(2, "203.0.113.77:20007");
	answer(3, "203.0.113.77:20007");
	assert_int_equal(n_changed, 2);
	assert_outside("203.0.113.77:20007");
	mapped_moved(mapped);
	fake_event_pass(4 * SECOND);
	assert_int_equal(n_changed, 3);
	assert_outside(NULL); /* no UDP there */
}

/* A link that flaps, or a peer whose way does on purpose: servers are not flooded. */
static void test_moves_without_end(void **state)
{
	begin();
	relays[n_relays++] = (struct mapped_server){ .at = at("198.51.100.3:3478"), .relay = 4 };
	mapped_look(mapped);
	fake_event_pass(5 * SECOND);
	n_sent = 0;
	for (unsigned i = 0; i < 10 * 60; i++) { /* a minute */
		mapped_moved(mapped);
		if (i == 300)
			assert_int_equal(mapped_check(mapped, on_done, &n_done), 0);
		fake_event_pass(100 * MS);
	}
	assert_true(n_sent <= 3 * NAT_TRIES * 12);
	assert_int_equal(n_done, 1); /* though nobody answers */
	fake_event_pass(45 * SECOND);
	n_sent = 0;
	fake_event_pass(300 * SECOND);
	assert_int_equal(n_sent, 0); /* the last one was heeded, too */
	mapped_moved(mapped);
	assert_int_equal(n_sent, 3); /* and it is forgiven */
}

static void test_tunnel_goes(void **state)
{
	begin();
	mapped_use(mapped, NULL);
	assert_outside(NULL);
	answer(0, "203.0.113.9:7");
	assert_int_equal(mapped_counters(mapped)->strange, 1);
	fake_event_pass(3600 * SECOND);
	assert_int_equal(n_sent, 2);
	mapped_use(mapped, tunnel);
	assert_int_equal(n_sent, 4);
}

static void test_cannot_send(void **state)
{
	put_relay(2, "198.51.100.1:3478");
	sending_fails = -ENETUNREACH;
	mapped_use(mapped, tunnel);
	fake_event_pass(4 * SECOND);
	assert_int_equal(mapped_counters(mapped)->sent, 0);
	assert_int_equal(mapped_sides(mapped)[NAT_IPV4].udp, NAT_UDP_NONE);
}

/* --- for a person --- */

static void check(void)
{
	assert_int_equal(mapped_check(mapped, on_done, &n_done), 0);
}

static void test_check(void **state)
{
	begin();
	fake_event_pass(5 * SECOND);
	check();
	assert_int_equal(n_sent, 4);
	check(); /* both wait for the same */
	assert_int_equal(n_sent, 4);
	answer(2, "203.0.113.2:20007");
	assert_int_equal(n_done, 0);
	answer(3, "203.0.113.2:20007");
	assert_int_equal(n_done, 2);
	check(); /* that was a moment ago */
	assert_int_equal(n_done, 3);
	assert_int_equal(n_sent, 4);
	fake_event_pass(SECOND);
	check();
	assert_int_equal(n_sent, 6);
	fake_event_pass(NAT_ROUND_US + 20 * MS);
	assert_int_equal(n_done, 4); /* nobody answered */
	fake_event_pass(SECOND);
	for (unsigned i = 0; i < MAPPED_CHECKS_MAX; i++)
		check();
	assert_int_equal(mapped_check(mapped, on_done, &n_done), -EBUSY);
	mapped_use(mapped, NULL);
	assert_int_equal(n_done, 4 + MAPPED_CHECKS_MAX);
	check();
	assert_int_equal(n_done, 5 + MAPPED_CHECKS_MAX);
}

static void test_no_timers(void **state)
{
	struct mapped *other = NULL;
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	assert_int_equal(mapped_new(core, NULL, &hooks, &own, &other, &err), -EMFILE);
	fake_event_fails = 0;
	assert_null(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(relays),
		TEST(nobody),
		TEST(named),
		TEST(lies),
		TEST(idle),
		TEST(active),
		TEST(sample),
		TEST(moved),
		TEST(moves_without_end),
		TEST(tunnel_goes),
		TEST(cannot_send),
		TEST(check),
		TEST(no_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
