/* multicast over the loopback device: what is heard, and what does not count. */
#include "sys/sock/multicast.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

enum { LO = 1, PORT = 47431 };

static const char *const groups[] = { "239.255.163.77", "ff12::8000:a377" };
static struct multicast one, two;
static struct ip_addr from;
static char data[64];

static struct endpoint group_of(size_t i)
{
	struct endpoint group = { .port = PORT };

	assert_int_equal(ip_addr_parse(groups[i], &group.addr), 0);
	return group;
}

/* As multicast_recv(), when there is something, or nothing for a moment. */
static ssize_t hear(size_t capacity)
{
	struct pollfd fd = { .fd = two.fd, .events = POLLIN };

	if (poll(&fd, 1, 100) == 0)
		return -EAGAIN;
	memset(data, 0, sizeof(data));
	return multicast_recv(&two, data, capacity, &from);
}

/* False: this machine has no such family. */
static bool begin(size_t i)
{
	const struct endpoint group = group_of(i);
	struct err err = { 0 };
	static const int lo = LO;

	if (multicast_open(&group, &one, &err) < 0) {
		assert_int_equal(err.code, -EAFNOSUPPORT);
		return false;
	}
	assert_int_equal(multicast_open(&group, &two, &err), 0);
	if (multicast_join(&two, &lo, 1) == 1 &&
		multicast_send(&one, LO, "first", 5) != -ENETUNREACH && hear(sizeof(data)) == 5)
		return true;
	/* Off, or without a route to groups on this link: lab/beacon has links that have it. */
	assert_int_equal(group.addr.family, AF_INET6);
	multicast_close(&one);
	multicast_close(&two);
	return false;
}

static void end(void)
{
	multicast_close(&one);
	multicast_close(&two);
	assert_int_equal(one.fd, -1);
}

static void test_heard(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		if (!begin(i))
			continue;
		assert_int_equal(multicast_recv(&two, data, sizeof(data), &from), -EAGAIN);
		assert_int_equal(multicast_send(&one, LO, "hello", 5), 0);
		assert_int_equal(hear(sizeof(data)), 5);
		assert_memory_equal(data, "hello", 5);
		assert_int_equal(from.family, i ? AF_INET6 : AF_INET);
		/* Cut. */
		assert_int_equal(multicast_send(&one, LO, "hello", 5), 0);
		assert_int_equal(hear(4), 0);
		assert_int_equal(multicast_recv(&two, data, sizeof(data), &from), -EAGAIN);
		end();
	}
}

/* By another program, to @to on the loopback, with @hops. */
static void say(const struct endpoint *to, int hops)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	bool six = to->addr.family == AF_INET6;
	CLEANUP(close_p) int fd = socket(to->addr.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ip_mreqn by = { .imr_ifindex = LO };

	assert_true(fd >= 0);
	if (six)
		assert_int_equal(
			setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)), 0);
	else
		assert_int_equal(
			setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof(hops)) |
				setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)),
			0);
	assert_int_equal(sendto(fd, "other", 5, 0, (struct sockaddr *) &sa, len), 5);
}

/* What came through a router, or was sent far away so as to seem near. */
static void test_far(void **state)
{
	static const int hops[] = { 1, 64, 254 };

	for (size_t i = 0; i < 2; i++) {
		struct endpoint to = group_of(i);

		if (!begin(i))
			continue;
		to.scope = i ? LO : 0;
		for (size_t k = 0; k < ARRAY_LEN(hops); k++) {
			say(&to, hops[k]);
			assert_int_equal(hear(sizeof(data)), 0);
		}
		say(&to, 255);
		assert_int_equal(hear(sizeof(data)), 5);
		end();
	}
}

/* Not to the group: it does not come at all, or does not count. */
static void test_alone(void **state)
{
	static const char *const addrs[] = { "127.0.0.1", "::1" };

	for (size_t i = 0; i < 2; i++) {
		struct endpoint to = { .port = PORT };
		ssize_t len;

		if (!begin(i))
			continue;
		assert_int_equal(ip_addr_parse(addrs[i], &to.addr), 0);
		say(&to, 255);
		len = hear(sizeof(data));
		assert_true(len == 0 || len == -EAGAIN);
		end();
	}
}

static void test_links(void **state)
{
	static const int lists[][3] = { { LO, LO, 9999 } };
	ssize_t len;

	for (size_t i = 0; i < 2; i++) {
		if (!begin(i))
			continue;
		assert_int_equal(
			multicast_join(&two, lists[0], 3), 0); /* there already; none such */
		assert_int_equal(two.n_links, 1);
		assert_int_equal(multicast_join(&two, NULL, 0), 0);
		assert_int_equal(two.n_links, 0);
		assert_int_equal(multicast_send(&one, LO, "hello", 5), 0);
		len = hear(sizeof(data));
		assert_true(len == 0 || len == -EAGAIN);
		assert_int_equal(multicast_join(&two, lists[0], 1), 1);
		assert_int_equal(multicast_send(&one, LO, "hello", 5), 0);
		assert_int_equal(hear(sizeof(data)), 5);
		assert_true(multicast_send(&one, 9999, "hello", 5) < 0);
		end();
	}
}

/* Somebody has it for himself. */
static void test_taken(void **state)
{
	const struct endpoint group = group_of(0);
	struct endpoint any = { .addr.family = AF_INET, .port = PORT };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&any, &sa);
	CLEANUP(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct err err = { 0 };

	assert_int_equal(bind(fd, (struct sockaddr *) &sa, len), 0);
	assert_int_equal(multicast_open(&group, &one, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "UDP port 47431"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heard),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
