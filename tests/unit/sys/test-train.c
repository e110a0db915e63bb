/*
 * train over the loopback device, and with a sendmmsg() that refuses as cards, paths and full buffers
 * do.
 */
#include "sys/sock/train.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEAD_LEN = 12, TEXT_LEN = 1 << 20 };

/* What the wrapped call refuses with, and whom. */
static struct {
	int error;
	size_t super_above; /* messages of several datagrams longer than this */
	bool single;
	unsigned after; /* so many messages go through first */
	unsigned calls, messages;
} refusal;

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

static bool is_refused(const struct msghdr *hdr)
{
	if (!refusal.error)
		return false;
	if (refusal.after > 0) {
		refusal.after--;
		return false;
	}
	if (hdr->msg_controllen == 0)
		return refusal.single;
	return hdr->msg_iov[0].iov_len + hdr->msg_iov[1].iov_len > refusal.super_above;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	refusal.calls++;
	refusal.messages += n;
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
	struct train_sock from;
	int to;
	struct train *train;
	struct train_counters c;
	uint8_t head[HEAD_LEN];
	size_t at;         /* of the text, what is added next */
	size_t lens[2048]; /* of the datagrams on their way, without heads */
	size_t n, got, read_at;
	uint8_t text[TEXT_LEN];
};

static void connect_to(int fd, int other)
{
	struct sockaddr_in there;
	socklen_t len = sizeof(there);

	assert_int_equal(getsockname(other, (struct sockaddr *) &there, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &there, len), 0);
}

static int set_up(void **state)
{
	const struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct pair *p = calloc(1, sizeof(*p));

	memset(&refusal, 0, sizeof(refusal));
	assert_non_null(p);
	p->train = train_new();
	assert_non_null(p->train);
	assert_int_equal(train_open(AF_INET, 1 << 20, &p->from), 0);
	p->to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->to, (const struct sockaddr *) &here, sizeof(here)), 0);
	assert_int_equal(setsockopt(p->to, SOL_SOCKET, SO_RCVBUF, &(int){ 1 << 20 }, 4), 0);
	connect_to(p->from.fd, p->to);
	for (size_t i = 0; i < TEXT_LEN; i++)
		p->text[i] = (uint8_t) (i / 100 + i);
	memset(p->head, 0xf1, sizeof(p->head));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	(void) close(p->from.fd);
	(void) close(p->to);
	train_free(p->train);
	free(p);
	return 0;
}

static bool add(struct pair *p, size_t len)
{
	if (!train_add(p->train, &p->from, p->head, HEAD_LEN, p->text + p->at, len))
		return false;
	p->at += len;
	p->lens[p->n++] = len;
	assert_true(p->at < TEXT_LEN);
	return true;
}

static int flush(struct pair *p)
{
	return train_send(p->train, &p->from, &p->c);
}

/* The next @n of those that were added arrive whole and as they were, in this order. */
static void expect_arrival(struct pair *p, size_t n)
{
	static uint8_t data[65536];

	for (size_t i = 0; i < n; i++) {
		struct pollfd fd = { .fd = p->to, .events = POLLIN };
		size_t len = p->lens[p->got++];

		assert_int_equal(poll(&fd, 1, 2000), 1);
		assert_int_equal(recv(p->to, data, sizeof(data), 0), HEAD_LEN + len);
		assert_memory_equal(data, p->head, HEAD_LEN);
		assert_memory_equal(data + HEAD_LEN, p->text + p->read_at, len);
		p->read_at += len;
	}
}

static void expect_all(struct pair *p)
{
	expect_arrival(p, p->n - p->got);
	assert_int_equal(recv(p->to, p->text, 1, MSG_DONTWAIT), -1);
}

/* What is equally long leaves together; the shorter one ends it; limits of the kernel are kept. */
static void test_joins(void **state)
{
	static const struct {
		struct {
			size_t n, len;
		} runs[6];
		unsigned messages, super;
	} cases[] = {
		{ { { 1, 1 } }, 1, 0 }, { { { 48, 1300 }, { 1, 77 } }, 1, 1 },
		{ { { 2, 100 }, { 1, 50 }, { 1, 100 }, { 2, 200 }, { 1, 9000 } }, 4, 2 },
		{ { { 1, 100 }, { 1, 50 }, { 1, 50 }, { 1, 100 } }, 3, 1 },
		{ { { 64, 10 } }, 1, 1 }, { { { 65, 10 } }, 2, 1 },
		{ { { 7, 9200 }, { 1, 9200 } }, 2, 1 },
		{ { { 1, 60000 }, { 1, 5483 }, { 1, 1 } }, 2, 1 }, /* 65507 with two heads */
		{ { { 1, 60000 }, { 1, 5484 }, { 1, 1 } }, 2, 1 }, /* the second joins the third */
	};
	struct pair *p = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		p->at = p->n = p->got = p->read_at = 0;
		p->c = (struct train_counters){ 0 };
		refusal.calls = refusal.messages = 0;
		for (size_t run = 0; run < 6; run++)
			for (size_t k = 0; k < cases[i].runs[run].n; k++)
				assert_true(add(p, cases[i].runs[run].len));
		assert_int_equal(flush(p), 0);
		assert_int_equal(refusal.calls, 1);
		assert_int_equal(refusal.messages, cases[i].messages);
		assert_int_equal(p->c.sent, p->n);
		assert_int_equal(p->c.super, cases[i].super);
		expect_all(p);
	}
}

/* Datagrams without heads; and none at all. */
static void test_no_head(void **state)
{
	struct pair *p = *state;
	uint8_t data[8];

	assert_int_equal(flush(p), 0);
	assert_int_equal(refusal.calls, 0);
	assert_true(train_add(p->train, &p->from, NULL, 0, "abc", 3));
	assert_true(train_add(p->train, &p->from, NULL, 0, "de", 2));
	assert_int_equal(flush(p), 0);
	assert_int_equal(p->c.super, 1);
	assert_int_equal(recv(p->to, data, sizeof(data), 0), 3);
	assert_memory_equal(data, "abc", 3);
	assert_int_equal(recv(p->to, data, sizeof(data), 0), 2);
	assert_memory_equal(data, "de", 2);
}

static void test_room(void **state)
{
	struct pair *p = *state;

	for (size_t i = 0; i < TRAIN_DATAGRAMS; i++)
		assert_true(add(p, 10));
	assert_false(add(p, 10));
	assert_int_equal(flush(p), 0);
	expect_all(p);
	for (size_t i = 1; i <= TRAIN_MESSAGES; i++)
		assert_true(add(p, i));
	assert_false(add(p, TRAIN_MESSAGES + 1)); /* longer than the one before: none may join */
	assert_true(add(p, TRAIN_MESSAGES));
	assert_int_equal(flush(p), 0);
	expect_all(p);
	p->from.gso_max = 0;
	for (size_t i = 0; i < TRAIN_MESSAGES; i++)
		assert_true(add(p, 10));
	assert_false(add(p, 10));
	assert_int_equal(flush(p), 0);
	expect_all(p);
}

static void test_card_without_checksums(void **state)
{
	struct pair *p = *state;

	refusal.error = EIO;
	for (int i = 0; i < 10; i++)
		assert_true(add(p, 1000));
	assert_int_equal(flush(p), 0);
	assert_int_equal(p->c.sent, 10);
	assert_int_equal(p->c.super, 0);
	assert_int_equal(p->from.gso_max, 0);
	expect_all(p);
	assert_true(add(p, 10) && add(p, 10));
	refusal.calls = 0;
	assert_int_equal(flush(p), 0);
	assert_int_equal(refusal.calls, 1); /* it is not asked again */
	expect_all(p);
	refusal.error = 0;
	train_gso_again(&p->from);
	assert_true(add(p, 1000) && add(p, 1000));
	assert_int_equal(flush(p), 0);
	assert_int_equal(p->c.super, 1);
	expect_all(p);
}

/* What is short still leaves together there. */
static void test_path_too_narrow(void **state)
{
	struct pair *p = *state;

	refusal.error = EMSGSIZE;
	refusal.super_above = 500;
	assert_true(add(p, 600) && add(p, 600) && add(p, 10) && add(p, 400) && add(p, 400));
	assert_int_equal(flush(p), 0);
	assert_int_equal(p->c.sent, 5);
	assert_int_equal(p->c.super, 1);
	assert_int_equal(p->from.gso_max, 600 + HEAD_LEN - 1);
	expect_all(p);
	refusal.calls = 0;
	assert_true(add(p, 600) && add(p, 600) && add(p, 400) && add(p, 400));
	assert_int_equal(flush(p), 0);
	assert_int_equal(refusal.calls, 1);
	assert_int_equal(p->c.super, 2);
	expect_all(p);
	refusal.single = true; /* not even one by one */
	assert_true(add(p, 600) && add(p, 600));
	assert_int_equal(flush(p), -EMSGSIZE);
	assert_int_equal(p->c.refused, 2);
}

/* A full buffer ends it: what did not fit is lost, and the next ones find it empty. */
static void test_full_buffer(void **state)
{
	struct pair *p = *state;

	refusal.error = EAGAIN;
	refusal.single = true;
	refusal.after = 1;
	assert_true(add(p, 30) && add(p, 31) && add(p, 32) && add(p, 32));
	assert_int_equal(flush(p), 0);
	assert_int_equal(p->c.sent, 1);
	assert_int_equal(p->c.full, 3);
	expect_arrival(p, 1);
	refusal.error = EIO; /* then one by one, and the buffer is full at the second */
	refusal.single = false;
	assert_true(add(p, 20) && add(p, 20));
	assert_int_equal(flush(p), 0);
	assert_int_equal(p->c.sent, 3);
	refusal.error = 0;
	p->got += 3;
	p->read_at += 31 + 32 + 32;
	expect_all(p);
}

static void test_refused(void **state)
{
	struct pair *p = *state;

	refusal.error = EPERM; /* a firewall: no need to ask it ten times */
	refusal.single = true;
	for (int i = 0; i < 10; i++)
		assert_true(add(p, 50));
	assert_true(add(p, 60));
	assert_int_equal(flush(p), -EPERM);
	assert_int_equal(p->c.refused, 11);
	assert_int_equal(refusal.calls, 2);
}

/* Nobody listens there: it is told, once for each time that the kernel learned of it, and costs nothing. */
static void test_nobody_there(void **state)
{
	struct pair *p = *state;
	int again;

	again = dup(p->to);
	(void) shutdown(p->to, SHUT_RDWR);
	(void) close(p->to);
	(void) close(again);
	p->to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(add(p, 50));
	assert_int_equal(flush(p), 0);
	assert_true(add(p, 50));
	assert_int_equal(flush(p), -ECONNREFUSED);
	assert_int_equal(p->c.sent, 2);
	assert_int_equal(p->c.refused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_joins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_card_without_checksums, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_path_too_narrow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_buffer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
