/*
 * From the device to the peers, without a kernel: each packet of a batch goes to the peer of its own
 * destination, errors are written to the device at a limited rate, whatever is read from it, and
 * what a full send buffer holds up is given up only if that stays full; what one card could not do is
 * tried again when routes change.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "wg/wg.h"
#include "tunnel/internal.h"

enum { PACKETS_MAX = 256, UDP_LEN = 28 };

/* What the device holds, and what was written to it. */
static uint8_t packets[PACKETS_MAX][64];
static size_t lens[PACKETS_MAX], n_packets, next_packet, n_written;
static size_t room; /* messages that the socket takes before it is full */

static ssize_t fake_read(struct lane *l, void *ret_data, size_t len)
{
	size_t i = next_packet;

	if (i == n_packets)
		return -EAGAIN;
	assert_true(lens[i] <= len);
	memcpy(ret_data, packets[i], lens[i]);
	next_packet++;
	return (ssize_t) lens[i];
}

static ssize_t fake_write(struct lane *l, const struct iovec *iov, int n)
{
	n_written++;
	return 1;
}

static int fake_receive(struct lane *l, int fd, struct sock_msg *msgs, size_t n)
{
	return 0;
}

static size_t fake_send(struct lane *l, struct sock_msg *msgs, size_t n)
{
	n = n < room ? n : room;
	for (size_t i = 0; i < n; i++)
		msgs[i].sent = msgs[i].len;
	room -= n;
	return n;
}

static const struct tunnel_io fake_io = { .tun_read = fake_read,
	.tun_write = fake_write,
	.udp_receive = fake_receive,
	.udp_send = fake_send };

static int open_tunnel(void **state)
{
	const struct tunnel_config config = { .tun_fd = -1 };
	const uint8_t key[WG_KEY_LEN] = { 1 };
	struct tunnel *t = tunnel_new_bare(&fake_io);
	struct err err = { 0 };

	log_set_level(LOG_LEVEL_ERROR);
	if (!t || tunnel_open_bare(t, &config, &err) < 0)
		return -1;
	wg_device_set_time(t->device, clock_now_us(), clock_wall_us());
	wg_device_set_private_key(t->device, key);
	n_packets = next_packet = n_written = 0;
	room = SIZE_MAX;
	*state = t;
	return 0;
}

static int close_tunnel(void **state)
{
	(void) tunnel_free_bare(*state);
	return 0;
}

static struct wg_peer *add_peer(struct tunnel *t, uint8_t name, const char *prefix_text)
{
	const struct endpoint at = { .addr = { .family = AF_INET, .bytes = { 192, 0, 2, name } },
		.port = 9 };
	const uint8_t key[WG_KEY_LEN] = { name };
	struct ip_prefix prefix;
	struct wg_peer *peer = NULL;

	assert_int_equal(wg_device_add_peer(t->device, key, &peer), 1);
	wg_peer_set_endpoint(peer, &at);
	assert_int_equal(ip_prefix_parse(prefix_text, &prefix), 0);
	assert_int_equal(wg_peer_add_allowed(peer, &prefix), 0);
	return peer;
}

static void put4(const uint8_t dst[static 4])
{
	uint8_t *p = packets[n_packets];

	memset(p, 0, UDP_LEN);
	p[0] = 0x45;
	p[3] = UDP_LEN;
	p[8] = 64;
	p[9] = 17;
	memcpy(p + 12, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	memcpy(p + 16, dst, 4);
	lens[n_packets++] = UDP_LEN;
}

/* A destination whose first bytes are those of an IPv4 one. */
static void put6(const uint8_t dst[static 4])
{
	uint8_t *p = packets[n_packets];

	memset(p, 0, 40);
	p[0] = 0x60;
	p[6] = 59; /* nothing follows */
	p[7] = 64;
	p[8] = 0xfd;
	memcpy(p + 24, dst, 4);
	lens[n_packets++] = 40;
}

static void run(struct tunnel *t)
{
	while (next_packet < n_packets)
		assert_true(outbound_run(t->lanes[0]) >= 0);
	n_packets = next_packet = 0;
}

/* How many wait for @peer, all of them to @dst in IPv4 or IPv6. */
static size_t waiting(struct wg_peer *peer, const uint8_t dst[static 4])
{
	struct wg_staged *staged;
	size_t n = 0;

	for (; (staged = wg_peer_unstage(peer)); n++) {
		assert_memory_equal(staged->data + (staged->data[0] == 0x60 ? 24 : 16), dst, 4);
		free(staged);
	}
	return n;
}

static void test_each_goes_where_it_belongs(void **state)
{
	static const uint8_t a[4] = { 10, 1, 0, 9 }, b[4] = { 10, 2, 0, 9 }, none[4] = { 10, 3 };
	struct tunnel *t = *state;
	struct wg_peer *peer_a = add_peer(t, 1, "10.1.0.0/16"), *peer_b;
	struct wg_peer *peer_6 = add_peer(t, 3, "a01:9::/32"); /* begins with @a's bytes */

	peer_b = add_peer(t, 2, "10.2.0.0/16");
	for (int i = 0; i < 4; i++) {
		put4(a);
		put4(a);
		put4(b);
		put4(none);
		put4(none);
		put4(a);
		put6(a);
		put4(a);
	}
	run(t);
	assert_int_equal(waiting(peer_a, a), 16);
	assert_int_equal(waiting(peer_b, b), 4);
	assert_int_equal(waiting(peer_6, a), 4);
	assert_int_equal(t->lanes[0]->counters.tx_no_peer, 8);

	/* Prefixes may move between two batches. */
	wg_peer_remove(peer_b);
	put4(a);
	run(t);
	wg_peer_remove(peer_a);
	put4(a);
	run(t);
	assert_int_equal(t->lanes[0]->counters.tx_no_peer, 9);
}

static void test_errors_are_few(void **state)
{
	static const uint8_t single[4] = { 10, 3 }, group[4] = { 224, 0, 0, 9 };
	const struct timespec wait = { .tv_nsec = 25000000 };
	struct tunnel *t = *state;
	uint64_t began_us = clock_now_us(), most;

	for (int i = 0; i < 100; i++)
		put4(single);
	run(t);
	most = 50 + (clock_now_us() - began_us) / 10000;
	assert_in_range(n_written, 50, most);

	/* Packets that nobody may be told about do not make room for more. */
	(void) nanosleep(&wait, NULL);
	for (int i = 0; i < 60; i++)
		put4(group);
	for (int i = 0; i < 60; i++)
		put4(single);
	run(t);
	most = 51 + (clock_now_us() - began_us) / 10000;
	assert_in_range(n_written, 51, most);
}

/* A peer that is off: after 90 s of handshakes whoever waits for it is told, by ICMP. */
static void test_given_up(void **state)
{
	static const uint8_t a[4] = { 10, 1, 0, 9 };
	struct tunnel *t = *state;
	struct wg_peer *peer = add_peer(t, 1, "10.1.0.0/16");
	uint64_t start_us = clock_now_us();

	put4(a);
	put4(a);
	put4(a);
	run(t);
	assert_int_equal(n_written, 0);
	for (unsigned s = 0; s <= 100; s++) {
		wg_device_set_time(t->device, start_us + s * USEC_PER_SEC, clock_wall_us());
		wg_device_tick(t->device);
		if (s == 80)
			assert_int_equal(n_written, 0);
	}
	assert_int_equal(n_written, 3);
	assert_null(wg_peer_unstage(peer));
	assert_int_equal(t->lanes[0]->counters.tx_no_session, 3);
}

/* @n datagrams that do not leave: the send buffer is full. */
static void fill_outbox(struct tunnel *t, struct wg_session *session, size_t n)
{
	struct outbox *box = &t->lanes[0]->outbox;

	for (box->n = 0; box->n < n; box->n++) {
		box->msgs[box->n] = (struct sock_msg){ .data = box->data, .len = 32 };
		box->sessions[box->n] = session;
	}
	room = 0;
	assert_false(outbox_send(t->lanes[0], box));
	assert_true(outbox_waits(box));
}

static void test_full_buffer(void **state)
{
	struct tunnel *t = *state;
	struct wg_session session = { .peer = add_peer(t, 1, "10.1.0.0/16") };

	/* Room, but less than POLLOUT waits for. */
	fill_outbox(t, &session, 3);
	worker_limit_waiting(t->lanes[0], 1000000);
	room = 1;
	worker_limit_waiting(t->lanes[0], 1099999);
	assert_int_equal(t->lanes[0]->counters.tx_datagrams, 0);
	worker_limit_waiting(t->lanes[0], 1100000);
	assert_int_equal(t->lanes[0]->counters.tx_datagrams, 1);
	worker_limit_waiting(t->lanes[0], 1110000); /* from here on nothing leaves */
	room = 2;
	worker_limit_waiting(t->lanes[0], 1210000);
	assert_int_equal(t->lanes[0]->counters.tx_datagrams, 3);
	assert_int_equal(t->lanes[0]->counters.tx_errors, 0);
	assert_false(outbox_waits(&t->lanes[0]->outbox));

	fill_outbox(t, &session, 3);
	worker_limit_waiting(t->lanes[0], 2000000);
	worker_limit_waiting(t->lanes[0], 2099999);
	assert_true(outbox_waits(&t->lanes[0]->outbox));
	worker_limit_waiting(t->lanes[0], 2100000);
	assert_false(outbox_waits(&t->lanes[0]->outbox));
	assert_int_equal(t->lanes[0]->counters.tx_errors, 3);
}

static void test_another_card(void **state)
{
	struct tunnel *t = *state;

	assert_int_equal(sock_open(0, 0, true, &t->lanes[0]->sock, NULL), 0);
	if (!t->lanes[0]->sock.gso4) {
		sock_close(&t->lanes[0]->sock);
		skip();
	}
	t->lanes[0]->sock.gso4 = false;
	t->lanes[0]->sock.gso_lost = true;
	path_note_change(t);
	assert_true(t->lanes[0]->sock.gso4);
	assert_false(t->lanes[0]->sock.gso_lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_each_goes_where_it_belongs, open_tunnel, close_tunnel),
		cmocka_unit_test_setup_teardown(test_errors_are_few, open_tunnel, close_tunnel),
		cmocka_unit_test_setup_teardown(test_given_up, open_tunnel, close_tunnel),
		cmocka_unit_test_setup_teardown(test_full_buffer, open_tunnel, close_tunnel),
		cmocka_unit_test_setup_teardown(test_another_card, open_tunnel, close_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
