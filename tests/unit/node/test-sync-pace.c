/*
 * sync: when the coordinator is asked, and with what; when it is left alone; what it is told until
 * it knows. How hearthd fares with one that is not what it should be is test-sync's.
 */
#include "fake-core.h"

#include <sodium.h>
#include <stdio.h>

#include "base/json.h"
#include "node/sync.h"
#include "sys/http/http.h"
#include "wire/api.h"

#define SECOND USEC_PER_SEC

/* --- instead of sys/http: requests wait for the test --- */

enum { REQUESTS_MAX = 4 };

struct waiting {
	uint64_t id;
	char method[8], path[128], *body;
	uint64_t timeout_us;
	http_done_fn done;
	void *ctx;
};

static struct {
	struct waiting list[REQUESTS_MAX]; /* the oldest first */
	size_t n;
	uint64_t last_id;
	unsigned sent, resets;
	int opens, sends; /* 0, or the errno with which that fails */
	struct http_options options;
	bool open;
} http;

int http_client_new(sd_event *event, const struct http_options *options, struct http_client **ret,
	struct err *err)
{
	if (http.opens < 0)
		return err_set(err, http.opens, "no client");
	http.options = *options;
	http.open = true;
	*ret = (struct http_client *) &http;
	return 0;
}

int http_client_configure(
	struct http_client *http_client, const struct http_options *options, struct err *err)
{
	http.options = *options;
	return 0;
}

/* Takes the request at @at out of those that wait. */
static struct waiting take(size_t at)
{
	struct waiting w;

	assert_true(at < http.n);
	w = http.list[at];
	memmove(&http.list[at], &http.list[at + 1], (--http.n - at) * sizeof(w));
	return w;
}

static void give_up(size_t at, int r, const char *text)
{
	struct waiting w = take(at);
	struct err err = { 0 };

	err_set(&err, r, "%s", text);
	free(w.body);
	w.done(w.ctx, NULL, &err);
}

struct http_client *http_client_free(struct http_client *http_client)
{
	while (http.n)
		give_up(0, -ECANCELED, "it ends");
	http.open = false;
	return NULL;
}

int http_client_send(struct http_client *http_client, const struct http_request *request,
	http_done_fn done, void *ctx, uint64_t *ret_id, struct err *err)
{
	struct waiting *w = &http.list[http.n];

	http.sent++;
	if (http.sends < 0)
		return err_set(err, http.sends, "cannot send");
	assert_true(http.n < REQUESTS_MAX);
	*w = (struct waiting){
		.id = ++http.last_id, .timeout_us = request->timeout_us, .done = done, .ctx = ctx
	};
	(void) snprintf(w->method, sizeof(w->method), "%s", request->method);
	(void) snprintf(w->path, sizeof(w->path), "%s", request->path);
	if (request->body) {
		assert_int_equal(request->body_len, strlen(request->body));
		w->body = strdup(request->body);
	}
	http.n++;
	if (ret_id)
		*ret_id = w->id;
	return 0;
}

void http_client_cancel(struct http_client *http_client, uint64_t id)
{
	for (size_t i = 0; i < http.n; i++)
		if (http.list[i].id == id) {
			struct waiting w = take(i);

			free(w.body);
			return;
		}
}

void http_client_reset(struct http_client *http_client)
{
	http.resets++;
}

/* --- pauses are as long as they may be, or as short --- */

static bool is_short;

uint32_t randombytes_uniform(const uint32_t upper)
{
	return is_short ? 0 : upper - 1;
}

/* --- a board and its coordinator --- */

static struct core *core;
static struct sync *client;

static struct {
	/* what the board says */
	uint64_t seq;
	const char *kube;
	int verdict;       /* of news */
	bool stops, moves; /* it ends, or its link changes, while it hears them */
	/* what it heard */
	unsigned news, changed, said;
	size_t n_records;
	struct trouble_end away;
} t;

static int on_news(void *ctx, const struct api_news *news)
{
	assert_ptr_equal(ctx, &t);
	t.news++;
	t.n_records = news->n_records;
	if (t.stops)
		sync_stop(client);
	if (t.moves)
		sync_link_changed(client);
	return t.verdict;
}

static void on_position(void *ctx, uint64_t *ret_seq, const char **ret_kube)
{
	assert_ptr_equal(ctx, &t);
	*ret_seq = t.seq;
	*ret_kube = t.kube;
}

static void on_changed(void *ctx, bool say, const struct trouble_end *away)
{
	assert_ptr_equal(ctx, &t);
	t.changed++;
	t.said += say;
	t.away = away ? *away : (struct trouble_end){ 0 };
}

static const struct sync_hooks hooks = {
	.news = on_news, .position = on_position, .changed = on_changed
};

static const char *const urls[] = { "https://192.0.2.1:8443" }, *const pins[] = { "pin" };
static const struct sync_options options = { .urls = urls,
	.n_urls = 1,
	.pins = pins,
	.n_pins = 1,
	.cert_pem = "certificate",
	.key_pem = "key" };

static int set_up(void **state)
{
	core = fake_core_new();
	memset(&http, 0, sizeof(http));
	memset(&t, 0, sizeof(t));
	t.kube = "";
	is_short = false;
	assert_int_equal(sync_new(core->event, &options, &hooks, &t, &client, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	client = sync_free(client);
	assert_int_equal(http.n, 0);
	assert_false(http.open);
	core = fake_core_free(core);
	return 0;
}

/* The place of the request to a path that begins so. */
static size_t find(const char *path)
{
	for (size_t i = 0; i < http.n; i++)
		if (!strncmp(http.list[i].path, path, strlen(path)))
			return i;
	fail_msg("there is no request of %s", path);
	return 0;
}

static bool is_asked(const char *path)
{
	for (size_t i = 0; i < http.n; i++)
		if (!strncmp(http.list[i].path, path, strlen(path)))
			return true;
	return false;
}

static void answer(const char *path, int status, const char *text)
{
	struct waiting w = take(find(path));
	CLEANUP_HTTP_REPLY struct http_reply reply = { .status = status };

	(void) snprintf(reply.url, sizeof(reply.url), "https://192.0.2.1:8443");
	buf_add_str(&reply.body, text);
	free(w.body);
	w.done(w.ctx, &reply, NULL);
}

#define NEWS(instance, presence) \
	"{\"records\":[],\"presence\":[" presence "],\"cursor\":\"" instance "-1\",\"kube\":null}"
#define NOTHING NEWS("0123456789abcdef", "")

/* The coordinator answers the poll with this. */
static void hear(const char *news)
{
	answer("/v1/poll", 200, news);
}

static void refuse(const char *code)
{
	char text[128];

	(void) snprintf(
		text, sizeof(text), "{\"error\":{\"code\":\"%s\",\"message\":\"it is so\"}}", code);
	answer("/v1/poll", 403, text);
}

/* The next poll begins after just so long. */
static void assert_pause(uint64_t us)
{
	if (us) {
		fake_event_pass(us - 1);
		assert_false(is_asked("/v1/poll"));
		fake_event_pass(1);
	} else {
		assert_int_equal(fake_event_next_us(), 0);
		fake_event_pass(0);
	}
	assert_true(is_asked("/v1/poll"));
}

static void begin(void)
{
	sync_start(client);
	assert_pause(0);
}

/* It answered once, so the next poll is to wait. */
static void be_connected(void)
{
	begin();
	hear(NOTHING);
	assert_pause(0);
}

static const char *polled(void)
{
	return http.list[find("/v1/poll")].path;
}

/* --- polls --- */

static void test_options(void **state)
{
	struct sync_options other = options;
	struct err err = { 0 };
	struct sync *none = NULL;

	assert_ptr_equal(http.options.urls, urls);
	assert_ptr_equal(http.options.pins, pins);
	assert_int_equal(http.options.n_urls, 1);
	assert_int_equal(http.options.n_pins, 1);
	assert_string_equal(http.options.cert_pem, "certificate");
	assert_string_equal(http.options.key_pem, "key");
	other.n_urls = 2;
	assert_int_equal(sync_configure(client, &other, NULL), 0);
	assert_int_equal(http.options.n_urls, 2);
	http.opens = -EINVAL;
	assert_int_equal(sync_new(core->event, &options, &hooks, &t, &none, &err), -EINVAL);
	assert_string_equal(err.text, "no client");
	http.opens = 0;
	fake_event_fails = -ENOMEM;
	assert_int_equal(sync_new(core->event, &options, &hooks, &t, &none, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "cannot set up timers"));
	assert_null(none);
}

static void test_polls(void **state)
{
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	t.seq = 7;
	begin();
	assert_string_equal(polled(), "/v1/poll?seq=7&wait=0&kube=");
	assert_string_equal(http.list[0].method, "GET");
	assert_null(http.list[0].body);
	assert_int_equal(http.list[0].timeout_us, 20 * SECOND);
	sync_start(client); /* one at a time */
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_false(sync_state(client)->connected);
	assert_int_equal(sync_state(client)->since_us, 0);
	hear(NOTHING);
	assert_int_equal(t.news, 1);
	assert_true(sync_state(client)->connected);
	assert_int_equal(sync_state(client)->contact_us, clock_wall_us());
	assert_int_equal(sync_state(client)->since_us, clock_wall_us());
	assert_string_equal(sync_state(client)->url, "https://192.0.2.1:8443");
	assert_int_equal(t.changed, 1);
	assert_int_equal(t.said, 1);
	assert_int_equal(t.away.times, 0);
	t.seq = 8;
	t.kube = "00112233aabbccdd";
	assert_pause(0);
	assert_string_equal(
		polled(), "/v1/poll?seq=8&wait=50&cursor=0123456789abcdef-1&kube=00112233aabbccdd");
	assert_int_equal(http.list[0].timeout_us, 70 * SECOND);
	fake_event_pass(50 * SECOND);
	hear(NOTHING);
	assert_int_equal(t.changed, 1); /* as before */
	assert_int_equal(sync_state(client)->since_us, clock_wall_us() - 50 * SECOND);
	assert_int_equal(sync_state(client)->contact_us, clock_wall_us());
}

/* One that does not know how to wait. */
static void test_haste(void **state)
{
	be_connected();
	hear(NOTHING);
	assert_pause(SECOND);
	fake_event_pass(SECOND - 1);
	hear(NOTHING);
	assert_pause(SECOND);
	fake_event_pass(SECOND);
	hear(NOTHING);
	assert_pause(0);
	hear(NEWS("0123456789abcdef", "{}")); /* that is something */
	assert_pause(0);
}

static void test_haste_with_records(void **state)
{
	CLEANUP_RECORD struct record record = { 0 };
	CLEANUP_JSON json_t *json = NULL;
	CLEANUP(free_p) char *text = NULL;
	struct settings settings = maker_settings();

	record = maker_record(
		1, NULL, RECORD_TYPE_SETTINGS, settings_to_json(&settings), maker_sign_seed);
	settings_done(&settings);
	json = json_pack("{s:[o],s:[],s:s,s:n}", "records", record_to_json(&record), "presence",
		"cursor", "0123456789abcdef-1", "kube");
	text = json_text(json);
	be_connected();
	hear(text);
	assert_int_equal(t.n_records, 1);
	assert_pause(0);
}

/* --- failures --- */

static void test_away(void **state)
{
	static const unsigned pauses[] = { 1, 2, 4, 8, 16, 32, 60, 60 };

	be_connected();
	t.changed = t.said = 0;
	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
		assert_false(sync_state(client)->connected);
		assert_string_equal(sync_state(client)->error, "it does not answer");
		assert_pause(pauses[i] * SECOND);
		assert_non_null(strstr(polled(), "wait=0")); /* status tells the truth at once */
	}
	assert_int_equal(t.changed, 1);
	assert_int_equal(t.said, 1);
	give_up(find("/v1/poll"), -ECONNREFUSED, "nobody is there"); /* for another reason */
	assert_int_equal(t.changed, 2);
	assert_int_equal(t.said, 2);
	assert_pause(60 * SECOND);
	hear(NOTHING);
	assert_int_equal(t.changed, 3);
	assert_int_equal(t.said, 3);
	assert_int_equal(t.away.times, ARRAY_LEN(pauses) + 1);
	assert_string_equal(sync_state(client)->error, "");
	assert_pause(0);
	give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer"); /* the pauses begin anew */
	assert_pause(SECOND);
}

/* Boards do not come at once. */
static void test_short_pauses(void **state)
{
	is_short = true;
	begin();
	give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
	assert_pause(SECOND / 2);
	give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
	assert_pause(SECOND);
}

static void test_cannot_send(void **state)
{
	http.sends = -ENOMEM;
	sync_start(client);
	fake_event_pass(0);
	assert_int_equal(http.sent, 1);
	assert_string_equal(sync_state(client)->error, "cannot send");
	http.sends = 0;
	assert_pause(SECOND);
}

static void test_no_news(void **state)
{
	begin();
	hear("{\"records\":7}");
	assert_int_equal(t.news, 0);
	assert_non_null(strstr(sync_state(client)->error, "https://192.0.2.1:8443: "));
	assert_pause(SECOND);
	answer("/v1/poll", 503, "");
	assert_string_equal(sync_state(client)->error, "https://192.0.2.1:8443: status 503");
	assert_pause(2 * SECOND);
}

/* What only a person can mend: soon at first, then once a minute. */
static void test_refused(void **state)
{
	static const unsigned pauses[] = { 2, 4, 8, 16, 32, 60, 60 };
	static const char *const codes[] = { "removed", "unknown_node", "unauthorized" };

	begin();
	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		const char *code = codes[i % ARRAY_LEN(codes)];

		refuse(code);
		assert_string_equal(sync_state(client)->code, code);
		assert_string_equal(sync_state(client)->error, "it is so");
		assert_pause(pauses[i] * SECOND);
	}
	hear(NOTHING);
	assert_string_equal(sync_state(client)->code, "");
	assert_pause(0);
	refuse("removed");
	assert_pause(2 * SECOND);
	refuse("storage"); /* that passes */
	assert_pause(2 * SECOND);
}

/* It is told the records up to the one that says so. */
static void test_removed(void **state)
{
	CLEANUP_RECORD struct record record = { 0 };
	CLEANUP_JSON json_t *json = NULL;
	CLEANUP(free_p) char *text = NULL;
	struct settings settings = maker_settings();

	record = maker_record(
		1, NULL, RECORD_TYPE_SETTINGS, settings_to_json(&settings), maker_sign_seed);
	settings_done(&settings);
	json = json_pack("{s:{s:s,s:s},s:[o]}", "error", "code", "removed", "message", "it is so",
		"records", record_to_json(&record));
	text = json_text(json);
	begin();
	answer("/v1/poll", 403, text);
	assert_int_equal(t.news, 1);
	assert_int_equal(t.n_records, 1);
	assert_pause(2 * SECOND);
	refuse("removed"); /* without any */
	assert_int_equal(t.news, 1);
	assert_pause(4 * SECOND);
	answer("/v1/poll", 403,
		"{\"error\":{\"code\":\"removed\",\"message\":\"x\"},\"records\":[7]}");
	assert_int_equal(t.news, 1);
	assert_pause(8 * SECOND);
	/* Others have none for us. */
	json_object_set_new(json, "error", json_pack("{s:s}", "code", "unknown_node"));
	free(text);
	text = json_text(json);
	answer("/v1/poll", 403, text);
	assert_int_equal(t.news, 1);
}

static void test_not_believed(void **state)
{
	begin();
	t.verdict = -ENOTUNIQ;
	hear(NOTHING);
	assert_true(sync_state(client)->connected);
	assert_pause(2 * SECOND);
	hear(NOTHING);
	assert_pause(4 * SECOND);
	t.verdict = 0;
	hear(NOTHING);
	assert_pause(SECOND);
	t.verdict = -ENOTUNIQ;
	hear(NOTHING);
	assert_pause(2 * SECOND);
}

/* --- our presence --- */

static void set_presence(const char *text)
{
	json_t *doc = json_string(text);

	sync_set_presence(client, doc);
	json_decref(doc);
}

static void test_presence(void **state)
{
	const struct waiting *w;

	set_presence("one");
	assert_int_equal(http.n, 0); /* it has not begun */
	begin();
	assert_int_equal(http.n, 1);
	hear(NOTHING);
	assert_int_equal(http.n, 1);
	w = &http.list[find("/v1/presence")];
	assert_string_equal(w->method, "PUT");
	assert_string_equal(w->path, "/v1/presence");
	assert_string_equal(w->body, "\"one\"");
	assert_int_equal(w->timeout_us, 20 * SECOND);
	assert_pause(0);
	hear(NOTHING); /* one at a time */
	assert_int_equal(http.n, 1);
	answer("/v1/presence", 200, "{}");
	assert_pause(SECOND);
	hear(NOTHING);
	assert_int_equal(http.n, 0); /* it has it */
	set_presence("two");
	assert_string_equal(http.list[find("/v1/presence")].body, "\"two\"");
	set_presence("three"); /* the older one need not come */
	assert_int_equal(http.n, 1);
	assert_string_equal(http.list[find("/v1/presence")].body, "\"three\"");
}

static void test_presence_again(void **state)
{
	be_connected();
	set_presence("one");
	give_up(find("/v1/presence"), -ETIMEDOUT, "it does not answer");
	assert_int_equal(t.said, 1); /* the poll tells of it */
	fake_event_pass(SECOND - 1);
	assert_false(is_asked("/v1/presence"));
	fake_event_pass(1);
	answer("/v1/presence", 503, "");
	fake_event_pass(2 * SECOND - 1);
	assert_false(is_asked("/v1/presence"));
	fake_event_pass(1);
	assert_true(is_asked("/v1/presence"));
	answer("/v1/presence", 200, "{}");
	fake_event_pass(3600 * SECOND);
	assert_false(is_asked("/v1/presence"));
	/* The pauses begin anew. */
	set_presence("two");
	give_up(find("/v1/presence"), -ETIMEDOUT, "it does not answer");
	fake_event_pass(SECOND);
	assert_true(is_asked("/v1/presence"));
}

/* Who asks a proxy on and on with a wrong password may be locked out. */
static void test_proxy_refuses(void **state)
{
	unsigned sent;

	be_connected();
	set_presence("one");
	give_up(find("/v1/presence"), -EACCES, "the proxy wants another user or password");
	fake_event_pass(60 * SECOND - 1);
	assert_false(is_asked("/v1/presence"));
	fake_event_pass(1);
	assert_true(is_asked("/v1/presence"));
	sent = http.sent;
	for (int i = 0; i < 3600; i++) {
		if (is_asked("/v1/poll"))
			give_up(find("/v1/poll"), -EACCES, "the proxy wants another password");
		fake_event_pass(SECOND);
	}
	assert_true(http.sent - sent < 70);
	assert_true(http.sent - sent > 50);
}

/* An answer to a poll says that it is there: the pause is over. */
static void test_presence_in_its_pause(void **state)
{
	be_connected();
	set_presence("one");
	give_up(find("/v1/presence"), -ETIMEDOUT, "it does not answer");
	hear(NOTHING);
	assert_true(is_asked("/v1/presence"));
	answer("/v1/presence", 200, "{}");
	http.sent = 0;
	fake_event_pass(SECOND);
	assert_int_equal(http.sent, 1); /* the poll; the timer of the pause is off */
}

/* Two that ask whether it is back would be one too many. */
static void test_presence_while_it_is_away(void **state)
{
	be_connected();
	set_presence("one");
	give_up(find("/v1/poll"), -ECONNREFUSED, "nobody is there");
	give_up(find("/v1/presence"), -ECONNREFUSED, "nobody is there");
	for (unsigned i = 0; i < 10; i++) {
		fake_event_pass(60 * SECOND);
		assert_false(is_asked("/v1/presence"));
		give_up(find("/v1/poll"), -ECONNREFUSED, "nobody is there");
	}
	set_presence("two"); /* something has changed here: perhaps that as well */
	assert_true(is_asked("/v1/presence"));
	give_up(find("/v1/presence"), -ECONNREFUSED, "nobody is there");
	fake_event_pass(60 * SECOND);
	assert_false(is_asked("/v1/presence"));
	hear(NOTHING);
	assert_string_equal(http.list[find("/v1/presence")].body, "\"two\"");
}

static void test_presence_cannot_be_sent(void **state)
{
	be_connected();
	http.sends = -ENOMEM;
	set_presence("one");
	http.sends = 0;
	assert_false(is_asked("/v1/presence"));
	fake_event_pass(SECOND);
	assert_true(is_asked("/v1/presence"));
}

/* Another one, or the same after a restart, may not know us. */
static void test_presence_to_another(void **state)
{
	be_connected();
	set_presence("one");
	answer("/v1/presence", 200, "{}");
	hear(NOTHING);
	assert_false(is_asked("/v1/presence"));
	assert_pause(SECOND);
	hear(NEWS("fedcba9876543210", ""));
	assert_true(is_asked("/v1/presence"));
}

/* --- another link, and the end --- */

static void test_link_changed(void **state)
{
	be_connected();
	set_presence("one");
	answer("/v1/presence", 200, "{}");
	sync_link_changed(client);
	assert_int_equal(http.n, 0);
	assert_int_equal(http.resets, 1);
	assert_pause(0);
	assert_non_null(strstr(polled(), "wait=0"));
	hear(NOTHING);
	assert_pause(0);
	assert_non_null(strstr(polled(), "wait=50"));
	/* What failed is tried at once, and its pauses begin anew. */
	set_presence("two");
	for (unsigned i = 0; i < 3; i++) {
		give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
		fake_event_pass(60 * SECOND);
	}
	give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
	give_up(find("/v1/presence"), -ETIMEDOUT, "it does not answer");
	sync_link_changed(client);
	assert_true(is_asked("/v1/presence"));
	assert_pause(0);
	give_up(find("/v1/presence"), -ETIMEDOUT, "it does not answer");
	give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
	assert_pause(SECOND);
	refuse("removed");
	assert_pause(2 * SECOND);
	refuse("removed");
	sync_link_changed(client);
	assert_pause(0);
	refuse("removed");
	assert_pause(2 * SECOND);
}

/* From within: there is one poll or one timer all the same. */
static void test_link_changed_by_news(void **state)
{
	be_connected();
	t.moves = true;
	hear(NEWS("0123456789abcdef", "{}"));
	t.moves = false;
	assert_pause(0);
	assert_int_equal(http.n, 1);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_non_null(strstr(polled(), "wait=0"));
}

static void assert_stopped(void)
{
	assert_int_equal(http.n, 0);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	sync_link_changed(client);
	set_presence("three");
	assert_int_equal(http.n, 0);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

static void test_stop(void **state)
{
	be_connected();
	set_presence("one");
	assert_int_equal(http.n, 2);
	sync_stop(client);
	assert_stopped();
}

static void test_stop_in_a_pause(void **state)
{
	be_connected();
	set_presence("one");
	give_up(find("/v1/presence"), -ETIMEDOUT, "it does not answer");
	give_up(find("/v1/poll"), -ETIMEDOUT, "it does not answer");
	sync_stop(client);
	assert_stopped();
}

static void test_stopped_by_news(void **state)
{
	be_connected();
	set_presence("one");
	t.stops = true;
	hear(NOTHING);
	assert_stopped();
}

/* --- join bundles --- */

static struct {
	unsigned ended;
	int r;
	char text[ERR_TEXT_MAX];
} put;

static void on_put(void *ctx, int r, const struct err *err)
{
	assert_ptr_equal(ctx, &put);
	put.ended++;
	put.r = r;
	(void) snprintf(put.text, sizeof(put.text), "%s", err ? err->text : "");
}

static int put_bundle(struct err *err)
{
	CLEANUP_JSON json_t *bundle = json_pack("{s:s}", "id", "x");

	put.ended = 0;
	return sync_put(client, "/v1/kube", bundle, on_put, &put, err);
}

static void test_bundle(void **state)
{
	struct err err = { 0 };

	assert_int_equal(put_bundle(NULL), 0);
	assert_string_equal(http.list[0].method, "PUT");
	assert_string_equal(http.list[0].path, "/v1/kube");
	assert_string_equal(http.list[0].body, "{\"id\":\"x\"}");
	assert_int_equal(http.list[0].timeout_us, 20 * SECOND);
	answer("/v1/kube", 200, "{}");
	assert_int_equal(put.ended, 1);
	assert_int_equal(put.r, 0);
	assert_string_equal(put.text, "");
	assert_int_equal(put_bundle(NULL), 0);
	answer("/v1/kube", 403, "{\"error\":{\"code\":\"forbidden\",\"message\":\"not you\"}}");
	assert_int_equal(put.ended, 1);
	assert_int_equal(put.r, -EACCES);
	assert_string_equal(put.text, "not you");
	assert_int_equal(put_bundle(NULL), 0);
	give_up(0, -ETIMEDOUT, "it does not answer");
	assert_int_equal(put.r, -ETIMEDOUT);
	assert_string_equal(put.text, "it does not answer");
	http.sends = -ENOMEM;
	assert_int_equal(put_bundle(&err), -ENOMEM);
	assert_string_equal(err.text, "cannot send");
	assert_int_equal(put.ended, 0);
	http.sends = 0;
	assert_int_equal(put_bundle(NULL), 0);
	client = sync_free(client);
	assert_int_equal(put.ended, 1);
	assert_int_equal(put.r, -ECANCELED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(options),
		TEST(polls),
		TEST(haste),
		TEST(haste_with_records),
		TEST(away),
		TEST(short_pauses),
		TEST(cannot_send),
		TEST(no_news),
		TEST(refused),
		TEST(removed),
		TEST(not_believed),
		TEST(presence),
		TEST(presence_again),
		TEST(proxy_refuses),
		TEST(presence_in_its_pause),
		TEST(presence_while_it_is_away),
		TEST(presence_cannot_be_sent),
		TEST(presence_to_another),
		TEST(link_changed),
		TEST(link_changed_by_news),
		TEST(stop),
		TEST(stop_in_a_pause),
		TEST(stopped_by_news),
		TEST(bundle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
