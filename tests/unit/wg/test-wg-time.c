/*
 * What happens because time passes: every timer of the protocol, seen from outside through what is
 * sent and when. Time is moved by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "wg-net.h"

#define SECOND UINT64_C(1000000)
enum { TIMES_MAX = 64 };

struct two {
	struct net net;
	struct net_host *a, *b;
	struct wg_peer *ab, *ba;
	uint64_t start_us;
};

/* When each kind of message left the first host. */
static struct {
	uint64_t at_us[TIMES_MAX];
	unsigned n;
} sent[5];

static void note(
	struct net_host *host, const struct wg_endpoint *to, const uint8_t *data, size_t len)
{
	int type = wg_message_type(data, len);

	if (sent[type].n < TIMES_MAX)
		sent[type].at_us[sent[type].n++] = host->net->now_us;
}

static void two_init(struct two *t)
{
	net_init(&t->net, 1);
	t->a = net_host_add(&t->net, false);
	t->b = net_host_add(&t->net, false);
	t->ab = net_introduce(t->a, t->b, true);
	t->ba = net_introduce(t->b, t->a, true);
	t->a->on_send = note;
	memset(sent, 0, sizeof(sent));
}

static void two_done(struct two *t)
{
	net_done(&t->net);
}
#define TWO __attribute__((cleanup(two_done))) struct two

/* With a session, at rest, the note-taking cleared. */
static void join(struct two *t)
{
	two_init(t);
	assert_int_equal(net_ping(t->a, t->b, 1), 0);
	net_run(&t->net, 100000);
	assert_int_equal(t->b->delivered, 1);
	t->start_us = t->net.now_us;
	memset(sent, 0, sizeof(sent));
}

#define assert_seconds(us, low, high) assert_in_range(us, (low) *SECOND, (high) *SECOND)

static void test_retransmission(void **state)
{
	TWO t;

	two_init(&t);
	t.net.cut = 2;
	uint64_t start = t.net.now_us;

	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 300 * SECOND);
	for (unsigned i = 1; i < sent[1].n; i++)
		assert_in_range(sent[1].at_us[i] - sent[1].at_us[i - 1], 5 * SECOND,
			5 * SECOND + WG_REKEY_JITTER_US);
	assert_in_range(sent[1].n, 17, 19);
	assert_in_range(sent[1].at_us[sent[1].n - 1] - start, 84 * SECOND, 91 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_GAVE_UP], 1);
	assert_null(wg_peer_unstage(t.ab)); /* what waited is gone */
	/* new traffic begins anew */
	t.net.cut = 0;
	assert_int_equal(net_ping(t.a, t.b, 2), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 1);
}

/* The jitter is real: two rows of retransmissions differ. */
static void test_jitter(void **state)
{
	uint64_t sums[4];

	for (unsigned i = 0; i < 4; i++) {
		TWO t;

		two_init(&t);
		t.net.cut = 2;
		assert_int_equal(net_ping(t.a, t.b, 1), 0);
		net_run(&t.net, 60 * SECOND);
		sums[i] = sent[1].at_us[sent[1].n - 1];
	}
	assert_true(sums[0] != sums[1] || sums[0] != sums[2] || sums[0] != sums[3]);
}

static void test_passive_keepalive(void **state)
{
	TWO t;

	join(&t);
	assert_int_equal(net_ping(t.b, t.a, 1), 0);
	net_run(&t.net, 9900000);
	assert_int_equal(sent[4].n, 0);
	net_run(&t.net, 200000);
	assert_int_equal(sent[4].n, 1);
	assert_int_equal(t.b->keepalives, 1);
	net_run(&t.net, 60 * SECOND); /* a keepalive does not ask for one */
	assert_int_equal(sent[4].n, 1);

	assert_int_equal(net_ping(t.b, t.a, 1), 0); /* something goes out in time: none needed */
	net_run(&t.net, 5 * SECOND);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, 9 * SECOND);
	assert_int_equal(sent[4].n, 2);
}

/* More comes in while the timer runs: one more keepalive follows. */
static void test_another_keepalive(void **state)
{
	TWO t;

	join(&t);
	assert_int_equal(net_ping(t.b, t.a, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(net_ping(t.b, t.a, 1), 0);
	net_run(&t.net, 30 * SECOND);
	assert_int_equal(sent[4].n, 2);
	assert_seconds(sent[4].at_us[1] - t.start_us, 20, 21);
}

/*
 * With the first session, a says again that it is in use, until it hears something: the other may have one
 * from before a lost its memory, and the first keepalive may be lost.
 */
static void test_first_session_confirmed(void **state)
{
	TWO t;

	two_init(&t);
	wg_peer_initiate(t.ab);
	net_run(&t.net, 60 * SECOND);
	assert_in_range(sent[4].n, 5, 7);
	for (unsigned i = 1; i < sent[4].n; i++)
		assert_true(sent[4].at_us[i] - sent[4].at_us[i - 1] == SECOND);
	two_done(&t);
	join(&t);
	net_run(&t.net, SECOND / 2);
	assert_int_equal(net_ping(t.b, t.a, 1), 0);
	net_run(&t.net, 9 * SECOND);
	assert_int_equal(sent[4].n, 0);
}

static void test_persistent_keepalive(void **state)
{
	TWO t;

	join(&t);
	net_run(&t.net, 20 * SECOND); /* b's answer is over */
	memset(sent, 0, sizeof(sent));
	wg_peer_set_keepalive(t.ab, 25);
	assert_int_equal(wg_peer_keepalive(t.ab), 25);
	assert_int_equal(sent[4].n, 1); /* at once */
	net_run(&t.net, 81 * SECOND);
	assert_int_equal(sent[4].n, 4);
	for (unsigned i = 1; i < 4; i++)
		assert_true(sent[4].at_us[i] - sent[4].at_us[i - 1] == 25 * SECOND);
	wg_peer_set_keepalive(t.ab, 0);
	net_run(&t.net, 100 * SECOND);
	assert_int_equal(sent[4].n, 4);
	wg_peer_set_keepalive(
		t.ab, 60); /* no session any more: a handshake, then alive for hours */
	net_run(&t.net, 4 * 3600 * SECOND);
	assert_non_null(wg_peer_sending(t.ab));
	assert_non_null(wg_peer_sending(t.ba));
	assert_int_equal(t.a->dropped + t.b->dropped, 0);
	unsigned initiations = t.a->sent_type[1];

	assert_in_range(initiations, 4 * 3600 / 181, 4 * 3600 / 120 + 2);
}

static unsigned sent_by(const struct net_host *host)
{
	return host->sent_type[WG_TYPE_INITIATION] + host->sent_type[WG_TYPE_RESPONSE] +
	       host->sent_type[WG_TYPE_DATA];
}

/* Of two idle ends that have one, each is heard by the other. */
static void test_persistent_keepalive_of_both(void **state)
{
	TWO t;

	join(&t);
	wg_peer_set_keepalive(t.ab, 25);
	net_run(&t.net, SECOND);
	wg_peer_set_keepalive(t.ba, 25);
	for (unsigned i = 0; i < 20; i++) {
		unsigned from_a = sent_by(t.a), from_b = sent_by(t.b);

		net_run(&t.net, 26 * SECOND);
		assert_true(sent_by(t.a) > from_a);
		assert_true(sent_by(t.b) > from_b);
	}
}

/* A dead peer with a persistent keepalive is tried for ever. */
static void test_persistent_never_stops(void **state)
{
	TWO t;

	two_init(&t);
	t.net.cut = 2;
	wg_peer_set_keepalive(t.ab, 25);
	net_run(&t.net, 12 * 3600 * SECOND);
	t.net.cut = 0;
	net_run(&t.net, 31 * SECOND);
	assert_non_null(wg_peer_sending(t.ab));
}

static void test_rekey_initiator(void **state)
{
	TWO t;

	join(&t);
	net_run(&t.net, 119 * SECOND);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	assert_int_equal(sent[1].n, 0);
	net_run(&t.net, SECOND);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	assert_int_equal(sent[1].n, 1);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 3);
	assert_int_equal(t.a->events[WG_EVENT_SESSION], 2);
}

/* The responder leaves it to the initiator, however much it sends. */
static void test_rekey_not_responder(void **state)
{
	TWO t;

	join(&t);
	for (unsigned i = 0; i < 160; i++) {
		assert_int_equal(net_ping(t.b, t.a, i), 0);
		net_run(&t.net, SECOND);
	}
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 0);
}

/* One who only receives begins at 165 s; its own keepalives may do so before. */
static void test_rekey_receiver(void **state)
{
	TWO t;

	join(&t);
	net_run(&t.net, 164 * SECOND);
	assert_int_equal(sent[1].n, 0);
	assert_int_equal(net_ping(t.b, t.a, 1), 0);
	net_run(&t.net, 50000);
	assert_int_equal(sent[1].n, 0);
	net_run(&t.net, SECOND);
	assert_int_equal(net_ping(t.b, t.a, 2), 0);
	net_run(&t.net, 50000);
	assert_int_equal(sent[1].n, 1);
	assert_int_equal(t.a->delivered, 2);
}

static void test_reject_after(void **state)
{
	TWO t;

	join(&t);
	net_run(&t.net, 178 * SECOND);
	memset(sent, 0, sizeof(sent));
	struct wg_session *session = wg_peer_sending(t.ab);

	assert_non_null(session);
	assert_non_null(wg_device_session(t.a->device, session->local_index));
	net_run(&t.net, 2 * SECOND);
	assert_null(wg_peer_sending(t.ab));
	assert_null(wg_device_session(t.a->device, session->local_index));
	struct wg_peer_stats stats;

	wg_peer_stats(t.ab, &stats);
	assert_false(stats.session);
	assert_int_equal(net_ping(t.a, t.b, 1), 0); /* waits for new keys */
	assert_int_equal(sent[4].n, 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 2);
}

static void test_zero_keys(void **state)
{
	TWO t;

	join(&t);
	net_run(&t.net, 539 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_KEYS_ZEROED], 0);
	assert_int_equal(t.a->ciphers_freed, 0);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.a->events[WG_EVENT_KEYS_ZEROED], 1);
	assert_int_equal(t.b->events[WG_EVENT_KEYS_ZEROED], 1);
	assert_int_equal(t.a->ciphers_freed, 1);
	assert_int_equal(t.b->ciphers_freed, 1);
	/* and then nothing at all is left to do */
	assert_true(wg_device_next_deadline(t.a->device) == WG_NO_DEADLINE);
	assert_true(wg_device_next_deadline(t.b->device) == WG_NO_DEADLINE);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 2);
}

/* Data goes out and nothing comes back: 15 s (and a little) later a new handshake. */
static void test_unanswered(void **state)
{
	TWO t;

	join(&t);
	assert_int_equal(net_ping(t.b, t.a, 1), 0); /* all is answered until now */
	net_run(&t.net, SECOND);
	t.net.cut = 2;
	uint64_t start = t.net.now_us;

	for (unsigned i = 0; i < 14; i++) {
		assert_int_equal(net_ping(t.a, t.b, i), 0);
		net_run(&t.net, SECOND);
	}
	assert_int_equal(sent[1].n, 0);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(sent[1].n, 1); /* though more was sent all the time */
	assert_in_range(sent[1].at_us[0] - start, 15 * SECOND, 15 * SECOND + WG_REKEY_JITTER_US);
	assert_int_equal(t.a->events[WG_EVENT_UNANSWERED], 1);
	struct wg_peer_stats stats;

	wg_peer_stats(t.ab, &stats);
	assert_false(stats.session);
	t.net.cut = 0;
	net_run(&t.net, 6 * SECOND);
	wg_peer_stats(t.ab, &stats);
	assert_true(stats.session);
	assert_int_equal(t.a->events[WG_EVENT_SESSION], 2);
}

/* The peer lost its memory: traffic in one direction alone brings the tunnel back within 16 s. */
static void test_peer_restarts(void **state)
{
	TWO t;

	join(&t);
	net_host_restart(t.b);
	t.ba = net_introduce(t.b, t.a, true);
	uint64_t start = t.net.now_us;
	unsigned before = t.b->delivered;

	while (t.b->delivered == before && t.net.now_us - start < 30 * SECOND) {
		assert_int_equal(net_ping(t.a, t.b, 1), 0);
		net_run(&t.net, SECOND / 10);
	}
	assert_true(t.net.now_us - start < 16 * SECOND);
	/* if the restarted one speaks first, at once */
	net_host_restart(t.b);
	t.ba = net_introduce(t.b, t.a, true);
	net_run(&t.net, 6 * SECOND);
	assert_int_equal(net_ping(t.b, t.a, 5), 0);
	net_run(&t.net, SECOND / 10);
	assert_int_equal(t.a->delivered, 1);
}

/* A handshake is not begun within 5 s of answering one, but what waits is not forgotten. */
static void test_quiet_after_response(void **state)
{
	TWO t;

	two_init(&t);
	t.b->no_handshakes = true; /* its answers are lost */
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->sent_type[WG_TYPE_RESPONSE], 1);
	assert_int_equal(net_ping(t.b, t.a, 2), 0);
	t.b->no_handshakes = false;
	t.a->no_handshakes = true;
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 0);
	net_run(&t.net, 3 * SECOND);
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 0);
	net_run(&t.net, 2 * SECOND);
	assert_int_equal(t.b->sent_type[WG_TYPE_INITIATION], 1);
	t.a->no_handshakes = false;
	net_run(&t.net, 6 * SECOND);
	assert_int_equal(t.a->delivered, 1);
	assert_int_equal(t.b->delivered, 1);
}

/* Time that jumps (a suspended machine) and a monotonic clock that is said to go back. */
static void test_jumps(void **state)
{
	TWO t;

	join(&t);
	t.net.now_us += 3 * 86400 * SECOND;
	net_run(&t.net, SECOND);
	assert_int_equal(t.a->events[WG_EVENT_KEYS_ZEROED], 1);
	assert_int_equal(net_ping(t.a, t.b, 1), 0);
	net_run(&t.net, SECOND);
	assert_int_equal(t.b->delivered, 2);
	wg_device_set_time(t.a->device, 1, 0);
	assert_non_null(wg_peer_sending(t.ab));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retransmission),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_passive_keepalive),
		cmocka_unit_test(test_another_keepalive),
		cmocka_unit_test(test_first_session_confirmed),
		cmocka_unit_test(test_persistent_keepalive),
		cmocka_unit_test(test_persistent_keepalive_of_both),
		cmocka_unit_test(test_persistent_never_stops),
		cmocka_unit_test(test_rekey_initiator),
		cmocka_unit_test(test_rekey_not_responder),
		cmocka_unit_test(test_rekey_receiver),
		cmocka_unit_test(test_reject_after),
		cmocka_unit_test(test_zero_keys),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_peer_restarts),
		cmocka_unit_test(test_quiet_after_response),
		cmocka_unit_test(test_jumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
