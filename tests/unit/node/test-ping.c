/* ping: what counts as a reply at a raw ICMP socket; each echo that was sent has one end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
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

/* --- a socket that takes everything and answers nothing --- */

static int far_end = -1;

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	int fds[2];

	assert_int_equal(type & SOCK_RAW, SOCK_RAW);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	if (far_end >= 0)
		(void) close(far_end);
	far_end = fds[1];
	return fds[0];
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return 0;
}

ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	socklen_t to_len)
{
	return send(fd, data, len, flags);
}

struct end {
	struct ping *ping;
	struct ip_addr to;
	int64_t result;
	int times, refused;
};

/* What waits is released by whoever hears of its end; and it may want to try again. */
static void ended(void *ctx, int64_t result)
{
	struct end *end = ctx;

	end->result = result;
	end->times++;
	end->refused += ping_send(end->ping, &end->to, PING_SIZE_DEFAULT, USEC_PER_SEC, ended, end,
				NULL) == -ECANCELED;
}

static void test_each_has_one_end(void **state)
{
	struct end late = { 0 }, waits[3] = { 0 };
	sd_event *event = NULL;
	struct ping *ping = NULL;
	struct ip_addr to;

	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(ping_new(event, "lo", &ping, NULL), 0);
	assert_int_equal(ip_addr_parse("10.77.0.2", &to), 0);
	late.ping = ping;
	late.to = to;
	assert_int_equal(ping_send(ping, &to, PING_SIZE_DEFAULT, 1000, ended, &late, NULL), 0);
	while (!late.times)
		assert_true(sd_event_run(event, 100000) >= 0);
	assert_int_equal(late.result, -ETIMEDOUT);
	assert_int_equal(late.refused, 0); /* and so waits once more */
	for (size_t i = 0; i < 3; i++) {
		waits[i].ping = ping;
		waits[i].to = to;
		assert_int_equal(ping_send(ping, &to, PING_SIZE_DEFAULT, USEC_PER_SEC, ended,
					 &waits[i], NULL),
			0);
	}
	ping = ping_free(ping);
	assert_int_equal(late.times, 2);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(waits[i].times, 1);
		assert_int_equal(waits[i].refused, 1);
		assert_true(waits[i].result == -ECANCELED);
	}
	sd_event_unref(event);
	(void) close(far_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6), cmocka_unit_test(test_each_has_one_end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
