/*
 * There is one poll under way, or one timer until the next; and one put of our presence, or a timer
 * until it is tried again. A reply that cannot be read changes nothing and counts as a failure.
 */
#include "node/sync.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "sys/http/http.h"
#include "wire/pass.h"

enum {
	WAIT_S = 50,
	GRACE_S = 20, /* for the answer to a poll that has waited */
	PUT_S = 20,
	BACKOFF_MIN_S = 1,
	BACKOFF_MAX_S = 60,
	HASTE_S = 1, /* a poll that should have waited, answered sooner and with nothing */
	/* removed, unknown, a log that is not believed, a password: what only a person can mend */
	REFUSED_MIN_S = 2,
	REFUSED_MAX_S = 60,
};

struct sync {
	struct http_client *client;
	sd_event_source *poll_timer, *put_timer;
	const struct sync_hooks *hooks;
	void *ctx;
	struct sync_state state;
	struct trouble trouble; /* while it is not connected */
	struct api_cursor cursor;
	uint64_t poll_id, put_id; /* requests under way, 0: none */
	unsigned failures, refusals, put_failures;
	uint64_t asked_us;   /* when the poll began, 0: it was not to wait */
	bool started, moved; /* moved: the link under the connections changed */
	json_t *presence;    /* owned */
	bool presence_known; /* the coordinator has it */
};

struct once {
	struct sync *sync;
	sync_done_fn done;
	void *ctx;
};

const struct sync_state *sync_state(const struct sync *sync)
{
	return &sync->state;
}

/* True: the state is another one than before. */
static bool set_state(struct sync *sync, bool connected, const char *code, const char *error)
{
	bool other = sync->state.connected != connected || !sync->state.since_us;

	if (other)
		sync->state.since_us = clock_wall_us();
	sync->state.connected = connected;
	(void) snprintf(sync->state.code, sizeof(sync->state.code), "%s", code);
	(void) snprintf(sync->state.error, sizeof(sync->state.error), "%s", error);
	return other;
}

static void has_connection(struct sync *sync, const char *url)
{
	bool first = !sync->state.contact_us, told;
	struct trouble_end away = { 0 };

	sync->state.contact_us = clock_wall_us();
	(void) snprintf(sync->state.url, sizeof(sync->state.url), "%s", url);
	told = trouble_over(&sync->trouble, clock_now_us(), &away);
	if (set_state(sync, true, "", ""))
		sync->hooks->changed(sync->ctx, first || told, &away);
}

/* The text is for people and another one each time: it may hold milliseconds. */
static int reason(const char *code, const struct err *err)
{
	uint64_t hash = fnv64(FNV64_START, &err->code, sizeof(err->code));

	return (int) fnv64(hash, code, strlen(code));
}

static void has_none(struct sync *sync, const char *code, const struct err *err)
{
	bool say = trouble_is(&sync->trouble, reason(code, err), clock_now_us());

	if (set_state(sync, false, code, err->text) || say)
		sync->hooks->changed(sync->ctx, say, NULL);
}

/* @min_s, twice that ... @max_s; between half and all of it, so that boards do not come at once. */
static uint64_t pause_us(unsigned times, unsigned min_s, unsigned max_s)
{
	unsigned s = min_s;

	for (unsigned i = 1; i < times && s < max_s; i++)
		s *= 2;
	uint64_t us = (s > max_s ? max_s : s) * USEC_PER_SEC;

	return us / 2 + randombytes_uniform((uint32_t) (us / 2) + 1);
}

static uint64_t backoff_us(unsigned failures)
{
	return pause_us(failures, BACKOFF_MIN_S, BACKOFF_MAX_S);
}

/* Soon at first, for whoever mends it watches; then once a minute, for it may stay so for years. */
static uint64_t refused_us(struct sync *sync)
{
	return pause_us(++sync->refusals, REFUSED_MIN_S, REFUSED_MAX_S);
}

static void arm(sd_event_source *timer, uint64_t wait_us)
{
	(void) sd_event_source_set_time_relative(timer, wait_us);
	(void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void disarm(sd_event_source *timer)
{
	(void) sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

static bool is_refusal(const char *code)
{
	return !strcmp(code, api_code_name(API_REMOVED)) ||
	       !strcmp(code, api_code_name(API_UNKNOWN_NODE)) ||
	       !strcmp(code, api_code_name(API_UNAUTHORIZED));
}

static void poll_failed(struct sync *sync, const char *code, const struct err *err)
{
	/* By a proxy, that is, for a coordinator says a code. */
	bool refused = is_refusal(code) || (!*code && err->code == -EACCES);

	sync->failures++;
	arm(sync->poll_timer, refused ? refused_us(sync) : backoff_us(sync->failures));
	has_none(sync, code, err);
}

/* The coordinator's news out of a reply, or a negative errno. */
static int read_news(
	const struct http_reply *reply, struct api_news *ret, char code[static 64], struct err *err)
{
	CLEANUP_JSON json_t *json = NULL;
	char told[PASS_TOLD_MAX];
	int r = http_reply_json(reply, &json, code, err);

	if (r < 0)
		return r;
	r = api_news_from_json(json, ret, err);
	return r < 0 ? err_prefix(err, "%s", pass_url_tell(reply->url, told)) : 0;
}

/* A board that was removed is refused, but told the records up to the one that says so. */
static void take_last_records(struct sync *sync, const struct http_reply *reply)
{
	CLEANUP(api_news_done) struct api_news news = { 0 };
	CLEANUP_JSON json_t *json = json_parse(buf_str(&reply->body), reply->body.len, NULL);

	if (json && json_has(json, "records") &&
		record_list_from_json(json, "records", API_RECORDS_MAX, &news.records,
			&news.n_records, NULL) == 0)
		(void) sync->hooks->news(sync->ctx, &news);
}

static void put_presence(struct sync *sync);

/* Else one that does not know how to wait would be asked without end. */
static uint64_t haste_us(const struct sync *sync, const struct api_news *news)
{
	bool nothing = !news->n_records && !json_array_size(news->presence) && !news->has_kube;
	bool soon = sync->asked_us && clock_now_us() - sync->asked_us < HASTE_S * USEC_PER_SEC;

	return nothing && soon ? HASTE_S * USEC_PER_SEC : 0;
}

static void poll_ended(void *ctx, const struct http_reply *reply, const struct err *error)
{
	CLEANUP(api_news_done) struct api_news news = { 0 };
	struct sync *sync = ctx;
	struct err err = { 0 };
	char code[64] = "";
	int r;

	sync->poll_id = 0;
	if (!reply) {
		poll_failed(sync, "", error);
		return;
	}
	r = read_news(reply, &news, code, &err);
	if (r < 0) {
		poll_failed(sync, code, &err);
		if (!strcmp(code, api_code_name(API_REMOVED)))
			take_last_records(sync, reply);
		return;
	}
	sync->failures = 0;
	if (strcmp(sync->cursor.instance, news.cursor.instance) != 0)
		sync->presence_known = false; /* it may have forgotten us */
	sync->cursor = news.cursor;
	has_connection(sync, reply->url);
	r = sync->hooks->news(sync->ctx, &news);
	if (!sync->started)
		return;
	if (r >= 0)
		sync->refusals = 0;
	arm(sync->poll_timer, r < 0 ? refused_us(sync) : haste_us(sync, &news));
	if (!sync->presence_known)
		put_presence(sync);
}

static void poll_begin(struct sync *sync)
{
	/*
	 * After a failure, or on another link, the first answer is wanted at once: status tells the
	 * truth.
	 */
	unsigned wait = sync->state.connected && !sync->moved ? WAIT_S : 0;
	CLEANUP_BUF struct buf path = { 0 };
	struct http_request request = { .method = "GET",
		.timeout_us = (wait + GRACE_S) * USEC_PER_SEC,
		.reply_max = API_REPLY_MAX };
	char cursor[API_CURSOR_MAX];
	struct err err = { 0 };
	const char *kube = "";
	uint64_t seq = 0;

	sync->moved = false;
	sync->hooks->position(sync->ctx, &seq, &kube);
	buf_printf(&path, "/v1/poll?seq=%" PRIu64 "&wait=%u", seq, wait);
	if (sync->cursor.instance[0])
		buf_printf(&path, "&cursor=%s", api_cursor_format(&sync->cursor, cursor));
	buf_printf(&path, "&kube=%s", kube); /* none: any is wanted */
	request.path = buf_str(&path);
	sync->asked_us = wait ? clock_now_us() : 0;
	if (http_client_send(sync->client, &request, poll_ended, sync, &sync->poll_id, &err) < 0)
		poll_failed(sync, "", &err);
}

static int on_poll_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	poll_begin(ctx);
	return 0;
}

/* --- presence --- */

/*
 * @error: NULL where there was a reply. While polls fail, too, one of the two is enough to find out
 * when the coordinator is back: its answer is followed by a put.
 */
static void put_failed(struct sync *sync, const struct err *error)
{
	bool refused = error && error->code == -EACCES; /* by a proxy */

	sync->put_failures++;
	if (sync->failures)
		return;
	arm(sync->put_timer,
		refused ? REFUSED_MAX_S * USEC_PER_SEC : backoff_us(sync->put_failures));
}

static void put_ended(void *ctx, const struct http_reply *reply, const struct err *error)
{
	CLEANUP_JSON json_t *json = NULL;
	struct sync *sync = ctx;
	struct err err = { 0 };
	char code[64];

	sync->put_id = 0;
	if (!reply || http_reply_json(reply, &json, code, &err) < 0) {
		put_failed(sync, error); /* the poll tells of the reason */
		return;
	}
	sync->put_failures = 0;
	sync->presence_known = true;
}

static void put_presence(struct sync *sync)
{
	CLEANUP(free_p) char *body = sync->presence ? json_text(sync->presence) : NULL;
	struct http_request request = { .method = "PUT",
		.path = "/v1/presence",
		.timeout_us = PUT_S * USEC_PER_SEC,
		.body = body };
	struct err err = { 0 };

	if (!sync->started || !body || sync->put_id)
		return;
	disarm(sync->put_timer);
	request.body_len = strlen(body);
	if (http_client_send(sync->client, &request, put_ended, sync, &sync->put_id, &err) < 0)
		put_failed(sync, NULL);
}

static int on_put_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	put_presence(ctx);
	return 0;
}

void sync_set_presence(struct sync *sync, json_t *doc)
{
	json_decref(sync->presence);
	sync->presence = json_incref(doc);
	sync->presence_known = false;
	if (sync->put_id)
		http_client_cancel(sync->client, sync->put_id);
	sync->put_id = 0;
	put_presence(sync);
}

/* --- join bundles --- */

static void once_ended(void *ctx, const struct http_reply *reply, const struct err *error)
{
	CLEANUP(free_p) struct once *put = ctx;
	CLEANUP_JSON json_t *json = NULL;
	struct err err = { 0 };
	char code[64];
	int r;

	if (!reply) {
		put->done(put->ctx, error->code, error);
		return;
	}
	r = http_reply_json(reply, &json, code, &err);
	put->done(put->ctx, r, r < 0 ? &err : NULL);
}

int sync_put(struct sync *sync, const char *path, const json_t *doc, sync_done_fn done, void *ctx,
	struct err *err)
{
	char *body = json_text(doc);
	struct once *put = calloc(1, sizeof(*put));
	struct http_request request = {
		.method = "PUT", .path = path, .timeout_us = PUT_S * USEC_PER_SEC, .body = body
	};
	int r = -ENOMEM;

	if (body && put) {
		*put = (struct once){ .sync = sync, .done = done, .ctx = ctx };
		request.body_len = strlen(body);
		r = http_client_send(sync->client, &request, once_ended, put, NULL, err);
	} else {
		err_set(err, -ENOMEM, "out of memory");
	}
	if (body)
		sodium_memzero(body, strlen(body));
	free(body);
	if (r < 0)
		free(put);
	return r;
}

/* --- life --- */

static struct http_options to_http(const struct sync_options *options)
{
	return (struct http_options){
		.urls = options->urls,
		.n_urls = options->n_urls,
		.pins = options->pins,
		.n_pins = options->n_pins,
		.cert_pem = options->cert_pem,
		.key_pem = options->key_pem,
		.proxy = options->proxy,
		.uses = options->uses,
	};
}

int sync_new(sd_event *event, const struct sync_options *options, const struct sync_hooks *hooks,
	void *ctx, struct sync **ret, struct err *err)
{
	struct http_options http = to_http(options);
	struct sync *sync = calloc(1, sizeof(*sync));
	int r;

	if (!sync)
		return err_set(err, -ENOMEM, "out of memory");
	sync->hooks = hooks;
	sync->ctx = ctx;
	r = http_client_new(event, &http, &sync->client, err);
	if (r < 0) {
		sync_free(sync);
		return r;
	}
	r = sd_event_add_time(event, &sync->poll_timer, CLOCK_MONOTONIC, 0, 0, on_poll_timer, sync);
	if (r >= 0)
		r = sd_event_add_time(
			event, &sync->put_timer, CLOCK_MONOTONIC, 0, 0, on_put_timer, sync);
	if (r < 0) {
		sync_free(sync);
		return err_set(err, r, "cannot set up timers: %s", strerror(-r));
	}
	disarm(sync->poll_timer);
	disarm(sync->put_timer);
	*ret = sync;
	return 0;
}

static void cancel_own(struct sync *sync)
{
	if (sync->poll_id)
		http_client_cancel(sync->client, sync->poll_id);
	if (sync->put_id)
		http_client_cancel(sync->client, sync->put_id);
	sync->poll_id = sync->put_id = 0;
}

struct sync *sync_free(struct sync *sync)
{
	if (!sync)
		return NULL;
	cancel_own(sync);
	http_client_free(sync->client); /* whoever put a bundle hears of it */
	sd_event_source_disable_unref(sync->poll_timer);
	sd_event_source_disable_unref(sync->put_timer);
	json_decref(sync->presence);
	free(sync);
	return NULL;
}

int sync_configure(struct sync *sync, const struct sync_options *options, struct err *err)
{
	struct http_options http = to_http(options);

	return http_client_configure(sync->client, &http, err);
}

void sync_start(struct sync *sync)
{
	sync->started = true;
	if (!sync->poll_id)
		arm(sync->poll_timer, 0);
}

void sync_stop(struct sync *sync)
{
	sync->started = false;
	disarm(sync->poll_timer);
	disarm(sync->put_timer);
	cancel_own(sync);
}

void sync_link_changed(struct sync *sync)
{
	sync->failures = sync->refusals = sync->put_failures = 0;
	if (sync->poll_id)
		http_client_cancel(sync->client, sync->poll_id);
	sync->poll_id = 0;
	sync->moved = true;
	http_client_reset(sync->client);
	if (!sync->started)
		return;
	arm(sync->poll_timer, 0);
	if (!sync->presence_known)
		put_presence(sync);
}
