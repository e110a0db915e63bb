/*
 * Requests on the event loop through libcurl's multi interface, and the waiting variant, which has
 * a loop of its own. A callback to the user runs only from the loop and after libcurl has returned.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "sys/curl/multi.h"
#include "sys/http/easy.h"

enum { ACCURACY_US = 10 * 1000 }; /* of turns */

struct transfer {
	struct transfer *next;
	uint64_t id;
	struct http_attempt attempt;
	bool ended; /* with attempt.err, waiting to be reported */
	http_done_fn done;
	void *ctx;
};

struct http_client {
	sd_event *event;
	sd_event_source *later; /* there is something to report */
	sd_event_source *turns;
	struct multi *multi; /* NULL: there was no memory for it */
	bool closing;
	struct http_config config;
	struct transfer *transfers;
	uint64_t last_id;
};

static struct transfer *transfer_free(struct transfer *t)
{
	http_attempt_done(&t->attempt);
	free(t);
	return NULL;
}

static void transfer_unlink(struct http_client *client, struct transfer *t)
{
	struct transfer **p;

	http_attempt_stop(&t->attempt);
	for (p = &client->transfers; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
}

/* Wakes the loop when the next of all URLs has its turn. */
static void arm_turns(struct http_client *client)
{
	uint64_t due_us = UINT64_MAX;

	for (struct transfer *t = client->transfers; t; t = t->next) {
		uint64_t at_us =
			t->ended ? UINT64_MAX : http_attempt_due_us(&t->attempt, &client->config);

		due_us = at_us < due_us ? at_us : due_us;
	}
	(void) sd_event_source_set_time(client->turns, due_us);
	(void) sd_event_source_set_enabled(
		client->turns, due_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* What is next for each request, or its end: then the loop reports attempt.err. */
static void go_on(struct http_client *client)
{
	uint64_t now_us = clock_now_us();

	for (struct transfer *t = client->transfers; t; t = t->next)
		if (!t->ended && !http_attempt_go_on(&t->attempt, &client->config, now_us)) {
			t->ended = true;
			(void) sd_event_source_set_enabled(client->later, SD_EVENT_ONESHOT);
		}
	arm_turns(client);
}

static void report_ended(struct http_client *client)
{
	struct transfer *t;

	for (;;) {
		for (t = client->transfers; t && !t->ended; t = t->next)
			;
		if (!t)
			return;
		transfer_unlink(client, t);
		t->done(t->ctx, t->attempt.err.code ? NULL : &t->attempt.reply,
			t->attempt.err.code ? &t->attempt.err : NULL);
		transfer_free(t);
	}
}

static void handle_messages(void *ctx)
{
	struct http_client *client = ctx;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi_handle(client->multi), &left))) {
		struct http_try *try = NULL;
		CURLcode code = message->data.result;
		struct transfer *t;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &try);
		for (t = client->transfers; t && &t->attempt != try->attempt; t = t->next)
			;
		if (t && http_try_ended(try, &client->config, code, clock_now_us()))
			t->ended = true;
	}
	go_on(client);
	report_ended(client);
}

static int on_later(sd_event_source *source, void *ctx)
{
	report_ended(ctx);
	return 0;
}

static int on_turn(sd_event_source *source, uint64_t usec, void *ctx)
{
	go_on(ctx);
	return 0;
}

static void on_looked_up(void *ctx)
{
	struct http_client *client = ctx;

	go_on(client);
	report_ended(client);
}

static void lend(struct http_client *client, struct http_attempt *attempt)
{
	attempt->event = client->event;
	attempt->multi = client->multi ? multi_handle(client->multi) : NULL;
	attempt->looked_up = on_looked_up;
	attempt->ctx = client;
}

static int open_multi(struct http_client *client)
{
	int r = multi_new(client->event, handle_messages, client, &client->multi);

	if (r == 0)
		(void) curl_multi_setopt(multi_handle(client->multi), CURLMOPT_MAXCONNECTS, 4L);
	return r;
}

static void close_multi(struct http_client *client)
{
	for (struct transfer *t = client->transfers; t; t = t->next)
		http_attempt_stop(&t->attempt);
	client->multi = multi_free(client->multi);
}

static int open_sources(struct http_client *client)
{
	int r = sd_event_add_defer(client->event, &client->later, on_later, client);

	if (r >= 0)
		r = sd_event_source_set_enabled(client->later, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(client->event, &client->turns, CLOCK_MONOTONIC, 0,
			ACCURACY_US, on_turn, client);
	if (r >= 0)
		r = sd_event_source_set_enabled(client->turns, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

int http_client_new(sd_event *event, const struct http_options *options, struct http_client **ret,
	struct err *err)
{
	struct http_client *client;
	int r;

	if (libcurl_start() < 0)
		return err_set(err, -ENOMEM, "libcurl does not start");
	client = calloc(1, sizeof(*client));
	if (!client)
		return err_set(err, -ENOMEM, "out of memory");
	client->event = sd_event_ref(event);
	r = http_config_copy(options, &client->config, err);
	if (r < 0) {
		http_client_free(client);
		return r;
	}
	r = open_sources(client);
	if (r == 0)
		r = open_multi(client);
	if (r < 0) {
		http_client_free(client);
		return err_set(err, r, "cannot set up the HTTPS client: %s", strerror(-r));
	}
	*ret = client;
	return 0;
}

/* The way that answered last stays the first, if it is among the new ones. */
static void keep_good(const struct http_config *old, struct http_config *config)
{
	const struct http_way *good = &old->ways[old->good];

	for (size_t i = 0; i < config->n_ways && old->has_good; i++)
		if (!strcmp(config->urls[config->ways[i].at], old->urls[good->at]) &&
			config->ways[i].by_proxy == good->by_proxy) {
			config->good = i;
			config->has_good = true;
		}
}

/* On new connections. Without memory for them what is under way ends with an error. */
static int restart(struct http_client *client)
{
	int r = open_multi(client);

	for (struct transfer *t = client->transfers; t; t = t->next)
		if (!t->ended) {
			lend(client, &t->attempt);
			http_attempt_restart(&t->attempt, &client->config);
		}
	go_on(client);
	return r;
}

int http_client_configure(
	struct http_client *client, const struct http_options *options, struct err *err)
{
	struct http_config config = { 0 };
	int r;

	r = http_config_copy(options, &config, err);
	if (r < 0)
		return r;
	/* Handles borrow the key's text, and connections were made with the old pins. */
	close_multi(client);
	keep_good(&client->config, &config);
	http_config_done(&client->config);
	client->config = config;
	r = restart(client);
	return r < 0 ? err_set(err, r, "cannot set up the HTTPS client") : 0;
}

struct http_client *http_client_free(struct http_client *client)
{
	struct err ended = { 0 };

	if (!client)
		return NULL;
	client->closing = true;
	close_multi(client);
	report_ended(client);
	err_set(&ended, -ECANCELED, "the connection is being closed");
	while (client->transfers) {
		struct transfer *t = client->transfers;

		client->transfers = t->next;
		t->done(t->ctx, NULL, &ended);
		transfer_free(t);
	}
	sd_event_source_disable_unref(client->later);
	sd_event_source_disable_unref(client->turns);
	http_config_done(&client->config);
	sd_event_unref(client->event);
	free(client);
	return NULL;
}

int http_client_send(struct http_client *client, const struct http_request *request,
	http_done_fn done, void *ctx, uint64_t *ret_id, struct err *err)
{
	struct transfer *t;
	int r;

	if (client->closing)
		return err_set(err, -ECANCELED, "the connection is being closed");
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, -ENOMEM, "out of memory");
	r = http_attempt_init(&t->attempt, &client->config, request, err);
	if (r < 0) {
		transfer_free(t);
		return r;
	}
	lend(client, &t->attempt);
	t->id = ++client->last_id;
	t->done = done;
	t->ctx = ctx;
	t->next = client->transfers;
	client->transfers = t;
	if (ret_id)
		*ret_id = t->id;
	go_on(client);
	return 0;
}

void http_client_cancel(struct http_client *client, uint64_t id)
{
	for (struct transfer *t = client->transfers; t; t = t->next)
		if (t->id == id) {
			transfer_unlink(client, t);
			transfer_free(t);
			return;
		}
}

void http_client_reset(struct http_client *client)
{
	close_multi(client);
	http_config_forget(&client->config);
	(void) restart(client); /* else each request ends with an error */
}

/* --- the waiting variant --- */

struct waiting {
	bool ended;
	int r;
	struct http_reply *ret;
	struct err *err;
};

static void waited(void *ctx, const struct http_reply *reply, const struct err *err)
{
	struct waiting *w = ctx;

	w->ended = true;
	if (!reply) {
		w->r = err_set(w->err, err->code, "%s", err->text);
		return;
	}
	*w->ret = *reply;
	w->ret->body = (struct buf){ 0 };
	buf_add(&w->ret->body, reply->body.data, reply->body.len);
	if (buf_failed(&w->ret->body)) {
		http_reply_done(w->ret);
		w->r = err_set(w->err, -ENOMEM, "out of memory");
	}
}

int http_request_blocking(const struct http_options *options, const struct http_request *request,
	struct http_reply *ret, struct err *err)
{
	CLEANUP(sd_event_unrefp) sd_event *event = NULL;
	struct waiting waiting = { .ret = ret, .err = err };
	struct http_client *client = NULL;
	int r = sd_event_new(&event);

	if (r < 0)
		return err_set(err, r, "cannot set up an event loop: %s", strerror(-r));
	r = http_client_new(event, options, &client, err);
	if (r < 0)
		return r;
	r = http_client_send(client, request, waited, &waiting, NULL, err);
	while (r >= 0 && !waiting.ended) {
		r = sd_event_run(event, UINT64_MAX);
		if (r < 0)
			err_set(err, r, "cannot wait for the answer: %s", strerror(-r));
	}
	waiting.err = NULL; /* why it ends is said */
	http_client_free(client);
	return r < 0 ? r : waiting.r;
}
