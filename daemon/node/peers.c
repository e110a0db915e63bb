/*
 * A peer that is not reachable now is never removed; only its record's end does that.
 */
#include "node/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct known {
	uint32_t id;
	bool seen; /* by the round under way */
	struct tunnel_peer peer;
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
};

struct peers {
	struct known *list;
	size_t n, room;
	const struct seen *seen; /* borrowed, may be NULL */
};

struct peers *peers_new(void)
{
	return calloc(1, sizeof(struct peers));
}

struct peers *peers_free(struct peers *peers)
{
	if (peers)
		free(peers->list);
	free(peers);
	return NULL;
}

void peers_remember(struct peers *peers, const struct seen *seen)
{
	peers->seen = seen;
}

void peers_forget(struct peers *peers)
{
	peers->n = 0;
}

static bool is_own(const struct endpoint *endpoint, const struct endpoint *own, size_t n_own)
{
	for (size_t i = 0; i < n_own; i++)
		if (endpoint_equal(endpoint, &own[i]))
			return true;
	return false;
}

static size_t without_ipv6(struct ip_prefix *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].addr.family != AF_INET6)
			list[kept++] = list[i];
	return kept;
}

void peers_describe(const struct node *node, const struct presence *presence,
	const struct endpoint *own, size_t n_own, struct ip_prefix allowed[static NODE_ALLOWED_MAX],
	struct tunnel_peer *ret)
{
	memset(ret, 0, sizeof(*ret)); /* compared as bytes, so the gaps count */
	memcpy(ret->key, node->wg, sizeof(ret->key));
	ret->keepalive_s = PEERS_KEEPALIVE_S;
	ret->n_allowed = node_allowed_ips(node, allowed);
	if (presence && presence->no_ipv6)
		ret->n_allowed = without_ipv6(allowed, ret->n_allowed);
	ret->allowed = allowed;
	for (size_t i = 0; presence && i < presence->n_endpoints; i++)
		if (ret->n_candidates < TUNNEL_CANDIDATES_MAX &&
			!is_own(&presence->endpoints[i], own, n_own))
			ret->candidates[ret->n_candidates++] = presence->endpoints[i];
}

static bool same_endpoints(const struct tunnel_peer *a, const struct tunnel_peer *b)
{
	if (a->n_candidates != b->n_candidates)
		return false;
	for (size_t i = 0; i < a->n_candidates; i++)
		if (!endpoint_equal(&a->candidates[i], &b->candidates[i]))
			return false;
	return true;
}

static bool same_allowed(const struct tunnel_peer *a, const struct tunnel_peer *b)
{
	if (a->n_allowed != b->n_allowed)
		return false;
	for (size_t i = 0; i < a->n_allowed; i++)
		if (!ip_prefix_equal(&a->allowed[i], &b->allowed[i]))
			return false;
	return true;
}

static struct known *find(struct peers *peers, uint32_t id)
{
	for (size_t i = 0; i < peers->n; i++)
		if (peers->list[i].id == id) {
			peers->list[i].peer.allowed = peers->list[i].allowed;
			return &peers->list[i];
		}
	return NULL;
}

static struct known *add(struct peers *peers, uint32_t id)
{
	if (peers->n == peers->room) {
		size_t room = peers->room ? peers->room * 2 : 16;
		struct known *list = reallocarray(peers->list, room, sizeof(*list));

		if (!list)
			return NULL;
		peers->list = list;
		peers->room = room;
	}
	peers->list[peers->n] = (struct known){ .id = id };
	return &peers->list[peers->n++];
}

static int forget_one(struct peers *peers, struct tunnel *tunnel, size_t at)
{
	int r = tunnel_remove_peer(tunnel, peers->list[at].peer.key);

	peers->list[at] = peers->list[--peers->n];
	return r == -ENOENT ? 0 : r;
}

/* Returns 1 if the tunnel was told something. */
static int apply_one(struct peers *peers, struct tunnel *tunnel, const struct node *node,
	const struct presence *presence, const struct endpoint *own, size_t n_own, struct err *err)
{
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	struct known *known = find(peers, node->id);
	struct tunnel_peer peer;
	bool fresh = !known;
	int r;

	peers_describe(node, presence, own, n_own, allowed, &peer);
	if (known && memcmp(known->peer.key, peer.key, sizeof(peer.key)) != 0) {
		(void) tunnel_remove_peer(tunnel, known->peer.key); /* wiped and enrolled again */
		fresh = true;
	} else if (known && same_endpoints(&known->peer, &peer) &&
		   same_allowed(&known->peer, &peer)) {
		known->seen = true;
		return 0;
	}
	if (!known)
		known = add(peers, node->id);
	if (!known)
		return err_set(err, -ENOMEM, "out of memory");
	known->seen = true;
	if (fresh && peers->seen)
		(void) seen_get(peers->seen, node->id, &peer.endpoint);
	r = tunnel_set_peer(tunnel, &peer);
	if (r < 0) {
		/* Not remembered as set, so that the next round tries again. */
		memset(&known->peer, 0, sizeof(known->peer));
		memcpy(known->peer.key, peer.key, sizeof(peer.key));
		known->peer.n_candidates = SIZE_MAX;
		return err_set(
			err, r, "the tunnel does not take peer %s: %s", node->name, strerror(-r));
	}
	if ((peer.n_candidates || peer.endpoint.addr.family) &&
		(fresh || !same_endpoints(&known->peer, &peer)))
		(void) tunnel_initiate(tunnel, peer.key); /* it goes on trying by itself */
	known->peer = peer;
	memcpy(known->allowed, allowed, sizeof(allowed));
	return 1;
}

int peers_apply(struct peers *peers, struct tunnel *tunnel, const struct book *book, uint32_t self,
	const struct endpoint *own, size_t n_own, struct err *err)
{
	const struct node *node = NULL;
	int changes = 0, failed = 0, r;

	for (size_t i = 0; i < peers->n; i++)
		peers->list[i].seen = false;
	/* Those that are gone first: their addresses may not be used by two. */
	for (size_t i = peers->n; i-- > 0;) {
		if (netmap_by_id(book_netmap(book), peers->list[i].id) && peers->list[i].id != self)
			continue;
		r = forget_one(peers, tunnel, i);
		if (r < 0)
			failed = err_set(
				err, r, "the tunnel does not drop a peer: %s", strerror(-r));
		changes++;
	}
	while ((node = netmap_next(book_netmap(book), node))) {
		if (node->id == self)
			continue;
		r = apply_one(peers, tunnel, node, book_presence(book, node->id), own, n_own, err);
		if (r < 0)
			failed = r;
		changes += r > 0;
	}
	return failed < 0 ? failed : changes;
}

int peers_apply_one(struct peers *peers, struct tunnel *tunnel, const struct book *book,
	uint32_t id, const struct endpoint *own, size_t n_own, struct err *err)
{
	return apply_one(peers, tunnel, netmap_by_id(book_netmap(book), id),
		book_presence(book, id), own, n_own, err);
}

void peers_initiate(struct peers *peers, struct tunnel *tunnel)
{
	for (size_t i = 0; i < peers->n; i++)
		(void) tunnel_initiate(
			tunnel, peers->list[i].peer.key); /* without an endpoint it waits */
}
