/*
 * session: transport keys in service: previous (still received with), current (sent with) and
 * coming (ours as responder, sent with once the peer has used it), as the paper's section 6.2 and
 * Linux have them. A session that leaves is out of the index table at once and wiped and freed by
 * the next tick that finds it not held. The calls of the data path are here.
 *
 * Two ends that begin at the same moment make two sessions. Where the paper leaves it open, both
 * then choose that of the end with the greater public key, so that one end, not both, renews it.
 */
#include "wg/device.h"

#include <stdlib.h>
#include <string.h>

enum { CROSSING_US = 1000000, FOLLOW_US = 3000000 };

/* @*slot goes out of service. */
static void retire(struct wg_session **slot)
{
	struct wg_session *session = *slot;

	*slot = NULL;
	if (!session)
		return;
	struct wg_device *device = session->peer->device;

	session->dead = true;
	wg_index_remove(&device->index, session->local_index);
	session->next_dead = device->dead.sessions;
	device->dead.sessions = session;
}

void wg_sessions_free(struct wg_device *device, struct wg_session *list)
{
	while (list) {
		struct wg_session *session = list;

		list = session->next_dead;
		if (session->cipher && device->ops.cipher_free)
			device->ops.cipher_free(device->ctx, session->cipher);
		sodium_memzero(session, sizeof(*session));
		free(session);
	}
}

/* Were these two made at the same moment, because both ends began? */
static bool crossed(const struct wg_session *a, const struct wg_session *b)
{
	uint64_t apart_us = a->created_us > b->created_us ? a->created_us - b->created_us
							  : b->created_us - a->created_us;

	return a->initiator != b->initiator && apart_us < CROSSING_US;
}

static bool peer_key_is_greater(const struct wg_peer *peer)
{
	return memcmp(peer->remote.public, peer->device->identity.public, WG_KEY_LEN) > 0;
}

/* What the peer has just used or answered is what it has in memory: that is sent with. */
static void enter(struct wg_peer *peer, struct wg_session *fresh)
{
	retire(&peer->previous);
	peer->previous = peer->current;
	peer->current = fresh;
}

/*
 * An answer that comes after the peer has used its own of two crossed may be from before it
 * restarted.
 */
static void enter_answered(struct wg_peer *peer, struct wg_session *fresh)
{
	if (wg_session_may_send(peer->current, peer->device->now_us) &&
		crossed(peer->current, fresh)) {
		retire(&peer->previous);
		peer->previous = fresh;
	} else {
		enter(peer, fresh);
	}
}

void wg_session_install(struct wg_session *session)
{
	struct wg_peer *peer = session->peer;

	if (session->initiator) {
		enter_answered(peer, session);
	} else {
		retire(&peer->coming);
		peer->coming = session;
	}
}

/* The peer has used the session that was to come. */
static void confirm(struct wg_peer *peer)
{
	struct wg_session *coming = peer->coming;

	peer->coming = NULL;
	enter(peer, coming);
}

/*
 * The peer has used the other one of two crossed sessions. If that is the greater key's, we do so
 * at once, and never before: the end that began it may have lost its memory since. If it is not,
 * the peer knows no such rule, or has lost the one that we chose: then we follow, but not at once,
 * for what is under way.
 */
static void follow(struct wg_peer *peer, const struct wg_session *used)
{
	struct wg_session *current = peer->current;

	if (used != peer->previous || !used->may_send || !current || !crossed(used, current))
		return;
	if (used->initiator == peer_key_is_greater(peer) &&
		peer->device->now_us - current->created_us < FOLLOW_US)
		return;
	peer->current = peer->previous;
	peer->previous = current;
}

void wg_sessions_drop(struct wg_peer *peer)
{
	retire(&peer->previous);
	retire(&peer->current);
	retire(&peer->coming);
}

void wg_sessions_expire(struct wg_peer *peer)
{
	if (peer->current)
		peer->current->may_send = false;
	if (peer->coming)
		peer->coming->may_send = false;
	if (peer->previous) /* else a peer that goes on to use it would bring it back */
		peer->previous->may_send = false;
}

bool wg_session_may_send(const struct wg_session *session, uint64_t now_us)
{
	return session && session->may_send && !session->dead &&
	       now_us - session->created_us < WG_REJECT_AFTER_US &&
	       session->send_counter < WG_REJECT_AFTER_MESSAGES;
}

struct wg_session *wg_peer_sending(struct wg_peer *peer)
{
	if (!peer->endpoint.remote.addr.family)
		return NULL;
	return wg_session_may_send(peer->current, peer->device->now_us) ? peer->current : NULL;
}

struct wg_session *wg_device_session(struct wg_device *device, uint32_t receiver)
{
	const struct wg_index_entry *entry = wg_index_find(&device->index, receiver);

	if (!entry || !entry->session) {
		device->counters.unknown++;
		return NULL;
	}
	if (device->now_us - entry->session->created_us >= WG_REJECT_AFTER_US)
		return NULL;
	return entry->session;
}

bool wg_session_reserve(struct wg_session *session, unsigned n, uint64_t *ret_first)
{
	if (session->dead || session->send_counter > WG_REJECT_AFTER_MESSAGES - n) {
		wg_handshake_begin(session->peer, false);
		return false;
	}
	*ret_first = session->send_counter;
	session->send_counter += n;
	return true;
}

bool wg_session_accept(struct wg_session *session, uint64_t counter)
{
	if (!session->dead && wg_replay_accept(&session->replay, counter, WG_REJECT_AFTER_MESSAGES))
		return true;
	session->peer->device->counters.replayed++;
	return false;
}

/* After sending: is it time for new keys? The initiator's side begins, unless messages run out. */
static void keep_fresh_sent(struct wg_peer *peer)
{
	const struct wg_session *session = peer->current;

	if (!session)
		return;
	uint64_t age_us = peer->device->now_us - session->created_us;

	if (session->send_counter > WG_REKEY_AFTER_MESSAGES ||
		(session->initiator && age_us >= WG_REKEY_AFTER_US))
		wg_handshake_begin(peer, false);
}

/* After receiving: one who only listens begins before the keys expire, once. */
static void keep_fresh_received(struct wg_peer *peer)
{
	const struct wg_session *session = peer->current;

	if (peer->last_minute || !session || !session->initiator || !session->may_send)
		return;
	if (peer->device->now_us - session->created_us < WG_REJECT_AFTER_US - WG_UNANSWERED_US)
		return;
	peer->last_minute = true;
	wg_handshake_begin(peer, false);
}

void wg_peer_data_sent(struct wg_session *session, uint64_t bytes)
{
	struct wg_peer *peer = session->peer;

	if (!peer->asked)
		peer->asked_tx_bytes = peer->tx_bytes;
	peer->tx_bytes += bytes;
	wg_timers_sent(peer, true);
	keep_fresh_sent(peer);
}

void wg_peer_data_received(
	struct wg_session *session, const struct wg_endpoint *from, uint64_t bytes, bool data)
{
	struct wg_peer *peer = session->peer;

	if (peer->removed)
		return;
	bool confirmed = session == peer->coming;

	peer->rx_bytes += bytes;
	wg_endpoint_learn(peer, from);
	if (confirmed)
		confirm(peer);
	else if (session != peer->current)
		follow(peer, session);
	wg_timers_received(peer, data);
	if (confirmed) {
		wg_timers_session_confirmed(peer);
		wg_staged_flush(peer);
	}
	keep_fresh_received(peer);
}

static bool local_equal(const struct wg_endpoint *a, const struct wg_endpoint *b)
{
	return a->ifindex == b->ifindex && ip_addr_equal(&a->local, &b->local);
}

void wg_endpoint_learn(struct wg_peer *peer, const struct wg_endpoint *from)
{
	struct wg_device *device = peer->device;
	bool same = endpoint_equal(&peer->endpoint.remote, &from->remote);

	if (same && local_equal(&peer->endpoint, from))
		return;
	if (wg_device_denies(device, &from->remote))
		return;
	if (!same && device->managed) {
		if (device->ops.heard)
			device->ops.heard(device->ctx, peer, from);
		return;
	}
	peer->endpoint = *from;
	if (!same)
		wg_event(peer, WG_EVENT_ENDPOINT);
}

void wg_staged_flush(struct wg_peer *peer)
{
	if (peer->staged && peer->device->ops.ready && wg_peer_sending(peer))
		peer->device->ops.ready(peer->device->ctx, peer);
}

void wg_keepalive_send(struct wg_peer *peer)
{
	struct wg_device *device = peer->device;
	struct wg_session *session = wg_peer_sending(peer);
	uint8_t packet[WG_DATA_MIN_LEN];
	uint64_t counter;

	if (!session) {
		wg_handshake_begin(peer, false);
		return;
	}
	if (peer->staged) {
		wg_staged_flush(peer);
		return;
	}
	if (!peer->endpoint.remote.addr.family || !wg_session_reserve(session, 1, &counter))
		return;
	wg_data_head_format(packet, session->remote_index, counter);
	wg_seal(packet + WG_DATA_HEAD_LEN, NULL, 0, NULL, 0, session->send_key, counter);
	peer->tx_bytes += sizeof(packet);
	wg_timers_sent(peer, false);
	device->ops.send(device->ctx, peer, &peer->endpoint, packet, sizeof(packet));
	keep_fresh_sent(peer);
}
