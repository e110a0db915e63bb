/*
 * What `wg` asks for: a picture of the device, and changes in the order and with the meaning that
 * Linux gives them. A peer with our own key is passed over in silence, so that one configuration
 * can name all machines; a change of a peer that is only to be updated and is not there likewise.
 *
 * All of it happens in steps of a fraction of a millisecond, between which the thread sees to
 * packets: ten thousand peers take a second. One control thread makes all calls, so that nobody
 * else's change comes in between.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tunnel/internal.h"
#include "wire/uapi.h"

enum {
	STEP_US = 300,
	PREFIXES_PER_LOOK = 64, /* at the clock */
};

static void add_prefix(void *ctx, const struct ip_prefix *prefix)
{
	struct uapi_get_peer *out = ctx;

	out->allowed[out->n_allowed++] = *prefix;
}

/* A get under way: as far as out->n_peers of the @n there were, the last of them as far as *@at. */
struct get_arg {
	struct uapi_get *out;
	size_t n, n_allowed; /* n_allowed: prefixes of the last peer */
	const void *at;
};

/* All but the prefixes. */
static int read_peer(const struct wg_peer *peer, struct get_arg *a)
{
	struct uapi_get_peer *out = &a->out->peers[a->out->n_peers++];
	const struct wg_endpoint *endpoint = wg_peer_endpoint(peer);
	struct wg_peer_stats stats;

	wg_peer_stats(peer, &stats);
	memcpy(out->key, wg_peer_key(peer), sizeof(out->key));
	memcpy(out->psk, wg_peer_psk(peer), sizeof(out->psk));
	if (endpoint)
		out->endpoint = endpoint->remote;
	out->last_handshake_wall_us = stats.last_handshake_wall_us;
	out->rx_bytes = stats.rx_bytes;
	out->tx_bytes = stats.tx_bytes;
	out->keepalive_s = wg_peer_keepalive(peer);
	a->at = NULL;
	a->n_allowed = wg_peer_n_allowed(peer);
	out->allowed = a->n_allowed ? calloc(a->n_allowed, sizeof(*out->allowed)) : NULL;
	return a->n_allowed && !out->allowed ? -ENOMEM : 0;
}

/* The prefixes of the last peer. 1: there are more. */
static int read_allowed(const struct wg_peer *peer, struct get_arg *a, uint64_t end_us)
{
	struct uapi_get_peer *out = &a->out->peers[a->out->n_peers - 1];

	if (wg_peer_n_allowed(peer) != a->n_allowed)
		return -EAGAIN; /* changed meanwhile, by whom? */
	while (out->n_allowed < a->n_allowed) {
		wg_peer_some_allowed(peer, &a->at, PREFIXES_PER_LOOK, add_prefix, out);
		if (out->n_allowed < a->n_allowed && clock_now_us() >= end_us)
			return 1;
	}
	return 0;
}

static int get_device(struct tunnel *t, void *arg)
{
	struct get_arg *a = arg;

	(void) wg_device_private_key(t->device, a->out->private_key); /* zero: none */
	a->out->listen_port = t->port;
	a->out->fwmark = t->fwmark;
	a->n = wg_device_n_peers(t->device);
	a->out->peers = a->n ? calloc(a->n, sizeof(*a->out->peers)) : NULL;
	return a->n && !a->out->peers ? -ENOMEM : 0;
}

/* 1: there are more. */
static int get_peers(struct tunnel *t, void *arg)
{
	uint64_t end_us = clock_now_us() + STEP_US;
	struct get_arg *a = arg;
	struct uapi_get *out = a->out;
	struct wg_peer *p = NULL;
	int r = 0;

	if (out->n_peers > 0) {
		p = wg_device_find_peer(t->device, out->peers[out->n_peers - 1].key);
		r = p ? read_allowed(p, a, end_us) : -EAGAIN; /* removed meanwhile, by whom? */
	}
	if (r != 0)
		return r;
	while (out->n_peers < a->n && (p = wg_device_next_peer(t->device, p))) {
		r = read_peer(p, a);
		if (r == 0)
			r = read_allowed(p, a, end_us);
		if (r != 0)
			return r;
		if (clock_now_us() >= end_us)
			return 1;
	}
	return 0;
}

/* Until all is done, or fails. */
static int call_repeatedly(struct tunnel *t, int (*step)(struct tunnel *t, void *arg), void *arg)
{
	int r;

	do
		r = tunnel_call(t, step, arg);
	while (r > 0);
	return r;
}

int tunnel_uapi_get(struct tunnel *t, struct uapi_get *ret)
{
	struct get_arg arg = { .out = ret };
	int r;

	*ret = (struct uapi_get){ 0 };
	r = tunnel_call(t, get_device, &arg);
	return r < 0 ? r : call_repeatedly(t, get_peers, &arg);
}

/* Takes the prefixes of @peer away. 1: there are more. */
static int clear_allowed(struct wg_peer *peer, uint64_t end_us)
{
	while (wg_peer_clear_some_allowed(peer, PREFIXES_PER_LOOK) > 0)
		if (clock_now_us() >= end_us)
			return 1;
	return 0;
}

/* 1: there are more. */
static int remove_peers(struct tunnel *t, void *arg)
{
	uint64_t end_us = clock_now_us() + STEP_US;
	struct wg_peer *p;

	while ((p = wg_device_next_peer(t->device, NULL))) {
		if (clear_allowed(p, end_us))
			return 1;
		wg_peer_remove(p);
		if (clock_now_us() >= end_us)
			return 1;
	}
	return 0;
}

/* What can fail: before anything is changed. */
static int change_sockets(struct tunnel *t, void *arg)
{
	const struct uapi_set *set = arg;
	int r = 0;

	if (set->has_listen_port)
		r = control_move_port(t, set->listen_port);
	if (r == 0 && set->has_fwmark)
		r = control_set_fwmark(t, set->fwmark);
	return r;
}

static int change_identity(struct tunnel *t, void *arg)
{
	const struct uapi_set *set = arg;

	wg_device_set_private_key(t->device, set->private_key);
	return 0;
}

static int change_endpoint(struct tunnel *t, struct wg_peer *peer, const struct uapi_set_peer *s)
{
	struct endpoint endpoint = s->endpoint;

	if (s->zone[0]) {
		endpoint.scope = if_nametoindex(s->zone);
		if (endpoint.scope == 0)
			return -EINVAL;
	}
	if (wg_device_denies(t->device, &endpoint))
		return -EINVAL;
	control_set_endpoint(t, peer, &endpoint);
	return 0;
}

/* A set under way. */
struct set_arg {
	const struct uapi_set *set;
	size_t peer;    /* next */
	size_t allowed; /* of that peer, next; 0: the peer has not been begun */
	uint64_t end_us;
};

static int change_prefix(struct wg_peer *peer, const struct uapi_allowed *a)
{
	int r;

	if (!a->remove)
		return wg_peer_add_allowed(peer, &a->prefix);
	r = wg_peer_remove_allowed(peer, &a->prefix);
	return r == -ENOENT ? 0 : r;
}

/* 1: there are more. */
static int change_allowed(struct wg_peer *peer, struct set_arg *a, const struct uapi_set_peer *s)
{
	if (a->allowed == 0 && s->replace_allowed_ips && clear_allowed(peer, a->end_us))
		return 1;
	while (a->allowed < s->n_allowed) {
		int r = change_prefix(peer, &a->set->allowed[s->first_allowed + a->allowed++]);

		if (r < 0)
			return r;
		if (a->allowed % PREFIXES_PER_LOOK == 0 && a->allowed < s->n_allowed &&
			clock_now_us() >= a->end_us)
			return 1;
	}
	return 0;
}

/* 1: changed or made, 0: nothing to be done with it. */
static int find_or_add(struct tunnel *t, const struct uapi_set_peer *s, struct wg_peer **ret)
{
	struct wg_peer *peer = wg_device_find_peer(t->device, s->key);
	int r;

	if (!peer && s->update_only)
		return 0;
	r = control_add_peer(t, s->key, ret);
	return r == -ELOOP ? 0 : r < 0 ? r : 1;
}

/* What comes before the prefixes. 0: nothing to be done with this peer, 1: go on. */
static int begin_peer(struct tunnel *t, const struct uapi_set_peer *s, struct wg_peer **ret)
{
	int r = find_or_add(t, s, ret);

	if (r <= 0)
		return r;
	if (s->has_psk && memcmp(wg_peer_psk(*ret), s->psk, sizeof(s->psk)) != 0)
		wg_peer_set_psk(*ret, s->psk);
	if (s->has_endpoint)
		r = change_endpoint(t, *ret, s);
	return r < 0 ? r : 1;
}

/* 1: there is more of it. */
static int remove_peer(struct wg_peer *peer, uint64_t end_us)
{
	if (peer && clear_allowed(peer, end_us))
		return 1;
	if (peer)
		wg_peer_remove(peer);
	return 0;
}

/* 0: this peer is done, 1: there is more of it, or -errno. */
static int change_peer(struct tunnel *t, struct set_arg *a)
{
	const struct uapi_set_peer *s = &a->set->peers[a->peer];
	struct wg_peer *peer = NULL;
	int r = 1;

	if (s->remove)
		return remove_peer(wg_device_find_peer(t->device, s->key), a->end_us);
	if (a->allowed == 0)
		r = begin_peer(t, s, &peer);
	else
		peer = wg_device_find_peer(t->device, s->key);
	if (r <= 0 || !peer)
		return r < 0 ? r : 0;
	r = change_allowed(peer, a, s);
	if (r == 0 && s->has_keepalive) /* last: it may send a keepalive */
		wg_peer_set_keepalive(peer, s->keepalive_s);
	return r;
}

/* 1: there are more. */
static int change_peers(struct tunnel *t, void *arg)
{
	struct set_arg *a = arg;

	a->end_us = clock_now_us() + STEP_US;
	while (a->peer < a->set->n_peers) {
		int r = change_peer(t, a);

		if (r != 0)
			return r;
		a->peer++;
		a->allowed = 0;
		if (clock_now_us() >= a->end_us)
			return 1;
	}
	return 0;
}

int tunnel_uapi_set(struct tunnel *t, const struct uapi_set *s)
{
	struct set_arg arg = { .set = s };
	int r = tunnel_call(t, change_sockets, (void *) s); /* only read */

	if (r == 0 && s->replace_peers)
		r = call_repeatedly(t, remove_peers, NULL);
	if (r == 0 && s->has_private_key)
		r = tunnel_call(t, change_identity, (void *) s); /* only read */
	return r < 0 ? r : call_repeatedly(t, change_peers, &arg);
}
