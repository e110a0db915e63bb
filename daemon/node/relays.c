/*
 * relays: see relays.h. All that is due is done in one turn (run()), whatever made it begin, and
 * one timer begins the next.
 */
#include "node/relays-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/relayed.h"
#include "wire/udprelay.h"

enum { AT_ONCE = 64 };

#define PORT_EVERY_US (60 * USEC_PER_SEC) /* to ask the tunnel wakes its thread */

/* --- a turn --- */

/* To some milliseconds while somebody waits for a relay; what only keeps a bond has time. */
static void wake_at(struct relays *r, uint64_t at_us, uint64_t now_us)
{
	uint64_t wait_us = at_us > now_us ? at_us - now_us : 0;

	if (at_us != UINT64_MAX) {
		(void) sd_event_source_set_time_relative(r->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(r->timer,
			wait_us <= 2 * USEC_PER_SEC ? 10 * USEC_PER_MSEC : 250 * USEC_PER_MSEC);
	}
	(void) sd_event_source_set_enabled(
		r->timer, at_us != UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* When the first of them is due again. */
static uint64_t run_relays(struct relays *r, uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX;

	for (size_t i = 0; i < r->n; i++) {
		uint64_t at_us = relay_ways_run(r->list[i], now_us);

		if (at_us < next_us)
			next_us = at_us;
	}
	return next_us;
}

/* One that carries again, or for the first time, is a reason to try all by it. */
static void look_at_relays(struct relays *r, uint64_t now_us)
{
	bool any = false;

	for (size_t i = 0; i < r->n; i++) {
		struct relay_ways *relay = r->list[i];

		r->choices[i] = relay_ways_choice(relay, now_us);
		if (r->choices[i].answers && !relay->carried)
			relayed_want(r->relayed, 0);
		relay->carried = r->choices[i].answers;
		any = any || relay->carried;
	}
	if (any)
		r->silent_us = 0;
	else if (!r->silent_us)
		r->silent_us = now_us;
}

static void run(struct relays *r)
{
	uint64_t now_us = clock_now_us(), next_us = run_relays(r, now_us), peers_us;
	bool homed, changed;

	look_at_relays(r, now_us);
	homed = r->begun && home_choose(&r->home, r->choices, r->n, now_us);
	relayed_set(r->relayed, r->choices, r->n, r->home.id);
	peers_us = relayed_run(r->relayed, now_us, &changed);
	wake_at(r, peers_us < next_us ? peers_us : next_us, now_us);
	if (homed)
		r->hooks->homed(r->ctx);
	if (changed)
		r->hooks->changed(r->ctx);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	run(ctx);
	return 0;
}

static void on_relay_changed(void *ctx)
{
	run(ctx);
}

/* --- which there are --- */

static bool is_relay(const struct node *node)
{
	return node->relay.n_hosts;
}

static void drop_relay(struct relays *r, size_t at)
{
	relay_ways_done(r->list[at]);
	free(r->list[at]);
	memmove(&r->list[at], &r->list[at + 1], (--r->n - at) * sizeof(struct relay_ways *));
}

/* Those that are no relays any more, or others than they were. */
static void drop_gone(struct relays *r, const struct netmap *map)
{
	for (size_t i = r->n; i-- > 0;) {
		const struct node *node = netmap_by_id(map, r->list[i]->id);

		if (!node || !node_relay_equal(&node->relay, &r->list[i]->record))
			drop_relay(r, i);
	}
}

static bool add_relay(struct relays *r, size_t at, const struct node *node)
{
	struct relay_ways *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return false;
	relay_ways_init(relay, r->core, &r->self, node, on_relay_changed, r);
	memmove(&r->list[at + 1], &r->list[at], (r->n++ - at) * sizeof(struct relay_ways *));
	r->list[at] = relay;
	return true;
}

/* As the netmap, by number. */
static void add_new(struct relays *r, const struct netmap *map)
{
	const struct node *node = NULL;
	size_t at = 0;

	while ((node = netmap_next(map, node))) {
		while (at < r->n && r->list[at]->id < node->id)
			at++;
		if (!is_relay(node) || (at < r->n && r->list[at]->id == node->id))
			continue;
		if (r->n < RELAYS_MAX && add_relay(r, at, node))
			continue;
		log_seldom(LOG_LEVEL_WARNING,
			"there are more relays than this board can know: %s is not used",
			node->name);
	}
}

/*
 * Two that say that they have the same key: what is sealed for one opens at the other, who could
 * have it from the first. The one that was there first is believed.
 */
static void bar_twins(struct relays *r, uint64_t now_us)
{
	for (size_t i = 0; i < r->n; i++) {
		uint32_t twin = 0;

		for (size_t k = 0; k < i && !twin; k++)
			if (!memcmp(r->list[k]->record.key, r->list[i]->record.key, FIELD_KEY_LEN))
				twin = r->list[k]->id;
		relay_ways_bar(r->list[i], twin, now_us);
	}
}

/* --- which are used --- */

static bool is_home_of_somebody(const struct relays *r, uint32_t id)
{
	size_t n;
	const struct peer *list = peers_list(r->peers, &n);

	for (size_t i = 0; i < n; i++) {
		const struct presence *presence = book_presence(r->core->book, list[i].id);

		if (list[i].ways.doubtful && presence && presence->relay == id)
			return true;
	}
	return false;
}

static bool carries_somebody(const struct relays *r, uint32_t id)
{
	size_t n;
	const struct peer *list = peers_list(r->peers, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].relay == id)
			return true;
	return false;
}

enum { RANKS = 5 };

/* The lower the sooner. One that does not answer lets others be tried. */
static int rank(const struct relays *r, const struct relay_ways *relay, uint64_t now_us)
{
	if (relay->id == r->home.id)
		return 0;
	if (carries_somebody(r, relay->id))
		return 1;
	if (is_home_of_somebody(r, relay->id))
		return 2;
	return relay->ferry && !relay_ways_choice(relay, now_us).silent ? 3 : 4;
}

static void use_best(struct relays *r, uint64_t now_us)
{
	int ranks[RELAYS_MAX];
	size_t left = r->ferry ? RELAYS_AT_ONCE : 0;

	for (size_t i = 0; i < r->n; i++)
		ranks[i] = r->n > RELAYS_AT_ONCE ? rank(r, r->list[i], now_us) : 0;
	for (int k = 0; k < RANKS; k++)
		for (size_t i = 0; i < r->n; i++) {
			if (ranks[i] != k)
				continue;
			relay_ways_use(r->list[i], left ? r->ferry : NULL, now_us);
			left -= left > 0;
		}
}

/* --- the ferry --- */

/* By a stream, peers are known by their keys. 0: it is nobody's. */
static uint32_t node_of_key(const struct relays *r, const uint8_t key[static FERRY_KEY_LEN])
{
	const struct node *node = netmap_by_wg(book_netmap(r->core->book), key);

	return node ? node->id : 0;
}

static void take_frame(struct relays *r, struct relay_ways *relay, const struct ferry_event *event,
	uint64_t now_us)
{
	const struct derp_frame frame = { event->frame, event->data, event->len };
	uint8_t key[DERP_KEY_LEN];
	enum derp_gone reason;
	uint32_t node;

	if (frame.type != DERP_PEER_GONE)
		return relay_stream_take(&relay->stream, &frame, now_us);
	if (derp_peer_gone_parse(&frame, key, &reason) < 0)
		return;
	node = node_of_key(r, key);
	log_debug("relay %u says that board %u is not there", relay->id, node);
	relayed_absent(r->relayed, node, relay->id);
}

static void take(struct relays *r, const struct ferry_event *event, uint64_t now_us)
{
	struct relay_ways *relay = NULL;
	uint32_t session, node;

	for (size_t i = 0; i < r->n; i++)
		if (r->list[i]->id == event->relay)
			relay = r->list[i];
	if (!relay)
		return;
	switch (event->kind) {
	case FERRY_CONTROL:
		if (udprelay_absent_parse(event->data, event->len, &session, &node) < 0)
			relay_link_take(&relay->link, event->data, event->len, now_us);
		else if (session == relay->link.session)
			relayed_absent(r->relayed, node, relay->id);
		break;
	case FERRY_HEARD:
		relayed_heard(r->relayed, event->node ? event->node : node_of_key(r, event->data),
			relay->id, now_us);
		break;
	case FERRY_REFUSED:
		relay_link_doubt(&relay->link, now_us);
		break;
	case FERRY_FRAME:
		take_frame(r, relay, event, now_us);
		break;
	case FERRY_ENDED:
		relay_stream_ended(&relay->stream, event->error, now_us);
		break;
	}
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct relays *r = ctx;
	struct ferry_event event;
	uint64_t now_us = clock_now_us();

	for (int i = 0; i < AT_ONCE && ferry_next_event(r->ferry, &event); i++)
		take(r, &event, now_us);
	run(r);
	return 0;
}

static void close_ferry(struct relays *r)
{
	for (size_t i = 0; i < r->n; i++)
		relay_ways_use(r->list[i], NULL, 0);
	relayed_use(r->relayed, NULL, NULL);
	r->io = sd_event_source_disable_unref(r->io);
	r->ferry = ferry_free(r->ferry);
}

static int open_ferry(struct relays *r, struct err *err)
{
	int e = ferry_new(r->port, &r->ferry, err);

	if (e < 0)
		return e;
	e = sd_event_add_io(
		r->core->event, &r->io, ferry_event_fd(r->ferry), EPOLLIN, on_events, r);
	if (e < 0) {
		r->ferry = ferry_free(r->ferry);
		return err_set(err, e, "listen to the ferry: %s", strerror(-e));
	}
	relayed_use(r->relayed, r->ferry, r->tunnel);
	return 0;
}

/* One while there is a use for it: it has a thread of its own. */
static void hold_ferry(struct relays *r)
{
	bool wanted = r->tunnel && r->n;
	struct err err = { 0 };

	if (!wanted && r->ferry)
		close_ferry(r);
	if (wanted && !r->ferry && open_ferry(r, &err) < 0)
		log_seldom(LOG_LEVEL_WARNING, "no relay can be used: %s", err.text);
}

static void follow_port(struct relays *r)
{
	uint16_t port = r->tunnel ? tunnel_port(r->tunnel) : 0;

	if (port == r->port)
		return;
	r->port = port;
	if (r->ferry && port)
		ferry_set_tunnel_port(r->ferry, port);
}

/* --- what happens --- */

uint32_t relays_home(const struct relays *r)
{
	return r->home.id;
}

static void begin(struct relays *r)
{
	const struct presence *presence = book_presence(r->core->book, r->core->config.node);

	if (presence)
		r->home.id = presence->relay;
	r->begun = true;
}

void relays_follow(struct relays *r)
{
	const struct netmap *map = book_netmap(r->core->book);

	if (!r->begun)
		begin(r);
	drop_gone(r, map);
	add_new(r, map);
	bar_twins(r, clock_now_us());
	hold_ferry(r);
	use_best(r, clock_now_us());
	run(r);
}

void relays_use(struct relays *r, struct tunnel *tunnel)
{
	if (r->ferry)
		close_ferry(r);
	r->tunnel = tunnel;
	follow_port(r);
	hold_ferry(r);
	use_best(r, clock_now_us());
	run(r);
}

void relays_heard(struct relays *r, uint32_t id)
{
	relayed_want(r->relayed, id);
	run(r);
}

void relays_moved(struct relays *r)
{
	uint64_t now_us = clock_now_us();

	for (size_t i = 0; i < r->n; i++)
		relay_ways_moved(r->list[i], now_us);
	relayed_want(r->relayed, 0);
	run(r);
}

void relays_hurry(struct relays *r)
{
	uint64_t now_us = clock_now_us();

	for (size_t i = 0; i < r->n; i++)
		relay_stream_hurry(&r->list[i]->stream, now_us);
	run(r);
}

void relays_missed(struct relays *r, uint32_t id)
{
	uint64_t now_us = clock_now_us();
	uint32_t relay = relayed_doubt(r->relayed, id, now_us);

	for (size_t i = 0; relay && i < r->n; i++)
		if (r->list[i]->id == relay)
			relay_ways_doubt(r->list[i], now_us);
	run(r);
}

void relays_look(struct relays *r)
{
	uint64_t now_us = clock_now_us();

	if (r->ferry && now_us - r->port_us >= PORT_EVERY_US) {
		r->port_us = now_us;
		follow_port(r);
	}
	hold_ferry(r);
	use_best(r, now_us);
	run(r);
	relays_tell_problem(r, now_us);
}

/* --- its life --- */

int relays_new(struct core *core, struct peers *peers, const struct relays_hooks *hooks, void *ctx,
	struct relays **ret, struct err *err)
{
	struct relays *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->core = core;
	r->peers = peers;
	r->hooks = hooks;
	r->ctx = ctx;
	pair_self_init(&r->self, core->identity_seed);
	r->relayed = relayed_new(core->book, peers);
	e = r->relayed
		    ? sd_event_add_time(core->event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_timer, r)
		    : -ENOMEM;
	if (e < 0) {
		relays_free(r);
		return err_set(err, e, "make ready for relays: %s", strerror(-e));
	}
	(void) sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
	*ret = r;
	return 0;
}

struct relays *relays_free(struct relays *r)
{
	if (!r)
		return NULL;
	if (r->ferry)
		close_ferry(r);
	while (r->n)
		drop_relay(r, r->n - 1);
	r->relayed = relayed_free(r->relayed);
	(void) sd_event_source_disable_unref(r->timer);
	pair_self_done(&r->self);
	free(r);
	return NULL;
}
