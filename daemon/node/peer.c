/*
 * The table is sorted by number, as the netmap is walked. What the tunnel was told is kept, so that
 * it is told only what is new.
 */
#include "node/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node/candidates.h"

struct peers {
	const struct book *book; /* borrowed */
	struct seen *seen;       /* borrowed */
	uint32_t self;
	const struct peers_hooks *hooks;
	void *ctx;
	struct peer *list; /* sorted by id */
	size_t n, room, n_reachable;
};

struct peers *peers_new(const struct book *book, struct seen *seen, uint32_t self,
	const struct peers_hooks *hooks, void *ctx)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (peers)
		*peers = (struct peers){
			.book = book, .seen = seen, .self = self, .hooks = hooks, .ctx = ctx
		};
	return peers;
}

static void peer_done(struct peer *peer)
{
	ways_done(&peer->ways);
	explicit_bzero(&peer->pair, sizeof(peer->pair));
}

struct peers *peers_free(struct peers *peers)
{
	if (peers) {
		peers_clear(peers);
		free(peers->list);
	}
	free(peers);
	return NULL;
}

const struct peer *peers_list(const struct peers *peers, size_t *ret_n)
{
	*ret_n = peers->n;
	return peers->list;
}

struct peer *peers_all(struct peers *peers, size_t *ret_n)
{
	*ret_n = peers->n;
	return peers->list;
}

size_t peers_reachable(const struct peers *peers)
{
	return peers->n_reachable;
}

/* Where @id is, or would be. */
static size_t place_of(const struct peers *peers, uint32_t id)
{
	size_t low = 0, high = peers->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (peers->list[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct peer *find(const struct peers *peers, uint32_t id)
{
	size_t at = place_of(peers, id);

	return at < peers->n && peers->list[at].id == id ? &peers->list[at] : NULL;
}

const struct peer *peers_get(const struct peers *peers, uint32_t id)
{
	return find(peers, id);
}

struct peer *peers_change(struct peers *peers, uint32_t id)
{
	return find(peers, id);
}

static struct peer *find_or_add(struct peers *peers, uint32_t id)
{
	size_t at = place_of(peers, id);
	struct endpoint endpoint;

	if (at < peers->n && peers->list[at].id == id)
		return &peers->list[at];
	if (peers->n == peers->room) {
		size_t room = peers->room ? peers->room * 2 : 16;
		struct peer *list = calloc(room, sizeof(*list));

		if (!list)
			return NULL;
		if (peers->n) { /* there are keys in it, which stay nowhere else */
			memcpy(list, peers->list, peers->n * sizeof(*list));
			explicit_bzero(peers->list, peers->n * sizeof(*list));
		}
		free(peers->list);
		peers->list = list;
		peers->room = room;
	}
	memmove(&peers->list[at + 1], &peers->list[at], (peers->n - at) * sizeof(*peers->list));
	peers->n++;
	peers->list[at] = (struct peer){ .id = id, .state_us = clock_now_us() };
	ways_init(&peers->list[at].ways);
	if (seen_get(peers->seen, id, &endpoint)) {
		peers->list[at].recalled_us = clock_now_us();
		ways_heard(&peers->list[at].ways, &endpoint, peers->list[at].recalled_us);
	}
	return &peers->list[at];
}

static void drop(struct peers *peers, size_t at)
{
	peer_done(&peers->list[at]);
	peers->n--;
	memmove(&peers->list[at], &peers->list[at + 1], (peers->n - at) * sizeof(*peers->list));
	explicit_bzero(&peers->list[peers->n], sizeof(*peers->list));
}

void peers_forget(struct peers *peers)
{
	for (size_t i = 0; i < peers->n; i++) {
		peers->list[i].is_told = false;
		memset(&peers->list[i].told, 0, sizeof(peers->list[i].told));
	}
}

void peers_clear(struct peers *peers)
{
	for (size_t i = 0; i < peers->n; i++)
		peer_done(&peers->list[i]);
	peers->n = peers->n_reachable = 0;
}

/* --- what the tunnel is told --- */

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

void peer_describe(const struct node *node, const struct presence *presence,
	struct ip_prefix allowed[static NODE_ALLOWED_MAX], struct tunnel_peer *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->key, node->wg, sizeof(ret->key));
	ret->keepalive_s = PEER_KEEPALIVE_S;
	ret->n_allowed = node_allowed_ips(node, allowed);
	if (presence && presence->no_ipv6)
		ret->n_allowed = without_ipv6(allowed, ret->n_allowed);
	ret->allowed = allowed;
}

static void note_ways(struct peer *peer, const struct presence *presence,
	const struct endpoint *own, size_t n_own)
{
	struct endpoint list[PRESENCE_ENDPOINTS_MAX];
	size_t n = 0;

	for (size_t i = 0; presence && i < presence->n_endpoints; i++)
		if (!is_own(&presence->endpoints[i], own, n_own))
			list[n++] = presence->endpoints[i];
	ways_announced(&peer->ways, list, n, clock_now_us());
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

static bool is_known_to_tunnel(const struct peer *peer)
{
	static const uint8_t none[TUNNEL_KEY_LEN];

	return memcmp(peer->told.key, none, sizeof(none)) != 0;
}

/* Tells @tunnel of @peer what is new. 1 if there was something. */
static int tell(struct tunnel *tunnel, struct peer *peer, const struct node *node,
	struct tunnel_peer *now, struct err *err)
{
	bool fresh = !is_known_to_tunnel(peer);
	int r;

	if (!fresh && memcmp(peer->told.key, now->key, sizeof(now->key)) != 0) {
		(void) tunnel_remove_peer(tunnel, peer->told.key); /* wiped and enrolled again */
		fresh = true;
	}
	peer->told.allowed = peer->allowed; /* the table may have moved */
	if (!fresh && peer->is_told && peer->told.sought == now->sought &&
		peer->told.fragment == now->fragment && same_allowed(&peer->told, now))
		return 0;
	r = tunnel_set_peer(tunnel, now);
	peer->told = *now;
	peer->is_told = r == 0; /* else the next round tries again */
	memcpy(peer->allowed, now->allowed, now->n_allowed * sizeof(*now->allowed));
	if (r < 0)
		return err_set(
			err, r, "the tunnel does not take peer %s: %s", node->name, strerror(-r));
	return 1;
}

/*
 * A packet of IPv6 may have MTU_LEAST bytes (RFC 8200 section 5), also where the way itself is one
 * of IPv6 and carries less: there it travels in fragments as long as what was found to get through.
 * IPv4 on a way is fragmented by its routers.
 */
static uint16_t fragment_for(const struct peer *peer, const struct way *way)
{
	unsigned carried = peer_mtu(peer);

	if (!way || way->relayed || way->to.addr.family != AF_INET6 || carried >= MTU_LEAST)
		return 0;
	return (uint16_t) (carried + CANDIDATES_OVERHEAD > MTU_LEAST ? carried + CANDIDATES_OVERHEAD
								     : MTU_LEAST);
}

static int apply_one(struct peers *peers, struct tunnel *tunnel, const struct node *node,
	const struct endpoint *own, size_t n_own, struct err *err)
{
	const struct presence *presence = book_presence(peers->book, node->id);
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	struct peer *peer = find_or_add(peers, node->id);
	const struct way *way;
	struct tunnel_peer now;

	if (!peer)
		return err_set(err, -ENOMEM, "out of memory");
	peer->has_presence = presence != NULL;
	note_ways(peer, presence, own, n_own);
	peer_describe(node, presence, allowed, &now);
	way = ways_in_use(&peer->ways);
	if (way)
		now.endpoint = way->to;
	now.sought = peer->ways.n > 0;
	now.fragment = fragment_for(peer, way);
	return tell(tunnel, peer, node, &now, err);
}

/* Those that are gone: before others are told of, for their addresses may not be used by two. */
static int remove_gone(struct peers *peers, struct tunnel *tunnel, struct err *err)
{
	int changes = 0, failed = 0;

	for (size_t i = peers->n; i-- > 0;) {
		struct peer *peer = &peers->list[i];
		int r = 0;

		if (netmap_by_id(book_netmap(peers->book), peer->id) && peer->id != peers->self)
			continue;
		if (is_known_to_tunnel(peer))
			r = tunnel_remove_peer(tunnel, peer->told.key);
		if (r < 0 && r != -ENOENT)
			failed = err_set(
				err, r, "the tunnel does not drop a peer: %s", strerror(-r));
		drop(peers, i);
		changes++;
	}
	return failed < 0 ? failed : changes;
}

int peers_apply(struct peers *peers, struct tunnel *tunnel, const struct endpoint *own,
	size_t n_own, struct err *err)
{
	const struct netmap *map = book_netmap(peers->book);
	const struct node *node = NULL;
	int r = remove_gone(peers, tunnel, err), failed = r < 0 ? r : 0, changes = r > 0 ? r : 0;

	while ((node = netmap_next(map, node))) {
		if (node->id == peers->self)
			continue;
		r = apply_one(peers, tunnel, node, own, n_own, err);
		if (r < 0)
			failed = r;
		changes += r > 0;
	}
	return failed < 0 ? failed : changes;
}

int peers_apply_one(struct peers *peers, struct tunnel *tunnel, uint32_t id,
	const struct endpoint *own, size_t n_own, struct err *err)
{
	const struct node *node = netmap_by_id(book_netmap(peers->book), id);

	return node && id != peers->self ? apply_one(peers, tunnel, node, own, n_own, err) : 0;
}

void peers_initiate(struct peers *peers, struct tunnel *tunnel)
{
	for (size_t i = 0; i < peers->n; i++)
		(void) tunnel_initiate(
			tunnel, peers->list[i].told.key); /* without an endpoint it waits */
}

/* --- what it says --- */

/* Remembers an address that the peer itself does not know of. One that leads to a relay is ours. */
static void remember(struct peers *peers, const struct peer *peer)
{
	const struct presence *presence = book_presence(peers->book, peer->id);

	if (ip_addr_is_loopback(&peer->stats.endpoint.addr))
		return;
	for (size_t i = 0; presence && i < presence->n_endpoints; i++)
		if (endpoint_equal(&presence->endpoints[i], &peer->stats.endpoint)) {
			seen_note(peers->seen, peer->id, NULL);
			return;
		}
	seen_note(peers->seen, peer->id, &peer->stats.endpoint);
}

/* True if it was reachable, and is not any more. */
static bool judge(struct peers *peers, struct peer *peer, uint64_t now_us)
{
	uint64_t last = peer->stats.last_receive_us;
	bool reachable = peer->stats.session && last && now_us - last < PEER_REACHABLE_US;
	bool lost = peer->reachable && !reachable;

	if (reachable != peer->reachable) {
		peer->since_us = clock_wall_us();
		peer->state_us = now_us;
	}
	peer->reachable = reachable;
	peer->ever = peer->ever || reachable;
	peers->n_reachable += reachable;
	if (reachable)
		remember(peers, peer);
	return lost;
}

/*
 * True if it is another one than before. Without a session it is where the peer might be, not where
 * it is.
 */
static bool note_endpoint(struct peer *peer)
{
	const struct endpoint *now = &peer->stats.endpoint;
	bool moved;

	if (now->addr.family == AF_UNSPEC || !peer->stats.session)
		return false;
	moved = peer->endpoint.addr.family != AF_UNSPEC && !endpoint_equal(now, &peer->endpoint);
	peer->endpoint = *now;
	return moved;
}

/* Nodes that came and went since the tunnel was told last are in the table at once. */
static void follow_netmap(struct peers *peers)
{
	const struct netmap *map = book_netmap(peers->book);
	const struct node *node = NULL;

	while ((node = netmap_next(map, node))) {
		struct peer *peer = node->id == peers->self ? NULL : find_or_add(peers, node->id);

		if (!peer)
			continue;
		peer->has_presence = book_presence(peers->book, node->id) != NULL;
		peer->stats = (struct tunnel_peer_stats){ 0 };
	}
}

void peers_look(struct peers *peers, struct tunnel *tunnel, uint64_t now_us)
{
	CLEANUP(free_p) struct tunnel_peer_stats *stats = NULL;
	size_t n = 0;

	if (tunnel && tunnel_get_stats(tunnel, &stats, &n) < 0)
		n = 0;
	follow_netmap(peers);
	for (size_t i = 0; i < n; i++) {
		const struct node *node = netmap_by_wg(book_netmap(peers->book), stats[i].key);
		struct peer *peer = node ? find(peers, node->id) : NULL;

		if (peer)
			peer->stats = stats[i];
	}
	peers->n_reachable = 0;
	for (size_t i = 0; i < peers->n; i++)
		peers->list[i].lost = judge(peers, &peers->list[i], now_us);
	for (size_t i = 0; i < peers->n; i++)
		if (note_endpoint(&peers->list[i]))
			peers->hooks->moved(peers->ctx, peers->list[i].id);
	for (size_t i = 0; i < peers->n; i++)
		if (peers->list[i].lost)
			peers->hooks->lost(peers->ctx, peers->list[i].id);
}
