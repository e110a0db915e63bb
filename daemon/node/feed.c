/*
 * What comes from the coordinator is believed only as far as it is signed; what it says beyond that
 * (its head, its refusals) is shown to people and changes nothing.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "mesh/story.h"
#include "node/hearthd.h"
#include "sys/http/http.h"

/* @all: everything will be brought in line anyway. */
static void take_presences(struct hearthd *h, const json_t *list, bool all)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct book_heard heard = { 0 };
		struct err err = { 0 };
		int r = book_add_presence(
			h->core.book, json_array_get(list, i), clock_now_us(), &heard, &err);

		if (r < 0)
			log_debug("%s, ignoring", err.text);
		if (r > 0 && !all)
			mesh_heard(h, &heard);
	}
}

/* Whether the coordinator's log is ours, longer, or something to tell a person about. */
static int judge(
	struct hearthd *h, const struct api_news *news, int added, const struct err *refused)
{
	struct err err = { 0 };
	int r = added;

	if (added >= 0 && news->head_seq)
		r = mesh_log_check_head(
			book_log(h->core.book), news->head_seq, news->head_hash, &err);
	else if (added < 0)
		err = *refused;
	if (r < 0 && err.code) {
		err_prefix(&err,
			"the coordinator's log is not believed, this board keeps what it has");
		problem_set(&h->core.problems, "log", &err);
		return r;
	}
	problem_set(&h->core.problems, "log", NULL);
	return 0;
}

/*
 * A board that got other keys is another machine, which whoever holds the coordinator's signing key
 * can make of any. So each board's own log of events says so, before anything is done with it.
 * `hearth log` has them all.
 */
static void tell_rekeys(const struct hearthd *h, const struct api_news *news)
{
	const struct netmap *map = book_netmap(h->core.book);
	struct story story;

	for (size_t i = 0; i < news->n_records; i++) {
		if (news->records[i].seq <= netmap_seq(map))
			continue;
		story_tell(map, &news->records[i], &story);
		if (story.rekeys)
			log_warning(
				"record %llu: %s; if nobody of you did that (hearth token create "
				"--replace), the coordinator was taken over",
				(unsigned long long) news->records[i].seq, story.text);
	}
}

static int on_news(void *ctx, const struct api_news *news)
{
	struct hearthd *h = ctx;
	struct err refused = { 0 }, err = { 0 };
	bool changed = false, waits = false;
	int added, r;

	tell_rekeys(h, news);
	added = book_add_records(h->core.book, news->records, news->n_records, &changed, &refused);
	if (added > 0)
		log_info("%d new record%s, the log is at %llu", added, added > 1 ? "s" : "",
			(unsigned long long) mesh_log_head(book_log(h->core.book)));
	take_presences(h, news->presence, changed || added < 0);
	save_log(h); /* presences are written seldom, by the tick */
	r = judge(h, news, added, &refused);
	/* A long log comes in parts: who signed may be in one to come, and the bundle comes with that one again. */
	if (news->has_kube && news->head_seq > mesh_log_head(book_log(h->core.book)))
		waits = added <= 0;
	else if (news->has_kube)
		waits = cluster_take(h->cluster, &news->kube) < 0;
	if (waits && r >= 0)
		r = -EAGAIN;
	/* `changed` does not tell of a refused batch whose first records were taken. */
	if ((changed || added < 0) && mesh_update(h, CHANGE_RECORDS, &err) < 0) {
		log_error("%s", err.text);
		(void) sd_event_exit(h->core.event, 1);
	}
	return r;
}

static void on_position(void *ctx, uint64_t *ret_seq, const char **ret_kube)
{
	struct hearthd *h = ctx;

	*ret_seq = mesh_log_head(book_log(h->core.book));
	*ret_kube = cluster_position(h->cluster);
}

static void on_changed(void *ctx, bool say, const struct trouble_end *away)
{
	struct hearthd *h = ctx;
	const struct sync_state *state = sync_state(h->sync);
	char span[PACE_SPAN_MAX];

	if (say && !away)
		log_notice("coordinator: %s; trying on", state->error);
	else if (say && away->times)
		log_info("coordinator %s: connected, after %s and %u tr%s", state->url,
			pace_span_format(away->lasted_us, span), away->times,
			away->times == 1 ? "y" : "ies");
	else if (say)
		log_info("coordinator %s: connected", state->url);
	watch_notify(h);
}

static const struct sync_hooks hooks = {
	.news = on_news,
	.position = on_position,
	.changed = on_changed,
};

/* --- whom to ask --- */

enum { MADE_MAX = 2 * SETTINGS_COORDINATORS_MAX, NEWEST_URLS = 4 };

struct sources {
	const char *urls[HTTP_URLS_MAX];
	size_t n_urls;
	char made[MADE_MAX][FIELD_URL_MAX]; /* of mesh and loopback addresses */
	size_t n_made;
	char pins[FIELD_PINS_MAX][KEY_BASE64_LEN];
	const char *pin_list[FIELD_PINS_MAX];
	size_t n_pins;
};

static void add_url(struct sources *s, const char *url)
{
	for (size_t i = 0; i < s->n_urls; i++)
		if (!strcmp(s->urls[i], url))
			return;
	if (s->n_urls < HTTP_URLS_MAX)
		s->urls[s->n_urls++] = url;
}

static void make_url(struct sources *s, const struct ip_addr *addr, uint16_t port)
{
	struct endpoint endpoint = { .addr = *addr, .port = port };
	char text[ENDPOINT_TEXT_MAX];

	if (s->n_made == MADE_MAX)
		return;
	(void) snprintf(
		s->made[s->n_made], FIELD_URL_MAX, "https://%s", endpoint_format(&endpoint, text));
	add_url(s, s->made[s->n_made++]);
}

/* Of the coordinator on this very machine (@own), or of those on other boards. */
static void add_coordinators(
	const struct hearthd *h, const struct settings *settings, bool own, struct sources *s)
{
	static const struct ip_addr loopback4 = { AF_INET, { 127, 0, 0, 1 } };
	static const struct ip_addr loopback6 = { AF_INET6, { [15] = 1 } };

	for (size_t i = 0; settings && i < settings->n_coordinators; i++) {
		const struct settings_coordinator *c = &settings->coordinators[i];
		const struct node *node = netmap_by_id(book_netmap(h->core.book), c->node);

		if (!node || (node->id == h->core.config.node) != own)
			continue;
		make_url(s, own ? &loopback4 : &node->mesh4, c->port);
		make_url(s, own ? &loopback6 : &node->mesh6, c->port);
	}
}

static void add_pin(struct sources *s, const uint8_t *pin)
{
	char text[KEY_BASE64_LEN];

	key_to_base64(pin, text);
	for (size_t i = 0; i < s->n_pins; i++)
		if (!strcmp(s->pins[i], text))
			return;
	if (s->n_pins == FIELD_PINS_MAX)
		return;
	memcpy(s->pins[s->n_pins], text, sizeof(text));
	s->pin_list[s->n_pins] = s->pins[s->n_pins];
	s->n_pins++;
}

/*
 * In the order in which they are tried when none has answered yet: this machine; the newest of the signed
 * settings; through the tunnel, which works wherever the coordinator has moved to as long as any path to
 * its board does; the older ones; what enrolment wrote, with which we came here.
 */
static void find_sources(const struct hearthd *h, struct sources *s)
{
	const struct settings *settings = netmap_settings(book_netmap(h->core.book));

	*s = (struct sources){ 0 };
	add_coordinators(h, settings, true, s);
	for (size_t i = 0; settings && i < settings->n_urls && i < NEWEST_URLS; i++)
		add_url(s, settings->urls[i]);
	add_coordinators(h, settings, false, s);
	for (size_t i = NEWEST_URLS; settings && i < settings->n_urls; i++)
		add_url(s, settings->urls[i]);
	for (size_t i = 0; i < h->core.config.n_urls; i++)
		add_url(s, h->core.config.urls[i]);
	for (size_t i = 0; settings && i < settings->n_pins; i++)
		add_pin(s, settings->pins[i]);
	if (settings && settings->has_next_pin)
		add_pin(s, settings->next_pin);
	for (size_t i = 0; i < h->core.config.n_pins; i++)
		add_pin(s, h->core.config.pins[i]);
}

static struct sync_options to_options(const struct hearthd *h, const struct sources *s)
{
	return (struct sync_options){
		.urls = s->urls,
		.n_urls = s->n_urls,
		.pins = s->pin_list,
		.n_pins = s->n_pins,
		.cert_pem = h->cert_pem,
		.key_pem = h->key_pem,
	};
}

static char *sources_text(const struct sources *s)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < s->n_urls; i++)
		buf_printf(&text, "%s ", s->urls[i]);
	for (size_t i = 0; i < s->n_pins; i++)
		buf_printf(&text, "%s ", s->pins[i]);
	return buf_take(&text, NULL);
}

/* One through the tunnel moves with it. */
static bool is_through_tunnel(const struct hearthd *h)
{
	const struct sync_state *state = sync_state(h->sync);
	struct sources sources;

	find_sources(h, &sources);
	for (size_t i = 0; i < sources.n_made; i++)
		if (state->connected && !strcmp(state->url, sources.made[i]))
			return true;
	return false;
}

/* Without it the connection would hang until TCP gives it up, half a minute later. */
void feed_peer_moved(struct hearthd *h, uint32_t id)
{
	const struct settings *settings = netmap_settings(book_netmap(h->core.book));

	for (size_t i = 0; settings && i < settings->n_coordinators; i++)
		if (settings->coordinators[i].node == id && !is_through_tunnel(h))
			sync_link_changed(h->sync);
}

void feed_configure(struct hearthd *h)
{
	CLEANUP(free_p) char *text = NULL;
	struct sync_options options;
	struct sources sources;
	struct err err = { 0 };

	find_sources(h, &sources);
	text = sources_text(&sources);
	if (!text || (h->sync_sources && !strcmp(text, h->sync_sources)))
		return;
	options = to_options(h, &sources);
	if (sync_configure(h->sync, &options, &err) < 0) {
		log_warning("%s; the coordinator's old addresses stay", err.text);
		return;
	}
	free(h->sync_sources);
	h->sync_sources = TAKE(text);
}

int feed_open(struct hearthd *h, struct err *err)
{
	struct sync_options options;
	struct sources sources;
	int r;

	cluster_load(h->cluster, h->state.kube_done);
	find_sources(h, &sources);
	options = to_options(h, &sources);
	r = sync_new(h->core.event, &options, &hooks, h, &h->sync, err);
	if (r == 0)
		h->sync_sources = sources_text(&sources);
	return r;
}

/* --- our presence --- */

/* Known already but for its endpoints, and not older than what we made last. */
static bool is_current(const struct hearthd *h, const struct presence *known)
{
	return known && known->counter >= h->counter &&
	       known->no_ipv6 == ipv6_is_missing(h->ipv6) &&
	       !strcmp(known->kube, cluster_tried(h->cluster)) &&
	       !strcmp(known->kube_problem, cluster_problem(h->cluster)) &&
	       presence_verify(known, h->core.identity) == 0;
}

static int make_presence(
	struct hearthd *h, const struct endpoint *endpoints, size_t n, struct presence *ret)
{
	*ret = (struct presence){ .node = h->core.config.node,
		.counter = h->counter,
		.no_ipv6 = ipv6_is_missing(h->ipv6) };
	(void) snprintf(ret->kube, sizeof(ret->kube), "%s", cluster_tried(h->cluster));
	(void) snprintf(
		ret->kube_problem, sizeof(ret->kube_problem), "%s", cluster_problem(h->cluster));
	memcpy(ret->endpoints, endpoints, n * sizeof(*endpoints));
	ret->n_endpoints = n;
	return presence_sign(ret, h->core.identity_seed);
}

/*
 * The next one's number. A board that was restored or wiped goes on above what the others have seen of it. False: it
 * is being reserved on the disk, and save.c calls feed_announce() then.
 */
static bool take_number(struct hearthd *h, const struct presence *known)
{
	if (state_take_counter(
		    &h->state, h->saved.counter, known ? known->counter : 0, &h->counter))
		return true;
	h->announce_waits = true;
	save_state(h);
	return false;
}

static int on_announce_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	feed_announce(ctx);
	return 0;
}

static void announce_again(struct hearthd *h, uint64_t wait_us)
{
	int r = 0;

	if (!h->announce_timer)
		r = sd_event_add_time(h->core.event, &h->announce_timer, CLOCK_MONOTONIC, 0, 0,
			on_announce_timer, h);
	if (r < 0)
		return; /* then with the next change */
	(void) sd_event_source_set_time_relative(h->announce_timer, wait_us);
	(void) sd_event_source_set_enabled(
		h->announce_timer, wait_us ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void announce_new(struct hearthd *h, const struct endpoint *endpoints, size_t n)
{
	CLEANUP(presence_done) struct presence made = { 0 };
	CLEANUP_JSON json_t *doc = NULL;
	struct book_heard heard;
	struct err err = { 0 };

	if (make_presence(h, endpoints, n, &made) < 0)
		return;
	doc = presence_to_json(&made);
	h->announced = made.counter;
	if (doc && book_add_presence(h->core.book, doc, clock_now_us(), &heard, &err) < 0)
		log_warning("our own presence: %s", err.text);
	log_debug("announcing %zu addresses", n);
	if (doc)
		sync_set_presence(h->sync, doc);
}

void feed_announce(struct hearthd *h)
{
	const struct candidates *own = uplink_candidates(h->uplink);
	const struct presence *known = book_presence(h->core.book, h->core.config.node);
	struct endpoint all[PRESENCE_ENDPOINTS_MAX], told[PRESENCE_ENDPOINTS_MAX];
	size_t n_all = 0, n_told = 0;
	uint64_t wait_us = 0;

	for (size_t i = 0; i < own->n_endpoints; i++)
		if (presence_endpoint_is_valid(&own->endpoints[i]))
			all[n_all++] = own->endpoints[i];
	if (!n_all)
		return; /* no uplink: nothing to tell, and nobody to tell it to */
	bool moved = announce_choose(
		&h->announcing, all, n_all, known, clock_now_us(), told, &n_told, &wait_us);
	announce_again(h, wait_us);
	if ((moved || !is_current(h, known)) && !take_number(h, known))
		return;
	if (moved) {
		announce_done(&h->announcing, clock_now_us());
		announce_new(h, told, n_told);
	} else if (!is_current(h, known)) {
		announce_new(
			h, known ? known->endpoints : told, known ? known->n_endpoints : n_told);
	} else if (h->announced != known->counter) {
		CLEANUP_JSON json_t *doc = presence_to_json(known);

		h->announced = known->counter;
		if (doc)
			sync_set_presence(h->sync, doc);
	}
}
