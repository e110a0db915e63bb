/*
 * Pongs go to where a ping came from at a bounded rate for each peer, whoever sends its pings
 * again. What arrives is looked at in turns, so that a flood does not keep the loop from its other
 * work.
 */
#include "node/finder.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/disco.h"

enum { AT_ONCE = 64, PONGS_BURST = 32 };
#define PONG_EVERY_US (50 * USEC_PER_MSEC)

struct finder {
	struct core *core;
	struct peers *peers;
	const struct finder_hooks *hooks;
	void *ctx;
	struct pair_self self;
	uint64_t run; /* of this hearthd */
	struct tunnel *tunnel;
	sd_event_source *io, *timer;
	struct finder_counters counters;
};

/* --- keys --- */

/* A board that was wiped and enrolled again has another identity. */
static void renew_key(struct finder *f, struct peer *peer)
{
	const struct node *node = netmap_by_id(book_netmap(f->core->book), peer->id);
	struct peer_pair *pair = &peer->pair;

	if (!node || !memcmp(pair->identity, node->identity, sizeof(pair->identity)))
		return;
	memcpy(pair->identity, node->identity, sizeof(pair->identity));
	pair->run = 0;
	pair->usable = pair_key(&f->self, node->identity, PAIR_LABEL_DISCO, pair->key) == 0;
	if (!pair->usable) {
		log_seldom(LOG_LEVEL_WARNING,
			"the identity key of board %s is none that pings can be sealed with: it is "
			"not looked for. Enrol it again",
			node->name);
		return;
	}
	disco_hint(pair->key, f->self.identity, pair->hint_out);
	disco_hint(pair->key, node->identity, pair->hint_in);
}

static struct peer *by_hint(struct finder *f, const uint8_t *hint)
{
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].pair.usable &&
			!memcmp(list[i].pair.hint_in, hint, sizeof(list[i].pair.hint_in)))
			return &list[i];
	return NULL;
}

static struct peer *by_tunnel_key(struct finder *f, const uint8_t *key)
{
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	for (size_t i = 0; i < n; i++)
		if (!memcmp(list[i].told.key, key, sizeof(list[i].told.key)))
			return &list[i];
	return NULL;
}

/* --- pings and pongs --- */

static int send_disco(struct finder *f, const struct peer *peer, const struct disco *disco,
	const struct endpoint *to, const struct ip_addr *from)
{
	uint8_t nonce[DISCO_NONCE_LEN], data[DISCO_MIN_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	disco_seal(peer->pair.key, peer->pair.hint_out, nonce, disco, sizeof(data), data);
	return tunnel_send_aside(f->tunnel, to, from, data, sizeof(data));
}

static uint64_t random_number(void)
{
	uint64_t n;

	do
		randombytes_buf(&n, sizeof(n));
	while (n == 0);
	return n;
}

/* What does not leave counts as a ping that is not answered. */
static void ping_ways(struct finder *f, struct peer *peer, uint64_t now_us)
{
	static const struct ip_addr as_routed;
	struct disco ping = { .type = DISCO_PING, .run = f->run, .tx = random_number() };
	struct endpoint to;

	while (ways_ping(&peer->ways, now_us, ping.tx, &to)) {
		if (send_disco(f, peer, &ping, &to, &as_routed) == 0)
			f->counters.pings_sent++;
		ping.tx = random_number();
	}
}

/* The tunnel is told where the peer is, if that is news to it. */
static void tell(struct finder *f, struct peer *peer)
{
	const struct way *way = ways_in_use(&peer->ways);
	char text[ENDPOINT_TEXT_MAX];

	if (!way || !peer->is_told || endpoint_equal(&way->to, &peer->told.endpoint))
		return;
	if (tunnel_set_endpoint(f->tunnel, peer->told.key, &way->to) < 0)
		return; /* it ends, or the address is a denied one */
	peer->told.endpoint = way->to;
	(void) tunnel_initiate(f->tunnel, peer->told.key);
	if (way->relayed)
		log_debug("board %u is reached by relay %u, in %u us", peer->id, peer->relay,
			(unsigned) way->rtt_us);
	else
		log_debug("board %u is reached at %s, in %u us", peer->id,
			endpoint_format(&way->to, text), (unsigned) way->rtt_us);
}

/* To the millisecond while somebody waits; boards that are off are looked for together. */
static void wake_at(struct finder *f, uint64_t at_us, uint64_t now_us)
{
	uint64_t wait_us = at_us > now_us ? at_us - now_us : 0;

	if (at_us != WAYS_NEVER) {
		(void) sd_event_source_set_time_relative(f->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(
			f->timer, wait_us < USEC_PER_SEC ? USEC_PER_MSEC : 250 * USEC_PER_MSEC);
	}
	(void) sd_event_source_set_enabled(
		f->timer, at_us != WAYS_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* All that is due now, and the timer for what will be. */
static void run(struct finder *f)
{
	uint64_t now_us = clock_now_us(), next_us = WAYS_NEVER;
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	if (!f->tunnel)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t deadline_us = ways_deadline(&list[i].ways);

		if (!list[i].pair.usable)
			continue;
		if (deadline_us <= now_us) {
			ping_ways(f, &list[i], now_us);
			deadline_us = ways_deadline(&list[i].ways);
		}
		tell(f, &list[i]);
		if (deadline_us < next_us)
			next_us = deadline_us;
	}
	wake_at(f, next_us, now_us);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	run(ctx);
	return 0;
}

static void answer(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *ping, uint64_t now_us)
{
	struct disco pong = {
		.type = DISCO_PONG, .run = f->run, .tx = ping->tx, .seen = event->from
	};

	f->counters.pings++;
	if (!pace_may(&peer->pair.pongs, PONGS_BURST, PONG_EVERY_US, now_us, NULL)) {
		f->counters.unanswered++;
		return;
	}
	if (send_disco(f, peer, &pong, &event->from, &event->to) == 0)
		f->counters.pongs_sent++;
	ways_heard(&peer->ways, &event->from, now_us);
}

/* Only what answers a ping of ours is known to be of this moment. */
static void take_pong(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *pong, uint64_t now_us)
{
	if (!ways_pong(&peer->ways, &event->from, pong->tx, now_us))
		return;
	f->counters.pongs++;
	if (peer->pair.run && peer->pair.run != pong->run)
		log_debug("board %u has started anew", peer->id);
	peer->pair.run = pong->run;
}

static void take_aside(struct finder *f, const struct tunnel_event *event, uint64_t now_us)
{
	struct disco disco;
	const uint8_t *hint;
	struct peer *peer = disco_looks(event->data, event->len, &hint) ? by_hint(f, hint) : NULL;

	if (!peer)
		f->counters.strange++;
	else if (disco_open(peer->pair.key, event->data, event->len, &disco) < 0)
		f->counters.bad++;
	else if (disco.type == DISCO_PING)
		answer(f, peer, event, &disco, now_us);
	else
		take_pong(f, peer, event, &disco, now_us);
}

static void take(struct finder *f, const struct tunnel_event *event, uint64_t now_us)
{
	struct peer *peer;

	if (event->kind == TUNNEL_ASIDE) {
		take_aside(f, event, now_us);
		return;
	}
	peer = by_tunnel_key(f, event->data);
	if (!peer)
		return;
	switch (event->kind) {
	case TUNNEL_ASIDE:
		break;
	case TUNNEL_HEARD:
		ways_heard(&peer->ways, &event->from, now_us);
		break;
	case TUNNEL_QUIET:
		ways_quiet(&peer->ways, now_us);
		f->hooks->missed(f->ctx, peer->id);
		break;
	case TUNNEL_UNANSWERED:
		ways_doubt(&peer->ways, now_us);
		f->hooks->missed(f->ctx, peer->id);
		break;
	}
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct finder *f = ctx;
	struct tunnel_event event;
	uint64_t now_us = clock_now_us();

	for (int i = 0; i < AT_ONCE && tunnel_next_event(f->tunnel, &event); i++)
		take(f, &event, now_us);
	run(f);
	return 0;
}

/* --- its life --- */

int finder_use(struct finder *f, struct tunnel *tunnel, struct err *err)
{
	int r = 0;

	f->io = sd_event_source_disable_unref(f->io);
	(void) sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
	f->tunnel = tunnel;
	if (tunnel)
		r = sd_event_add_io(
			f->core->event, &f->io, tunnel_event_fd(tunnel), EPOLLIN, on_events, f);
	return r < 0 ? err_set(err, r, "listen to the tunnel: %s", strerror(-r)) : 0;
}

void finder_follow(struct finder *f)
{
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	for (size_t i = 0; i < n; i++)
		renew_key(f, &list[i]);
	run(f);
}

void finder_doubt(struct finder *f, uint32_t id)
{
	struct peer *peer = peers_change(f->peers, id);

	if (!f->tunnel || !peer)
		return;
	ways_doubt(&peer->ways, clock_now_us());
	f->hooks->missed(f->ctx, id);
	run(f);
}

void finder_moved(struct finder *f)
{
	uint64_t now_us = clock_now_us();
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	for (size_t i = 0; i < n; i++)
		ways_moved(&list[i].ways, now_us);
	run(f);
}

const struct finder_counters *finder_counters(const struct finder *f)
{
	return &f->counters;
}

int finder_new(struct core *core, struct peers *peers, const struct finder_hooks *hooks, void *ctx,
	struct finder **ret, struct err *err)
{
	struct finder *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	f->core = core;
	f->peers = peers;
	f->hooks = hooks;
	f->ctx = ctx;
	f->run = random_number();
	pair_self_init(&f->self, core->identity_seed);
	r = sd_event_add_time(core->event, &f->timer, CLOCK_MONOTONIC, 0, 0, on_timer, f);
	if (r < 0) {
		finder_free(f);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
	*ret = f;
	return 0;
}

struct finder *finder_free(struct finder *f)
{
	if (!f)
		return NULL;
	sd_event_source_disable_unref(f->io);
	sd_event_source_disable_unref(f->timer);
	pair_self_done(&f->self);
	free(f);
	return NULL;
}
