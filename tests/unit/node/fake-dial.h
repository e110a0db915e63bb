/*
 * fake-dial: sys/dial for tests, and the DERP server at the other end, which the test plays. What
 * was dialled is kept in order; nothing happens by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake-event.h"

#include "base/buf.h"
#include "sys/dial/dial.h"
#include "wire/derp-login.h"

enum { FAKE_DIALS = 256, FAKE_DIAL_FD = 500 };

struct dial_conn {
	int fd;
	bool there;         /* it was handed out, and not freed yet */
	bool open;          /* the ferry has it */
	int end;            /* what receive gives when all is read: -EAGAIN, 0, -errno */
	bool full;          /* it takes nothing */
	size_t most;        /* bytes that one receive gives */
	struct buf in, out; /* to and from the client */
	size_t in_at;
};

struct dial {
	char host[256], pin[64], proxy[128];
	uint16_t port;
	struct ip_addr addr; /* family 0: none was said */
	uint64_t at_us, timeout_us;
	dial_done_fn done;
	void *ctx;
	bool asked; /* neither answered nor cancelled */
	struct dial_conn conn;
};

extern struct dial fake_dials[FAKE_DIALS];
extern size_t fake_dials_n;
extern int fake_dial_fails; /* dial_start() itself */

void fake_dial_reset(void);
/* Nothing is under way, nothing is open. */
void fake_dial_check(void);
/* The last one that is still asked for. */
struct dial *fake_dial_last(void);
/* How many are. */
size_t fake_dial_asked(void);

/* It stands; it failed. */
struct dial_conn *fake_dial_stands(struct dial *dial);
void fake_dial_fails_with(struct dial *dial, int code, const char *why);

/* --- the server --- */

/* These come to the client, who is told that there is something to read. */
void fake_dial_says(struct dial_conn *conn, const void *data, size_t len);
void fake_dial_hangs_up(struct dial_conn *conn, int error);
/* Whoever @conn's client is, it has begun as it should, for @secret: its key. */
void fake_dial_expect_login(struct dial_conn *conn, const uint8_t secret[static DERP_KEY_LEN],
	uint8_t ret_key[static DERP_KEY_LEN]);
/* The server's key and its information to @client; the length. */
size_t fake_dial_welcome(const uint8_t secret[static DERP_KEY_LEN],
	const uint8_t client[static DERP_KEY_LEN], uint8_t ret[static 2 * DERP_INFO_FRAME_MAX]);
/* All that lets the client in. */
void fake_dial_lets_in(struct dial_conn *conn, const uint8_t secret[static DERP_KEY_LEN]);
