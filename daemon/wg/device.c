/*
 * device: see wg.h. Everything a device owns hangs on it; a peer that was removed waits in
 * the list of the dead for a tick, so that nothing the caller still holds points into freed memory.
 */
#include "wg/device.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 16 };

int wg_device_new(const struct wg_config *config, struct wg_device **ret)
{
	struct wg_device *device = calloc(1, sizeof(*device));

	if (!device)
		return -ENOMEM;
	device->ops = config->ops;
	device->ctx = config->ctx;
	device->managed = config->managed;
	device->now_us = config->now_us;
	device->wall_us = config->wall_us;
	wg_stamp_clock_init(&device->clock, config->timestamp_floor_s);
	int r = wg_crypto_init(&device->crypto);

	if (r == 0) {
		randombytes_buf(device->hash_key, sizeof(device->hash_key));
		randombytes_buf(&device->jitter, sizeof(device->jitter));
		device->n_buckets = BUCKETS_MIN;
		device->buckets = calloc(device->n_buckets, sizeof(*device->buckets));
		if (!device->buckets)
			r = -ENOMEM;
	}
	if (r < 0) {
		wg_device_free(device);
		return r;
	}
	*ret = device;
	return 0;
}

static bool any_dead(const struct wg_device *device)
{
	return device->dead.peers || device->dead.sessions || device->doomed.peers ||
	       device->doomed.sessions;
}

static void free_doomed(struct wg_device *device)
{
	struct wg_dead *doomed = &device->doomed;

	wg_sessions_free(device, doomed->sessions);
	while (doomed->peers) {
		struct wg_peer *peer = doomed->peers;

		doomed->peers = peer->next_dead;
		wg_peer_free(peer);
	}
	*doomed = (struct wg_dead){ 0 };
}

/* Does a hold last that may know of what is doomed? */
static bool doomed_are_held(const struct wg_device *device)
{
	return device->holds[device->turn ^ 1] > 0;
}

/*
 * One turn after the other, until all is freed or held. A turn needs that nobody holds the device
 * since before the last one, and holds are short, so it comes also where some hold always lasts.
 */
static void reap(struct wg_device *device)
{
	while (any_dead(device) && !doomed_are_held(device)) {
		free_doomed(device);
		device->doomed = device->dead;
		device->dead = (struct wg_dead){ 0 };
		device->turn ^= 1;
	}
}

unsigned wg_device_hold(struct wg_device *device)
{
	device->holds[device->turn]++;
	return device->turn;
}

void wg_device_release(struct wg_device *device, unsigned hold)
{
	device->holds[hold]--;
}

struct wg_device *wg_device_free(struct wg_device *device)
{
	if (!device)
		return NULL;
	while (device->first)
		wg_peer_remove(device->first);
	reap(device);
	wg_ratelimit_free(device->ratelimit);
	wg_heap_done(&device->heap);
	wg_trie_done(&device->denied);
	wg_trie_done(&device->allowed);
	wg_index_done(&device->index);
	free(device->buckets);
	wg_crypto_done(&device->crypto);
	sodium_memzero(device, sizeof(*device));
	free(device);
	return NULL;
}

void wg_device_set_time(struct wg_device *device, uint64_t now_us, uint64_t wall_us)
{
	if (now_us > device->now_us)
		device->now_us = now_us;
	device->wall_us = wall_us;
}

void wg_device_set_private_key(struct wg_device *device, const uint8_t key[static WG_KEY_LEN])
{
	struct wg_identity fresh = { 0 };

	if (wg_identity_init(&device->crypto, &fresh, key) < 0)
		return; /* the library failed: the old identity stays */
	if (fresh.set == device->identity.set &&
		sodium_memcmp(fresh.private, device->identity.private, WG_KEY_LEN) == 0) {
		wg_identity_done(&fresh);
		return;
	}
	device->identity = fresh;
	wg_identity_done(&fresh);
	struct wg_peer *self =
		device->identity.set ? wg_device_find_peer(device, device->identity.public) : NULL;

	if (self)
		wg_peer_remove(self);
	for (struct wg_peer *peer = device->first; peer; peer = peer->next) {
		bool trying = peer->handshake.pending;

		peer->remote.shared_known = false;
		sodium_memzero(peer->remote.shared, sizeof(peer->remote.shared));
		wg_handshake_forget(peer);
		wg_sessions_expire(peer);
		peer->quiet_until_us = 0;
		if (trying)
			wg_handshake_begin(peer, false);
	}
}

static bool key_give(const struct wg_device *device, const uint8_t *from, uint8_t *ret)
{
	if (!device->identity.set)
		memset(ret, 0, WG_KEY_LEN);
	else
		memcpy(ret, from, WG_KEY_LEN);
	return device->identity.set;
}

bool wg_device_private_key(const struct wg_device *device, uint8_t ret_key[static WG_KEY_LEN])
{
	return key_give(device, device->identity.private, ret_key);
}

bool wg_device_public_key(const struct wg_device *device, uint8_t ret_key[static WG_KEY_LEN])
{
	return key_give(device, device->identity.public, ret_key);
}

int wg_device_set_denied(struct wg_device *device, const struct ip_prefix *prefixes, size_t n)
{
	struct wg_trie trie = { 0 };
	struct wg_trie_list *list = &device->denied_list;

	if (n > WG_DENIED_MAX)
		return -E2BIG;
	*list = (struct wg_trie_list){ .owner = device }; /* the old trie only needs the owner */
	for (size_t i = 0; i < n; i++) {
		int r = wg_trie_insert(&trie, &prefixes[i], list);

		if (r < 0) {
			wg_trie_done(&trie);
			return r;
		}
	}
	wg_trie_done(&device->denied);
	device->denied = trie;
	device->n_denied = n;
	return 0;
}

static bool is_allowed_loopback(const struct wg_device *device, const struct endpoint *remote)
{
	static const struct ip_addr there = { AF_INET, { 127, 0, 0, 1 } };

	return ip_addr_equal(&remote->addr, &there) &&
	       (device->loopback[remote->port / 64] >> remote->port % 64 & 1);
}

bool wg_device_denies(const struct wg_device *device, const struct endpoint *remote)
{
	const struct ip_addr *addr = &remote->addr;

	if (device->managed && ip_addr_is_loopback(addr))
		return !is_allowed_loopback(device, remote);
	return device->n_denied && wg_trie_lookup(&device->denied, addr->family, addr->bytes);
}

void wg_device_tell_quiet(struct wg_device *device, bool on)
{
	device->tells_quiet = on;
	for (struct wg_peer *peer = device->first; peer; peer = peer->next)
		peer->asked = false; /* also of what waits for an answer now */
}

void wg_device_allow_loopback(struct wg_device *device, uint16_t port, bool allowed)
{
	uint64_t bit = UINT64_C(1) << port % 64;

	device->loopback[port / 64] &= ~bit;
	if (allowed) {
		device->loopback[port / 64] |= bit;
		return;
	}
	for (struct wg_peer *peer = device->first; peer; peer = peer->next) {
		const struct endpoint *remote = &peer->endpoint.remote;

		if (remote->port == port && ip_addr_is_loopback(&remote->addr))
			wg_peer_forget_endpoint(peer);
	}
}

void wg_device_note_load(struct wg_device *device)
{
	device->load_until_us = device->now_us + 1000000;
}

const struct wg_counters *wg_device_counters(const struct wg_device *device)
{
	return &device->counters;
}

struct wg_peer *wg_device_route(const struct wg_device *device, int family, const uint8_t *addr)
{
	return wg_trie_lookup(&device->allowed, family, addr);
}

/* Peers by public key */

static struct wg_peer **bucket_of(
	const struct wg_device *device, const uint8_t key[static WG_KEY_LEN])
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t value;

	(void) crypto_shorthash(hash, key, WG_KEY_LEN, device->hash_key); /* always 0 */
	memcpy(&value, hash, sizeof(value));
	return &device->buckets[value & (device->n_buckets - 1)];
}

/* Twice the buckets once there are as many peers; without memory the chains get longer. */
static void buckets_grow(struct wg_device *device)
{
	size_t n = 2 * device->n_buckets;
	struct wg_peer **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return;
	free(device->buckets);
	device->buckets = buckets;
	device->n_buckets = n;
	for (struct wg_peer *peer = device->first; peer; peer = peer->next) {
		struct wg_peer **bucket = bucket_of(device, peer->remote.public);

		peer->hash_next = *bucket;
		*bucket = peer;
	}
}

struct wg_peer *wg_device_find_peer(struct wg_device *device, const uint8_t key[static WG_KEY_LEN])
{
	struct wg_peer *peer = *bucket_of(device, key);

	while (peer && memcmp(peer->remote.public, key, WG_KEY_LEN) != 0)
		peer = peer->hash_next;
	return peer;
}

int wg_device_add_peer(
	struct wg_device *device, const uint8_t key[static WG_KEY_LEN], struct wg_peer **ret)
{
	struct wg_peer *peer = wg_device_find_peer(device, key);

	if (peer) {
		*ret = peer;
		return 0;
	}
	if (device->identity.set && !memcmp(device->identity.public, key, WG_KEY_LEN))
		return -ELOOP;
	if (device->n_peers >= WG_PEERS_MAX)
		return -ENOSPC;
	int r = wg_heap_reserve(&device->heap, device->n_peers + 1);

	if (r < 0)
		return r;
	r = wg_peer_new(device, key, &peer);
	if (r < 0)
		return r;
	peer->last_stamp = device->removed_stamp;
	if (device->n_peers >= device->n_buckets)
		buckets_grow(device);
	struct wg_peer **bucket = bucket_of(device, key);

	peer->hash_next = *bucket;
	*bucket = peer;
	peer->prev = device->last;
	*(device->last ? &device->last->next : &device->first) = peer;
	device->last = peer;
	device->n_peers++;
	*ret = peer;
	return 1;
}

struct wg_peer *wg_device_next_peer(const struct wg_device *device, const struct wg_peer *peer)
{
	assert(!peer || !peer->removed);
	return peer ? peer->next : device->first;
}

size_t wg_device_n_peers(const struct wg_device *device)
{
	return device->n_peers;
}

void wg_peer_remove(struct wg_peer *peer)
{
	struct wg_device *device = peer->device;

	if (peer->removed)
		return;
	peer->removed = true;
	struct wg_peer **at = bucket_of(device, peer->remote.public);

	while (*at != peer)
		at = &(*at)->hash_next;
	*at = peer->hash_next;
	*(peer->prev ? &peer->prev->next : &device->first) = peer->next;
	*(peer->next ? &peer->next->prev : &device->last) = peer->prev;
	device->n_peers--;

	if (wg_stamp_is_later(&peer->last_stamp, &device->removed_stamp))
		device->removed_stamp = peer->last_stamp;
	wg_peer_clear_allowed(peer);
	wg_heap_remove(&device->heap, &peer->due);
	wg_handshake_forget(peer);
	wg_sessions_drop(peer);
	wg_staged_drop(peer);
	if (device->ops.peer_removed)
		device->ops.peer_removed(device->ctx, peer);
	peer->next_dead = device->dead.peers;
	device->dead.peers = peer;
}

/* Time */

uint64_t wg_device_next_deadline(const struct wg_device *device)
{
	if (any_dead(device) && !doomed_are_held(device))
		return 0;
	const struct wg_heap_node *first = wg_heap_first(&device->heap);

	return first ? first->at_us : WG_NO_DEADLINE;
}

void wg_device_tick(struct wg_device *device)
{
	enum { PEERS_AT_ONCE = 32 };

	if (any_dead(device))
		reap(device);
	for (unsigned i = 0; i < PEERS_AT_ONCE; i++)
		if (!wg_timers_run_next(device))
			break;
}
