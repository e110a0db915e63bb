/*
 * httpd: an HTTPS server (TLS 1.3 only) on the event loop, for JSON. A client certificate is asked
 * for and none required: each request tells its peer's Ed25519 key, proved by the handshake, or
 * that there is none. A reply may come later than the handler's return (long polls cost a sleeping
 * connection and nothing else).
 *
 * Bounds: connections in all, per source and of strangers (door.h), bytes of a request's head
 * (about 7 KiB) and body, and absolute times: 20 s from the connection to the first request's head,
 * 20 s for a body, 60 s to take a reply, 75 s idle between requests; half of that for strangers.
 * Trickling bytes prolongs none of them. One stranger too many ends another, of the source that has
 * most; a key has a few connections, the newest.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"
#include "sys/httpd/door.h"

enum { HTTPD_KEY_LEN = 32, HTTPD_PATH_MAX = 256, HTTPD_METHOD_MAX = 16 };

struct httpd;
struct httpd_request;

/*
 * A whole request arrived. The handler ends it with exactly one httpd_reply*(), now or later, and
 * must not free the server.
 */
typedef void (*httpd_handler_fn)(void *ctx, struct httpd_request *request);

/*
 * A request's head arrived: method, path, query and key are known, and no byte of its body was
 * kept. Returns how long that may be. Or refuses with httpd_reply*(): what comes then is thrown
 * away, and the handler not called.
 */
typedef size_t (*httpd_head_fn)(void *ctx, struct httpd_request *request);

struct httpd_config {
	int listen_fd;           /* a listening stream socket; taken on success */
	const char *certificate; /* PEM, borrowed until httpd_free() */
	const char *key;         /* PEM, borrowed until httpd_free() */
	unsigned connections_max;
	unsigned per_source_max; /* 0: no limit */
	struct ip_prefix proven; /* see door.h, as for the next */
	struct door_rates rates;
	httpd_head_fn head;
	httpd_handler_fn handler;
	void *ctx;
};

int httpd_new(
	sd_event *event, const struct httpd_config *config, struct httpd **ret, struct err *err);

/*
 * Ends requests that are open with 503 and closes everything. Whoever still holds a request may
 * (and must) reply to it afterwards; that reply goes nowhere.
 */
struct httpd *httpd_free(struct httpd *httpd);

/*
 * A connection that came by another way than the listening socket, from @client as whoever carries
 * it says: its limits are those of that address. @fd, a stream socket that does not wait, is taken
 * in any case. -EAGAIN: it is not let in. Not from within a handler.
 */
int httpd_add(struct httpd *httpd, int fd, const struct endpoint *client);

/* Sends what replies are ready, for at most @timeout_us; for an orderly end. */
void httpd_flush(struct httpd *httpd, uint64_t timeout_us);

unsigned httpd_connections(const struct httpd *httpd);
/* How many connections have been ended so far, because others wanted their places. */
uint64_t httpd_put_out(const struct httpd *httpd);
/* And how many were not let in: too many of one source, or too fast. */
uint64_t httpd_turned_away(const struct httpd *httpd);

/* Borrowed, valid until the reply. */
const char *httpd_request_method(const struct httpd_request *request);
const char *httpd_request_path(const struct httpd_request *request);
/* A query argument, NULL if absent, "" if it has no value. Not after httpd_free(). */
const char *httpd_request_query(const struct httpd_request *request, const char *name);
const char *httpd_request_body(const struct httpd_request *request, size_t *ret_len);
const struct ip_addr *httpd_request_address(const struct httpd_request *request);
/* The Ed25519 key that the peer proved to hold; NULL without a certificate or for another kind. */
const uint8_t *httpd_request_key(const struct httpd_request *request);
/* The caller's key is a known one: for the handlers to say. */
void httpd_request_is_known(struct httpd_request *request);

/* Ends @request. Steals the reference; NULL (out of memory) becomes an `internal` error. */
void httpd_reply(struct httpd_request *request, unsigned status, json_t *body);
/* As above with text that is JSON already; heap of malloc(), taken. */
void httpd_reply_text(struct httpd_request *request, unsigned status, char *text, size_t len);
/* {"error":{code, message}} */
void httpd_reply_error(struct httpd_request *request, unsigned status, const char *code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
