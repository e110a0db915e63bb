/*
 * Everything that must be refused: peers that cannot be, messages truncated, too long, forged,
 * replayed, from denied places, for nobody, by nobody, in floods.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wg-two.h"

static void test_refused_peers(void **state)
{
	TWO t;
	struct wg_peer *peer, *again;

	two_init(&t, true);
	assert_int_equal(wg_device_add_peer(t.a->device, t.a->public_key, &peer), -ELOOP);
	assert_int_equal(wg_device_add_peer(t.a->device, t.b->public_key, &again), 0);
	assert_ptr_equal(again, t.ab);
	assert_int_equal(wg_device_n_peers(t.a->device), 1);
	assert_ptr_equal(wg_device_next_peer(t.a->device, NULL), t.ab);
	assert_null(wg_device_next_peer(t.a->device, t.ab));
	/* our key becomes that of a peer we have: it goes */
	wg_device_set_private_key(t.a->device, t.b->private_key);
	assert_int_equal(wg_device_n_peers(t.a->device), 0);
	assert_null(wg_device_next_peer(t.a->device, NULL));
}

/* Keys with which no secret can be shared: known by name, never sent to. */
static void test_low_order_peers(void **state)
{
	const struct endpoint somewhere = {
		.addr = { .family = AF_INET, .bytes = { 192, 0, 2, 1 } }, .port = 7
	};
	const struct ip_prefix net = { .addr = { .family = AF_INET, .bytes = { 10 } }, .len = 8 };
	const uint8_t packet[20] = { 0x45 };
	TWO t;

	two_init(&t, true);
	for (uint8_t order = 0; order < 2; order++) {
		uint8_t key[WG_KEY_LEN] = { order };
		struct wg_peer *peer;
		struct wg_peer_stats stats;

		assert_int_equal(wg_device_add_peer(t.a->device, key, &peer), 1);
		assert_int_equal(wg_peer_add_allowed(peer, &net), 0);
		wg_peer_set_endpoint(peer, &somewhere);
		wg_peer_set_keepalive(peer, 1);
		assert_int_equal(wg_peer_stage(peer, packet, sizeof(packet)), 0);
		net_run(&t.net, 20 * SECOND);
		wg_peer_stats(peer, &stats);
		assert_int_equal(stats.tx_bytes, 0);
		wg_device_set_private_key(t.a->device, t.a->private_key);
		wg_peer_remove(peer);
	}
}

static void test_no_identity(void **state)
{
	TWO t;
	uint8_t zero[WG_KEY_LEN] = { 0 }, key[WG_KEY_LEN];

	two_init(&t, true);
	t.a->on_send = capture;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	wg_device_set_private_key(t.b->device, zero);
	assert_false(wg_device_private_key(t.b->device, key));
	assert_memory_equal(key, zero, sizeof(key));
	assert_false(wg_device_public_key(t.b->device, key));
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->last_result, -ENOKEY);
	assert_int_equal(net_ping(t.b, t.a, 1), -ENOKEY);
	wg_peer_initiate(t.ba);
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 0);
	wg_device_set_private_key(t.b->device, t.b->private_key);
	assert_true(wg_device_private_key(t.b->device, key));
	net_run(&t.net, 5 * SECOND);
	assert_int_equal(t.b->delivered, 1);
}

static void test_denied(void **state)
{
	TWO t;
	struct ip_prefix denied[2];
	struct endpoint inside;
	const struct wg_counters *counters;

	two_init(&t, true);
	assert_int_equal(ip_prefix_parse("10.244.0.0/16", &denied[0]), 0);
	assert_int_equal(ip_prefix_parse("fd00::/8", &denied[1]), 0);
	assert_int_equal(endpoint_parse("10.244.3.4:5000", &inside), 0);
	assert_int_equal(wg_device_set_denied(t.b->device, denied, 2), 0);
	assert_true(wg_device_denies(t.b->device, &inside));
	assert_false(wg_device_denies(t.b->device, &t.a->addrs[0]));

	struct endpoint honest = t.a->addrs[0];

	t.a->addrs[0] = inside;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	counters = wg_device_counters(t.b->device);
	assert_int_equal(counters->denied, 1);
	assert_int_equal(t.b->last_result, -EACCES);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 0);
	t.a->addrs[0] = honest;
	net_run(&t.net, 6 * SECOND);
	assert_int_equal(t.b->delivered, 1);
	t.a->addrs[0] = inside; /* data from there: neither taken nor learned */
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 1);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &honest));
	struct wg_endpoint there = { .remote = inside };

	wg_peer_data_received(wg_peer_sending(t.ba), &there, 32, false);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &honest));

	denied[1].len = 200;
	assert_int_equal(wg_device_set_denied(t.b->device, denied, 2), -EINVAL);
	assert_true(wg_device_denies(t.b->device, &inside)); /* the list before stays */
	assert_int_equal(wg_device_set_denied(t.b->device, denied, WG_DENIED_MAX + 1), -E2BIG);
	assert_int_equal(wg_device_set_denied(t.b->device, NULL, 0), 0);
	assert_false(wg_device_denies(t.b->device, &inside));
}

/* Each message kind in every wrong length, and with each bit of the handshake messages wrong. */
static void test_spoiled_messages(void **state)
{
	TWO t;
	uint8_t data[2000] = { 0 };

	two_init(&t, true);
	t.a->on_send = t.b->on_send = capture;
	t.a->no_handshakes = true;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	for (unsigned type = 0; type < 8; type++)
		for (size_t len = 0; len < sizeof(data); len += len < 200 ? 1 : 97) {
			if (type == 4 && len >= 32)
				continue;
			memcpy(data, captured[1].data, WG_INITIATION_LEN);
			if (type == 1 && len == WG_INITIATION_LEN)
				continue;
			data[0] = (uint8_t) type;
			net_inject(t.b, &t.a->addrs[0], data, len);
			assert_true(type == 4 || t.b->last_result < 0);
		}
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 0);
	for (size_t bit = 0; bit < 8 * WG_INITIATION_LEN; bit += 3) {
		memcpy(data, captured[1].data, WG_INITIATION_LEN);
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		if (bit / 8 >= wg_mac2_offset(WG_INITIATION_LEN))
			break; /* not looked at unless under load */
		net_inject(t.b, &t.a->addrs[0], data, WG_INITIATION_LEN);
		assert_true(t.b->last_result == -EBADMSG || t.b->last_result == -EKEYREJECTED);
	}
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 0);
	assert_int_equal(t.b->sent_type[WG_TYPE_COOKIE_REPLY], 0);
	net_inject(t.b, &t.a->addrs[0], captured[1].data, WG_INITIATION_LEN);
	assert_int_equal(t.b->last_result, 0); /* the true one still works */
	t.net.cut = 3;                         /* now the answer, by hand */
	net_run(&t.net, SECOND);
	for (size_t bit = 0; bit < 8 * wg_mac2_offset(WG_RESPONSE_LEN); bit++) {
		memcpy(data, captured[2].data, WG_RESPONSE_LEN);
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		net_inject(t.a, &t.b->addrs[0], data, WG_RESPONSE_LEN);
		assert_true(t.a->last_result == -EBADMSG || t.a->last_result == -EKEYREJECTED);
	}
	net_inject(t.a, &t.b->addrs[0], captured[2].data, WG_RESPONSE_LEN);
	assert_int_equal(t.a->last_result, 0);
	net_inject(t.a, &t.b->addrs[0], captured[2].data, WG_RESPONSE_LEN); /* again */
	assert_int_equal(t.a->last_result, -ENOENT);
	assert_non_null(wg_peer_sending(t.ab));
}

static void test_data_forged_replayed(void **state)
{
	TWO t;
	uint8_t data[300];

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net,
		10 * (uint64_t) SECOND); /* a has said often enough that the session is in use */
	assert_int_equal(t.b->delivered, 1);
	t.a->on_send = capture;
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	size_t len = captured[4].len;

	for (size_t bit = 0; bit < 8 * len; bit++) {
		memcpy(data, captured[4].data, len);
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		net_inject(t.b, &t.a->addrs[0], data, len);
	}
	for (size_t n = 0; n < len; n++)
		net_inject(t.b, &t.a->addrs[0], captured[4].data, n);
	assert_int_equal(t.b->delivered, 1);
	net_run(&t.net, SECOND); /* the true one comes */
	assert_int_equal(t.b->delivered, 2);
	struct endpoint attacker;

	assert_int_equal(endpoint_parse("203.0.113.66:1", &attacker), 0);
	net_inject(t.b, &attacker, captured[4].data, len); /* the same again, from elsewhere */
	assert_int_equal(t.b->delivered, 2);
	assert_int_equal(wg_device_counters(t.b->device)->replayed, 1);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &t.a->addrs[0]));

	/* a source that is not the peer's */
	size_t n = net_packet_make(data, 9, 2, 5);

	assert_int_equal(net_write(t.a, data, n), 0);
	n = net_packet_make(data, 2, 2, 5); /* b's own address */
	assert_int_equal(net_write(t.a, data, n), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 2);
}

static void test_initiation_replayed(void **state)
{
	TWO t;
	uint8_t first[WG_INITIATION_LEN];

	two_init(&t, true);
	t.a->on_send = capture;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	memcpy(first, captured[1].data, sizeof(first));
	struct endpoint attacker;

	assert_int_equal(endpoint_parse("203.0.113.66:1", &attacker), 0);
	net_inject(t.b, &attacker, first, sizeof(first));
	assert_int_equal(t.b->last_result, -EALREADY);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &t.a->addrs[0]));
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 1);
	net_run(&t.net, 3600 * (uint64_t) SECOND); /* hours and sessions later still */
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 2);
	net_inject(t.b, &attacker, first, sizeof(first));
	assert_int_equal(t.b->last_result, -EALREADY);
	net_inject(t.a, &attacker, first, sizeof(first)); /* back at its sender: another's MAC1 */
	assert_int_equal(t.a->last_result, -EKEYREJECTED);
}

static void test_unknown_peer(void **state)
{
	TWO t;

	two_init(&t, true);
	wg_peer_remove(t.ba);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->last_result, -ENOENT);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 0);
}

/* An honest key that begins handshakes far too often: 50 a second are taken. */
static void test_flood_of_one_peer(void **state)
{
	TWO t;
	unsigned taken = 0, busy = 0;

	two_init(&t, true);
	t.a->on_send = capture;
	t.a->no_handshakes = true;
	for (unsigned i = 0; i < 200; i++) {
		wg_device_set_private_key(
			t.a->device, t.b->private_key); /* clears the 5 s pause... */
		wg_device_set_private_key(t.a->device, t.a->private_key);
		if (!net_peer(t.a, t.b))
			t.ab = net_introduce(t.a, t.b, true);
		wg_peer_initiate(t.ab);
		net_run(&t.net, 5000);
		t.net.wall_us += 20000; /* so that the timestamps grow */
		net_inject(t.b, &t.a->addrs[0], captured[1].data, WG_INITIATION_LEN);
		taken += t.b->last_result == 0;
		busy += t.b->last_result == -EBUSY;
	}
	assert_int_equal(taken + busy, 200);
	assert_in_range(taken, 50, 50 + WG_INITIATIONS_AT_ONCE);
	assert_int_equal(wg_device_counters(t.b->device)->flooded, busy);
}

/* Under load: a cookie is asked for, then the handshake goes on, within the rate of the source. */
static void test_under_load(void **state)
{
	TWO t;

	two_init(&t, true);
	t.a->on_send = t.b->on_send = capture;
	wg_device_note_load(t.b->device);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND / 2);
	assert_int_equal(t.b->sent_type[WG_TYPE_COOKIE_REPLY], 1);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 0);
	assert_int_equal(t.a->events[WG_EVENT_COOKIE_RECEIVED], 1);
	net_inject(t.a, &t.b->addrs[0], captured[3].data, captured[3].len); /* twice: refused */
	assert_int_equal(t.a->last_result, -EKEYREJECTED);
	net_run(&t.net, 4 * SECOND);
	wg_device_note_load(t.b->device);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->sent_type[WG_TYPE_COOKIE_REPLY], 1);
	assert_int_equal(t.b->delivered, 1);
	for (unsigned i = 0; i < 10; i++) { /* the same message again and again: rate limit */
		wg_device_note_load(t.b->device);
		net_inject(t.b, &t.a->addrs[0], captured[1].data, captured[1].len);
	}
	assert_int_equal(t.b->last_result, -EDQUOT);
	assert_in_range(wg_device_counters(t.b->device)->rate_limited, 4, 6);
	captured[3].data[4] ^= 1;
	net_inject(t.a, &t.b->addrs[0], captured[3].data, captured[3].len);
	assert_int_equal(t.a->last_result, -ENOENT);
}

/* Many messages with a right MAC1 bring it about by themselves; ones with a wrong MAC1 do not. */
static void test_load_noticed(void **state)
{
	TWO t;

	two_init(&t, true);
	t.a->on_send = capture;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	uint8_t wrong[WG_INITIATION_LEN];

	memcpy(wrong, captured[1].data, sizeof(wrong));
	wrong[100] ^= 1;
	for (unsigned i = 0; i < 1000; i++)
		net_inject(t.b, &t.a->addrs[0], wrong, sizeof(wrong));
	assert_int_equal(t.b->sent_type[WG_TYPE_COOKIE_REPLY], 0);
	for (unsigned i = 0; i < WG_LOAD_HANDSHAKES + 1; i++)
		net_inject(t.b, &t.a->addrs[0], captured[1].data, WG_INITIATION_LEN);
	assert_int_equal(t.b->last_result, -EAGAIN);
	assert_int_equal(t.b->sent_type[WG_TYPE_COOKIE_REPLY], 1);
	net_run(&t.net, 2 * SECOND);
	net_inject(t.b, &t.a->addrs[0], captured[1].data, WG_INITIATION_LEN);
	assert_int_equal(t.b->last_result, -EALREADY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_peers),
		cmocka_unit_test(test_low_order_peers),
		cmocka_unit_test(test_no_identity),
		cmocka_unit_test(test_denied),
		cmocka_unit_test_setup(test_spoiled_messages, reset_captured),
		cmocka_unit_test_setup(test_data_forged_replayed, reset_captured),
		cmocka_unit_test_setup(test_initiation_replayed, reset_captured),
		cmocka_unit_test(test_unknown_peer),
		cmocka_unit_test_setup(test_flood_of_one_peer, reset_captured),
		cmocka_unit_test_setup(test_under_load, reset_captured),
		cmocka_unit_test_setup(test_load_noticed, reset_captured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
