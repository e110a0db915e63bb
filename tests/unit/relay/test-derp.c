/*
 * The DERP service over loopback, with OpenSSL's clients: both ends in one loop, so that nothing
 * waits for a fixed time. Its clock can be put forward.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/encode.h"
#include "derp-peer.h"
#include "relay/derp-conn.h"
#include "relay/derp.h"
#include "sys/x509/x509.h"

enum { MEMBERS = 8, CLIENTS_MAX = 512, STRANGERS = 128 /* a quarter */ };

static const uint8_t tls_seed[TLS_SEED_LEN] = { 42 };

/* --- a clock that can be put forward, with the timers that are set by it --- */

static uint64_t ahead_us, timer_us;
static sd_event_source *timer;

uint64_t __real_clock_now_us(void);
uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_us(void)
{
	return __real_clock_now_us() + ahead_us;
}

int __real_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec)
{
	timer = s;
	timer_us = usec;
	return __real_sd_event_source_set_time(s, usec > ahead_us ? usec - ahead_us : 1);
}

static void put_forward(uint64_t us)
{
	ahead_us += us;
	if (timer)
		(void) __wrap_sd_event_source_set_time(timer, timer_us);
}

/* --- the relay --- */

static struct relay_core core;
static struct derp *derp;
static struct login_keys keys[MEMBERS + 1]; /* the last one is a stranger */
static struct endpoint at;

static void let_in(unsigned n)
{
	static struct relay_member list[MEMBERS_MAX];

	for (unsigned i = 0; i < n; i++) {
		struct login_keys k = login_keys(i + 1);

		list[i] = (struct relay_member){ .id = i + 1 };
		memcpy(list[i].wg, k.key, sizeof(k.key));
		memcpy(list[i].identity, k.key, sizeof(k.key));
	}
	assert_int_equal(members_set(core.members, list, n), 0);
}

static int start(void **state)
{
	struct derp_config config = { .tls_seed = tls_seed,
		.name = "relay",
		.clients_max = CLIENTS_MAX,
		.pool_max = 16 << 20 };
	struct login_keys own = login_keys(60000);
	struct err err = { 0 };

	assert_true(sd_event_new(&core.event) >= 0);
	peers_use(core.event);
	peers_listen(&derp, &at);
	core.members = members_new();
	assert_non_null(core.members);
	memcpy(core.secret, own.secret, sizeof(core.secret));
	memcpy(core.key, own.key, sizeof(core.key));
	for (unsigned i = 0; i <= MEMBERS; i++)
		keys[i] = login_keys(i + 1);
	let_in(MEMBERS);
	if (derp_new(&core, &config, &derp, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int stop(void **state)
{
	derp = derp_free(derp);
	timer = NULL;
	core.members = members_free(core.members);
	core.event = sd_event_unref(core.event);
	return 0;
}

static struct derp_counters counters(void)
{
	struct derp_counters c;

	derp_counters(derp, &c);
	return c;
}

/* --- clients --- */

static struct peer *const nobody = NULL;

static int connect_to_relay(void)
{
	return peer_connect(&at);
}

static struct peer *log_in(const struct login_keys *k)
{
	return peer_log_in(&at, k, core.key);
}

static void send_to(struct peer *p, const struct login_keys *to, const void *data, size_t len)
{
	peer_send(p, to->key, data, len);
}

static void run_once(void)
{
	peers_turn(nobody, nobody);
}

/* --- tests --- */

static void test_both_ways(void **state)
{
	static uint8_t large[DERP_PACKET_MAX];
	struct peer *a = log_in(&keys[0]), *b = log_in(&keys[1]);

	send_to(a, &keys[1], "from a", 6);
	send_to(b, &keys[0], "from b", 6);
	UNTIL(a, b, a->packets == 1 && b->packets == 1);
	assert_memory_equal(a->last, "from b", 6);
	assert_memory_equal(b->last, "from a", 6);
	send_to(a, &keys[1], large, sizeof(large));
	send_to(a, &keys[1], "", 0);
	UNTIL(a, b, b->packets == 3);
	assert_int_equal(b->bytes, 6 + sizeof(large));
	send_to(a, &keys[0], "to myself", 9);
	UNTIL(a, b, a->packets == 2);
	assert_int_equal(counters().packets_in, 5);
	assert_int_equal(counters().packets_out, 5);
	assert_int_equal(counters().clients, 2);
	assert_int_equal(counters().strangers, 0);
	struct ip_addr from;
	uint64_t since_us;

	assert_true(derp_has(derp, keys[1].key, &from, &since_us));
	assert_true(ip_addr_equal(&from, &at.addr) && since_us <= clock_now_us());
	assert_false(derp_has(derp, keys[2].key, &from, &since_us));
	peer_free(a);
	peer_free(b);
}

/* Our key as the record pins it, and DERP's in a certificate behind it. */
static void test_certificates(void **state)
{
	struct peer *a = log_in(&keys[0]);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(a->ssl);
	char name[128], expected[128] = "derpkey";
	uint8_t key[X509_KEY_LEN], ours[X509_KEY_LEN];
	unsigned char *der = NULL;

	assert_string_equal(SSL_get_version(a->ssl), "TLSv1.3");
	assert_int_equal(sk_X509_num(chain), 2);
	int len = i2d_X509(sk_X509_value(chain, 0), &der);

	assert_int_equal(x509_key_of_der(der, (size_t) len, key), 0);
	assert_int_equal(x509_public_key(tls_seed, ours), 0);
	assert_memory_equal(key, ours, sizeof(key));
	OPENSSL_free(der);
	key_to_hex(core.key, expected + strlen(expected));
	(void) X509_NAME_get_text_by_NID(
		X509_get_subject_name(sk_X509_value(chain, 1)), NID_commonName, name, sizeof(name));
	assert_string_equal(name, expected);
	assert_int_equal(ASN1_INTEGER_get(X509_get0_serialNumber(sk_X509_value(chain, 1))), 2);
	peer_free(a);
}

static void test_stranger(void **state)
{
	struct peer *s = log_in(&keys[MEMBERS]);

	UNTIL(s, nobody, s->closed);
	assert_int_equal(s->n_types[DERP_SERVER_INFO], 0);
	assert_string_equal(s->health, "this relay serves the members of its mesh only");
	UNTIL(s, nobody, counters().ended[DERP_END_STRANGER] == 1);
	assert_int_equal(counters().logins, 0);
	peer_free(s);
}

static void test_gone(void **state)
{
	struct peer *a = log_in(&keys[0]), *b = log_in(&keys[1]);

	send_to(a, &keys[2], "x", 1);
	UNTIL(a, b, a->n_types[DERP_PEER_GONE] == 1);
	assert_int_equal(a->reason, DERP_GONE_NOT_HERE);
	assert_memory_equal(a->gone, keys[2].key, DERP_KEY_LEN);
	for (int i = 0; i < 50; i++)
		send_to(a, &keys[2], "x", 1);
	send_to(a, &keys[1], "x", 1);
	UNTIL(a, b, b->packets == 1);
	UNTIL(a, b, counters().not_here == 51);
	assert_in_range(a->n_types[DERP_PEER_GONE], 1, 3);
	unsigned told = a->n_types[DERP_PEER_GONE];

	b = peer_free(b);
	UNTIL(a, nobody, a->reason == DERP_GONE_DISCONNECTED);
	assert_memory_equal(a->gone, keys[1].key, DERP_KEY_LEN);
	assert_true(a->n_types[DERP_PEER_GONE] > told);
	peer_free(a);
}

/* The newest has the key, the old one is told, and nobody is told that it went. */
static void test_same_key(void **state)
{
	struct peer *a = log_in(&keys[0]), *old = log_in(&keys[1]), *c = log_in(&keys[2]), *new;

	send_to(old, &keys[0], "x", 1);
	send_to(old, &keys[2], "x", 1);
	UNTIL(a, c, a->packets == 1 && c->packets == 1);
	new = log_in(&keys[1]);
	UNTIL(old, new, old->closed);
	assert_non_null(strstr(old->health, "another connection"));
	send_to(a, &keys[1], "for the new one", 15);
	UNTIL(a, new, new->packets == 1);
	assert_int_equal(a->n_types[DERP_PEER_GONE], 0);
	assert_int_equal(counters().clients, 3);
	new = peer_free(new); /* which has taken over who is to be told */
	UNTIL(a, c, a->n_types[DERP_PEER_GONE] == 1 && c->n_types[DERP_PEER_GONE] == 1);
	peer_free(c);
	peer_free(old);
	peer_free(a);
}

static void test_removed(void **state)
{
	struct peer *a = log_in(&keys[0]), *b = log_in(&keys[MEMBERS - 1]);

	let_in(MEMBERS - 1);
	derp_follow(derp);
	UNTIL(a, b, b->closed);
	assert_non_null(strstr(b->health, "no member"));
	assert_int_equal(counters().ended[DERP_END_REMOVED], 1);
	send_to(a, &keys[0], "still here", 10);
	UNTIL(a, nobody, a->packets == 1);
	peer_free(a);
	peer_free(b);
}

static void test_restart(void **state)
{
	struct peer *a = log_in(&keys[0]), *b = log_in(&keys[1]), *late;

	derp_say_restart(derp);
	UNTIL(a, b, a->n_types[DERP_RESTARTING] && b->n_types[DERP_RESTARTING]);
	late = peer_on(connect_to_relay());
	UNTIL(late, nobody, late->closed);
	assert_int_equal(counters().turned_away, 1);
	derp = derp_free(derp);
	UNTIL(a, b, a->closed && b->closed);
	peer_free(late);
	peer_free(a);
	peer_free(b);
}

/* One who reads nothing loses his own packets; two others do not even notice. */
static void test_slow_reader(void **state)
{
	static uint8_t data[1400];
	struct peer *flood = log_in(&keys[0]), *slow = log_in(&keys[1]);
	struct peer *c = log_in(&keys[2]), *d = log_in(&keys[3]);
	uint8_t frame[DERP_PACKET_HEAD_LEN + sizeof(data)];
	size_t len = packet_frame(keys[1].key, data, sizeof(data), frame), sent = 0;
	uint64_t longest = 0;

	slow->reads = false;
	for (unsigned round = 0; round < 400; round++) {
		uint64_t began = __real_clock_now_us();

		for (int i = 0; i < 200; i++, sent++)
			peer_write(flood, frame, len);
		send_to(c, &keys[3], "ping", 4);
		UNTIL(c, d, d->packets == round + 1);
		send_to(d, &keys[2], "pong", 4);
		UNTIL(c, d, c->packets == round + 1);
		if (__real_clock_now_us() - began > longest)
			longest = __real_clock_now_us() - began;
		assert_in_range(counters().waiting_bytes, 0, DERP_QUEUE_BYTES_MAX);
	}
	struct derp_counters k = counters();

	print_message(
		"sent %zu, dropped %llu, waiting %zu bytes, longest round trip beside it %llu us\n",
		sent, (unsigned long long) k.drops[DERP_DROP_FULL], k.waiting_bytes,
		(unsigned long long) longest);
	assert_true(k.drops[DERP_DROP_FULL] > sent / 2);
	assert_false(flood->closed);
	put_forward(2 * USEC_PER_SEC); /* then it wakes up: what is too old is not sent any more */
	slow->reads = true;
	send_to(flood, &keys[1], "fresh", 5);
	UNTIL(flood, slow, !memcmp(slow->last, "fresh", 5));
	assert_true(counters().drops[DERP_DROP_STALE] > 1000);
	peer_free(flood);
	peer_free(slow);
	peer_free(c);
	peer_free(d);
}

/* What the kernel may hold unseen is 10 ms of the line. */
static void test_not_sent(void **state)
{
	assert_int_equal(derp_conn_not_sent(0, 100000), 16 << 10);
	assert_int_equal(derp_conn_not_sent(125000, 100000), 16 << 10);      /* 10 Mbit/s */
	assert_int_equal(derp_conn_not_sent(3750000, 100000), 375000);       /* 300 */
	assert_int_equal(derp_conn_not_sent(125000000, 1000000), 512 << 10); /* 1000 */
}

/* It takes nothing for half a minute: its place is free, and whoever sent to it is told. */
static void test_stuck(void **state)
{
	static uint8_t data[65536];
	struct peer *a = log_in(&keys[0]), *stuck = log_in(&keys[1]);

	stuck->reads = false;
	for (int i = 0; i < 300; i++)
		send_to(a, &keys[1], data, sizeof(data));
	UNTIL(a, nobody, counters().drops[DERP_DROP_FULL] > 0);
	put_forward(31 * USEC_PER_SEC);
	UNTIL(a, nobody, a->n_types[DERP_PEER_GONE] == 1);
	put_forward(3 * USEC_PER_SEC);
	UNTIL(a, nobody, counters().ended[DERP_END_STUCK] == 1);
	assert_int_equal(counters().waiting_bytes, 0);
	peer_free(a);
	peer_free(stuck);
}

static void test_keep_alive(void **state)
{
	struct peer *a = log_in(&keys[0]);

	put_forward(50 * USEC_PER_SEC);
	run_once();
	peer_step(a);
	assert_int_equal(a->n_types[DERP_KEEP_ALIVE], 0);
	put_forward(16 * USEC_PER_SEC);
	UNTIL(a, nobody, a->n_types[DERP_KEEP_ALIVE] == 1);
	assert_false(a->closed);
	peer_free(a);
}

/* Somebody has looked at the ClientHello already: at none of it, a part, all. */
static void test_taken_over(void **state)
{
	static const size_t lens[] = { 0, 1, 5, 6, 100, 0xffff };

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct endpoint peer = { .addr = at.addr, .port = 1 };
		uint8_t first[TLS_FIRST_MAX], frame[DERP_INFO_FRAME_MAX];
		size_t len = login_frame(&keys[0], core.key, 2, frame);
		int fds[2];
		ssize_t n = 0;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		struct peer *p = peer_on(fds[0]);

		(void) SSL_do_handshake(p->ssl); /* the hello is on its way */
		if (lens[i])
			n = recv(fds[1], first, lens[i], 0);
		assert_true(n == (ssize_t) lens[i] || (lens[i] == 0xffff && n > 200));
		derp_take(derp, fds[1], &peer, first, (size_t) n);
		peer_write(p, FAST, strlen(FAST));
		peer_write(p, frame, len);
		UNTIL(p, nobody, p->n_types[DERP_SERVER_INFO]);
		peer_free(p);
	}
	UNTIL(nobody, nobody, counters().clients == 0);
	assert_int_equal(counters().logins, sizeof(lens) / sizeof(lens[0]));
}

/* Whether the relay has hung up on @fd. */
static bool is_hung_up(int fd)
{
	char byte;

	for (;;) {
		ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

		if (n == 1)
			continue; /* an alert */
		return n == 0 || errno != EAGAIN;
	}
}

static void test_no_tls(void **state)
{
	static const char garbage[] = "GET / HTTP/1.1\r\nHost: relay\r\n\r\n";
	int fd = connect_to_relay(), early = connect_to_relay();

	assert_int_equal(send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL), sizeof(garbage));
	UNTIL(nobody, nobody, is_hung_up(fd));
	assert_int_equal(counters().ended[DERP_END_TLS], 1);
	(void) close(early);
	UNTIL(nobody, nobody, counters().ended[DERP_END_CLOSED] == 1);
	(void) close(fd);
	/* an older TLS is none */
	struct peer *p = peer_on(connect_to_relay());

	(void) SSL_set_max_proto_version(p->ssl, TLS1_2_VERSION);
	UNTIL(p, nobody, p->closed);
	UNTIL(p, nobody, counters().ended[DERP_END_TLS] == 2);
	peer_free(p);
}

/* Ten seconds, for whoever says nothing or stops half way. */
static void test_slow_loris(void **state)
{
	int silent = connect_to_relay();
	struct peer *half = peer_on(connect_to_relay());

	peer_write(half, FAST, strlen(FAST) - 3);
	UNTIL(half, nobody, counters().strangers == 2);
	put_forward(5 * USEC_PER_SEC);
	run_once();
	assert_int_equal(counters().strangers, 2);
	put_forward(6 * USEC_PER_SEC);
	UNTIL(half, nobody, half->closed && is_hung_up(silent));
	assert_int_equal(counters().ended[DERP_END_SLOW_LOGIN], 2);
	peer_free(half);
	(void) close(silent);
}

/* Ten times as many as there is room for, and then a member comes. */
static void test_crowd(void **state)
{
	enum { CROWD = 10 * STRANGERS };
	static int fds[CROWD];

	for (int i = 0; i < CROWD; i++) {
		fds[i] = connect_to_relay();
		run_once();
		assert_in_range(counters().strangers, 0, STRANGERS);
	}
	struct peer *a = log_in(&keys[0]);

	assert_int_equal(a->n_types[DERP_SERVER_INFO], 1);
	assert_true(counters().ended[DERP_END_CROWDED] >= CROWD - STRANGERS);
	for (int i = 0; i < CROWD; i++)
		(void) close(fds[i]);
	UNTIL(a, nobody, counters().strangers == 0);
	uint64_t crowded = counters().ended[DERP_END_CROWDED];

	for (int i = 0; i < 20; i++) /* their places are free again */
		fds[i] = connect_to_relay();
	UNTIL(a, nobody, counters().strangers == 20);
	assert_int_equal(counters().ended[DERP_END_CROWDED], crowded);
	for (int i = 0; i < 20; i++)
		(void) close(fds[i]);
	peer_free(a);
}

/* Frames of no place end the connection, and nobody else's. */
static void test_bad_frames(void **state)
{
	static const uint8_t bad[][5] = { { DERP_FORWARD, 0, 0, 0, 64 }, { DERP_SEND, 0, 1, 0, 33 },
		{ DERP_SEND, 0xff, 0xff, 0xff, 0xff }, { DERP_CLIENT_INFO, 0, 0, 0, 80 } };
	struct peer *a = log_in(&keys[0]);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peer *b = log_in(&keys[1]);

		peer_write(b, bad[i], sizeof(bad[i]));
		UNTIL(a, b, b->closed);
		peer_free(b);
	}
	assert_int_equal(counters().ended[DERP_END_FRAME], sizeof(bad) / sizeof(bad[0]));
	assert_false(a->closed);
	peer_free(a);
}

/* --- what idle clients cost --- */

/* In a process of their own, so that what they cost is not counted. */
static void be_clients(unsigned n, int done, int wait)
{
	char byte = 0;

	for (unsigned i = 0; i < n; i++) {
		struct login_keys k = login_keys(i + 1);
		SSL *ssl = peers_ssl();
		uint8_t in[4096], frame[DERP_INFO_FRAME_MAX];
		size_t len = login_frame(&k, core.key, 2, frame), got;

		SSL_set_fd(ssl, connect_to_relay());
		if (SSL_connect(ssl) != 1 || SSL_write_ex(ssl, FAST, strlen(FAST), &got) != 1 ||
			SSL_write_ex(ssl, frame, len, &got) != 1 ||
			SSL_read_ex(ssl, in, sizeof(in), &got) != 1)
			_exit(1);
	}
	(void) !write(done, &byte, 1);
	(void) !read(wait, &byte, 1);
	_exit(0);
}

static size_t resident(void)
{
	size_t pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%zu %zu", &all, &pages) != 2)
		pages = 0;
	if (f)
		(void) fclose(f);
	return pages * (size_t) sysconf(_SC_PAGESIZE);
}

static bool can_read(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, 0) > 0;
}

static void test_idle_clients(void **state)
{
	enum { IDLE = 200, EACH_MAX = 40000 };
	int done[2], wait[2], status;
	size_t heap, rss;

	assert_int_equal(pipe(done), 0);
	assert_int_equal(pipe(wait), 0);
	let_in(IDLE);
	struct peer *warm = log_in(&keys[0]);

	peer_free(warm);
	UNTIL(nobody, nobody, counters().clients == 0);
	(void) malloc_trim(0);
	heap = mallinfo2().uordblks;
	rss = resident();
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void) close(wait[1]);
		be_clients(IDLE, done[1], wait[0]);
	}
	(void) close(wait[0]);
	(void) close(done[1]);
	UNTIL(nobody, nobody, can_read(done[0]));
	assert_int_equal(counters().clients, IDLE);
	(void) malloc_trim(0);
	heap = mallinfo2().uordblks - heap;
	rss = resident() > rss ? resident() - rss : 0;
	print_message("%d idle clients: %zu bytes of heap each, %zu KiB resident in all\n", IDLE,
		heap / IDLE, rss / 1024);
	assert_in_range(heap / IDLE, 0, EACH_MAX);
	(void) close(wait[1]);
	(void) close(done[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	UNTIL(nobody, nobody, counters().clients == 0);
}

static void test_names(void **state)
{
	for (int i = 0; i < DERP_ENDS; i++)
		assert_non_null(derp_end_name((enum derp_end) i));
	for (int i = 0; i < DERP_DROPS; i++)
		assert_non_null(derp_drop_name((enum derp_drop) i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, start, stop),
		cmocka_unit_test_setup_teardown(test_certificates, start, stop),
		cmocka_unit_test_setup_teardown(test_stranger, start, stop),
		cmocka_unit_test_setup_teardown(test_gone, start, stop),
		cmocka_unit_test_setup_teardown(test_same_key, start, stop),
		cmocka_unit_test_setup_teardown(test_removed, start, stop),
		cmocka_unit_test_setup_teardown(test_restart, start, stop),
		cmocka_unit_test_setup_teardown(test_slow_reader, start, stop),
		cmocka_unit_test(test_not_sent),
		cmocka_unit_test_setup_teardown(test_stuck, start, stop),
		cmocka_unit_test_setup_teardown(test_keep_alive, start, stop),
		cmocka_unit_test_setup_teardown(test_taken_over, start, stop),
		cmocka_unit_test_setup_teardown(test_no_tls, start, stop),
		cmocka_unit_test_setup_teardown(test_slow_loris, start, stop),
		cmocka_unit_test_setup_teardown(test_crowd, start, stop),
		cmocka_unit_test_setup_teardown(test_bad_frames, start, stop),
		cmocka_unit_test_setup_teardown(test_idle_clients, start, stop),
		cmocka_unit_test(test_names),
	};

	(void) signal(SIGPIPE, SIG_IGN); /* the clients' sockets; the relay's raise none */
	if (sodium_init() < 0 || peers_init() < 0)
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	peers_done();
	return r;
}
