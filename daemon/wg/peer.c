/*
 * peer: see wg.h. One peer's configuration, the packets that wait for its session, and its
 * figures. A setter that may fail changes nothing when it does.
 */
#include "wg/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int wg_peer_new(
	struct wg_device *device, const uint8_t key[static WG_KEY_LEN], struct wg_peer **ret)
{
	struct wg_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return -ENOMEM;
	int r = wg_remote_init(&device->crypto, &peer->remote, key);

	if (r < 0) {
		wg_peer_free(peer);
		return r;
	}
	peer->device = device;
	peer->allowed.owner = peer;
	peer->staged_end = &peer->staged;
	for (unsigned i = 0; i < WG_TIMERS; i++)
		peer->timers[i] = WG_NO_DEADLINE;
	*ret = peer;
	return 0;
}

struct wg_peer *wg_peer_free(struct wg_peer *peer)
{
	sodium_memzero(peer, sizeof(*peer));
	free(peer);
	return NULL;
}

const uint8_t *wg_peer_key(const struct wg_peer *peer)
{
	return peer->remote.public;
}

void wg_peer_set_user(struct wg_peer *peer, void *user)
{
	peer->user = user;
}

void *wg_peer_user(const struct wg_peer *peer)
{
	return peer->user;
}

void wg_peer_set_psk(struct wg_peer *peer, const uint8_t psk[static WG_KEY_LEN])
{
	memcpy(peer->remote.psk, psk, WG_KEY_LEN);
}

const uint8_t *wg_peer_psk(const struct wg_peer *peer)
{
	return peer->remote.psk;
}

/*
 * What waited for an address goes there. A handshake that went elsewhere, or that is not to be had
 * there, is begun again: nobody waits for the 5 seconds to pass.
 */
static void address_changed(struct wg_peer *peer, bool first)
{
	bool wanted = first ? peer->keepalive_s || peer->staged
			    : peer->lost || peer->unanswered_since_us || peer->handshake.pending;

	if (first && wg_peer_sending(peer)) {
		wg_timer_stop(peer, WG_TIMER_RETRANSMIT);
		wg_staged_flush(peer);
	} else if (wanted && (first || peer->device->managed)) {
		peer->quiet_until_us = 0;
		wg_handshake_begin(peer, false);
	}
}

void wg_peer_set_endpoint(struct wg_peer *peer, const struct endpoint *remote)
{
	bool first = !peer->endpoint.remote.addr.family;

	if (!remote->addr.family || endpoint_equal(&peer->endpoint.remote, remote))
		return;
	peer->endpoint = (struct wg_endpoint){ .remote = *remote };
	address_changed(peer, first);
}

void wg_peer_set_sought(struct wg_peer *peer, bool sought)
{
	peer->sought = sought;
	if (sought || peer->endpoint.remote.addr.family || !peer->staged)
		return;
	wg_event(peer, WG_EVENT_GAVE_UP);
	wg_staged_drop(peer);
}

/* What waits for an answer from there waits for another address now. */
void wg_peer_forget_endpoint(struct wg_peer *peer)
{
	peer->endpoint = (struct wg_endpoint){ 0 };
	if (peer->staged && peer->sought)
		wg_timers_staged(peer);
	else
		wg_peer_set_sought(peer, peer->sought);
}

const struct wg_endpoint *wg_peer_endpoint(const struct wg_peer *peer)
{
	return peer->endpoint.remote.addr.family ? &peer->endpoint : NULL;
}

void wg_peer_clear_source(struct wg_peer *peer)
{
	peer->endpoint.local = (struct ip_addr){ 0 };
	peer->endpoint.ifindex = 0;
	peer->endpoint.path = (struct wg_path){ 0 };
}

void wg_peer_set_path(struct wg_peer *peer, const struct wg_path *path)
{
	peer->endpoint.path = *path;
}

void wg_peer_set_keepalive(struct wg_peer *peer, uint16_t interval_s)
{
	bool turned_on = interval_s && !peer->keepalive_s;

	if (interval_s == peer->keepalive_s)
		return;
	peer->keepalive_s = interval_s;
	if (!interval_s)
		wg_timer_stop(peer, WG_TIMER_PERSISTENT);
	else if (turned_on)
		wg_keepalive_send(peer);
	else
		wg_timer_set(peer, WG_TIMER_PERSISTENT,
			peer->device->now_us + interval_s * UINT64_C(1000000));
}

uint16_t wg_peer_keepalive(const struct wg_peer *peer)
{
	return peer->keepalive_s;
}

int wg_peer_add_allowed(struct wg_peer *peer, const struct ip_prefix *prefix)
{
	if (peer->removed)
		return -ENOENT;
	return wg_trie_insert(&peer->device->allowed, prefix, &peer->allowed);
}

int wg_peer_remove_allowed(struct wg_peer *peer, const struct ip_prefix *prefix)
{
	return wg_trie_remove(&peer->device->allowed, prefix, &peer->allowed);
}

void wg_peer_clear_allowed(struct wg_peer *peer)
{
	(void) wg_peer_clear_some_allowed(peer, SIZE_MAX);
}

size_t wg_peer_clear_some_allowed(struct wg_peer *peer, size_t n)
{
	wg_trie_remove_oldest(&peer->device->allowed, &peer->allowed, n);
	return peer->allowed.n;
}

size_t wg_peer_n_allowed(const struct wg_peer *peer)
{
	return peer->allowed.n;
}

void wg_peer_some_allowed(const struct wg_peer *peer, const void **at, size_t n,
	void (*fn)(void *ctx, const struct ip_prefix *prefix), void *ctx)
{
	const struct wg_trie_node *node = *at;

	wg_trie_some(&peer->allowed, &node, n, fn, ctx);
	*at = node;
}

void wg_peer_stats(const struct wg_peer *peer, struct wg_peer_stats *ret)
{
	*ret = (struct wg_peer_stats){
		.rx_bytes = peer->rx_bytes,
		.tx_bytes = peer->tx_bytes,
		.last_handshake_wall_us = peer->last_handshake_wall_us,
		.last_receive_us = peer->last_receive_us,
		.session = peer->endpoint.remote.addr.family &&
			   wg_session_may_send(peer->current, peer->device->now_us) && !peer->lost,
	};
}

uint64_t wg_peer_unanswered(const struct wg_peer *peer)
{
	return peer->tx_bytes - peer->asked_tx_bytes;
}

/* Staged packets */

static void unlink_first(struct wg_peer *peer)
{
	struct wg_staged *packet = peer->staged;

	peer->staged = packet->next;
	if (!peer->staged)
		peer->staged_end = &peer->staged;
	packet->next = NULL;
	peer->n_staged--;
	peer->device->staged_bytes -= packet->len;
}

int wg_peer_stage(struct wg_peer *peer, const uint8_t *packet, size_t len)
{
	struct wg_device *device = peer->device;

	if (len > UINT16_MAX)
		return -EMSGSIZE;
	if (!device->identity.set)
		return -ENOKEY;
	if (peer->removed || (!peer->endpoint.remote.addr.family && !peer->sought))
		return -EDESTADDRREQ;
	if (peer->n_staged >= WG_STAGED_MAX)
		free(wg_peer_unstage(peer));
	if (device->staged_bytes + len > WG_STAGED_BYTES_MAX)
		return -ENOBUFS;
	struct wg_staged *copy = malloc(sizeof(*copy) + len);

	if (!copy)
		return -ENOMEM;
	copy->next = NULL;
	copy->len = len;
	memcpy(copy->data, packet, len);
	*peer->staged_end = copy;
	peer->staged_end = &copy->next;
	peer->n_staged++;
	device->staged_bytes += len;
	if (wg_peer_sending(peer))
		wg_staged_flush(peer);
	else if (peer->endpoint.remote.addr.family)
		wg_handshake_begin(peer, false);
	else
		wg_timers_staged(peer);
	return 0;
}

struct wg_staged *wg_peer_unstage(struct wg_peer *peer)
{
	struct wg_staged *packet = peer->staged;

	if (packet)
		unlink_first(peer);
	return packet;
}

void wg_staged_drop(struct wg_peer *peer)
{
	struct wg_staged *packet;

	while ((packet = wg_peer_unstage(peer)))
		free(packet);
}
