/*
 * Members at the relay's UDP port and members at its DERP service, over the loopback: each reaches
 * the other, by the way that the other is at, and hears that he is away only if he is at neither.
 * The clock can be put forward.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "derp-peer.h"
#include "relay-maker.h"
#include "relay/bridge.h"

enum { TRAIN_MAX = 65000, PAYLOAD = 1400, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };

static uint64_t ahead_us;

uint64_t __real_clock_now_us(void);
uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_us(void)
{
	return __real_clock_now_us() + ahead_us;
}

/* --- the relay --- */

static struct maker maker;
static struct login_keys keys[MAKER_MEMBERS];
static struct relay_core core;
static struct udp *udp;
static struct derp *derp;
static struct bridge bridge;
static struct endpoint at;     /* of DERP */
static int fds[MAKER_MEMBERS]; /* UDP sockets that are connected to the relay, or -1 */
static uint32_t sessions[MAKER_MEMBERS];

static void make_members(void)
{
	maker_init(&maker);
	for (unsigned i = 0; i < MAKER_MEMBERS; i++) {
		keys[i] = login_keys(i + 1);
		memcpy(maker.list[i].wg, keys[i].key, sizeof(keys[i].key));
		fds[i] = -1;
	}
	core.members = members_new();
	assert_int_equal(members_set(core.members, maker.list, MAKER_MEMBERS), 0);
}

static int start(void **state)
{
	static const uint8_t seed[TLS_SEED_LEN] = { 42 };
	const struct derp_config config = {
		.tls_seed = seed, .name = "relay", .clients_max = 64, .pool_max = 16 << 20
	};
	const struct udp_options options = { .port = 0 };
	struct err err = { 0 };

	assert_true(sd_event_new(&core.event) >= 0);
	peers_use(core.event);
	peers_listen(&derp, &at);
	make_members();
	memcpy(core.secret, maker.secret, sizeof(core.secret));
	memcpy(core.key, maker.key, sizeof(core.key));
	if (udp_new(&core, &options, &udp, &err) < 0 || derp_new(&core, &config, &derp, &err) < 0)
		fail_msg("%s", err.text);
	bridge_join(&bridge, udp, derp);
	return 0;
}

static int stop(void **state)
{
	for (size_t i = 0; i < MAKER_MEMBERS; i++)
		if (fds[i] >= 0)
			(void) close(fds[i]);
	derp = derp_free(derp);
	udp = udp_free(udp);
	core.members = members_free(core.members);
	core.event = sd_event_unref(core.event);
	return 0;
}

static void set_members(size_t n)
{
	assert_int_equal(members_set(core.members, maker.list, n), 0);
	assert_int_equal(udp_follow(udp), 0);
	derp_follow(derp);
}

static struct derp_counters counters(void)
{
	struct derp_counters c;

	derp_counters(derp, &c);
	return c;
}

static uint64_t fates(enum fate fate)
{
	return udp_counters(udp)->fates[fate];
}

/* --- members at the UDP port --- */

/* The relay does what there is to do. */
static void turn(void)
{
	while (sd_event_run(core.event, 0) > 0)
		;
}

/* What member @i has received; 0: nothing. *ret_segment (may be NULL): of a train, else 0. */
static size_t receive(size_t i, uint8_t *ret_data, size_t capacity, size_t *ret_segment)
{
	struct iovec iov = { .iov_base = ret_data, .iov_len = capacity };
	uint8_t control[CMSG_SPACE(sizeof(int))];
	struct msghdr hdr = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int size = 0;

	turn();
	n = recvmsg(fds[i], &hdr, MSG_DONTWAIT);
	if (n < 0)
		return 0;
	c = CMSG_FIRSTHDR(&hdr);
	if (c && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	if (ret_segment)
		*ret_segment = (size_t) size;
	return (size_t) n;
}

static void expect_nothing(size_t i)
{
	uint8_t data[2048];

	assert_int_equal(receive(i, data, sizeof(data), NULL), 0);
}

static void open_socket(size_t i)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(udp_port(udp)) };
	const int on = 1;

	fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[i], (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(setsockopt(fds[i], IPPROTO_UDP, UDP_GRO, &on, sizeof(on)), 0);
}

/* Binds member @i, or keeps it bound. */
static void bind_member(size_t i)
{
	static struct udprelay_cookie cookies[MAKER_MEMBERS];
	uint8_t data[UDPRELAY_BIND_LEN], answer[2048];
	struct udprelay_bound bound;
	size_t len;

	if (fds[i] < 0)
		open_socket(i);
	turn(); /* it has derived the keys then, too */
	for (int tries = 0; tries < 2; tries++) {
		maker_bind(&maker, i, cookies[i].cookie, 7, data);
		assert_int_equal(send(fds[i], data, sizeof(data), 0), sizeof(data));
		len = receive(i, answer, sizeof(answer), NULL);
		if (udprelay_cookie_parse(answer, len, &cookies[i]) < 0)
			break;
	}
	assert_int_equal(udprelay_bound_open(maker.keys[i], answer, len, &bound), 0);
	memcpy(cookies[i].cookie, bound.cookie, sizeof(bound.cookie));
	sessions[i] = bound.session;
}

static void say(size_t from, size_t to, const char *text)
{
	uint8_t data[256];
	size_t len = UDPRELAY_DATA_HEAD_LEN + strlen(text);

	udprelay_data_head(data, sessions[from], maker.list[to].id);
	memcpy(data + UDPRELAY_DATA_HEAD_LEN, text, strlen(text));
	assert_int_equal(send(fds[from], data, len, 0), len);
	turn();
}

static void check_head(size_t i, size_t from, const uint8_t *data, size_t len)
{
	uint32_t session, node;

	assert_true(udprelay_data_parse(data, len, &session, &node));
	assert_int_equal(session, sessions[i]);
	assert_int_equal(node, maker.list[from].id);
}

/* Member @i has received @text from @from, and nothing else. */
static void hears(size_t i, size_t from, const char *text)
{
	uint8_t data[2048];
	size_t len = receive(i, data, sizeof(data), NULL);

	assert_int_equal(len, UDPRELAY_DATA_HEAD_LEN + strlen(text));
	check_head(i, from, data, len);
	assert_memory_equal(data + UDPRELAY_DATA_HEAD_LEN, text, strlen(text));
	expect_nothing(i);
}

static void hears_absent(size_t i, size_t who)
{
	uint8_t data[2048];
	size_t len = receive(i, data, sizeof(data), NULL);
	uint32_t session, node;

	assert_int_equal(udprelay_absent_parse(data, len, &session, &node), 0);
	assert_int_equal(session, sessions[i]);
	assert_int_equal(node, maker.list[who].id);
	expect_nothing(i);
}

/* --- members at DERP --- */

static struct peer *const nobody = NULL;

static struct peer *log_in(size_t i)
{
	return peer_log_in(&at, &keys[i], core.key);
}

static void send_to(struct peer *p, size_t to, const void *data, size_t len)
{
	uint64_t before = counters().packets_in;

	peer_send(p, keys[to].key, data, len);
	UNTIL(p, nobody, counters().packets_in > before);
}

static void says(struct peer *p, size_t to, const char *text)
{
	send_to(p, to, text, strlen(text));
}

/* Its @n packets are here, the last one is @text from @from. */
static void gets(struct peer *p, unsigned n, size_t from, const char *text)
{
	UNTIL(p, nobody, p->packets == n);
	assert_int_equal(p->last_len, strlen(text));
	assert_memory_equal(p->last, text, strlen(text));
	assert_memory_equal(p->from, keys[from].key, DERP_KEY_LEN);
}

/* --- tests --- */

static void test_both_ways(void **state)
{
	struct peer *b = log_in(1);

	bind_member(0);
	say(0, 1, "from UDP");
	gets(b, 1, 0, "from UDP");
	says(b, 0, "from DERP");
	hears(0, 1, "from DERP");
	assert_int_equal(fates(FATE_BRIDGED), 1);
	assert_int_equal(fates(FATE_CARRIED), 0);
	assert_int_equal(udp_counters(udp)->fetched, 1);
	assert_int_equal(counters().not_here, 0);
	assert_int_equal(b->n_types[DERP_PEER_GONE], 0);
	/* and among themselves */
	bind_member(2);
	say(0, 2, "both by UDP");
	hears(2, 0, "both by UDP");
	assert_int_equal(fates(FATE_CARRIED), 1);
	says(b, 1, "to myself");
	gets(b, 2, 1, "to myself");
	peer_free(b);
}

/* A train becomes frames in its order, each whole; the last of it is shorter. */
static void test_train_to_derp(void **state)
{
	enum { N = 40, LAST = 33 };
	static uint8_t data[TRAIN_MAX];
	struct peer *b = log_in(1);
	size_t len = 0;

	bind_member(0);
	for (size_t i = 0; i <= N; i++, len += SIZE) {
		udprelay_data_head(data + len, sessions[0], maker.list[1].id);
		memset(data + len + UDPRELAY_DATA_HEAD_LEN, (int) i, PAYLOAD);
	}
	len -= PAYLOAD - LAST;
	assert_int_equal(
		setsockopt(fds[0], IPPROTO_UDP, UDP_SEGMENT, &(int){ SIZE }, sizeof(int)), 0);
	assert_int_equal(send(fds[0], data, len, 0), len);
	UNTIL(b, nobody, b->packets == N + 1);
	assert_int_equal(b->bytes, N * PAYLOAD + LAST);
	assert_int_equal(b->last_len, LAST);
	assert_int_equal(b->last[0], N);
	assert_int_equal(fates(FATE_BRIDGED), N + 1);
	assert_int_equal(counters().packets_out, N + 1);
	peer_free(b);
}

/*
 * Frames that come together leave as one train, where they are of one way and size; the last of it
 * may be shorter.
 */
static void test_train_to_udp(void **state)
{
	enum { N = 40, LAST = 33, FRAME = DERP_PACKET_HEAD_LEN + PAYLOAD };
	static uint8_t frames[(N + 3) * FRAME], data[TRAIN_MAX];
	struct peer *b = log_in(1);
	size_t len = 0, segment = 0, at_byte = 0;
	uint64_t before;

	bind_member(0);
	bind_member(2);
	for (size_t i = 0; i < N; i++) {
		memset(data, (int) i, PAYLOAD);
		len += packet_frame(keys[0].key, data, PAYLOAD, frames + len);
	}
	for (size_t i = 0; i < 2; i++)
		len += packet_frame(keys[0].key, data, LAST, frames + len);
	len += packet_frame(keys[2].key, "other", 5, frames + len);
	before = udp_counters(udp)->messages_out;
	peer_write(b, frames, len);
	UNTIL(b, nobody, udp_counters(udp)->fetched == N + 3);
	assert_true(udp_counters(udp)->messages_out - before < N / 2);
	hears(2, 1, "other");
	for (size_t i = 0; i < N + 2; i++) {
		if (at_byte == len || i == 0) {
			len = receive(0, data, sizeof(data), &segment);
			at_byte = 0;
		}
		size_t size = len - at_byte < SIZE ? len - at_byte : SIZE;

		check_head(0, 1, data + at_byte, size);
		assert_int_equal(size, i < N ? SIZE : LAST + UDPRELAY_DATA_HEAD_LEN);
		assert_int_equal(data[at_byte + size - 1], i < N ? i : N - 1);
		at_byte += size;
	}
	assert_int_equal(at_byte, len);
	expect_nothing(0);
	peer_free(b);
}

/* What no datagram carries: dropped, unless he is connected, too. */
static void test_unfit(void **state)
{
	static uint8_t data[UDPRELAY_PAYLOAD_MAX + 1];
	struct peer *b = log_in(1), *both;

	bind_member(0);
	send_to(b, 0, data, sizeof(data));
	send_to(b, 0, data, 0);
	expect_nothing(0);
	assert_int_equal(udp_counters(udp)->fetched_unfit, 2);
	send_to(b, 0, data, sizeof(data) - 1);
	assert_int_equal(receive(0, (uint8_t[20000]){ 0 }, 20000, NULL),
		UDPRELAY_DATA_HEAD_LEN + UDPRELAY_PAYLOAD_MAX);
	both = log_in(0);
	send_to(b, 0, data, sizeof(data));
	UNTIL(both, b, both->packets == 1);
	assert_int_equal(both->last_len, sizeof(data));
	say(0, 1, "by UDP");
	gets(b, 1, 0, "by UDP");
	says(b, 0, "short");
	hears(0, 1, "short");
	assert_int_equal(b->n_types[DERP_PEER_GONE], 0);
	peer_free(both);
	peer_free(b);
}

/* Only who is at neither is away. */
static void test_absent(void **state)
{
	struct peer *b = log_in(1);

	bind_member(0);
	say(0, 3, "anybody?");
	hears_absent(0, 3);
	assert_int_equal(fates(FATE_ABSENT), 1);
	says(b, 3, "anybody?");
	UNTIL(b, nobody, b->n_types[DERP_PEER_GONE] == 1);
	assert_int_equal(b->reason, DERP_GONE_NOT_HERE);
	assert_memory_equal(b->gone, keys[3].key, DERP_KEY_LEN);
	assert_int_equal(counters().not_here, 1);
	/* a key that is no member's, and the binding's end */
	peer_send(b, login_keys(999).key, "x", 1);
	UNTIL(b, nobody, counters().not_here == 2);
	ahead_us += (BINDS_LIFETIME_S + 1) * USEC_PER_SEC;
	says(b, 0, "are you?");
	UNTIL(b, nobody, counters().not_here == 3);
	expect_nothing(0);
	peer_free(b);
}

/* Who is at both is reached where he was heard last; by UDP unless he has said something. */
static void test_at_both(void **state)
{
	struct peer *b = log_in(1), *both = log_in(2);

	bind_member(0);
	bind_member(2);
	say(0, 2, "one");
	hears(2, 0, "one");
	says(b, 2, "two");
	hears(2, 1, "two");
	/* his UDP has died, though he is bound: nobody knows but he */
	says(both, 0, "by DERP");
	hears(0, 2, "by DERP");
	say(0, 2, "three");
	gets(both, 1, 0, "three");
	says(b, 2, "four");
	gets(both, 2, 1, "four");
	bind_member(2); /* one of those that were on their way */
	say(0, 2, "five");
	gets(both, 3, 0, "five");
	expect_nothing(2);
	/* it is back */
	say(2, 0, "by UDP");
	hears(0, 2, "by UDP");
	say(0, 2, "six");
	hears(2, 0, "six");
	says(b, 2, "seven");
	hears(2, 1, "seven");
	assert_int_equal(both->packets, 3);
	assert_int_equal(b->n_types[DERP_PEER_GONE] + both->n_types[DERP_PEER_GONE], 0);
	peer_free(both);
	peer_free(b);
}

/* He comes to DERP, for his UDP has died, and says nothing: he only waits for others. */
static void test_comes(void **state)
{
	struct peer *b = log_in(1), *both;

	bind_member(0);
	bind_member(2);
	say(0, 2, "one");
	hears(2, 0, "one");
	both = log_in(2);
	say(0, 2, "two");
	gets(both, 1, 0, "two");
	says(b, 2, "three");
	gets(both, 2, 1, "three");
	expect_nothing(2);
	/* it was for a moment */
	say(2, 0, "by UDP");
	hears(0, 2, "by UDP");
	say(0, 2, "four");
	hears(2, 0, "four");
	peer_free(both);
	peer_free(b);
}

/* One of the two ways ends: the other one is left, whichever was in use. */
static void test_one_left(void **state)
{
	struct peer *b = log_in(1), *both = log_in(2);

	bind_member(0);
	bind_member(2);
	says(both, 1, "by DERP");
	gets(b, 1, 2, "by DERP");
	both = peer_free(both);
	UNTIL(b, nobody, counters().clients == 1);
	say(0, 2, "by UDP after all");
	hears(2, 0, "by UDP after all");
	says(b, 2, "and from DERP");
	hears(2, 1, "and from DERP");
	assert_int_equal(b->n_types[DERP_PEER_GONE], 0); /* he is still here */
	expect_nothing(0);
	both = log_in(2);
	ahead_us += (BINDS_LIFETIME_S + 1) * USEC_PER_SEC;
	bind_member(0);
	say(0, 2, "unbound");
	gets(both, 1, 0, "unbound");
	says(b, 2, "from DERP");
	gets(both, 2, 1, "from DERP");
	/* bound anew, it counts as heard there */
	says(both, 0, "x");
	hears(0, 2, "x");
	bind_member(2);
	say(0, 2, "bound");
	hears(2, 0, "bound");
	peer_free(both);
	peer_free(b);
}

/* He leaves DERP: those who had to do with him hear of it, each where he is. */
static void test_gone(void **state)
{
	struct peer *a = log_in(1), *b = log_in(2);

	bind_member(0);
	bind_member(3);
	bind_member(4);
	say(0, 2, "to b");
	gets(b, 1, 0, "to b");
	says(b, 3, "from b");
	hears(3, 2, "from b");
	says(a, 2, "to b");
	gets(b, 2, 1, "to b");
	b = peer_free(b);
	UNTIL(a, nobody, a->n_types[DERP_PEER_GONE] == 1);
	assert_int_equal(a->reason, DERP_GONE_DISCONNECTED);
	assert_memory_equal(a->gone, keys[2].key, DERP_KEY_LEN);
	hears_absent(0, 2);
	hears_absent(3, 2);
	expect_nothing(4);
	peer_free(a);
}

static void test_taken_over(void **state)
{
	struct peer *old = log_in(1), *new;

	bind_member(0);
	say(0, 1, "to the old one");
	gets(old, 1, 0, "to the old one");
	new = log_in(1);
	UNTIL(old, new, old->closed);
	say(0, 1, "to the new one");
	gets(new, 1, 0, "to the new one");
	expect_nothing(0); /* nobody has gone */
	new = peer_free(new);
	UNTIL(nobody, nobody, counters().clients == 0);
	hears_absent(0, 1);
	peer_free(old);
}

/* Who is no member any more is out at once, at both. */
static void test_removed(void **state)
{
	enum { LAST = MAKER_MEMBERS - 1, LAST_BUT_ONE = MAKER_MEMBERS - 2 };
	struct peer *a = log_in(1), *gone = log_in(LAST);

	bind_member(0);
	bind_member(LAST_BUT_ONE);
	bind_member(LAST);
	say(0, LAST, "x");
	hears(LAST, 0, "x");
	says(gone, 0, "x");
	hears(0, LAST, "x");
	set_members(LAST_BUT_ONE);
	UNTIL(a, gone, gone->closed);
	hears_absent(0, LAST); /* bound he is not either */
	ahead_us += BINDS_ABSENT_EVERY_S * USEC_PER_SEC;
	say(0, LAST, "still there?");
	hears_absent(0, LAST);
	says(a, LAST, "you?");
	says(a, LAST_BUT_ONE, "or you?");
	UNTIL(a, nobody, a->n_types[DERP_PEER_GONE] == 2);
	say(LAST_BUT_ONE, 1, "but I");
	peer_step(a);
	assert_int_equal(a->packets, 0);
	expect_nothing(LAST);
	assert_int_equal(udp_counters(udp)->fetched, 1);
	peer_free(a);
	peer_free(gone);
}

/* A flood by UDP for one who reads nothing: his queue is as bounded as for frames. */
static void test_slow_reader(void **state)
{
	static uint8_t data[44 * SIZE];
	struct peer *slow = log_in(1), *c = log_in(2);
	size_t peak = 0;

	bind_member(0);
	bind_member(3);
	slow->reads = false;
	for (size_t i = 0; i < 44; i++)
		udprelay_data_head(data + i * SIZE, sessions[0], maker.list[1].id);
	assert_int_equal(
		setsockopt(fds[0], IPPROTO_UDP, UDP_SEGMENT, &(int){ SIZE }, sizeof(int)), 0);
	for (unsigned round = 0; round < 300; round++) {
		assert_int_equal(send(fds[0], data, sizeof(data), 0), sizeof(data));
		say(3, 2, "beside it");
		gets(c, round + 1, 3, "beside it");
		if (counters().waiting_bytes > peak)
			peak = counters().waiting_bytes;
	}
	print_message("%llu bridged, %llu dropped, %zu bytes waited at most\n",
		(unsigned long long) fates(FATE_BRIDGED),
		(unsigned long long) counters().drops[DERP_DROP_FULL], peak);
	assert_in_range(peak, 1 << 20, DERP_QUEUE_BYTES_MAX);
	assert_true(counters().drops[DERP_DROP_FULL] > 1000);
	expect_nothing(0); /* he is not absent */
	peer_free(slow);
	peer_free(c);
}

/* The UDP port always has something: whoever comes to DERP is let in all the same. */
static void test_in_a_flood(void **state)
{
	struct peer *p = peer_on(peer_connect(&at));
	uint8_t text[sizeof(FAST) - 1 + DERP_INFO_FRAME_MAX];
	size_t len = sizeof(FAST) - 1, sent = 0;

	memcpy(text, FAST, len);
	len += login_frame(&keys[1], core.key, DERP_VERSION, text + len);
	open_socket(0);
	for (int i = 0; i < 1000 && !p->n_types[DERP_SERVER_INFO]; i++) {
		for (int k = 0; k < 40; k++) /* more than are taken at once */
			(void) send(fds[0], "x", 1, 0);
		assert_true(sd_event_run(core.event, 0) >= 0);
		peer_step(p);
		sent += peer_try_write(p, text + sent, len - sent);
	}
	assert_int_equal(p->n_types[DERP_SERVER_INFO], 1);
	peer_free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_ways),
		TEST(test_train_to_derp),
		TEST(test_train_to_udp),
		TEST(test_unfit),
		TEST(test_absent),
		TEST(test_at_both),
		TEST(test_comes),
		TEST(test_one_left),
		TEST(test_gone),
		TEST(test_taken_over),
		TEST(test_removed),
		TEST(test_slow_reader),
		TEST(test_in_a_flood),
	};

	(void) signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0 || peers_init() < 0)
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	peers_done();
	return r;
}
