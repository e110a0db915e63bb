/*
 * The interface of tunnel.h, as hearthd uses it: two tunnels in this process that talk over loopback.
 * Run in a network namespace of its own, as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tunnel/tunnel.h"

struct side {
	struct tunnel *tunnel;
	uint8_t key[32], pub[32];
};

static struct side a, b;

static void link_ioctl(const char *name, unsigned long request, short flags, int mtu)
{
	struct ifreq ifr = { 0 };
	CLEANUP(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void) snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (request == SIOCSIFMTU)
		ifr.ifr_mtu = mtu;
	else
		ifr.ifr_flags = flags;
	assert_int_equal(ioctl(fd, request, &ifr), 0);
}

static void open_side(struct side *s, const char *name, struct tunnel_config config)
{
	struct err err = { 0 };

	config.ifname = name;
	config.tun_fd = -1;
	if (tunnel_open(&config, &s->tunnel, &err) < 0)
		fail_msg("%s", err.text);
	randombytes_buf(s->key, sizeof(s->key));
	assert_int_equal(crypto_scalarmult_base(s->pub, s->key), 0);
	assert_int_equal(tunnel_set_private_key(s->tunnel, s->key), 0);
}

static int setup(void **state)
{
	link_ioctl("lo", SIOCSIFFLAGS, IFF_UP, 0);
	open_side(&a, "ta", (struct tunnel_config){ 0 });
	open_side(&b, "tb", (struct tunnel_config){ 0 });
	return 0;
}

static int teardown(void **state)
{
	a.tunnel = tunnel_close(a.tunnel);
	b.tunnel = tunnel_close(b.tunnel);
	return 0;
}

static struct endpoint at(const char *address, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_int_equal(ip_addr_parse(address, &e.addr), 0);
	return e;
}

static struct tunnel_peer peer_of(const struct side *other)
{
	struct tunnel_peer p = { 0 };

	memcpy(p.key, other->pub, sizeof(p.key));
	return p;
}

static struct tunnel_peer_stats stats_of(struct side *s)
{
	CLEANUP(free_p) struct tunnel_peer_stats *list = NULL;
	size_t n = 0;

	assert_int_equal(tunnel_get_stats(s->tunnel, &list, &n), 0);
	assert_int_equal(n, 1);
	return list[0];
}

/* Within @ms milliseconds? */
static bool session_within(struct side *s, unsigned ms)
{
	for (uint64_t end_us = clock_now_us() + ms * USEC_PER_MSEC; clock_now_us() < end_us;) {
		if (stats_of(s).session)
			return true;
		(void) usleep(2000);
	}
	return false;
}

static void test_session(void **state)
{
	struct tunnel_peer to_b = peer_of(&b), to_a = peer_of(&a);
	struct tunnel_counters c;

	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	assert_int_equal(tunnel_initiate(b.tunnel, a.pub), -EDESTADDRREQ);
	assert_int_equal(tunnel_initiate(b.tunnel, b.pub), -ENOENT);
	to_b.endpoint = at("127.0.0.1", tunnel_port(b.tunnel));
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_int_equal(tunnel_initiate(a.tunnel, b.pub), 0);
	assert_true(session_within(&a, 2000));
	assert_true(session_within(&b, 2000)); /* the initiator confirms it at once */
	assert_int_equal(stats_of(&b).endpoint.port, tunnel_port(a.tunnel));
	assert_true(stats_of(&a).last_handshake_wall_us > 0 && stats_of(&a).rx_bytes == 92);

	/* The same again, and with more prefixes: the session stays. */
	uint64_t before = stats_of(&a).last_handshake_wall_us;
	struct ip_prefix allowed[2];
	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &allowed[0]), 0);
	assert_int_equal(ip_prefix_parse("fd00::/8", &allowed[1]), 0);
	to_b.allowed = allowed;
	to_b.n_allowed = 2;
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_true(stats_of(&a).session && stats_of(&a).last_handshake_wall_us == before);
	allowed[0].len = 33;
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), -EINVAL);
	assert_true(stats_of(&a).session);

	/* A repeated endpoint does not throw back a peer that roamed (b moves to another port). */
	assert_int_equal(tunnel_set_port(b.tunnel, 0), 0);
	to_b.n_allowed = 0;
	assert_int_equal(tunnel_remove_peer(b.tunnel, a.pub), 0);
	assert_int_equal(tunnel_remove_peer(b.tunnel, a.pub), -ENOENT);
	to_a.endpoint = at("127.0.0.1", tunnel_port(a.tunnel));
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	assert_int_equal(tunnel_initiate(b.tunnel, a.pub), 0);
	assert_true(session_within(&b, 2000));
	assert_int_equal(stats_of(&a).endpoint.port, tunnel_port(b.tunnel));
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_int_equal(stats_of(&a).endpoint.port, tunnel_port(b.tunnel));
	assert_int_equal(tunnel_get_counters(a.tunnel, &c), 0);
	assert_true(c.rx_datagrams >= 2 && c.rx_forged == 0 && c.tx_errors == 0);
}

static void test_refused(void **state)
{
	struct tunnel_peer p = { 0 };
	struct tunnel_config taken = { .ifname = "tx", .tun_fd = -1 };
	struct tunnel *t = NULL;
	struct err err = { 0 };
	uint16_t port = tunnel_port(b.tunnel);

	assert_int_equal(tunnel_set_peer(a.tunnel, &p), -EINVAL); /* zero key */
	p = peer_of(&a);
	assert_int_equal(tunnel_set_peer(a.tunnel, &p), -EINVAL); /* ourselves */
	p = peer_of(&b);
	p.endpoint = at("127.0.0.1", 0);
	assert_int_equal(tunnel_set_peer(a.tunnel, &p), -EINVAL);

	taken.port = port;
	assert_int_equal(tunnel_open(&taken, &t, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "is in use"));
	assert_int_equal(if_nametoindex("tx"), 0);
	assert_int_equal(tunnel_set_port(a.tunnel, port), -EADDRINUSE);
	assert_int_not_equal(tunnel_port(a.tunnel), port);
	taken.port = 0;
	taken.ifname = "ta";
	assert_int_equal(tunnel_open(&taken, &t, &err), -EBUSY);
	taken.tun_fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* taken over, also on failure */
	int fd = taken.tun_fd;
	assert_true(tunnel_open(&taken, &t, &err) < 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(t);
}

/* Where a peer is turns out later, and is another place yet later. */
static void test_set_endpoint(void **state)
{
	struct tunnel_peer to_b = peer_of(&b), to_a = peer_of(&a);
	struct endpoint where = at("127.0.0.2", tunnel_port(b.tunnel)), found;

	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	to_b.sought = true;
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_int_equal(tunnel_initiate(a.tunnel, b.pub), -EDESTADDRREQ);
	assert_int_equal(tunnel_set_endpoint(a.tunnel, a.pub, &where), -ENOENT);
	assert_int_equal(tunnel_set_endpoint(a.tunnel, b.pub, &(struct endpoint){ 0 }), -EINVAL);
	assert_int_equal(tunnel_set_endpoint(a.tunnel, b.pub, &where), 0);
	assert_int_equal(tunnel_initiate(a.tunnel, b.pub), 0);
	assert_true(session_within(&a, 2000));
	found = stats_of(&a).endpoint;
	assert_true(endpoint_equal(&found, &where));
	where = at("::1", tunnel_port(b.tunnel));
	assert_int_equal(tunnel_set_endpoint(a.tunnel, b.pub, &where), 0);
	found = stats_of(&a).endpoint;
	assert_true(endpoint_equal(&found, &where));
	assert_true(stats_of(&a).session);
}

static void test_denied(void **state)
{
	struct tunnel_peer to_b = peer_of(&b), to_a = peer_of(&a);
	struct ip_prefix denied[2];
	struct tunnel_counters c;

	assert_int_equal(ip_prefix_parse("127.0.0.0/30", &denied[0]), 0);
	assert_int_equal(ip_prefix_parse("fd00::/8", &denied[1]), 0);
	assert_int_equal(tunnel_set_denied_underlay(b.tunnel, denied, 2), 0);
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	to_b.endpoint = at("127.0.0.1", tunnel_port(b.tunnel));
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_int_equal(tunnel_initiate(a.tunnel, b.pub), 0);
	assert_false(session_within(&a, 300));
	assert_int_equal(tunnel_get_counters(b.tunnel, &c), 0);
	assert_int_equal(c.rx_denied, 1);
	assert_int_equal(stats_of(&b).endpoint.addr.family, 0);
	/* Nor is anything sent there. */
	to_a.endpoint = at("127.0.0.1", tunnel_port(a.tunnel));
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	assert_int_equal(tunnel_initiate(b.tunnel, a.pub), -EDESTADDRREQ);
	assert_int_equal(tunnel_set_denied_underlay(b.tunnel, NULL, 0), 0);
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	assert_int_equal(tunnel_initiate(b.tunnel, a.pub), 0);
	assert_true(session_within(&b, 2000));
}

/* A datagram from there to there arrives: Linux makes an IPv6 address usable a moment later. */
static bool is_up(const char *address)
{
	struct endpoint own = at(address, 0);
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&own, &sa);
	CLEANUP(close_p) int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && bind(fd, (struct sockaddr *) &sa, len) == 0 &&
	       getsockname(fd, (struct sockaddr *) &sa, &len) == 0 &&
	       sendto(fd, "x", 1, 0, (struct sockaddr *) &sa, len) == 1 && poll(&p, 1, 50) == 1;
}

/* Of the loopback device, but no loopback addresses: those are denied. */
static int setup_managed(void **state)
{
	static const char *const addresses[] = { "192.0.2.1", "192.0.2.9", "2001:db8::1" };
	char command[64];

	link_ioctl("lo", SIOCSIFFLAGS, IFF_UP, 0);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		(void) snprintf(
			command, sizeof(command), "ip addr replace %s dev lo", addresses[i]);
		assert_int_equal(system(command), 0);
		for (unsigned k = 0; !is_up(addresses[i]); k++)
			assert_true(k < 1000);
	}
	open_side(&a, "ta", (struct tunnel_config){ .managed = true });
	open_side(&b, "tb", (struct tunnel_config){ 0 });
	return 0;
}

/* The next one within two seconds. */
static struct tunnel_event next_event(struct side *s)
{
	struct pollfd p = { .fd = tunnel_event_fd(s->tunnel), .events = POLLIN };
	struct tunnel_event got = { 0 };

	if (tunnel_next_event(s->tunnel, &got))
		return got;
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_true(tunnel_next_event(s->tunnel, &got));
	return got;
}

static void send_from(
	struct side *s, const char *to, struct side *other, const uint8_t *data, size_t len)
{
	const struct ip_addr any = { 0 };
	struct endpoint where = at(to, tunnel_port(other->tunnel));

	assert_int_equal(tunnel_send_aside(s->tunnel, &where, &any, data, len), 0);
}

/* By the side door goes what is not WireGuard's, as it is; and the way back is known. */
static void test_aside(void **state)
{
	static const struct {
		const char *to;
		int family;
	} ways[] = { { "192.0.2.1", AF_INET }, { "192.0.2.9", AF_INET },
		{ "2001:db8::1", AF_INET6 } };
	static uint8_t data[TUNNEL_ASIDE_MAX + 1];
	struct ip_prefix denied;
	struct ip_addr wanted;
	struct tunnel_event got;
	struct tunnel_counters c;

	assert_int_equal(tunnel_event_fd(b.tunnel), -1);
	assert_false(tunnel_next_event(b.tunnel, &got));
	assert_false(tunnel_next_event(a.tunnel, &got));
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		static const size_t lens[] = { 4, 20, 148, 1400, TUNNEL_ASIDE_MAX };

		wanted = at(ways[i].to, 1).addr;
		for (size_t k = 0; k < ARRAY_LEN(lens); k++) {
			randombytes_buf(data, sizeof(data));
			data[0] = (uint8_t) (k % 2 ? 1 : 200);
			data[1] = 1;
			send_from(&b, ways[i].to, &a, data, lens[k]);
			got = next_event(&a);
			assert_int_equal(got.len, lens[k]);
			assert_memory_equal(got.data, data, lens[k]);
			assert_true(ip_addr_equal(&got.to, &wanted));
			assert_int_equal(got.from.port, tunnel_port(b.tunnel));
			assert_int_equal(got.from.addr.family, ways[i].family);
			assert_true(got.ifindex > 0);
		}
	}
	assert_int_equal(tunnel_get_counters(a.tunnel, &c), 0);
	assert_int_equal(c.rx_aside, 15);
	assert_int_equal(c.rx_malformed, 0);
	assert_int_equal(c.rx_aside_lost, 0);
	/* The answer goes out from the address that was asked. */
	send_from(&b, "192.0.2.9", &a, data, 100);
	got = next_event(&a);
	assert_int_equal(tunnel_send_aside(a.tunnel,
				 &(struct endpoint){ .addr = at("192.0.2.1", 1).addr,
					 .port = tunnel_port(a.tunnel) },
				 &got.to, data, 100),
		0);
	got = next_event(&a);
	wanted = at("192.0.2.9", 1).addr;
	assert_true(ip_addr_equal(&got.from.addr, &wanted));
	/* What begins as WireGuard's is not handed on, whatever is wrong with it; nor what is too long. */
	for (uint8_t type = 1; type <= 4; type++) {
		memcpy(data, (uint8_t[4]){ type }, 4);
		send_from(&b, "192.0.2.1", &a, data, 21);
	}
	data[0] = 0;
	send_from(&b, "192.0.2.1", &a, data, 3);
	send_from(&b, "192.0.2.1", &a, data, sizeof(data));
	send_from(&b, "192.0.2.1", &a, data, 4);
	assert_int_equal(next_event(&a).len, 4);
	assert_int_equal(tunnel_get_counters(a.tunnel, &c), 0);
	assert_int_equal(c.rx_malformed, 6);
	/* Where nobody wants any, it is malformed. */
	send_from(&a, "192.0.2.1", &b, data, 100);
	do
		assert_int_equal(tunnel_get_counters(b.tunnel, &c), 0);
	while (c.rx_malformed == 0);
	/* Nothing from a denied address, and nothing to it. */
	assert_int_equal(ip_prefix_parse("192.0.2.0/30", &denied), 0);
	assert_int_equal(tunnel_set_denied_underlay(a.tunnel, &denied, 1), 0);
	send_from(&b, "192.0.2.1", &a, data, 100);
	send_from(&b, "2001:db8::1", &a, data, 5);
	assert_int_equal(next_event(&a).len, 5);
	assert_int_equal(
		tunnel_send_aside(a.tunnel, &(struct endpoint){ at("192.0.2.1", 1).addr, 9, 0 },
			&(struct ip_addr){ 0 }, data, 100),
		-EACCES);
}

/* A peer is heard elsewhere: that is told, and changes nothing. */
static void test_heard(void **state)
{
	struct tunnel_peer to_b = peer_of(&b), to_a = peer_of(&a);
	struct tunnel_event got;

	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	to_a.endpoint = at("192.0.2.1", tunnel_port(a.tunnel));
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	assert_int_equal(tunnel_initiate(b.tunnel, a.pub), 0);
	got = next_event(&a);
	assert_int_equal(got.kind, TUNNEL_HEARD);
	assert_int_equal(got.len, TUNNEL_KEY_LEN);
	assert_memory_equal(got.data, b.pub, TUNNEL_KEY_LEN);
	assert_int_equal(got.from.port, tunnel_port(b.tunnel));
	assert_true(session_within(&b, 2000));
	assert_int_equal(stats_of(&a).endpoint.addr.family, AF_UNSPEC);
	assert_false(stats_of(&a).session);
	assert_false(
		tunnel_next_event(a.tunnel, &got)); /* its keepalive is not told again at once */
	to_b.endpoint = at("192.0.2.1", tunnel_port(b.tunnel));
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_true(session_within(&a, 2000));
	/* It moves. */
	assert_int_equal(tunnel_set_port(b.tunnel, 0), 0);
	to_a.keepalive_s = 1; /* turning it on sends one */
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	got = next_event(&a);
	assert_int_equal(got.kind, TUNNEL_HEARD);
	assert_int_equal(got.from.port, tunnel_port(b.tunnel));
	assert_int_equal(stats_of(&a).endpoint.port, to_b.endpoint.port);
}

/* The port moves, and so does the side door. */
static void test_aside_moves(void **state)
{
	uint8_t data[50] = { 9 };

	assert_int_equal(tunnel_set_port(a.tunnel, 0), 0);
	assert_int_equal(tunnel_set_port(b.tunnel, 0), 0);
	send_from(&b, "192.0.2.1", &a, data, sizeof(data));
	assert_int_equal(next_event(&a).from.port, tunnel_port(b.tunnel));
}

static atomic_bool flooded;

static void *flood(void *ctx)
{
	CLEANUP(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct endpoint to = at("192.0.2.1", *(const uint16_t *) ctx);
	uint8_t data[500] = { 0x54, 0x53 };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&to, &sa);

	while (!atomic_load(&flooded))
		(void) sendto(fd, data, sizeof(data), 0, (struct sockaddr *) &sa, len);
	return NULL;
}

/* A flood of them that nobody takes, while sessions begin. */
static void test_aside_flood(void **state)
{
	struct tunnel_peer to_b = peer_of(&b), to_a = peer_of(&a);
	uint16_t port = tunnel_port(a.tunnel);
	struct tunnel_counters c = { 0 };
	pthread_t thread;

	atomic_store(&flooded, false);
	assert_int_equal(pthread_create(&thread, NULL, flood, &port), 0);
	while (c.rx_aside_lost < 100)
		assert_int_equal(tunnel_get_counters(a.tunnel, &c), 0);
	to_a.endpoint = at("192.0.2.1", port);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
		assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
		assert_int_equal(tunnel_initiate(b.tunnel, a.pub), 0);
		assert_true(session_within(&b, 2000));
		assert_int_equal(tunnel_remove_peer(b.tunnel, a.pub), 0);
		assert_int_equal(tunnel_remove_peer(a.tunnel, b.pub), 0);
	}
	atomic_store(&flooded, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(tunnel_get_counters(a.tunnel, &c), 0);
	assert_true(c.rx_aside > 50 && c.rx_aside < 2000); /* what the ring holds */
	assert_int_equal(c.rx_handshake_shed, 0);
}

/* @n datagrams have been refused unread, and none of them was told. */
static void expect_denied(struct side *s, uint64_t n)
{
	struct tunnel_counters c = { 0 };
	struct tunnel_event got;

	for (uint64_t end_us = clock_now_us() + 2 * USEC_PER_SEC; c.rx_denied < n;) {
		assert_true(clock_now_us() < end_us);
		assert_int_equal(tunnel_get_counters(s->tunnel, &c), 0);
	}
	assert_int_equal(c.rx_denied, n);
	assert_false(tunnel_next_event(s->tunnel, &got));
}

/* Nobody on this machine is a peer, but for one port that is allowed, while it is. */
static void test_loopback(void **state)
{
	const struct ip_addr any = { 0 }, other = at("127.0.0.2", 1).addr;
	struct tunnel_peer to_b = peer_of(&b), to_a = peer_of(&a);
	const struct endpoint ferry = at("127.0.0.1", tunnel_port(b.tunnel));
	const struct endpoint denied[] = { ferry, at("127.0.0.2", ferry.port),
		at("::1", ferry.port), at("127.0.0.1", (uint16_t) (ferry.port ^ 1)) };
	const struct endpoint a_at = at("127.0.0.1", tunnel_port(a.tunnel));
	const uint8_t data[40] = { 9 };

	to_b.endpoint = ferry;
	to_a.endpoint = a_at;
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_a), 0);
	assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
	assert_int_equal(stats_of(&a).endpoint.addr.family, AF_UNSPEC);
	for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
		/* Of these, the first is allowed meanwhile. */
		int wanted = i == 0 ? 0 : -EACCES;

		assert_int_equal(tunnel_set_endpoint(a.tunnel, b.pub, &denied[i]), -EACCES);
		assert_int_equal(tunnel_allow_loopback(a.tunnel, ferry.port, true), 0);
		assert_int_equal(tunnel_set_endpoint(a.tunnel, b.pub, &denied[i]), wanted);
		assert_int_equal(tunnel_send_aside(a.tunnel, &denied[i], &any, data, 40), wanted);
		assert_int_equal(tunnel_allow_loopback(a.tunnel, ferry.port, false), 0);
		assert_int_equal(tunnel_send_aside(a.tunnel, &denied[i], &any, data, 40), -EACCES);
		assert_int_equal(stats_of(&a).endpoint.addr.family, AF_UNSPEC);
	}
	/* What comes from there: neither handshakes nor anything else. */
	send_from(&b, "127.0.0.1", &a, data, sizeof(data));
	assert_int_equal(tunnel_initiate(b.tunnel, a.pub), 0);
	expect_denied(&a, 2);
	assert_int_equal(tunnel_allow_loopback(a.tunnel, ferry.port, true), 0);
	assert_int_equal(tunnel_send_aside(b.tunnel, &a_at, &other, data, sizeof(data)), 0);
	send_from(&b, "::1", &a, data, sizeof(data));
	expect_denied(&a, 4);
	send_from(&b, "127.0.0.1", &a, data, sizeof(data));
	assert_int_equal(next_event(&a).from.port, ferry.port);
	/* A session over it; then it is over, and the same endpoint is taken again. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tunnel_set_peer(a.tunnel, &to_b), 0);
		assert_int_equal(stats_of(&a).endpoint.port, ferry.port);
		assert_int_equal(tunnel_initiate(a.tunnel, b.pub), 0);
		assert_true(session_within(&a, 2000));
		assert_int_equal(tunnel_allow_loopback(a.tunnel, ferry.port, false), 0);
		assert_int_equal(stats_of(&a).endpoint.addr.family, AF_UNSPEC);
		assert_false(stats_of(&a).session);
		assert_int_equal(tunnel_initiate(a.tunnel, b.pub), -EDESTADDRREQ);
		assert_int_equal(tunnel_allow_loopback(a.tunnel, ferry.port, true), 0);
	}
}

static atomic_ulong reserved, asked;
static atomic_bool refuse;

static int reserve(void *ctx, uint64_t until_s)
{
	atomic_fetch_add(&asked, 1);
	if (atomic_load(&refuse))
		return -EROFS;
	atomic_store(&reserved, until_s);
	return 0;
}

static void test_timestamps(void **state)
{
	struct side c = { 0 };
	struct tunnel_peer to_b = peer_of(&b), to_c;
	uint64_t now_s = clock_wall_us() / USEC_PER_SEC, floor_s = now_s + 1000000;

	atomic_store(&refuse, true);
	open_side(&c, "tc",
		(struct tunnel_config){
			.reserve_timestamp = reserve, .timestamp_floor_s = floor_s });
	to_c = peer_of(&c);
	assert_int_equal(tunnel_set_peer(b.tunnel, &to_c), 0);
	to_b.endpoint = at("127.0.0.1", tunnel_port(b.tunnel));
	assert_int_equal(tunnel_set_peer(c.tunnel, &to_b), 0);
	assert_int_equal(tunnel_initiate(c.tunnel, b.pub), 0);
	assert_false(session_within(&c, 300)); /* what cannot be stored is not used */
	assert_true(atomic_load(&asked) > 0);
	atomic_store(&refuse, false);
	/* The engine tries again by itself within the handshake's retry time. */
	assert_true(session_within(&c, 12000));
	assert_true(atomic_load(&reserved) > floor_s);
	c.tunnel = tunnel_close(c.tunnel);
}

static void test_persistent(void **state)
{
	struct tunnel_config config = {
		.ifname = "tp", .tun_fd = -1, .persistent = true, .mtu = 1300
	};
	struct tunnel *t = NULL;
	struct err err = { 0 };
	unsigned index;

	assert_int_equal(tunnel_open(&config, &t, &err), 0);
	assert_string_equal(tunnel_ifname(t), "tp");
	index = if_nametoindex("tp");
	t = tunnel_close(t);
	assert_int_equal(if_nametoindex("tp"), index); /* still there */
	config.mtu = 0;
	assert_int_equal(tunnel_open(&config, &t, &err), 0);
	assert_int_equal(if_nametoindex("tp"), index);
	t = tunnel_close(t);
	config.persistent = false;
	assert_int_equal(tunnel_open(&config, &t, &err), 0);
	t = tunnel_close(t);
	assert_int_equal(if_nametoindex("tp"), 0);
	assert_null(tunnel_close(NULL));
}

static void *ask(void *arg)
{
	for (int i = 0; i < 500; i++) {
		CLEANUP(free_p) struct tunnel_peer_stats *list = NULL;
		struct tunnel_counters c;
		size_t n = 0;

		if (tunnel_get_stats(a.tunnel, &list, &n) < 0 ||
			tunnel_get_counters(a.tunnel, &c) < 0)
			return arg; /* anything but NULL */
	}
	return NULL;
}

/* More than one thread may call after all: one waits for the other. */
static void test_threads(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &a), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *failed = NULL;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

/* The device goes: the loop is told, calls say so, closing is clean. */
static void test_removed(void **state)
{
	struct pollfd p = { .fd = tunnel_closed_fd(a.tunnel), .events = POLLIN };
	struct tunnel_counters c;

	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(system("ip link del ta"), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(tunnel_get_counters(a.tunnel, &c), -ENODEV);
	assert_int_equal(tunnel_set_private_key(a.tunnel, a.key), -ENODEV);
	assert_int_equal(tunnel_port(a.tunnel), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(tunnel_get_counters(b.tunnel, &c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_session, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_endpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aside, setup_managed, teardown),
		cmocka_unit_test_setup_teardown(test_heard, setup_managed, teardown),
		cmocka_unit_test_setup_teardown(test_aside_moves, setup_managed, teardown),
		cmocka_unit_test_setup_teardown(test_aside_flood, setup_managed, teardown),
		cmocka_unit_test_setup_teardown(test_loopback, setup_managed, teardown),
		cmocka_unit_test_setup_teardown(test_timestamps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_persistent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
