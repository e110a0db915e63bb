/*
 * The ways of one request, side by side (as in RFC 8305): one begins a moment after the one before
 * has not connected yet, or at once when that has failed. The first one to be connected, its pin
 * included, gets the request; the others end, and have not had their turn. So what is sent twice
 * is only what somebody took and broke off.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "sys/http/easy.h"
#include "wire/pass.h"

enum {
	REQUEST_TIMEOUT_S = 30,
	NEXT_MS = 300, /* RFC 8305 section 5: 250 ms for TCP; here it has TLS's round trip in it */
	REFUSAL_MS = 1000, /* who is there refuses at once; a host that is gone, after 3 s */
};

int http_attempt_init(struct http_attempt *attempt, const struct http_config *config,
	const struct http_request *request, struct err *err)
{
	uint64_t timeout =
		request->timeout_us ? request->timeout_us : REQUEST_TIMEOUT_S * USEC_PER_SEC;

	*attempt = (struct http_attempt){
		.reply_max = request->reply_max ? request->reply_max : HTTP_REPLY_MAX,
		.deadline_us = clock_now_us() + timeout,
		.method = strdup(request->method),
		.path = strdup(request->path),
	};
	http_attempt_restart(attempt, config);
	if (!attempt->method || !attempt->path)
		return err_set(err, -ENOMEM, "out of memory");
	if (request->body) {
		attempt->body = malloc(request->body_len + 1);
		if (!attempt->body)
			return err_set(err, -ENOMEM, "out of memory");
		memcpy(attempt->body, request->body, request->body_len);
		attempt->body_len = request->body_len;
	}
	return 0;
}

void http_attempt_stop(struct http_attempt *attempt)
{
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++)
		http_try_close(&attempt->tries[i]);
	attempt->sender = NULL;
}

void http_attempt_done(struct http_attempt *attempt)
{
	http_attempt_stop(attempt);
	free(attempt->method);
	free(attempt->path);
	if (attempt->body) /* a token's secret or a join bundle may be in it */
		explicit_bzero(attempt->body, attempt->body_len);
	free(attempt->body);
	http_reply_done(&attempt->reply);
	*attempt = (struct http_attempt){ 0 };
}

void http_attempt_restart(struct http_attempt *attempt, const struct http_config *config)
{
	http_attempt_stop(attempt);
	http_reply_done(&attempt->reply);
	attempt->first = config->next < config->n_ways ? config->next : 0;
	memset(attempt->had, 0, sizeof(attempt->had));
	attempt->good_is_next = true;
	attempt->good_broke = false;
	attempt->due_us = 0;
	attempt->err = (struct err){ 0 };
}

/* --- whose turn it is --- */

static bool is_under_way(const struct http_attempt *attempt)
{
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++)
		if (attempt->tries[i].easy)
			return true;
	return false;
}

static bool is_asked(const struct http_attempt *attempt, size_t at)
{
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++)
		if (attempt->tries[i].easy && attempt->tries[i].at == at)
			return true;
	return false;
}

static struct http_try *free_try(struct http_attempt *attempt)
{
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++)
		if (!attempt->tries[i].easy)
			return &attempt->tries[i];
	return NULL;
}

/*
 * The way that answered last, then the others in a circle, beginning where the last request ended.
 * If that one only refused (its daemon restarts, say), it is asked again after each of the others.
 * False: all have had their turns.
 */
static bool next_turn(struct http_attempt *attempt, const struct http_config *config, size_t *ret)
{
	if (config->has_good && attempt->good_is_next && !is_asked(attempt, config->good)) {
		attempt->good_is_next = false;
		attempt->had[config->good] = true;
		*ret = config->good;
		return true;
	}
	attempt->good_is_next = true;
	for (size_t i = 0; i < config->n_ways; i++) {
		size_t at = (attempt->first + i) % config->n_ways;

		if (attempt->had[at])
			continue;
		attempt->had[at] = true;
		*ret = at;
		return true;
	}
	return false;
}

static void begin(struct http_attempt *attempt, struct http_config *config, struct http_try *try,
	uint64_t now_us)
{
	size_t at = 0;

	attempt->due_us = UINT64_MAX;
	if (!next_turn(attempt, config, &at))
		return;
	if (http_try_open(try, attempt, config, at, now_us, &attempt->err) < 0) {
		http_try_close(try);
		return;
	}
	attempt->due_us = now_us + NEXT_MS * USEC_PER_MSEC;
}

/* Another was faster: if that one breaks off it has another turn. */
static void give_way(struct http_try *try)
{
	try->attempt->had[try->at] = false;
	http_try_close(try);
}

static void end_others(struct http_attempt *attempt)
{
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++)
		if (attempt->tries[i].easy && &attempt->tries[i] != attempt->sender)
			give_way(&attempt->tries[i]);
}

/* --- how it ended --- */

static const char *url_of(const struct http_config *config, const struct http_try *try)
{
	return config->urls[config->ways[try->at].at];
}

/* Whoever was there a moment ago, and may be again in another. */
static bool only_refused(const struct http_try *try, CURLcode code, uint64_t now_us)
{
	if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SSL_PINNEDPUBKEYNOTMATCH ||
		try->too_big)
		return false;
	if (try->attempt->sender == try)
		return !try->attempt->good_broke;
	return now_us - try->began_us < REFUSAL_MS * USEC_PER_MSEC;
}

static void note_failure(
	const struct http_try *try, struct http_config *config, CURLcode code, uint64_t now_us)
{
	struct http_attempt *attempt = try->attempt;

	if (config->has_good && try->at == config->good) {
		if (only_refused(try, code, now_us)) {
			attempt->good_broke |= attempt->sender == try;
			return;
		}
		config->has_good = false;
	}
	config->next = (try->at + 1) % config->n_ways;
}

/* Who asks a proxy on and on with a wrong password may be locked out. */
static void spare_proxy(struct http_attempt *attempt, struct http_config *config)
{
	for (size_t i = 0; i < config->n_ways; i++)
		attempt->had[i] |= config->ways[i].by_proxy;
	if (config->has_good && config->ways[config->good].by_proxy)
		config->has_good = false;
}

/* Of several failures the first of those that a person must hear of. */
static unsigned weight(int code)
{
	return code == -EKEYREJECTED ? 2 : code == -EACCES ? 1 : 0;
}

/* Returns its errno. */
static int tell_failure(const struct http_try *try, const struct http_config *config, CURLcode code)
{
	struct err *err = &try->attempt->err, why = { 0 };
	char told[PASS_TOLD_MAX];

	if (try->why.code)
		why = try->why;
	else if (try->too_big)
		(void) err_set(&why, -EFBIG, "the reply is larger than %zu bytes",
			try->attempt->reply_max);
	else
		(void) libcurl_explain(try->easy, code, try->curl_text, &try->way, &why);
	if (!weight(err->code) || weight(why.code) > weight(err->code)) {
		*err = why;
		(void) err_prefix(err, "%s", pass_url_tell(url_of(config, try), told));
	}
	return why.code;
}

static void has_failed(
	struct http_try *try, struct http_config *config, CURLcode code, uint64_t now_us)
{
	struct http_attempt *attempt = try->attempt;

	note_failure(try, config, code, now_us);
	if (tell_failure(try, config, code) == -EACCES)
		spare_proxy(attempt, config);
	if (attempt->sender)
		http_reply_done(&attempt->reply);
	attempt->sender = NULL;
	try->place->n = 0; /* it may have moved */
	http_try_close(try);
	attempt->due_us = now_us;
}

/* --- what is next --- */

/* One that still looks up a name ends then: libcurl has no part in it. */
static uint64_t end_us(const struct http_try *try, const struct http_config *config)
{
	uint64_t at_us = try->began_us + config->connect_timeout_us;

	return at_us < try->attempt->deadline_us ? at_us : try->attempt->deadline_us;
}

/* Those whose name is not found, or not in time. */
static void end_unknown(struct http_attempt *attempt, struct http_config *config, uint64_t now_us)
{
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++) {
		struct http_try *try = &attempt->tries[i];

		if (try->resolve && now_us >= end_us(try, config))
			(void) err_set(&try->why, -ETIMEDOUT,
				"%s cannot be looked up: no answer in time", try->place->name);
		if (try->why.code)
			has_failed(try, config, CURLE_COULDNT_RESOLVE_HOST, now_us);
	}
}

bool http_attempt_go_on(struct http_attempt *attempt, struct http_config *config, uint64_t now_us)
{
	struct http_try *try;

	if (attempt->sender) {
		end_others(attempt);
		return true;
	}
	end_unknown(attempt, config, now_us);
	try = free_try(attempt);
	if (now_us >= attempt->deadline_us) {
		if (!attempt->err.code)
			err_set(&attempt->err, -ETIMEDOUT, "no answer in time");
	} else if (try && now_us >= attempt->due_us) {
		begin(attempt, config, try, now_us);
	}
	if (is_under_way(attempt))
		return true;
	config->has_good = false; /* it was not back in all that time */
	if (!attempt->err.code)
		err_set(&attempt->err, -ETIMEDOUT, "no answer in time");
	return false;
}

uint64_t http_attempt_due_us(const struct http_attempt *attempt, const struct http_config *config)
{
	uint64_t due_us = UINT64_MAX;
	bool full = true;

	if (attempt->sender)
		return UINT64_MAX;
	for (size_t i = 0; i < HTTP_TRIES_MAX; i++) {
		const struct http_try *try = &attempt->tries[i];

		full = full && try->easy;
		if (try->resolve && end_us(try, config) < due_us)
			due_us = end_us(try, config);
	}
	if (!full && attempt->due_us < attempt->deadline_us && attempt->due_us < due_us)
		due_us = attempt->due_us;
	return due_us;
}

/* --- what libcurl says --- */

static void has_answered(struct http_try *try, struct http_config *config)
{
	struct http_attempt *attempt = try->attempt;
	long status = 0;

	(void) curl_easy_getinfo(try->easy, CURLINFO_RESPONSE_CODE, &status);
	attempt->reply.status = (int) status;
	(void) snprintf(attempt->reply.url, sizeof(attempt->reply.url), "%s", url_of(config, try));
	config->good = try->at;
	config->has_good = true;
	attempt->err = (struct err){ 0 };
}

bool http_try_ended(
	struct http_try *try, struct http_config *config, CURLcode code, uint64_t now_us)
{
	struct http_attempt *attempt = try->attempt;

	if ((attempt->sender && attempt->sender != try) ||
		(code == CURLE_ABORTED_BY_CALLBACK && !libcurl_way_floods(&try->way))) {
		give_way(try);
		return false;
	}
	if (code == CURLE_OK) {
		has_answered(try, config);
		http_attempt_stop(attempt);
		return true;
	}
	has_failed(try, config, code, now_us);
	return false;
}
