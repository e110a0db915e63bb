/*
 * The calls of tunnel.h: each packs its arguments, is carried out here by the tunnel's first thread
 * between two batches, with the lock, and so never meets a packet half-way. What a call checks, it
 * checks before it changes anything.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "packet/cut6.h"
#include "tunnel/internal.h"
#include "wg/noise.h"

static struct endpoint none;

struct key_arg {
	const uint8_t *key;
};

static int set_private_key(struct tunnel *t, void *arg)
{
	const struct key_arg *a = arg;

	wg_device_set_private_key(t->device, a->key);
	return 0;
}

int tunnel_set_private_key(struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return tunnel_call(t, set_private_key, &(struct key_arg){ key });
}

uint16_t tunnel_port(struct tunnel *t)
{
	return t->port;
}

int control_move_port(struct tunnel *t, uint16_t port)
{
	struct sock fresh[TUNNEL_QUEUES_MAX];
	int r;

	assert(lane_runs_here(t->lanes[0]));
	if (port && port == t->port)
		return 0;
	r = sock_open_group(port, t->fwmark, t->sock_offload, t->n_lanes, fresh, NULL);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < t->n_lanes; i++)
		lane_give_sock(t->lanes[i], &fresh[i]);
	t->port = fresh[0].port;
	shed_init(&t->shed); /* these let everything in */
	path_note_change(t); /* as may another port */
	return 0;
}

static int set_port(struct tunnel *t, void *arg)
{
	return control_move_port(t, *(const uint16_t *) arg);
}

int tunnel_set_port(struct tunnel *t, uint16_t port)
{
	return tunnel_call(t, set_port, &port);
}

int control_set_fwmark(struct tunnel *t, uint32_t fwmark)
{
	assert(lane_runs_here(t->lanes[0]));
	for (unsigned i = 0; i < t->n_lanes; i++) {
		int r = sock_set_mark(lane_newest_sock(t->lanes[i]), fwmark);

		if (r < 0) /* no right: refused by all of them */
			return r;
	}
	t->fwmark = fwmark;
	path_note_change(t); /* another mark may mean other routes */
	return 0;
}

static bool prefix_is_valid(const struct ip_prefix *prefix)
{
	return ip_bits(prefix->addr.family) != 0 && prefix->len <= ip_bits(prefix->addr.family);
}

int control_add_peer(
	struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN], struct wg_peer **ret)
{
	struct wg_peer *peer = NULL;
	int r = wg_device_add_peer(t->device, key, &peer);

	assert(lane_runs_here(t->lanes[0]));
	if (r < 0)
		return r;
	if (!wg_peer_user(peer)) {
		struct peer_user *user = calloc(1, sizeof(*user));

		if (!user) {
			if (r == 1)
				wg_peer_remove(peer);
			return -ENOMEM;
		}
		wg_peer_set_user(peer, user);
	}
	*ret = peer;
	return r;
}

void control_set_endpoint(struct tunnel *t, struct wg_peer *peer, const struct endpoint *endpoint)
{
	struct peer_user *user = wg_peer_user(peer);

	assert(lane_runs_here(t->lanes[0]));
	user->configured = *endpoint;
	wg_peer_set_endpoint(peer, endpoint);
}

/* Allowed prefixes are replaced between two packets, so nobody sees the moment without any. */
static int replace_allowed(struct wg_peer *peer, const struct tunnel_peer *p)
{
	wg_peer_clear_allowed(peer);
	for (size_t i = 0; i < p->n_allowed; i++) {
		int r = wg_peer_add_allowed(peer, &p->allowed[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool endpoint_is_valid(const struct endpoint *e)
{
	return ip_bits(e->addr.family) && e->port != 0;
}

static bool peer_is_valid(const struct tunnel_peer *p)
{
	for (size_t i = 0; i < p->n_allowed; i++)
		if (!prefix_is_valid(&p->allowed[i]))
			return false;
	if (p->fragment && p->fragment < CUT6_LEAST)
		return false;
	return p->endpoint.addr.family == AF_UNSPEC || endpoint_is_valid(&p->endpoint);
}

static void replace_psk(struct wg_peer *peer, const struct tunnel_peer *p)
{
	static const uint8_t no_psk[TUNNEL_KEY_LEN];
	const uint8_t *psk = p->has_psk ? p->psk : no_psk;

	/* Only a change counts: setting it puts the sessions out of use. */
	if (memcmp(wg_peer_psk(peer), psk, TUNNEL_KEY_LEN) != 0)
		wg_peer_set_psk(peer, psk);
}

static int set_peer(struct tunnel *t, void *arg)
{
	const struct tunnel_peer *p = arg;
	struct wg_peer *peer = NULL;
	struct peer_user *user;
	int r;

	r = control_add_peer(t, p->key, &peer);
	if (r < 0)
		return r == -ELOOP ? -EINVAL : r;
	user = wg_peer_user(peer);
	replace_psk(peer, p);
	if (p->endpoint.addr.family && !endpoint_equal(&p->endpoint, &user->configured) &&
		!wg_device_denies(t->device, &p->endpoint))
		control_set_endpoint(t, peer, &p->endpoint);
	user->fragment = p->fragment;
	wg_peer_set_sought(peer, p->sought);
	r = replace_allowed(peer, p);
	/* Last: turning it on sends a keepalive. */
	if (r == 0 && wg_peer_keepalive(peer) != p->keepalive_s)
		wg_peer_set_keepalive(peer, p->keepalive_s);
	return r;
}

int tunnel_set_peer(struct tunnel *t, const struct tunnel_peer *peer)
{
	if (!peer_is_valid(peer) || !wg_key_is_usable(peer->key))
		return -EINVAL;
	return tunnel_call(t, set_peer, (void *) peer); /* only read */
}

struct endpoint_arg {
	const uint8_t *key;
	const struct endpoint *endpoint;
};

static int set_endpoint(struct tunnel *t, void *arg)
{
	const struct endpoint_arg *a = arg;
	struct wg_peer *peer = wg_device_find_peer(t->device, a->key);

	if (!peer)
		return -ENOENT;
	if (wg_device_denies(t->device, a->endpoint))
		return -EACCES;
	control_set_endpoint(t, peer, a->endpoint);
	return 0;
}

int tunnel_set_endpoint(
	struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN], const struct endpoint *endpoint)
{
	if (!endpoint_is_valid(endpoint))
		return -EINVAL;
	return tunnel_call(t, set_endpoint, &(struct endpoint_arg){ key, endpoint });
}

static int remove_peer(struct tunnel *t, void *arg)
{
	const struct key_arg *a = arg;
	struct wg_peer *peer = wg_device_find_peer(t->device, a->key);

	if (!peer)
		return -ENOENT;
	wg_peer_remove(peer);
	return 0;
}

int tunnel_remove_peer(struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return tunnel_call(t, remove_peer, &(struct key_arg){ key });
}

static int initiate(struct tunnel *t, void *arg)
{
	const struct key_arg *a = arg;
	struct wg_peer *peer = wg_device_find_peer(t->device, a->key);

	if (!peer)
		return -ENOENT;
	if (!wg_peer_endpoint(peer))
		return -EDESTADDRREQ;
	wg_peer_initiate(peer);
	return 0;
}

int tunnel_initiate(struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return tunnel_call(t, initiate, &(struct key_arg){ key });
}

struct denied_arg {
	const struct ip_prefix *prefixes;
	size_t n;
};

static int set_denied(struct tunnel *t, void *arg)
{
	const struct denied_arg *a = arg;

	return wg_device_set_denied(t->device, a->prefixes, a->n);
}

int tunnel_set_denied_underlay(struct tunnel *t, const struct ip_prefix *prefixes, size_t n)
{
	return tunnel_call(t, set_denied, &(struct denied_arg){ prefixes, n });
}

struct loopback_arg {
	uint16_t port;
	bool allowed;
};

static int allow_loopback(struct tunnel *t, void *arg)
{
	const struct loopback_arg *a = arg;

	wg_device_allow_loopback(t->device, a->port, a->allowed);
	if (a->allowed)
		return 0;
	for (struct wg_peer *p = wg_device_next_peer(t->device, NULL); p;
		p = wg_device_next_peer(t->device, p)) {
		struct peer_user *user = wg_peer_user(p);

		if (!wg_peer_endpoint(p))
			user->configured = none;
	}
	return 0;
}

int tunnel_allow_loopback(struct tunnel *t, uint16_t port, bool allowed)
{
	return tunnel_call(t, allow_loopback, &(struct loopback_arg){ port, allowed });
}

static int tell_quiet(struct tunnel *t, void *arg)
{
	wg_device_tell_quiet(t->device, *(const bool *) arg);
	return 0;
}

int tunnel_tell_quiet(struct tunnel *t, bool on)
{
	return tunnel_call(t, tell_quiet, &on);
}

struct stats_arg {
	struct tunnel_peer_stats *list;
	size_t n;
};

static void read_stats(const struct wg_peer *peer, struct tunnel_peer_stats *ret)
{
	const struct wg_endpoint *endpoint = wg_peer_endpoint(peer);
	struct wg_peer_stats stats;

	wg_peer_stats(peer, &stats);
	*ret = (struct tunnel_peer_stats){ .endpoint = endpoint ? endpoint->remote : none,
		.last_handshake_wall_us = stats.last_handshake_wall_us,
		.last_receive_us = stats.last_receive_us,
		.rx_bytes = stats.rx_bytes,
		.tx_bytes = stats.tx_bytes,
		.session = stats.session };
	memcpy(ret->key, wg_peer_key(peer), TUNNEL_KEY_LEN);
}

static int get_stats(struct tunnel *t, void *arg)
{
	struct stats_arg *a = arg;
	size_t n = wg_device_n_peers(t->device);

	a->list = n ? calloc(n, sizeof(*a->list)) : NULL;
	if (n && !a->list)
		return -ENOMEM;
	for (struct wg_peer *p = wg_device_next_peer(t->device, NULL); p && a->n < n;
		p = wg_device_next_peer(t->device, p))
		read_stats(p, &a->list[a->n++]);
	return 0;
}

int tunnel_get_stats(struct tunnel *t, struct tunnel_peer_stats **ret, size_t *ret_n)
{
	struct stats_arg arg = { 0 };
	int r = tunnel_call(t, get_stats, &arg);

	if (r < 0)
		return r;
	*ret = arg.list;
	*ret_n = arg.n;
	return 0;
}

/* All fields are counters. */
static void add_counters(struct tunnel_counters *sum, const struct tunnel_counters *c)
{
	uint64_t sums[sizeof(*sum) / sizeof(uint64_t)], more[ARRAY_LEN(sums)];

	memcpy(sums, sum, sizeof(sums));
	memcpy(more, c, sizeof(more));
	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		sums[i] += more[i];
	memcpy(sum, sums, sizeof(sums));
}

static int get_counters(struct tunnel *t, void *arg)
{
	struct tunnel_counters *sum = arg;

	*sum = t->lanes[0]->counters;
	for (unsigned i = 1; i < t->n_lanes; i++)
		add_counters(sum, &t->lanes[i]->counted);
	return 0;
}

int tunnel_get_counters(struct tunnel *t, struct tunnel_counters *ret)
{
	return tunnel_call(t, get_counters, ret);
}
