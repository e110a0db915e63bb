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

static bool went_to(unsigned type, const struct endpoint *to)
{
	for (unsigned i = 0; i < captured[type].n && i < 40; i++)
		if (endpoint_equal(&captured[type].to[i], to))
			return true;
	return false;
}

static void test_candidates(void **state)
{
	TWO t;
	struct endpoint list[3];

	two_init(&t, false);
	assert_int_equal(endpoint_parse("198.51.100.1:1", &list[0]), 0);
	assert_int_equal(endpoint_parse("[2001:db8::99]:2", &list[1]), 0);
	list[2] = t.b->addrs[0];
	assert_int_equal(endpoint_parse("198.51.100.77:7", &t.b->addrs[0]), 0); /* b moved there */
	t.b->addrs[1] = list[1];
	t.b->n_addrs = 2;
	t.a->on_send = capture;
	assert_int_equal(wg_peer_set_candidates(t.ab, list, WG_CANDIDATES_MAX + 1), -E2BIG);
	assert_int_equal(wg_peer_set_candidates(t.ab, list, 3), 0);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	assert_int_equal(captured[1].n, 3); /* the endpoint is one of them */
	assert_true(went_to(1, &list[0]) && went_to(1, &list[1]) && went_to(1, &list[2]));
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 1);
	/* b answered from its first address */
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ab)->remote, &t.b->addrs[0]));

	/* A rekey of a working session goes to the endpoint only. */
	captured[1].n = 0;
	net_run(&t.net, 121 * SECOND);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(captured[1].n, 1);
	assert_true(endpoint_equal(&captured[1].to[0], &t.b->addrs[0]));

	/* b is gone from there and does not know: after 15 s everything is tried again. */
	net_run(&t.net, 20 * SECOND);
	assert_int_equal(endpoint_parse("198.51.100.88:8", &t.b->addrs[0]), 0);
	captured[1].n = 0;
	unsigned before = t.b->delivered;

	assert_int_equal(net_ping(t.a, t.b, 3), 0);
	net_run(&t.net, 14 * SECOND);
	assert_int_equal(captured[1].n, 0);
	net_run(&t.net, 2 * SECOND);
	assert_true(captured[1].n >= 4);
	assert_int_equal(t.a->events[WG_EVENT_UNANSWERED], 1);
	assert_int_equal(net_ping(t.a, t.b, 4), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, before + 1);
}

/*
 * b hears the first copy of an initiation on a way that does not lead back. The next copy gets the
 * answer; a third from the same place as the first, or one that comes too late, gets none.
 */
static void test_way_that_does_not_lead_back(void **state)
{
	TWO t;
	uint8_t copy[WG_INITIATION_LEN];
	struct endpoint one_way, late; /* nobody is there */

	two_init(&t, true);
	assert_int_equal(endpoint_parse("203.0.113.5:5", &one_way), 0);
	assert_int_equal(endpoint_parse("203.0.113.6:6", &late), 0);
	t.a->on_send = t.b->on_send = capture;
	wg_peer_set_endpoint(t.ab, &late); /* lost on the way; the test carries it */
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 0);
	memcpy(copy, captured[WG_TYPE_INITIATION].data, sizeof(copy));
	net_inject(t.b, &one_way, copy, sizeof(copy));
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 1);
	net_inject(t.b, &one_way, copy, sizeof(copy));
	assert_int_equal(t.b->last_result, -EALREADY);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 1);
	net_inject(t.b, &t.a->addrs[0], copy, sizeof(copy));
	assert_int_equal(t.b->last_result, -EALREADY);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 2);
	assert_true(endpoint_equal(&captured[WG_TYPE_RESPONSE].to[1], &t.a->addrs[0]));
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 1);
	/* the answer's way is a's now, and what a sends tells b */
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ab)->remote, &t.b->addrs[0]));
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ba)->remote, &t.a->addrs[0]));
	net_inject(t.b, &late, copy, sizeof(copy)); /* the session is in use: a replay, no copy */
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 2);

	/* late copies are replays */
	net_host_restart(t.a);
	t.ab = net_introduce(t.a, t.b, true);
	wg_peer_set_endpoint(t.ab, &late);
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	memcpy(copy, captured[WG_TYPE_INITIATION].data, sizeof(copy));
	net_inject(t.b, &one_way, copy, sizeof(copy));
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 3);
	net_run(&t.net, 2 * SECOND);
	net_inject(t.b, &late, copy, sizeof(copy));
	assert_int_equal(t.b->last_result, -EALREADY);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 3);
}

/* An address learned while an initiation waits for its answer gets it at once. */
/*
 * A session, and what goes there is lost: all addresses are tried at once, although a handshake has just been;
 * and what comes the new way is learned.
 */
static void test_doubt(void **state)
{
	TWO t;
	struct endpoint other;

	two_init(&t, true);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(endpoint_parse("198.51.100.7:7", &other), 0);
	assert_int_equal(wg_peer_set_candidates(t.ab, &other, 1), 0);
	t.b->addrs[0] = other; /* and a has only the old one */
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	wg_peer_initiate(t.ab); /* the session is fresh */
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.b->delivered, 1);
	wg_peer_doubt(t.ab);
	assert_non_null(wg_peer_sending(t.ab));
	net_run(&t.net, SECOND / 10);
	assert_true(endpoint_equal(&wg_peer_endpoint(t.ab)->remote, &other));
	assert_int_equal(net_ping(t.a, t.b, 3), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 2);
}

static void test_candidate_comes_late(void **state)
{
	TWO t;
	struct endpoint list[2];

	two_init(&t, false);
	list[1] = t.b->addrs[0];
	assert_int_equal(endpoint_parse("198.51.100.1:1", &list[0]), 0);
	wg_peer_set_endpoint(t.ab, &list[0]);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 0);
	assert_int_equal(wg_peer_set_candidates(t.ab, list, 2), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.b->delivered, 1);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 2);

	/* and a peer with a keepalive that had no address begins when it gets one */
	struct net_host *c = net_host_add(&t.net, true);
	struct wg_peer *ac = net_introduce(t.a, c, false);

	net_introduce(c, t.a, false);
	wg_peer_set_keepalive(ac, 25);
	assert_int_equal(t.a->sent_type[WG_TYPE_INITIATION], 2);
	assert_int_equal(wg_peer_set_candidates(ac, &c->addrs[0], 1), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(c->keepalives, 1);
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
		cmocka_unit_test_setup(test_candidates, reset_captured),
		cmocka_unit_test_setup(test_way_that_does_not_lead_back, reset_captured),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_candidate_comes_late),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_timestamps_later),
		cmocka_unit_test(test_added_again),
		cmocka_unit_test(test_counter_limit),
		cmocka_unit_test(test_rotation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
