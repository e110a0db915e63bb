/* ping: what is sent, what counts as a reply at a raw ICMP socket, and the one end of each echo. */
#include "fake-core.h"

#include <fcntl.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "node/ping.h"

static const uint8_t nonce[PING_NONCE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* An IPv4 packet with a header of @words words that holds an echo reply; returns its length. */
static size_t make4(unsigned words, uint8_t *ret)
{
	memset(ret, 0, words * 4 + 8);
	ret[0] = (uint8_t) (0x40 | words);
	memcpy(ret + words * 4 + 4, "IDSQ", 4);
	memcpy(ret + words * 4 + 8, nonce, sizeof(nonce));
	return words * 4 + 16;
}

static void test_ipv4(void **state)
{
	uint8_t data[128];
	struct ping_reply reply = { 0 };

	for (unsigned words = 5; words <= 15; words++) {
		size_t len = make4(words, data);

		assert_true(ping_parse_reply(AF_INET, data, len, &reply));
		assert_memory_equal(&reply.id, "ID", 2);
		assert_memory_equal(&reply.seq, "SQ", 2);
		assert_memory_equal(reply.nonce, nonce, sizeof(nonce));
		for (size_t cut = 0; cut < len; cut++)
			assert_false(ping_parse_reply(AF_INET, data, cut, &reply));
		data[words * 4] = 8; /* a request */
		assert_false(ping_parse_reply(AF_INET, data, len, &reply));
	}
}

static void test_ipv6(void **state)
{
	uint8_t data[16] = { 129, 0, 0, 0, 'I', 'D', 'S', 'Q', 1, 2, 3, 4, 5, 6, 7, 8 };
	struct ping_reply reply = { 0 };

	assert_true(ping_parse_reply(AF_INET6, data, sizeof(data), &reply));
	assert_memory_equal(reply.nonce, nonce, sizeof(nonce));
	assert_false(ping_parse_reply(AF_INET6, data, sizeof(data) - 1, &reply));
	data[1] = 1;
	assert_false(ping_parse_reply(AF_INET6, data, sizeof(data), &reply));
}

/* --- instead of raw sockets --- */

enum { PACKETS_MAX = 70, SENT_MAX = 66000 };

static struct {
	unsigned opened;
	int family, protocol; /* of the last one */
	char device[16];      /* that it was bound to */
	unsigned filters;
	int open, set, send; /* these fail with this errno, */
	int name;            /* only for this option; 0: for the first */
	unsigned send_times; /* so often */
	/* what was sent last */
	unsigned sent;
	uint8_t data[SENT_MAX];
	size_t len;
	struct endpoint to;
	/* what is there to be read */
	struct {
		uint8_t data[128];
		size_t len;
		struct ip_addr from;
	} packets[PACKETS_MAX];
	size_t n_packets, n_read;
	int fds[2]; /* of IPv4's and IPv6's socket */
} net;

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	int fd;

	assert_int_equal(type, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (net.open) {
		errno = net.open;
		return -1;
	}
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	net.opened++;
	net.family = family;
	net.protocol = protocol;
	net.fds[family == AF_INET6] = fd;
	return fd;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (net.set && (!net.name || net.name == name)) {
		errno = net.set;
		return -1;
	}
	if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
		(void) snprintf(
			net.device, sizeof(net.device), "%.*s", (int) len, (const char *) value);
	else
		net.filters++;
	return 0;
}

ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	socklen_t to_len)
{
	assert_int_equal(fd, net.fds[to->sa_family == AF_INET6]);
	if (net.send_times) {
		net.send_times--;
		errno = net.send;
		return -1;
	}
	assert_true(len <= sizeof(net.data));
	memcpy(net.data, data, len);
	net.len = len;
	assert_int_equal(endpoint_from_sockaddr(to, &net.to), 0);
	net.sent++;
	return (ssize_t) len;
}

ssize_t __wrap_recvfrom(
	int fd, void *data, size_t len, int flags, struct sockaddr *from, socklen_t *from_len);
ssize_t __wrap_recvfrom(
	int fd, void *data, size_t len, int flags, struct sockaddr *from, socklen_t *from_len)
{
	struct endpoint endpoint = { 0 };

	if (net.n_read == net.n_packets) {
		errno = EAGAIN;
		return -1;
	}
	endpoint.addr = net.packets[net.n_read].from;
	*from_len = endpoint_to_sockaddr(&endpoint, (struct sockaddr_storage *) from);
	memcpy(data, net.packets[net.n_read].data, net.packets[net.n_read].len);
	return (ssize_t) net.packets[net.n_read++].len;
}

/* --- a board that asks --- */

static struct core *core;
static struct ping *ping;
static struct ip_addr to4, to6;

struct end {
	int64_t result;
	unsigned times;
};

/* Whoever waits must outlive the test. */
static struct end ends[3];

static void ended(void *ctx, int64_t result)
{
	struct end *end = ctx;

	end->result = result;
	end->times++;
}

static int set_up(void **state)
{
	memset(&net, 0, sizeof(net));
	memset(ends, 0, sizeof(ends));
	core = fake_core_new();
	assert_int_equal(ip_addr_parse("10.77.0.2", &to4), 0);
	assert_int_equal(ip_addr_parse("fd12:3456:789a::2", &to6), 0);
	assert_int_equal(ping_new(core->event, "hearth0", &ping, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	ping = ping_free(ping);
	for (size_t i = 0; i < ARRAY_LEN(net.fds); i++)
		assert_true(!net.fds[i] || fcntl(net.fds[i], F_GETFD) < 0);
	core = fake_core_free(core);
	return 0;
}

static int ask(const struct ip_addr *to, uint64_t timeout_us, struct end *end)
{
	return ping_send(ping, to, PING_SIZE_DEFAULT, timeout_us, ended, end, NULL);
}

/* What was sent last comes back from @from as it should; returns it, to be changed. */
static uint8_t *answer(const struct ip_addr *from)
{
	size_t skip = from->family == AF_INET ? 20 : 0, i = net.n_packets++;
	uint8_t *data = net.packets[i].data;

	assert_true(i < PACKETS_MAX && skip + net.len <= sizeof(net.packets[i].data));
	memset(data, 0, skip);
	data[0] = 0x45;
	memcpy(data + skip, net.data, net.len);
	data[skip] = from->family == AF_INET ? 0 : ICMP6_ECHO_REPLY;
	net.packets[i].len = skip + net.len;
	net.packets[i].from = *from;
	return data + skip;
}

/* What is there is read. */
static void hear(int family)
{
	fake_event_ready(net.fds[family == AF_INET6]);
	net.n_packets = net.n_read = 0;
}

/* --- what is sent --- */

/* RFC 1071: with its checksum it sums up to all ones. */
static bool sums_up(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? data[i] : (uint32_t) data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static void test_sent_by_ipv4(void **state)
{
	static const uint8_t none[PING_NONCE];
	uint8_t first[16];

	assert_int_equal(net.opened, 0);
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	assert_int_equal(net.opened, 1);
	assert_int_equal(net.family, AF_INET);
	assert_int_equal(net.protocol, IPPROTO_ICMP);
	assert_string_equal(net.device, "hearth0");
	assert_int_equal(net.filters, 1);
	assert_true(ip_addr_equal(&net.to.addr, &to4));
	assert_int_equal(net.len, 8 + PING_SIZE_DEFAULT);
	assert_int_equal(net.data[0], 8);
	assert_int_equal(net.data[1], 0);
	assert_true(sums_up(net.data, net.len));
	assert_memory_not_equal(net.data + 8, none, PING_NONCE);
	for (size_t i = PING_NONCE; i < PING_SIZE_DEFAULT; i++)
		assert_int_equal(net.data[8 + i], i);
	memcpy(first, net.data, sizeof(first));
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	assert_int_equal(net.opened, 1);
	assert_memory_equal(first + 4, net.data + 4, 2); /* the same who asks, another number */
	assert_int_equal(net.data[6] << 8 | net.data[7], (first[6] << 8 | first[7]) + 1);
	assert_memory_not_equal(first + 8, net.data + 8, PING_NONCE);
}

static void test_sent_by_ipv6(void **state)
{
	assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[0]), 0);
	assert_int_equal(net.family, AF_INET6);
	assert_int_equal(net.protocol, IPPROTO_ICMPV6);
	assert_string_equal(net.device, "hearth0");
	assert_int_equal(net.filters, 1);
	assert_true(ip_addr_equal(&net.to.addr, &to6));
	assert_int_equal(net.data[0], ICMP6_ECHO_REQUEST);
	assert_int_equal(net.data[2] | net.data[3], 0); /* the kernel's */
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	assert_int_equal(net.opened, 2);
}

static void test_sizes(void **state)
{
	static const size_t good[] = { PING_SIZE_MIN, PING_SIZE_MIN + 1, PING_SIZE_MAX },
			    bad[] = { 0, PING_SIZE_MIN - 1, PING_SIZE_MAX + 1 };
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(ping_send(ping, &to4, good[i], 0, NULL, NULL, NULL), 0);
		assert_int_equal(net.len, 8 + good[i]);
		assert_true(sums_up(net.data, net.len));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ping_send(ping, &to4, bad[i], 0, NULL, NULL, &err), -EINVAL);
	assert_string_equal(err.text, "16 to 65000 bytes can be sent");
	assert_int_equal(net.sent, ARRAY_LEN(good));
	assert_int_equal(fake_event_next_us(), UINT64_MAX); /* nobody waits */
}

/* --- its one end --- */

static void test_answered(void **state)
{
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	fake_event_pass(1234);
	(void) answer(&to4);
	(void) answer(&to4);
	hear(AF_INET);
	assert_int_equal(ends[0].times, 1);
	assert_int_equal(ends[0].result, 1234);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[1]), 0);
	fake_event_pass(77);
	(void) answer(&to6);
	hear(AF_INET6);
	assert_int_equal(ends[1].times, 1);
	assert_int_equal(ends[1].result, 77);
}

/* What a stranger makes up, or what was meant for another. */
static void test_not_the_answer(void **state)
{
	struct ip_addr other = to4;

	other.bytes[3]++;
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	(void) answer(&other);
	answer(&to4)[0] = 8;
	answer(&to4)[1] = 1;
	answer(&to4)[4]++;
	answer(&to4)[7]++;
	answer(&to4)[15]++;
	(void) answer(&to4);
	net.packets[net.n_packets - 1].len = 20 + 15;
	hear(AF_INET);
	assert_int_equal(ends[0].times, 0);
	(void) answer(&to4);
	hear(AF_INET);
	assert_int_equal(ends[0].times, 1);
}

/* Whoever keeps us reading does not keep the loop. */
static void test_many_packets(void **state)
{
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	for (unsigned i = 0; i < 64; i++)
		answer(&to4)[1] = 1;
	(void) answer(&to4);
	fake_event_ready(net.fds[0]);
	assert_int_equal(net.n_read, 64);
	assert_int_equal(ends[0].times, 0);
	hear(AF_INET);
	assert_int_equal(ends[0].times, 1);
}

static void test_late(void **state)
{
	struct end *first = &ends[0], *second = &ends[1], *third = &ends[2];

	assert_int_equal(ask(&to4, 3 * USEC_PER_SEC, third), 0);
	assert_int_equal(ask(&to4, USEC_PER_SEC, first), 0);
	assert_int_equal(ask(&to4, 2 * USEC_PER_SEC, second), 0);
	fake_event_pass(USEC_PER_SEC - 1);
	assert_int_equal(first->times, 0);
	fake_event_pass(1);
	assert_int_equal(first->times, 1);
	assert_int_equal(first->result, -ETIMEDOUT);
	assert_int_equal(second->times + third->times, 0);
	(void) answer(&to4); /* to the second one, which was sent last */
	hear(AF_INET);
	assert_int_equal(second->times, 1);
	assert_int_equal(second->result, USEC_PER_SEC);
	assert_int_equal(third->times, 0);
	assert_int_equal(fake_event_next_us(), 2 * USEC_PER_SEC);
	/* Two at once, and the loop had no time for them. */
	assert_int_equal(ask(&to4, USEC_PER_SEC, first), 0);
	fake_event_stall(5 * USEC_PER_SEC);
	fake_event_pass(0);
	assert_int_equal(first->times, 2);
	assert_int_equal(third->times, 1);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

static void test_too_many(void **state)
{
	struct err err = { 0 };

	for (unsigned i = 0; i < PING_WAITING_MAX; i++)
		assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	assert_int_equal(
		ping_send(ping, &to4, PING_SIZE_DEFAULT, USEC_PER_SEC, ended, &ends[0], &err),
		-EBUSY);
	assert_string_equal(err.text, "too many pings are under way");
	fake_event_pass(USEC_PER_SEC);
	assert_int_equal(ends[0].times, PING_WAITING_MAX);
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
}

/* --- what goes wrong --- */

/* The interface was made anew. */
static void test_another_interface(void **state)
{
	static const int gone[] = { ENODEV, ENXIO };
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
		assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[0]), 0);
		net.opened = 0;
		net.send = gone[i];
		net.send_times = 1;
		assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
		assert_int_equal(net.opened, 1);
		assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[0]), 0);
		assert_int_equal(net.opened, 2); /* that one, too */
		net.send_times = 2;
		assert_int_equal(
			ping_send(ping, &to4, PING_SIZE_DEFAULT, 0, NULL, NULL, &err), -gone[i]);
	}
	assert_string_equal(
		err.text, "send an echo request through hearth0: No such device or address");
	net.opened = 0;
	net.send = ENETUNREACH; /* it is the same */
	net.send_times = 1;
	assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[0]), -ENETUNREACH);
	assert_int_equal(net.opened, 1); /* none since the last time was closed for it */
	net.send_times = 1;
	assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[0]), -ENETUNREACH);
	assert_int_equal(net.opened, 1);
}

static void test_no_socket(void **state)
{
	static const int names[] = { SO_BINDTODEVICE, 0 };

	net.open = EPERM;
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), -EPERM);
	net.open = 0;
	net.set = ENOPROTOOPT;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		net.name = names[i];
		assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), -ENOPROTOOPT);
		assert_int_equal(fcntl(net.fds[0], F_GETFD), -1);
	}
	net.name = ICMP6_FILTER;
	assert_int_equal(ask(&to6, USEC_PER_SEC, &ends[0]), -ENOPROTOOPT);
	assert_int_equal(fcntl(net.fds[1], F_GETFD), -1);
	net.set = 0;
	fake_event_fails = -ENOMEM;
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), -ENOMEM);
	fake_event_fails = 0;
	assert_int_equal(fake_event_next_us(), UINT64_MAX); /* nobody waits for those */
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	assert_int_equal(ends[0].times, 0);
}

static void test_no_timer(void **state)
{
	struct ping *other = NULL;
	struct err err = { 0 };

	fake_event_fails = -ENOMEM;
	assert_int_equal(ping_new(core->event, "hearth0", &other, &err), -ENOMEM);
	assert_string_equal(err.text, "cannot set up a timer: Cannot allocate memory");
	assert_null(other);
	assert_null(ping_free(NULL));
}

/* --- the end --- */

/* Who hears of it may want to try again. */
static void tries_again(void *ctx, int64_t result)
{
	struct end *end = ctx;

	end->times++;
	end->result = ask(&to4, USEC_PER_SEC, end);
}

static void test_ends(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		assert_int_equal(ping_send(ping, &to4, PING_SIZE_DEFAULT, USEC_PER_SEC, tries_again,
					 &ends[i], NULL),
			0);
	ping = ping_free(ping);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		assert_int_equal(ends[i].times, 1);
		assert_int_equal(ends[i].result, -ECANCELED);
	}
}

static void test_each_hears_of_the_end(void **state)
{
	assert_int_equal(ask(&to4, USEC_PER_SEC, &ends[0]), 0);
	ping = ping_free(ping);
	assert_int_equal(ends[0].times, 1);
	assert_int_equal(ends[0].result, -ECANCELED);
}

/* Not through the tunnel: it goes as routes lead. */
static void test_past_the_tunnel(void **state)
{
	struct ping *other = NULL;

	assert_int_equal(ping_new(core->event, NULL, &other, NULL), 0);
	assert_int_equal(
		ping_send(other, &to4, PING_SIZE_DEFAULT, USEC_PER_SEC, NULL, NULL, NULL), 0);
	assert_string_equal(net.device, "");
	assert_int_equal(net.filters, 1);
	other = ping_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		TEST(sent_by_ipv4),
		TEST(sent_by_ipv6),
		TEST(sizes),
		TEST(answered),
		TEST(not_the_answer),
		TEST(many_packets),
		TEST(late),
		TEST(too_many),
		TEST(another_interface),
		TEST(no_socket),
		TEST(no_timer),
		TEST(ends),
		TEST(each_hears_of_the_end),
		TEST(past_the_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
