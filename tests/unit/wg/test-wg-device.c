/*
 * Two and three devices: what a handshake and a session do, keys, peers that move, addresses that
 * are tried, timestamps, and what the other side must not notice.
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
#include "wg/device.h"
#include "wg-two.h"

static void test_first_packets(void **state)
{
	TWO t;
	struct wg_peer_stats sa, sb;

	two_init(&t, false);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(net_ping(t.a, t.b, i), 0);
	assert_int_equal(net_ping(t.b, t.a, 1), -EDESTADDRREQ);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 10);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 1);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 1);
	assert_int_equal(t.a->sent_type[WG_TYPE_DATA], 10); /* no keepalive: the data confirms */
	assert_ptr_equal(t.b->last_peer, t.ba);
	assert_int_equal(net_ping(t.b, t.a, 7), 0); /* the way back was learned */
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 1);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &t.a->addrs[0]));
	assert_true(ip_addr_equal(&wg_peer_endpoint(t.ba)->local, &t.b->addrs[0].addr));
	assert_int_equal(wg_peer_endpoint(t.ba)->ifindex, 1);

	wg_peer_stats(t.ab, &sa);
	wg_peer_stats(t.ba, &sb);
	assert_true(sa.session && sb.session);
	assert_true(sa.tx_bytes == sb.rx_bytes && sa.rx_bytes == sb.tx_bytes);
	assert_true(sa.tx_bytes > WG_INITIATION_LEN + 10 * 64);
	assert_true(sa.last_handshake_wall_us >= UINT64_C(1700000000000000));
	assert_true(sb.last_receive_us > 0 && sb.last_receive_us <= t.net.now_us);
}

/* Without data the initiator confirms with a keepalive. */
static void test_initiate(void **state)
{
	TWO t;

	two_init(&t, false);
	wg_peer_initiate(t.ab);
	wg_peer_initiate(t.ab);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->keepalives, 1);
	assert_int_equal(t.b->events[WG_EVENT_SESSION], 1);
	assert_int_equal(t.a->events[WG_EVENT_SESSION], 1);
	assert_non_null(wg_peer_sending(t.ab));
	assert_non_null(wg_peer_sending(t.ba));
	net_run(&t.net, 10 * SECOND);
	wg_peer_initiate(t.ab); /* fresh: nothing to do */
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 1);
}

static void test_both_at_once(void **state)
{
	for (unsigned seed = 0; seed < 100; seed++) {
		TWO t;

		two_init(&t, true);
		t.net.seed = seed;
		t.net.delay_min_us = 1000;
		t.net.delay_max_us = 30000;
		assert_int_equal(net_ping(t.a, t.b, 1), 0);
		assert_int_equal(net_ping(t.b, t.a, 2), 0);
		net_run(&t.net, SECOND / 5); /* long before any retry */
		assert_int_equal(t.a->delivered, 1);
		assert_int_equal(t.b->delivered, 1);
		for (uint32_t i = 0; i < 20; i++) {
			assert_int_equal(net_ping(t.a, t.b, i), 0);
			assert_int_equal(net_ping(t.b, t.a, i), 0);
		}
		net_run(&t.net, SECOND);
		assert_int_equal(t.a->delivered, 21);
		assert_int_equal(t.b->delivered, 21);
		assert_int_equal(t.a->dropped + t.b->dropped, 0);
		/* and they agree on one of the two sessions */
		const struct wg_session *sa = wg_peer_sending(t.ab), *sb = wg_peer_sending(t.ba);

		assert_int_equal(sa->remote_index, sb->local_index);
		assert_int_equal(sb->remote_index, sa->local_index);
		assert_true(sa->initiator != sb->initiator);
	}
}

/*
 * A peer that forgets everything within a second of a handshake is not taken for one that crossed.
 */
static void test_instant_restart(void **state)
{
	for (unsigned i = 0; i < 2; i++) { /* whoever has the greater key */
		TWO t;

		two_init(&t, true);
		struct net_host *a = i ? t.a : t.b, *b = i ? t.b : t.a;

		assert_int_equal(net_ping(a, b, 1), 0);
		net_run(&t.net, SECOND / 10);
		net_host_restart(b);
		net_introduce(b, a, true);
		assert_int_equal(net_ping(b, a, 1), 0);
		net_run(&t.net, SECOND / 10);
		assert_int_equal(a->delivered, 1);
		for (unsigned k = 0; k < 5; k++) {
			assert_int_equal(net_ping(b, a, k), 0);
			net_run(&t.net, SECOND);
		}
		unsigned before = b->delivered;

		assert_int_equal(net_ping(a, b, 1), 0);
		net_run(&t.net, SECOND);
		assert_int_equal(b->delivered, before + 1);
	}
}

/* As above, and after its handshake the peer says nothing more: it is reached all the same. */
static void test_instant_restart_silent(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		TWO t;

		two_init(&t, true);
		struct net_host *a = i ? t.a : t.b, *b = i ? t.b : t.a;

		assert_int_equal(net_ping(a, b, 1), 0);
		net_run(&t.net, SECOND / 10);
		assert_int_equal(net_ping(b, a, 1), 0); /* it has used the session that a began */
		net_run(&t.net, SECOND / 10);
		net_host_restart(b);
		net_introduce(b, a, true);
		assert_int_equal(net_ping(b, a, 1), 0);
		net_run(&t.net, SECOND / 10);
		unsigned before = b->delivered;

		assert_int_equal(net_ping(a, b, 2), 0);
		net_run(&t.net, SECOND / 10);
		assert_int_equal(b->delivered, before + 1);
	}
}

static void test_psk(void **state)
{
	TWO t;
	uint8_t psk[WG_KEY_LEN] = { 1, 2, 3 };

	two_init(&t, true);
	wg_peer_set_psk(t.ab, psk);
	assert_memory_equal(wg_peer_psk(t.ab), psk, sizeof(psk));
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 3 * SECOND);
	assert_int_equal(t.b->delivered, 0);
	assert_int_equal(t.a->last_result, -EKEYREJECTED);
	wg_peer_set_psk(t.ba, psk);
	net_run(&t.net, 4 * SECOND);
	assert_int_equal(t.b->delivered, 1);
}

static void test_ipv6_outside(void **state)
{
	struct net net;

	net_init(&net, 3);
	struct net_host *a = net_host_add(&net, true), *b = net_host_add(&net, true);

	net_introduce(a, b, true);
	net_introduce(b, a, false);
	assert_int_equal(net_ping(a, b, 1), 0);
	net_run(&net, SECOND);
	assert_int_equal(b->delivered, 1);
	net_done(&net);
}

/* A new key: the old sessions send nothing more, and the next packet gets a handshake at once. */
static void test_key_change(void **state)
{
	TWO t;
	uint8_t other[WG_KEY_LEN] = { 77, 3, 1 }, old_public[WG_KEY_LEN];

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 1);
	memcpy(old_public, t.a->public_key, WG_KEY_LEN);
	memcpy(t.a->private_key, other, WG_KEY_LEN);
	wg_device_set_private_key(t.a->device, other);
	assert_true(wg_device_public_key(t.a->device, t.a->public_key));
	assert_memory_not_equal(t.a->public_key, old_public, WG_KEY_LEN);
	assert_null(wg_peer_sending(t.ab));
	struct wg_peer *fresh = net_introduce(t.b, t.a, false);

	assert_ptr_not_equal(fresh, t.ba);
	wg_peer_remove(t.ba);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 2);
	assert_ptr_equal(t.b->last_peer, fresh);
	wg_device_set_private_key(t.a->device, other); /* the same again: nothing happens */
	assert_non_null(wg_peer_sending(t.ab));
}

/* Nor does a session that had been crossed come back when the peer goes on to use it. */
static void test_key_change_after_crossing(void **state)
{
	TWO t;
	uint8_t other[WG_KEY_LEN] = { 77, 3, 1 };

	two_init(&t, true);
	t.net.delay_min_us = t.net.delay_max_us = 10000;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	assert_int_equal(net_ping(t.b, t.a, 2), 0);
	net_run(&t.net, 8 * SECOND);
	struct wg_session *crossed = t.ab->previous;

	assert_non_null(crossed);
	assert_true(crossed->may_send);
	wg_device_set_private_key(t.a->device, other);
	assert_null(wg_peer_sending(t.ab));
	wg_peer_data_received(crossed, wg_peer_endpoint(t.ab), WG_DATA_MIN_LEN, false);
	assert_null(wg_peer_sending(t.ab));
}

static void test_removal(void **state)
{
	TWO t;

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	struct wg_session *session = wg_peer_sending(t.ab);
	uint64_t counter;

	assert_non_null(session);
	wg_peer_remove(t.ab);
	wg_peer_remove(t.ab);
	/* what the caller still holds is out of service but there */
	assert_true(session->dead);
	assert_false(wg_session_reserve(session, 1, &counter));
	assert_false(wg_session_accept(session, 100));
	assert_int_equal(wg_peer_stage(t.ab, (const uint8_t *) "x", 1), -EDESTADDRREQ);
	assert_null(net_peer(t.a, t.b));
	assert_int_equal(net_ping(t.a, t.b, 1), -ENETUNREACH);
	assert_int_equal(wg_device_next_deadline(t.a->device), 0);
	wg_device_tick(t.a->device);
	assert_int_equal(t.a->ciphers_freed, 1);
	assert_true(wg_device_next_deadline(t.a->device) == WG_NO_DEADLINE);
	assert_int_equal(net_ping(t.b, t.a, 2), 0);
	net_run(&t.net, 30 * SECOND);
	assert_int_equal(t.a->delivered, 0);
	assert_true(wg_device_counters(t.a->device)->unknown > 0);
}

/* Other threads' holds keep what they may have found, and no more, however they overlap. */
static void test_held(void **state)
{
	TWO t;

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	struct wg_device *device = t.a->device;
	struct wg_session *session = wg_peer_sending(t.ab);
	uint32_t index = session->local_index;

	unsigned first = wg_device_hold(device);

	wg_peer_remove(t.ab);
	wg_device_tick(device);
	assert_int_equal(t.a->ciphers_freed, 0);
	assert_true(session->dead && session->local_index == index && session->peer == t.ab);
	/* nothing to be done before it lets go: no tick is asked for in vain */
	assert_true(wg_device_next_deadline(device) == WG_NO_DEADLINE);

	unsigned second = wg_device_hold(device); /* cannot have found it */

	wg_device_tick(device);
	assert_int_equal(t.a->ciphers_freed, 0);
	wg_device_release(device, first);
	assert_int_equal(wg_device_next_deadline(device), 0);
	wg_device_tick(device);
	assert_int_equal(t.a->ciphers_freed, 1);
	wg_device_release(device, second);

	/* a chain of holds, one of which always lasts */
	t.ab = net_introduce(t.a, t.b, true);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, SECOND);
	assert_non_null(wg_peer_sending(t.ab));
	first = wg_device_hold(device);
	wg_peer_remove(t.ab);
	for (int i = 0; i < 2; i++) {
		wg_device_tick(device);
		second = wg_device_hold(device);
		wg_device_release(device, first);
		first = second;
	}
	wg_device_tick(device);
	assert_int_equal(t.a->ciphers_freed, 2);
	wg_device_release(device, first);
}

static void test_staging(void **state)
{
	TWO t;
	uint32_t number;

	two_init(&t, true);
	t.net.cut = 2;
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(net_ping(t.a, t.b, 1000 + i), 0);
	struct wg_staged *first = wg_peer_unstage(t.ab);

	memcpy(&number, first->data + 20, 4);
	assert_int_equal(number, 1072); /* the oldest gave way */
	free(first);
	t.net.cut = 0;
	net_run(&t.net, 6 * SECOND);
	assert_int_equal(t.b->delivered, WG_STAGED_MAX - 1);
	memcpy(&number, t.b->last + 20, 4);
	assert_int_equal(number, 1199); /* in order */
	assert_null(wg_peer_unstage(t.ab));
}

static void test_staging_limit(void **state)
{
	enum { LEN = 65535 };
	TWO t;
	CLEANUP(free_p) uint8_t *packet = calloc(1, LEN + 1);
	unsigned taken = 0;
	int r = 0;

	two_init(&t, true);
	assert_non_null(packet);
	assert_int_equal(wg_peer_stage(t.ab, packet, LEN + 1), -EMSGSIZE);
	for (unsigned p = 0; p < 10 && r == 0; p++) {
		struct wg_peer *peer;
		uint8_t key[WG_KEY_LEN] = { 9, (uint8_t) p };

		assert_int_equal(wg_device_add_peer(t.a->device, key, &peer), 1);
		wg_peer_set_endpoint(peer, &t.b->addrs[0]);
		for (unsigned i = 0; i < WG_STAGED_MAX && r == 0; i++) {
			r = wg_peer_stage(peer, packet, LEN);
			taken += r == 0;
		}
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(taken, WG_STAGED_BYTES_MAX / LEN);
}

static void test_roaming(void **state)
{
	TWO t;
	struct endpoint moved;

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	t.b->events[WG_EVENT_ENDPOINT] = 0;
	assert_int_equal(endpoint_parse("198.51.100.9:4444", &moved), 0);
	t.a->addrs[0] = moved;
	assert_int_equal(net_ping(t.b, t.a, 2), 0); /* goes to the old place */
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 0);
	assert_int_equal(net_ping(t.a, t.b, 3), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 2);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &moved));
	assert_int_equal(t.b->events[WG_EVENT_ENDPOINT], 1);
	assert_int_equal(net_ping(t.b, t.a, 4), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 1);
	wg_peer_clear_source(t.ba);
	assert_int_equal(wg_peer_endpoint(t.ba)->local.family, 0);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &moved));
}

/* Who decides elsewhere where peers are is told where they are heard, and nothing follows from it. */
static void test_managed(void **state)
{
	TWO t;
	struct endpoint moved, first;

	two_init(&t, true);
	first = t.a->addrs[0];
	t.b->managed = true;
	net_host_restart(t.b);
	t.ba = net_introduce(t.b, t.a, false);
	/* Its handshake is answered where it came from; nothing else is sent there. */
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 30 * SECOND);
	assert_int_equal(t.b->delivered, 1);
	assert_null(wg_peer_endpoint(t.ba));
	assert_null(wg_peer_sending(t.ba));
	assert_int_equal(net_ping(t.b, t.a, 2), -EDESTADDRREQ);
	assert_true(t.b->n_heard > 0 && endpoint_equal(&t.b->heard, &first));
	assert_int_equal(t.b->sent_type[4], 0);
	/* From there on it is one as any other. */
	wg_peer_set_endpoint(t.ba, &first);
	t.b->n_heard = 0;
	assert_int_equal(net_ping(t.b, t.a, 3), 0);
	assert_int_equal(net_ping(t.a, t.b, 4), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 1);
	assert_int_equal(t.b->delivered, 2);
	assert_int_equal(t.b->n_heard, 0);
	assert_int_equal(wg_peer_endpoint(t.ba)->local.family, AF_INET); /* that is learned */
	/* It moves: what it sends is taken, and it is answered at the old place until that is changed. */
	assert_int_equal(endpoint_parse("198.51.100.9:4444", &moved), 0);
	t.a->addrs[0] = moved;
	assert_int_equal(net_ping(t.a, t.b, 5), 0);
	assert_int_equal(net_ping(t.a, t.b, 6), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 4);
	assert_int_equal(t.b->n_heard, 2);
	assert_true(endpoint_equal(&t.b->heard, &moved));
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &first));
	assert_int_equal(net_ping(t.b, t.a, 7), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 1);
	wg_peer_set_endpoint(t.ba, &moved);
	assert_int_equal(net_ping(t.b, t.a, 8), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 2);
	assert_int_equal(t.b->events[WG_EVENT_ENDPOINT], 0);
}

/*
 * Who decides where peers are may have a helper on this machine, at ports that are named. Nobody else
 * here is a peer.
 */
static void test_loopback(void **state)
{
	static const struct {
		const char *text;
		bool allowed;
	} cases[] = {
		{ "127.0.0.1:64", true },
		{ "127.0.0.1:65535", true },
		{ "127.0.0.1:63", false },
		{ "127.0.0.1:65", false },
		{ "127.0.0.1:65534", false },
		{ "127.0.0.2:64", false },
		{ "[::1]:64", false },
		{ "128.0.0.1:63", true },
		{ "[::2]:63", true },
	};
	struct endpoint helper, at;
	TWO t;

	two_init(&t, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(endpoint_parse(cases[i].text, &at), 0);
		assert_false(wg_device_denies(t.b->device, &at));
	}
	t.b->managed = true;
	net_host_restart(t.b);
	wg_device_allow_loopback(t.b->device, 64, true);
	wg_device_allow_loopback(t.b->device, 65535, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(endpoint_parse(cases[i].text, &at), 0);
		assert_int_equal(wg_device_denies(t.b->device, &at), !cases[i].allowed);
	}
	/* Its port is given up: what waits for an answer from there waits for another address. */
	t.ba = net_introduce(t.b, t.a, false);
	wg_peer_set_sought(t.ba, true);
	assert_int_equal(endpoint_parse("127.0.0.1:64", &helper), 0);
	wg_peer_set_endpoint(t.ba, &helper);
	assert_int_equal(net_ping(t.b, t.a, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 1);
	wg_device_allow_loopback(t.b->device, 65535, false);
	assert_non_null(wg_peer_endpoint(t.ba));
	wg_device_allow_loopback(t.b->device, 64, false);
	assert_null(wg_peer_endpoint(t.ba));
	assert_true(wg_device_denies(t.b->device, &helper));
	net_run(&t.net, 20 * SECOND);
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 1);
	wg_peer_set_endpoint(t.ba, &t.a->addrs[0]);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 1);
	/* With a session, that stays; one who is not looked for loses what waits. */
	wg_device_allow_loopback(t.b->device, 64, true);
	wg_peer_set_endpoint(t.ba, &helper);
	wg_device_allow_loopback(t.b->device, 64, false);
	wg_peer_set_endpoint(t.ba, &t.a->addrs[0]);
	assert_int_equal(net_ping(t.b, t.a, 2), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 2);
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 2);
	assert_int_equal(t.b->events[WG_EVENT_GAVE_UP], 0);
	net_host_restart(t.b);
	t.ba = net_introduce(t.b, t.a, false);
	wg_device_allow_loopback(t.b->device, 64, true);
	wg_peer_set_endpoint(t.ba, &helper);
	assert_int_equal(net_ping(t.b, t.a, 3), 0);
	wg_device_allow_loopback(t.b->device, 64, false);
	assert_int_equal(t.b->events[WG_EVENT_GAVE_UP], 1);
	assert_int_equal(net_ping(t.b, t.a, 4), -EDESTADDRREQ);
}

/* While an address is looked for, what is sent waits, though not for ever. */
static void test_sought(void **state)
{
	TWO t;

	two_init(&t, false);
	t.a->managed = t.b->managed = true;
	net_host_restart(t.a);
	net_host_restart(t.b);
	t.ab = net_introduce(t.a, t.b, false);
	t.ba = net_introduce(t.b, t.a, false);
	assert_int_equal(net_ping(t.a, t.b, 1), -EDESTADDRREQ);
	wg_peer_set_sought(t.ab, true);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, 89 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_GAVE_UP], 0);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_GAVE_UP], 1);
	assert_null(wg_peer_unstage(t.ab));
	/* Found. */
	assert_int_equal(net_ping(t.a, t.b, 3), 0);
	assert_int_equal(net_ping(t.a, t.b, 4), 0);
	net_run(&t.net, 30 * SECOND);
	wg_peer_set_endpoint(t.ab, &t.b->addrs[0]);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 2);
	net_run(&t.net, 100 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_GAVE_UP], 1);
	/* b has the session, and waits for the address alone. */
	wg_peer_set_sought(t.ba, true);
	assert_int_equal(net_ping(t.b, t.a, 5), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->delivered, 0);
	wg_peer_set_endpoint(t.ba, &t.a->addrs[0]);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.a->delivered, 1);
	/* Nobody looks for it any more: who waits is told. */
	net_host_restart(t.a);
	t.ab = net_introduce(t.a, t.b, false);
	wg_peer_set_sought(t.ab, true);
	assert_int_equal(net_ping(t.a, t.b, 6), 0);
	wg_peer_set_sought(t.ab, false);
	assert_int_equal(t.a->events[WG_EVENT_GAVE_UP], 2);
	assert_int_equal(net_ping(t.a, t.b, 7), -EDESTADDRREQ);
	wg_peer_set_sought(t.ab, false);
	assert_int_equal(t.a->events[WG_EVENT_GAVE_UP], 2);
}

/* What has had no answer is asked again where the peer is now, at once. */
static void test_another_endpoint(void **state)
{
	TWO t;
	struct endpoint nobody, moved;

	two_init(&t, true);
	t.a->managed = true;
	net_host_restart(t.a);
	t.ab = net_introduce(t.a, t.b, true);
	assert_int_equal(endpoint_parse("198.51.100.1:1", &nobody), 0);
	assert_int_equal(endpoint_parse("198.51.100.7:7", &moved), 0);
	wg_peer_set_endpoint(t.ab, &nobody);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 0);
	wg_peer_set_endpoint(t.ab, &t.b->addrs[0]);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 1);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 2);
	wg_peer_set_endpoint(t.ab, &t.b->addrs[0]); /* the same again is nothing */
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 2);
	/* With a session that is answered it only goes elsewhere. */
	net_run(&t.net, SECOND);
	t.b->addrs[0] = moved;
	wg_peer_set_endpoint(t.ab, &moved);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 2);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 2);
	/* Lost for 15 s, and found. */
	net_run(&t.net, 25 * SECOND); /* until b has kept all alive that it will */
	t.b->addrs[0] = nobody;
	assert_int_equal(net_ping(t.a, t.b, 3), 0);
	net_run(&t.net, 17 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_UNANSWERED], 1);
	wg_peer_set_endpoint(t.ab, &nobody);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(net_ping(t.a, t.b, 4), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 3);
}

/*
 * Who asks for it is told 0.8 s after data went out that nothing has come, again if more went out,
 * until it is 15 s. An answer ends it.
 */
static void test_quiet(void **state)
{
	struct endpoint nobody, there;
	uint64_t one;
	TWO t;

	two_init(&t, true);
	assert_int_equal(endpoint_parse("198.51.100.1:1", &nobody), 0);
	there = t.b->addrs[0];
	wg_device_tell_quiet(t.a->device, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 12 * SECOND); /* a keepalive answers after 10 s */
	assert_int_equal(t.b->delivered, 1);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 1);
	one = t.a->unanswered;
	assert_in_range(one, 48, 200);
	net_run(&t.net, 20 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 1);
	t.b->addrs[0] = nobody;
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, 700000);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 1);
	net_run(&t.net, 200000);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 2);
	assert_int_equal(t.a->unanswered, one); /* since then, not since ever */
	net_run(&t.net, 4 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 2);
	/* More goes out all the time. */
	for (unsigned i = 0; i < 90; i++) {
		assert_int_equal(net_ping(t.a, t.b, 2), 0);
		net_run(&t.net, SECOND / 10);
	}
	assert_in_range(t.a->events[WG_EVENT_QUIET], 12, 13);
	assert_in_range(t.a->unanswered, 7 * one, 9 * one);
	assert_int_equal(t.a->events[WG_EVENT_UNANSWERED], 0);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_UNANSWERED], 1);
	/* Who asks while an answer is missing hears of it with the next packet. */
	wg_device_tell_quiet(t.a->device, false);
	t.a->events[WG_EVENT_QUIET] = 0;
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	wg_device_tell_quiet(t.a->device, true);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 0);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_QUIET], 1);
	/* b, which did not ask, never hears of it. */
	t.b->addrs[0] = there;
	assert_int_equal(net_ping(t.b, t.a, 3), 0);
	net_run(&t.net, 12 * SECOND);
	assert_int_equal(t.b->events[WG_EVENT_QUIET], 0);
}

/* A peer with a keepalive that had no address begins when it gets one. */
static void test_address_comes_late(void **state)
{
	TWO t;

	two_init(&t, true);
	net_host_restart(t.a);
	t.ab = net_introduce(t.a, t.b, false);
	wg_peer_set_keepalive(t.ab, 25);
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 0);
	wg_peer_set_endpoint(t.ab, &t.b->addrs[0]);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->keepalives, 1);
}

/*
 * Timestamps are reserved before use, survive a restart without a clock, and none is used
 * unreserved.
 */
static void test_timestamps(void **state)
{
	TWO t;

	two_init(&t, true);
	t.a->reserve_result = -ENOSPC;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 20 * SECOND);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 0);
	t.a->reserve_result = 0;
	net_run(&t.net, 6 * SECOND);
	assert_int_equal(t.b->delivered, 1);
	assert_int_equal(t.a->n_reserved, 1);
	assert_in_range(t.a->reserved_s, 1700003600, 1700003700);

	t.a->wall_offset_us = -(INT64_C(400) * 86400 * SECOND); /* a power cut, and no clock */
	for (unsigned i = 0; i < 5; i++) {
		net_host_restart(t.a);
		t.ab = net_introduce(t.a, t.b, true);
		unsigned before = t.b->delivered;

		assert_int_equal(net_ping(t.a, t.b, 1), 0);
		net_run(&t.net, SECOND);
		assert_int_equal(t.b->delivered, before + 1);
	}
	t.a->wall_offset_us = 0; /* NTP answers */
	net_run(&t.net, 121 * SECOND);
	unsigned before = t.b->delivered;

	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, before + 1);
	unsigned writes = t.a->n_reserved;

	for (unsigned i = 0; i < 180; i++) { /* six hours of traffic: about a write an hour */
		assert_int_equal(net_ping(t.a, t.b, i), 0);
		net_run(&t.net, 120 * SECOND);
	}
	assert_in_range(t.a->n_reserved - writes, 0, 7);
}

/* What is being stored is waited for, 20 ms at a time; ahead of need nobody waits. */
static void test_timestamps_later(void **state)
{
	TWO t;

	two_init(&t, true);
	t.a->reserve_result = -EAGAIN;
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 0);
	t.a->reserve_result = 0;
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 1);
	assert_int_equal(t.a->n_reserved, 1);
	t.a->reserve_result = -EAGAIN; /* for as long as there is some left */
	for (unsigned i = 2; i < 25; i++) {
		net_run(&t.net, 145 * SECOND);
		assert_int_equal(net_ping(t.a, t.b, i), 0);
		net_run(&t.net, SECOND / 10);
		assert_int_equal(t.b->delivered, i);
	}
	net_run(&t.net, 400 * SECOND); /* and no longer */
	assert_int_equal(net_ping(t.a, t.b, 25), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 24);
	t.a->reserve_result = 0;
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 25);
	assert_int_equal(t.a->n_reserved, 2);
}

/* A peer that is taken away and put back at once is a new one, but its handshakes are not old. */
static void test_added_again(void **state)
{
	TWO t;

	two_init(&t, true);
	for (unsigned i = 1; i < WG_INITIATIONS_AT_ONCE; i++) {
		assert_int_equal(net_ping(t.a, t.b, i), 0);
		net_run(&t.net, 3000); /* less than a timestamp's step, and than 1/50 s */
		wg_peer_remove(t.ab);
		t.ab = net_introduce(t.a, t.b, true);
	}
	assert_int_equal(net_ping(t.a, t.b, 5), 0);
	net_run(&t.net, SECOND / 2);
	assert_int_equal(wg_device_counters(t.b->device)->replayed, 0);
	assert_int_equal(wg_device_counters(t.b->device)->flooded, 0);
	assert_in_range(t.b->delivered, 1, 5);
}

static void test_counter_limit(void **state)
{
	TWO t;
	uint64_t first;

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 6 * SECOND);
	struct wg_session *session = wg_peer_sending(t.ab);

	session->send_counter = WG_REKEY_AFTER_MESSAGES;
	assert_int_equal(net_ping(t.a, t.b, 2), 0); /* one above: new keys */
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 2);
	session->send_counter = WG_REJECT_AFTER_MESSAGES - 3;
	assert_false(wg_session_reserve(session, 4, &first));
	assert_true(wg_session_reserve(session, 3, &first));
	assert_true(first == WG_REJECT_AFTER_MESSAGES - 3);
	assert_false(wg_session_reserve(session, 1, &first));
	assert_null(wg_peer_sending(t.ab));
	net_run(&t.net, SECOND);
	assert_ptr_not_equal(wg_peer_sending(t.ab), session);
	assert_int_equal(net_ping(t.a, t.b, 3), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 3);
}

/*
 * The responder sends with the old keys until the new ones were used; the old ones still open then.
 */
static void test_rotation(void **state)
{
	TWO t;

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 121 * SECOND);
	struct wg_session *old_a = wg_peer_sending(t.ab), *old_b = wg_peer_sending(t.ba);

	t.a->on_send = capture;
	assert_int_equal(net_ping(t.a, t.b, 2), 0); /* begins a rekey */
	net_run(&t.net, 11000);                     /* b has the initiation, a not yet its answer */
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 2);
	assert_ptr_equal(wg_peer_sending(t.ba), old_b);
	assert_ptr_equal(wg_peer_sending(t.ab), old_a);
	assert_int_equal(net_ping(t.a, t.b, 3), 0); /* late, with the old keys */
	net_run(&t.net, 10000);
	assert_ptr_not_equal(wg_peer_sending(t.ab), old_a);
	net_run(&t.net, 10000);
	assert_ptr_not_equal(wg_peer_sending(t.ba), old_b);
	assert_false(old_b->dead); /* previous */
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 3);
	assert_int_equal(t.a->dropped + t.b->dropped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_packets),
		cmocka_unit_test(test_initiate),
		cmocka_unit_test(test_both_at_once),
		cmocka_unit_test(test_instant_restart),
		cmocka_unit_test(test_instant_restart_silent),
		cmocka_unit_test(test_psk),
		cmocka_unit_test(test_ipv6_outside),
		cmocka_unit_test(test_key_change),
		cmocka_unit_test(test_key_change_after_crossing),
		cmocka_unit_test(test_removal),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_staging),
		cmocka_unit_test(test_staging_limit),
		cmocka_unit_test(test_roaming),
		cmocka_unit_test(test_managed),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_sought),
		cmocka_unit_test(test_another_endpoint),
		cmocka_unit_test(test_address_comes_late),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_timestamps_later),
		cmocka_unit_test(test_added_again),
		cmocka_unit_test(test_counter_limit),
		cmocka_unit_test(test_rotation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
