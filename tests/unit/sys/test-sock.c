/*
 * sock over the loopback device, and with a sendmmsg() that refuses as cards, paths and full buffers
 * do.
 */
#include "sys/sock/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { CAPACITY = 65535 };

/* What the wrapped call refuses with, and whom. */
static struct {
	int error;
	bool super, single, pinned;
	unsigned after; /* so many messages go through first */
	unsigned calls;
} refusal;

static unsigned wholes; /* of the messages sent: so that nobody may fragment them */

static bool sends_whole(int fd)
{
	int domain = 0, discover = 0, in_one = 0;
	socklen_t len = sizeof(domain);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len), 0);
	if (domain == AF_INET) {
		assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, &len), 0);
		return discover == IP_PMTUDISC_PROBE;
	}
	assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, &len), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &in_one, &len), 0);
	assert_int_equal(in_one, discover == IPV6_PMTUDISC_PROBE);
	return in_one;
}

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

static bool has_control(struct msghdr *hdr, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return true;
	return false;
}

static bool is_refused(struct msghdr *hdr)
{
	bool super = has_control(hdr, IPPROTO_UDP, UDP_SEGMENT);

	if (!refusal.error)
		return false;
	if (refusal.after > 0) {
		refusal.after--;
		return false;
	}
	return (super && refusal.super) || (!super && refusal.single) ||
	       (refusal.pinned && has_control(hdr, IPPROTO_IP, IP_PKTINFO));
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	refusal.calls++;
	wholes += sends_whole(fd) ? n : 0;
	for (unsigned i = 0; i < n; i++) {
		if (is_refused(&msgs[i].msg_hdr)) {
			errno = refusal.error;
			return i > 0 ? (int) i : -1;
		}
		if (__real_sendmmsg(fd, &msgs[i], 1, flags) != 1)
			return i > 0 ? (int) i : -1;
	}
	return (int) n;
}

struct pair {
	struct sock from, to;
	struct sock_batch *batch;
	uint8_t data[SOCK_BATCH_MAX][CAPACITY];
	struct sock_msg msgs[SOCK_BATCH_MAX];
	uint8_t text[CAPACITY + 1];
};

static int set_up(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	memset(&refusal, 0, sizeof(refusal));
	wholes = 0;
	assert_non_null(p);
	assert_int_equal(sock_open(0, 0, true, &p->from, NULL), 0);
	assert_int_equal(sock_open(0, 0, true, &p->to, NULL), 0);
	p->batch = sock_batch_new();
	assert_non_null(p->batch);
	for (size_t i = 0; i < sizeof(p->text); i++)
		p->text[i] = (uint8_t) (i / 100);
	for (size_t i = 0; i < SOCK_BATCH_MAX; i++)
		p->msgs[i].data = p->data[i];
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	sock_close(&p->from);
	sock_close(&p->to);
	sock_batch_free(p->batch);
	free(p);
	return 0;
}

static struct sock_msg message(struct pair *p, size_t len, size_t segment)
{
	return (struct sock_msg){ .data = p->text,
		.len = len,
		.segment = segment,
		.remote = { .addr = { .family = AF_INET, .bytes = { 127, 0, 0, 1 } },
			.port = p->to.port } };
}

/* Takes in all there is: how many datagrams and bytes of p->text, in order. */
static void expect_arrival(struct pair *p, unsigned datagrams, size_t bytes)
{
	unsigned got = 0;
	size_t at = 0;

	while (got < datagrams) {
		struct pollfd fd = { .fd = p->to.fd4, .events = POLLIN };
		int n;

		assert_int_equal(poll(&fd, 1, 2000), 1);
		for (size_t i = 0; i < SOCK_BATCH_MAX; i++) { /* left over */
			p->msgs[i].hops = 1;
			p->msgs[i].whole = true;
			p->msgs[i].fragment = 1;
		}
		n = sock_recv(p->batch, p->to.fd4, p->msgs, SOCK_BATCH_MAX, CAPACITY);
		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			const struct sock_msg *msg = &p->msgs[i];

			got += sock_msg_datagrams(msg);
			assert_memory_equal(msg->data, p->text + at, msg->len);
			at += msg->len;
			assert_int_equal(msg->remote.port, p->from.port);
			assert_int_equal(msg->remote.addr.family, AF_INET);
			assert_int_equal(msg->local.family, AF_INET);
			assert_int_equal(msg->local.bytes[0], 127);
			assert_int_not_equal(msg->ifindex, 0);
			assert_int_equal(msg->hops, 0);
			assert_false(msg->whole);
			assert_int_equal(msg->fragment, 0);
		}
	}
	assert_int_equal(got, datagrams);
	assert_int_equal(at, bytes);
	assert_int_equal(sock_recv(p->batch, p->to.fd4, p->msgs, SOCK_BATCH_MAX, CAPACITY), 0);
}

static void test_super_frame(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message(p, 62976, 1312), message(p, 100, 0) };

	if (!p->from.gso4)
		skip();
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_int_equal(msgs[0].sent, 62976);
	assert_int_equal(msgs[0].failed, 0);
	assert_int_equal(refusal.calls, 1);
	expect_arrival(p, 48, 62976);
	msgs[0] = message(p, 1000, 300); /* a shorter last one */
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	expect_arrival(p, 4, 1000);
	assert_int_equal(sock_send(p->batch, &p->from, msgs + 1, 1), 1);
	expect_arrival(p, 1, 100); /* the size of before is not left over */
}

static void test_datagrams(void **state)
{
	const struct sock_msg ten = { .len = 10 }, parts = { .len = 10, .segment = 3 },
			      whole = { .len = 10, .segment = 11 };

	assert_int_equal(sock_msg_datagrams(&ten), 1);
	assert_int_equal(sock_msg_datagrams(&parts), 4);
	assert_int_equal(sock_msg_datagrams(&whole), 1);
}

static void test_card_without_checksums(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message(p, 9100, 1000) };

	if (!p->from.gso4)
		skip();
	refusal.error = EIO;
	refusal.super = true;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_int_equal(msgs[0].failed, 0);
	assert_int_equal(msgs[0].sent, 9100);
	assert_false(p->from.gso4);
	assert_true(p->from.gso6); /* another socket */
	assert_true(p->from.gso_lost);
	expect_arrival(p, 10, 9100);
	refusal.error = 0;
	sock_gso_again(&p->from); /* routes have changed: perhaps this card can */
	assert_true(p->from.gso4);
	assert_false(p->from.gso_lost);
	msgs[0] = message(p, 9100, 1000);
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	expect_arrival(p, 10, 9100);
}

static void test_path_too_narrow(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message(p, 9100, 1000) };

	refusal.error = EMSGSIZE;
	refusal.super = true;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_int_equal(msgs[0].failed, 0);
	assert_false(p->from.gso_lost);
	expect_arrival(p, 10, 9100);

	refusal.single = true; /* not even one by one: as the path's MTU without fragments */
	refusal.after = 0;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_int_equal(msgs[0].failed, 10);
	assert_int_equal(msgs[0].sent, 0);
	assert_int_equal(msgs[0].error, -EMSGSIZE);
}

static void test_source_gone(void **state)
{
	struct pair *p = *state;
	const struct ip_addr other = { .family = AF_INET, .bytes = { 192, 0, 2, 77 } };
	struct sock_msg msgs[] = { message(p, 9100, 1000), message(p, 100, 0) };

	msgs[0].local = msgs[1].local = other; /* not ours: the kernel itself refuses */
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_true(msgs[0].source_gone);
	assert_int_equal(msgs[0].failed, 0);
	expect_arrival(p, 10, 9100);
	assert_int_equal(sock_send(p->batch, &p->from, msgs + 1, 1), 1);
	assert_true(msgs[1].source_gone);
	expect_arrival(p, 1, 100);
}

static void test_full_buffer(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message(p, 100, 0), message(p, 100, 0), message(p, 100, 0) };

	refusal.error = EAGAIN;
	refusal.single = true;
	refusal.after = 1;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 3), 1);
	assert_int_equal(msgs[0].sent, 100);
	refusal.error = 0;
	assert_int_equal(sock_send(p->batch, &p->from, msgs + 1, 2), 2);
	refusal.error = ENOBUFS;
	refusal.after = 1;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 2), 2);
	assert_int_equal(msgs[1].failed, 1);
	assert_int_equal(msgs[1].error, -ENOBUFS);
}

static void test_refused_whole(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message(p, 9100, 1000) };

	refusal.error = EPERM; /* a firewall: no need to ask it ten times */
	refusal.super = refusal.single = true;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_int_equal(msgs[0].failed, 10);
	assert_int_equal(refusal.calls, 1);
	msgs[0].remote.addr.family = AF_UNSPEC;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 1), 1);
	assert_int_equal(msgs[0].error, -EAFNOSUPPORT);
}

static void test_without_offload(void **state)
{
	struct sock s;

	assert_int_equal(sock_open(0, 0, false, &s, NULL), 0);
	assert_false(s.gso4 || s.gso6 || s.gro);
	sock_close(&s);
}

/* One port, four sockets of each family: every sender always comes in at the same one. */
static void test_group(void **state)
{
	enum { N = 4, SENDERS = 64 };
	struct pair *p = *state;
	struct sock group[N], refused[N], other;
	unsigned used = 0;

	assert_int_equal(sock_open_group(0, 0, true, N, group, NULL), 0);
	p->to.port = group[0].port;
	assert_int_equal(sock_open(group[0].port, 0, true, &other, NULL), -EADDRINUSE);
	assert_int_equal(sock_open_group(group[0].port, 0, true, N, refused, NULL), -EADDRINUSE);
	for (int i = 1; i < N; i++)
		assert_int_equal(group[i].port, group[0].port);
	for (int s = 0; s < SENDERS; s++) {
		struct pollfd fds[N];
		unsigned mask = 0;
		struct sock from;

		assert_int_equal(sock_open(0, 0, false, &from, NULL), 0);
		for (int i = 0; i < 5; i++) {
			struct sock_msg msg = message(p, 100, 0);

			assert_int_equal(sock_send(p->batch, &from, &msg, 1), 1);
			for (int k = 0; k < N; k++)
				fds[k] = (struct pollfd){ .fd = group[k].fd4, .events = POLLIN };
			assert_int_equal(poll(fds, N, 2000), 1);
			for (int k = 0; k < N; k++) {
				if (!fds[k].revents)
					continue;
				assert_int_equal(
					sock_recv(p->batch, fds[k].fd, p->msgs, 2, CAPACITY), 1);
				mask |= 1U << k;
			}
		}
		assert_int_equal(mask & (mask - 1), 0);
		used |= mask;
		sock_close(&from);
	}
	assert_int_equal(used, (1U << N) - 1);
	for (int i = 0; i < N; i++)
		sock_close(&group[i]);
	assert_int_equal(sock_open(p->to.port, 0, true, &other, NULL), 0);
	sock_close(&other);
}

/* Which of @n sockets of this family a datagram with these bytes from @from comes in at. */
static unsigned where(struct pair *p, const struct sock *group, unsigned n, struct sock *from,
	uint8_t family, const void *data, size_t len)
{
	struct sock_msg msg = message(p, len, 0);
	unsigned found = n;
	struct pollfd fds[8];

	if (family == AF_INET6)
		assert_int_equal(ip_addr_parse("::1", &msg.remote.addr), 0);
	memcpy(msg.data, data, len);
	assert_int_equal(sock_send(p->batch, from, &msg, 1), 1);
	for (unsigned k = 0; k < n; k++)
		fds[k] = (struct pollfd){ .fd = family == AF_INET ? group[k].fd4 : group[k].fd6,
			.events = POLLIN };
	assert_int_equal(poll(fds, n, 2000), 1);
	for (unsigned k = 0; k < n; k++)
		if (fds[k].revents)
			found = k;
	assert_int_equal(sock_recv(p->batch, fds[found].fd, p->msgs, 2, CAPACITY), 1);
	return found;
}

/* Two kinds have sockets of their own; the one that is spread is so by the address only. */
static void test_steer(void **state)
{
	enum { SPREAD = 4, N = SPREAD + 2, SENDERS = 16 };
	const struct sock_steer steer = {
		.spread = 0x01020304, .next = 0xfffefdfc, .n_spread = SPREAD, .odd = 0x9e3779b1
	};
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct pair *p = *state;
	struct sock group[N];

	assert_int_equal(sock_open_group(0, 0, true, N, group, NULL), 0);
	assert_int_equal(sock_steer(&group[0], &steer), 0);
	p->to.port = group[0].port;
	for (unsigned i = 0; i < 2 * SENDERS; i++) {
		uint8_t family = families[i % 2];
		static unsigned first[2];
		struct sock from;
		unsigned at;

		assert_int_equal(sock_open(0, 0, false, &from, NULL), 0);
		at = where(p, group, N, &from, family, "\1\2\3\4 and more", 13);
		assert_in_range(at, 0, SPREAD - 1);
		if (i < 2)
			first[i % 2] = at;
		assert_int_equal(at, first[i % 2]); /* whatever the port */
		assert_int_equal(where(p, group, N, &from, family, "\1\2\3\4", 4), at);
		assert_int_equal(where(p, group, N, &from, family, "\xff\xfe\xfd\xfc", 4), SPREAD);
		assert_int_equal(where(p, group, N, &from, family, "\1\2\3\5", 4), SPREAD + 1);
		assert_int_equal(where(p, group, N, &from, family, "\1\2\3", 3), SPREAD + 1);
		assert_int_equal(where(p, group, N, &from, family, "", 0), SPREAD + 1);
		sock_close(&from);
	}
	for (int i = 0; i < N; i++)
		sock_close(&group[i]);
}

/* From many addresses all of them are used. */
static void test_steer_spreads(void **state)
{
	enum { SPREAD = 4, N = SPREAD + 2, SENDERS = 64 };
	const struct sock_steer steer = {
		.spread = 0x01020304, .n_spread = SPREAD, .odd = 0x9e3779b1
	};
	struct pair *p = *state;
	struct sock group[N], from;
	unsigned used = 0;

	assert_int_equal(sock_open_group(0, 0, true, N, group, NULL), 0);
	assert_int_equal(sock_steer(&group[0], &steer), 0);
	assert_int_equal(sock_open(0, 0, false, &from, NULL), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		struct sockaddr_in sa = { .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(0x7f000101 + i * 256),
			.sin_port = 0 };
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
		sock_close(&from);
		from = (struct sock){ .fd4 = fd, .fd6 = -1 };
		p->to.port = group[0].port;
		used |= 1U << where(p, group, N, &from, AF_INET, "\1\2\3\4", 4);
	}
	assert_int_equal(used, (1U << SPREAD) - 1);
	sock_close(&from);
	for (int i = 0; i < N; i++)
		sock_close(&group[i]);
}

/* Sends 1000 datagrams of @type, 148 or 92 bytes with or without a MAC2: how many get in? */
static unsigned let_in(struct pair *p, uint8_t type, size_t len, bool mac2)
{
	uint8_t data[200] = { type };
	unsigned got = 0;

	if (mac2)
		memset(data + len - 16, 0xaa, 16);
	for (int round = 0; round < 50; round++) {
		int n;

		for (int i = 0; i < 20; i++) {
			struct sock_msg msg = message(p, len, 0);

			msg.data = data;
			assert_int_equal(sock_send(p->batch, &p->from, &msg, 1), 1);
			assert_int_equal(msg.failed, 0);
		}
		while ((n = sock_recv(p->batch, p->to.fd4, p->msgs, SOCK_BATCH_MAX, CAPACITY)) > 0)
			got += (unsigned) n;
	}
	return got;
}

static void test_shed(void **state)
{
	static const uint32_t half[] = { [SOCK_SHED_UNPROVEN] = SOCK_SHED_ALL / 2,
		[SOCK_SHED_PROVEN] = SOCK_SHED_ALL,
		[SOCK_SHED_ASIDE] = SOCK_SHED_ALL };
	static const uint32_t least[] = { [SOCK_SHED_UNPROVEN] = SOCK_SHED_ALL,
		[SOCK_SHED_PROVEN] = 0,
		[SOCK_SHED_ASIDE] = SOCK_SHED_ALL };
	static const uint32_t none_aside[] = { [SOCK_SHED_UNPROVEN] = SOCK_SHED_ALL,
		[SOCK_SHED_PROVEN] = SOCK_SHED_ALL,
		[SOCK_SHED_ASIDE] = 0 };
	static const uint32_t all[] = { SOCK_SHED_ALL, SOCK_SHED_ALL, SOCK_SHED_ALL };
	struct pair *p = *state;

	assert_int_equal(sock_set_shed(&p->to, half), 0);
	assert_int_equal(let_in(p, 4, 148, false), 1000); /* data */
	assert_int_equal(let_in(p, 4, 32, false), 1000);
	assert_in_range(let_in(p, 1, 148, false), 350, 650);
	assert_in_range(let_in(p, 2, 92, false), 350, 650);
	assert_in_range(let_in(p, 3, 64, false), 350, 650);
	assert_int_equal(let_in(p, 1, 148, true), 1000);
	assert_int_equal(let_in(p, 2, 92, true), 1000);
	assert_int_equal(sock_set_shed(&p->to, least), 0);
	assert_int_equal(let_in(p, 1, 148, true), 0);
	assert_int_equal(let_in(p, 2, 92, true), 0);
	assert_int_equal(let_in(p, 1, 148, false), 1000);
	assert_int_equal(let_in(p, 2, 92, false), 1000);
	assert_int_equal(let_in(p, 4, 148, true), 1000);
	assert_int_equal(let_in(p, 0, 20, false), 1000);
	assert_int_equal(let_in(p, 5, 148, true), 1000);
	assert_int_equal(sock_set_shed(&p->to, none_aside), 0);
	for (unsigned type = 0; type < 256; type += type < 8 ? 1 : 31)
		assert_int_equal(let_in(p, (uint8_t) type, 148, type & 1),
			type >= 1 && type <= 4 ? 1000 : 0);
	assert_int_equal(sock_set_shed(&p->to, all), 0);
	assert_int_equal(let_in(p, 1, 148, true), 1000);
	assert_int_equal(sock_set_shed(&p->to, all), 0); /* again is fine */
}

/* Of one datagram, from an address of ours or none; its results are not touched. */
static void test_send_one(void **state)
{
	struct pair *p = *state;
	struct sock_msg msg = message(p, 300, 0);
	struct ip_addr ours = { .family = AF_INET, .bytes = { 127, 0, 0, 9 } };

	assert_int_equal(sock_send_one(&p->from, &msg), 0);
	assert_int_equal(sock_recv(p->batch, p->to.fd4, p->msgs, SOCK_BATCH_MAX, CAPACITY), 1);
	assert_int_equal(p->msgs[0].len, 300);
	assert_memory_equal(p->msgs[0].data, msg.data, 300);
	assert_int_equal(p->msgs[0].remote.port, p->from.port);
	msg.local = ours;
	assert_int_equal(sock_send_one(&p->from, &msg), 0);
	assert_int_equal(sock_recv(p->batch, p->to.fd4, p->msgs, SOCK_BATCH_MAX, CAPACITY), 1);
	assert_true(ip_addr_equal(&p->msgs[0].remote.addr, &ours));
	msg.local.bytes[0] = 192;
	assert_true(sock_send_one(&p->from, &msg) < 0);
	msg.remote.addr.family = AF_UNSPEC;
	assert_int_equal(sock_send_one(&p->from, &msg), -EAFNOSUPPORT);
	assert_int_equal(sock_recv(p->batch, p->to.fd4, p->msgs, SOCK_BATCH_MAX, CAPACITY), 0);
}

static struct sock_msg message6(struct pair *p, size_t len, size_t segment)
{
	struct sock_msg msg = message(p, len, segment);

	msg.remote.addr = (struct ip_addr){ .family = AF_INET6, .bytes = { [15] = 1 } };
	return msg;
}

/* One among others, in order; for it alone the sockets are otherwise. */
static void test_whole(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message(p, 100, 0), message(p, 200, 0), message(p, 300, 0) };

	msgs[1].whole = true;
	msgs[1].data += 100;
	msgs[2].data += 300;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 3), 3);
	assert_int_equal(wholes, 1);
	expect_arrival(p, 3, 600);
	assert_false(sends_whole(p->from.fd4));
	msgs[1] = message6(p, 200, 0);
	msgs[1].whole = true;
	assert_int_equal(sock_send(p->batch, &p->from, msgs, 2), 2);
	assert_int_equal(wholes, 2);
	assert_false(sends_whole(p->from.fd6));
	assert_int_equal(sock_send_one(&p->from, &msgs[1]), 0);
	assert_false(sends_whole(p->from.fd6));
}

/* Longer than the loopback's MTU: in pieces, or in one and then not at all. */
static void test_whole_is_not_cut(void **state)
{
	struct pair *p = *state;
	struct sock_msg msg = message6(p, 65500, 0);

	assert_int_equal(sock_send_one(&p->from, &msg), 0);
	msg.whole = true;
	assert_int_equal(sock_send_one(&p->from, &msg), -EMSGSIZE);
	msg.whole = false;
	assert_int_equal(sock_send_one(&p->from, &msg), 0);
}

/* What comes to IPv6 is whole again, whoever cut it. Only long ones are, and only if we may. */
static void test_fragments(void **state)
{
	struct pair *p = *state;
	struct sock_msg msgs[] = { message6(p, 1312, 0), message6(p, 3 * 1312 + 700, 1312),
		message6(p, 1232, 0), message6(p, 1233, 0) };
	static const unsigned datagrams[] = { 1, 4, 1, 1 };

	for (size_t i = 0; i < 4; i++) {
		struct pollfd fd = { .fd = p->to.fd6, .events = POLLIN };
		unsigned got = 0, before = refusal.calls;
		size_t at = 0;

		msgs[i].fragment = 1280;
		assert_int_equal(sock_send(p->batch, &p->from, &msgs[i], 1), 1);
		assert_int_equal(msgs[i].failed, 0);
		assert_int_equal(msgs[i].sent, msgs[i].len);
		if (geteuid() == 0)
			assert_int_equal(refusal.calls - before, i == 2);
		while (got < datagrams[i]) {
			assert_int_equal(poll(&fd, 1, 2000), 1);
			assert_true(sock_recv(p->batch, fd.fd, p->msgs, 1, CAPACITY) == 1);
			assert_memory_equal(p->msgs[0].data, p->text + at, p->msgs[0].len);
			assert_int_equal(p->msgs[0].remote.port, p->from.port);
			got += sock_msg_datagrams(&p->msgs[0]);
			at += p->msgs[0].len;
		}
		assert_int_equal(at, msgs[i].len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_send_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_super_frame, set_up, tear_down),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test_setup_teardown(test_card_without_checksums, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_path_too_narrow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_source_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_buffer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_whole, set_up, tear_down),
		cmocka_unit_test(test_without_offload),
		cmocka_unit_test_setup_teardown(test_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_steer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_steer_spreads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole_is_not_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fragments, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
