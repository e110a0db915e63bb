/* events: the ring between a lane and the control thread, in one thread and in two. */
#include "tunnel/events.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static struct ring ring;

static int set_up(void **state)
{
	return ring_open(&ring);
}

static int tear_down(void **state)
{
	ring_close(&ring);
	return 0;
}

/* The @n-th datagram: all of it follows from @n. */
static struct tunnel_event nth(uint32_t n, size_t len, uint8_t data[static TUNNEL_ASIDE_MAX])
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t) (n + i);
	return (struct tunnel_event){
		.kind = n % 2 ? TUNNEL_ASIDE : TUNNEL_HEARD,
		.from = { .addr = { AF_INET6, { 0xfe, 0x80, [15] = 7 } },
			.port = (uint16_t) n,
			.scope = n },
		.to = { AF_INET, { 192, 0, 2, (uint8_t) n } },
		.ifindex = n + 1,
		.data = data,
		.len = len,
		.sent = n * UINT64_C(1000000007),
	};
}

static void assert_nth(const struct tunnel_event *got, uint32_t n, size_t len)
{
	uint8_t data[TUNNEL_ASIDE_MAX];
	struct tunnel_event wanted = nth(n, len, data);

	assert_int_equal(got->len, len);
	assert_memory_equal(got->data, data, len);
	assert_int_equal(got->kind, wanted.kind);
	assert_true(endpoint_equal(&got->from, &wanted.from));
	assert_true(ip_addr_equal(&got->to, &wanted.to));
	assert_int_equal(got->ifindex, n + 1);
	assert_int_equal(got->sent, wanted.sent);
}

static int put(uint32_t n, size_t len)
{
	uint8_t data[TUNNEL_ASIDE_MAX];
	struct tunnel_event datagram = nth(n, len, data);

	return events_put(&ring, &datagram);
}

static void assert_take(uint32_t n, size_t len)
{
	struct tunnel_event got;

	assert_true(events_take(&ring, &got));
	assert_nth(&got, n, len);
}

static void assert_none(void)
{
	struct tunnel_event got;

	assert_false(events_take(&ring, &got));
	assert_false(events_take(&ring, &got));
}

static void test_order(void **state)
{
	assert_none();
	assert_int_equal(put(1, 100), 1); /* wake the reader */
	assert_int_equal(put(2, 0), 0);
	assert_int_equal(put(3, TUNNEL_ASIDE_MAX), 0);
	assert_take(1, 100);
	assert_int_equal(put(4, 1), 0);
	assert_take(2, 0);
	assert_take(3, TUNNEL_ASIDE_MAX);
	assert_take(4, 1);
	assert_int_equal(put(5, 5), 0); /* it has not said yet that it has read all */
	assert_take(5, 5);
	assert_none();
	assert_int_equal(put(6, 6), 1);
	assert_take(6, 6);
	assert_none();
}

/* What is being looked at is not written over, and what did not fit leaves no trace. */
static void test_full(void **state)
{
	for (size_t len = 0; len <= TUNNEL_ASIDE_MAX; len += 1 + len / 2) {
		uint32_t first = 0, last = 0;

		for (int round = 0; round < 100; round++) {
			struct tunnel_event looked_at;

			while (put(last, len) >= 0)
				last++;
			assert_true(last - first >= 3);
			assert_true((last - first) * (len + 100) >= RING_LEN / 2);
			assert_true(events_take(&ring, &looked_at));
			while (put(last, len) >= 0)
				last++;
			assert_nth(&looked_at, first++, len);
			for (int i = 0; i < round % 7 && first < last; i++)
				assert_take(first++, len);
		}
		while (first < last)
			assert_take(first++, len);
		assert_none();
	}
}

/* All lengths behind each other, so that the end of the ring is met in every way. */
static void test_wraps(void **state)
{
	for (uint32_t n = 0; n < 20000; n++) {
		size_t len = n * 37 % 3000;

		assert_true(put(n, len) >= 0);
		assert_take(n, len);
		if (n % 3 == 0)
			assert_none();
	}
}

enum { DATAGRAMS = 200000 };

struct other {
	int fd;
	uint32_t lost;
};

static size_t some_len(uint32_t n)
{
	return n * 7919 % 200;
}

static void *write_all(void *ctx)
{
	struct other *o = ctx;

	for (uint32_t n = 0; n < DATAGRAMS; n++) {
		int r = put(n, some_len(n));

		if (r == 1)
			(void) eventfd_write(o->fd, 1);
		o->lost += r < 0;
		if (n % 64 == 0)
			(void) usleep(1); /* and the reader goes to sleep */
	}
	(void) eventfd_write(o->fd, 1 << 20);
	return NULL;
}

/* Everything that was not refused arrives, whole, in order, without the reader ever being left asleep. */
static void test_two_threads(void **state)
{
	struct other o = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	struct tunnel_event got;
	uint32_t next = 0, n_got = 0;
	eventfd_t woken = 0;
	pthread_t thread;

	assert_true(o.fd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, write_all, &o), 0);
	while (woken < 1 << 20) {
		struct pollfd fd = { .fd = o.fd, .events = POLLIN };

		assert_int_equal(poll(&fd, 1, 20000), 1);
		assert_int_equal(eventfd_read(o.fd, &woken), 0);
		while (events_take(&ring, &got)) {
			assert_true(got.from.scope >= next);
			next = got.from.scope + 1;
			n_got++;
			assert_nth(&got, got.from.scope, some_len(got.from.scope));
		}
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(n_got + o.lost, DATAGRAMS);
	assert_true(n_got > DATAGRAMS / 100);
	(void) close(o.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wraps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_threads, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
