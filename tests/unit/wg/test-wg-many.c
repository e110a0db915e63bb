/*
 * 10,000 peers: look-ups by key, address and index, idle peers without a cost, many timers due at
 * once in bounded steps, and all of them gone again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "wg/wg.h"

enum { PEERS = 10000, SECOND = 1000000 };

static struct {
	unsigned sent, removed;
} seen;

static void on_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	seen.sent++;
}

static void on_removed(void *ctx, struct wg_peer *peer)
{
	seen.removed++;
}

/* Distinct, of no low order (no point but the known few is). */
static void key_of(unsigned i, uint8_t ret[static WG_KEY_LEN])
{
	memset(ret, 0x42, WG_KEY_LEN);
	memcpy(ret, &i, sizeof(i));
}

static void test_many(void **state)
{
	const struct wg_config config = {
		.ops = { .send = on_send, .peer_removed = on_removed },
		.now_us = 1000,
		.wall_us = UINT64_C(1700000000000000),
	};
	struct wg_device *device;
	struct wg_peer *peer;
	uint8_t private_key[WG_KEY_LEN] = { 8 }, key[WG_KEY_LEN];
	struct ip_prefix prefix;

	assert_int_equal(wg_device_new(&config, &device), 0);
	wg_device_set_private_key(device, private_key);
	for (unsigned i = 0; i < PEERS; i++) {
		key_of(i, key);
		assert_int_equal(wg_device_add_peer(device, key, &peer), 1);
		wg_peer_set_user(peer, (void *) (uintptr_t) i);
		for (unsigned k = 0; k < 10; k++) { /* 100,000 prefixes in all */
			assert_int_equal(
				ip_prefix_parse(k ? "fd00::/128" : "10.0.0.0/32", &prefix), 0);
			prefix.addr.bytes[1] = (uint8_t) k;
			prefix.addr.bytes[2] = (uint8_t) (i >> 8);
			prefix.addr.bytes[3] = (uint8_t) i;
			assert_int_equal(wg_peer_add_allowed(peer, &prefix), 0);
		}
	}
	assert_int_equal(wg_device_n_peers(device), PEERS);
	assert_true(wg_device_next_deadline(device) == WG_NO_DEADLINE); /* idle: nothing to do */

	unsigned n = 0;

	for (peer = NULL; (peer = wg_device_next_peer(device, peer)); n++)
		assert_int_equal((uintptr_t) wg_peer_user(peer), n);
	assert_int_equal(n, PEERS);
	for (unsigned i = 0; i < PEERS; i++) {
		key_of(i, key);
		peer = wg_device_find_peer(device, key);
		assert_non_null(peer);
		assert_memory_equal(wg_peer_key(peer), key, WG_KEY_LEN);
		const uint8_t addr[16] = { 10, 0, (uint8_t) (i >> 8), (uint8_t) i };

		assert_ptr_equal(wg_device_route(device, AF_INET, addr), peer);
		const uint8_t addr6[16] = { 0xfd, 7, (uint8_t) (i >> 8), (uint8_t) i };

		assert_ptr_equal(wg_device_route(device, AF_INET6, addr6), peer);
	}

	/* every hundredth wants a session with nobody there: 100 rows of retransmissions */
	struct endpoint nowhere;

	assert_int_equal(endpoint_parse("192.0.2.1:9", &nowhere), 0);
	for (unsigned i = 0; i < PEERS; i += 100) {
		key_of(i, key);
		peer = wg_device_find_peer(device, key);
		wg_peer_set_endpoint(peer, &nowhere);
		wg_peer_initiate(peer);
	}
	assert_int_equal(seen.sent, 100);
	uint64_t now = 1000 + 7 * SECOND;

	wg_device_set_time(device, now, config.wall_us);
	unsigned ticks = 0, before;

	while (wg_device_next_deadline(device) <= now) {
		before = seen.sent;
		wg_device_tick(device);
		assert_in_range(seen.sent - before, 0, 32); /* in bounded steps */
		ticks++;
	}
	assert_int_equal(seen.sent, 200);
	assert_in_range(ticks, 4, 8);
	while (wg_device_next_deadline(device) != WG_NO_DEADLINE) {
		now = wg_device_next_deadline(device);
		wg_device_set_time(device, now, config.wall_us);
		wg_device_tick(device);
	}
	assert_in_range(now, 600 * (uint64_t) SECOND, 660 * (uint64_t) SECOND);

	/* every second peer goes; then all */
	for (unsigned i = 0; i < PEERS; i += 2) {
		key_of(i, key);
		wg_peer_remove(wg_device_find_peer(device, key));
		assert_null(wg_device_find_peer(device, key));
	}
	wg_device_tick(device);
	assert_int_equal(seen.removed, PEERS / 2);
	assert_int_equal(wg_device_n_peers(device), PEERS / 2);
	for (unsigned i = 0; i < PEERS; i++) {
		const uint8_t addr[16] = { 10, 0, (uint8_t) (i >> 8), (uint8_t) i };

		peer = wg_device_route(device, AF_INET, addr);
		assert_int_equal(peer != NULL, i % 2);
	}
	wg_device_free(device);
	assert_int_equal(seen.removed, PEERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
