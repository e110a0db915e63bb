/*
 * By which way datagrams to a peer leave: asked once per peer and state of the routing tables, when
 * there is something to send, so that changes cost nothing for those who are silent.
 *
 * A peer is answered from the address that it was heard at. When routing leads elsewhere than it
 * did when that began, that address has been left behind (another interface took over, or it is
 * gone), and the kernel chooses, until the peer is heard at another.
 *
 * Where the datagrams leave through another tunnel, or through this one again, they may come back
 * for ever, and grow each time. So there a packet that seems to be WireGuard's own, or a part of
 * one, hands its hop limit on, less some. An honest nest of seven tunnels still works.
 */
#include <net/if_arp.h>

#include "tunnel/internal.h"
#include "sys/net/link.h"
#include "sys/net/route.h"
#include "wire/wg.h"

enum { HOPS_PER_TUNNEL = 8 };

static int ask_route(
	struct tunnel *t, const struct wg_endpoint *e, bool from_local, uint32_t *ret_oif)
{
	struct route_query query = {
		.dst = e->remote.addr, .mark = t->fwmark, .sport = t->port, .dport = e->remote.port
	};
	struct route route;
	int r;

	if (from_local)
		query.src = e->local;
	if (ip_addr_is_link_local(&e->remote.addr))
		query.oif = (int) e->remote.scope;
	r = route_lookup(t->place.nl, &query, &route, NULL);
	if (r < 0)
		return r;
	*ret_oif = (uint32_t) route.oif;
	return 0;
}

static bool is_tunnel(const struct tunnel *t, uint32_t oif)
{
	struct link link;

	return oif && link_get(t->place.nl, (int) oif, &link, NULL) == 0 &&
	       link.type == ARPHRD_NONE;
}

void path_look(struct tunnel *t, struct wg_peer *peer)
{
	const struct wg_endpoint *e = wg_peer_endpoint(peer);
	bool pinned = e->local.family == e->remote.addr.family;
	struct wg_path path = e->path;
	uint32_t oif = 0;

	path.seen = t->routes;
	if (!t->place.nl) {
		wg_peer_set_path(peer, &path);
		return;
	}
	if (ask_route(t, e, pinned, &oif) < 0)
		oif = 0;
	if (e->path.seen == 0)
		path.oif = oif;
	path.astray = pinned && (oif == 0 || oif != path.oif);
	if (path.astray && ask_route(t, e, false, &oif) < 0)
		oif = 0;
	path.nested = is_tunnel(t, oif);
	wg_peer_set_path(peer, &path);
}

void path_note_change(struct tunnel *t)
{
	if (++t->routes == 0)
		t->routes = 1;
	sock_gso_again(&t->lanes[0]->sock); /* perhaps by another card; other lanes see to theirs */
}

int path_nested_hops(const uint8_t *packet, size_t len)
{
	uint8_t hops;

	if (!wg_seems_sealed(packet, len, &hops))
		return 0;
	return hops > HOPS_PER_TUNNEL ? hops - HOPS_PER_TUNNEL : -1;
}
