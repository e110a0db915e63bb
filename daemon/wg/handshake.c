/*
 * handshake: initiations, responses and cookie replies, out and in. Nothing is computed for a
 * message before its MAC1 holds and, under load, its MAC2; nothing about a peer changes before the
 * message proved to be fresh and the peer's.
 */
#include "wg/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOAD_WINDOW_US = 100000,
	LOAD_LASTS_US = 1000000,
	STAMP_WAIT_US = 20000,
	INITIATION_US = 1000000 / WG_INITIATIONS_PER_SECOND,
};

void wg_handshake_forget(struct wg_peer *peer)
{
	if (peer->handshake.pending)
		wg_index_remove(&peer->device->index, peer->handshake.index);
	wg_handshake_clear(&peer->handshake);
}

static void send_counted(
	struct wg_peer *peer, const struct wg_endpoint *to, const uint8_t *data, size_t len)
{
	peer->tx_bytes += len;
	peer->device->ops.send(peer->device->ctx, peer, to, data, len);
}

/* May second @s be used? Asks for more before it is too late. */
static int stamp_reserve(struct wg_device *device, uint64_t s)
{
	struct wg_stamp_clock *clock = &device->clock;
	int r;

	if (s + WG_TIMESTAMP_LEFT_S < clock->reserved_s)
		return 0;
	if (clock->asked_s < s + WG_TIMESTAMP_BLOCK_S - WG_TIMESTAMP_LEFT_S)
		clock->asked_s = s + WG_TIMESTAMP_BLOCK_S;
	r = device->ops.reserve_timestamp
		    ? device->ops.reserve_timestamp(device->ctx, clock->asked_s)
		    : 0;
	if (r == 0)
		clock->reserved_s = clock->asked_s;
	return s < clock->reserved_s ? 0 : r;
}

/* The next timestamp, reserved on disk if need be. */
static int stamp_take(struct wg_peer *peer, uint8_t ret[static WG_TIMESTAMP_LEN])
{
	struct wg_device *device = peer->device;
	struct wg_stamp stamp =
		wg_stamp_next(&device->clock, &peer->last_stamp, device->now_us, device->wall_us);
	int r = stamp_reserve(device, stamp.s);

	if (r < 0)
		return r;
	peer->last_stamp = stamp;
	wg_stamp_format(&stamp, ret);
	return 0;
}

/* Fills peer->handshake too. On failure no handshake is under way. */
static int make_initiation(struct wg_peer *peer, uint8_t ret[static WG_INITIATION_LEN])
{
	struct wg_device *device = peer->device;
	struct wg_initiation message;
	uint8_t timestamp[WG_TIMESTAMP_LEN];
	uint32_t index;
	int r;

	wg_handshake_forget(peer);
	r = stamp_take(peer, timestamp);
	if (r < 0)
		return r;
	r = wg_index_add(&device->index, peer, NULL, &index);
	if (r < 0)
		return r;
	r = wg_noise_initiate(&device->crypto, &device->identity, &peer->remote, timestamp, index,
		&peer->handshake, &message);
	if (r < 0) {
		wg_index_remove(&device->index, index);
		return r;
	}
	wg_initiation_format(&message, ret);
	wg_macs_add(
		&device->crypto, &peer->jar, &peer->remote, ret, WG_INITIATION_LEN, device->now_us);
	if (wg_crypto_take_failure(&device->crypto)) {
		wg_handshake_forget(peer);
		return -EIO;
	}
	return 0;
}

void wg_handshake_begin(struct wg_peer *peer, bool retry)
{
	struct wg_device *device = peer->device;
	uint64_t now_us = device->now_us;
	uint8_t initiation[WG_INITIATION_LEN];

	if (peer->removed || !device->identity.set || !peer->endpoint.remote.addr.family)
		return;
	if (!retry)
		peer->trying_since_us = now_us;
	if (now_us < peer->quiet_until_us) {
		if (!wg_timer_is_set(peer, WG_TIMER_RETRANSMIT))
			wg_timer_set(peer, WG_TIMER_RETRANSMIT,
				peer->quiet_until_us + wg_jitter_us(device));
		return;
	}
	peer->quiet_until_us = now_us + WG_REKEY_TIMEOUT_US;
	wg_timers_initiation_sent(peer);
	int r = make_initiation(peer, initiation);

	if (r == -EAGAIN) {
		peer->quiet_until_us = now_us + STAMP_WAIT_US;
		wg_timer_set(peer, WG_TIMER_RETRANSMIT, peer->quiet_until_us);
	}
	if (r < 0)
		return; /* tried again by the timer */
	if (!peer->unanswered_since_us)
		peer->unanswered_since_us = now_us;
	wg_timers_sent(peer, false);
	send_counted(peer, &peer->endpoint, initiation, sizeof(initiation));
	wg_event(peer, WG_EVENT_INITIATION_SENT);
}

void wg_peer_initiate(struct wg_peer *peer)
{
	const struct wg_session *session = wg_peer_sending(peer);

	if (session && !peer->lost && !peer->unanswered_since_us &&
		peer->device->now_us - session->created_us < WG_REKEY_AFTER_US)
		return;
	wg_handshake_begin(peer, false);
}

static struct wg_session *session_new(struct wg_peer *peer)
{
	struct wg_session *session = calloc(1, sizeof(*session));

	if (session) {
		session->peer = peer;
		session->created_us = peer->device->now_us;
		session->may_send = true;
	}
	return session;
}

static void session_keys_set(struct wg_session *session, struct wg_transport_keys *keys)
{
	memcpy(session->send_key, keys->send, WG_KEY_LEN);
	memcpy(session->receive_key, keys->receive, WG_KEY_LEN);
	sodium_memzero(keys, sizeof(*keys));
}

/* Answers a verified initiation. */
static int respond(
	struct wg_peer *peer, struct wg_incoming *incoming, const struct wg_endpoint *from)
{
	struct wg_device *device = peer->device;
	struct wg_response message;
	struct wg_transport_keys keys;
	struct wg_session *session = session_new(peer);
	uint8_t response[WG_RESPONSE_LEN];

	if (!session)
		return -ENOMEM;
	int r = wg_index_add(&device->index, peer, session, &session->local_index);

	if (r < 0) {
		free(session);
		return r;
	}
	r = wg_noise_respond(
		&device->crypto, &peer->remote, incoming, session->local_index, &message, &keys);
	if (r < 0) {
		wg_index_remove(&device->index, session->local_index);
		free(session);
		return r;
	}
	session->remote_index = incoming->index;
	session_keys_set(session, &keys);
	wg_session_install(session);
	wg_timers_session_made(peer);

	wg_response_format(&message, response);
	wg_macs_add(&device->crypto, &peer->jar, &peer->remote, response, sizeof(response),
		device->now_us);
	if (wg_crypto_take_failure(&device->crypto))
		return -EIO;
	peer->quiet_until_us = device->now_us + WG_REKEY_TIMEOUT_US;
	wg_timers_sent(peer, false);
	send_counted(peer, from, response, sizeof(response));
	return 0;
}

/* -EALREADY or -EBUSY unless the initiation is later than all before, and not one of a flood. */
static int check_fresh(struct wg_peer *peer, const uint8_t timestamp[static WG_TIMESTAMP_LEN])
{
	struct wg_device *device = peer->device;

	if (memcmp(timestamp, peer->latest_stamp, WG_TIMESTAMP_LEN) <= 0) {
		device->counters.replayed++;
		return -EALREADY;
	}
	if (peer->initiations_until_us >
		device->now_us + (WG_INITIATIONS_AT_ONCE - 1) * INITIATION_US) {
		device->counters.flooded++;
		return -EBUSY;
	}
	if (peer->initiations_until_us < device->now_us)
		peer->initiations_until_us = device->now_us;
	peer->initiations_until_us += INITIATION_US;
	memcpy(peer->latest_stamp, timestamp, WG_TIMESTAMP_LEN);
	peer->initiation_received_us = device->now_us;
	return 0;
}

static void incoming_wipe(struct wg_incoming *incoming)
{
	wg_incoming_done(incoming);
}

static int receive_initiation(struct wg_device *device, const struct wg_initiation *message,
	const struct wg_endpoint *from)
{
	__attribute__((cleanup(incoming_wipe))) struct wg_incoming incoming;
	uint8_t timestamp[WG_TIMESTAMP_LEN];
	int r = wg_noise_identify(&device->crypto, &device->identity, message, &incoming);

	if (r < 0) {
		device->counters.forged++;
		return r;
	}
	struct wg_peer *peer = wg_device_find_peer(device, incoming.public);

	if (!peer) {
		device->counters.unknown++;
		return -ENOENT;
	}
	r = wg_noise_verify(
		&device->crypto, &device->identity, &peer->remote, message, &incoming, timestamp);
	if (r < 0) {
		device->counters.forged++;
		return r;
	}
	r = check_fresh(peer, timestamp);
	if (r < 0)
		return r;
	device->counters.handshakes++;
	peer->rx_bytes += WG_INITIATION_LEN;
	wg_endpoint_learn(peer, from);
	wg_event(peer, WG_EVENT_INITIATION_RECEIVED);
	wg_timers_received(peer, false);
	return respond(peer, &incoming, from);
}

static int receive_response(
	struct wg_device *device, const struct wg_response *message, const struct wg_endpoint *from)
{
	struct wg_index_entry *entry = wg_index_find(&device->index, message->receiver);
	struct wg_transport_keys keys;

	if (!entry || entry->session) {
		device->counters.unknown++;
		return -ENOENT;
	}
	struct wg_peer *peer = entry->peer;
	int r = wg_noise_complete(&device->crypto, &device->identity, &peer->remote,
		&peer->handshake, message, &keys);

	if (r < 0) {
		device->counters.forged++;
		return r;
	}
	struct wg_session *session = session_new(peer);

	if (!session) {
		sodium_memzero(&keys, sizeof(keys));
		return -ENOMEM;
	}
	session->initiator = true;
	session->local_index = message->receiver;
	session->remote_index = message->sender;
	session_keys_set(session, &keys);
	entry->session = session; /* the handshake's index is now the session's */
	wg_handshake_clear(&peer->handshake);
	wg_session_install(session);

	device->counters.handshakes++;
	peer->rx_bytes += WG_RESPONSE_LEN;
	wg_endpoint_learn(peer, from);
	wg_event(peer, WG_EVENT_RESPONSE_RECEIVED);
	wg_timers_session_made(peer);
	wg_timers_received(peer, false);
	wg_timers_session_confirmed(peer);
	if (!peer->previous)
		wg_timers_first_session(peer);
	wg_keepalive_send(peer); /* or what is staged: tells the peer that the keys are in use */
	return 0;
}

static int receive_cookie_reply(struct wg_device *device, const struct wg_cookie_reply *reply)
{
	const struct wg_index_entry *entry = wg_index_find(&device->index, reply->receiver);

	if (!entry) {
		device->counters.unknown++;
		return -ENOENT;
	}
	int r = wg_cookie_reply_take(
		&entry->peer->jar, &entry->peer->remote, reply, device->now_us);

	if (r < 0) {
		device->counters.forged++;
		return r;
	}
	wg_event(entry->peer, WG_EVENT_COOKIE_RECEIVED);
	return 0;
}

/* Counts a handshake message; are there so many that each must first prove its address? */
static bool is_under_load(struct wg_device *device)
{
	if (device->now_us - device->load_window_us >= LOAD_WINDOW_US) {
		device->load_window_us = device->now_us;
		device->load_n = 0;
	}
	if (++device->load_n > WG_LOAD_HANDSHAKES)
		device->load_until_us = device->now_us + LOAD_LASTS_US;
	return device->now_us < device->load_until_us;
}

static int send_cookie_reply(
	struct wg_device *device, const uint8_t *data, size_t len, const struct wg_endpoint *from)
{
	struct wg_cookie_reply reply;
	uint8_t packet[WG_COOKIE_REPLY_LEN];
	int r = wg_cookie_reply_make(&device->crypto, &device->checker, &device->identity,
		&from->remote, data, len, device->now_us, &reply);

	if (r < 0)
		return r;
	wg_cookie_reply_format(&reply, packet);
	device->counters.cookies_sent++;
	device->ops.send(device->ctx, NULL, from, packet, sizeof(packet));
	return -EAGAIN;
}

/* 0 if the MACs allow to go on with an initiation or response. */
static int check_macs(
	struct wg_device *device, const uint8_t *data, size_t len, const struct wg_endpoint *from)
{
	if (!wg_mac1_is_valid(&device->crypto, &device->identity, data, len)) {
		device->counters.bad_mac++;
		return -EKEYREJECTED;
	}
	if (!is_under_load(device))
		return 0;
	if (!wg_mac2_is_valid(
		    &device->crypto, &device->checker, &from->remote, data, len, device->now_us))
		return send_cookie_reply(device, data, len, from);
	if (!device->ratelimit)
		device->ratelimit = wg_ratelimit_new();
	if (!device->ratelimit ||
		!wg_ratelimit_allow(device->ratelimit, &from->remote.addr, device->now_us)) {
		device->counters.rate_limited++;
		return -EDQUOT;
	}
	return 0;
}

int wg_device_receive(
	struct wg_device *device, const uint8_t *data, size_t len, const struct wg_endpoint *from)
{
	union {
		struct wg_initiation initiation;
		struct wg_response response;
		struct wg_cookie_reply cookie;
	} message;
	int type, r;

	if (wg_device_denies(device, &from->remote)) {
		device->counters.denied++;
		return -EACCES;
	}
	type = wg_message_type(data, len);
	if (type < 0 || type == WG_TYPE_DATA) {
		device->counters.malformed++;
		return -EBADMSG;
	}
	if (!device->identity.set)
		return -ENOKEY;
	if (type == WG_TYPE_COOKIE_REPLY) {
		r = wg_cookie_reply_parse(data, len, &message.cookie);
		return r < 0 ? r : receive_cookie_reply(device, &message.cookie);
	}
	r = check_macs(device, data, len, from);
	if (r < 0)
		return r;
	if (type == WG_TYPE_INITIATION) {
		r = wg_initiation_parse(data, len, &message.initiation);
		return r < 0 ? r : receive_initiation(device, &message.initiation, from);
	}
	r = wg_response_parse(data, len, &message.response);
	return r < 0 ? r : receive_response(device, &message.response, from);
}
