/*
 * packet/segment.h and packet/coalesce.h against the kernel itself. A TUN device is a mirror: what the kernel
 * sends into it is split, source and destination change places (which no checksum notices), and it is
 * joined and written back. A UDP socket receives its own datagrams, and a TCP socket is connected to
 * itself by a simultaneous open (RFC 9293 section 3.5): every byte crosses both modules twice over.
 *
 * Run in a network namespace of its own, as root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sys/tun/tun.h"
#include "packet/coalesce.h"
#include "packet/segment.h"

enum {
	ROOM = 2 * 65536 + 128 * 256, /* the packets that one super-packet of 64 KB becomes */
	DATAGRAM = 1000,
	TCP_BYTES = 16 << 20,
	PORT = 5000,
	PATIENCE_MS = 10000,
};

static struct {
	int tun;
	struct tun_offload offload;
	pthread_t thread;
	struct coalesce coalesce;
	uint8_t in[65536 + VNET_HEAD_LEN], out[ROOM];
	_Atomic bool stop;
	/* Set while nothing is in flight. */
	_Atomic bool join, spoil;
	_Atomic unsigned read_super, wrote_super, refused;
} mirror;

static void mirror_write(void *ctx, const struct vnet_head *head, struct iovec *iov, int n)
{
	/* Counted first: who waits for the packet looks at the counters when it has arrived. */
	mirror.wrote_super += head->gso != VNET_GSO_NONE;
	if (writev(mirror.tun, iov, n) < 0)
		mirror.refused++;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t room[16];

	memcpy(room, a, n);
	memcpy(a, b, n);
	memcpy(b, room, n);
}

/* Addresses, and the ports of TCP and UDP. */
static void turn_round(uint8_t *p)
{
	bool v6 = p[0] >> 4 == 6;
	int protocol = v6 ? p[6] : p[9];
	uint8_t *ports = p + (v6 ? 40 : (p[0] & 15) * 4);

	if (v6)
		swap(p + 8, p + 24, 16);
	else
		swap(p + 12, p + 16, 4);
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		swap(ports, ports + 2, 2);
}

static void reflect(uint8_t *packet, size_t len, const struct vnet_head *head)
{
	struct segment_plan plan;
	size_t used = 0;

	if (segment_plan(head, packet, len, &plan) < 0) {
		mirror.refused++;
		return;
	}
	mirror.read_super += plan.n > 1;
	mirror.coalesce.tcp = mirror.coalesce.udp = mirror.join;
	for (size_t i = 0; i < plan.n && used + 2048 < sizeof(mirror.out); i++) {
		uint8_t *p = mirror.out + used;
		const uint8_t *payload;
		size_t payload_len;

		segment_head(&plan, i, p, &payload, &payload_len);
		memcpy(p + plan.head_len, payload, payload_len);
		used += plan.head_len + payload_len;
		turn_round(p);
		if (mirror.spoil && i == 3)
			p[plan.head_len + payload_len / 2] ^= 1;
		coalesce_add(&mirror.coalesce, p, plan.head_len + payload_len);
	}
	coalesce_flush(&mirror.coalesce);
}

static void *mirror_run(void *unused)
{
	while (!mirror.stop) {
		struct pollfd p = { .fd = mirror.tun, .events = POLLIN };
		struct vnet_head head;
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(mirror.tun, mirror.in, sizeof(mirror.in));
		if (n < VNET_HEAD_LEN)
			continue;
		if (vnet_parse(mirror.in, &head) < 0)
			mirror.refused++;
		else
			reflect(mirror.in + VNET_HEAD_LEN, (size_t) n - VNET_HEAD_LEN, &head);
	}
	return NULL;
}

static int setup(void **state)
{
	char name[IF_NAMESIZE];
	struct err err = { 0 };

	mirror.tun = tun_open("mirror", false, true, name, &mirror.offload, &err);
	if (mirror.tun < 0)
		fail_msg("%s", err.text);
	if (!mirror.offload.tso)
		fail_msg("the kernel offers no TCP super-packets");
	assert_int_equal(system("ip link set mirror up mtu 1500 && ip addr add 192.0.2.1/24 dev "
				"mirror && ip addr add 2001:db8::1/64 dev mirror nodad"),
		0);
	coalesce_init(&mirror.coalesce, true, true, mirror_write, NULL);
	assert_int_equal(pthread_create(&mirror.thread, NULL, mirror_run, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	mirror.stop = true;
	(void) pthread_join(mirror.thread, NULL);
	(void) close(mirror.tun);
	return 0;
}

static void configure(bool join, bool spoil)
{
	mirror.join = join;
	mirror.spoil = spoil;
	mirror.read_super = mirror.wrote_super = mirror.refused = 0;
}

/* A counter of /proc/net/snmp or snmp6, such as "Udp InCsumErrors". */
static unsigned long counter(const char *protocol, const char *name, const char *v6_name)
{
	CLEANUP(free_p) char *command = NULL;
	char line[64];
	unsigned long value = 0;
	int lines = 0;
	FILE *f;

	assert_true(asprintf(&command,
			    "awk '/^%s:/ { if (!n) { for (n = 2; n <= NF && $n != \"%s\"; n++); } "
			    "else print $n }' /proc/thread-self/net/snmp; "
			    "awk '$1 == \"%s\" { print $2 }' /proc/thread-self/net/snmp6",
			    protocol, name, v6_name) > 0);
	f = popen(command, "re");
	assert_non_null(f);
	for (; fgets(line, sizeof(line), f); lines++)
		value += strtoul(line, NULL, 10);
	(void) pclose(f);
	assert_true(lines > 0);
	return value;
}

/* A socket on our address, connected to an address behind the mirror: the same port on both sides. */
static int open_socket(bool v6, int type)
{
	struct sockaddr_in own4 = { .sin_family = AF_INET, .sin_port = htons(PORT) }, peer4 = own4;
	struct sockaddr_in6 own6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) },
			    peer6 = own6;
	struct timeval patience = { PATIENCE_MS / 1000, 0 };
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0), on = 1, size = 4 << 20;

	assert_true(fd >= 0);
	(void) inet_pton(AF_INET, "192.0.2.1", &own4.sin_addr);
	(void) inet_pton(AF_INET, "192.0.2.2", &peer4.sin_addr);
	(void) inet_pton(AF_INET6, "2001:db8::1", &own6.sin6_addr);
	(void) inet_pton(AF_INET6, "2001:db8::2", &peer6.sin6_addr);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	if (v6) {
		assert_int_equal(bind(fd, (struct sockaddr *) &own6, sizeof(own6)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *) &peer6, sizeof(peer6)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *) &own4, sizeof(own4)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *) &peer4, sizeof(peer4)), 0);
	}
	return fd;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t) (i * 2654435761u >> 13);
}

/* Sends @len bytes in datagrams of DATAGRAM; all but number @lost come back, in order. */
static void echo_datagrams(int fd, size_t len, size_t lost)
{
	CLEANUP(free_p) uint8_t *text = malloc(len);
	uint8_t back[2 * DATAGRAM];

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = byte_at(i);
	assert_int_equal(send(fd, text, len, 0), len);
	for (size_t i = 0; i * DATAGRAM < len; i++) {
		size_t left = len - i * DATAGRAM, part = left < DATAGRAM ? left : DATAGRAM;

		if (i == lost)
			continue;
		if (recv(fd, back, sizeof(back), 0) != (ssize_t) part)
			fail_msg("datagram %zu of %zu bytes: %s", i, len, strerror(errno));
		assert_memory_equal(back, text + i * DATAGRAM, part);
	}
	assert_int_equal(recv(fd, back, sizeof(back), MSG_DONTWAIT), -1);
}

static void echo_udp(bool v6, bool join)
{
	CLEANUP(close_p) int fd = open_socket(v6, SOCK_DGRAM);
	unsigned long wrong = counter("Udp", "InCsumErrors", "Udp6InCsumErrors");
	int size = DATAGRAM;

	configure(join, false);
	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	for (size_t len = 1; len < 64000; len += 1499)
		echo_datagrams(fd, len, SIZE_MAX);
	assert_true(mirror.read_super > 30);
	if (join)
		assert_true(mirror.wrote_super > 30);
	else
		assert_int_equal(mirror.wrote_super, 0);
	assert_int_equal(mirror.refused, 0);
	assert_int_equal(counter("Udp", "InCsumErrors", "Udp6InCsumErrors"), wrong);
}

static void test_udp(void **state)
{
	if (!mirror.offload.uso) {
		print_message("this kernel has no UDP super-packets for TUN (before 6.2)\n");
		skip();
	}
	for (int kind = 0; kind < 4; kind++)
		echo_udp(kind & 1, kind & 2);
}

/* A datagram that was spoilt on the way is not hidden among the others: the kernel drops it. */
static void test_udp_spoilt(void **state)
{
	if (!mirror.offload.uso)
		skip();
	for (int v6 = 0; v6 < 2; v6++) {
		CLEANUP(close_p) int fd = open_socket(v6, SOCK_DGRAM);
		unsigned long wrong = counter("Udp", "InCsumErrors", "Udp6InCsumErrors");
		int size = DATAGRAM;

		configure(true, true);
		assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
		for (size_t i = 0; i < 10; i++)
			echo_datagrams(fd, 20 * DATAGRAM, 3);
		assert_true(mirror.wrote_super >= 20);
		assert_int_equal(counter("Udp", "InCsumErrors", "Udp6InCsumErrors"), wrong + 10);
	}
}

/* Sends as much as fits, from @sent on. */
static size_t send_some(int fd, size_t sent)
{
	uint8_t text[65536];
	size_t n = sizeof(text) - sent % 997; /* of many sizes */
	ssize_t r;

	if (n > TCP_BYTES - sent)
		n = TCP_BYTES - sent;
	for (size_t i = 0; i < n; i++)
		text[i] = byte_at(sent + i);
	r = send(fd, text, n, MSG_DONTWAIT);
	return r > 0 ? (size_t) r : 0;
}

static void echo_tcp(bool v6, bool join, bool spoil)
{
	unsigned long wrong = counter("Tcp", "InCsumErrors", "Tcp6InCsumErrors");
	CLEANUP(close_p) int fd = -1;
	size_t sent = 0, got = 0;
	struct linger reset = { 1, 0 };
	uint8_t back[65536];

	configure(join, spoil);
	fd = open_socket(v6, SOCK_STREAM);
	while (got < TCP_BYTES) {
		struct pollfd p = { .fd = fd,
			.events = (short) (POLLIN | (sent < TCP_BYTES ? POLLOUT : 0)) };
		ssize_t n;

		if (poll(&p, 1, PATIENCE_MS) <= 0)
			fail_msg("IPv%d: nothing moves after %zu bytes", v6 ? 6 : 4, got);
		if (p.revents & POLLOUT)
			sent += send_some(fd, sent);
		if (!(p.revents & ~POLLOUT))
			continue;
		n = recv(fd, back, sizeof(back), 0);
		if (n <= 0)
			fail_msg("after %zu bytes: %s", got, strerror(errno));
		for (ssize_t i = 0; i < n; i++)
			if (back[i] != byte_at(got + (size_t) i))
				fail_msg("byte %zu is wrong", got + (size_t) i);
		got += (size_t) n;
	}
	print_message("IPv%d %s%s: %u super-packets split, %u joined\n", v6 ? 6 : 4,
		join ? "joined" : "single", spoil ? ", spoilt" : "", mirror.read_super,
		mirror.wrote_super);
	assert_true(mirror.read_super > 50);
	assert_true(join ? mirror.wrote_super > 50 : mirror.wrote_super == 0);
	assert_int_equal(mirror.refused, 0);
	wrong = counter("Tcp", "InCsumErrors", "Tcp6InCsumErrors") - wrong;
	assert_true(spoil ? wrong > 10 : wrong == 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
}

static void test_tcp(void **state)
{
	for (int kind = 0; kind < 4; kind++)
		echo_tcp(kind & 1, kind & 2, false);
}

static void test_tcp_spoilt(void **state)
{
	echo_tcp(false, true, true);
	echo_tcp(true, true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_spoilt),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_spoilt),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
