/*
 * easy: one request as libcurl handles, one for each way that is tried (easy.c), and whose turn it
 * is (race.c). In sys/http only.
 */
#pragma once

#include <curl/curl.h>

#include "sys/curl/libcurl.h"
#include "sys/http/http.h"
#include "sys/resolve/resolve.h"

enum {
	HTTP_TRIES_MAX = 6, /* of one request, side by side */
	HTTP_WAYS_MAX = 2 * HTTP_URLS_MAX,
};

/* Where the host of a URL, or the proxy, is. */
struct http_place {
	char *name; /* NULL: it is an address, or the proxy's to know */
	uint16_t port;
	struct ip_addr addrs[RESOLVE_MAX]; /* what was found last */
	size_t n;
	uint64_t found_us;
};

/* A URL, directly or by the proxy. */
struct http_way {
	size_t at; /* of the config's URLs */
	bool by_proxy;
};

/* The copied options. */
struct http_config {
	char *urls[HTTP_URLS_MAX];
	size_t n_urls;
	struct http_way ways[HTTP_WAYS_MAX];
	size_t n_ways;
	char *pins; /* "sha256//A;sha256//B" */
	char *cert_pem, *key_pem;
	struct proxy proxy; /* if a way is by it */
	struct http_place places[HTTP_URLS_MAX], proxy_place;
	uint64_t connect_timeout_us;
	size_t good;   /* the way that answered last, */
	bool has_good; /* unless none has, or that has gone */
	size_t next;   /* of the others: whose turn it is */
};

int http_config_copy(const struct http_options *options, struct http_config *ret, struct err *err);
void http_config_done(struct http_config *config);
/* Names are looked up anew. */
void http_config_forget(struct http_config *config);

/* One way tried, as a libcurl handle. */
struct http_try {
	struct http_attempt *attempt; /* borrowed: whose it is */
	CURL *easy;                   /* CURLOPT_PRIVATE is the try; NULL: none is under way */
	CURLM *multi;                 /* borrowed: it is in this one, if any */
	struct http_place *place;     /* borrowed: of the config */
	struct resolve *resolve;      /* asks for it first; then it is in the multi */
	struct err why;               /* if that came to nothing: it is over */
	struct curl_slist *headers, *connect_to, *places;
	size_t at; /* whose turn it is */
	uint64_t began_us;
	int fd; /* made last, until it is connected; -1 none. libcurl's */
	char curl_text[CURL_ERROR_SIZE];
	bool too_big;
	struct libcurl_way way;
	bool is_alone; /* there is no other way */
};

/* A request that goes through the ways. Embedded in a transfer; does not move. */
struct http_attempt {
	sd_event *event; /* borrowed */
	CURLM *multi;    /* borrowed; NULL: there was no memory for it */
	/* A name was looked up: http_attempt_go_on() is next. */
	void (*looked_up)(void *ctx);
	void *ctx;
	char *method, *path, *body;
	size_t body_len, reply_max;
	uint64_t deadline_us;
	struct http_try tries[HTTP_TRIES_MAX];
	struct http_try *sender; /* the one that is connected and has the request; NULL: none yet */
	bool had[HTTP_WAYS_MAX]; /* which ways had their turn */
	size_t first;            /* of the others: whose turn is the first */
	bool good_is_next;       /* the one that answered last is asked before another */
	bool good_broke;         /* it had the request, and broke it off */
	uint64_t due_us;         /* when another way gets its turn; UINT64_MAX: not for now */
	struct http_reply reply;
	struct err err; /* of the ways so far */
};

/*
 * Makes @try->easy, which asks by way @at for the request, and begins. What is left after a failure
 * is the caller's to close.
 */
int http_try_open(struct http_try *try, struct http_attempt *attempt, struct http_config *config,
	size_t at, uint64_t now_us, struct err *err);
void http_try_close(struct http_try *try);

int http_attempt_init(struct http_attempt *attempt, const struct http_config *config,
	const struct http_request *request, struct err *err);
void http_attempt_done(struct http_attempt *attempt);

/* Ends what is under way. */
void http_attempt_stop(struct http_attempt *attempt);

/* All ways get their turn again, as if none had had it; of the time there is as much as is left. */
void http_attempt_restart(struct http_attempt *attempt, const struct http_config *config);

/*
 * After libcurl has run: once one has the request the others end, and the next way begins if its
 * turn has come. False: nothing is under way any more, and attempt->err says why.
 */
bool http_attempt_go_on(struct http_attempt *attempt, struct http_config *config, uint64_t now_us);

/* When that is to be called again, if libcurl does not run before. UINT64_MAX: never. */
uint64_t http_attempt_due_us(const struct http_attempt *attempt, const struct http_config *config);

/*
 * What curl said of a try, which is over now. True: attempt->reply is set, and the way has the
 * first turn from now on. False: http_attempt_go_on() is next.
 */
bool http_try_ended(
	struct http_try *try, struct http_config *config, CURLcode code, uint64_t now_us);
