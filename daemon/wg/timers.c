/*
 * timers: all that happens because time passes (paper, section 6; Linux's timers.c). Six
 * independent timers per peer, and one entry in the device's heap for the earliest of them. A
 * packet only writes a number: the heap is touched when a deadline moves forward, and one that
 * moved back or was stopped is noticed when its old time comes.
 *
 *   retransmit   set when an initiation goes out (5 s + jitter), stopped by a session
 *   confirm      set by an answer when we have no other session (1 s), stopped by anything that
 *                comes in
 *   keepalive    set when data comes in (10 s), stopped by anything that goes out
 *   unanswered   set when data goes out (15 s + jitter), stopped by anything that comes in. Who
 *                wants to hear of it sooner is told 0.8 s after data has gone out, and again only
 *                if more has gone out since
 *   zero keys    set by each new session and on giving up (540 s)
 *   persistent   set by everything that goes out (as configured). Linux's is set by what comes in,
 *                too: of two idle ends that have one only the first to send then goes on, although
 *                not every NAT is kept by what comes in (RFC 4787, REQ-6), and the other is not
 *                heard for minutes
 */
#include "wg/device.h"

#include <stddef.h>

#define CONFIRM_EVERY_US UINT64_C(1000000)
#define CONFIRM_FOR_US   UINT64_C(5000000)

/* On the packet path, so no call into the kernel for random bytes (splitmix64). */
uint64_t wg_jitter_us(struct wg_device *device)
{
	uint64_t z = device->jitter += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % WG_REKEY_JITTER_US;
}

void wg_timer_set(struct wg_peer *peer, enum wg_timer timer, uint64_t at_us)
{
	if (peer->removed)
		return;
	peer->timers[timer] = at_us;
	if (!peer->due.place || at_us < peer->due.at_us)
		wg_heap_set(&peer->device->heap, &peer->due, at_us);
}

static void timer_after(struct wg_peer *peer, enum wg_timer timer, uint64_t delay_us)
{
	wg_timer_set(peer, timer, peer->device->now_us + delay_us);
}

/* Data has gone out, the first since an answer or since it was told that there is none. */
static void wait_for_answer(struct wg_peer *peer)
{
	uint64_t now_us = peer->device->now_us, quiet_us = now_us + WG_QUIET_US;

	peer->asked = true;
	if (!wg_timer_is_set(peer, WG_TIMER_UNANSWERED))
		peer->lost_us = now_us + WG_UNANSWERED_US + wg_jitter_us(peer->device);
	wg_timer_set(peer, WG_TIMER_UNANSWERED,
		peer->device->tells_quiet && quiet_us < peer->lost_us ? quiet_us : peer->lost_us);
}

void wg_timers_sent(struct wg_peer *peer, bool data)
{
	wg_timer_stop(peer, WG_TIMER_KEEPALIVE);
	if (data && !peer->asked)
		wait_for_answer(peer);
	if (peer->keepalive_s)
		timer_after(peer, WG_TIMER_PERSISTENT, peer->keepalive_s * UINT64_C(1000000));
}

void wg_timers_received(struct wg_peer *peer, bool data)
{
	wg_timer_stop(peer, WG_TIMER_UNANSWERED);
	peer->asked = false;
	wg_timer_stop(peer, WG_TIMER_CONFIRM);
	peer->lost = false;
	peer->unanswered_since_us = 0;
	peer->last_receive_us = peer->device->now_us;
	if (data && wg_timer_is_set(peer, WG_TIMER_KEEPALIVE))
		peer->another_keepalive = true;
	else if (data)
		timer_after(peer, WG_TIMER_KEEPALIVE, WG_KEEPALIVE_US);
}

/* Not for ever: what is sent much later is of no use to anybody. */
void wg_timers_staged(struct wg_peer *peer)
{
	if (wg_timer_is_set(peer, WG_TIMER_RETRANSMIT))
		return;
	peer->trying_since_us = peer->device->now_us;
	timer_after(peer, WG_TIMER_RETRANSMIT, WG_REKEY_ATTEMPT_US);
}

void wg_timers_initiation_sent(struct wg_peer *peer)
{
	timer_after(peer, WG_TIMER_RETRANSMIT, WG_REKEY_TIMEOUT_US + wg_jitter_us(peer->device));
}

void wg_timers_session_made(struct wg_peer *peer)
{
	timer_after(peer, WG_TIMER_ZERO_KEYS, WG_ZERO_KEYS_AFTER_US);
}

void wg_timers_session_confirmed(struct wg_peer *peer)
{
	wg_timer_stop(peer, WG_TIMER_RETRANSMIT);
	peer->last_minute = false;
	peer->last_handshake_wall_us = peer->device->wall_us;
	wg_event(peer, WG_EVENT_SESSION);
}

/*
 * The peer may have a session from before we lost our memory, and sends with it until something
 * comes in with the new one. Should our keepalive be lost, and we have nothing to say, that would
 * last 15 s.
 */
void wg_timers_first_session(struct wg_peer *peer)
{
	timer_after(peer, WG_TIMER_CONFIRM, CONFIRM_EVERY_US);
}

static void give_up(struct wg_peer *peer)
{
	wg_timer_stop(peer, WG_TIMER_KEEPALIVE);
	if (!wg_timer_is_set(peer, WG_TIMER_ZERO_KEYS))
		timer_after(peer, WG_TIMER_ZERO_KEYS, WG_ZERO_KEYS_AFTER_US);
	wg_event(peer, WG_EVENT_GAVE_UP);
	wg_staged_drop(peer);
}

static void run_retransmit(struct wg_peer *peer)
{
	if (peer->device->now_us - peer->trying_since_us >= WG_REKEY_ATTEMPT_US) {
		give_up(peer);
		return;
	}
	wg_peer_clear_source(peer);
	wg_handshake_begin(peer, true);
}

static void run_confirm(struct wg_peer *peer)
{
	const struct wg_session *session = wg_peer_sending(peer);

	if (!session || peer->device->now_us - session->created_us > CONFIRM_FOR_US)
		return;
	wg_keepalive_send(peer);
	timer_after(peer, WG_TIMER_CONFIRM, CONFIRM_EVERY_US);
}

static void run_keepalive(struct wg_peer *peer)
{
	wg_keepalive_send(peer);
	if (peer->another_keepalive) {
		peer->another_keepalive = false;
		timer_after(peer, WG_TIMER_KEEPALIVE, WG_KEEPALIVE_US);
	}
}

static void run_unanswered(struct wg_peer *peer)
{
	peer->asked = false;
	if (peer->device->now_us < peer->lost_us) {
		wg_event(peer, WG_EVENT_QUIET);
		wg_timer_set(peer, WG_TIMER_UNANSWERED, peer->lost_us);
		return;
	}
	wg_event(peer, WG_EVENT_UNANSWERED);
	peer->lost = true;
	peer->quiet_until_us = 0; /* what went out a moment ago went the old way */
	wg_peer_clear_source(peer);
	wg_handshake_begin(peer, false);
}

static void run_zero_keys(struct wg_peer *peer)
{
	wg_handshake_forget(peer);
	wg_sessions_drop(peer);
	wg_event(peer, WG_EVENT_KEYS_ZEROED);
}

static void run_timer(struct wg_peer *peer, enum wg_timer timer)
{
	switch (timer) {
	case WG_TIMER_RETRANSMIT:
		run_retransmit(peer);
		break;
	case WG_TIMER_CONFIRM:
		run_confirm(peer);
		break;
	case WG_TIMER_KEEPALIVE:
		run_keepalive(peer);
		break;
	case WG_TIMER_UNANSWERED:
		run_unanswered(peer);
		break;
	case WG_TIMER_ZERO_KEYS:
		run_zero_keys(peer);
		break;
	case WG_TIMER_PERSISTENT:
		if (peer->keepalive_s)
			wg_keepalive_send(peer);
		break;
	case WG_TIMERS:
		break;
	}
}

bool wg_timers_run_next(struct wg_device *device)
{
	struct wg_heap_node *first = wg_heap_first(&device->heap);

	if (!first || first->at_us > device->now_us)
		return false;
	wg_heap_remove(&device->heap, first);
	struct wg_peer *peer = (struct wg_peer *) ((char *) first - offsetof(struct wg_peer, due));

	for (unsigned i = 0; i < WG_TIMERS && !peer->removed; i++) {
		if (peer->timers[i] > device->now_us)
			continue;
		wg_timer_stop(peer, (enum wg_timer) i);
		run_timer(peer, (enum wg_timer) i);
	}
	if (peer->removed)
		return true;
	uint64_t next = WG_NO_DEADLINE;

	for (unsigned i = 0; i < WG_TIMERS; i++)
		if (peer->timers[i] < next)
			next = peer->timers[i];
	if (next != WG_NO_DEADLINE)
		wg_heap_set(&device->heap, &peer->due, next);
	return true;
}
