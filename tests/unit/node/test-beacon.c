/*
 * beacon: on which links it speaks, and what; what it believes of what it hears, how little that
 * costs, and whom it answers. When it speaks by itself is test-herald's.
 */
#include "fake-core.h"

#include <sodium.h>
#include <stdio.h>

#include "node/beacon.h"
#include "sys/sock/multicast.h"
#include "wire/beacon.h"
#include "wire/record.h"

#define MS     USEC_PER_MSEC
#define SECOND USEC_PER_SEC

enum { FD4 = 74, FD6 = 76, SENT_MAX = 256, QUEUE_MAX = 64 };

static struct core *core;
static struct beacon *beacon;
static struct beacon_mesh mesh;
static struct peer peers[2]; /* nodes 2 and 3 */
static uint8_t seeds[4][32]; /* of the nodes' identities */

/* --- instead of sockets --- */

static struct {
	/* what was sent: who, on which link */
	struct {
		int family, link;
		enum beacon_type type;
		uint64_t counter;
	} sent[SENT_MAX];
	size_t n_sent;
	int send_fails;
	/* what is there to be read, by whichever is asked first; endless: the last one again and again */
	struct {
		uint8_t data[BEACON_MAX_LEN];
		size_t len;
		struct ip_addr from;
	} queue[QUEUE_MAX];
	size_t n_queued, n_read;
	bool endless;
	unsigned reads;
	int opens4, opens6; /* with this errno, 0: open */
	unsigned open;
	int links4[MULTICAST_LINKS_MAX], links6[MULTICAST_LINKS_MAX];
	size_t n_links4, n_links6;
} net;

int multicast_open(const struct endpoint *group, struct multicast *ret, struct err *err)
{
	bool six = group->addr.family == AF_INET6;
	int r = six ? net.opens6 : net.opens4;
	char text[ENDPOINT_TEXT_MAX];

	assert_string_equal(endpoint_format(group, text),
		six ? "[ff12::8000:a30f]:41743" : "239.255.163.15:41743");
	if (r < 0)
		return err_set(err, r, "open UDP port %u: no", group->port);
	*ret = (struct multicast){ .fd = six ? FD6 : FD4, .group = *group };
	net.open++;
	return 0;
}

void multicast_close(struct multicast *m)
{
	assert_true(m->fd == FD4 || m->fd == FD6);
	net.open--;
	m->fd = -1;
}

size_t multicast_join(struct multicast *m, const int *links, size_t n)
{
	size_t before = m->n_links;

	memcpy(m->links, links, n * sizeof(*links));
	m->n_links = n;
	memcpy(m->fd == FD6 ? net.links6 : net.links4, links, n * sizeof(*links));
	*(m->fd == FD6 ? &net.n_links6 : &net.n_links4) = n;
	return n > before ? n - before : 0;
}

int multicast_send(const struct multicast *m, int link, const void *data, size_t len)
{
	uint8_t body[BEACON_BODY_MAX];
	struct beacon_message message;
	struct presence sent = { 0 };

	if (net.send_fails < 0)
		return net.send_fails;
	assert_true(net.n_sent < SENT_MAX);
	assert_int_equal(beacon_open(&mesh, data, len, body, &message), 0);
	assert_int_equal(message.payload_len, book_presence(NULL, 1)->payload_len);
	assert_memory_equal(message.payload, book_presence(NULL, 1)->payload, message.payload_len);
	sent.payload = message.payload;
	sent.payload_len = message.payload_len;
	memcpy(sent.sig, message.sig, sizeof(sent.sig));
	assert_int_equal(presence_verify(&sent, core->identity), 0);
	net.sent[net.n_sent].family = m->group.addr.family;
	net.sent[net.n_sent].link = link;
	net.sent[net.n_sent++].type = message.type;
	return 0;
}

ssize_t multicast_recv(
	const struct multicast *m, void *data, size_t capacity, struct ip_addr *ret_from)
{
	size_t i = net.n_read;

	net.reads++;
	assert_true(capacity >= BEACON_MAX_LEN);
	if (i == net.n_queued && !net.endless)
		return -EAGAIN;
	if (i == net.n_queued)
		i--;
	else
		net.n_read++;
	memcpy(data, net.queue[i].data, net.queue[i].len);
	*ret_from = net.queue[i].from;
	return (ssize_t) net.queue[i].len;
}

/* --- instead of board/book and the peers --- */

static unsigned added, verified;

int book_add_presence(struct book *book, const json_t *doc, uint64_t now_us, struct book_heard *ret,
	struct err *err)
{
	CLEANUP(presence_done) struct presence presence = { 0 };
	const struct presence *known;
	const struct node *node;

	added++;
	assert_int_equal(now_us, clock_now_us());
	assert_int_equal(presence_from_json(doc, &presence, err), 0);
	known = book_presence(book, presence.node);
	node = netmap_by_id(book_netmap(book), presence.node);
	if (known && presence.counter <= known->counter)
		return 0;
	if (!node)
		return err_set(err, -ENOENT, "no such node");
	verified++;
	if (presence_verify(&presence, node->identity) < 0)
		return err_set(err, -EBADMSG, "not signed");
	*ret = (struct book_heard){ .id = presence.node };
	presence_done(fake_core_announce(presence.node));
	*fake_core_announce(presence.node) = presence;
	presence = (struct presence){ 0 };
	return 1;
}

const struct peer *peers_list(const struct peers *p, size_t *ret_n)
{
	*ret_n = ARRAY_LEN(peers);
	return peers;
}

const struct peer *peers_get(const struct peers *p, uint32_t id)
{
	return id == 2 || id == 3 ? &peers[id - 2] : NULL;
}

/* --- its hook --- */

static struct {
	unsigned times;
	uint32_t id;
} heard;

static void on_heard(void *ctx, const struct book_heard *what)
{
	assert_ptr_equal(ctx, &heard);
	heard.times++;
	heard.id = what->id;
}

static const struct beacon_hooks hooks = { .heard = on_heard };

/* --- a board --- */

static struct link_verdict verdicts[] = {
	{ .index = 1, .name = "lo", .class = LINK_CLASS_LOOPBACK },
	{ .index = 2, .name = "eth0", .class = LINK_CLASS_UPLINK },
	{ .index = 3, .name = "wlan0", .class = LINK_CLASS_UPLINK },
	{ .index = 4, .name = "hth0123456789", .class = LINK_CLASS_POD },
	{ .index = 5, .name = "hearth0", .class = LINK_CLASS_MESH },
	{ .index = 6, .name = "eth1", .class = LINK_CLASS_UNKNOWN },
};
static struct links links;

static void add_addr(const char *text, size_t link)
{
	assert_int_equal(ip_addr_parse(text, &links.addrs[links.n_addrs].addr), 0);
	links.addrs[links.n_addrs++].link = link;
}

/* Node @id says that it is at 192.0.2.@id. */
static void sign_presence(uint32_t id, uint64_t counter, struct presence *ret)
{
	*ret = (struct presence){ .node = id, .counter = counter, .n_endpoints = 1 };
	assert_int_equal(endpoint_parse("192.0.2.9:41741", &ret->endpoints[0]), 0);
	ret->endpoints[0].addr.bytes[3] = (uint8_t) id;
	assert_int_equal(presence_sign(ret, seeds[id]), 0);
}

static void put(uint32_t id)
{
	CLEANUP_NODE struct node node = { 0 };

	assert_int_equal(node_copy(netmap_by_id(book_netmap(NULL), id), &node), 0);
	assert_int_equal(node_revoke_identity(&node), 0);
	memset(seeds[id], (int) (40 + id), sizeof(seeds[id]));
	record_public_key(seeds[id], node.identity);
	fake_core_put_node(&node);
}

static int set_up(void **state)
{
	memset(&net, 0, sizeof(net));
	memset(&heard, 0, sizeof(heard));
	added = verified = 0;
	core = fake_core_new();
	for (uint32_t id = 1; id < 4; id++)
		put(id);
	memset(core->config.root, 7, sizeof(core->config.root));
	record_public_key(seeds[1], core->identity);
	beacon_mesh_init(&mesh, core->config.root);
	for (uint32_t i = 0; i < ARRAY_LEN(peers); i++)
		peers[i] = (struct peer){ .id = i + 2, .reachable = true };
	links = (struct links){ .list = verdicts, .n = ARRAY_LEN(verdicts) };
	add_addr("192.0.2.1", 1);
	sign_presence(1, 5, fake_core_announce(1));
	assert_int_equal(beacon_new(core, NULL, &hooks, &heard, &beacon, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	beacon = beacon_free(beacon);
	assert_int_equal(net.open, 0);
	for (uint32_t id = 1; id < 4; id++)
		presence_done(fake_core_announce(id));
	core = fake_core_free(core);
	return 0;
}

/* It has said three times where it is. */
static void begin(void)
{
	beacon_follow(beacon, &links);
	beacon_tell(beacon);
	fake_event_pass(5 * SECOND);
	net.n_sent = 0;
}

static const struct beacon_counters *count(void)
{
	return beacon_counters(beacon);
}

/* --- what comes --- */

static void push(const uint8_t *data, size_t len, const char *from)
{
	assert_true(net.n_queued < QUEUE_MAX);
	memcpy(net.queue[net.n_queued].data, data, len);
	net.queue[net.n_queued].len = len;
	assert_int_equal(ip_addr_parse(from, &net.queue[net.n_queued++].from), 0);
}

static void push_sealed(const struct beacon_mesh *by, enum beacon_type type, uint8_t *payload,
	size_t payload_len, const uint8_t *sig, const char *from)
{
	static const uint8_t nonce[BEACON_NONCE_LEN] = { 3 };
	struct beacon_message message = {
		.type = type, .payload = payload, .payload_len = payload_len
	};
	uint8_t data[BEACON_MAX_LEN];

	memcpy(message.sig, sig, sizeof(message.sig));
	push(data, beacon_seal(by, nonce, &message, data), from);
}

static void push_presence(enum beacon_type type, uint32_t id, uint64_t counter)
{
	CLEANUP(presence_done) struct presence presence = { 0 };
	char from[IP_TEXT_MAX];

	sign_presence(id, counter, &presence);
	(void) snprintf(from, sizeof(from), "192.0.2.%u", id);
	push_sealed(&mesh, type, presence.payload, presence.payload_len, presence.sig, from);
}

static void listen_to(enum beacon_type type, uint32_t id, uint64_t counter)
{
	push_presence(type, id, counter);
	fake_event_ready(FD4);
}

/* --- speaking --- */

static void test_speaks(void **state)
{
	beacon_follow(beacon, &links);
	peers[0].reachable = false;
	beacon_look(beacon);
	fake_event_pass(60 * SECOND);
	assert_int_equal(net.n_sent, 0); /* our presence may be an old one still */
	peers[0].reachable = true;
	beacon_look(beacon);
	beacon_tell(beacon);
	assert_int_equal(net.n_sent, 2);
	assert_int_equal(net.sent[0].family, AF_INET);
	assert_int_equal(net.sent[1].family, AF_INET6);
	assert_int_equal(net.sent[0].link, 2);
	assert_int_equal(net.sent[0].type, BEACON_ASK);
	fake_event_pass(2 * SECOND);
	assert_int_equal(net.n_sent, 6);
	fake_event_pass(3600 * SECOND);
	assert_int_equal(net.n_sent, 6);
	assert_int_equal(count()->sent, 6);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

/* Uplinks, and what may be one; IPv4 where there is an address of it. */
static void test_links(void **state)
{
	begin();
	add_addr("2001:db8::1", 1);
	add_addr("192.0.2.1", 0);
	add_addr("2001:db8:1::1", 2);
	add_addr("198.51.100.1", 5);
	beacon_follow(beacon, &links);
	assert_int_equal(net.n_links4, 2);
	assert_int_equal(net.links4[0], 2);
	assert_int_equal(net.links4[1], 6);
	assert_int_equal(net.n_links6, 3);
	assert_int_equal(net.links6[1], 3);
	assert_int_equal(net.n_sent, 5); /* the new ones are told at once */
	fake_event_pass(5 * SECOND);
	net.n_sent = 0;
	beacon_follow(beacon, &links);
	fake_event_pass(5 * SECOND);
	assert_int_equal(net.n_sent, 0);
}

static void test_misses(void **state)
{
	begin();
	peers[1].reachable = false;
	beacon_look(beacon);
	fake_event_pass(500 * MS);
	assert_int_equal(net.n_sent, 2);
	assert_int_equal(net.sent[0].type, BEACON_ASK);
	fake_event_pass(10 * SECOND);
	assert_int_equal(net.n_sent, 8);
	peers[1].reachable = true;
	beacon_look(beacon);
	fake_event_pass(3600 * SECOND);
	assert_int_equal(net.n_sent, 8);
}

/* A link whose address is not ready yet: it is told there a moment later. */
static void test_cannot_send(void **state)
{
	net.send_fails = -EADDRNOTAVAIL;
	beacon_follow(beacon, &links);
	beacon_tell(beacon);
	assert_int_equal(count()->sent, 0);
	net.send_fails = 0;
	fake_event_pass(5 * SECOND);
	assert_int_equal(count()->sent, 4);
}

/* Not in the mesh any more, or not allowed. */
static void test_silent(void **state)
{
	begin();
	peers[0].reachable = false;
	beacon_look(beacon);
	net.n_sent = 0;
	beacon_follow(beacon, NULL);
	assert_int_equal(net.open, 0);
	beacon_look(beacon);
	beacon_tell(beacon);
	fake_event_pass(60 * SECOND);
	assert_int_equal(net.n_sent, 0);
	beacon_follow(beacon, &links);
	assert_int_equal(net.n_sent, 2);
}

/* --- listening --- */

static void test_hears(void **state)
{
	begin();
	listen_to(BEACON_ANNOUNCE, 2, 7);
	assert_int_equal(heard.times, 1);
	assert_int_equal(heard.id, 2);
	assert_int_equal(book_presence(NULL, 2)->counter, 7);
	assert_int_equal(count()->news, 1);
	/* The same from the other socket, and one of before that somebody has kept. */
	push_presence(BEACON_ANNOUNCE, 2, 7);
	push_presence(BEACON_ASK, 2, 6);
	fake_event_ready(FD6);
	assert_int_equal(heard.times, 1);
	assert_int_equal(count()->heard, 3);
	assert_int_equal(count()->news, 1);
	assert_int_equal(verified, 1);
	fake_event_pass(60 * SECOND);
	assert_int_equal(net.n_sent, 0);
}

static void test_answers(void **state)
{
	begin();
	peers[0].reachable = false;
	listen_to(BEACON_ASK, 2, 7);
	assert_int_equal(net.n_sent, 0);
	fake_event_pass(200 * MS);
	assert_int_equal(net.n_sent, 2);
	assert_int_equal(net.sent[0].type, BEACON_ANNOUNCE);
	/* The same again: once a second at most, as long as it is not reached. */
	for (int i = 0; i < 3; i++)
		listen_to(BEACON_ASK, 2, 7);
	fake_event_pass(500 * MS);
	assert_int_equal(net.n_sent, 2);
	fake_event_pass(SECOND);
	assert_int_equal(net.n_sent, 4);
	peers[0].reachable = true;
	listen_to(BEACON_ASK, 2, 7);
	fake_event_pass(10 * SECOND);
	assert_int_equal(net.n_sent, 4);
	/* It has just started anew: what we know of it may be of before. */
	listen_to(BEACON_ASK, 2, 8);
	fake_event_pass(200 * MS);
	assert_int_equal(net.n_sent, 6);
}

/* Nothing of a stranger's is looked at twice, and nobody is answered. */
static void test_strangers(void **state)
{
	struct beacon_mesh other;
	CLEANUP(presence_done) struct presence presence = { 0 };
	uint8_t root[BEACON_KEY_LEN] = { 8 }, sig[BEACON_SIG_LEN] = { 0 };

	begin();
	sign_presence(2, 7, &presence);
	beacon_mesh_init(&other, root);
	push_sealed(&other, BEACON_ASK, presence.payload, presence.payload_len, presence.sig,
		"192.0.2.2");
	push((const uint8_t *) "HB", 2, "192.0.2.2");
	fake_event_ready(FD4);
	assert_int_equal(count()->strange, 2);
	/* With the right hint. */
	memcpy(other.hint, mesh.hint, sizeof(other.hint));
	push_sealed(&other, BEACON_ASK, presence.payload, presence.payload_len, presence.sig,
		"192.0.2.2");
	fake_event_ready(FD4);
	assert_int_equal(count()->bad, 1);
	assert_int_equal(added, 0);
	/* By somebody who knows the key: not signed; nonsense; of a later version. */
	push_sealed(&mesh, BEACON_ASK, presence.payload, presence.payload_len, sig, "192.0.2.2");
	push_sealed(&mesh, BEACON_ASK, sig, sizeof(sig), sig, "192.0.2.2");
	fake_event_ready(FD4);
	assert_int_equal(count()->bad, 3);
	assert_int_equal(added, 1);
	push_sealed(&mesh, (enum beacon_type) 9, presence.payload, presence.payload_len,
		presence.sig, "192.0.2.2");
	fake_event_ready(FD4);
	assert_int_equal(count()->strange, 3);
	fake_event_pass(10 * SECOND);
	assert_int_equal(net.n_sent, 0);
	assert_int_equal(heard.times, 0);
	assert_int_equal(fake_core_logged("not signed, ignoring"), 1);
}

/* A board that was removed; and ourselves, sent again. */
static void test_nobody(void **state)
{
	const struct tombstone tombstone = { .id = 3, .reason = "sold" };

	begin();
	assert_true(maker_apply((struct netmap *) book_netmap(NULL), RECORD_TYPE_TOMBSTONE,
			    tombstone_to_json(&tombstone), NULL, NULL) >= 0);
	listen_to(BEACON_ASK, 3, 7);
	assert_int_equal(count()->strange, 1);
	listen_to(BEACON_ASK, 1, 99);
	assert_int_equal(added, 1);
	assert_int_equal(book_presence(NULL, 1)->counter, 5);
	fake_event_pass(10 * SECOND);
	assert_int_equal(net.n_sent, 0);
}

/* Signed by a member, and with an address that nobody may be sent to. */
static void test_bad_addresses(void **state)
{
	static const char *const each[] = { "127.0.0.1:41741", "224.0.0.1:41741",
		"255.255.255.255:41741", "0.0.0.0:41741", "169.254.1.1:41741", "[::1]:41741",
		"[ff02::1]:41741", "[fe80::1]:41741", "[::ffff:192.0.2.1]:41741", "192.0.2.1:0",
		"240.0.0.1:41741" };

	begin();
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		char text[256], from[IP_TEXT_MAX], bytes[300];
		uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
		uint8_t sig[BEACON_SIG_LEN];
		int len = snprintf(text, sizeof(text),
			"{\"counter\":%zu,\"disco\":null,\"endpoints\":[\"%s\"],\"node\":2,"
			"\"relay\":null}",
			i + 7, each[i]);
		int n = snprintf(bytes, sizeof(bytes), "hearth-presence1%s", text);

		(void) crypto_sign_seed_keypair(public, secret, seeds[2]);
		(void) crypto_sign_detached(sig, NULL, (const uint8_t *) bytes, (size_t) n, secret);
		(void) snprintf(from, sizeof(from), "192.0.2.%zu", i + 20);
		push_sealed(&mesh, BEACON_ASK, (uint8_t *) text, (size_t) len, sig, from);
		fake_event_ready(FD4);
		assert_int_equal(count()->bad, i + 1);
	}
	assert_int_equal(added, 0);
	assert_int_equal(heard.times, 0);
}

/* --- too much of it --- */

/* One source cannot have us look at all it likes; others are heard all the same. */
static void test_one_source(void **state)
{
	begin();
	for (int i = 0; i < 20; i++)
		push_presence(BEACON_ANNOUNCE, 2, (uint64_t) i + 1);
	fake_event_ready(FD4);
	assert_int_equal(verified, 8);
	assert_int_equal(count()->unread, 12);
	listen_to(BEACON_ANNOUNCE, 3, 1);
	assert_int_equal(heard.id, 3);
	fake_event_pass(500 * MS);
	listen_to(BEACON_ANNOUNCE, 2, 100);
	assert_int_equal(book_presence(NULL, 2)->counter, 100);
}

/* However much comes, no more is read than a few hundred a second, and then it is well again. */
static void test_flood(void **state)
{
	begin();
	push((const uint8_t *) "x", 1, "192.0.2.2");
	net.endless = true;
	for (int ms = 0; ms < 10000; ms++) {
		for (int i = 0; i < 5; i++)
			fake_event_ready(ms % 2 ? FD4 : FD6);
		fake_event_pass(MS);
	}
	assert_in_range(net.reads, 256, 256 + 10 * 250 + 1);
	/* It is not even woken for a while. */
	net.reads = 0;
	fake_event_pass(SECOND);
	for (int i = 0; i < 20; i++)
		fake_event_ready(FD4);
	assert_in_range(net.reads, 250, 260);
	fake_event_pass(100 * MS);
	fake_event_ready(FD4);
	fake_event_ready(FD6);
	assert_in_range(net.reads, 250, 260);
	net.endless = false;
	fake_event_pass(SECOND);
	listen_to(BEACON_ANNOUNCE, 2, 1);
	assert_int_equal(heard.times, 1);
}

/* Sealed ones, from everywhere: few are looked at, for each may cost a signature. */
static void test_sealed_flood(void **state)
{
	begin();
	for (int ms = 0; ms < 10000; ms++) {
		CLEANUP(presence_done) struct presence presence = { 0 };
		uint8_t sig[BEACON_SIG_LEN] = { 0 };
		char from[IP_TEXT_MAX];

		sign_presence(2, 1000, &presence);
		(void) snprintf(from, sizeof(from), "10.0.%d.%d", ms / 256, ms % 256);
		net.n_queued = net.n_read = 0;
		push_sealed(&mesh, BEACON_ASK, presence.payload, presence.payload_len, sig, from);
		fake_event_ready(FD4);
		fake_event_pass(MS);
	}
	assert_in_range(verified, 128, 128 + 10 * 50 + 1);
}

/* --- what goes wrong --- */

static void test_port_taken(void **state)
{
	net.opens4 = -EADDRINUSE;
	beacon_follow(beacon, &links);
	fake_core_wrong(core, "beacon", "open UDP port 41743: no");
	net.opens4 = 0;
	beacon_follow(beacon, &links);
	fake_core_wrong(core, "beacon", NULL);
	assert_int_equal(net.open, 2);
}

static void test_one_family(void **state)
{
	net.opens6 = -EAFNOSUPPORT;
	beacon_follow(beacon, &links);
	fake_core_wrong(core, "beacon", NULL);
	beacon_tell(beacon);
	assert_int_equal(net.n_sent, 1);
	beacon_follow(beacon, NULL);
	net.opens4 = -EAFNOSUPPORT;
	net.opens6 = 0;
	beacon_follow(beacon, &links);
	assert_int_equal(net.n_sent, 2);
	assert_int_equal(net.sent[1].family, AF_INET6);
}

static void test_loop_fails(void **state)
{
	struct beacon *none = NULL;
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	beacon_follow(beacon, &links);
	fake_core_wrong(core, "beacon", "listen to UDP port 41743");
	assert_int_equal(net.open, 0);
	assert_int_equal(beacon_new(core, NULL, &hooks, &heard, &none, &err), -EMFILE);
	assert_null(none);
	fake_event_fails = 0;
	assert_null(beacon_free(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(speaks),
		TEST(links),
		TEST(misses),
		TEST(cannot_send),
		TEST(silent),
		TEST(hears),
		TEST(answers),
		TEST(strangers),
		TEST(nobody),
		TEST(bad_addresses),
		TEST(one_source),
		TEST(flood),
		TEST(sealed_flood),
		TEST(port_taken),
		TEST(one_family),
		TEST(loop_fails),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
