/*
 * relayed: see relayed.h. A peer that is carried has a socket of the ferry's, whose address is the
 * relayed one of its ways; mesh/ways.h decides when that is used.
 */
#include "node/relayed.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

struct carried {
	uint32_t id;
	uint8_t key[FERRY_KEY_LEN]; /* of WireGuard's, as the ferry knows it */
	struct endpoint at;
	uint32_t home;      /* of the peer, as it said last; 0: none */
	uint32_t by;        /* 0: nothing carries it */
	uint32_t heard_by;  /* another one, which may be the better; 0: none */
	uint64_t asked_us;  /* it has to answer from then on; 0: it has */
	uint64_t reason_us; /* the last there was to carry it */
	unsigned tries;     /* relays since one has answered */
	bool absent;        /* the relay says so */
};

struct relayed {
	const struct book *book; /* borrowed, as what follows */
	struct peers *peers;
	struct ferry *ferry; /* NULL: there is none */
	struct tunnel *tunnel;
	const struct home_choice *relays;
	size_t n_relays;
	uint32_t home;
	struct carried list[RELAYED_MAX]; /* in no order */
	size_t n;
	bool changed; /* in this turn */
};

/* --- what there is --- */

static struct carried *find(struct relayed *r, uint32_t id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].id == id)
			return &r->list[i];
	return NULL;
}

static bool carries(const struct relayed *r, uint32_t relay)
{
	for (size_t i = 0; i < r->n_relays; i++)
		if (r->relays[i].id == relay)
			return r->relays[i].answers;
	return false;
}

static size_t count_carrying(const struct relayed *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_relays; i++)
		n += r->relays[i].answers;
	return n;
}

/* It has no direct way that is known to work. */
static bool is_needed(const struct peer *peer)
{
	return peer->pair.usable && peer->ways.doubtful;
}

/* NULL: it has left. */
static const uint8_t *key_of(const struct relayed *r, uint32_t id)
{
	const struct node *node = netmap_by_id(book_netmap(r->book), id);

	return node ? node->wg : NULL;
}

static uint32_t home_of(const struct relayed *r, uint32_t id)
{
	const struct presence *presence = book_presence(r->book, id);

	return presence ? presence->relay : 0;
}

/* --- on and off --- */

static void put_off(struct relayed *r, struct carried *c)
{
	struct peer *peer = peers_change(r->peers, c->id);

	if (peer) {
		ways_relayed(&peer->ways, NULL, clock_now_us());
		peer->relay = 0;
		if (endpoint_equal(&peer->told.endpoint, &c->at)) /* it has none now */
			peer->told.endpoint = (struct endpoint){ 0 };
	}
	(void) tunnel_allow_loopback(r->tunnel, c->at.port, false); /* it ends, then */
	ferry_peer_remove(r->ferry, c->id);
	*c = r->list[--r->n];
	r->changed = true;
}

/* It was of no use, if it would be needed still. */
static void give_up(struct relayed *r, struct carried *c)
{
	struct peer *peer = peers_change(r->peers, c->id);

	if (peer)
		peer->relay_in_vain = is_needed(peer);
	put_off(r, c);
}

/* In place of the one that was of no use for the longest time. False: all are, or may be yet. */
static bool make_room(struct relayed *r, uint64_t now_us)
{
	struct carried *oldest = NULL;

	for (size_t i = 0; i < r->n; i++) {
		struct peer *peer = peers_change(r->peers, r->list[i].id);

		if (peer && ways_is_relayed(&peer->ways))
			continue;
		if (!oldest || r->list[i].reason_us < oldest->reason_us)
			oldest = &r->list[i];
	}
	if (!oldest || now_us < oldest->reason_us + RELAYED_TRIAL_US)
		return false;
	give_up(r, oldest);
	return true;
}

/* NULL: it cannot be carried now; perhaps later. */
static struct carried *take_up(struct relayed *r, struct peer *peer, uint64_t now_us)
{
	const uint8_t *key = key_of(r, peer->id);
	struct carried *c;
	struct endpoint at;

	if (!key || (r->n == RELAYED_MAX && !make_room(r, now_us)))
		return NULL;
	if (ferry_peer_add(r->ferry, peer->id, key, &at) < 0)
		return NULL;
	if (tunnel_allow_loopback(r->tunnel, at.port, true) < 0) {
		ferry_peer_remove(r->ferry, peer->id);
		return NULL;
	}
	c = &r->list[r->n++];
	*c = (struct carried){
		.id = peer->id, .at = at, .home = home_of(r, peer->id), .reason_us = now_us
	};
	memcpy(c->key, key, sizeof(c->key));
	ways_relayed(&peer->ways, &at, now_us);
	r->changed = true;
	return c;
}

/* --- by which --- */

static void put_by(struct relayed *r, struct carried *c, uint32_t relay, uint64_t now_us)
{
	struct peer *peer = peers_change(r->peers, c->id);

	if (ferry_peer_carrier(r->ferry, c->id, relay) < 0)
		return;
	if (relay != c->by)
		log_debug("board %u is carried by relay %u", c->id, relay);
	c->by = relay;
	c->asked_us = relay ? now_us : 0;
	c->absent = false;
	if (c->heard_by == relay)
		c->heard_by = 0;
	if (!peer)
		return;
	peer->relay = relay;
	ways_relayed_anew(&peer->ways);
	r->changed = true;
}

static void add_choice(
	const struct relayed *r, uint32_t relay, uint32_t list[static FERRY_RELAYS_MAX], size_t *n)
{
	if (!carries(r, relay) || *n == FERRY_RELAYS_MAX)
		return;
	for (size_t i = 0; i < *n; i++)
		if (list[i] == relay)
			return;
	list[(*n)++] = relay;
}

/* The next in turn, another than the one that was if there is one; 0: nothing carries. */
static uint32_t choose(const struct relayed *r, const struct carried *c)
{
	uint32_t list[FERRY_RELAYS_MAX];
	size_t n = 0, at;

	if (c->heard_by && carries(r, c->heard_by))
		return c->heard_by;
	add_choice(r, c->home, list, &n);
	add_choice(r, r->home, list, &n);
	for (size_t i = 0; i < r->n_relays; i++)
		add_choice(r, r->relays[i].id, list, &n);
	if (!n)
		return 0;
	at = c->tries % n;
	return list[at] == c->by ? list[(at + 1) % n] : list[at];
}

/*
 * TCP sends what is lost again after 0.2, 0.6, 1.4, 3.0 and 6.2 s: what is found out before 1.4 s
 * (WG_QUIET_US, and this) is a short pause.
 */
static uint64_t patience_us(const struct carried *c, const struct way *way)
{
	uint64_t us = RELAYED_PATIENCE_US;

	if (way && 3 * way->rtt_us > us)
		us = 3 * way->rtt_us;

	for (unsigned i = 1; i < c->tries && us < RELAYED_TIRED_US && !c->heard_by; i++)
		us *= 2;
	return us < RELAYED_TIRED_US ? us : RELAYED_TIRED_US;
}

/* It is pinged, and has to answer from now on. */
static void ask(struct relayed *r, struct carried *c, struct peer *peer, uint64_t now_us)
{
	if (!c->asked_us)
		c->asked_us = now_us;
	ways_relayed_anew(&peer->ways);
	r->changed = true;
}

/* What goes by it does not arrive. One ping that is lost is only a reason to ask. */
static bool is_lost(struct relayed *r, struct carried *c, struct peer *peer, uint64_t now_us)
{
	const struct way *way = ways_get_relayed(&peer->ways);
	uint64_t missed_us = way_missed_us(way, c->asked_us);

	if (!c->by || !carries(r, c->by) || c->absent)
		return true;
	if (!is_needed(peer) || !missed_us || now_us - missed_us < patience_us(c, way))
		return false;
	if (c->asked_us)
		return true;
	ask(r, c, peer, now_us);
	return false;
}

/* The peer has another home: it is there first. */
static void follow_home(struct relayed *r, struct carried *c, uint64_t now_us)
{
	uint32_t home = home_of(r, c->id);

	if (home == c->home)
		return;
	c->home = home;
	c->tries = 0;
	if (home != c->by && carries(r, home))
		put_by(r, c, home, now_us);
}

static void note_answer(struct carried *c, struct peer *peer, const struct way *way)
{
	if (way->answered_us > c->reason_us)
		c->reason_us = way->answered_us;
	if (!c->asked_us || way->answered_us <= c->asked_us)
		return;
	peer->relay_absent = false;
	c->asked_us = 0;
	c->tries = 0;
	c->heard_by = 0;
}

/* Returns when it is to be looked at again, 0: it is not carried any more. */
static uint64_t tend(struct relayed *r, struct carried *c, uint64_t now_us)
{
	struct peer *peer = peers_change(r->peers, c->id);
	const struct way *way = peer ? ways_get_relayed(&peer->ways) : NULL;
	const uint8_t *key = key_of(r, c->id);

	/* It has left, and perhaps come back, or is another machine now. */
	if (!way || !key || memcmp(key, c->key, sizeof(c->key)) != 0) {
		put_off(r, c);
		return 0;
	}
	note_answer(c, peer, way);
	if (now_us >= c->reason_us + RELAYED_LINGER_US) {
		give_up(r, c);
		return 0;
	}
	follow_home(r, c, now_us);
	if (is_lost(r, c, peer, now_us) && (c->by || count_carrying(r))) {
		put_by(r, c, choose(r, c), now_us);
		c->tries++;
	}
	return c->by && c->asked_us && is_needed(peer) ? now_us + patience_us(c, way) : UINT64_MAX;
}

/* --- what happens --- */

void relayed_want(struct relayed *r, uint32_t id)
{
	size_t n;
	struct peer *list = peers_all(r->peers, &n);

	for (size_t i = 0; i < n; i++)
		if (!id || list[i].id == id)
			list[i].relay_in_vain = false;
	for (size_t i = 0; i < r->n; i++)
		if ((!id || r->list[i].id == id) && r->list[i].asked_us)
			r->list[i].tries = 0;
}

void relayed_heard(struct relayed *r, uint32_t id, uint32_t relay, uint64_t now_us)
{
	struct peer *peer = peers_change(r->peers, id);
	struct carried *c = find(r, id);

	if (!r->ferry || !peer || !peer->pair.usable || (c && c->by == relay))
		return;
	peer->relay_in_vain = false;
	if (!c)
		c = take_up(r, peer, now_us);
	if (!c)
		return;
	c->heard_by = relay;
	if (!c->by || !carries(r, c->by))
		return; /* the turn that follows puts it there */
	ask(r, c, peer, now_us);
}

/* Not each time: one that is nowhere is looked for in turn. */
void relayed_absent(struct relayed *r, uint32_t id, uint32_t relay)
{
	struct carried *c = find(r, id);
	struct peer *peer = peers_change(r->peers, id);

	if (peer && c && c->by == relay)
		peer->relay_absent = true;
	if (c && c->by == relay && c->tries <= count_carrying(r) && count_carrying(r) > 1)
		c->absent = true;
}

uint32_t relayed_doubt(struct relayed *r, uint32_t id, uint64_t now_us)
{
	struct peer *peer = peers_change(r->peers, id);
	struct carried *c = find(r, id);

	if (!peer)
		return 0;
	peer->relay_in_vain = false;
	if (!c || !c->by)
		return 0;
	c->reason_us = now_us;
	if (ways_is_relayed(&peer->ways) && !c->asked_us)
		ask(r, c, peer, now_us);
	return c->by;
}

static void take_up_needy(struct relayed *r, uint64_t now_us)
{
	size_t n;
	struct peer *list = peers_all(r->peers, &n);

	for (size_t i = 0; i < n; i++) {
		if (!is_needed(&list[i]))
			list[i].relay_in_vain = false;
		else if (!list[i].relay_in_vain && !find(r, list[i].id) &&
			 !take_up(r, &list[i], now_us))
			break;
	}
}

uint64_t relayed_run(struct relayed *r, uint64_t now_us, bool *ret_changed)
{
	uint64_t next_us = UINT64_MAX;

	if (r->ferry && count_carrying(r))
		take_up_needy(r, now_us);
	for (size_t i = r->n; i-- > 0;) {
		uint64_t at_us = tend(r, &r->list[i], now_us);

		if (at_us && at_us < next_us)
			next_us = at_us;
	}
	*ret_changed = r->changed;
	r->changed = false;
	return next_us;
}

/* --- its life --- */

void relayed_set(struct relayed *r, const struct home_choice *list, size_t n, uint32_t home)
{
	r->relays = list;
	r->n_relays = n;
	r->home = home;
}

void relayed_use(struct relayed *r, struct ferry *ferry, struct tunnel *tunnel)
{
	while (r->n)
		put_off(r, &r->list[r->n - 1]);
	r->ferry = ferry;
	r->tunnel = tunnel;
	relayed_want(r, 0);
}

struct relayed *relayed_new(const struct book *book, struct peers *peers)
{
	struct relayed *r = calloc(1, sizeof(*r));

	if (r) {
		r->book = book;
		r->peers = peers;
	}
	return r;
}

struct relayed *relayed_free(struct relayed *r)
{
	if (r)
		relayed_use(r, NULL, NULL);
	free(r);
	return NULL;
}
