/*
 * hole-ways: see hole-ways.h. They have a ferry of their own, which is there only while one of them
 * is: no relay has to do with them.
 */
#include "node/hole-ways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tunnel/ferry.h"

struct hole {
	uint32_t id;
	uint8_t key[FERRY_KEY_LEN]; /* of WireGuard's: another machine in its place has another */
	struct endpoint at;
	uint64_t since_us;
};

struct hole_ways {
	struct peers *peers;             /* borrowed */
	struct tunnel *tunnel;           /* borrowed, NULL: none */
	struct ferry *ferry;             /* owned, NULL: none */
	uint16_t port;                   /* of the tunnel, as the ferry knows it */
	struct hole list[HOLE_WAYS_MAX]; /* in no order */
	size_t n;
};

static struct hole *find(struct hole_ways *w, uint32_t id)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].id == id)
			return &w->list[i];
	return NULL;
}

/* Its way, if it still is one. */
static const struct way *way_of(const struct hole *hole, const struct peer *peer)
{
	const struct way *way = peer ? ways_get_hole(&peer->ways) : NULL;

	return way && endpoint_equal(&way->to, &hole->at) ? way : NULL;
}

/* --- on and off --- */

static void put_off(struct hole_ways *w, struct hole *hole)
{
	struct peer *peer = peers_change(w->peers, hole->id);

	if (way_of(hole, peer))
		ways_hole(&peer->ways, NULL, NULL, clock_now_us());
	if (peer && endpoint_equal(&peer->told.endpoint, &hole->at))
		peer->told.endpoint = (struct endpoint){ 0 };          /* the tunnel has none now */
	(void) tunnel_allow_loopback(w->tunnel, hole->at.port, false); /* it ends, then */
	ferry_hole_close(w->ferry, hole->id);
	ferry_peer_remove(w->ferry, hole->id);
	*hole = w->list[--w->n];
	if (!w->n)
		w->ferry = ferry_free(w->ferry);
}

static int open_ferry(struct hole_ways *w, struct err *err)
{
	if (w->ferry)
		return 0;
	w->port = tunnel_port(w->tunnel);
	return ferry_new(w->port, &w->ferry, err);
}

/* A socket for the tunnel, and behind it @fd, which is gone on failure. */
static int open_hole(struct hole_ways *w, const struct peer *peer, int fd,
	const struct endpoint *to, struct hole *h)
{
	int r;

	memcpy(h->key, peer->told.key, sizeof(h->key));
	r = ferry_peer_add(w->ferry, h->id, h->key, &h->at);
	if (r < 0) {
		(void) close(fd);
		return r;
	}
	r = ferry_hole_open(w->ferry, h->id, fd, to->addr.family);
	if (r == 0)
		r = tunnel_allow_loopback(w->tunnel, h->at.port, true);
	if (r < 0) {
		ferry_hole_close(w->ferry, h->id);
		ferry_peer_remove(w->ferry, h->id);
	}
	return r;
}

int hole_ways_add(struct hole_ways *w, uint32_t id, int fd, const struct endpoint *to,
	uint64_t now_us, struct err *err)
{
	struct peer *peer = peers_change(w->peers, id);
	struct hole *old = find(w, id), hole = { .id = id, .since_us = now_us };
	int r;

	if (old)
		put_off(w, old);
	r = !w->tunnel || !peer ? -ENOENT : w->n == HOLE_WAYS_MAX ? -ENOSPC : 0;
	if (r < 0) {
		(void) close(fd);
		return err_set(err, r, "open a way to board %u: %s", id, strerror(-r));
	}
	r = open_ferry(w, err);
	if (r < 0) {
		(void) close(fd);
		return r;
	}
	r = open_hole(w, peer, fd, to, &hole);
	if (r < 0) {
		if (!w->n)
			w->ferry = ferry_free(w->ferry);
		return err_set(err, r, "open a way to board %u: %s", id, strerror(-r));
	}
	w->list[w->n++] = hole;
	ways_hole(&peer->ways, &hole.at, to, now_us);
	return 0;
}

/* --- as time goes by --- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_of_use(const struct hole *hole, const struct peer *peer, uint64_t now_us)
{
	const struct way *way = way_of(hole, peer);
	uint64_t last_us;

	if (!way || memcmp(peer->told.key, hole->key, sizeof(hole->key)) != 0)
		return false;
	last_us = later(later(way->answered_us, way->lost_us), hole->since_us);
	if (way == ways_in_use(&peer->ways))
		last_us = way_missed_us(way, 0) ? way_missed_us(way, 0) : now_us;
	return now_us - last_us < HOLE_WAYS_LINGER_US;
}

static void follow_port(struct hole_ways *w)
{
	uint16_t port = tunnel_port(w->tunnel);

	if (port == w->port || !port)
		return;
	w->port = port;
	ferry_set_tunnel_port(w->ferry, port);
}

void hole_ways_look(struct hole_ways *w, uint64_t now_us)
{
	for (size_t i = w->n; i-- > 0;)
		if (!is_of_use(&w->list[i], peers_get(w->peers, w->list[i].id), now_us))
			put_off(w, &w->list[i]);
	if (w->n)
		follow_port(w);
}

size_t hole_ways_count(const struct hole_ways *w)
{
	return w->n;
}

/* --- its life --- */

void hole_ways_use(struct hole_ways *w, struct tunnel *tunnel)
{
	while (w->n)
		put_off(w, &w->list[w->n - 1]);
	w->tunnel = tunnel;
}

struct hole_ways *hole_ways_new(struct peers *peers)
{
	struct hole_ways *w = calloc(1, sizeof(*w));

	if (w)
		w->peers = peers;
	return w;
}

struct hole_ways *hole_ways_free(struct hole_ways *w)
{
	if (w)
		hole_ways_use(w, NULL);
	free(w);
	return NULL;
}
