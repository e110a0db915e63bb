/*
 * caller: whom enroll-node asks before the board is in the mesh: the coordinator, at the token's
 * URLs, by way of the token's relays, and of the board's own relay where it is to be one. Wherever
 * it is met, it is known by the token's pins. Waits for answers.
 */
#pragma once

#include "base/encode.h"
#include "provision/enroll.h"
#include "sys/http/http.h"

enum {
	CALLER_OWN_MAX = FIELD_PINS_MAX,
	CALLER_RELAYED_MAX = TOKEN_RELAYS_MAX * FIELD_PINS_MAX + CALLER_OWN_MAX,
	CALLER_URLS_MAX = FIELD_URLS_MAX + CALLER_RELAYED_MAX,
};

/* Holds pointers into itself: not to be copied. Zero-initialise. */
struct caller {
	const char *urls[CALLER_URLS_MAX];    /* the token's are borrowed */
	enum proxy_use uses[CALLER_URLS_MAX]; /* of those that are asked */
	const struct wayout *wayout;          /* borrowed */
	char relayed[CALLER_RELAYED_MAX][HTTP_URL_LEN_MAX + 1];
	size_t n_urls, n_relayed;
	size_t n_own; /* the last of @urls, by this board's own relay */
	char pin_texts[FIELD_PINS_MAX][KEY_BASE64_LEN];
	const char *pins[FIELD_PINS_MAX];
	char *cert, *key; /* owned */
	struct http_options options;
	bool answered; /* somebody with the right key */
};

void caller_done(struct caller *caller);

/* @e has token and identity, and own_relay if there is one. @e is borrowed. */
int caller_init(struct enroll *e, struct caller *ret, struct err *err);

/*
 * One request over all URLs. 0 and *@ret, or -errno and @err, in words for the person at the board;
 * *@ret_code as of http_reply_json(). Whoever answered is asked first the next time.
 */
int caller_ask(struct caller *caller, const char *method, const char *path, const json_t *body,
	json_t **ret, char ret_code[static 64], struct err *err);

/*
 * Who is asked from now on; at first all others. The own relay keeps a connection until a
 * coordinator comes, or for two seconds.
 */
enum caller_whom { CALLER_OTHERS, CALLER_OWN };
void caller_choose(struct caller *caller, enum caller_whom whom);
