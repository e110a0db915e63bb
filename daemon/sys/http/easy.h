/*
 * easy: one attempt of one request against one URL, as a libcurl handle. Shared by the two ways to
 * run it (in sys/http only).
 */
#pragma once

#include <curl/curl.h>

#include "sys/http/http.h"

/* The copied options. */
struct http_config {
	char *urls[HTTP_URLS_MAX];
	size_t n_urls;
	char *pins; /* "sha256//A;sha256//B" */
	char *cert_pem, *key_pem, *proxy;
	uint64_t connect_timeout_us;
	size_t good;   /* the URL that answered last, */
	bool has_good; /* unless none has, or that has gone */
	size_t next;   /* of the others: whose turn it is */
};

int http_config_copy(const struct http_options *options, struct http_config *ret, struct err *err);
void http_config_done(struct http_config *config);

/* A request that goes through the URLs. Embedded in a transfer or on the stack. */
struct http_attempt {
	char *method, *path, *body;
	size_t body_len, reply_max;
	uint64_t deadline_us;
	size_t first, tried; /* of the others: index of the first one, how many had their turn */
	size_t at;           /* whose turn it is */
	bool good_is_next;   /* the one that answered last is asked before another, */
	size_t had;          /* this one then, and not among the others; SIZE_MAX: none yet */
	uint64_t began_us;   /* this turn */
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct {
		int fd; /* made last, until it is connected; -1 none. libcurl's */
		char curl_text[CURL_ERROR_SIZE];
		bool connected, too_big;
		bool is_alone; /* no other URL waits for its turn */
	} now;                 /* of the URL whose turn it is: nothing of it is left for the next */
	struct http_reply reply;
	struct err err; /* of the URLs so far */
};

int http_attempt_init(struct http_attempt *attempt, const struct http_config *config,
	const struct http_request *request, struct err *err);
void http_attempt_done(struct http_attempt *attempt);

/* All URLs get their turn again, as if none had had it; of the time there is as much as is left. */
void http_attempt_restart(struct http_attempt *attempt, const struct http_config *config);

/*
 * Makes attempt->easy ready for the next URL. -ETIMEDOUT if no time or URL is left (attempt->err
 * says why). The URL that answered last has the first turn, then the others in a circle, the next
 * request where this one ended. If that one only refused (its daemon restarts, say), it is asked
 * again after each of the others, which may have gone and cost seconds each.
 */
int http_attempt_prepare(struct http_attempt *attempt, const struct http_config *config);

/*
 * What curl said: 0 (reply is set; the URL has the first turn from now on), or a negative errno in
 * attempt->err.
 */
int http_attempt_ended(struct http_attempt *attempt, struct http_config *config, CURLcode code);

/* curl_global_init() once per process. */
int http_global_init(void);
