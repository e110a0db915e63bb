/*
 * derp-http: the one HTTP request with which a DERP connection begins, and its answer. PROTOCOL.md
 * section 13. Of HTTP/1.1 (RFC 9112) it reads a head without a body; what it does not understand it
 * refuses. Pure.
 *
 *   GET /derp, Upgrade: DERP        101, then frames; with Derp-Fast-Start: 1 no answer
 *   GET /derp/probe, latency-check  200: how long a round trip takes where UDP does not get through
 *   GET /generate_204               204: whether a captive portal answers instead
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/derp.h"

enum { DERP_HTTP_MAX = 4096, DERP_HTTP_ANSWER_MAX = 512, DERP_HTTP_CHALLENGE_MAX = 65 };

enum derp_http_path { DERP_HTTP_RELAY, DERP_HTTP_PROBE, DERP_HTTP_NO_CONTENT, DERP_HTTP_ELSEWHERE };

struct derp_http {
	enum derp_http_path path;
	bool get, head;                          /* the method; neither: another */
	bool upgrade;                            /* to DERP: not to WebSocket */
	bool fast_start;                         /* the client has our key from the certificate */
	char challenge[DERP_HTTP_CHALLENGE_MAX]; /* "": none, or one that is not answered */
};

/*
 * Reads the head in @data. How long it was; 0: it is not whole yet; -EMSGSIZE: nor can it become
 * that, -EBADMSG: it is none of ours, or has a body.
 */
int derp_http_parse(const char *data, size_t len, struct derp_http *ret);

/* Whether frames follow; otherwise the connection ends with the answer. */
bool derp_http_upgrades(const struct derp_http *request);

/* The answer of the server whose key is @key. Its length, which may be 0. */
size_t derp_http_answer(const struct derp_http *request, const uint8_t key[static DERP_KEY_LEN],
	char ret[static DERP_HTTP_ANSWER_MAX]);
/* For what derp_http_parse() refused. */
size_t derp_http_refusal(char ret[static DERP_HTTP_ANSWER_MAX]);

/*
 * The client's side: reads the head of an answer in @data. How long it was, and its status (100 to
 * 599); 0: it is not whole yet; -EMSGSIZE: nor can it become that, -EBADMSG: it is none.
 */
int derp_http_status_parse(const char *data, size_t len, int *ret);
