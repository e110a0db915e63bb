/*
 * The relay's port over real sockets on the loopback: members bind, what they send comes out whole
 * at whom it is for and nowhere else, trains stay trains, and everything else is dropped and
 * counted.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/clock.h"
#include "relay-maker.h"
#include "relay/udp.h"
#include "wire/stun.h"

enum { TRAIN_MAX = 65000 };

/* --- a kernel that refuses --- */

static int full_family = -1; /* its send buffer is full */
static bool source_is_gone;  /* no address of ours is accepted */
static unsigned refused;
static int broken_family = -1; /* it refuses everything */
static int without_gso = -1;   /* this family cannot cut trains */

static bool names_source(const struct mmsghdr *msg)
{
	struct msghdr hdr = msg->msg_hdr;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&hdr); c; c = CMSG_NXTHDR(&hdr, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			return true;
	return false;
}

static unsigned wholes; /* messages that nobody may fragment */

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	int domain, discover = 0;
	socklen_t len = sizeof(domain);

	(void) getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	if (domain == AF_INET)
		(void) getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, &len);
	wholes += discover == IP_PMTUDISC_PROBE ? n : 0;
	if (domain == full_family) {
		errno = EAGAIN;
		return -1;
	}
	if (domain == broken_family) {
		errno = EPERM;
		return -1;
	}
	if (source_is_gone && names_source(msgs)) {
		refused++;
		errno = EINVAL;
		return -1;
	}
	return __real_sendmmsg(fd, msgs, n, flags);
}

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int domain;
	socklen_t domain_len = sizeof(domain);

	(void) getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len);
	if (domain == without_gso && level == IPPROTO_UDP && name == UDP_SEGMENT) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return __real_setsockopt(fd, level, name, value, len);
}

/* --- a relay and its members --- */

struct world {
	struct maker maker;
	struct relay_core core;
	struct udp *udp;
	int fds[MAKER_MEMBERS]; /* connected to the relay, or -1 */
	uint32_t sessions[MAKER_MEMBERS];
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct udp_options options = { .port = 0 };
	struct err err = { 0 };

	maker_init(&w->maker);
	memcpy(w->core.secret, w->maker.secret, sizeof(w->core.secret));
	memcpy(w->core.key, w->maker.key, sizeof(w->core.key));
	w->core.members = members_new();
	assert_int_equal(members_set(w->core.members, w->maker.list, MAKER_MEMBERS), 0);
	assert_int_equal(sd_event_new(&w->core.event), 0);
	assert_int_equal(udp_new(&w->core, &options, &w->udp, &err), 0);
	for (size_t i = 0; i < MAKER_MEMBERS; i++)
		w->fds[i] = -1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	full_family = broken_family = without_gso = -1;
	source_is_gone = false;
	for (size_t i = 0; i < MAKER_MEMBERS; i++)
		if (w->fds[i] >= 0)
			(void) close(w->fds[i]);
	(void) udp_free(w->udp);
	(void) members_free(w->core.members);
	(void) sd_event_unref(w->core.event);
	free(w);
	return 0;
}

/* The relay does what there is to do. */
static void turn(struct world *w)
{
	while (sd_event_run(w->core.event, 0) > 0)
		;
}

static uint64_t fates(const struct world *w, enum fate fate)
{
	return udp_counters(w->udp)->fates[fate];
}

static int connect_to_relay(const struct world *w, const char *address)
{
	struct endpoint relay = { .port = udp_port(w->udp) };
	struct sockaddr_storage sa;
	const int on = 1;
	socklen_t len;
	int fd;

	assert_int_equal(ip_addr_parse(address, &relay.addr), 0);
	len = endpoint_to_sockaddr(&relay, &sa);
	fd = socket(relay.addr.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, len), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)), 0);
	return fd;
}

static void send_to_relay(const struct world *w, size_t i, const void *data, size_t len)
{
	assert_int_equal(send(w->fds[i], data, len, 0), len);
}

/* What member @i has received; 0: nothing. *ret_segment: of a train, else 0. */
static size_t receive_message(
	struct world *w, size_t i, uint8_t *ret_data, size_t capacity, size_t *ret_segment)
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

	turn(w);
	n = recvmsg(w->fds[i], &hdr, MSG_DONTWAIT);
	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	c = CMSG_FIRSTHDR(&hdr);
	if (c && c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	*ret_segment = (size_t) size;
	return (size_t) n;
}

static size_t receive(struct world *w, size_t i, uint8_t *ret_data, size_t capacity)
{
	size_t segment;

	return receive_message(w, i, ret_data, capacity, &segment);
}

static void expect_nothing(struct world *w, size_t i)
{
	uint8_t data[2048];

	assert_int_equal(receive(w, i, data, sizeof(data)), 0);
}

/* Binds member @i from a socket of its own that is connected to the relay's @address. */
static void bind_member(struct world *w, size_t i, const char *address)
{
	uint8_t data[UDPRELAY_BIND_LEN], answer[2048];
	struct udprelay_cookie cookie;
	struct udprelay_bound bound;
	size_t len;

	if (w->fds[i] < 0)
		w->fds[i] = connect_to_relay(w, address);
	turn(w); /* it has derived the keys then, too */
	maker_bind(&w->maker, i, NULL, 7, data);
	send_to_relay(w, i, data, sizeof(data));
	len = receive(w, i, answer, sizeof(answer));
	assert_int_equal(udprelay_cookie_parse(answer, len, &cookie), 0);
	maker_bind(&w->maker, i, cookie.cookie, 8, data);
	send_to_relay(w, i, data, sizeof(data));
	len = receive(w, i, answer, sizeof(answer));
	assert_int_equal(udprelay_bound_open(w->maker.keys[i], answer, len, &bound), 0);
	w->sessions[i] = bound.session;
}

static size_t make_data(const struct world *w, size_t from, size_t to, uint8_t fill, size_t payload,
	uint8_t *ret_data)
{
	udprelay_data_head(ret_data, w->sessions[from], w->maker.list[to].id);
	memset(ret_data + UDPRELAY_DATA_HEAD_LEN, fill, payload);
	return UDPRELAY_DATA_HEAD_LEN + payload;
}

static void check_data(const struct world *w, size_t from, size_t to, uint8_t fill, size_t payload,
	const uint8_t *data, size_t len)
{
	uint32_t session, node;

	assert_int_equal(len, UDPRELAY_DATA_HEAD_LEN + payload);
	assert_true(udprelay_data_parse(data, len, &session, &node));
	assert_int_equal(session, w->sessions[to]);
	assert_int_equal(node, w->maker.list[from].id);
	for (size_t i = UDPRELAY_DATA_HEAD_LEN; i < len; i++)
		assert_int_equal(data[i], fill);
}

/* @size: of each datagram but the last. */
static bool try_train(const struct world *w, size_t i, uint8_t *data, size_t len, size_t size)
{
	struct iovec iov = { .iov_base = data, .iov_len = len };
	uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct msghdr hdr = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
	uint16_t segment = (uint16_t) size;

	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	return sendmsg(w->fds[i], &hdr, 0) == (ssize_t) len;
}

static void send_train(const struct world *w, size_t i, uint8_t *data, size_t len, size_t size)
{
	assert_true(try_train(w, i, data, len, size));
}

/* --- the tests --- */

/* Both families, between them, and an address of the relay's that the kernel would not choose. */
static void test_carries(void **state)
{
	static const size_t payloads[] = { 1, 100, 1400, UDPRELAY_PAYLOAD_MAX };
	struct world *w = *state;
	uint8_t data[UDPRELAY_PAYLOAD_MAX + 100];
	uint64_t n = 0;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.9");
	bind_member(w, 2, "::1");
	assert_int_equal(udp_bound(w->udp), 3);
	for (size_t from = 0; from < 3; from++)
		for (size_t to = 0; to < 3; to++)
			for (size_t k = 0; k < 4 && from != to; k++) {
				uint8_t fill = (uint8_t) (1 + n);
				size_t len = make_data(w, from, to, fill, payloads[k], data);

				send_to_relay(w, from, data, len);
				memset(data, 0, sizeof(data));
				len = receive(w, to, data, sizeof(data));
				check_data(w, from, to, fill, payloads[k], data, len);
				n++;
			}
	for (size_t i = 0; i < 3; i++)
		expect_nothing(w, i);
	assert_int_equal(fates(w, FATE_CARRIED), n);
	assert_int_equal(fates(w, FATE_BOUND), 3);
	assert_int_equal(fates(w, FATE_COOKIE), 3);
}

/* A padded ping goes on in one piece, also from the middle of a train. */
static void test_padded_ping(void **state)
{
	enum { N = 5, PAYLOAD = 1452, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN, PING = 2 };
	static const uint8_t magic[] = { 0xf0, 'H', 'D', '1' };
	struct world *w = *state;
	uint8_t *data = malloc(TRAIN_MAX), got[SIZE * N];
	size_t len = 0, at = 0, segment;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	wholes = 0;
	for (size_t i = 0; i < N; i++)
		len += make_data(w, 0, 1, (uint8_t) i, PAYLOAD, data + len);
	memcpy(data + PING * SIZE + UDPRELAY_DATA_HEAD_LEN, magic, sizeof(magic));
	send_train(w, 0, data, len, SIZE);
	while (at < len) {
		size_t n = receive_message(w, 1, got + at, sizeof(got) - at, &segment);

		assert_true(n > 0);
		at += n;
	}
	assert_int_equal(at, len);
	for (size_t i = 0; i < N; i++)
		assert_memory_equal(got + i * SIZE + UDPRELAY_DATA_HEAD_LEN,
			data + i * SIZE + UDPRELAY_DATA_HEAD_LEN, PAYLOAD);
	assert_int_equal(wholes, 1);
	/* A plain ping is as all else. */
	len = make_data(w, 0, 1, 0, 92, data);
	memcpy(data + UDPRELAY_DATA_HEAD_LEN, magic, sizeof(magic));
	send_to_relay(w, 0, data, len);
	assert_int_equal(receive(w, 1, got, sizeof(got)), len);
	assert_int_equal(wholes, 1);
	free(data);
}

/* A train goes in as one message and out as one, the last of it shorter. */
static void test_train(void **state)
{
	enum { N = 40, PAYLOAD = 1400, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN, LAST = 33 };
	struct world *w = *state;
	uint8_t *data = malloc(TRAIN_MAX);
	uint64_t before;
	size_t len = 0, segment;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	for (size_t i = 0; i < N; i++)
		len += make_data(w, 0, 1, (uint8_t) i, PAYLOAD, data + len);
	len += make_data(w, 0, 1, N, LAST, data + len);
	before = udp_counters(w->udp)->messages_out;
	send_train(w, 0, data, len, SIZE);
	memset(data, 0, TRAIN_MAX);
	assert_int_equal(receive_message(w, 1, data, TRAIN_MAX, &segment), len);
	assert_int_equal(segment, SIZE);
	for (size_t i = 0; i < N; i++)
		check_data(w, 0, 1, (uint8_t) i, PAYLOAD, data + i * SIZE, SIZE);
	check_data(w, 0, 1, N, LAST, data + N * SIZE, LAST + UDPRELAY_DATA_HEAD_LEN);
	assert_int_equal(udp_counters(w->udp)->messages_out - before, 1);
	assert_int_equal(fates(w, FATE_CARRIED), N + 1);
	assert_int_equal(udp_counters(w->udp)->carried_bytes, len);
	free(data);
}

/* The last datagram is a head with nothing behind it. */
static void test_train_with_empty_end(void **state)
{
	enum { PAYLOAD = 1400, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t data[3 * SIZE];
	size_t len = 0;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	for (uint8_t i = 0; i < 2; i++)
		len += make_data(w, 0, 1, i, PAYLOAD, data + len);
	len += make_data(w, 0, 1, 0, 0, data + len);
	send_train(w, 0, data, len, SIZE);
	assert_int_equal(receive(w, 1, data, sizeof(data)), 2 * SIZE);
	assert_int_equal(fates(w, FATE_CARRIED), 2);
	assert_int_equal(fates(w, FATE_UNREADABLE), 1);
}

/* In one turn with the member's own, from somebody who has seen it: that is not carried. */
static void test_stolen_session(void **state)
{
	struct world *w = *state;
	uint8_t data[200];
	size_t len;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	w->fds[2] = connect_to_relay(w, "127.0.0.1");
	len = make_data(w, 0, 1, 1, 100, data);
	send_to_relay(w, 0, data, len);
	data[150 % len] = 0xee;
	send_to_relay(w, 2, data, len);
	data[150 % len] = 1;
	send_to_relay(w, 0, data, len);
	for (int i = 0; i < 2; i++) {
		size_t got = receive(w, 1, data, sizeof(data));

		check_data(w, 0, 1, 1, 100, data, got);
	}
	expect_nothing(w, 1);
	assert_int_equal(fates(w, FATE_ELSEWHERE), 1);
	assert_int_equal(receive(w, 2, data, sizeof(data)), UDPRELAY_UNKNOWN_LEN);
	expect_nothing(w, 0);
}

/* The address that a member asked is no longer the relay's: it is found out once, not each time. */
static void test_source_gone(void **state)
{
	struct world *w = *state;
	uint8_t data[200];

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	source_is_gone = true;
	for (uint8_t i = 0; i < 3; i++) {
		size_t len = make_data(w, 0, 1, i, 100, data);

		send_to_relay(w, 0, data, len);
		len = receive(w, 1, data, sizeof(data));
		check_data(w, 0, 1, i, 100, data, len);
		assert_in_range(refused, 1, 2);
	}
}

/* The same where the kernel cannot cut those of one family: to these every datagram by itself. */
static void test_train_without_gso(void **state)
{
	enum { N = 40, PAYLOAD = 1000, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	static const char *const addresses[] = { NULL, "127.0.0.1", "::1" };
	struct world *w = *state;
	struct udp_options options = { .port = 0 };
	uint8_t *data = malloc(TRAIN_MAX);
	struct err err;

	(void) udp_free(w->udp);
	without_gso = AF_INET;
	assert_int_equal(udp_new(&w->core, &options, &w->udp, &err), 0);
	bind_member(w, 0, "::1");
	for (size_t to = 1; to <= 2; to++) {
		uint64_t before;
		size_t len = 0;

		bind_member(w, to, addresses[to]);
		before = udp_counters(w->udp)->messages_out;
		for (size_t i = 0; i < N; i++)
			len += make_data(w, 0, to, (uint8_t) i, PAYLOAD, data + len);
		send_train(w, 0, data, len, SIZE);
		if (to == 2) {
			assert_int_equal(receive(w, to, data, TRAIN_MAX), N * SIZE);
			assert_int_equal(udp_counters(w->udp)->messages_out - before, 1);
			break;
		}
		for (size_t i = 0; i < N; i++) {
			len = receive(w, to, data, TRAIN_MAX);
			check_data(w, 0, to, (uint8_t) i, PAYLOAD, data, len);
		}
		assert_int_equal(udp_counters(w->udp)->messages_out - before, N);
	}
	free(data);
}

/*
 * One message, datagrams of all kinds: for two members in turn, for the sender, of a foreign
 * session, for nobody, and no DATA at all. Each gets what is for it, in order; of the rest each is
 * counted.
 */
static void test_mixed_train(void **state)
{
	enum { ROUNDS = 8, KINDS = 7, PAYLOAD = 500, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t *data = malloc(TRAIN_MAX);
	size_t len = 0;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	bind_member(w, 2, "::1");
	for (uint8_t round = 0; round < ROUNDS; round++) {
		len += make_data(w, 0, 1, round, PAYLOAD, data + len);
		len += make_data(w, 0, 2, round, PAYLOAD, data + len);
		len += make_data(w, 0, 2, round | 0x80, PAYLOAD, data + len);
		len += make_data(w, 0, 0, round, PAYLOAD, data + len);
		len += make_data(w, 1, 2, round, PAYLOAD, data + len);
		len += make_data(w, 0, 5, round, PAYLOAD, data + len);
		memset(data + len, 0xee, SIZE);
		len += SIZE;
	}
	send_train(w, 0, data, len, SIZE);
	for (uint8_t round = 0; round < ROUNDS; round++) {
		size_t segment;

		len = receive_message(w, 1, data, TRAIN_MAX, &segment);
		check_data(w, 0, 1, round, PAYLOAD, data, len);
		len = receive_message(w, 2, data, TRAIN_MAX, &segment);
		assert_int_equal(len, 2 * SIZE);
		check_data(w, 0, 2, round, PAYLOAD, data, SIZE);
		check_data(w, 0, 2, round | 0x80, PAYLOAD, data + SIZE, SIZE);
	}
	expect_nothing(w, 1);
	expect_nothing(w, 2);
	assert_int_equal(fates(w, FATE_CARRIED), 3 * ROUNDS);
	assert_int_equal(fates(w, FATE_TO_SELF), ROUNDS);
	assert_int_equal(fates(w, FATE_ELSEWHERE), ROUNDS);
	assert_int_equal(fates(w, FATE_ABSENT), ROUNDS);
	assert_int_equal(fates(w, FATE_UNREADABLE), ROUNDS);
	free(data);
}

/* Newer kernels let a train have 128 datagrams, and older ones take 64. */
static void test_long_train(void **state)
{
	enum { N = 100, PAYLOAD = 40, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t data[N * SIZE];
	uint64_t in, out;
	size_t len = 0;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	for (size_t i = 0; i < N; i++)
		len += make_data(w, 0, 1, (uint8_t) i, PAYLOAD, data + len);
	in = udp_counters(w->udp)->messages_in;
	out = udp_counters(w->udp)->messages_out;
	if (!try_train(w, 0, data, len, SIZE))
		skip();
	turn(w);
	assert_int_equal(fates(w, FATE_CARRIED), N);
	assert_int_equal(udp_counters(w->udp)->messages_in - in, 1);
	assert_int_equal(udp_counters(w->udp)->messages_out - out, 2);
}

/* More messages to send than fit one call: nothing is lost or out of order. */
static void test_many_runs(void **state)
{
	enum { N = 60, TRAINS = 5, PAYLOAD = 40, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t *data = malloc(TRAIN_MAX);
	uint8_t next[3] = { 0 };

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	bind_member(w, 2, "127.0.0.1");
	for (size_t train = 0; train < TRAINS; train++) {
		size_t len = 0;

		for (size_t i = 0; i < N; i++)
			len += make_data(w, 0, 1 + i % 2, next[1 + i % 2]++, PAYLOAD, data + len);
		send_train(w, 0, data, len, SIZE);
	}
	turn(w);
	assert_int_equal(fates(w, FATE_CARRIED), N * TRAINS);
	for (size_t to = 1; to <= 2; to++)
		for (uint8_t i = 0; i < N / 2 * TRAINS; i++) {
			size_t len = receive(w, to, data, TRAIN_MAX);

			check_data(w, 0, to, i, PAYLOAD, data, len);
		}
	free(data);
}

/* One hint for a train, not one for each datagram. */
static void test_one_hint(void **state)
{
	enum { N = 40, PAYLOAD = 40, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t data[N * SIZE];
	uint32_t session;
	size_t len = 0;

	w->fds[0] = connect_to_relay(w, "127.0.0.1");
	w->sessions[0] = 4711;
	for (size_t i = 0; i < N; i++)
		len += make_data(w, 0, 1, 1, PAYLOAD, data + len);
	send_train(w, 0, data, len, SIZE);
	len = receive(w, 0, data, sizeof(data));
	assert_int_equal(udprelay_unknown_parse(data, len, &session), 0);
	assert_int_equal(session, 4711);
	expect_nothing(w, 0);
	assert_int_equal(fates(w, FATE_UNKNOWN), N);
	assert_int_equal(udp_counters(w->udp)->said, 1);
}

static void test_stun(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "127.0.0.9", "::1" };
	static const uint8_t tx[STUN_TX_LEN] = { 1, 2, 3 };
	struct world *w = *state;

	for (size_t i = 0; i < 3; i++) {
		uint8_t data[STUN_REQUEST_LEN], got[200];
		struct sockaddr_storage sa;
		socklen_t sa_len = sizeof(sa);
		struct stun_answer answer;
		struct endpoint own;
		size_t len;

		w->fds[i] = connect_to_relay(w, addresses[i]);
		stun_request_format(tx, data);
		send_to_relay(w, i, data, sizeof(data));
		len = receive(w, i, got, sizeof(got));
		assert_int_equal(stun_answer_parse(got, len, &answer), 0);
		assert_int_equal(getsockname(w->fds[i], (struct sockaddr *) &sa, &sa_len), 0);
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, &own), 0);
		assert_true(endpoint_equal(&answer.mapped, &own));
	}
	assert_int_equal(fates(w, FATE_STUN), 3);
	for (int i = 0; i < 200; i++) {
		uint8_t data[STUN_REQUEST_LEN];

		stun_request_format(tx, data);
		send_to_relay(w, 2, data, sizeof(data));
	}
	turn(w);
	assert_true(fates(w, FATE_PACED) > 50);
	assert_int_equal(fates(w, FATE_PACED) + fates(w, FATE_STUN), 203);
}

/* What is nothing, what is too long, and what only the relay says. */
static void test_garbage(void **state)
{
	struct world *w = *state;
	uint8_t data[UDPRELAY_PAYLOAD_MAX + 100] = { 0 }, spoilt[STUN_REQUEST_LEN];
	static const uint8_t tx[STUN_TX_LEN] = { 1 };

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	send_to_relay(w, 0, data, 0);
	send_to_relay(w, 0, data, 1);
	send_to_relay(w, 0, data, sizeof(data));
	udprelay_unknown_format(w->sessions[0], data);
	send_to_relay(w, 0, data, UDPRELAY_UNKNOWN_LEN);
	udprelay_absent_format(w->sessions[0], 102, data);
	send_to_relay(w, 0, data, UDPRELAY_ABSENT_LEN);
	(void) make_data(w, 0, 1, 1, 1, data);
	send_to_relay(w, 0, data, UDPRELAY_DATA_HEAD_LEN); /* without a payload */
	stun_request_format(tx, spoilt);
	spoilt[sizeof(spoilt) - 1] ^= 1;
	send_to_relay(w, 0, spoilt, sizeof(spoilt));
	turn(w);
	assert_int_equal(fates(w, FATE_UNREADABLE), 7);
	send_to_relay(w, 0, data, UDPRELAY_DATA_HEAD_LEN + UDPRELAY_PAYLOAD_MAX + 1);
	turn(w);
	assert_int_equal(fates(w, FATE_OVERSIZED), 1);
	expect_nothing(w, 0);
	expect_nothing(w, 1);
	assert_int_equal(fates(w, FATE_CARRIED), 0);
}

/* Out at once, and whoever is denied as well. */
static void test_removed_and_denied(void **state)
{
	struct world *w = *state;
	struct ip_prefix loopback;
	uint8_t data[200];
	size_t len;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	bind_member(w, 2, "::1");
	assert_int_equal(members_set(w->core.members, w->maker.list + 1, 3), 0);
	assert_int_equal(udp_follow(w->udp), 0);
	assert_int_equal(udp_bound(w->udp), 2);
	len = make_data(w, 0, 1, 1, 10, data);
	send_to_relay(w, 0, data, len);
	expect_nothing(w, 1);
	assert_int_equal(fates(w, FATE_UNKNOWN), 1);
	len = make_data(w, 1, 2, 1, 10, data);
	send_to_relay(w, 1, data, len);
	len = receive(w, 2, data, sizeof(data));
	check_data(w, 1, 2, 1, 10, data, len);
	assert_int_equal(ip_prefix_parse("127.0.0.0/8", &loopback), 0);
	assert_int_equal(udp_deny(w->udp, &loopback, 1), 0);
	assert_int_equal(udp_bound(w->udp), 1);
	maker_bind(&w->maker, 1, NULL, 1, data);
	send_to_relay(w, 1, data, UDPRELAY_BIND_LEN);
	expect_nothing(w, 1);
	assert_int_equal(fates(w, FATE_DENIED), 1);
	stun_request_format(data, data + 100);
	send_to_relay(w, 1, data + 100, STUN_REQUEST_LEN);
	expect_nothing(w, 1);
	assert_int_equal(fates(w, FATE_DENIED), 2);
	assert_int_equal(udp_deny(w->udp, &loopback, 1000), -E2BIG);
	/* and who comes to it */
	assert_int_equal(members_set(w->core.members, w->maker.list, MAKER_MEMBERS), 0);
	assert_int_equal(udp_follow(w->udp), 0);
	bind_member(w, 7, "::1");
}

/* Of two members in one turn, the send buffer of one's family is full: the other's goes out. */
static void test_full_buffer(void **state)
{
	enum { N = 10, PAYLOAD = 100, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	static const int families[] = { AF_INET, AF_INET6 };
	struct world *w = *state;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	bind_member(w, 2, "::1");
	for (size_t k = 0; k < 2; k++) {
		size_t len = 0, to = 2 - k; /* who gets it */
		uint64_t full = fates(w, FATE_BUFFER_FULL);
		uint8_t data[2 * N * SIZE];

		for (size_t i = 0; i < 2 * N; i++)
			len += make_data(w, 0, 1 + i % 2, (uint8_t) i, PAYLOAD, data + len);
		full_family = families[k];
		send_train(w, 0, data, len, SIZE);
		turn(w);
		full_family = -1;
		assert_int_equal(fates(w, FATE_BUFFER_FULL) - full, N);
		expect_nothing(w, 1 + k);
		for (size_t i = 0; i < N; i++) {
			len = receive(w, to, data, sizeof(data));
			check_data(w, 0, to, (uint8_t) (2 * i + to - 1), PAYLOAD, data, len);
		}
	}
}

/* What the relay says itself is lost likewise, and is not counted as carried. */
static void test_full_buffer_of_hints(void **state)
{
	enum { PAYLOAD = 100, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t data[2 * SIZE];
	uint64_t said;
	size_t len;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 2, "::1");
	said = udp_counters(w->udp)->said;
	len = make_data(w, 1, 2, 1, PAYLOAD, data);
	len += make_data(w, 0, 2, 2, PAYLOAD, data + len);
	full_family = AF_INET;
	send_train(w, 0, data, len, SIZE);
	len = receive(w, 2, data, sizeof(data));
	check_data(w, 0, 2, 2, PAYLOAD, data, len);
	expect_nothing(w, 0);
	assert_int_equal(fates(w, FATE_CARRIED), 1);
	assert_int_equal(fates(w, FATE_BUFFER_FULL), 1);
	assert_int_equal(udp_counters(w->udp)->said, said);
}

/* Refused by the kernel for good: counted, and nobody else's. */
static void test_not_sent(void **state)
{
	enum { N = 5, PAYLOAD = 100, SIZE = PAYLOAD + UDPRELAY_DATA_HEAD_LEN };
	struct world *w = *state;
	uint8_t data[2 * N * SIZE];
	size_t len = 0;

	bind_member(w, 0, "127.0.0.1");
	bind_member(w, 1, "127.0.0.1");
	bind_member(w, 2, "::1");
	for (size_t to = 1; to <= 2; to++)
		for (uint8_t i = 0; i < N; i++)
			len += make_data(w, 0, to, i, PAYLOAD, data + len);
	broken_family = AF_INET;
	send_train(w, 0, data, len, SIZE);
	assert_int_equal(receive(w, 2, data, sizeof(data)), N * SIZE);
	expect_nothing(w, 1);
	assert_int_equal(fates(w, FATE_CARRIED), N);
	assert_int_equal(fates(w, FATE_NOT_SENT), N);
	assert_int_equal(udp_counters(w->udp)->carried_bytes, N * SIZE);
}

/* More than the receive buffer holds, while the relay is busy elsewhere. */
static void test_overrun(void **state)
{
	struct world *w = *state;
	uint8_t data[9000] = { 0 };

	w->fds[0] = connect_to_relay(w, "127.0.0.1");
	assert_int_equal(udp_counters(w->udp)->overruns, 0);
	for (int i = 0; i < 3000; i++)
		send_to_relay(w, 0, data, sizeof(data));
	turn(w);
	assert_int_not_equal(udp_counters(w->udp)->overruns, 0);
	assert_int_equal(udp_counters(w->udp)->overruns + udp_counters(w->udp)->messages_in, 3000);
}

/* From a port of its own at this address of the loopback. */
static int connect_from(const struct world *w, uint32_t source)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(source) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(udp_port(w->udp));
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	return fd;
}

static void flood(const struct world *w, unsigned n_ports, uint8_t *data, size_t len)
{
	for (unsigned port = 0; port < n_ports; port++) {
		int fd = connect_from(w, 0x7f000063);

		for (unsigned i = 0; i < 6000 / n_ports; i++)
			assert_int_equal(send(fd, data, len, 0), len);
		(void) close(fd);
	}
}

static void bind_at_addresses(struct world *w)
{
	for (size_t i = 0; i < MAKER_MEMBERS; i++) {
		w->fds[i] = connect_from(w, 0x7f000101 + (uint32_t) i * 256);
		bind_member(w, i, NULL);
	}
}

static void send_around(struct world *w)
{
	uint8_t data[200];

	for (size_t i = 0; i < MAKER_MEMBERS; i++)
		send_to_relay(w, i, data, make_data(w, i, (i + 1) % MAKER_MEMBERS, 1, 100, data));
	turn(w);
}

/* Whatever is no DATA fills no buffer for which DATA is, from however many ports it comes. */
static void test_flood_of_others(void **state)
{
	static const uint8_t heads[][4] = { { 0xf1, 'H', 1, UDPRELAY_BIND }, { 0, 1 }, { 0xff } };
	struct world *w = *state;
	uint8_t data[9000] = { 0 };

	bind_at_addresses(w);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		memcpy(data, heads[i], sizeof(heads[i]));
		flood(w, 64, data, sizeof(data));
		send_around(w);
		assert_int_equal(fates(w, FATE_CARRIED), (i + 1) * MAKER_MEMBERS);
	}
	assert_int_not_equal(udp_counters(w->udp)->overruns, 0);
}

/* DATA of one address, from however many ports, fills one. */
static void test_flood_of_one(void **state)
{
	struct world *w = *state;
	uint8_t data[9000];

	bind_at_addresses(w);
	(void) make_data(w, 0, 1, 1, sizeof(data) - UDPRELAY_DATA_HEAD_LEN, data);
	flood(w, 64, data, sizeof(data));
	send_around(w);
	assert_int_not_equal(udp_counters(w->udp)->overruns, 0);
	assert_int_not_equal(fates(w, FATE_CARRIED), 0);
}

static void test_port(void **state)
{
	struct world *w = *state;
	struct udp_options options = { .port = udp_port(w->udp) };
	struct ip_prefix denied[1000];
	struct udp *second = NULL;
	struct err err = { 0 };

	assert_int_equal(udp_new(&w->core, &options, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "in use"));
	options = (struct udp_options){ .denied = denied, .n_denied = 1000 };
	memset(denied, 0, sizeof(denied));
	assert_int_equal(udp_new(&w->core, &options, &second, &err), -E2BIG);
	assert_null(second);
	(void) udp_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_carries),
		TEST(test_padded_ping),
		TEST(test_train),
		TEST(test_train_with_empty_end),
		TEST(test_stolen_session),
		TEST(test_source_gone),
		TEST(test_train_without_gso),
		TEST(test_mixed_train),
		TEST(test_long_train),
		TEST(test_many_runs),
		TEST(test_one_hint),
		TEST(test_stun),
		TEST(test_garbage),
		TEST(test_removed_and_denied),
		TEST(test_full_buffer),
		TEST(test_full_buffer_of_hints),
		TEST(test_not_sent),
		TEST(test_overrun),
		TEST(test_flood_of_others),
		TEST(test_flood_of_one),
		TEST(test_port),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
