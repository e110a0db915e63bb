/*
 * derp-login: how a client gets into a DERP server whose key it knows (PROTOCOL.md section 13): its
 * request, the server's key, who it is itself, the server's word. Bytes in, bytes out. Pure.
 *
 * Because the key is known, all that the client has to say goes at once, and it asks for no answer
 * to its request (Derp-Fast-Start): that is one round trip. Who it is, is sealed to that key alone:
 * to whoever holds another it is of no use, wherever he sends it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/derp.h"

enum {
	DERP_LOGIN_OUT_MAX = 1024,  /* that we say */
	DERP_LOGIN_HEAD_MAX = 2048, /* of an answer */
	DERP_LOGIN_IN_MAX = 16384,  /* that is read until we are in */
};

enum derp_login_state {
	DERP_LOGIN_ANSWER, /* a head of HTTP, or a frame at once */
	DERP_LOGIN_KEY,    /* the server's */
	DERP_LOGIN_INFO,   /* the server's, sealed */
	DERP_LOGIN_IN,
};

struct derp_login {
	enum derp_login_state state;
	struct derp_keys self; /* borrowed */
	uint8_t server[DERP_KEY_LEN];
	uint8_t out[DERP_LOGIN_OUT_MAX]; /* stays where it is until it is taken */
	size_t out_len, out_at;
	char head[DERP_LOGIN_HEAD_MAX]; /* of an answer, so far */
	size_t head_len, in_len;
	struct derp_reader reader;
};

/*
 * As @self, at the server of the key @server, to whom the request says that it is @host (with its
 * port, as in a URL). -EBADMSG: nothing can be sealed to that key; -EINVAL, -ENOMEM. Only after 0
 * there is something to be released.
 */
int derp_login_init(struct derp_login *login, const struct derp_keys *self,
	const uint8_t server[static DERP_KEY_LEN], const char *host,
	const uint8_t nonce[static DERP_NONCE_LEN]);
void derp_login_done(struct derp_login *login);

/* What is to be sent yet; so much of it was. */
const uint8_t *derp_login_output(const struct derp_login *login, size_t *ret_len);
void derp_login_sent(struct derp_login *login, size_t len);

/*
 * Takes what has come, as far as it belongs to this: *@data and *@len move on. 1: we are in, and
 * what is left begins with a frame. 0: all is taken, and more must come. Else it is over, and @err
 * says what is wrong with the server: -EKEYREJECTED its key is another, -EREMOTEIO it refuses us,
 * -EPROTO, -EMSGSIZE, -EBADMSG; -ENOMEM.
 */
int derp_login_input(struct derp_login *login, const uint8_t **data, size_t *len, struct err *err);
