/*
 * What `wg` asks for: a picture of the device, and changes in the order and with the meaning that
 * Linux gives them. A peer with our own key is passed over in silence, so that one configuration
 * can name all machines; a change of a peer that is only to be updated and is not there likewise.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "wire/uapi.h"

static const uint8_t no_key[TUNNEL_KEY_LEN];

static void add_prefix(void *ctx, const struct ip_prefix *prefix)
{
	struct uapi_get_peer *out = ctx;

	if (out->n_allowed == out->cap_allowed) {
		size_t more = out->cap_allowed ? out->cap_allowed * 2 : 4;
		void *list = reallocarray(out->allowed, more, sizeof(*out->allowed));

		if (!list)
			return; /* noticed: n_allowed stays at cap_allowed */
		out->allowed = list;
		out->cap_allowed = more;
	}
	out->allowed[out->n_allowed++] = *prefix;
}

static void count_prefix(void *ctx, const struct ip_prefix *prefix)
{
	++*(size_t *) ctx;
}

static int read_peer(const struct wg_peer *peer, struct uapi_get_peer *out)
{
	const struct wg_endpoint *endpoint = wg_peer_endpoint(peer);
	struct wg_peer_stats stats;
	size_t n = 0;

	wg_peer_stats(peer, &stats);
	memcpy(out->key, wg_peer_key(peer), sizeof(out->key));
	memcpy(out->psk, wg_peer_psk(peer), sizeof(out->psk));
	if (endpoint)
		out->endpoint = endpoint->remote;
	out->last_handshake_wall_us = stats.last_handshake_wall_us;
	out->rx_bytes = stats.rx_bytes;
	out->tx_bytes = stats.tx_bytes;
	out->keepalive_s = wg_peer_keepalive(peer);
	wg_peer_each_allowed(peer, count_prefix, &n);
	wg_peer_each_allowed(peer, add_prefix, out);
	return out->n_allowed == n ? 0 : -ENOMEM;
}

static int get(struct tunnel *t, void *arg)
{
	struct uapi_get *out = arg;
	size_t n = wg_device_n_peers(t->device);

	(void) wg_device_private_key(t->device, out->private_key); /* zero: none */
	out->listen_port = t->sock.port;
	out->fwmark = t->fwmark;
	out->peers = n ? calloc(n, sizeof(*out->peers)) : NULL;
	if (n && !out->peers)
		return -ENOMEM;
	for (struct wg_peer *p = wg_device_next_peer(t->device, NULL); p && out->n_peers < n;
		p = wg_device_next_peer(t->device, p)) {
		int r = read_peer(p, &out->peers[out->n_peers++]);

		if (r < 0)
			return r;
	}
	return 0;
}

int tunnel_uapi_get(struct tunnel *t, struct uapi_get *ret)
{
	*ret = (struct uapi_get){ 0 };
	return tunnel_call(t, get, ret);
}

static void remove_all_peers(struct tunnel *t)
{
	struct wg_peer *p;

	while ((p = wg_device_next_peer(t->device, NULL)))
		wg_peer_remove(p);
}

static int change_device(struct tunnel *t, const struct uapi_set *set)
{
	int r;

	/* First what can fail. */
	if (set->has_listen_port) {
		r = control_move_port(t, set->listen_port);
		if (r < 0)
			return r;
	}
	if (set->has_fwmark) {
		r = control_set_fwmark(t, set->fwmark);
		if (r < 0)
			return r;
	}
	if (set->replace_peers)
		remove_all_peers(t);
	if (set->has_private_key)
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
	if (wg_device_denies(t->device, &endpoint.addr))
		return -EINVAL;
	control_set_endpoint(t, peer, &endpoint);
	return 0;
}

static int change_allowed(
	struct wg_peer *peer, const struct uapi_set *set, const struct uapi_set_peer *s)
{
	if (s->replace_allowed_ips)
		wg_peer_clear_allowed(peer);
	for (size_t i = 0; i < s->n_allowed; i++) {
		const struct uapi_allowed *a = &set->allowed[s->first_allowed + i];
		int r = a->remove ? wg_peer_remove_allowed(peer, &a->prefix)
				  : wg_peer_add_allowed(peer, &a->prefix);

		if (r < 0 && !(a->remove && r == -ENOENT))
			return r;
	}
	return 0;
}

/* 1: changed or made, 0: nothing to be done with it. */
static int find_or_add(struct tunnel *t, const struct uapi_set_peer *s, struct wg_peer **ret)
{
	struct wg_peer *peer = wg_device_find_peer(t->device, s->key);
	int r;

	if (s->remove && peer)
		wg_peer_remove(peer);
	if (s->remove)
		return 0;
	if (!peer && s->update_only)
		return 0;
	if (memcmp(s->key, no_key, sizeof(no_key)) == 0)
		return -EINVAL;
	r = control_add_peer(t, s->key, ret);
	return r == -ELOOP ? 0 : r < 0 ? r : 1;
}

static int change_peer(struct tunnel *t, const struct uapi_set *set, const struct uapi_set_peer *s)
{
	struct wg_peer *peer = NULL;
	int r = find_or_add(t, s, &peer);

	if (r <= 0)
		return r;
	if (s->has_psk && memcmp(wg_peer_psk(peer), s->psk, sizeof(s->psk)) != 0)
		wg_peer_set_psk(peer, s->psk);
	if (s->has_endpoint) {
		r = change_endpoint(t, peer, s);
		if (r < 0)
			return r;
	}
	r = change_allowed(peer, set, s);
	if (r < 0)
		return r;
	if (s->has_keepalive) /* last: it may send a keepalive */
		wg_peer_set_keepalive(peer, s->keepalive_s);
	return 0;
}

static int set(struct tunnel *t, void *arg)
{
	const struct uapi_set *s = arg;
	int r = change_device(t, s);

	for (size_t i = 0; r == 0 && i < s->n_peers; i++)
		r = change_peer(t, s, &s->peers[i]);
	return r;
}

int tunnel_uapi_set(struct tunnel *t, const struct uapi_set *s)
{
	return tunnel_call(t, set, (void *) s); /* only read */
}
