/*
 * http: JSON over HTTPS to a server known by the hash of its key, on libcurl.
 *
 * TLS 1.3 only. The server is trusted for its pinned key alone: neither names nor dates of its
 * certificate count, so a wrong clock harms nothing. Redirects are not followed, the environment's
 * proxies are not used, replies are bounded, no TLS session is resumed (each connection shows the
 * client's certificate).
 *
 * The URLs are tried side by side, a few at once (RFC 8305): first the one that answered last, the
 * next one 0.3 s later if that has not connected by then, or at once when it has failed. Whichever
 * is connected first, TLS and pin included, gets the request, and nobody else does. If it breaks
 * off, the request goes to the next: so requests must bear being sent twice, and seldom are. If the
 * one that answered last refused, it is asked again after each of the others, for its daemon may
 * restart; if it was silent, it is not the first of the next request, so that all get their turn. A
 * URL that is reached by a proxy also (PROXY_ALSO) is two of them in that. What a proxy refuses for
 * its user or password (-EACCES), it is not asked again in the same request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "wire/proxy.h"

struct http_client;

enum {
	HTTP_URLS_MAX = 64,
	HTTP_URL_LEN_MAX = 200,
	HTTP_PINS_MAX = 4,
	HTTP_REPLY_MAX = 16 * 1024 * 1024, /* default bound of a reply */
};

struct http_options {
	/*
	 * "https://192.168.50.11:8443", 1 to HTTP_URLS_MAX. Or "https://NAME:PORT#HOST": HOST (an
	 * address or a name) is connected to, and asked for the server NAME.
	 */
	const char *const *urls;
	size_t n_urls;
	const char *const *pins; /* base64(SHA-256(SubjectPublicKeyInfo)), 1 to HTTP_PINS_MAX */
	size_t n_pins;
	const char *cert_pem;       /* our certificate and its key; both or neither NULL */
	const char *key_pem;        /* copied, wiped when the client goes */
	const char *proxy;          /* as wire/proxy.h; NULL: none, whatever the environment says */
	const enum proxy_use *uses; /* of it, for each of the URLs; NULL: always */
	uint64_t connect_timeout_us; /* of one URL; 0: 5 s */
};

struct http_request {
	const char *method; /* "GET", "POST", "PUT", "DELETE" */
	const char *path;   /* "/v1/poll?seq=1" */
	const char *body;   /* JSON text, NULL: none */
	size_t body_len;
	uint64_t timeout_us; /* of the whole request over all URLs; 0: 30 s */
	size_t reply_max;    /* bytes; 0: HTTP_REPLY_MAX */
};

struct http_reply {
	int status; /* 200 ... 599 */
	struct buf body;
	char url[256]; /* the URL that answered, without the path */
};

void http_reply_done(struct http_reply *reply);
#define CLEANUP_HTTP_REPLY CLEANUP(http_reply_done)

/*
 * Reads the reply's JSON. 0 and *ret (caller's reference) for status 2xx. Otherwise a negative
 * errno and in @err the message of {"error":{"code","message"}}: -EACCES (401, 403), -ENOENT (404),
 * -EEXIST (409), -ENOSPC (507), -EAGAIN (429, 503), -EREMOTEIO (other); -EBADMSG for a body that is
 * no JSON. @ret_code (may be NULL) gets the error's code, "" where there is none.
 */
int http_reply_json(
	const struct http_reply *reply, json_t **ret, char ret_code[static 64], struct err *err);

/*
 * One request, waits for the answer. 0 and *ret (status may be anything; caller's to release), or
 * -EHOSTUNREACH (name), -ECONNREFUSED or what else connect() says, -ETIMEDOUT, -EKEYREJECTED (none
 * of the pins), -EPROTO (TLS), -EACCES and -EPERM (the proxy: another user or password; it does not
 * let us through), -EFBIG, -EIO, -EINVAL (options), with a sentence naming the URL.
 */
int http_request_blocking(const struct http_options *options, const struct http_request *request,
	struct http_reply *ret, struct err *err);

/* Copies @options. @event gets a reference. */
int http_client_new(sd_event *event, const struct http_options *options, struct http_client **ret,
	struct err *err);

/*
 * Other URLs, pins or keys: what is under way begins again with them. On failure the old ones stay.
 */
int http_client_configure(
	struct http_client *client, const struct http_options *options, struct err *err);

/*
 * What is under way ends with -ECANCELED, told from within, so that whoever waits can release what
 * is his; to send then fails with the same. Not from within a callback. NULL is fine.
 */
struct http_client *http_client_free(struct http_client *client);

/*
 * Called once per request unless that is cancelled: from the event loop or http_client_free(),
 * never from within http_client_send(). Either @reply is set (borrowed) or @err says why there is
 * none. It may send and cancel, not free.
 */
typedef void (*http_done_fn)(void *ctx, const struct http_reply *reply, const struct err *err);

/* 0 and an id for http_client_cancel(); the strings of @request are copied. */
int http_client_send(struct http_client *client, const struct http_request *request,
	http_done_fn done, void *ctx, uint64_t *ret_id, struct err *err);

/* No callback follows. An id that has ended is fine. */
void http_client_cancel(struct http_client *client, uint64_t id);

/*
 * The link under the connections has changed: what is under way begins again on new connections,
 * with the time it has left.
 */
void http_client_reset(struct http_client *client);
