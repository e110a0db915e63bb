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
#include "node/finder-keys.h"
#include "wire/disco.h"
#include "wire/stun.h"

enum { AT_ONCE = 64, PONGS_BURST = 32 };
#define PONG_EVERY_US (50 * USEC_PER_MSEC)
/* Between two looks; keepalives and a handshake are less. */
enum { ACTIVE_BYTES = 1024 };
/* Without a look for so long, it slept, or was stopped: what NATs knew of it may be gone. */
#define ASLEEP_US (15 * USEC_PER_SEC)
#define SELDOM_US (10 * USEC_PER_SEC)
#define LOOK_US   (6 * USEC_PER_SEC) /* finder_look() comes once in it */

struct finder {
	struct core *core;
	struct peers *peers;
	const struct finder_hooks *hooks;
	void *ctx;
	struct pair_self self;
	uint64_t run; /* of this hearthd */
	struct finder_own own;
	uint64_t looked_us; /* the last finder_look(); 0: none yet */
	struct tunnel *tunnel;
	sd_event_source *io, *timer;
	struct finder_counters counters;
};

/* --- what goes out --- */

static const struct ip_addr as_routed;

static void seal(const struct peer *peer, const struct disco *disco, size_t len, uint8_t *ret)
{
	uint8_t nonce[DISCO_NONCE_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	disco_seal(peer->pair.key, peer->pair.hint_out, nonce, disco, len, ret);
}

static int send_disco(struct finder *f, const struct peer *peer, const struct disco *disco,
	const struct endpoint *to, const struct ip_addr *from)
{
	uint8_t data[DISCO_CALL_LEN_MAX];
	size_t len = disco_len(disco);

	seal(peer, disco, len, data);
	return tunnel_send_aside(f->tunnel, to, from, data, len);
}

static uint64_t random_number(void)
{
	uint64_t n;

	do
		randombytes_buf(&n, sizeof(n));
	while (n == 0);
	return n;
}

static void send_ping(
	struct finder *f, const struct peer *peer, const struct endpoint *to, uint64_t tx)
{
	struct disco ping = { .type = DISCO_PING, .run = f->run, .tx = tx };

	if (send_disco(f, peer, &ping, to, &as_routed) == 0)
		f->counters.pings_sent++;
}

/* Where we are seen from outside comes first, should there be too many. */
static void send_call(
	struct finder *f, const struct peer *peer, const struct endpoint *to, uint64_t tx)
{
	const struct ways_own *at = &f->own.at;
	struct disco call = { .type = DISCO_CALL,
		.run = f->run,
		.tx = tx,
		.seen = f->own.outside,
		.mapping = at->mapping,
		.step = f->own.step,
		.guess = peer->guess.open };

	for (size_t i = 0; i < at->n && call.n < DISCO_CALL_MAX; i++)
		call.list[call.n++] = at->list[(at->n_local + i) % at->n];
	if (send_disco(f, peer, &call, to, &as_routed) == 0)
		f->counters.calls_sent++;
}

/* What does not leave counts as one that is lost. */
static void act(struct finder *f, struct peer *peer, uint64_t now_us)
{
	uint64_t tx = random_number();
	struct ways_action action;

	while (ways_next(&peer->ways, now_us, tx, &action)) {
		switch (action.what) {
		case WAYS_PING:
			send_ping(f, peer, &action.to, tx);
			break;
		case WAYS_CALL:
			send_call(f, peer, &action.to, tx);
			break;
		case WAYS_SAMPLE:
			f->hooks->sample(f->ctx);
			break;
		}
		tx = random_number();
	}
}

/* What a NAT forgets is kept open; elsewhere, that would only wake boards. */
static void keep_open(struct finder *f, struct peer *peer)
{
	bool nat = ways_passes_nat(&peer->ways);
	uint16_t keepalive_s = nat ? PEER_KEEPALIVE_NAT_S : PEER_KEEPALIVE_S;

	if (!peer->is_told || peer->told.keepalive_s == keepalive_s)
		return;
	peer->told.allowed = peer->allowed; /* the table may have moved */
	peer->told.keepalive_s = keepalive_s;
	(void) tunnel_set_peer(f->tunnel, &peer->told); /* it ends */
}

static bool was_direct(const struct peer *peer)
{
	const struct endpoint *was = &peer->told.endpoint;
	const struct way *hole = ways_get_hole(&peer->ways);

	if (hole && endpoint_equal(&hole->to, was))
		return true;
	return was->addr.family && !ip_addr_is_loopback(&was->addr);
}

static void log_way(const struct peer *peer, const struct way *way)
{
	char text[ENDPOINT_TEXT_MAX];

	if (way->relayed)
		log_debug("board %u is reached by relay %u, in %u us", peer->id, peer->relay,
			(unsigned) way->rtt_us);
	else
		log_debug("board %u is reached at %s%s, in %u us", peer->id,
			endpoint_format(way_leads_to(way), text),
			way->hole ? ", by a port that was guessed" : "", (unsigned) way->rtt_us);
}

/* The tunnel is told where the peer is, if that is news to it. */
static void tell(struct finder *f, struct peer *peer)
{
	const struct way *way = ways_in_use(&peer->ways);
	bool left;

	if (!way || !peer->is_told || endpoint_equal(&way->to, &peer->told.endpoint))
		return;
	if (tunnel_set_endpoint(f->tunnel, peer->told.key, &way->to) < 0)
		return; /* it ends, or the address is a denied one */
	left = way->relayed && was_direct(peer);
	peer->told.endpoint = way->to;
	(void) tunnel_initiate(f->tunnel, peer->told.key);
	f->hooks->elsewhere(f->ctx, peer->id);
	log_way(peer, way);
	if (left && f->hooks->left)
		f->hooks->left(f->ctx, peer->id);
}

/*
 * To the millisecond while somebody waits. Boards that are off are looked for together, and after a
 * while by finder_look(), which comes before the timer then: nobody is woken for them alone.
 */
static uint64_t accuracy_us(uint64_t wait_us)
{
	if (wait_us < USEC_PER_SEC)
		return USEC_PER_MSEC;
	return wait_us < SELDOM_US ? 250 * USEC_PER_MSEC : LOOK_US;
}

static void wake_at(struct finder *f, uint64_t at_us, uint64_t now_us)
{
	uint64_t wait_us = at_us > now_us ? at_us - now_us : 0;

	if (at_us != WAYS_NEVER) {
		(void) sd_event_source_set_time_relative(f->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(f->timer, accuracy_us(wait_us));
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
			act(f, &list[i], now_us);
			deadline_us = ways_deadline(&list[i].ways);
		}
		tell(f, &list[i]);
		keep_open(f, &list[i]);
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

/* --- what comes in --- */

static void answer(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *ping, uint64_t now_us)
{
	struct disco pong = {
		.type = DISCO_PONG, .run = f->run, .tx = ping->tx, .seen = event->from
	};

	struct pace *pace = ways_answers_at(&peer->ways, &event->from, now_us)
				    ? &peer->pair.pongs
				    : &peer->pair.pongs_anywhere;

	f->counters.pings++;
	if (!pace_may(pace, PONGS_BURST, PONG_EVERY_US, now_us, NULL)) {
		f->counters.unanswered++;
		return;
	}
	if (send_disco(f, peer, &pong, &event->from, &event->to) == 0)
		f->counters.pongs_sent++;
	ways_heard(&peer->ways, &event->from, now_us);
}

/* True if it answers a probe. */
static bool take_probe(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *pong, uint64_t now_us)
{
	const struct finder_probe *probe =
		finder_probes_take(&peer->probes, pong->tx, &event->from);

	if (!probe)
		return false;
	f->counters.pongs++;
	f->hooks->probed(f->ctx, peer->id, &probe->to, probe->len, now_us - probe->at_us);
	return true;
}

/* Only what answers a ping of ours is known to be of this moment. */
static void take_pong(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *pong, uint64_t now_us)
{
	if (take_probe(f, peer, event, pong, now_us) ||
		!ways_pong(&peer->ways, &event->from, pong->tx, now_us))
		return;
	f->counters.pongs++;
	if (peer->pair.run && peer->pair.run != pong->run) {
		log_debug("board %u has started anew", peer->id);
		ways_restarted(&peer->ways, now_us);
	}
	peer->pair.run = pong->run;
}

/* Only by the relay: from elsewhere the peer would be heard, and needs not call. */
static void take_call(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *call, uint64_t now_us)
{
	const struct way *relayed = ways_get_relayed(&peer->ways);
	bool by_relay = relayed && endpoint_equal(&relayed->to, &event->from);
	const struct predict_nat nat = {
		.mapping = call->mapping, .step = call->step, .last = call->seen
	};

	if (by_relay)
		ways_nat(&peer->ways, &nat);
	if (!by_relay || !ways_called(&peer->ways, call->list, call->n, now_us)) {
		f->counters.unheeded++;
		return;
	}
	f->counters.calls++;
	f->hooks->called(f->ctx, peer->id, call->guess);
}

static void take_disco(struct finder *f, struct peer *peer, const struct tunnel_event *event,
	const struct disco *disco, uint64_t now_us)
{
	switch (disco->type) {
	case DISCO_PING:
		answer(f, peer, event, disco, now_us);
		break;
	case DISCO_PONG:
		take_pong(f, peer, event, disco, now_us);
		break;
	case DISCO_CALL:
		take_call(f, peer, event, disco, now_us);
		break;
	}
}

static void take_aside(struct finder *f, const struct tunnel_event *event, uint64_t now_us)
{
	struct disco disco;
	const uint8_t *hint;
	struct peer *peer = disco_looks(event->data, event->len, &hint)
				    ? finder_keys_hint(f->peers, hint)
				    : NULL;

	if (stun_looks(event->data, event->len))
		f->hooks->aside(f->ctx, event);
	else if (!peer)
		f->counters.strange++;
	else if (disco_open(peer->pair.key, event->data, event->len, &disco) < 0)
		f->counters.bad++;
	else
		take_disco(f, peer, event, &disco, now_us);
}

static void take(struct finder *f, const struct tunnel_event *event, uint64_t now_us)
{
	struct peer *peer;

	if (event->kind == TUNNEL_ASIDE) {
		take_aside(f, event, now_us);
		return;
	}
	peer = finder_keys_tunnel(f->peers, event->data);
	if (!peer)
		return;
	switch (event->kind) {
	case TUNNEL_ASIDE:
		break;
	case TUNNEL_HEARD:
		ways_quiet(&peer->ways, now_us);
		ways_heard(&peer->ways, &event->from, now_us);
		break;
	case TUNNEL_QUIET:
		ways_quiet(&peer->ways, now_us);
		f->hooks->missed(f->ctx, peer->id, event->sent);
		break;
	case TUNNEL_UNANSWERED:
		ways_doubt(&peer->ways, now_us);
		f->hooks->missed(f->ctx, peer->id, event->sent);
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

/* --- what others say --- */

static bool same_places(const struct ways_own *a, const struct ways_own *b)
{
	if (a->n != b->n || a->n_local != b->n_local || a->mapping != b->mapping)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!endpoint_equal(&a->list[i], &b->list[i]))
			return false;
	return true;
}

void finder_own(struct finder *f, const struct finder_own *own)
{
	bool same = same_places(&f->own.at, &own->at);
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	f->own = *own;
	for (size_t i = 0; !same && i < n; i++)
		ways_own(&list[i].ways, &f->own.at, clock_now_us());
	run(f);
}

void finder_sampled(struct finder *f, const struct endpoint *outside)
{
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	f->own.outside = *outside;
	for (size_t i = 0; i < n; i++)
		ways_sampled(&list[i].ways, clock_now_us());
	run(f);
}

static bool is_active(struct peer *peer)
{
	uint64_t bytes = peer->stats.rx_bytes + peer->stats.tx_bytes;
	bool active = bytes >= peer->bytes + ACTIVE_BYTES;

	peer->bytes = bytes; /* less than before: the tunnel was opened anew */
	return active;
}

void finder_look(struct finder *f)
{
	uint64_t now_us = clock_now_us();
	bool slept = f->looked_us && now_us - f->looked_us > ASLEEP_US;
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	f->looked_us = now_us;
	if (slept)
		log_info("this board slept, or was held up, for a while: looking for its peers");
	for (size_t i = 0; i < n; i++) {
		if (slept)
			ways_moved(&list[i].ways, now_us);
		if (is_active(&list[i]))
			ways_active(&list[i].ways, now_us);
	}
	run(f);
}

/* --- its life --- */

int finder_use(struct finder *f, struct tunnel *tunnel, struct err *err)
{
	int r;

	f->io = sd_event_source_disable_unref(f->io);
	(void) sd_event_source_set_enabled(f->timer, SD_EVENT_OFF);
	f->tunnel = tunnel;
	if (!tunnel)
		return 0;
	(void) tunnel_tell_quiet(tunnel, true);
	r = sd_event_add_io(f->core->event, &f->io, tunnel_event_fd(tunnel), EPOLLIN, on_events, f);
	return r < 0 ? err_set(err, r, "listen to the tunnel: %s", strerror(-r)) : 0;
}

void finder_follow(struct finder *f)
{
	size_t n;
	struct peer *list = peers_all(f->peers, &n);

	for (size_t i = 0; i < n; i++) {
		finder_keys_renew(&list[i], &f->self, book_netmap(f->core->book));
		if (list[i].ways.own != &f->own.at)
			ways_own(&list[i].ways, &f->own.at, clock_now_us());
	}
	run(f);
}

void finder_doubt(struct finder *f, uint32_t id)
{
	struct peer *peer = peers_change(f->peers, id);

	if (!f->tunnel || !peer)
		return;
	ways_doubt(&peer->ways, clock_now_us());
	f->hooks->missed(f->ctx, id, UINT64_MAX);
	run(f);
}

void finder_probe(struct finder *f, uint32_t id, const struct endpoint *to, size_t len)
{
	struct peer *peer = peers_change(f->peers, id);
	struct disco ping = { .type = DISCO_PING, .run = f->run, .tx = random_number() };
	const struct finder_probe probe = {
		.to = *to, .len = len, .tx = ping.tx, .at_us = clock_now_us()
	};
	uint8_t data[DISCO_MAX_LEN];

	if (!f->tunnel || !peer || !peer->pair.usable)
		return;
	seal(peer, &ping, len, data);
	if (tunnel_send_whole(f->tunnel, to, data, len) < 0)
		return; /* the interface has less, perhaps: it is not answered */
	finder_probes_note(&peer->probes, &probe);
	f->counters.pings_sent++;
}

/* --- for who guesses --- */

void finder_call(struct finder *f, uint32_t id)
{
	struct peer *peer = peers_change(f->peers, id);

	if (!peer)
		return;
	ways_call_soon(&peer->ways, clock_now_us());
	run(f);
}

void finder_guess(struct finder *f, uint32_t id, const struct endpoint *to)
{
	const struct peer *peer = peers_get(f->peers, id);

	if (f->tunnel && peer && peer->pair.usable)
		send_ping(f, peer, to, random_number());
}

bool finder_seal(struct finder *f, uint32_t id, uint8_t ret[static DISCO_MIN_LEN])
{
	const struct peer *peer = peers_get(f->peers, id);
	struct disco ping = { .type = DISCO_PING, .run = f->run, .tx = random_number() };

	if (!peer || !peer->pair.usable)
		return false;
	seal(peer, &ping, DISCO_MIN_LEN, ret);
	f->counters.pings_sent++;
	return true;
}

bool finder_recognises(struct finder *f, uint32_t id, const uint8_t *data, size_t len)
{
	const struct peer *peer = peers_get(f->peers, id);
	struct disco disco;

	return peer && peer->pair.usable && disco_open(peer->pair.key, data, len, &disco) == 0;
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
