/*
 * holes: see holes.h. All that is due is done in one turn (run()), whatever made it begin, and one
 * timer begins the next.
 */
#include "node/holes.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mesh/guess.h"
#include "node/hole-sockets.h"
#include "node/hole-ways.h"
#include "node/stun-once.h"

enum { AT_ONCE = 64, DATAGRAM_MAX = 2048 };
/* The relay answers, and the peer calls: so long ago at most. */
#define RELAYED_US (20 * USEC_PER_SEC)
#define CALLED_US  (150 * USEC_PER_SEC)

struct holes {
	struct core *core;
	struct peers *peers;
	const struct holes_hooks *hooks;
	void *ctx;
	struct tunnel *tunnel; /* borrowed, NULL: none */
	/* -- the try that is under way -- */
	struct guess guess;
	uint32_t id;
	struct endpoint server;
	struct stun_once once;
	struct hole_sockets sockets;
	/* -- */
	struct guess_addresses addresses;
	uint64_t hurt_until_us;
	struct hole_ways *ways;
	sd_event_source *timer;
	struct holes_counters counters;
};

/* --- with whom --- */

static enum guess_side side_with(const struct peer *peer, struct endpoint *ret_at)
{
	const struct ways_own *own = peer->ways.own;
	enum guess_side side =
		own ? guess_side(own->mapping, &peer->ways.predict.peer, ret_at) : GUESS_NEITHER;

	return side != GUESS_NEITHER && ways_may_ping(own, ret_at) ? side : GUESS_NEITHER;
}

/* It is searched for, calls, and its relay answers. */
static bool is_wanted(const struct peer *peer, uint64_t now_us)
{
	const struct way *relayed = ways_get_relayed(&peer->ways);

	return peer->pair.usable && peer->is_told && peer->ways.searching && relayed &&
	       relayed->answered_us && now_us - relayed->answered_us < RELAYED_US &&
	       peer->guess.since_us && now_us - peer->guess.called_us < CALLED_US;
}

/* When a try of ours may begin with @peer, who is behind an easy NAT. GUESS_NEVER: none is. */
static uint64_t due_us(const struct holes *h, const struct peer *peer, uint64_t now_us)
{
	uint64_t at_us = peer->guess.since_us + GUESS_AFTER_US;
	struct endpoint at;

	if (!is_wanted(peer, now_us) || side_with(peer, &at) != GUESS_HARD)
		return GUESS_NEVER;
	if (at_us < peer->guess.pause.next_us)
		at_us = peer->guess.pause.next_us;
	return at_us > h->hurt_until_us ? at_us : h->hurt_until_us;
}

/* Who waits the longest. */
static struct peer *find_due(struct holes *h, uint64_t now_us, uint64_t *ret_next_us)
{
	struct peer *best = NULL;
	uint64_t best_us = GUESS_NEVER;
	size_t n;
	struct peer *list = peers_all(h->peers, &n);

	for (size_t i = 0; i < n; i++) {
		uint64_t at_us = due_us(h, &list[i], now_us);

		if (at_us >= best_us)
			continue;
		best_us = at_us;
		best = &list[i];
	}
	*ret_next_us = best_us;
	return best_us <= now_us ? best : NULL;
}

/* --- a try --- */

/* What both sides wait is the same, but for the easy one, which is asked: it must be ready. */
static void wait_longer(struct peer *peer, enum guess_side side, uint64_t now_us)
{
	unsigned part = side == GUESS_EASY ? 2 : 1;

	backoff_failed(
		&peer->guess.pause, GUESS_PAUSE_US / part, GUESS_PAUSE_MOST_US / part, now_us);
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *ctx);

/* False: not with this one, not now. */
static bool begin(struct holes *h, struct peer *peer, enum guess_side side,
	const struct endpoint *at, uint64_t now_us)
{
	if (now_us < h->hurt_until_us || !backoff_is_due(&peer->guess.pause, now_us) ||
		!h->hooks->server(h->ctx, &h->server) ||
		!guess_may_try(&h->addresses, &at->addr, now_us) ||
		(side == GUESS_HARD && hole_sockets_open(&h->sockets, h->core, on_ready, h) < 0)) {
		h->counters.refused++;
		return false;
	}
	log_debug("board %u: guessing a port of %s", peer->id,
		side == GUESS_HARD ? "our router's" : "its router's");
	h->id = peer->id;
	guess_begin(&h->guess, side, at, randombytes_random(), now_us);
	return true;
}

static void stop(struct holes *h)
{
	struct peer *peer = peers_change(h->peers, h->id);

	if (peer)
		peer->guess.open = false;
	guess_stop(&h->guess);
	stun_once_stop(&h->once);
	hole_sockets_close(&h->sockets);
}

/* @side was ours; it may be over in the plan already. */
static void end_in_vain(struct holes *h, enum guess_side side, enum guess_end end, uint64_t now_us)
{
	struct peer *peer = peers_change(h->peers, h->id);

	stop(h);
	if (peer)
		wait_longer(peer, side, now_us);
	switch (end) {
	case GUESS_END_TIME:
		h->counters.in_vain++;
		break;
	case GUESS_END_HURT:
		h->counters.hurt++;
		h->hurt_until_us = now_us + GUESS_HURT_US;
		log_notice("guessing a port to board %u was ended, for the router before this "
			   "board seems to be at its limit (STUN is not answered as before); no "
			   "port is guessed for an hour",
			h->id);
		break;
	case GUESS_END_DEAF:
		break;
	}
}

/* It answers at an address that it has named: that is its own. */
static void forgive(struct holes *h, struct peer *peer, const struct ip_addr *at)
{
	guess_forgive(&h->addresses, at);
	peer->guess = (struct peer_guess){ 0 };
}

/* A socket that cannot be had is one less; without a descriptor for it, there is no use in more. */
static void ping_by(struct holes *h, const struct guess_action *action, uint64_t now_us)
{
	uint8_t data[DISCO_MIN_LEN];
	int r = h->hooks->seal(h->ctx, h->id, data) ? hole_sockets_send(&h->sockets, action->socket,
							      &action->to, data, sizeof(data))
						    : -ENOENT;

	if (r == 0)
		h->counters.pings++;
	else if (r == -EMFILE || r == -ENFILE || r == -ENOENT)
		end_in_vain(h, GUESS_HARD, GUESS_END_TIME, now_us);
}

static void act(struct holes *h, uint64_t now_us)
{
	enum guess_side side = h->guess.side;
	struct guess_action action;

	while (guess_next(&h->guess, now_us, &action))
		switch (action.what) {
		case GUESS_ASK: /* what does not leave is not answered either */
			(void) stun_once_ask(&h->once, &h->server, now_us);
			break;
		case GUESS_PING:
			h->hooks->ping(h->ctx, h->id, &action.to);
			h->counters.pings++;
			break;
		case GUESS_PING_BY:
			ping_by(h, &action, now_us);
			break;
		case GUESS_OVER:
			end_in_vain(h, side, action.end, now_us);
			break;
		}
}

/*
 * It may be over because the peer is reached: there, or elsewhere, which says nothing of the
 * address where it was tried.
 */
static void check(struct holes *h, uint64_t now_us)
{
	struct peer *peer = peers_change(h->peers, h->id);
	const struct endpoint at = h->guess.at;
	enum guess_side side = h->guess.side;
	const struct way *way;

	if (side == GUESS_NEITHER || (peer && peer->ways.searching && h->core->config.guessing))
		return;
	stop(h);
	if (!peer)
		return;
	wait_longer(peer, side, now_us);
	way = ways_in_use(&peer->ways); /* none: it has been forgotten meanwhile */
	if (peer->ways.doubtful || !way || !ip_addr_equal(&way->to.addr, &at.addr))
		return;
	h->counters.met++;
	forgive(h, peer, &at.addr);
}

/* --- a turn --- */

/* A hole that is used was proved by its answers. */
static void forget_reached(struct holes *h, struct peer *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct way *way = ways_in_use(&list[i].ways);

		if (list[i].ways.searching)
			continue;
		list[i].guess.since_us = 0;
		if (way && way->hole)
			forgive(h, &list[i], &way->beyond.addr);
	}
}

/* What a peer wants of us, who called a moment ago. */
static void take_invitations(struct holes *h, struct peer *list, size_t n, uint64_t now_us)
{
	for (size_t i = 0; i < n; i++) {
		struct peer *peer = &list[i];
		bool invited = peer->guess.invited;
		struct endpoint at;

		peer->guess.invited = false;
		if (invited && h->guess.side == GUESS_NEITHER && is_wanted(peer, now_us) &&
			side_with(peer, &at) == GUESS_EASY)
			(void) begin(h, peer, GUESS_EASY, &at, now_us);
	}
}

static void wake_at(struct holes *h, uint64_t at_us, uint64_t now_us)
{
	uint64_t wait_us = at_us > now_us ? at_us - now_us : 0;

	if (at_us != GUESS_NEVER) {
		(void) sd_event_source_set_time_relative(h->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(h->timer, USEC_PER_MSEC);
	}
	(void) sd_event_source_set_enabled(
		h->timer, at_us != GUESS_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Where there is none under way. Returns when the next may begin. */
static uint64_t begin_due(struct holes *h, uint64_t now_us)
{
	uint64_t next_us;
	size_t n;
	struct peer *list = peers_all(h->peers, &n), *peer;
	struct endpoint at;

	forget_reached(h, list, n);
	take_invitations(h, list, n, now_us);
	while (h->guess.side == GUESS_NEITHER) {
		peer = find_due(h, now_us, &next_us);
		if (!peer)
			return next_us;
		if (!begin(h, peer, side_with(peer, &at), &at, now_us))
			wait_longer(peer, GUESS_HARD, now_us);
	}
	return GUESS_NEVER;
}

static void run(struct holes *h)
{
	uint64_t now_us = clock_now_us(), next_us = GUESS_NEVER;

	if (!h->tunnel)
		return;
	check(h, now_us);
	if (h->guess.side == GUESS_NEITHER && h->core->config.guessing)
		next_us = begin_due(h, now_us);
	act(h, now_us);
	if (h->guess.side != GUESS_NEITHER)
		next_us = guess_deadline(&h->guess);
	wake_at(h, next_us, now_us);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	run(ctx);
	return 0;
}

/* --- what happens --- */

/* Perhaps: somebody may have sent something of its again. It has to answer before it is used. */
static void meet(struct holes *h, size_t i)
{
	struct peer *peer = peers_change(h->peers, h->id);
	int fd = hole_sockets_take(&h->sockets, i);
	uint64_t now_us = clock_now_us();
	struct err err = { 0 };

	if (hole_ways_add(h->ways, h->id, fd, &h->guess.at, now_us, &err) < 0) {
		log_seldom(LOG_LEVEL_WARNING, "a port was guessed in vain: %s", err.text);
		end_in_vain(h, GUESS_HARD, GUESS_END_TIME, now_us);
		return;
	}
	stop(h);
	h->counters.met++;
	wait_longer(peer, GUESS_HARD, now_us);
	h->hooks->changed(h->ctx);
}

/* Something that is the peer's has come to one of our sockets: it has found our port. */
static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct holes *h = ctx;
	uint8_t data[DATAGRAM_MAX];
	size_t i, len;

	for (int n = 0; n < AT_ONCE; n++) {
		if (!hole_sockets_next(&h->sockets, data, sizeof(data), &i, &len))
			break;
		if (!h->hooks->recognises(h->ctx, h->id, data, len))
			continue;
		meet(h, i);
		run(h);
		break;
	}
	return 0;
}

/* A new flow got through, as before. With the first, the hard side's calls say that it begins. */
static void on_answered(void *ctx, const struct endpoint *from, const struct endpoint *seen)
{
	struct holes *h = ctx;
	struct peer *peer = peers_change(h->peers, h->id);
	bool begins = guess_answered(&h->guess, clock_now_us());

	if (begins)
		h->counters.tries++;
	if (begins && peer && h->guess.side == GUESS_HARD) {
		peer->guess.open = true;
		h->hooks->call(h->ctx, h->id);
	}
	run(h);
}

void holes_called(struct holes *h, uint32_t id, bool guess)
{
	struct peer *peer = peers_change(h->peers, id);
	uint64_t now_us = clock_now_us();

	if (!h->tunnel || !peer || !peer->ways.searching)
		return;
	peer->guess.called_us = now_us;
	if (!peer->guess.since_us)
		peer->guess.since_us = now_us;
	if (h->guess.side != GUESS_NEITHER)
		return; /* it calls again while its try lasts */
	peer->guess.invited = guess;
	wake_at(h, now_us, now_us); /* not from within the finder's turn */
}

void holes_look(struct holes *h)
{
	hole_ways_look(h->ways, clock_now_us());
	run(h);
}

struct holes_counters holes_counters(const struct holes *h)
{
	struct holes_counters ret = h->counters;

	ret.now = hole_ways_count(h->ways);
	return ret;
}

/* --- its life --- */

void holes_use(struct holes *h, struct tunnel *tunnel)
{
	stop(h);
	hole_ways_use(h->ways, tunnel);
	h->tunnel = tunnel;
	(void) sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
}

int holes_new(struct core *core, struct peers *peers, const struct holes_hooks *hooks, void *ctx,
	struct holes **ret, struct err *err)
{
	struct holes *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_set(err, -ENOMEM, "out of memory");
	h->core = core;
	h->peers = peers;
	h->hooks = hooks;
	h->ctx = ctx;
	hole_sockets_init(&h->sockets);
	stun_once_init(&h->once, core, on_answered, h);
	h->ways = hole_ways_new(peers);
	r = h->ways ? sd_event_add_time(core->event, &h->timer, CLOCK_MONOTONIC, 0, 0, on_timer, h)
		    : -ENOMEM;
	if (r < 0) {
		holes_free(h);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	*ret = h;
	return 0;
}

struct holes *holes_free(struct holes *h)
{
	if (!h)
		return NULL;
	stun_once_stop(&h->once);
	hole_sockets_close(&h->sockets);
	h->ways = hole_ways_free(h->ways);
	(void) sd_event_source_disable_unref(h->timer);
	free(h);
	return NULL;
}
